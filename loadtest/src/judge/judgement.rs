//! Compares thresholds with measurements.

use serde::{Deserialize, Serialize};

use crate::judge::threshold::{Metric, Threshold};
use crate::run::record::{Record, Totals};

/// The result for one threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judgement {
    /// The condition.
    pub(crate) threshold: Threshold,
    /// The measured value in the metric's own unit; `null` where there is none.
    pub(crate) value: Option<f64>,
    /// The measured value as text for people.
    pub(crate) shown: String,
    /// Whether it holds.
    pub(crate) holds: bool,
    /// The reason why it does not hold, where the value does not show it.
    pub(crate) because: Option<String>,
    /// Whether it fails because of the generator; then the run gives no result about the target.
    #[serde(default)]
    pub(crate) not_measurable: bool,
}

impl Judgement {
    /// Returns the result in a word or two.
    pub(crate) const fn word(&self) -> &'static str {
        match (self.holds, self.not_measurable) {
            (true, _) => "holds",
            (false, true) => "not measurable",
            (false, false) => "FAILS",
        }
    }
}

/// Whether the generator kept its schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schedule {
    Kept,
    /// Many requests were not sent because too many were under way: the target was too slow for the rate.
    Overrun,
    /// The generator sent many requests late, or dropped them because their deadline had passed: it was too
    /// slow for the rate, or the machine was too busy.
    Missed,
}

/// The largest share of requests that may be late or unsent; above it latencies are not reliable.
const LATE_SHARE_MAX: f64 = 0.01;

impl Schedule {
    /// Returns whether the generator kept its schedule in a run with these totals.
    pub(crate) fn of(totals: &Totals) -> Self {
        let due = (totals.all_kinds().sent + totals.unsent).max(1) as f64;
        if late_share(totals) > LATE_SHARE_MAX {
            Self::Missed
        } else if (totals.late + totals.unsent) as f64 / due > LATE_SHARE_MAX {
            Self::Overrun
        } else {
            Self::Kept
        }
    }
}

/// Compares a threshold with the measurements. No threshold on a latency holds unless the schedule was kept.
pub(crate) fn judge(
    threshold: &Threshold,
    record: &Record,
    measured_s: f64,
    schedule: Schedule,
) -> Judgement {
    let part;
    let (totals, seconds) = match threshold.window {
        None => (&record.totals, measured_s),
        Some(window) => {
            let seconds;
            (part, seconds) = record.part(window.from_s, window.to_s);
            (&part, seconds as f64)
        }
    };
    let value = measure(threshold, totals, seconds);
    let distrusted = schedule != Schedule::Kept && threshold.metric.is_latency();
    // "Nothing was missed" also holds for an empty run, where it means nothing.
    let empty = totals.all_kinds().sent == 0;
    // A run without refusals meets every limit on the time of refusals.
    let nobody_refused = value.is_none() && matches!(threshold.metric, Metric::Refusal(_));
    let because = if distrusted {
        Some(match schedule {
            Schedule::Overrun => {
                "too many requests were under way to send all, so no latency can be believed"
            }
            Schedule::Kept | Schedule::Missed => "the generator ran late, so no latency can be believed",
        })
    } else if empty || (value.is_none() && !nobody_refused) {
        Some("nothing was measured")
    } else {
        None
    };
    let holds = because.is_none() && (nobody_refused || value.is_some_and(|value| threshold.holds(value)));
    let not_measurable =
        !holds && schedule == Schedule::Missed && is_explained_by_lag(threshold, value, &record.totals);
    let because = because.or_else(|| not_measurable.then_some("the generator ran late"));
    let shown = value.map_or_else(|| "nothing".to_owned(), |value| threshold.show(value));
    Judgement {
        threshold: threshold.clone(),
        value,
        shown,
        holds,
        because: because.map(str::to_owned),
        not_measurable,
    }
}

