//! The record of requests: counts and histograms, for each second and for the whole run.
//!
//! A request belongs to the second of its intended start, whenever its answer arrived: so a stall shows in
//! the requests that it delayed, in the second in which it began. All parts are sums, so the records of lanes
//! and of generators can be added in any order.

pub(crate) mod hist;
pub(crate) mod note;
pub(crate) mod recorder;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::judge::oracle::Verdict;
use crate::run::lanes::kind::Kind;
use crate::run::record::hist::Hist;

/// Totals of one kind of request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct KindTotals {
    /// Requests that were sent.
    pub(crate) sent: u64,
    /// Requests that were answered.
    pub(crate) answered: u64,
    /// Attempts beyond the first.
    pub(crate) retries: u64,
    /// Questions that were answered.
    pub(crate) questions: u64,
    /// Requests that failed, by code.
    pub(crate) failures: BTreeMap<String, u64>,
    /// Time from the intended start to the answer, or to the deadline if there was no answer by then.
    pub(crate) latency: Hist,
    /// Time from the actual start.
    pub(crate) latency_from_send: Hist,
    /// Time from the intended start to a refusal or another failure.
    pub(crate) latency_of_failures: Hist,
}

impl KindTotals {
    /// Adds the totals of other requests.
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

/// Totals of the whole run, without its warm-up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Totals {
    /// Totals by kind of request.
    pub(crate) kinds: BTreeMap<Kind, KindTotals>,
    /// Requests that were not sent, because too many were under way or their deadline had already passed.
    pub(crate) unsent: u64,
    /// The number of unsent requests that were overdue by more than 10 ms: there the generator itself was
    /// late.
    #[serde(default)]
    pub(crate) unsent_late: u64,
    /// Requests that were sent more than 10 ms late.
    pub(crate) late: u64,
    /// Delay from the intended to the actual start of each request.
    pub(crate) lag: Hist,
    /// The faults of the answers.
    pub(crate) verdict: Verdict,
    /// The lowest coverage of an answer, a share (0 to 1); `null` where none reported it.
    pub(crate) coverage_min: Option<f64>,
    /// Time from an acknowledged addition until it was found.
    pub(crate) add_to_match: Hist,
    /// Time from an acknowledged removal until the item was no longer found.
    pub(crate) remove_to_gone: Hist,
    /// Probes that did not succeed in time.
    pub(crate) probes_failed: u64,
}

impl Totals {
    /// Returns the sum over all kinds of request.
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

/// The record of one second of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Second {
    /// Requests that were due in this second and were sent.
    pub(crate) sent: u64,
    /// Those of the sent requests that were answered.
    pub(crate) answered: u64,
    /// Requests that were due in this second and were not sent.
    pub(crate) unsent: u64,
    /// Those of the sent requests that failed, by code.
    pub(crate) failures: BTreeMap<String, u64>,
    /// Latency from the intended start, to two digits.
    pub(crate) latency: Hist,
    /// The largest lag, in milliseconds.
    pub(crate) lag_max_ms: f64,
    /// The faults of the answers.
    pub(crate) verdict: Verdict,
    /// The lowest coverage of an answer, a share (0 to 1).
    pub(crate) coverage_min: Option<f64>,
    /// The sum of the coverage of the answers that reported it, and their number.
    pub(crate) coverage_sum: (f64, u64),
    /// Times of the probes of additions.
    pub(crate) add_to_match: Hist,
    /// Times of the probes of removals.
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

/// A part of the record of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Totals without the warm-up.
    pub(crate) totals: Totals,
    /// Seconds by number, from the start of the warm-up; a request counts in the second of its intended
    /// start.
    pub(crate) seconds: BTreeMap<u64, Second>,
}

impl Record {
    /// Returns the sum of the seconds from `from_s` to before `to_s`, and their number. It has only what is
    /// recorded by the second; latencies have two digits, and all kinds of request are one.
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
        // The choice of the kind does not matter: only the sum over all kinds is used.
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
