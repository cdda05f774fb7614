//! The result of a run: `result.json`, from which all other files are made.
//!
//! `SCHEMA.md` beside the scenarios describes each field. Fields may be added within a schema version; the
//! meaning of a field does not change.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::cluster::processors::ByRole;
use crate::judge::judgement::{Judgement, Schedule, judge};
use crate::report::machine::Machine;
use crate::run::lanes::kind::Kind;
use crate::run::record::Record;
use crate::run::record::hist::Hist;
use crate::run::scenario::Scenario;

/// The schema that this program writes.
pub(crate) const SCHEMA: &str = "vigie-loadtest/1";

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunResult {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// The scenario, as it was run.
    pub(crate) scenario: Scenario,
    /// The target of the requests.
    pub(crate) target: TargetFacts,
    /// When the warm-up began, in milliseconds since 1970.
    pub(crate) began_unix_ms: u64,
    /// The length of the measurement, in seconds.
    pub(crate) measured_s: f64,
    /// Whether the run was stopped before its end.
    #[serde(default)]
    pub(crate) interrupted: bool,
    /// The generator of the requests.
    pub(crate) generator: Generator,
    /// The most important figures, of all kinds of request together.
    pub(crate) summary: Summary,
    /// The same figures for each kind of request.
    pub(crate) by_kind: std::collections::BTreeMap<Kind, Summary>,
    /// The result for each threshold.
    pub(crate) thresholds: Vec<Judgement>,
    /// Whether all of them hold.
    pub(crate) passed: bool,
    /// The outcome of the run. Absent from files of earlier versions.
    #[serde(default)]
    pub(crate) outcome: Outcome,
    /// Processor time of the run's own cluster during the measurement, in seconds by role. Empty where it is
    /// not known.
    #[serde(default, skip_serializing_if = "ByRole::is_empty")]
    pub(crate) cluster_cpu_s: ByRole,
    /// Actions on the cluster, and processes of the run's own cluster that ended unexpectedly.
    pub(crate) faults: Vec<Mark>,
    /// Counts and histograms.
    pub(crate) record: Record,
}

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Every threshold holds.
    #[default]
    Passed,
    /// A threshold fails, and the cause is the target.
    Failed,
    /// The limit was the generator, or a machine that was too busy, and not the target.
    NotMeasurable,
}

impl Outcome {
    fn of(thresholds: &[Judgement], too_late: bool) -> Self {
        let failing = || thresholds.iter().filter(|judgement| !judgement.holds);
        if failing().any(|judgement| !judgement.not_measurable) {
            Self::Failed
        } else if failing().next().is_some() || (thresholds.is_empty() && too_late) {
            Self::NotMeasurable
        } else {
            Self::Passed
        }
    }
}

/// The name of HMA's protocol in results.
pub(crate) const HMA: &str = "hma";

/// The target of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct TargetFacts {
    /// `vigie` or `hma`.
    pub(crate) protocol: String,
    /// The endpoints that requests were sent to.
    pub(crate) endpoints: Vec<String>,
    /// Whether the harness started the cluster.
    pub(crate) own_cluster: bool,
}

impl fmt::Display for TargetFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoints = self.endpoints.join(", ");
        match (self.own_cluster, self.protocol.as_str()) {
            (true, _) => write!(f, "a cluster of its own ({endpoints})"),
            (false, HMA) => write!(f, "{endpoints} (HMA)"),
            (false, _) => f.write_str(&endpoints),
        }
    }
}

/// The generator of the requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Generator {
    /// The version of this program.
    pub(crate) version: String,
    /// Number of generator processes.
    pub(crate) processes: u32,
    /// Number of threads that sent, in all processes.
    pub(crate) lanes: u32,
    /// Processor time of the lanes of this process, in seconds.
    pub(crate) cpu_s: f64,
    /// The machine of this process.
    pub(crate) machine: Machine,
    /// Requests that were sent more than 10 ms late, or not at all.
    pub(crate) late_or_unsent: u64,
    /// The share of such requests, 0 to 1.
    pub(crate) late_or_unsent_share: f64,
    /// Whether that share is too large for latencies to be reliable.
    pub(crate) ran_late: bool,
    /// Whether it is still too large without the requests that were not sent because too many were under way.
    #[serde(default)]
    pub(crate) too_slow: bool,
    /// The delay from the intended to the actual start of requests.
    pub(crate) lag: Times,
}