/// Returns whether the generator's lag explains that a threshold fails with this measured value. A request
/// that is sent late has less time until its deadline, so at most the late ones can fail because of it.
/// Errors in a part of the run are attributed to the target.
fn is_explained_by_lag(threshold: &Threshold, value: Option<f64>, totals: &Totals) -> bool {
    match threshold.metric {
        Metric::Rate | Metric::Unsent => true,
        Metric::Errors if threshold.window.is_none() => {
            value.is_none_or(|errors| threshold.holds((errors - late_share(totals)).max(0.0)))
        }
        Metric::Errors
        | Metric::Quantile(_)
        | Metric::Max
        | Metric::Mean
        | Metric::Refusal(_)
        | Metric::AddFresh(_)
        | Metric::RemoveFresh(_)
        | Metric::Missed
        | Metric::False
        | Metric::WrongDistance
        | Metric::WrongEvidence
        | Metric::Incomplete
        | Metric::Stale
        | Metric::Misjudged
        | Metric::ProbesFailed
        | Metric::Coverage => threshold.metric.is_latency(),
    }
}

/// Returns the share of requests that the generator sent late, or did not send because they were overdue.
fn late_share(totals: &Totals) -> f64 {
    let due = totals.all_kinds().sent + totals.unsent;
    (totals.late + totals.unsent_late) as f64 / due.max(1) as f64
}

