//! The result in lines of text, for a terminal.

use std::fmt::Write as _;

use crate::load::result::{RunResult, Times};

/// The figures, what was wrong, and the thresholds.
pub(crate) fn text(result: &RunResult) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, result);
    text
}

fn write(out: &mut String, result: &RunResult) -> std::fmt::Result {
    let RunResult { scenario, summary, generator, record, .. } = result;
    writeln!(out)?;
    writeln!(
        out,
        "{}: {:.0} s measured at {}",
        scenario.name,
        result.measured_s,
        result.target.endpoints.join(", ")
    )?;
    writeln!(
        out,
        "  {:.1} sent/s  {:.1} answered/s  {:.1} questions/s  {} failed",
        summary.sent_per_s, summary.answered_per_s, summary.questions_per_s, summary.failed
    )?;
    writeln!(
        out,
        "  {:<26}{:>10} {:>10} {:>10} {:>10} {:>10}",
        "milliseconds", "p50", "p90", "p99", "p99.9", "max"
    )?;
    times(out, "from the intended start", &summary.latency)?;
    times(out, "from the actual start", &summary.latency_from_send)?;
    if result.by_kind.len() > 1 {
        for (kind, summary) in &result.by_kind {
            times(out, &format!("  {kind}, {:.1}/s", summary.answered_per_s), &summary.latency)?;
        }
    }
    times(out, "sent after its time by", &generator.lag)?;
    let totals = &record.totals;
    for (what, hist) in [("add to match", &totals.add_to_match), ("remove to gone", &totals.remove_to_gone)] {
        if hist.count() > 0 {
            times(out, what, &Times::from(hist))?;
        }
    }
    let verdict = &totals.verdict;
    writeln!(
        out,
        "  {} questions judged, {} matches right: {} missed, {} false, {} at a wrong distance; {} answers incomplete, {} stale",
        verdict.judged,
        verdict.right,
        verdict.missed,
        verdict.false_matches,
        verdict.wrong_distance,
        verdict.incomplete,
        verdict.stale
    )?;
    for (code, count) in &totals.all_kinds().failures {
        writeln!(out, "  {code}: {count}")?;
    }
    writeln!(
        out,
        "  the generator used {:.2} cores, {:.1} us a request; {} late or unsent ({:.3} %)",
        generator.cpu_s / (result.measured_s + scenario.drive.warm_up.0.as_secs_f64()).max(1e-9),
        generator.cpu_s * 1e6 / record.seconds.values().map(|second| second.sent).sum::<u64>().max(1) as f64,
        generator.late_or_unsent,
        generator.late_or_unsent_share * 100.0
    )?;
    if generator.ran_late {
        writeln!(out, "  THE GENERATOR RAN LATE: no latency here can be believed")?;
    }
    for judgement in &result.thresholds {
        let mark = if judgement.holds { "holds " } else { "FAILS " };
        write!(out, "  {mark} {}  ({})", judgement.threshold, judgement.shown)?;
        match &judgement.because {
            Some(because) => writeln!(out, ": {because}")?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn times(out: &mut String, what: &str, times: &Times) -> std::fmt::Result {
    write!(out, "  {what:<26}")?;
    for value in [times.p50_ms, times.p90_ms, times.p99_ms, times.p999_ms, times.max_ms] {
        match value {
            Some(ms) => write!(out, "{ms:>10.2} ")?,
            None => write!(out, "{:>10} ", "-")?,
        }
    }
    writeln!(out)
}
