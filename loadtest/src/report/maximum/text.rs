//! The result of a search as text for a terminal of 80 columns.

use std::fmt::Write as _;

use crate::report::maximum::{Maximum, Step, rate_text};
use crate::report::moment::moment;
use crate::report::text::wrapped;

/// Returns the headline, the curve, and the limit.
pub(crate) fn text(found: &Maximum) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, found);
    out
}

fn write(out: &mut String, found: &Maximum) -> std::fmt::Result {
    writeln!(out, "\n{}: {}", found.scenario.name, found.headline())?;
    out.push_str(&wrapped("  ", &format!("{}, {}", moment(found.began_unix_ms), found.target)));
    out.push_str(&wrapped("  ", &format!("what has to hold: {}", found.condition)));
    writeln!(
        out,
        "  {:>11}{:>12}{:>11}{:>11}{:>10}  outcome",
        "offered", "achieved", "p50 ms", "p99 ms", "errors"
    )?;
    for step in found.curve() {
        let Step { rate, answered_per_s, errors, .. } = step;
        let ms = |ms: Option<f64>| ms.map_or("-".to_owned(), |ms| format!("{ms:.2}"));
        let (p50, p99, errors) = (ms(step.p50_ms), ms(step.p99_ms), format!("{:.2} %", errors * 100.0));
        let (rate, achieved) = (rate_text(*rate), rate_text(*answered_per_s));
        writeln!(out, "  {rate:>11}{achieved:>12}{p50:>11}{p99:>11}{errors:>10}  {}", step.outcome())?;
        if !step.held {
            out.push_str(&wrapped("               ", &step.because));
        }
    }
    out.push_str(&wrapped("  ", &format!("why no more: {}. {}.", found.because, found.explanation())));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::maximum::tests::{SLOW, found, step};

    #[test]
    fn the_text_is_the_curve_by_rate_with_the_reason_of_the_next_step() {
        let tried = vec![step(400.0, "", false), step(800.0, SLOW, false), step(500.0, SLOW, false)];
        let text = text(&found(Some(400.0), tried));
        assert!(text.contains("x: 400/s is the highest rate that holds"), "{text}");
        assert!(
            text.contains("why no more: at 500/s p99 <= 50ms does not hold (61.200 ms). The target"),
            "{text}"
        );
        let at = |what: &str| text.find(what).unwrap();
        assert!(at(" 400/s ") < at(" 500/s ") && at(" 500/s ") < at(" 800/s "), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn a_generator_that_gives_way_is_no_limit_of_the_target() {
        let text = text(&found(Some(400.0), vec![step(400.0, "", false), step(500.0, "it ran late", true)]));
        assert!(text.contains("400/s holds, and more is not measurable from here"), "{text}");
        assert!(text.contains("limit of the generator") && text.contains("not measurable\n"), "{text}");
    }
}
