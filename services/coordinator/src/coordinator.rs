//! A coordinator without its server: for the server, and for a frontend that runs one inside.

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

use crate::asking::fan_out::{FanOut, shard_answer_bytes};
use crate::asking::metrics::CallMetrics;
use crate::config::Config;
use crate::error::{RunError, SearchError};
use crate::replicas::directory::Directory;
use crate::replicas::metrics::register_view;
use crate::replicas::view::View;

/// Answers for all matchers of a cluster, as one.
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
    /// Begins to watch the matchers, which are reached by `network`. What it counts goes to `registry`.
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

    /// Searches every shard, and answers by `deadline`.
    pub async fn search(
        &self,
        queries: impl Into<Arc<[Query]>>,
        options: SearchOptions,
        priority: Priority,
        deadline: Instant,
    ) -> Result<SearchAnswer, SearchError> {
        self.search_within(queries, options, ANSWER_BYTES_MAX, priority, deadline).await
    }

    /// The same, with an answer of at most so many bytes of matches, but for the best match of each query.
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

    /// The most bytes of matches that a search for so many queries takes at once: what all shards answer, and the answer.
    #[must_use]
    pub fn bytes_of_a_search(&self, queries: usize, limit: Limit, answer_bytes: usize) -> usize {
        let shards = self.fan_out.view.load().shards.len();
        let of_a_shard = bytes_at_most(queries, limit.get(), shard_answer_bytes(answer_bytes, shards));
        shards * of_a_shard + bytes_at_most(queries, limit.get(), answer_bytes)
    }

    /// The topology as it is known now.
    #[must_use]
    pub fn topology(&self) -> Topology {
        let (view, now) = (self.fan_out.view.load(), Instant::now());
        view.table.topology(|endpoint| view.replicas.get(endpoint).map(|replica| replica.load.view(now)))
    }

    #[cfg(test)]
    pub(crate) const fn metrics(&self) -> &CallMetrics {
        &self.fan_out.metrics
    }

    /// Whether every matcher has been heard, or found silent, once.
    #[must_use]
    pub fn has_looked_around(&self) -> bool {
        self.fan_out.view.load().is_complete
    }

    /// Whether every matcher is called as a function of this process.
    #[must_use]
    pub const fn is_of_neighbours(&self) -> bool {
        self.is_of_neighbours
    }

    /// Why it does not answer yet, unless it does. One whose matchers are of its process starts with them, and is ready when they are.
    #[must_use]
    pub fn unready_reason(&self) -> Option<&'static str> {
        let view = self.fan_out.view.load();
        if !view.is_complete {
            return Some("some matchers have neither been heard nor found silent yet");
        }
        let lacks_one = || view.shards.is_empty() || view.shards.iter().any(|shard| shard.ready.is_empty());
        (self.is_of_neighbours && lacks_one()).then_some("a matcher of this process is not ready")
    }

    /// Watches the matchers no more. For one that nobody asks any more.
    pub fn stop(&self) {
        self.directory.abort();
    }

    /// Whether the task that watches the matchers has ended, as it never should.
    #[must_use]
    pub fn is_blind(&self) -> bool {
        self.directory.is_finished()
    }
}
