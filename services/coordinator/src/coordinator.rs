//! The coordinator without its server. The server uses it, and so does a frontend that embeds a coordinator.

use std::sync::Arc;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use vigie_clients::Network;
use vigie_model::Limit;
use vigie_model::answer::answer_bytes as bytes_at_most;
use vigie_model::{ANSWER_BYTES_MAX, Query, SearchAnswer, SearchOptions, Topology};
use vigie_rpc::Priority;

use crate::asking::fan_out::{FanOut, group_answer_bytes};
use crate::asking::metrics::CallMetrics;
use crate::config::Config;
use crate::error::{RunError, SearchError};
use crate::replicas::directory::Directory;
use crate::replicas::metrics::register_view;
use crate::replicas::view::View;

/// Searches all matchers of a cluster as one.
#[derive(Debug)]
pub struct Coordinator {
    fan_out: FanOut,
    directory: JoinHandle<()>,
    is_of_neighbours: bool,
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Coordinator {
    /// Starts to watch the matchers, which are reached through `network`, and registers the metrics in
    /// `registry`.
    ///
    /// Errors: the configuration has faults, or the endpoint of a matcher is malformed.
    pub fn start(config: &Config, network: &Network, registry: &mut Registry) -> Result<Self, RunError> {
        let faults = config.faults();
        if !faults.is_empty() {
            return Err(RunError::Config(faults));
        }
        let view = Arc::new(ArcSwap::from_pointee(View::default()));
        let directory = Directory::start(config.watching(network), Arc::clone(&view))?;
        register_view(registry, &view);
        let fan_out = FanOut { view, hedging: config.hedging(), metrics: CallMetrics::register(registry) };
        let is_of_neighbours = config.neighbours.is_some();
        Ok(Self { fan_out, directory: tokio::spawn(directory.run()), is_of_neighbours })
    }

    /// Searches every shard and answers by `deadline`. The answer has at most `ANSWER_BYTES_MAX` bytes of
    /// matches.
    pub async fn search(
        &self,
        queries: impl Into<Arc<[Query]>>,
        options: SearchOptions,
        priority: Priority,
        deadline: Instant,
    ) -> Result<SearchAnswer, SearchError> {
        self.search_within(queries, options, ANSWER_BYTES_MAX, priority, deadline).await
    }

    /// Searches every shard like [`Self::search`], with at most `answer_bytes` bytes of matches. The best
    /// match of each query is always included, even beyond that limit.
    pub async fn search_within(
        &self,
        queries: impl Into<Arc<[Query]>>,
        options: SearchOptions,
        answer_bytes: usize,
        priority: Priority,
        deadline: Instant,
    ) -> Result<SearchAnswer, SearchError> {
        self.fan_out.search(queries.into(), options, answer_bytes, priority, deadline).await
    }

    /// Returns the most bytes of matches that one search with this number of queries holds in memory at once:
    /// the answers of all shards plus the merged answer.
    #[must_use]
    pub fn bytes_of_a_search(&self, queries: usize, limit: Limit, answer_bytes: usize) -> usize {
        let view = self.fan_out.view.load();
        let of_groups = view.groups.iter().map(|group| group_answer_bytes(answer_bytes, group.shards));
        of_groups.chain([answer_bytes]).map(|bytes| bytes_at_most(queries, limit.get(), bytes)).sum()
    }

    /// Returns the current topology.
    #[must_use]
    pub fn topology(&self) -> Topology {
        let (view, now) = (self.fan_out.view.load(), Instant::now());
        view.table.topology(|endpoint| view.replicas.get(endpoint).map(|replica| replica.load.view(now)))
    }

    #[cfg(test)]
    pub(crate) const fn metrics(&self) -> &CallMetrics {
        &self.fan_out.metrics
    }

    /// Returns whether every matcher has either sent a description or been found silent at least once.
    #[must_use]
    pub fn has_looked_around(&self) -> bool {
        self.fan_out.view.load().is_complete
    }

    /// Returns whether every matcher is called as a function of this process.
    #[must_use]
    pub const fn is_of_neighbours(&self) -> bool {
        self.is_of_neighbours
    }

    /// Returns why this coordinator is not ready, or `None` if it is. A coordinator whose matchers run in its
    /// own process starts together with them, and is ready only when every shard has a ready matcher.
    #[must_use]
    pub fn unready_reason(&self) -> Option<&'static str> {
        let view = self.fan_out.view.load();
        if !view.is_complete {
            return Some("some matchers have neither been heard nor found silent yet");
        }
        let lacks_one = || view.groups.is_empty() || view.groups.iter().any(|group| group.ready.is_empty());
        (self.is_of_neighbours && lacks_one()).then_some("a matcher of this process is not ready")
    }

    /// Stops watching the matchers. Call this when nobody uses the coordinator any more.
    pub fn stop(&self) {
        self.directory.abort();
    }

    /// Returns whether the task that watches the matchers has ended. It ends only by a fault, or after
    /// [`Self::stop`].
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.directory.is_finished()
    }
}
