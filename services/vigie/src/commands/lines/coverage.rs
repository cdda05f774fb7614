//! The coverage of an answer, as a JSON object.

use serde::Serialize;
use vigie_model::{Coverage, ShardFailure};

/// The coverage of an answer.
#[derive(Debug, Serialize)]
pub(crate) struct CoverageObject {
    /// Number of shards in the cluster.
    pub(crate) shards_total: u16,
    /// Number of shards that answered.
    pub(crate) shards_answered: u16,
    /// Number of hashes that were searched.
    pub(crate) hashes_searched: u64,
    /// Number of hashes in all shards.
    pub(crate) hashes_total: u64,
    /// The answer includes every change up to this sequence.
    pub(crate) sequence_min: u64,
    /// Sequence of the newest change that any shard had applied.
    pub(crate) sequence_max: u64,
    /// The answer includes every change that was committed up to this time, in milliseconds since 1970. Left
    /// out if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) committed_unix_ms: Option<u64>,
    /// Time at which the bank was last known to have nothing newer, in milliseconds since 1970. Left out if
    /// it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) heard_unix_ms: Option<u64>,
    /// Shards that did not answer.
    pub(crate) failures: Vec<ShardFailureObject>,
}

/// A shard that did not answer.
#[derive(Debug, Serialize)]
pub(crate) struct ShardFailureObject {
    /// Number of the shard.
    pub(crate) shard: u16,
    /// The reason.
    pub(crate) reason: String,
}

impl From<&Coverage> for CoverageObject {
    fn from(coverage: &Coverage) -> Self {
        let failure = |failure: &ShardFailure| ShardFailureObject {
            shard: failure.shard.0,
            reason: failure.reason.clone(),
        };
        Self {
            shards_total: coverage.shards_total,
            shards_answered: coverage.shards_answered,
            hashes_searched: coverage.hashes_searched,
            hashes_total: coverage.hashes_total,
            sequence_min: coverage.sequence_min.0,
            sequence_max: coverage.sequence_max.0,
            committed_unix_ms: coverage.as_of.committed.map(|at| at.0),
            heard_unix_ms: coverage.as_of.heard.map(|at| at.0),
            failures: coverage.failures.iter().map(failure).collect(),
        }
    }
}
