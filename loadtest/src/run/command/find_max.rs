//! `vigie-loadtest find-max`: runs a scenario at a series of rates that the search chooses.

use std::io::Write;

use anyhow::bail;

use crate::Exit;
use crate::cli::FindMaxArguments;
use crate::judge::threshold::Threshold;
use crate::report::maximum::{self, Maximum, Step, rate_text};
use crate::report::result::RunResult;
use crate::report::text::wrapped;
use crate::run::command::search::Search;
use crate::run::command::{block_on, exit, folder, scenario, unless_unknown};
use crate::run::interrupt::Interrupt;
use crate::run::prepare::{Others, Prepared};
use crate::run::say::say;
use crate::run::scenario::Scenario;

/// The conditions at every rate, in addition to the requested ones: a rate with wrong answers does not count.
const ALWAYS: [&str; 5] =
    ["errors < 0.1%", "missed == 0", "false == 0", "wrong_distance == 0", "wrong_evidence == 0"];
/// The highest rate that is tried, in requests per second.
const RATE_MAX: f64 = 1_000_000.0;
/// A search ends when the ratio of the lowest failed rate to the highest held one is at most this.
const GAP: f64 = 1.05;

pub(crate) fn run(arguments: &FindMaxArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let conditions = conditions(arguments)?;
    let scenario = match stripped(arguments, &conditions) {
        Ok(scenario) => scenario,
        Err(error) => return unless_unknown(error),
    };
    let Some(found) = block_on(|interrupt| search(arguments, scenario, &conditions, interrupt))? else {
        return Ok(Exit::Interrupted);
    };
    // A search that was stopped in its first step has no result.
    let Some(found) = found else { return Ok(Exit::Interrupted) };
    let folder = folder(arguments.out.as_deref(), &format!("find-max-{}", found.scenario.name))?;
    maximum::write(&folder, &found)?;
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&found)?)?;
    } else {
        write!(out, "{}", maximum::text::text(&found))?;
        writeln!(out, "  report: {}", folder.join("report.html").display())?;
    }
    Ok(if found.interrupted { Exit::Interrupted } else { exit(found.outcome()) })
}

async fn search(
    arguments: &FindMaxArguments,
    scenario: Scenario,
    conditions: &[String],
    interrupt: Interrupt,
) -> anyhow::Result<Option<Maximum>> {
    let prepared = Prepared::new(&scenario, &arguments.target, interrupt.leftovers()).await?;
    let found = climb(arguments, scenario, conditions, &prepared, interrupt).await;
    prepared.finish(false).await?;
    found
}

/// Runs the rates that the search chooses.
async fn climb(
    arguments: &FindMaxArguments,
    mut scenario: Scenario,
    conditions: &[String],
    prepared: &Prepared,
    interrupt: Interrupt,
) -> anyhow::Result<Option<Maximum>> {
    let mut search = Search::new(arguments.from, GAP, RATE_MAX);
    let (mut tried, mut interrupted, mut first, mut machine) = (Vec::new(), false, None, None);
    while let Some(rate) = search.next() {
        scenario.arrivals.rate = Some(rate);
        let others = Others { followers: None, interrupt: interrupt.clone() };
        let result = prepared.run(&scenario, others, |_, _| {}).await?;
        if result.interrupted {
            interrupted = true;
            break;
        }
        let step = Step::new(rate, &result, failure(&result));
        let outcome = if step.held { "holds" } else { step.because.as_str() };
        say(wrapped("", &format!("{}: {outcome}", rate_text(rate))).trim_end());
        search.note(step.held);
        tried.push(step);
        first.get_or_insert((result.target, result.began_unix_ms));
        machine = Some(result.generator.machine);
        tokio::time::sleep(arguments.pause.0).await;
    }
    let (Some((target, began_unix_ms)), Some(machine)) = (first, machine) else { return Ok(None) };
    let (limit, because) = maximum::limit(search.highest(), &tried);
    Ok(Some(Maximum {
        schema: maximum::SCHEMA.to_owned(),
        scenario,
        target,
        began_unix_ms,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        machine,
        condition: conditions.join(", "),
        highest_rate: search.highest(),
        limit,
        because,
        interrupted,
        tried,
    }))
}

fn conditions(arguments: &FindMaxArguments) -> anyhow::Result<Vec<String>> {
    let bounds = [(0.5, arguments.p50), (0.99, arguments.p99), (0.999, arguments.p999)];
    let bounds = bounds.iter().filter_map(|(quantile, bound)| Some((quantile * 100.0, (*bound)?)));
    let mut conditions: Vec<String> =
        bounds.map(|(percent, bound)| format!("p{percent} <= {bound}")).collect();
    if conditions.is_empty() {
        bail!("no limit is given: name at least one of --p50, --p99 and --p999, such as --p99 50ms");
    }
    conditions.extend(ALWAYS.map(str::to_owned));
    Ok(conditions)
}

/// Returns the scenario without its arrivals and faults, with these conditions as thresholds.
fn stripped(arguments: &FindMaxArguments, conditions: &[String]) -> anyhow::Result<Scenario> {
    let mut scenario = scenario(&arguments.scenario, &arguments.set)?;
    scenario.thresholds =
        conditions.iter().map(|text| text.parse()).collect::<anyhow::Result<Vec<Threshold>>>()?;
    scenario.faults.clear();
    scenario.arrivals.stages.clear();
    scenario.arrivals.trace = None;
    scenario.arrivals.closed = None;
    scenario.drive.duration = arguments.step;
    scenario.arrivals.rate = Some(arguments.from);
    scenario.check()?;
    Ok(scenario)
}

/// Returns the reason why a rate does not hold; `None` if it does.
fn failure(result: &RunResult) -> Option<String> {
    if let Some(mark) = result.unplanned().next() {
        return Some(mark.what.clone());
    }
    let failing = || result.thresholds.iter().filter(|judgement| !judgement.holds);
    // A failure that is certainly the target's is reported before one that may be the generator's.
    let failing = failing().find(|judgement| !judgement.not_measurable).or_else(|| failing().next())?;
    if failing.not_measurable {
        let share = result.generator.late_or_unsent_share * 100.0;
        return Some(format!(
            "the generator ran late ({share:.1} % of the requests late or unsent), so `{}` cannot be judged",
            failing.threshold
        ));
    }
    let why = failing.because.as_ref().map_or(String::new(), |because| format!(", {because}"));
    Some(format!("{} does not hold ({}{why})", failing.threshold, failing.shown))
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
