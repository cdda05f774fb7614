//! The result of a run as text for a terminal: no line is wider than 80 columns, unless a single word is.

use std::fmt::Write as _;

use crate::report::result::RunResult;
use crate::report::sheet::{COLUMNS, Row, Sheet};

/// The width in columns that every terminal has.
pub(crate) const WIDTH: usize = 80;

/// Returns the figures, the faults of the answers, and the thresholds.
pub(crate) fn text(result: &RunResult) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, &Sheet::new(result));
    text
}

/// Wraps a text into lines. The first begins with `first`, the others with as many spaces.
pub(crate) fn wrapped(first: &str, text: &str) -> String {
    let indent = first.chars().count();
    let (mut out, mut width) = (first.to_owned(), indent);
    for word in text.split_whitespace() {
        let length = word.chars().count();
        let begins = width == indent;
        if !begins && width + 1 + length > WIDTH {
            let _ = write!(out, "\n{:indent$}{word}", "");
            width = indent + length;
        } else {
            if !begins {
                out.push(' ');
            }
            out.push_str(word);
            width += length + usize::from(!begins);
        }
    }
    out.push('\n');
    out
}

fn write(out: &mut String, sheet: &Sheet<'_>) -> std::fmt::Result {
    writeln!(out, "\n{}: {}", sheet.name, sheet.outcome)?;
    let sentences = [&sheet.place, &sheet.rates];
    for sentence in sentences.into_iter().chain(&sheet.alarms) {
        out.push_str(&wrapped("  ", sentence));
    }
    write!(out, "  {:<24}", "milliseconds")?;
    for column in COLUMNS {
        write!(out, " {column:>9}")?;
    }
    writeln!(out)?;
    for Row { name, times_ms } in &sheet.times {
        write!(out, "  {name:<24}")?;
        for time in times_ms {
            match time {
                Some(ms) => write!(out, " {ms:>9.2}")?,
                None => write!(out, " {:>9}", "-")?,
            }
        }
        writeln!(out)?;
    }
    out.push_str(&wrapped("  ", &sheet.verdict));
    for (code, count) in &sheet.failures {
        writeln!(out, "  {code}: {count}")?;
    }
    out.push_str(&wrapped("  ", &sheet.generator));
    if let Some(cluster) = &sheet.cluster {
        out.push_str(&wrapped("  ", cluster));
    }
    for fault in &sheet.faults {
        out.push_str(&wrapped("  ", fault));
    }
    for judgement in sheet.thresholds {
        let because = judgement.because.as_ref().map_or(String::new(), |because| format!(": {because}"));
        let mark = format!("  {:<14} ", judgement.word());
        out.push_str(&wrapped(&mark, &format!("{}  ({}){because}", judgement.threshold, judgement.shown)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::Mark;
    use crate::report::result::tests::result;

    #[test]
    fn words_are_wrapped_behind_their_first_line() {
        assert_eq!(wrapped("  a: ", "one two"), "  a: one two\n");
        let long = wrapped("  ", &"word ".repeat(40));
        assert!(long.lines().all(|line| line.len() <= WIDTH && line.starts_with("  word")), "{long}");
        assert_eq!(long.matches("word").count(), 40);
        assert_eq!(wrapped("  ", &"x".repeat(90)).lines().count(), 1);
    }

    #[test]
    fn a_report_fits_a_terminal_of_eighty_columns() {
        let mut run = result(&[50_000; 200], 20, &["p99 < 1s", "missed == 0", "add_to_match.p99.9 < 1s"]);
        run.target.endpoints = vec!["https://frontend-of-a-region.vigie.example:7740".to_owned(); 3];
        let failed = Some("the bank did not take an item of the import within its deadline".to_owned());
        run.faults = vec![Mark { at_s: 1.0, what: "import 200000 items".to_owned(), failed }];
        let text = text(&run);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(
            text.contains("not measurable p99 < 1s") && text.contains("holds          missed == 0"),
            "{text}"
        );
    }
}
