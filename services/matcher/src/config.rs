//! The configuration of a matcher, and its limits.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vigie_access::ProcessesConfig;
use vigie_clients::Neighbours;
use vigie_model::{HashTypeSet, ShardCount, ShardGroup, ShardGroupError};
use vigie_serving::ServingConfig;
use vigie_vectors::HnswConfig;

use crate::following::scrub::Scrubbing;
use crate::shard::indexes::IndexPlan;
use crate::shard::pdq::PdqEngine;
use crate::sharing::objects::Objects;
use crate::sharing::replica_number::ReplicaNumber;
use crate::sharing::store_config::{StoreOptions, StoreUrl};

/// Configuration of one matcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The bank's endpoint, such as `http://127.0.0.1:7742`.
    #[schemars(extend("x-value" = "URL"))]
    pub bank: String,
    /// The shard that this matcher serves, from 0; the first one, if `shards_served` is more than 1.
    #[schemars(range(max = ShardCount::MAX - 1))]
    pub shard: u32,
    /// The number of shards of the cluster, the same for all its matchers.
    #[schemars(range(min = 1, max = ShardCount::MAX))]
    pub shard_count: u32,
    /// The number of shards that this matcher serves with one index: `shard`, and each further one at a
    /// distance of `shard_count` / `shards_served`. It must divide `shard_count`, and `shard` must be below
    /// that distance. With `shard` 0, `shard_count` 4 and `shards_served` 2 these are the shards 0 and 2.
    /// Upgrade every coordinator before the first matcher serves several shards.
    #[schemars(range(min = 1, max = ShardCount::MAX))]
    pub shards_served: u32,
    /// The number of this replica among those of its shard, from 0; or a name that ends in the number, such
    /// as the pod's. Only replica 0 publishes snapshots.
    pub replica: ReplicaNumber,
    /// Long searches that run at once, on threads of their own; further ones wait within their deadline. 0
    /// is the number of the machine's cores.
    pub searches_at_once_max: usize,
    /// How long a search may run on the thread that answers the call, in microseconds, at most 500. Other
    /// calls of that thread wait meanwhile. A search that is expected to take longer, or takes longer, runs
    /// on a thread for long searches. With 0 every search does.
    #[schemars(range(max = SEARCH_INLINE_US_MAX))]
    pub search_inline_us_max: u64,
    /// Calls that wait for their `min_sequence` at once; one more is refused with `RESOURCE_EXHAUSTED` and
    /// `RetryInfo`.
    pub sequence_waits_max: usize,
    /// Streams that watch the state of this replica at once, one for each coordinator; one more is refused
    /// with `RESOURCE_EXHAUSTED` and `RetryInfo`, and its client can still request single descriptions. The
    /// last quarter is reserved for clients with fewer than four streams.
    pub watchers_max: usize,
    /// How long the bank may take to open the feed, in milliseconds; then the follower tries again.
    #[schemars(range(min = 1))]
    pub feed_open_ms_max: u64,
    /// How long the feed may be silent, in milliseconds, before the follower treats the connection as lost.
    /// The bank sends several heartbeats in this time.
    #[schemars(range(min = 1_000))]
    pub feed_silence_ms_max: u64,
    /// Folder for the shard's files, which no other matcher may use. When the matcher starts, it continues
    /// from the snapshot in the folder, if that is complete and was made with the same shard, `shard_count`
    /// and engine; otherwise it discards the snapshot and loads the bank's state. Without a folder it always
    /// loads the bank's state, everything is in memory, and merging the largest parts of the indexes takes
    /// as much memory again for some seconds. With `hnsw` no snapshots are made.
    #[schemars(extend("x-value" = "DIR"))]
    pub index_folder: Option<PathBuf>,
    /// Changes of the bank's log after which a snapshot is taken, at least 1. While it is written, for some
    /// 20 to 400 milliseconds if the disk is not busy, changes wait; searches do not.
    #[schemars(range(min = 1))]
    pub snapshot_changes: u64,
    /// Minutes after which a snapshot is taken if anything has changed, at least 1. A snapshot is also taken
    /// when the matcher is asked to stop. After a failed one, the next is tried a minute later.
    #[schemars(range(min = 1, max = MINUTES_MAX))]
    pub snapshot_minutes: u64,
    /// Hours after the removal of an item until its hashes are erased from this matcher's files and from its
    /// published snapshots. The files that hold them are rewritten in the background, at most once in this
    /// time. Set it to no more than the smallest `purge_hours` of all banks' charters. At most 8,760, a year;
    /// 0 erases at once, after every removal: for tests.
    #[schemars(range(max = PURGE_HOURS_MAX))]
    pub purge_hours: u64,
    /// Seconds in which everything that searches read is compared with its checksums once, at most a week:
    /// memory, files, and whether every hash can be reached. A fault takes the replica out of readiness until
    /// it is rebuilt from the bank. 0 is never.
    #[schemars(range(max = SCRUB_SECONDS_MAX))]
    pub scrub_seconds: u64,
    /// Bytes that are compared per second, at least 1 MiB. If that is too little for `scrub_seconds`,
    /// comparing everything takes longer.
    #[schemars(range(min = 1 << 20))]
    pub scrub_bytes_per_second_max: u64,
    /// URL of an object store where snapshots are published, such as `file:///var/lib/vigie/snapshots` or
    /// `s3://bucket/prefix`, also `gs://` and `az://`. All but `file://` need a build with the feature
    /// `cloud`. Requires `index_folder`. A matcher without a usable snapshot in that folder starts from the
    /// last published one; if that is not usable either, it loads the bank's state. All matchers of all
    /// shards may share one prefix; two clusters must not.
    #[schemars(extend("x-value" = "URL"))]
    pub snapshot_url: Option<StoreUrl>,
    /// Options of the object store by the names of the crate `object_store`, such as `aws_endpoint`,
    /// `aws_region`, `aws_allow_http`, `aws_access_key_id` and `aws_secret_access_key`. Options that are
    /// not set here are read from the provider's usual environment variables. Never printed.
    #[schemars(extend("x-value" = "TABLE"))]
    pub snapshot_options: StoreOptions,
    /// Minutes after which another snapshot is published, once one has been saved. The first is published as
    /// soon as it has been saved. 0 is never. Only `replica` 0 publishes.
    #[schemars(range(max = MINUTES_MAX))]
    pub publish_minutes: u64,
    /// The engine that searches PDQ hashes: `exact`, or `hnsw`, which may miss matches; its answers say that
    /// they are approximate.
    pub pdq_engine: PdqEngine,
    /// Parameters of `hnsw`; not used by `exact`.
    pub hnsw: HnswConfig,
    /// Limits of the server.
    pub serving: ServingConfig,
    /// The processes of the deployment that may call this one, if a key or names are set.
    pub processes: ProcessesConfig,
    /// The matchers of this process, which its other roles call as functions. Each is identified by the
    /// address on which it listens.
    #[serde(skip)]
    pub neighbours: Option<Neighbours>,
    /// Hash types that this matcher treats as unknown. Not a setting: tests use it to simulate a replica of
    /// an older version.
    #[serde(skip)]
    #[doc(hidden)]
    pub lacks: HashTypeSet,
}

