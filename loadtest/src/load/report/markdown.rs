//! A summary for a pull request.

use std::fmt::Write as _;

use crate::load::result::{RunResult, Times};

/// Headline, thresholds, times, and what was wrong.
pub(super) fn summary(result: &RunResult) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, result);
    out
}

fn write(out: &mut String, result: &RunResult) -> std::fmt::Result {
    let (scenario, summary, totals) = (&result.scenario, &result.summary, &result.record.totals);
    let outcome = if result.thresholds.is_empty() {
        "no thresholds"
    } else if result.passed {
        "every threshold holds"
    } else {
        "**a threshold does not hold**"
    };
    writeln!(out, "### Load test `{}`: {outcome}\n", scenario.name)?;
    writeln!(
        out,
        "{:.0} s measured: {:.0} sent/s, **{:.0} answered/s**, {} failed.\n",
        result.measured_s, summary.sent_per_s, summary.answered_per_s, summary.failed
    )?;
    if result.generator.ran_late {
        writeln!(
            out,
            "> **The generator ran late** ({:.2} % of the requests): no latency here can be believed.\n",
            result.generator.late_or_unsent_share * 100.0
        )?;
    }
    if !result.thresholds.is_empty() {
        writeln!(out, "| threshold | measured | |\n|---|---:|---|")?;
        for judgement in &result.thresholds {
            let mark = if judgement.holds { "holds" } else { "**fails**" };
            writeln!(out, "| `{}` | {} | {mark} |", judgement.threshold, judgement.shown)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "| milliseconds | p50 | p90 | p99 | p99.9 | max |\n|---|---:|---:|---:|---:|---:|")?;
    row(out, "from the intended start", &summary.latency)?;
    row(out, "from the actual start", &summary.latency_from_send)?;
    if result.by_kind.len() > 1 {
        for (kind, summary) in &result.by_kind {
            row(out, &format!("{kind}, {:.0}/s", summary.answered_per_s), &summary.latency)?;
        }
    }
    for (what, hist) in [("add to match", &totals.add_to_match), ("remove to gone", &totals.remove_to_gone)] {
        if hist.count() > 0 {
            row(out, what, &Times::from(hist))?;
        }
    }
    let verdict = &totals.verdict;
    writeln!(
        out,
        "\n{} questions judged: {} missed, {} false, {} at a wrong distance; {} answers incomplete, {} stale.",
        verdict.judged,
        verdict.missed,
        verdict.false_matches,
        verdict.wrong_distance,
        verdict.incomplete,
        verdict.stale
    )?;
    for (code, count) in &totals.all_kinds().failures {
        writeln!(out, "\n- `{code}`: {count}")?;
    }
    for mark in &result.faults {
        writeln!(out, "\n- at {:.1} s: {}", mark.at_s, mark.what)?;
    }
    Ok(())
}

fn row(out: &mut String, what: &str, times: &Times) -> std::fmt::Result {
    write!(out, "| {what} |")?;
    for value in [times.p50_ms, times.p90_ms, times.p99_ms, times.p999_ms, times.max_ms] {
        match value {
            Some(ms) => write!(out, " {ms:.2} |")?,
            None => write!(out, " - |")?,
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::result::tests::result;

    #[test]
    fn the_summary_says_what_failed_and_whether_it_can_be_believed() {
        let good = summary(&result(&[5; 200], 0, &["p99 < 1s"]));
        assert!(good.contains("every threshold holds") && !good.contains("ran late"), "{good}");
        assert!(good.contains("| `p99 < 1s` | 5."), "{good}");
        let late = summary(&result(&[50; 200], 20, &["p99 < 1s"]));
        assert!(late.contains("does not hold") && late.contains("**The generator ran late**"), "{late}");
    }
}
