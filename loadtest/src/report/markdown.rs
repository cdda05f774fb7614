//! The summary of a run for a pull request.

use std::fmt::Write as _;

use crate::report::result::RunResult;
use crate::report::sheet::{COLUMNS, Row, Sheet};

/// Returns headline, thresholds, times, and the faults of the answers.
pub(super) fn summary(result: &RunResult) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, &Sheet::new(result));
    out
}

fn write(out: &mut String, sheet: &Sheet<'_>) -> std::fmt::Result {
    writeln!(out, "### Load test `{}`: {}\n", sheet.name, sheet.outcome)?;
    writeln!(out, "{}.\n\n{}.\n", sheet.place, sheet.rates)?;
    for alarm in &sheet.alarms {
        writeln!(out, "> **{alarm}.**\n")?;
    }
    if !sheet.thresholds.is_empty() {
        writeln!(out, "| threshold | measured | |\n|---|---:|---|")?;
        for judgement in sheet.thresholds {
            let mark = if judgement.holds { "holds".to_owned() } else { format!("**{}**", judgement.word()) };
            let because = judgement.because.as_ref().map_or(String::new(), |because| format!(": {because}"));
            writeln!(out, "| `{}` | {} | {mark}{because} |", judgement.threshold, judgement.shown)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "| milliseconds | {} |", COLUMNS.join(" | "))?;
    writeln!(out, "|---|{}", "---:|".repeat(COLUMNS.len()))?;
    for Row { name, times_ms } in &sheet.times {
        write!(out, "| {name} |")?;
        for time in times_ms {
            match time {
                Some(ms) => write!(out, " {ms:.2} |")?,
                None => write!(out, " - |")?,
            }
        }
        writeln!(out)?;
    }
    writeln!(out, "\n{}; {}.\n", sheet.verdict, sheet.generator)?;
    for (code, count) in &sheet.failures {
        writeln!(out, "- `{code}`: {count}")?;
    }
    for fault in &sheet.faults {
        writeln!(out, "- {fault}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::tests::result;

    #[test]
    fn the_summary_says_what_failed_and_whether_it_can_be_believed() {
        let good = summary(&result(&[5; 200], 0, &["p99 < 1s"]));
        assert!(good.contains("every threshold holds") && !good.contains("RAN LATE"), "{good}");
        assert!(good.contains("| `p99 < 1s` | 5."), "{good}");
        let late = summary(&result(&[50; 200], 20, &["p99 < 1s"]));
        assert!(
            late.contains("`x`: not measurable here") && late.contains("> **THE GENERATOR RAN LATE"),
            "{late}"
        );
        assert!(late.contains("**not measurable**: the generator ran late"), "{late}");
    }
}
