//! The result of a search as Markdown, for a pull request.

use std::fmt::Write as _;

use crate::report::maximum::{Maximum, Step, rate_text};
use crate::report::moment::moment;

/// Returns headline, the curve as a table, and the reason for the limit.
pub(super) fn summary(found: &Maximum) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, found);
    out
}

fn write(out: &mut String, found: &Maximum) -> std::fmt::Result {
    writeln!(out, "### Highest rate of `{}`: {}\n", found.scenario.name, found.headline())?;
    writeln!(
        out,
        "{}, {}. What has to hold: `{}`.\n",
        moment(found.began_unix_ms),
        found.target,
        found.condition
    )?;
    writeln!(out, "| offered | achieved | p50 ms | p99 ms | errors | |\n|---:|---:|---:|---:|---:|---|")?;
    for step in found.curve() {
        let Step { rate, answered_per_s, errors, because, .. } = step;
        let ms = |ms: Option<f64>| ms.map_or("-".to_owned(), |ms| format!("{ms:.2}"));
        let (rate, achieved) = (rate_text(*rate), rate_text(*answered_per_s));
        let (p50, p99, errors) = (ms(step.p50_ms), ms(step.p99_ms), errors * 100.0);
        let outcome =
            if step.held { step.outcome().to_owned() } else { format!("**{}**: {because}", step.outcome()) };
        writeln!(out, "| {rate} | {achieved} | {p50} | {p99} | {errors:.2} % | {outcome} |")?;
    }
    writeln!(out, "\nWhy no more: {}. {}.", found.because, found.explanation())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::maximum::tests::{SLOW, found, step};

    #[test]
    fn the_table_has_a_row_for_each_step() {
        let text = summary(&found(Some(400.0), vec![step(400.0, "", false), step(500.0, SLOW, false)]));
        assert!(
            text.starts_with("### Highest rate of `x`: 400/s is the highest rate that holds\n"),
            "{text}"
        );
        assert!(text.contains("2026-11-28 19:20:57 UTC"), "{text}");
        assert!(text.contains("| 400/s | 400/s | 1.50 | 12.25 | 0.00 % | holds |"), "{text}");
        assert!(text.contains("| 500/s | 500/s | 1.50 | 12.25 | 0.00 % | **fails**: p99 <= 50ms"), "{text}");
    }
}
