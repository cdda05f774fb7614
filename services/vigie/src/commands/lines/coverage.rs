//! The object of an answer's coverage.

use serde::Serialize;
use vigie_model::{Coverage, ShardFailure};

/// What an answer covers.
#[derive(Debug, Serialize)]
pub(crate) struct CoverageObject {
    /// Shards of the cluster.
    pub(crate) shards_total: u16,
    /// Shards that answered.
    pub(crate) shards_answered: u16,
    /// Hashes that were searched.
    pub(crate) hashes_searched: u64,
    /// Hashes of all shards.
    pub(crate) hashes_total: u64,
    /// The answer holds every change up to this one.
    pub(crate) sequence_min: u64,
    /// The newest change that any shard had applied.
    pub(crate) sequence_max: u64,
    /// Milliseconds since 1970: the answer holds every change that was committed up to then. Left out where
    /// not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) committed_unix_ms: Option<u64>,
    /// Milliseconds since 1970: when the bank was last heard to have nothing newer. Left out where not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) heard_unix_ms: Option<u64>,
    /// Shards that did not answer.
    pub(crate) failures: Vec<ShardFailureObject>,
}

/// A shard that did not answer.
#[derive(Debug, Serialize)]
pub(crate) struct ShardFailureObject {
    /// Which one.
    pub(crate) shard: u16,
    /// Why.
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
