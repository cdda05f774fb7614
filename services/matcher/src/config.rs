//! What a matcher is told, and its limits.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vigie_index::HnswConfig;
use vigie_model::ShardIdentity;
use vigie_serving::ServingConfig;

use crate::pdq::PdqEngine;

/// Configuration of one matcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the bank listens, such as `http://127.0.0.1:7742`.
    pub bank: String,
    /// The shard that this matcher serves, from 0.
    pub shard: u32,
    /// Of how many, 1 to 256. All matchers of a cluster agree on it.
    pub shard_count: u32,
    /// Searches that run at once; further ones wait within their deadline. 0 stands for the machine's cores.
    pub searches_at_once_max: usize,
    /// Calls that wait for their `min_sequence` at once; one more is refused with `RESOURCE_EXHAUSTED` and `RetryInfo`.
    pub sequence_waits_max: usize,
    /// How long the bank may take to open the feed, in milliseconds; then the follower tries again.
    pub feed_open_ms_max: u64,
    /// How long the feed may be silent, in milliseconds, before the follower takes the connection for dead. The bank
    /// gives a sign of life several times within it.
    pub feed_silence_ms_max: u64,
    /// Folder for the shard's files, which this matcher alone uses. When the matcher starts it goes on from the
    /// snapshot that is there, if that is whole and was made with the same shard, `shard_count` and engine; else it
    /// discards what is there and loads the bank's state, as it does without a folder. Then everything is in memory,
    /// and merging the largest parts of the indexes takes as much again for some seconds. With `hnsw` no snapshots are
    /// made.
    pub index_folder: Option<PathBuf>,
    /// A snapshot is taken after this many changes of the bank's log, at least 1. While it is written, for some ten
    /// milliseconds to about two seconds, changes wait; searches do not.
    pub snapshot_changes: u64,
    /// A snapshot is taken after this many minutes, at least 1, if anything has changed; and when the matcher is asked to
    /// stop. After one that failed, the next is tried a minute later.
    pub snapshot_minutes: u64,
    /// What searches PDQ hashes: `exact`, or `hnsw`, which may miss matches and says so.
    pub pdq_engine: PdqEngine,
    /// Parameters of `hnsw`; of no meaning for `exact`.
    pub hnsw: HnswConfig,
    /// Limits of the server.
    pub serving: ServingConfig,
}

const MINUTES_MAX: u64 = 366 * 24 * 60;

impl Default for Config {
    fn default() -> Self {
        Self {
            bank: "http://127.0.0.1:7742".to_owned(),
            shard: 0,
            shard_count: 1,
            searches_at_once_max: 0,
            sequence_waits_max: 256,
            feed_open_ms_max: 2_000,
            feed_silence_ms_max: 5_000,
            index_folder: None,
            snapshot_changes: 200_000,
            snapshot_minutes: 10,
            pdq_engine: PdqEngine::Exact,
            hnsw: HnswConfig::default(),
            serving: ServingConfig::default(),
        }
    }
}

impl Config {
    /// Every fault of these values, each as `field: what is wrong`.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.serving.faults();
        faults.extend(self.hnsw.faults().into_iter().map(|fault| format!("hnsw.{fault}")));
        if let Err(error) = ShardIdentity::new(self.shard, self.shard_count) {
            faults.push(format!("shard: {error}"));
        }
        if let Err(error) = vigie_clients::FeedClient::new(&self.bank) {
            faults.push(format!("bank: {error}"));
        }
        if self.feed_open_ms_max == 0 {
            faults.push("feed_open_ms_max: must be at least 1".to_owned());
        }
        if self.feed_silence_ms_max < 1_000 {
            faults.push("feed_silence_ms_max: must be at least 1000, twice the bank's heartbeat".to_owned());
        }
        if self.snapshot_changes == 0 {
            faults.push("snapshot_changes: must be at least 1".to_owned());
        }
        if !(1..=MINUTES_MAX).contains(&self.snapshot_minutes) {
            faults.push(format!("snapshot_minutes: must be 1 to {MINUTES_MAX}, a year"));
        }
        faults
    }

    pub(crate) fn searches_at_once(&self) -> usize {
        match self.searches_at_once_max {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        }
    }
}
