//! A measurement of a target: its settings and its figures.

use std::fmt;

use serde::Serialize;
use vigie_rpc::code;

use crate::report::result::RunResult;
use crate::run::scenario::Scenario;

/// The codes by which a target refuses a request at once.
const REFUSALS: [tonic::Code; 2] = [tonic::Code::Unavailable, tonic::Code::ResourceExhausted];

/// How the lookups follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Loop {
    /// On each of the connections, one lookup after the other.
    Closed { connections: u32 },
    /// At a fixed rate per second, independent of when other lookups end.
    Open { rate: u32, connections: u32 },
}

impl Loop {
    /// Sets the arrivals and the connections.
    pub(super) fn apply(self, scenario: &mut Scenario) {
        let arrivals = &mut scenario.arrivals;
        (arrivals.rate, arrivals.closed) = match self {
            Self::Closed { connections } => (None, Some(connections)),
            Self::Open { rate, .. } => (Some(f64::from(rate)), None),
        };
        let (Self::Closed { connections } | Self::Open { connections, .. }) = self;
        scenario.drive.connections = connections;
    }
}

impl fmt::Display for Loop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { connections: 1 } => f.pad("1 connection"),
            Self::Closed { connections } => f.pad(&format!("{connections} connections")),
            Self::Open { rate, .. } => f.pad(&format!("{rate}/s")),
        }
    }
}

/// The figures of one measurement of one target.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Turn {
    pub(super) answered_per_s: f64,
    pub(super) p50_ms: Option<f64>,
    pub(super) p99_ms: Option<f64>,
    pub(super) sent: u64,
    /// Requests that were answered with 429 or 502 to 504, or whose connection failed.
    pub(super) refused: u64,
    /// All other requests without an answer.
    pub(super) failed: u64,
    /// Matches that are not right, or have a wrong distance.
    pub(super) wrong: u64,
    /// Right matches that the answer lacks.
    pub(super) missed: u64,
    /// The generator sent too late, so the times are not reliable.
    pub(super) ran_late: bool,
}

impl Turn {
    pub(super) fn of(result: &RunResult) -> Self {
        let verdict = &result.record.totals.verdict;
        let failures = result.record.totals.all_kinds().failures;
        let refusals = REFUSALS.map(code::word);
        let refused = refusals.iter().filter_map(|word| failures.get(*word)).sum();
        Self {
            answered_per_s: result.summary.answered_per_s,
            p50_ms: result.summary.latency.p50_ms,
            p99_ms: result.summary.latency.p99_ms,
            sent: result.summary.sent,
            refused,
            failed: result.summary.failed - refused,
            wrong: verdict.false_matches + verdict.wrong_distance,
            missed: verdict.missed,
            ran_late: result.generator.ran_late,
        }
    }
}

/// All measurements of one target with one loop.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    #[serde(rename = "loop")]
    pub(super) of: Loop,
    pub(super) target: String,
    pub(super) turns: Vec<Turn>,
}

impl Row {
    pub(super) fn median(&self, figure: impl Fn(&Turn) -> Option<f64>) -> Option<f64> {
        let mut figures: Vec<f64> = self.turns.iter().filter_map(figure).collect();
        figures.sort_unstable_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied()
    }

    pub(super) fn sum(&self, count: impl Fn(&Turn) -> u64) -> u64 {
        self.turns.iter().map(count).sum()
    }
}
