//! `vigie-loadtest find-max`: runs a scenario at one rate after the other, as the search says.

use std::io::Write;

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::Exit;
use crate::cli::FindMaxArguments;
use crate::judge::threshold::Threshold;
use crate::report::result::RunResult;
use crate::run::command::search::{Search, Tried};
use crate::run::command::{block_on, scenario};
use crate::run::interrupt::Interrupt;
use crate::run::prepare::{Others, Prepared};
use crate::run::say::say;
use crate::run::scenario::Scenario;

/// What has to hold at every rate, whatever else is asked for: a rate at which answers are wrong is none.
const ALWAYS: [&str; 4] = ["errors < 0.1%", "missed == 0", "false == 0", "wrong_distance == 0"];
/// The highest rate that is searched.
const RATE_MAX: f64 = 1_000_000.0;
/// What can give way first.
const GENERATOR: &str = "generator";
const TARGET: &str = "target";
/// A search ends when the gap between what held and what did not is this ratio.
const GAP: f64 = 1.05;

/// What a search came to.
#[derive(Debug, Serialize)]
struct Found {
    schema: &'static str,
    condition: String,
    /// Requests a second; `null` where none held.
    highest_rate: Option<f64>,
    /// What gave way above it: `generator`, if that could not send in time, or else `target`.
    limit: &'static str,
    /// Whether it was stopped before its end.
    interrupted: bool,
    tried: Vec<Tried>,
}

pub(crate) fn run(arguments: &FindMaxArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let Some(found) = block_on(|interrupt| search(arguments, interrupt))? else {
        return Ok(Exit::Interrupted);
    };
    if let Some(path) = &arguments.out {
        std::fs::write(path, serde_json::to_vec_pretty(&found)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&found)?)?;
    } else {
        write_text(&found, out)?;
    }
    Ok(match found.highest_rate {
        _ if found.interrupted => Exit::Interrupted,
        Some(_) => Exit::Done,
        None => Exit::ThresholdMissed,
    })
}

fn write_text(found: &Found, out: &mut impl Write) -> anyhow::Result<()> {
    for one in &found.tried {
        let p99 = one.p99_ms.map_or("-".to_owned(), |ms| format!("{ms:.2} ms"));
        let outcome = if one.held { "holds".to_owned() } else { format!("fails: {}", one.because) };
        let (rate, answered) = (one.rate, one.answered_per_s);
        writeln!(out, "  {rate:>9.0}/s  {answered:>9.0} answered/s  p99 {p99:>12}  {outcome}")?;
    }
    match found.highest_rate {
        _ if found.interrupted => writeln!(out, "the search was stopped before its end")?,
        Some(rate) => writeln!(out, "{rate:.0}/s is the highest rate at which {}", found.condition)?,
        None => writeln!(out, "there is no rate at which {}", found.condition)?,
    }
    if found.limit == GENERATOR {
        writeln!(
            out,
            "above it the generator could not send in time: this is the limit of the generator, or of a machine that is busy \
             otherwise, and not of the target"
        )?;
    }
    Ok(())
}

async fn search(arguments: &FindMaxArguments, interrupt: Interrupt) -> anyhow::Result<Found> {
    let conditions = conditions(arguments)?;
    let mut scenario = stripped(arguments, &conditions)?;
    let prepared = Prepared::new(&scenario, &arguments.target).await?;
    let mut search = Search::new(arguments.from, GAP, RATE_MAX);
    let (mut tried, mut interrupted, mut limit) = (Vec::new(), false, TARGET);
    while let Some(rate) = search.next() {
        scenario.arrivals.rate = Some(rate);
        let others = Others { followers: None, interrupt: interrupt.clone() };
        let result = prepared.run(&scenario, others, |_, _| {}).await?;
        if result.interrupted {
            interrupted = true;
            break;
        }
        let because = failure(&result);
        if because.is_some() {
            limit = if result.generator.ran_late { GENERATOR } else { TARGET };
        }
        let outcome = because.as_ref().map_or("holds".to_owned(), |because| format!("fails: {because}"));
        say(&format!("{rate:.0}/s {outcome}"));
        search.note(because.is_none());
        tried.push(Tried {
            rate,
            held: because.is_none(),
            because: because.unwrap_or_default(),
            p99_ms: result.summary.latency.p99_ms,
            answered_per_s: result.summary.answered_per_s,
        });
        tokio::time::sleep(arguments.pause.0).await;
    }
    prepared.finish(false).await?;
    Ok(Found {
        schema: "vigie-loadtest-max/1",
        condition: conditions.join(", "),
        highest_rate: search.highest(),
        limit,
        interrupted,
        tried,
    })
}

fn conditions(arguments: &FindMaxArguments) -> anyhow::Result<Vec<String>> {
    let bounds = [(0.5, arguments.p50), (0.99, arguments.p99), (0.999, arguments.p999)];
    let bounds = bounds.iter().filter_map(|(quantile, bound)| Some((quantile * 100.0, (*bound)?)));
    let mut conditions: Vec<String> =
        bounds.map(|(percent, bound)| format!("p{percent} <= {bound}")).collect();
    if conditions.is_empty() {
        bail!("say what has to hold: --p99 50ms, --p50, --p999");
    }
    conditions.extend(ALWAYS.map(str::to_owned));
    Ok(conditions)
}

/// The scenario without its arrivals and faults, under these conditions.
fn stripped(arguments: &FindMaxArguments, conditions: &[String]) -> anyhow::Result<Scenario> {
    let mut scenario = scenario(&arguments.scenario, &arguments.set)?;
    scenario.thresholds =
        conditions.iter().map(|text| text.parse()).collect::<anyhow::Result<Vec<Threshold>>>()?;
    scenario.faults.clear();
    scenario.arrivals.stages.clear();
    scenario.arrivals.trace = None;
    scenario.drive.duration = arguments.step;
    scenario.arrivals.rate = Some(arguments.from);
    scenario.check()?;
    Ok(scenario)
}

/// Why a rate does not hold.
fn failure(result: &RunResult) -> Option<String> {
    if let Some(mark) = result.unplanned().next() {
        return Some(mark.what.clone());
    }
    let failing = result.thresholds.iter().find(|judgement| !judgement.holds)?;
    let why = failing.because.as_ref().map_or(String::new(), |because| format!(", {because}"));
    Some(format!("{} ({}{why})", failing.threshold, failing.shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::tests::result;

    #[test]
    fn a_rate_at_which_answers_are_wrong_does_not_hold_however_quick_they_are() {
        let mut quick = result(&[5; 200], 0, &["p99 <= 50ms", "missed == 0"]);
        assert_eq!(failure(&quick), None);
        quick.thresholds[1].holds = false;
        assert!(failure(&quick).unwrap().contains("missed == 0"));
        let late = result(&[5; 200], 20, &["p99 <= 50ms"]);
        assert!(failure(&late).unwrap().contains("the generator ran late"));
    }
}
