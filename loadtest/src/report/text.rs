//! The result in lines of text, for a terminal.

use std::fmt::Write as _;

use crate::report::result::RunResult;
use crate::report::sheet::{COLUMNS, Row, Sheet};

/// The figures, what was wrong, and the thresholds.
pub(crate) fn text(result: &RunResult) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, &Sheet::new(result));
    text
}

fn write(out: &mut String, sheet: &Sheet<'_>) -> std::fmt::Result {
    writeln!(out, "\n{}: {}", sheet.name, sheet.outcome)?;
    writeln!(out, "  {}", sheet.rates)?;
    for alarm in &sheet.alarms {
        writeln!(out, "  {alarm}")?;
    }
    write!(out, "  {:<26}", "milliseconds")?;
    for column in COLUMNS {
        write!(out, "{column:>10} ")?;
    }
    writeln!(out)?;
    for Row { name, times_ms } in &sheet.times {
        write!(out, "  {name:<26}")?;
        for time in times_ms {
            match time {
                Some(ms) => write!(out, "{ms:>10.2} ")?,
                None => write!(out, "{:>10} ", "-")?,
            }
        }
        writeln!(out)?;
    }
    writeln!(out, "  {}", sheet.verdict)?;
    for (code, count) in &sheet.failures {
        writeln!(out, "  {code}: {count}")?;
    }
    writeln!(out, "  {}", sheet.generator)?;
    for fault in &sheet.faults {
        writeln!(out, "  {fault}")?;
    }
    for judgement in sheet.thresholds {
        let mark = if judgement.holds { "holds " } else { "FAILS " };
        write!(out, "  {mark} {}  ({})", judgement.threshold, judgement.shown)?;
        match &judgement.because {
            Some(because) => writeln!(out, ": {because}")?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}
