//! The load of a server and the number of its refusals, for metrics and for code that adapts to load.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::durations::CallDurations;

/// The load of one server. Clones share the numbers.
#[derive(Debug, Clone, Default)]
pub struct Load {
    limit: Gauge,
    in_flight: Gauge,
    waiting: Gauge,
    bytes: Gauge,
    answer_bytes: Gauge,
    connections: Gauge,
    accepted: Counter,
    refused: Family<Reason, Counter>,
    pub(crate) durations: CallDurations,
}

/// The label of refusals: one value for each reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// The reasons for which a call gets no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The limit is reached.
    Full,
    /// The remaining slots are kept for interactive calls.
    Bulk,
    /// The client has its share, and other clients are active.
    Share,
    /// The queue is full.
    Waiting,
}

impl Refusal {
    const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Bulk => "bulk",
            Self::Share => "share",
            Self::Waiting => "waiting",
        }
    }
}

/// The numbers of calls and connections that a server refused, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refused {
    /// Calls that found the limit of calls in flight reached.
    pub full: u64,
    /// Bulk calls refused because the rest of the limit is kept for interactive calls.
    pub bulk: u64,
    /// Calls of clients that had their share while other clients were active.
    pub share: u64,
    /// Bulk work refused because too much of it was waiting.
    pub waiting: u64,
    /// Calls refused because there was no memory for their bodies.
    pub bytes: u64,
    /// Calls that were ended because their bodies arrived too slowly.
    pub slow: u64,
    /// Connections refused because the limit of connections was reached.
    pub connections: u64,
    /// Connections of hosts that had as many as one host may have.
    pub connections_of_host: u64,
    /// Connections of clients that had as many as one certificate name may have.
    pub connections_of_identity: u64,
    /// Connections whose TLS handshake failed or was refused.
    pub handshakes: u64,
}

const BYTES: &str = "bytes";
const SLOW: &str = "slow";
const CONNECTIONS: &str = "connections";
const CONNECTIONS_OF_HOST: &str = "connections_of_host";
const CONNECTIONS_OF_IDENTITY: &str = "connections_of_identity";
const HANDSHAKES: &str = "handshakes";

impl Load {
    /// Registers these numbers as `vigie_serving_*`, and the durations of calls under OpenTelemetry's name
    /// for them.
    pub fn register(&self, registry: &mut Registry) {
        self.durations.register(registry);
        let registry = registry.sub_registry_with_prefix("vigie_serving");
        self.durations.register_stream_requests(registry);
        registry.register(
            "calls_limit",
            "Calls that may be in flight, as learned or fixed",
            self.limit.clone(),
        );
        registry.register("calls_in_flight", "Calls being worked on", self.in_flight.clone());
        registry.register("calls_waiting", "Bulk work that waits for a slot", self.waiting.clone());
        registry.register("body_bytes", "Bytes of requests being read or worked on", self.bytes.clone());
        registry.register(
            "answer_bytes",
            "Bytes of answers being built or sent, and room for them",
            self.answer_bytes.clone(),
        );
        registry.register("connections", "Open connections", self.connections.clone());
        registry.register("calls_accepted", "Calls that were accepted", self.accepted.clone());
        registry.register("refused", "Calls and connections refused, by reason", self.refused.clone());
        // Creates every reason at zero from the start: a counter that appears with the value one has no rate.
        let _every_reason = self.refused();
    }

    /// Returns how many calls may be in flight: a fixed number, or the one learned from latencies.
    #[must_use]
    pub fn limit(&self) -> usize {
        read(&self.limit)
    }

    /// Returns the number of calls being worked on.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        read(&self.in_flight)
    }

    /// Returns how many pieces of bulk work wait for a slot.
    #[must_use]
    pub fn waiting(&self) -> usize {
        read(&self.waiting)
    }

    /// Returns the bytes of requests that are being read or worked on.
    #[must_use]
    pub fn bytes(&self) -> usize {
        read(&self.bytes)
    }

    /// Returns the bytes of answers that are being built or sent, including what is reserved for them.
    #[must_use]
    pub fn answer_bytes(&self) -> usize {
        read(&self.answer_bytes)
    }

    /// Returns the number of open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        read(&self.connections)
    }

    /// Returns the number of calls accepted since the start.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted.get()
    }

    /// Returns the numbers of refusals since the start.
    #[must_use]
    pub fn refused(&self) -> Refused {
        let of = |reason| self.refused.get_or_create_owned(&Reason { reason }).get();
        Refused {
            full: of(Refusal::Full.name()),
            bulk: of(Refusal::Bulk.name()),
            share: of(Refusal::Share.name()),
            waiting: of(Refusal::Waiting.name()),
            bytes: of(BYTES),
            slow: of(SLOW),
            connections: of(CONNECTIONS),
            connections_of_host: of(CONNECTIONS_OF_HOST),
            connections_of_identity: of(CONNECTIONS_OF_IDENTITY),
            handshakes: of(HANDSHAKES),
        }
    }

    pub(crate) fn show(&self, limit: usize, in_flight: usize, waiting: usize) {
        self.limit.set(number(limit));
        self.in_flight.set(number(in_flight));
        self.waiting.set(number(waiting));
    }

    pub(crate) fn accept(&self) {
        self.accepted.inc();
    }

    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.count(refusal.name());
    }

    pub(crate) fn refuse_bytes(&self) {
        self.count(BYTES);
    }

    pub(crate) fn end_slow(&self) {
        self.count(SLOW);
    }

    pub(crate) fn refuse_connection(&self) {
        self.count(CONNECTIONS);
    }

    pub(crate) fn refuse_connection_of_host(&self) {
        self.count(CONNECTIONS_OF_HOST);
    }

    pub(crate) fn refuse_connection_of_identity(&self) {
        self.count(CONNECTIONS_OF_IDENTITY);
    }

    pub(crate) fn refuse_handshake(&self) {
        self.count(HANDSHAKES);
    }

    fn count(&self, reason: &'static str) {
        self.refused.get_or_create_owned(&Reason { reason }).inc();
    }

    pub(crate) fn connected(&self) -> Counted {
        Counted::new(&self.connections, 1)
    }

    pub(crate) fn answering(&self, bytes: usize) -> Counted {
        Counted::new(&self.answer_bytes, number(bytes))
    }

    pub(crate) fn reserved(&self, bytes: usize) -> Counted {
        Counted::new(&self.bytes, number(bytes))
    }
}

/// An amount that is counted in a gauge until this is dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    gauge: Gauge,
    amount: i64,
}

impl Counted {
    fn new(gauge: &Gauge, amount: i64) -> Self {
        gauge.inc_by(amount);
        Self { gauge: gauge.clone(), amount }
    }

    /// Splits off `amount`, or all of it if there is less.
    pub(crate) fn split(&mut self, amount: usize) -> Self {
        let amount = number(amount).min(self.amount);
        self.amount -= amount;
        Self { gauge: self.gauge.clone(), amount }
    }

    /// Takes over the whole amount of another one.
    pub(crate) fn merge(&mut self, other: &mut Self) {
        self.amount += std::mem::take(&mut other.amount);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gauge.dec_by(self.amount);
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn read(gauge: &Gauge) -> usize {
    usize::try_from(gauge.get()).unwrap_or(0)
}
