//! Holds thresholds against what was measured.

use serde::{Deserialize, Serialize};

use crate::judge::threshold::{Metric, Threshold};
use crate::run::record::{Record, Totals};

/// How a threshold came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judgement {
    /// The condition.
    pub(crate) threshold: Threshold,
    /// What was measured, in the metric's own unit; `null` where nothing was.
    pub(crate) value: Option<f64>,
    /// The same for people.
    pub(crate) shown: String,
    /// Whether it holds.
    pub(crate) holds: bool,
    /// Why it does not, where the value alone would not tell.
    pub(crate) because: Option<String>,
}

/// Holds a threshold against what was measured. With `ran_late`, no threshold of a latency holds.
pub(crate) fn judge(threshold: &Threshold, record: &Record, measured_s: f64, ran_late: bool) -> Judgement {
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
    let distrusted = ran_late && threshold.metric.is_latency();
    // "Nothing was missed" holds of nothing too, and says nothing.
    let empty = totals.all_kinds().sent == 0;
    // Where nobody was refused, every refusal was quick.
    let nobody_refused = value.is_none() && matches!(threshold.metric, Metric::Refusal(_));
    let because = if distrusted {
        Some("the generator ran late, so no latency can be believed".to_owned())
    } else if empty || (value.is_none() && !nobody_refused) {
        Some("nothing was measured".to_owned())
    } else {
        None
    };
    let holds = because.is_none() && (nobody_refused || value.is_some_and(|value| threshold.holds(value)));
    let shown = value.map_or_else(|| "nothing".to_owned(), |value| threshold.show(value));
    Judgement { threshold: threshold.clone(), value, shown, holds, because }
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
        Metric::Incomplete => count(verdict.incomplete),
        Metric::Stale => count(verdict.stale),
        Metric::Unsent => count(totals.unsent),
        Metric::ProbesFailed => count(totals.probes_failed),
        Metric::Coverage => totals.coverage_min,
    }
}

#[cfg(test)]
mod tests {
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
    fn nothing_holds_of_a_run_that_sent_nothing() {
        let empty = result(&[], 0, &["missed == 0", "p99 < 1s", "stale == 0", "add_to_match.p99 < 1s"]);
        assert!(empty.thresholds.iter().all(|judgement| !judgement.holds));
    }

    #[test]
    fn a_part_of_a_run_is_held_to_its_own_bound() {
        // Three seconds of which the second is slow.
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