/// Figures of a group of requests.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// Requests that were sent.
    pub(crate) sent: u64,
    /// Requests that were answered.
    pub(crate) answered: u64,
    /// Requests that were not answered.
    pub(crate) failed: u64,
    /// Requests sent per second.
    pub(crate) sent_per_s: f64,
    /// Requests answered per second.
    pub(crate) answered_per_s: f64,
    /// Questions answered per second; a batch has several questions.
    pub(crate) questions_per_s: f64,
    /// Latency from the intended start.
    pub(crate) latency: Times,
    /// Latency from the actual start.
    pub(crate) latency_from_send: Times,
}

/// The main figures of a histogram, in milliseconds; `null` where it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Times {
    /// Number of values.
    pub(crate) count: u64,
    /// The mean.
    pub(crate) mean_ms: Option<f64>,
    /// The median.
    pub(crate) p50_ms: Option<f64>,
    /// The 90th percentile.
    pub(crate) p90_ms: Option<f64>,
    /// The 99th percentile.
    pub(crate) p99_ms: Option<f64>,
    /// The 99.9th percentile.
    pub(crate) p999_ms: Option<f64>,
    /// The longest time.
    pub(crate) max_ms: Option<f64>,
}

impl From<&Hist> for Times {
    fn from(hist: &Hist) -> Self {
        Self {
            count: hist.count(),
            mean_ms: hist.mean_ms(),
            p50_ms: hist.quantile_ms(0.5),
            p90_ms: hist.quantile_ms(0.9),
            p99_ms: hist.quantile_ms(0.99),
            p999_ms: hist.quantile_ms(0.999),
            max_ms: hist.max_ms(),
        }
    }
}

/// An action or event at a moment of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mark {
    /// Seconds after the start of the warm-up.
    pub(crate) at_s: f64,
    /// The action, in words.
    pub(crate) what: String,
    /// The reason why it failed.
    pub(crate) failed: Option<String>,
}

/// The data from which a result is made.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) scenario: Scenario,
    pub(crate) target: TargetFacts,
    pub(crate) began_unix_ms: u64,
    pub(crate) measured_s: f64,
    pub(crate) interrupted: bool,
    pub(crate) processes: u32,
    pub(crate) lanes: u32,
    pub(crate) cpu_s: f64,
    pub(crate) machine: Machine,
    pub(crate) cluster_cpu_s: ByRole,
    pub(crate) faults: Vec<Mark>,
    pub(crate) record: Record,
}

impl RunResult {
    /// Returns actions that failed, and events that the scenario does not have. With any of them the run was
    /// not the one that the thresholds are meant for.
    pub(crate) fn unplanned(&self) -> impl Iterator<Item = &Mark> {
        self.faults.iter().filter(|mark| mark.failed.is_some())
    }

    /// Returns the processor time of the run's own cluster per answered question, in microseconds: of one
    /// role, or of all.
    pub(crate) fn cpu_us_a_question(&self, role: Option<&str>) -> Option<f64> {
        let questions = self.summary.questions_per_s * self.measured_s;
        let seconds: f64 = match role {
            Some(role) => *self.cluster_cpu_s.get(role)?,
            None if self.cluster_cpu_s.is_empty() => return None,
            None => self.cluster_cpu_s.values().sum(),
        };
        (questions > 0.0).then_some(seconds * 1e6 / questions)
    }

    /// Computes the outcome again, because files of earlier versions have none.
    pub(crate) fn with_outcome(mut self) -> Self {
        self.outcome = Outcome::of(&self.thresholds, self.generator.too_slow);
        self
    }
}

