//! What a matcher counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct MatcherMetrics {
    rebuilds: Family<RebuildLabels, Counter>,
    snapshots: Counter,
    failed_snapshots: Counter,
    refused_snapshots: Counter,
    publications: Counter,
    failed_publications: Counter,
    bootstraps: Counter,
    failed_bootstraps: Counter,
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
        registry.register("vigie_snapshots", "Snapshots that were saved", metrics.snapshots.clone());
        registry.register(
            "vigie_snapshots_failed",
            "Snapshots that could not be saved; the one before stands",
            metrics.failed_snapshots.clone(),
        );
        registry.register(
            "vigie_snapshots_refused",
            "Snapshots that were found at a start and could not be used",
            metrics.refused_snapshots.clone(),
        );
        registry.register(
            "vigie_snapshots_published",
            "Snapshots that were published to the object store",
            metrics.publications.clone(),
        );
        registry.register(
            "vigie_snapshots_unpublished",
            "Attempts to publish a snapshot that failed; the one that was published before stands",
            metrics.failed_publications.clone(),
        );
        registry.register(
            "vigie_bootstraps",
            "Shards that were begun with a snapshot from the object store",
            metrics.bootstraps.clone(),
        );
        registry.register(
            "vigie_bootstraps_failed",
            "Snapshots of the object store that could not be used; the state was loaded from the bank",
            metrics.failed_bootstraps.clone(),
        );
        metrics
    }

    pub(crate) fn count_rebuild(&self, reason: RebuildReason) {
        self.rebuilds.get_or_create_owned(&RebuildLabels { reason: reason.name() }).inc();
    }

    pub(crate) fn count_snapshot(&self, is_saved: bool) {
        if is_saved { &self.snapshots } else { &self.failed_snapshots }.inc();
    }

    pub(crate) fn count_refused_snapshot(&self) {
        self.refused_snapshots.inc();
    }

    pub(crate) fn count_publication(&self, is_published: bool) {
        if is_published { &self.publications } else { &self.failed_publications }.inc();
    }

    pub(crate) fn count_bootstrap(&self, is_used: bool) {
        if is_used { &self.bootstraps } else { &self.failed_bootstraps }.inc();
    }

    /// Publications that succeeded and failed.
    #[cfg(test)]
    pub(crate) fn publications(&self) -> (u64, u64) {
        (self.publications.get(), self.failed_publications.get())
    }

    /// Bootstraps that succeeded and failed.
    #[cfg(test)]
    pub(crate) fn bootstraps(&self) -> (u64, u64) {
        (self.bootstraps.get(), self.failed_bootstraps.get())
    }

    #[cfg(test)]
    pub(crate) fn refused_snapshots(&self) -> u64 {
        self.refused_snapshots.get()
    }

    #[cfg(test)]
    pub(crate) fn snapshots(&self) -> u64 {
        self.snapshots.get()
    }

    #[cfg(test)]
    pub(crate) fn rebuilds(&self, reason: RebuildReason) -> u64 {
        self.rebuilds.get_or_create_owned(&RebuildLabels { reason: reason.name() }).get()
    }
}
