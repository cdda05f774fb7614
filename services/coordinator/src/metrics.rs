//! What is counted of the calls to matchers.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallMetrics {
    /// Searches of one shard.
    pub(crate) asks: Counter,
    pub(crate) hedges: Counter,
    pub(crate) retries: Counter,
    /// Answers that cover less than everything.
    pub(crate) incomplete: Counter,
}

impl CallMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let mut register = |name: &str, help: &str, counter: &Counter| {
            registry.register(name, help, counter.clone());
        };
        register("vigie_coordinator_shard_searches", "Searches of one shard", &metrics.asks);
        register(
            "vigie_coordinator_hedges",
            "Searches of a shard for which another replica was asked, because the first was slow",
            &metrics.hedges,
        );
        register(
            "vigie_coordinator_retries",
            "Searches of a shard that were made again, because a replica failed",
            &metrics.retries,
        );
        register(
            "vigie_coordinator_incomplete_answers",
            "Searches that not every shard answered",
            &metrics.incomplete,
        );
        metrics
    }
}
