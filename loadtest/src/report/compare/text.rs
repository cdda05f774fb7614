//! A comparison in lines of text: figures, then what was wrong with the answers.

use std::fmt::Write as _;

use crate::report::compare::{Comparison, Direction, Scale};

/// See the module.
pub(crate) fn text(comparison: &Comparison) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, comparison);
    out
}

fn write(out: &mut String, comparison: &Comparison) -> std::fmt::Result {
    writeln!(out, "  {:<20}{:>12}{:>12}{:>11}  {:<22}", "", "A", "B", "change", "99 % of resamples")?;
    for change in &comparison.changes {
        let value = |value: Option<f64>| match (change.by, value) {
            (_, None) => "-".to_owned(),
            (Scale::Ratio, Some(value)) => format!("{value:.3}"),
            (Scale::Difference, Some(value)) => format!("{:.3} %", value * 100.0),
        };
        let by = |by: Option<f64>| match (change.by, by) {
            (_, None) => "-".to_owned(),
            (Scale::Ratio, Some(ratio)) => format!("{:+.1} %", (ratio - 1.0) * 100.0),
            (Scale::Difference, Some(difference)) => format!("{:+.3} pt", difference * 100.0),
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
        writeln!(
            out,
            "  {:<20}{a:>12}{b:>12}{:>11}  {range:<22}  {verdict}",
            change.figure,
            by(change.change)
        )?;
    }
    for count in comparison.counts.iter().filter(|count| count.a + count.b > 0) {
        let verdict = if count.b > count.a { "WORSE" } else { "" };
        writeln!(out, "  {:<20}{:>12}{:>12}{:35}  {verdict}", count.what, count.a, count.b, "")?;
    }
    for reservation in &comparison.reservations {
        writeln!(out, "  {reservation}")?;
    }
    Ok(())
}
