//! The metrics of a matcher.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tonic::{Code, Status};
use vigie_follow::Reason;
use vigie_model::{HashCount, Sequence};
use vigie_telemetry::{register_gauge, register_gauges};

/// The counters and histograms of a matcher. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct MatcherMetrics {
    rebuilds: Family<RebuildLabels, Counter>,
    damages: Family<DamageLabels, Counter>,
    scrubs: Counter,
    snapshots: Counter,
    failed_snapshots: Counter,
    refused_snapshots: Counter,
    failed_purges: Counter,
    publications: Counter,
    failed_publications: Counter,
    bootstraps: Counter,
    failed_bootstraps: Counter,
    searches: Family<SearchLabels, Counter>,
    running: Gauge,
    waiting: Gauge,
    stop_delays: Histogram,
    /// Each delay, because the histogram only counts how many fall into each of its buckets.
    #[cfg(test)]
    delays: Arc<std::sync::Mutex<Vec<Duration>>>,
}

/// Bucket bounds, in seconds. Some tens of microseconds are usual; the documented bound is 5 milliseconds.
const STOP_DELAYS: [f64; 10] = [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0];

impl Default for MatcherMetrics {
    fn default() -> Self {
        Self {
            rebuilds: Family::default(),
            damages: Family::default(),
            scrubs: Counter::default(),
            snapshots: Counter::default(),
            failed_snapshots: Counter::default(),
            refused_snapshots: Counter::default(),
            failed_purges: Counter::default(),
            publications: Counter::default(),
            failed_publications: Counter::default(),
            bootstraps: Counter::default(),
            failed_bootstraps: Counter::default(),
            searches: Family::default(),
            running: Gauge::default(),
            waiting: Gauge::default(),
            stop_delays: Histogram::new(STOP_DELAYS),
            #[cfg(test)]
            delays: Arc::default(),
        }
    }
}

/// Has one label value for each [`SearchOutcome`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SearchLabels {
    outcome: &'static str,
}

/// The outcome of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SearchOutcome {
    Answered,
    /// The caller went away.
    Cancelled,
    /// The deadline passed.
    OutOfTime,
    /// The search was not started: the replica is not ready or behind, a bank is not searched, or the request
    /// is invalid.
    Refused,
    Failed,
}

impl SearchOutcome {
    /// Returns the outcome of a search with this result.
    pub(crate) fn of<T>(answered: &Result<T, Status>) -> Self {
        match answered.as_ref().map_err(Status::code) {
            Ok(_) => Self::Answered,
            Err(Code::DeadlineExceeded) => Self::OutOfTime,
            Err(Code::Internal) => Self::Failed,
            Err(_) => Self::Refused,
        }
    }

    const ALL: [Self; 5] = [Self::Answered, Self::Cancelled, Self::OutOfTime, Self::Refused, Self::Failed];

    const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Cancelled => "cancelled",
            Self::OutOfTime => "out_of_time",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Counts one search when it is dropped. It counts as cancelled unless another outcome was set before.
#[derive(Debug)]
pub(crate) struct CountedSearch<'a> {
    metrics: &'a MatcherMetrics,
    pub(crate) outcome: SearchOutcome,
}

impl Drop for CountedSearch<'_> {
    fn drop(&mut self) {
        let labels = SearchLabels { outcome: self.outcome.name() };
        self.metrics.searches.get_or_create_owned(&labels).inc();
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 of anything is out of reach")]
pub(crate) fn figure(count: u64) -> f64 {
    count as f64
}

/// Counts one search as running or waiting until it is dropped, even by a panic.
struct Running<'a>(&'a Gauge);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Has one label value for each [`Reason`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RebuildLabels {
    reason: &'static str,
}

const REASONS: [Reason; 4] = [Reason::Log, Reason::Change, Reason::Digest, Reason::Damage];

const fn labels(reason: Reason) -> RebuildLabels {
    let reason = match reason {
        Reason::Log => "log",
        Reason::Change => "change",
        Reason::Digest => "digest",
        Reason::Damage => "damage",
    };
    RebuildLabels { reason }
}

/// Has one label value for each [`Damage`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DamageLabels {
    kind: &'static str,
}