/// Bounds the delay of other calls on the thread, which wait for such a search.
const SEARCH_INLINE_US_MAX: u64 = 500;

const MINUTES_MAX: u64 = 366 * 24 * 60;

const PURGE_HOURS_MAX: u64 = 8_760;

const SCRUB_SECONDS_MAX: u64 = 7 * 24 * 60 * 60;

impl Default for Config {
    fn default() -> Self {
        Self {
            bank: "http://127.0.0.1:7742".to_owned(),
            shard: 0,
            shard_count: 1,
            shards_served: 1,
            replica: ReplicaNumber::default(),
            searches_at_once_max: 0,
            search_inline_us_max: 250,
            sequence_waits_max: 256,
            watchers_max: 64,
            feed_open_ms_max: 2_000,
            feed_silence_ms_max: 5_000,
            index_folder: None,
            snapshot_changes: 200_000,
            snapshot_minutes: 10,
            purge_hours: 24,
            scrub_seconds: 3_600,
            scrub_bytes_per_second_max: 64 << 20,
            snapshot_url: None,
            snapshot_options: StoreOptions::default(),
            publish_minutes: 60,
            pdq_engine: PdqEngine::Exact,
            hnsw: HnswConfig::default(),
            serving: ServingConfig::default(),
            processes: ProcessesConfig::default(),
            neighbours: None,
            lacks: HashTypeSet::default(),
        }
    }
}

