//! A comparison as text for a terminal of 80 columns: the two runs, their figures, then the faults of the
//! answers.

use std::fmt::Write as _;

use crate::report::compare::differences::Difference;
use crate::report::compare::{Comparison, Direction, Run, Scale};
use crate::report::moment::moment;
use crate::report::text::wrapped;

/// Returns the text of a comparison.
pub(crate) fn text(comparison: &Comparison) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, comparison);
    out
}

/// Returns one line for each difference.
pub(crate) fn listed(differences: &[Difference]) -> String {
    differences.iter().map(|difference| wrapped("  ", &difference.to_string())).collect()
}

fn write(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    for (name, run) in [("A  ", &comparison.a), ("B  ", &comparison.b)] {
        let Run { scenario, target, began_unix_ms } = run;
        out.push_str(&wrapped(name, &format!("{scenario}, {}, {target}", moment(*began_unix_ms))));
    }
    if !comparison.differences.is_empty() {
        out.push_str(&wrapped(
            "",
            "NOT COMPARABLE: the runs differ in what was measured, and a change may be of that alone. Shown because of \
             --force:",
        ));
        out.push_str(&listed(&comparison.differences));
    }
    writeln!(out, "{:<17}{:>11}{:>11}{:>11}  99 % of resamples", "", "A", "B", "change")?;
    for change in &comparison.changes {
        let value = |value: Option<f64>| match (change.by, value) {
            (_, None) => "-".to_owned(),
            (Scale::Ratio, Some(value)) => {
                format!("{value:.digits$}", digits = if value < 1e5 { 3 } else { 0 })
            }
            (Scale::Difference, Some(value)) => format!("{:.3} %", value * 100.0),
        };
        let by = |by: Option<f64>| match (change.by, by) {
            (_, None) => "-".to_owned(),
            (Scale::Ratio, Some(ratio)) => format!("{:+.1} %", (ratio - 1.0) * 100.0),
            (Scale::Difference, Some(difference)) => format!("{:+.2} pt", difference * 100.0),
        };
        let range = match (change.low, change.high) {
            (None, None) => String::new(),
            (low, high) => format!("{} to {}", by(low), by(high)),
        };
        let verdict = match change.verdict {
            Direction::Better => "better",
            Direction::Worse => "WORSE",
            Direction::Noise => "noise",
            Direction::Unknown => "unknown",
        };
        let (a, b) = (value(change.a), value(change.b));
        let by = by(change.change);
        writeln!(out, "{:<17}{a:>11}{b:>11}{by:>11}  {range:<20} {verdict}", change.figure)?;
    }
    for count in comparison.counts.iter().filter(|count| count.a + count.b > 0) {
        let verdict = if count.b > count.a { "WORSE" } else { "" };
        writeln!(out, "{:<17}{:>11}{:>11}{:34}{verdict}", count.what, count.a, count.b, "")?;
    }
    for reservation in &comparison.reservations {
        out.push_str(&wrapped("", reservation));
    }
    Ok(())
}