/// The part of a shard that was found damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// A checksum of the searched memory differs.
    Memory,
    /// A file differs from that memory.
    File,
    /// An audit found that searches do not reach what they should.
    Index,
    /// A search found an index entry of an item that does not exist.
    Search,
}

impl Damage {
    const ALL: [Self; 4] = [Self::Memory, Self::File, Self::Index, Self::Search];

    /// Returns the name for people and scripts.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::File => "file",
            Self::Index => "index",
            Self::Search => "search",
        }
    }
}

impl MatcherMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "vigie_matcher_shard_rebuilds",
            "Shards that were dropped and built anew, by reason; a differing digest or a contradicting change is a fault",
            metrics.rebuilds.clone(),
        );
        registry.register(
            "vigie_matcher_damages",
            "Times that the shard was found damaged, by where: in memory, in a file, by an audit of the index or by a search",
            metrics.damages.clone(),
        );
        registry.register(
            "vigie_matcher_scrubs",
            "Passes in which everything was compared with its checksums and found whole",
            metrics.scrubs.clone(),
        );
        registry.register("vigie_matcher_snapshots", "Snapshots that were saved", metrics.snapshots.clone());
        registry.register(
            "vigie_matcher_snapshots_failed",
            "Snapshots that could not be saved; the one before stands",
            metrics.failed_snapshots.clone(),
        );
        registry.register(
            "vigie_matcher_snapshots_refused",
            "Snapshots that were found at a start and could not be used",
            metrics.refused_snapshots.clone(),
        );
        registry.register(
            "vigie_matcher_purges_failed",
            "Attempts to write files anew without what was removed that failed; each is made again after a minute",
            metrics.failed_purges.clone(),
        );
        registry.register(
            "vigie_matcher_snapshots_published",
            "Snapshots that were published to the object store",
            metrics.publications.clone(),
        );
        registry.register(
            "vigie_matcher_snapshots_unpublished",
            "Attempts to publish a snapshot that failed; the one that was published before stands",
            metrics.failed_publications.clone(),
        );
        registry.register(
            "vigie_matcher_bootstraps",
            "Shards that were begun with a snapshot from the object store",
            metrics.bootstraps.clone(),
        );
        registry.register(
            "vigie_matcher_bootstraps_failed",
            "Snapshots of the object store that could not be used; the state was loaded from the bank",
            metrics.failed_bootstraps.clone(),
        );
        registry.register(
            "vigie_matcher_searches",
            "Searches, by what became of them; one that is out of time or cancelled stops within milliseconds",
            metrics.searches.clone(),
        );
        registry.register(
            "vigie_matcher_searches_running",
            "Searches that are being computed now; those that wait for a thread or a sequence are not counted",
            metrics.running.clone(),
        );
        registry.register(
            "vigie_matcher_searches_waiting",
            "Searches that wait for one of the threads for long ones",
            metrics.waiting.clone(),
        );
        registry.register(
            "vigie_matcher_stop_delay_seconds",
            "How long searches were worked on after their caller had gone or their deadline had passed",
            metrics.stop_delays.clone(),
        );
        // Every label exists from the start, at zero: a counter that begins at one shows no rate.
        for reason in REASONS {
            let _counter = metrics.rebuilds.get_or_create_owned(&labels(reason));
        }
        for damage in Damage::ALL {
            let _counter = metrics.damages.get_or_create_owned(&DamageLabels { kind: damage.name() });
        }
        for outcome in SearchOutcome::ALL {
            let _counter = metrics.searches.get_or_create_owned(&SearchLabels { outcome: outcome.name() });
        }
        metrics
    }

    /// Counts a search as waiting until `turn` completes or is dropped.
    pub(crate) async fn wait_for_thread<T>(&self, turn: impl Future<Output = T>) -> T {
        self.waiting.inc();
        let _waiting = Running(&self.waiting);
        turn.await
    }

    /// Counts a search that begins now, when the returned guard is dropped.
    pub(crate) const fn count_search(&self) -> CountedSearch<'_> {
        CountedSearch { metrics: self, outcome: SearchOutcome::Cancelled }
    }

    /// Runs the work of a search, and counts it as running meanwhile.
    pub(crate) fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        self.running.inc();
        let _running = Running(&self.running);
        work()
    }

    /// Records how long a search went on after its caller had gone or its deadline had passed. `None` records
    /// nothing.
    pub(crate) fn observe_stop(&self, delay: Option<Duration>) {
        if let Some(delay) = delay {
            self.stop_delays.observe(delay.as_secs_f64());
            #[cfg(test)]
            self.delays.lock().unwrap().push(delay);
        }
    }

    pub(crate) fn count_rebuild(&self, reason: Reason) {
        self.rebuilds.get_or_create_owned(&labels(reason)).inc();
    }

    pub(crate) fn count_damage(&self, damage: Damage) {
        self.damages.get_or_create_owned(&DamageLabels { kind: damage.name() }).inc();
    }

    pub(crate) fn count_scrub(&self) {
        self.scrubs.inc();
    }

    #[cfg(test)]
    pub(crate) fn damages(&self, damage: Damage) -> u64 {
        self.damages.get_or_create_owned(&DamageLabels { kind: damage.name() }).get()
    }

    #[cfg(test)]
    pub(crate) fn scrubs(&self) -> u64 {
        self.scrubs.get()
    }

    pub(crate) fn count_snapshot(&self, is_saved: bool) {
        if is_saved { &self.snapshots } else { &self.failed_snapshots }.inc();
    }

    pub(crate) fn count_refused_snapshot(&self) {
        self.refused_snapshots.inc();
    }

    pub(crate) fn count_failed_purge(&self) {
        self.failed_purges.inc();
    }

    pub(crate) fn count_publication(&self, is_published: bool) {
        if is_published { &self.publications } else { &self.failed_publications }.inc();
    }

    pub(crate) fn count_bootstrap(&self, is_used: bool) {
        if is_used { &self.bootstraps } else { &self.failed_bootstraps }.inc();
    }

    /// Returns all delays so far.
    #[cfg(test)]
    pub(crate) fn stop_delays(&self) -> Vec<Duration> {
        self.delays.lock().unwrap().clone()
    }

    #[cfg(test)]
    pub(crate) fn searches(&self, outcome: SearchOutcome) -> u64 {
        self.searches.get_or_create_owned(&SearchLabels { outcome: outcome.name() }).get()
    }

    #[cfg(test)]
    pub(crate) fn running(&self) -> i64 {
        self.running.get()
    }

    /// Returns the numbers of publications that succeeded and that failed.
    #[cfg(test)]
    pub(crate) fn publications(&self) -> (u64, u64) {
        (self.publications.get(), self.failed_publications.get())
    }

    /// Returns the numbers of bootstraps that succeeded and that failed.
    #[cfg(test)]
    pub(crate) fn bootstraps(&self) -> (u64, u64) {
        (self.bootstraps.get(), self.failed_bootstraps.get())
    }

    #[cfg(test)]
    pub(crate) fn failed_purges(&self) -> u64 {
        self.failed_purges.get()
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
    pub(crate) fn rebuilds(&self, reason: Reason) -> u64 {
        self.rebuilds.get_or_create_owned(&labels(reason)).get()
    }
}

