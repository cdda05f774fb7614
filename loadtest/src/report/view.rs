//! Progress during a run: a few lines that are redrawn at a terminal, or one line per second elsewhere.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use crate::report::rounding::whole;
use crate::run::record::{Record, Second};
use crate::run::scenario::Scenario;

/// Terminal codes that turn line wrapping off, so that a long line takes one row only, and on again.
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";
/// Number of seconds in a small chart.
const SHOWN: usize = 60;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The display of a run's progress.
#[derive(Debug)]
pub(crate) struct View {
    scenario: Scenario,
    record: Record,
    /// Number of lines to move up before redrawing; `None` where there is no terminal.
    drawn: Option<usize>,
}

impl View {
    pub(crate) fn new(scenario: &Scenario, plain: bool) -> Self {
        let drawn = (!plain && std::io::stderr().is_terminal()).then_some(0);
        Self { scenario: scenario.clone(), record: Record::default(), drawn }
    }

    /// Displays the part of the record that has arrived.
    pub(crate) fn show(&mut self, part: &Record, line: Option<String>) {
        let Some(drawn) = self.drawn else {
            if let Some(line) = line {
                eprintln!("{line}");
            }
            return;
        };
        self.record.add(part);
        let frame = frame(&self.scenario, &self.record);
        let mut text = String::from(NO_WRAP);
        if drawn > 0 {
            // Writing to a string does not fail.
            let _ = write!(text, "\x1b[{drawn}A\x1b[J");
        }
        for line in &frame {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(WRAP);
        self.drawn = Some(frame.len());
        // An error is ignored: if the terminal is closed, nobody sees the display.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// Returns the lines of the display for the present moment.
fn frame(scenario: &Scenario, record: &Record) -> Vec<String> {
    let (warm_up_s, length_s) = (scenario.drive.warm_up.0.as_secs(), scenario.length().as_secs());
    let empty = Second::default();
    let last = record.seconds.keys().next_back().copied().unwrap_or_default();
    let first = (last + 1).saturating_sub(SHOWN as u64);
    let shown: Vec<&Second> = (first..=last).map(|at| record.seconds.get(&at).unwrap_or(&empty)).collect();
    // The newest second is incomplete, and the one before may still lack answers.
    let settled = shown.len().checked_sub(2).and_then(|at| shown.get(at)).copied().unwrap_or(&empty);
    let phase = if last < warm_up_s { "  warm-up" } else { "" };
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
    let chart =
        |of: &dyn Fn(&Second) -> f64| bars(&shown.iter().map(|second| of(second)).collect::<Vec<_>>());
    let totals = &record.totals;
    let all = totals.all_kinds();
    let failed: u64 = all.failures.values().sum();
    let mut lines = vec![
        format!("{}  {} of {length_s} s{phase}{}", scenario.name, last.min(length_s), faults(scenario, last)),
        format!("  answered {:>9}/s  {}", settled.answered, chart(&|second| second.answered as f64)),
        format!(
            "  p50  {:>13}    {}",
            ms(settled.latency.quantile_ms(0.5)),
            chart(&|second| second.latency.quantile_ms(0.5).unwrap_or_default())
        ),
        format!(
            "  p99  {:>13}    {}",
            ms(settled.latency.quantile_ms(0.99)),
            chart(&|second| second.latency.quantile_ms(0.99).unwrap_or_default())
        ),
    ];
    let mut errors = format!("  failed {failed} of {}", all.sent);
    for (code, count) in &all.failures {
        let _ = write!(errors, "  {code} {count}");
    }
    if totals.unsent > 0 {
        let _ = write!(errors, "  unsent {}", totals.unsent);
    }
    lines.push(errors);
    let verdict = &totals.verdict;
    let coverage = match settled.coverage_sum {
        (sum, count @ 1..) => format!("{:.1} %", sum / count as f64 * 100.0),
        (_, 0) => "-".to_owned(),
    };
    lines.push(format!("  coverage {coverage}  judged {}  sent late {}", verdict.judged, totals.late));
    lines.push(format!(
        "  missed {}  false {}  wrong distance {}  incomplete {}  stale {}",
        verdict.missed, verdict.false_matches, verdict.wrong_distance, verdict.incomplete, verdict.stale
    ));
    if verdict.wrong_evidence > 0 {
        lines.push(format!("  wrong evidence {}", verdict.wrong_evidence));
    }
    if verdict.decided + verdict.misjudged > 0 {
        lines.push(format!("  verdicts {}  misjudged {}", verdict.decided, verdict.misjudged));
    }
    lines
}

/// Returns the newest fault by this second, as text.
fn faults(scenario: &Scenario, second: u64) -> String {
    let past = scenario.faults.iter().filter(|fault| fault.at.0.as_secs() <= second);
    past.max_by_key(|fault| fault.at)
        .map_or(String::new(), |fault| format!("  at {}: {}", fault.at, fault.action))
}

/// Returns each value as a bar; the largest has full height.
fn bars(values: &[f64]) -> String {
    let max = values.iter().copied().fold(0.0, f64::max);
    let bar = |&value: &f64| {
        if max <= 0.0 {
            return BARS[0];
        }
        let steps = (value / max * BARS.len() as f64).ceil().clamp(1.0, BARS.len() as f64);
        BARS[whole(steps) - 1]
    };
    values.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::tests::result;

    #[test]
    fn bars_are_as_high_as_their_values() {
        assert_eq!(bars(&[0.0, 1.0, 4.0, 8.0]), "▁▁▄█");
        assert_eq!(bars(&[0.0, 0.0]), "▁▁");
        assert_eq!(bars(&[]), "");
    }

    #[test]
    fn a_frame_has_the_same_lines_at_every_moment() {
        let scenario = Scenario::parse(
            "name = 'x'\n[arrivals]\nrate = 1\n[[faults]]\nat = '3s'\nkill = 'bank'\n[[faults]]\nat = '9s'\nstart = 'bank'",
        );
        let scenario = scenario.unwrap();
        let begin = frame(&scenario, &Record::default());
        let record = result(&[7; 500], 0, &[]).record;
        let later = frame(&scenario, &record);
        assert_eq!(begin.len(), later.len());
        assert_eq!(begin[0], "x  0 of 12 s  warm-up");
        assert!(later[0].contains("4 of 12 s  at 3s: kill bank") && later[1].contains("100/s"), "{later:?}");
        assert!(later[3].contains("7.") && later[4].contains("failed 0 of 500"), "{later:?}");
    }
}
