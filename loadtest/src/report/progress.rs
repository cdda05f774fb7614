//! Progress of a run as plain text, one line per second.

use std::fmt::Write as _;

use crate::run::record::{Record, Second};
use crate::run::scenario::Scenario;

/// Returns the line of one second.
pub(crate) fn line(scenario: &Scenario, second: u64, of: &Second, in_flight: u32) -> String {
    let mut line = format!("{second:>4} s  {:>6} sent  {:>6} answered", of.sent, of.answered);
    let ms = |quantile| of.latency.quantile_ms(quantile).map_or("-".to_owned(), |ms| format!("{ms:.1}"));
    let _ = write!(line, "  p50 {} ms  p99 {} ms  {in_flight} under way", ms(0.5), ms(0.99));
    for (code, count) in &of.failures {
        let _ = write!(line, "  {code} {count}");
    }
    if of.unsent > 0 {
        let _ = write!(line, "  {} unsent", of.unsent);
    }
    let verdict = &of.verdict;
    for (what, count) in [
        ("missed", verdict.missed),
        ("false", verdict.false_matches),
        ("wrong distance", verdict.wrong_distance),
        ("wrong evidence", verdict.wrong_evidence),
        ("incomplete", verdict.incomplete),
        ("stale", verdict.stale),
        ("misjudged", verdict.misjudged),
    ] {
        if count > 0 {
            let _ = write!(line, "  {what} {count}");
        }
    }
    if of.coverage_sum.1 > 0 && of.coverage_min.is_some_and(|least| least < 1.0) {
        let _ = write!(line, "  coverage {:.1} %", of.coverage_sum.0 / of.coverage_sum.1 as f64 * 100.0);
    }
    if of.lag_max_ms > 10.0 {
        let _ = write!(line, "  sent up to {:.0} ms late", of.lag_max_ms);
    }
    if second < scenario.drive.warm_up.0.as_secs() {
        line.push_str("  (warm-up)");
    }
    for fault in scenario.faults.iter().filter(|fault| fault.at.0.as_secs() == second) {
        let _ = write!(line, "  [{}]", fault.action);
    }
    line
}

/// Returns the second before the last one, whose requests have had a second to be answered.
pub(crate) fn settled(record: &Record, now_s: u64) -> Option<(u64, &Second)> {
    let second = now_s.checked_sub(2)?;
    Some((second, record.seconds.get(&second)?))
}