/// The values that are read from a replica whenever metrics are collected.
pub(crate) trait Observed: Send + Sync + 'static {
    /// Returns how far the replica is behind the bank: the number of changes that it knows of and has not
    /// applied, and the time since it was last up to date.
    fn feed_lag(&self) -> (u64, Duration);
    /// Returns the newest change that is applied.
    fn sequence(&self) -> Sequence;
    /// Returns whether the replica answers searches.
    fn is_ready(&self) -> bool;
    fn items(&self) -> u64;
    /// Returns the number of items that are held, so that no search answers with them.
    fn held_items(&self) -> u64;
    /// Returns the number of items that have a standing among the members.
    fn standing_items(&self) -> u64;
    fn hashes(&self) -> Vec<HashCount>;
    /// Returns the bytes of the replica's files, which are read into memory.
    fn file_bytes(&self) -> u64;
}

/// Registers gauges of a replica: how far it is behind the bank, and how much it holds.
pub(crate) fn register_replica<R: Observed>(registry: &mut Registry, replica: Arc<R>) {
    let gauge = |registry: &mut Registry, name, help, read: fn(&R) -> f64| {
        let replica = Arc::clone(&replica);
        register_gauge(registry, name, help, move || read(&replica));
    };
    gauge(
        registry,
        "vigie_matcher_feed_lag_changes",
        "Changes that the bank has announced and that are not applied yet",
        |replica| figure(replica.feed_lag().0),
    );
    gauge(
        registry,
        "vigie_matcher_feed_lag_seconds",
        "Time since the shard was last known to hold everything that the bank had; up to two seconds are usual, since \
         the bank reports its newest change with a heartbeat",
        |replica| replica.feed_lag().1.as_secs_f64(),
    );
    gauge(registry, "vigie_matcher_sequence", "The newest change that is applied", |replica| {
        figure(replica.sequence().0)
    });
    gauge(registry, "vigie_matcher_ready", "Whether the shard answers searches, 0 or 1", |replica| {
        f64::from(u8::from(replica.is_ready()))
    });
    gauge(registry, "vigie_matcher_items", "Items that the shard has", |replica| figure(replica.items()));
    let name = "vigie_matcher_held_items";
    gauge(registry, name, "Items that match for nobody, because they are held", |replica| {
        figure(replica.held_items())
    });
    let name = "vigie_matcher_standing_items";
    gauge(registry, name, "Items that have a standing among the members", |replica| {
        figure(replica.standing_items())
    });
    gauge(
        registry,
        "vigie_matcher_files_bytes",
        "Bytes of the shard's files, which are read into memory",
        |replica| figure(replica.file_bytes()),
    );
    let (name, recalling) = ("vigie_matcher_hashes", Arc::clone(&replica));
    register_gauges(registry, name, "Hashes that the shard holds", "hash_type", move || {
        let (known, unknown): (Vec<_>, Vec<_>) =
            replica.hashes().into_iter().partition(|count| count.hash_type.is_known());
        // A matcher may not know the names of vector types, so they share one sample.
        let (vectors, known): (Vec<_>, Vec<_>) =
            known.into_iter().partition(|count| count.hash_type.vector_class().is_some());
        let vectors = ("vectors", figure(vectors.iter().map(|count| count.hashes).sum()));
        let named = known.iter().filter_map(|count| Some((count.hash_type.name()?, figure(count.hashes))));
        // All types without a name share one sample, because each sample needs a name of its own.
        let rest = (!unknown.is_empty()).then(|| unknown.iter().map(|count| count.hashes).sum());
        named.chain([vectors]).chain(rest.map(|hashes| ("unknown", figure(hashes)))).collect()
    });
    let name = "vigie_matcher_recall";
    let help = "The least recall of the approximate indexes, as it was last measured, by what they hold";
    register_gauges(registry, name, help, "hash_type", move || {
        let least = |is_vector: bool| {
            let counts = recalling.hashes().into_iter();
            let of_kind = counts.filter(move |count| count.hash_type.vector_class().is_some() == is_vector);
            of_kind.filter_map(|count| count.recall).map(|recall| recall.value).reduce(f64::min)
        };
        let named = [("pdq", least(false)), ("vectors", least(true))];
        named.into_iter().filter_map(|(name, recall)| Some((name, recall?))).collect()
    });
}
