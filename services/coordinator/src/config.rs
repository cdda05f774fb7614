//! The configuration of a coordinator, and its limits.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vigie_access::{AccessConfig, DirectoryConfig, ProcessesConfig};
use vigie_clients::{Neighbours, Network};
use vigie_model::{Query, ShardCount};
use vigie_net::lane::LaneLimits;
use vigie_serving::ServingConfig;

use crate::asking::ask::Hedging;
use crate::replicas::directory::Watching;
use crate::replicas::endpoint::MatcherEndpoint;

/// Configuration of a coordinator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The endpoints of the matchers, 1 to 1024: `http://host:port` is one matcher, `dns+http://host:port` is
    /// every address of that name. Each matcher reports the shard that it serves.
    #[schemars(length(min = 1, max = Self::MATCHERS_MAX), extend("x-value" = "URL"))]
    pub matchers: Vec<String>,
    /// The matchers of this process, if those of `matchers` are: they are called as functions.
    #[serde(skip)]
    pub neighbours: Option<Neighbours>,
    /// How often names are looked up again, in milliseconds.
    #[schemars(range(min = 100))]
    pub resolve_interval_ms: u64,
    /// The longest silence of a matcher, in milliseconds, before it counts as unreachable. A matcher sends a
    /// sign of life every second.
    #[schemars(range(min = 1_500))]
    pub silence_ms_max: u64,
    /// The preferred `shard_count` where matchers report different ones: its matchers are used as soon as
    /// each of its shards has a ready replica. 0 prefers none: then the set of matchers in use stays until it
    /// is incomplete and another one is complete.
    #[schemars(range(max = ShardCount::MAX))]
    pub shard_count: u32,
    /// The most calls to one matcher at once. Further searches wait for it, and share its next call.
    #[schemars(range(min = 1))]
    pub calls_per_matcher_max: usize,
    /// The most queries of one shared call, 1 to 256.
    #[schemars(range(min = 1, max = Query::BATCH_MAX))]
    pub queries_per_call_max: usize,
    /// The largest share of extra calls (hedges, and retries at another replica) in all calls to matchers, 0
    /// to 1.
    #[schemars(range(min = 0, max = 1))]
    pub extra_calls_share: f64,
    /// Another replica is asked in addition to a slow one after the 95th percentile of its shard's latencies,
    /// but not earlier than this time, in milliseconds.
    pub hedge_after_ms_min: u64,
    /// The time, in milliseconds, before another replica is asked in addition to a slow one while the
    /// percentile of `hedge_after_ms_min` is not known yet.
    pub hedge_after_ms_first: u64,
    /// Limits of the server.
    pub serving: ServingConfig,
    /// The directory of members, where operators call this coordinator with their own credentials. It
    /// requires `processes`, because frontends are admitted whether or not the directory is available.
    pub directory: DirectoryConfig,
    /// The credentials of operators.
    pub access: AccessConfig,
    /// The processes of the deployment that may call this one, if a key or names are set.
    pub processes: ProcessesConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            matchers: Vec::new(),
            neighbours: None,
            resolve_interval_ms: 5_000,
            silence_ms_max: 3_000,
            shard_count: 0,
            calls_per_matcher_max: 8,
            queries_per_call_max: 64,
            extra_calls_share: 0.05,
            hedge_after_ms_min: 2,
            hedge_after_ms_first: 50,
            serving: ServingConfig::default(),
            directory: DirectoryConfig::default(),
            access: AccessConfig::default(),
            processes: ProcessesConfig::default(),
        }
    }
}

impl Config {
    const MATCHERS_MAX: usize = 1_024;

    /// Every fault of these values, each as `field: what is wrong`.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.serving.faults();
        let within = [
            ("directory", self.directory.faults()),
            ("access", self.access.faults()),
            ("processes", self.processes.faults()),
        ];
        for (table, of_table) in within {
            faults.extend(of_table.into_iter().map(|fault| format!("{table}.{fault}")));
        }
        if !self.directory.bank.is_empty() && !self.processes.is_set() {
            faults.push(
                "directory.bank: requires a cluster key or names in `processes`, which identify frontends"
                    .to_owned(),
            );
        }
        if self.matchers.is_empty() || self.matchers.len() > Self::MATCHERS_MAX {
            let (count, max) = (self.matchers.len(), Self::MATCHERS_MAX);
            faults.push(format!("matchers: has {count} endpoints; it must have 1 to {max}"));
        }
        for (index, endpoint) in self.matchers.iter().enumerate() {
            if let Err(error) = endpoint.parse::<MatcherEndpoint>() {
                faults.push(format!("matchers[{index}]: {error}"));
            }
            let is_same = |other: &String| other.parse::<MatcherEndpoint>().ok() == endpoint.parse().ok();
            if self.matchers[..index].iter().any(is_same) {
                faults.push(format!("matchers[{index}]: names {endpoint} a second time"));
            }
        }
        let mut check = |holds: bool, fault: &str| {
            if !holds {
                faults.push(fault.to_owned());
            }
        };
        check(self.resolve_interval_ms >= 100, "resolve_interval_ms: must be at least 100");
        check(
            self.silence_ms_max >= 1_500,
            "silence_ms_max: must be at least 1500, because a sign of life comes every second",
        );
        check(self.shard_count <= u32::from(ShardCount::MAX), "shard_count: must be 0, for any, to 256");
        check(self.calls_per_matcher_max >= 1, "calls_per_matcher_max: must be at least 1");
        check(
            (1..=Query::BATCH_MAX).contains(&self.queries_per_call_max),
            "queries_per_call_max: must be 1 to 256",
        );
        check((0.0..=1.0).contains(&self.extra_calls_share), "extra_calls_share: must be 0 to 1");
        faults
    }

    pub(crate) const fn hedging(&self) -> Hedging {
        Hedging {
            after_min: Duration::from_millis(self.hedge_after_ms_min),
            after_first: Duration::from_millis(self.hedge_after_ms_first),
        }
    }

    /// For a configuration without faults.
    pub(crate) fn watching(&self, network: &Network) -> Watching {
        Watching {
            endpoints: self.matchers.iter().filter_map(|endpoint| endpoint.parse().ok()).collect(),
            network: network.clone(),
            neighbours: self.neighbours.clone(),
            limits: LaneLimits {
                calls: self.calls_per_matcher_max,
                queries: self.queries_per_call_max,
                gathers: false,
            },
            patience: Duration::from_millis(self.silence_ms_max),
            resolve_every: Duration::from_millis(self.resolve_interval_ms),
            extra_calls_share: self.extra_calls_share,
            shard_count: ShardCount::new(self.shard_count).ok(),
        }
    }
}
