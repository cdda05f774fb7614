//! The counters and durations of the calls to matchers.

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use vigie_model::ShardId;
use vigie_telemetry::names;

/// Shards with a label of their own; all others share one. Each label has about two dozen lines of metrics.
const SHARDS_MAX: u16 = 256;

/// The metrics of the calls to matchers. Clones share their counters.
#[derive(Debug, Clone)]
pub(crate) struct CallMetrics {
    /// Searches of one shard, or of the shards that one matcher serves.
    pub(crate) asks: Counter,
    pub(crate) hedges: Counter,
    pub(crate) retries: Counter,
    /// Answers that cover less than every shard.
    pub(crate) incomplete: Counter,
    durations: Family<OfShard, Histogram>,
    unanswered: Family<OfShard, Counter>,
}

/// The metric label of a shard, the first one of its group; `None` for the shards that share a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct OfShard(Option<u16>);

impl OfShard {
    fn new(shard: ShardId) -> Self {
        Self(Some(shard.0).filter(|shard| *shard < SHARDS_MAX))
    }
}

impl EncodeLabelSet for OfShard {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let shard = self.0.map_or(names::OTHER.to_owned(), |shard| shard.to_string());
        [("shard", shard)].encode(encoder)
    }
}

impl Default for CallMetrics {
    fn default() -> Self {
        Self {
            asks: Counter::default(),
            hedges: Counter::default(),
            retries: Counter::default(),
            incomplete: Counter::default(),
            durations: Family::new_with_constructor(|| Histogram::new(names::DURATION_BOUNDS)),
            unanswered: Family::default(),
        }
    }
}

impl CallMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let mut register = |name: &str, help: &str, counter: &Counter| {
            registry.register(name, help, counter.clone());
        };
        register(
            "vigie_coordinator_shard_searches",
            "Searches of one shard, or of the shards that one matcher serves",
            &metrics.asks,
        );
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
        registry.register(
            "vigie_coordinator_shard_search_duration_seconds",
            "How long a shard took to answer, hedges and retries included",
            metrics.durations.clone(),
        );
        registry.register(
            "vigie_coordinator_shard_unanswered",
            "Searches that this shard did not answer",
            metrics.unanswered.clone(),
        );
        metrics
    }

    /// Records that the group with this first shard has answered, or failed to, after this time.
    pub(crate) fn observe(&self, shard: ShardId, took: Duration, is_answered: bool) {
        let shard = OfShard::new(shard);
        // The counter exists from the shard's first search on, at zero: a counter that begins at one shows no
        // rate.
        let unanswered = self.unanswered.get_or_create_owned(&shard);
        if is_answered {
            self.durations.get_or_create_owned(&shard).observe(took.as_secs_f64());
        } else {
            unanswered.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_shards_there_are_their_lines_are_bounded() {
        let mut registry = Registry::default();
        let metrics = CallMetrics::register(&mut registry);
        for shard in 0..2_000 {
            metrics.observe(ShardId(shard), Duration::from_millis(1), shard % 2 == 0);
        }
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let lines = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(lines("vigie_coordinator_shard_search_duration_seconds_count"), 129);
        assert_eq!(lines("vigie_coordinator_shard_unanswered_total"), 257);
        assert!(text.contains("vigie_coordinator_shard_unanswered_total{shard=\"_OTHER\"} 872\n"), "{text}");
    }
}
