//! The metrics of exchanges, labelled by exchange. There are at most 500 exchanges.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use vigie_model::UnixMillis;

use crate::bank::Report;
use crate::following::round::Done;

/// The counters and gauges of all exchanges. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics {
    rounds: Family<Outcome, Counter>,
    pages: Family<Name, Counter>,
    records: Family<Kind, Counter>,
    retries: Family<Name, Counter>,
    alarms: Family<AlarmKind, Counter>,
    alarmed: Family<Name, Gauge>,
    completed: Family<Name, Gauge>,
    checkpoint: Family<Name, Gauge>,
    submitted: Family<Name, Counter>,
    taken_back: Family<Name, Counter>,
    refused: Family<Name, Counter>,
    opinions_sent: Family<Name, Counter>,
    opinions_refused: Family<Name, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Name {
    exchange: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    exchange: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    exchange: String,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlarmKind {
    exchange: String,
    reason: &'static str,
}

/// The kinds of records, each a number of [`Done`].
const KINDS: [&str; 7] =
    ["put", "withdrawn", "without_hash", "bad_record", "bad_value", "unknown_type", "unknown_part"];

const OUTCOMES: [&str; 2] = ["complete", "ended_early"];

impl Metrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register("vigie_exchange_rounds", "Rounds of an exchange", metrics.rounds.clone());
        registry.register("vigie_exchange_pages", "Pages that were fetched", metrics.pages.clone());
        registry.register(
            "vigie_exchange_records",
            "Records of pages, by what became of them",
            metrics.records.clone(),
        );
        registry.register("vigie_exchange_retries", "Requests that were made again", metrics.retries.clone());
        registry.register(
            "vigie_exchange_alarms",
            "Rounds that ended with something for a person to look at, by the reason",
            metrics.alarms.clone(),
        );
        registry.register(
            "vigie_exchange_alarmed",
            "Whether an exchange needs attention: 1 or 0",
            metrics.alarmed.clone(),
        );
        registry.register(
            "vigie_exchange_completed_timestamp_seconds",
            "When the last round that was complete ended",
            metrics.completed.clone(),
        );
        registry.register(
            "vigie_exchange_checkpoint_timestamp_seconds",
            "The programme's time up to which everything is stored",
            metrics.checkpoint.clone(),
        );
        registry.register(
            "vigie_exchange_submitted_items",
            "Own items that were submitted to the programme",
            metrics.submitted.clone(),
        );
        registry.register(
            "vigie_exchange_withdrawn_items",
            "Own items that were withdrawn from the programme",
            metrics.taken_back.clone(),
        );
        registry.register(
            "vigie_exchange_refused_items",
            "Own items that the programme refused",
            metrics.refused.clone(),
        );
        registry.register(
            "vigie_exchange_told_opinions",
            "Items whose opinion was sent to the programme",
            metrics.opinions_sent.clone(),
        );
        registry.register(
            "vigie_exchange_refused_opinions",
            "Items whose opinion the programme refused",
            metrics.opinions_refused.clone(),
        );
        metrics
    }

    pub(crate) fn round(
        &self,
        exchange: &str,
        done: &Done,
        report: &Report,
        completed_at: Option<UnixMillis>,
    ) {
        let name = || Name { exchange: exchange.to_owned() };
        let outcome = OUTCOMES[usize::from(report.succeeded != Some(true))];
        self.rounds.get_or_create(&Outcome { exchange: exchange.to_owned(), outcome }).inc();
        self.pages.get_or_create(&name()).inc_by(done.pages);
        self.retries.get_or_create(&name()).inc_by(done.retries);
        self.submitted.get_or_create(&name()).inc_by(done.submitted);
        self.taken_back.get_or_create(&name()).inc_by(done.taken_back);
        self.refused.get_or_create(&name()).inc_by(done.refused);
        self.opinions_sent.get_or_create(&name()).inc_by(done.opinions_sent);
        self.opinions_refused.get_or_create(&name()).inc_by(done.opinions_refused);
        let tally = done.tally;
        let counts = [
            done.puts,
            done.withdrawn,
            done.without_hash,
            tally.bad_records,
            tally.bad_values,
            tally.unknown_types,
            tally.unknown_parts,
        ];
        for (kind, count) in KINDS.into_iter().zip(counts) {
            self.records.get_or_create(&Kind { exchange: exchange.to_owned(), kind }).inc_by(count);
        }
        self.alarmed.get_or_create(&name()).set(i64::from(!report.alarm.is_empty()));
        for (family, at) in [(&self.completed, completed_at), (&self.checkpoint, done.checkpoint)] {
            if let Some(UnixMillis(at)) = at {
                family.get_or_create(&name()).set(i64::try_from(at / 1_000).unwrap_or(i64::MAX));
            }
        }
    }

    pub(crate) fn alarm(&self, exchange: &str, reason: &'static str) {
        self.alarms.get_or_create(&AlarmKind { exchange: exchange.to_owned(), reason }).inc();
    }

    /// Removes the gauges of an exchange that is no longer followed. Its counters stay.
    pub(crate) fn forget(&self, exchange: &str) {
        let name = Name { exchange: exchange.to_owned() };
        for family in [&self.alarmed, &self.completed, &self.checkpoint] {
            family.remove(&name);
        }
    }
}