fn measure(threshold: &Threshold, totals: &Totals, seconds: f64) -> Option<f64> {
    let kind = match threshold.kind {
        Some(kind) => totals.kinds.get(&kind).cloned().unwrap_or_default(),
        None => totals.all_kinds(),
    };
    let verdict = &totals.verdict;
    let count = |count: u64| Some(count as f64);
    match threshold.metric {
        Metric::Quantile(quantile) => kind.latency.quantile_ms(quantile),
        Metric::Max => kind.latency.max_ms(),
        Metric::Mean => kind.latency.mean_ms(),
        Metric::Refusal(quantile) => kind.latency_of_failures.quantile_ms(quantile),
        Metric::AddFresh(quantile) => totals.add_to_match.quantile_ms(quantile),
        Metric::RemoveFresh(quantile) => totals.remove_to_gone.quantile_ms(quantile),
        Metric::Rate => (seconds > 0.0).then(|| kind.answered as f64 / seconds),
        Metric::Errors => {
            let due = kind.sent + if threshold.kind.is_none() { totals.unsent } else { 0 };
            (due > 0).then(|| (due - kind.answered) as f64 / due as f64)
        }
        Metric::Missed => count(verdict.missed),
        Metric::False => count(verdict.false_matches),
        Metric::WrongDistance => count(verdict.wrong_distance),
        Metric::WrongEvidence => count(verdict.wrong_evidence),
        Metric::Incomplete => count(verdict.incomplete),
        Metric::Stale => count(verdict.stale),
        Metric::Misjudged => count(verdict.misjudged),
        Metric::Unsent => count(totals.unsent),
        Metric::ProbesFailed => count(totals.probes_failed),
        Metric::Coverage => totals.coverage_min,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::Outcome;
    use crate::report::result::tests::result;

    #[test]
    fn thresholds_are_held_against_what_was_measured() {
        let latencies: Vec<u64> = (1..=100).collect();
        let result = result(
            &latencies,
            0,
            &["p50 < 51ms", "p99 < 99ms", "missed == 0", "rate >= 100", "rate > 100", "errors == 0%"],
        );
        let holds: Vec<bool> = result.thresholds.iter().map(|judgement| judgement.holds).collect();
        assert_eq!(holds, [true, false, true, true, false, true], "{:?}", result.thresholds);
        assert!(!result.passed);
    }

    #[test]
    fn latencies_of_a_generator_that_ran_late_fail_and_counts_do_not() {
        let late = result(&[50; 10], 11, &["p99 < 1s", "missed == 0"]);
        assert!(late.generator.ran_late);
        assert!(!late.thresholds[0].holds && late.thresholds[1].holds);
        assert!(late.thresholds[0].because.as_ref().unwrap().contains("ran late"));
        let punctual = result(&[50; 10], 9, &["p99 < 1s", "missed == 0"]);
        assert!(punctual.passed && !punctual.generator.ran_late);
    }

    #[test]
    fn what_a_late_generator_makes_fail_is_not_measurable_and_wrong_answers_are_a_failure() {
        let late = result(&[50; 200], 20, &["p99 < 1s", "rate >= 5000", "missed == 0"]);
        let marks: Vec<bool> = late.thresholds.iter().map(|judgement| judgement.not_measurable).collect();
        assert_eq!((marks, late.outcome), (vec![true, true, false], Outcome::NotMeasurable));
        // Counts of the oracle are valid at any rate, but one that holds does not decide the outcome.
        let failed = result(&[50; 200], 20, &["p99 < 1s", "stale == 1"]);
        assert_eq!(failed.outcome, Outcome::Failed);
        assert_eq!(result(&[50; 200], 20, &["missed == 0"]).outcome, Outcome::Passed);
        assert_eq!(result(&[50; 200], 20, &[]).outcome, Outcome::NotMeasurable);
        assert_eq!(result(&[50; 200], 0, &["p99 < 1ms"]).outcome, Outcome::Failed);
    }

    #[test]
    fn requests_that_a_slow_target_keeps_from_being_sent_are_a_failure_of_the_target() {
        let in_time = result(&[50; 200], 0, &["p99 < 1s"]);
        let mut record = in_time.record.clone();
        record.totals.unsent = 50;
        let schedule = Schedule::of(&record.totals);
        assert_eq!(schedule, Schedule::Overrun);
        let judged = judge(&in_time.thresholds[0].threshold, &record, 2.0, schedule);
        assert!(!judged.holds && !judged.not_measurable, "{judged:?}");
        record.totals.unsent_late = 50;
        assert_eq!(Schedule::of(&record.totals), Schedule::Missed);
    }

    #[test]
    fn errors_are_the_targets_where_they_are_more_than_the_late_requests() {
        let late = result(&[50; 200], 20, &["errors < 1%"]);
        let of = |late_requests: u64, unanswered: u64| {
            let mut record = late.record.clone();
            record.totals.late = late_requests;
            let kind = record.totals.kinds.values_mut().next().unwrap();
            kind.answered -= unanswered;
            let judged = judge(&late.thresholds[0].threshold, &record, 2.0, Schedule::of(&record.totals));
            (judged.holds, judged.not_measurable)
        };
        assert_eq!(of(20, 0), (true, false));
        assert_eq!(of(20, 20), (false, true));
        assert_eq!(of(20, 40), (false, false));
        assert_eq!(of(0, 40), (false, false));
    }

    #[test]
    fn nothing_holds_of_a_run_that_sent_nothing() {
        let empty = result(&[], 0, &["missed == 0", "p99 < 1s", "stale == 0", "add_to_match.p99 < 1s"]);
        assert!(empty.thresholds.iter().all(|judgement| !judgement.holds));
    }

    #[test]
    fn a_part_of_a_run_is_held_to_its_own_bound() {
        // Three seconds, of which the second is slow.
        let mut latencies = vec![5; 300];
        latencies[100..200].fill(80);
        let thresholds =
            ["p99 < 20ms", "p99 from 2s < 20ms", "p50 from 1s to 2s > 70ms", "rate from 1s to 3s >= 100"];
        let of_parts = result(&latencies, 0, &thresholds);
        let holds: Vec<bool> = of_parts.thresholds.iter().map(|judgement| judgement.holds).collect();
        assert_eq!(holds, [false, true, true, true], "{:?}", of_parts.thresholds);
        let beyond = result(&latencies, 0, &["errors from 9s == 0%", "missed from 9s == 0"]);
        assert!(beyond.thresholds.iter().all(|judgement| !judgement.holds), "nothing was measured there");
    }

    #[test]
    fn refusals_are_quick_where_there_are_none() {
        assert!(result(&[5; 100], 0, &["refusal.p99 < 1ms"]).passed);
        assert!(!result(&[], 0, &["refusal.p99 < 1ms"]).passed);
    }
}