impl Config {
    /// Every fault of these values, each as `field: what is wrong`.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.serving.faults();
        faults.extend(self.processes.faults().into_iter().map(|fault| format!("processes.{fault}")));
        faults.extend(self.hnsw.faults().into_iter().map(|fault| format!("hnsw.{fault}")));
        if let Err(error) = ShardCount::new(self.shard_count) {
            faults.push(format!("shard_count: {error}"));
        } else if let Err(error) = self.shards() {
            let key = if matches!(error, ShardGroupError::Size { .. }) { "shards_served" } else { "shard" };
            faults.push(format!("{key}: {error}"));
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
        if self.search_inline_us_max > SEARCH_INLINE_US_MAX {
            faults.push(format!("search_inline_us_max: must be 0 to {SEARCH_INLINE_US_MAX}"));
        }
        if self.snapshot_changes == 0 {
            faults.push("snapshot_changes: must be at least 1".to_owned());
        }
        if !(1..=MINUTES_MAX).contains(&self.snapshot_minutes) {
            faults.push(format!("snapshot_minutes: must be 1 to {MINUTES_MAX}, a year"));
        }
        if self.purge_hours > PURGE_HOURS_MAX {
            faults.push(format!("purge_hours: must be 0, for at once, to {PURGE_HOURS_MAX}, a year"));
        }
        if self.scrub_seconds > SCRUB_SECONDS_MAX {
            faults.push(format!("scrub_seconds: must be 0, for never, to {SCRUB_SECONDS_MAX}, a week"));
        }
        if self.scrub_bytes_per_second_max < 1 << 20 {
            faults.push("scrub_bytes_per_second_max: must be at least 1048576, 1 MiB".to_owned());
        }
        if self.publish_minutes > MINUTES_MAX {
            faults.push(format!("publish_minutes: must be 0, for never, to {MINUTES_MAX}, a year"));
        }
        match &self.snapshot_url {
            None if self.snapshot_options != StoreOptions::default() => {
                faults.push("snapshot_options: need a snapshot_url".to_owned());
            }
            None => {}
            Some(_) if self.index_folder.is_none() => {
                faults.push("snapshot_url: needs an index_folder".to_owned());
            }
            Some(_) if self.pdq_engine != PdqEngine::Exact => {
                faults.push("snapshot_url: needs the pdq_engine `exact`; others make no snapshot".to_owned());
            }
            Some(url) => faults.extend(Objects::open(url, &self.snapshot_options).err().unwrap_or_default()),
        }
        faults
    }

    /// Returns the shards that this matcher serves.
    pub(crate) fn shards(&self) -> Result<ShardGroup, ShardGroupError> {
        ShardGroup::new(self.shard, self.shard_count, self.shards_served)
    }

    /// Returns the plan of the shard's indexes.
    pub(crate) fn indexes(&self) -> IndexPlan {
        IndexPlan { pdq_engine: self.pdq_engine, hnsw: self.hnsw, lacks: self.lacks.clone() }
    }

    /// Returns the object store, if one is configured.
    pub(crate) fn objects(&self) -> Result<Option<Objects>, Vec<String>> {
        self.snapshot_url.as_ref().map(|url| Objects::open(url, &self.snapshot_options)).transpose()
    }

    /// Returns how often and how fast searched data is compared with its checksums.
    pub(crate) fn scrubbing(&self) -> Scrubbing {
        Scrubbing {
            every: (self.scrub_seconds > 0).then(|| Duration::from_secs(self.scrub_seconds)),
            bytes_per_second_max: self.scrub_bytes_per_second_max,
        }
    }

    /// Returns the interval at which this replica publishes snapshots, if it does.
    pub(crate) fn publish_every(&self) -> Option<Duration> {
        let publishes = self.publish_minutes > 0 && self.replica.is_first();
        publishes.then(|| Duration::from_secs(60 * self.publish_minutes))
    }

    pub(crate) fn searches_at_once(&self) -> usize {
        match self.searches_at_once_max {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            count => count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_numbers_of_the_shards_have_to_agree() {
        let faults = |shard, shard_count, shards_served| {
            Config { shard, shard_count, shards_served, ..Config::default() }.faults()
        };
        assert_eq!(faults(1, 4, 2), [""; 0]);
        let divides = "shards_served: shards_served is 3; it must divide shard_count, which is 4";
        assert_eq!(faults(0, 4, 3), [divides]);
        let below = "shard: shard is 2; with shard_count 4 and shards_served 2 it must be 0 to 1";
        assert_eq!(faults(2, 4, 2), [below]);
        assert_eq!(faults(0, 0, 2).len(), 1);
    }

    #[test]
    fn of_the_replicas_of_a_shard_the_first_publishes() {
        let every = |replica: &str, publish_minutes| {
            let replica = serde_json::from_value(replica.into()).unwrap();
            Config { replica, publish_minutes, ..Config::default() }.publish_every()
        };
        assert_eq!(every("matcher-a-3-0", 10), Some(Duration::from_secs(600)));
        assert_eq!(every("matcher-a-3-1", 10), None);
        assert_eq!(every("matcher-a-3-0", 0), None);
        assert_eq!(Config::default().publish_every(), Some(Duration::from_secs(3_600)));
    }
}
