//! What is kept of every request: counts and histograms, for each second and for the whole run.
//!
//! A request belongs to the second in which it was to be sent, whenever its answer came: so a stall shows in the
//! requests that it made wait, where it began. Everything here adds up, so the records of lanes and of generators can be
//! summed in any order.

pub(crate) mod hist;
pub(crate) mod note;
pub(crate) mod recorder;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::judge::oracle::Verdict;
use crate::run::lanes::kind::Kind;
use crate::run::record::hist::Hist;

/// Requests of one kind.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct KindTotals {
    /// Requests that were sent.
    pub(crate) sent: u64,
    /// Those that were answered.
    pub(crate) answered: u64,
    /// Attempts beyond the first.
    pub(crate) retries: u64,
    /// Questions that were answered.
    pub(crate) questions: u64,
    /// Requests that failed, by code.
    pub(crate) failures: BTreeMap<String, u64>,
    /// From the intended start to the answer, or to the deadline where there was none by then.
    pub(crate) latency: Hist,
    /// From the actual start.
    pub(crate) latency_from_send: Hist,
    /// From the intended start to a refusal or another failure.
    pub(crate) latency_of_failures: Hist,
}

impl KindTotals {
    /// Adds other requests.
    pub(crate) fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.retries += other.retries;
        self.questions += other.questions;
        add_failures(&mut self.failures, &other.failures);
        self.latency.add(&other.latency);
        self.latency_from_send.add(&other.latency_from_send);
        self.latency_of_failures.add(&other.latency_of_failures);
    }
}

/// The whole run, without its warm-up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// By kind of request.
    pub(crate) kinds: BTreeMap<Kind, KindTotals>,
    /// Requests that were not sent, because too many were under way or their deadline had passed before.
    pub(crate) unsent: u64,
    /// Of those, the ones whose time had passed by more than 10 ms: the generator was late, whatever was under way.
    #[serde(default)]
    pub(crate) unsent_late: u64,
    /// Requests that were sent more than 10 ms after their time.
    pub(crate) late: u64,
    /// How long after its time each request was sent.
    pub(crate) lag: Hist,
    /// What was wrong with the answers.
    pub(crate) verdict: Verdict,
    /// The least coverage of an answer; `null` where none told it.
    pub(crate) coverage_min: Option<f64>,
    /// From an acknowledged addition until it was found.
    pub(crate) add_to_match: Hist,
    /// From an acknowledged removal until it was no longer found.
    pub(crate) remove_to_gone: Hist,
    /// Probes that were not seen to succeed in time.
    pub(crate) probes_failed: u64,
}

impl Totals {
    /// All kinds of request together.
    #[must_use]
    pub(crate) fn all_kinds(&self) -> KindTotals {
        let mut sum = KindTotals::default();
        self.kinds.values().for_each(|kind| sum.add(kind));
        sum
    }

    /// Adds another part of the run.
    pub(crate) fn add(&mut self, other: &Self) {
        for (kind, totals) in &other.kinds {
            self.kinds.entry(*kind).or_default().add(totals);
        }
        self.unsent += other.unsent;
        self.unsent_late += other.unsent_late;
        self.late += other.late;
        self.lag.add(&other.lag);
        self.verdict += other.verdict;
        self.coverage_min = least(self.coverage_min, other.coverage_min);
        self.add_to_match.add(&other.add_to_match);
        self.remove_to_gone.add(&other.remove_to_gone);
        self.probes_failed += other.probes_failed;
    }
}

/// One second of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Second {
    /// Requests that were to be sent in it and were.
    pub(crate) sent: u64,
    /// Those of them that were answered.
    pub(crate) answered: u64,
    /// Those that were not sent.
    pub(crate) unsent: u64,
    /// Those that failed, by code.
    pub(crate) failures: BTreeMap<String, u64>,
    /// As in the totals; to two digits.
    pub(crate) latency: Hist,
    /// The greatest lag, in milliseconds.
    pub(crate) lag_max_ms: f64,
    /// What was wrong with the answers.
    pub(crate) verdict: Verdict,
    /// The least coverage of an answer.
    pub(crate) coverage_min: Option<f64>,
    /// Coverage summed up over the answers that told it, and how many these were.
    pub(crate) coverage_sum: (f64, u64),
    /// Probes of additions.
    pub(crate) add_to_match: Hist,
    /// Probes of removals.
    pub(crate) remove_to_gone: Hist,
}

impl Default for Second {
    fn default() -> Self {
        Self {
            sent: 0,
            answered: 0,
            unsent: 0,
            failures: BTreeMap::new(),
            latency: Hist::with_digits(2),
            lag_max_ms: 0.0,
            verdict: Verdict::default(),
            coverage_min: None,
            coverage_sum: (0.0, 0),
            add_to_match: Hist::with_digits(2),
            remove_to_gone: Hist::with_digits(2),
        }
    }
}

impl Second {
    fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.unsent += other.unsent;
        add_failures(&mut self.failures, &other.failures);
        self.latency.add(&other.latency);
        self.lag_max_ms = self.lag_max_ms.max(other.lag_max_ms);
        self.verdict += other.verdict;
        self.coverage_min = least(self.coverage_min, other.coverage_min);
        self.coverage_sum.0 += other.coverage_sum.0;
        self.coverage_sum.1 += other.coverage_sum.1;
        self.add_to_match.add(&other.add_to_match);
        self.remove_to_gone.add(&other.remove_to_gone);
    }
}

fn add_failures(sum: &mut BTreeMap<String, u64>, part: &BTreeMap<String, u64>) {
    for (code, count) in part {
        *sum.entry(code.clone()).or_default() += count;
    }
}

fn least(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Part of what happened in a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Without the warm-up.
    pub(crate) totals: Totals,
    /// By the second of the intended start, from the beginning of the warm-up.
    pub(crate) seconds: BTreeMap<u64, Second>,
}

impl Record {
    /// What the seconds from `from_s` to before `to_s` come to, as far as it is kept by the second, and how many of them
    /// there were. Latencies are to two digits, and all kinds of request are one.
    pub(crate) fn part(&self, from_s: u64, to_s: Option<u64>) -> (Totals, u64) {
        let sent = self.seconds.iter().rev().find(|(_, second)| second.sent + second.unsent > 0);
        let end = sent.map_or(0, |(at, _)| at + 1).min(to_s.unwrap_or(u64::MAX)).max(from_s);
        let mut totals = Totals::default();
        let mut all = KindTotals { latency: Hist::with_digits(2), ..KindTotals::default() };
        for second in self.seconds.range(from_s..end).map(|(_, second)| second) {
            all.sent += second.sent;
            all.answered += second.answered;
            add_failures(&mut all.failures, &second.failures);
            all.latency.add(&second.latency);
            totals.unsent += second.unsent;
            totals.verdict += second.verdict;
            totals.coverage_min = least(totals.coverage_min, second.coverage_min);
            totals.add_to_match.add(&second.add_to_match);
            totals.remove_to_gone.add(&second.remove_to_gone);
        }
        // Whichever it is: only their sum is asked for.
        totals.kinds.insert(Kind::Lookup, all);
        (totals, end - from_s)
    }

    /// Adds another part.
    pub(crate) fn add(&mut self, other: &Self) {
        self.totals.add(&other.totals);
        for (second, part) in &other.seconds {
            self.seconds.entry(*second).or_default().add(part);
        }
    }
}
