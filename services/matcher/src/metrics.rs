//! What a matcher counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct MatcherMetrics {
    rebuilds: Family<RebuildLabels, Counter>,
}

/// The label set has one value for each [`RebuildReason`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RebuildLabels {
    reason: &'static str,
}

/// Why a shard was dropped and built anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RebuildReason {
    /// The bank does not go on from where the shard stood.
    Log,
    /// A change contradicted what the shard held.
    Change,
    /// The shard's digest was another than the bank's.
    Digest,
}

impl RebuildReason {
    const fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Change => "change",
            Self::Digest => "digest",
        }
    }
}

impl MatcherMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "vigie_shard_rebuilds",
            "Shards that were dropped and built anew, by reason; a differing digest or a contradicting change is a fault",
            metrics.rebuilds.clone(),
        );
        metrics
    }

    pub(crate) fn count_rebuild(&self, reason: RebuildReason) {
        self.rebuilds.get_or_create_owned(&RebuildLabels { reason: reason.name() }).inc();
    }

    #[cfg(test)]
    pub(crate) fn rebuilds(&self, reason: RebuildReason) -> u64 {
        self.rebuilds.get_or_create_owned(&RebuildLabels { reason: reason.name() }).get()
    }
}