impl From<Ran> for RunResult {
    fn from(ran: Ran) -> Self {
        let totals = &ran.record.totals;
        let all = totals.all_kinds();
        let late_or_unsent = totals.late + totals.unsent;
        let due = all.sent + totals.unsent;
        let late_or_unsent_share = late_or_unsent as f64 / due.max(1) as f64;
        let schedule = Schedule::of(totals);
        let generator = Generator {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            processes: ran.processes,
            lanes: ran.lanes,
            cpu_s: ran.cpu_s,
            machine: ran.machine,
            late_or_unsent,
            late_or_unsent_share,
            ran_late: schedule != Schedule::Kept,
            too_slow: schedule == Schedule::Missed,
            lag: Times::from(&totals.lag),
        };
        let thresholds: Vec<Judgement> = ran
            .scenario
            .thresholds
            .iter()
            .map(|threshold| judge(threshold, &ran.record, ran.measured_s, schedule))
            .collect();
        let by_kind =
            totals.kinds.iter().map(|(kind, totals)| (*kind, summary(totals, ran.measured_s))).collect();
        let outcome = Outcome::of(&thresholds, generator.too_slow);
        Self {
            schema: SCHEMA.to_owned(),
            target: ran.target,
            began_unix_ms: ran.began_unix_ms,
            measured_s: ran.measured_s,
            interrupted: ran.interrupted,
            generator,
            summary: summary(&all, ran.measured_s),
            by_kind,
            passed: thresholds.iter().all(|judgement| judgement.holds),
            outcome,
            thresholds,
            cluster_cpu_s: ran.cluster_cpu_s,
            faults: ran.faults,
            scenario: ran.scenario,
            record: ran.record,
        }
    }
}

fn summary(totals: &crate::run::record::KindTotals, measured_s: f64) -> Summary {
    let per_s = |count: u64| if measured_s > 0.0 { count as f64 / measured_s } else { 0.0 };
    Summary {
        sent: totals.sent,
        answered: totals.answered,
        failed: totals.failures.values().sum(),
        sent_per_s: per_s(totals.sent),
        answered_per_s: per_s(totals.answered),
        questions_per_s: per_s(totals.questions),
        latency: Times::from(&totals.latency),
        latency_from_send: Times::from(&totals.latency_from_send),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::run::record::note::{Outcome, Sample};

    /// Returns a result of requests with these latencies in milliseconds, sent `lag_ms` late, one every 10
    /// ms.
    pub(crate) fn result(latencies_ms: &[u64], lag_ms: u64, thresholds: &[&str]) -> RunResult {
        let mut scenario = Scenario::parse("name = 'x'\n[arrivals]\nrate = 100\n").unwrap();
        scenario.thresholds = thresholds.iter().map(|text| text.parse().unwrap()).collect();
        scenario.drive.warm_up = crate::run::scenario::span::Span::from_secs(0);
        let mut record = Record::default();
        let at = Duration::from_millis;
        for (number, &latency) in (0..).zip(latencies_ms) {
            let sample = Sample {
                kind: Kind::Lookup,
                outcome: Outcome::Answered,
                intended: at(number * 10),
                started: at(number * 10 + lag_ms),
                finished: at(number * 10 + latency),
                retries: 0,
                questions: 1,
                verdict: crate::judge::oracle::Verdict { judged: 1, ..Default::default() },
                coverage: Some(1.0),
            };
            record.note(&sample, Duration::ZERO);
        }
        RunResult::from(Ran {
            scenario,
            target: TargetFacts::default(),
            began_unix_ms: 0,
            measured_s: latencies_ms.len() as f64 / 100.0,
            interrupted: false,
            processes: 1,
            lanes: 1,
            cpu_s: 0.0,
            machine: Machine::now(),
            cluster_cpu_s: ByRole::new(),
            faults: Vec::new(),
            record,
        })
    }

    #[test]
    fn a_result_comes_back_from_its_file() {
        let result = result(&[1, 2, 3], 0, &["p99 < 1s"]);
        let text = serde_json::to_string(&result).unwrap();
        let again: RunResult = serde_json::from_str(&text).unwrap();
        assert_eq!(again.summary, result.summary);
        assert_eq!(serde_json::to_string(&again).unwrap(), text);
    }
}
