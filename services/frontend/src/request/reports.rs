//! Reports to the bank that follow from answers: counts for the statistics, records of decisions, verdicts of
//! trial versions, and uses of classifiers.
//!
//! An answer does not wait for the bank. Reports are collected and sent some seconds later, and again until
//! the bank has taken them; the unsent reports of a frontend that is killed are lost.

mod counts;
mod records;
mod trials;
mod scores;
mod reporter;

use prometheus_client::registry::Registry;
use vigie_clients::{DecisionClient, EndpointError, Network, StatisticsClient};

pub(crate) use counts::Recorded;
pub(crate) use records::{Counting, Recording, Records};
use reporter::Reporter;
pub(crate) use scores::Scores;
pub(crate) use trials::Trials;

/// The collected reports.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reports {
    pub(super) counts: Recorded,
    pub(super) records: Records,
    pub(super) trials: Trials,
    pub(crate) scores: Scores,
}

impl Reports {
    /// Registers the counters.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let reports = Self::default();
        registry.register(
            "vigie_frontend_decisions_not_recorded",
            "Decisions without the record that a charter asks for, because too many records waited for the bank",
            reports.records.lost(),
        );
        reports
    }
}

/// Sends the collected reports to the bank.
#[derive(Debug)]
pub(crate) struct Reporters {
    counts: Reporter<Recorded>,
    records: Reporter<Records>,
    trials: Reporter<Trials>,
    scores: Reporter<Scores>,
}

impl Reporters {
    /// Creates the reporters for the banks at these endpoints; without endpoints nothing is sent.
    pub(crate) fn new(reports: &Reports, banks: &[String], network: &Network) -> Result<Self, EndpointError> {
        let statistics = (!banks.is_empty()).then(|| StatisticsClient::among(banks, network)).transpose()?;
        let decisions = (!banks.is_empty()).then(|| DecisionClient::among(banks, network)).transpose()?;
        let Reports { counts, records, trials, scores } = reports.clone();
        Ok(Self {
            counts: Reporter::new(counts, statistics.clone()),
            records: Reporter::new(records, decisions),
            trials: Reporter::new(trials, statistics.clone()),
            scores: Reporter::new(scores, statistics),
        })
    }

    /// Sends reports repeatedly, for as long as it is polled.
    pub(crate) async fn run(&mut self) {
        tokio::join!(self.counts.run(), self.records.run(), self.trials.run(), self.scores.run());
    }

    /// Sends the remaining reports, once.
    pub(crate) async fn finish(&mut self) {
        tokio::join!(self.counts.finish(), self.records.finish(), self.trials.finish(), self.scores.finish());
    }
}
