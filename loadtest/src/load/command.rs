//! `vigie-loadtest run`, `find-max`, `report` and `compare`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::Exit;
use crate::cli::{CompareArguments, FindMaxArguments, ReportArguments, RunArguments};
use crate::load::compare::{self, Direction};
use crate::load::join::{self, Followers};
use crate::load::prepare::{Others, Prepared, say};
use crate::load::result::RunResult;
use crate::load::scenario::Scenario;
use crate::load::search::{Search, Tried};
use crate::load::threshold::Threshold;
use crate::load::view::View;
use crate::load::{builtin, report, setting, text};

/// A step of a search is no failure of a service that answers all but this share.
const ERRORS_MAX: &str = "errors < 0.1%";
/// The highest rate that is searched.
const RATE_MAX: f64 = 1_000_000.0;
/// A search ends when the gap between what held and what did not is this ratio.
const GAP: f64 = 1.05;

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

pub(crate) fn run(arguments: &RunArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    if let Some(leader) = &arguments.join {
        runtime()?.block_on(join::follow(leader))?;
        return Ok(Exit::Done);
    }
    let result = runtime()?.block_on(run_scenario(arguments))?;
    let folder = folder(arguments.out.as_deref(), &result.scenario.name)?;
    report::write(&folder, &result)?;
    if arguments.json {
        let mut value = serde_json::to_value(&result)?;
        if let Some(object) = value.as_object_mut() {
            object.remove("record");
            object.insert("verdict".to_owned(), serde_json::to_value(result.record.totals.verdict)?);
        }
        writeln!(out, "{value}")?;
    } else {
        write!(out, "{}", text::text(&result))?;
        writeln!(out, "  report: {}", folder.join("report.html").display())?;
    }
    Ok(if result.passed { Exit::Done } else { Exit::ThresholdMissed })
}

async fn run_scenario(arguments: &RunArguments) -> anyhow::Result<RunResult> {
    let name = arguments.scenario.as_deref().context("name a scenario")?;
    let scenario = scenario(name, &arguments.set)?;
    let prepared = Prepared::new(&scenario, &arguments.target).await?;
    let mut others = Others::default();
    if arguments.generators > 1 {
        let listener = TcpListener::bind(&arguments.listen).await.context("cannot listen for generators")?;
        let (count, at) = (arguments.generators - 1, listener.local_addr()?);
        say(&format!("waiting for {count} generators: vigie-loadtest run --join {at}"));
        others.followers = Some(Followers::gather(&listener, count).await?);
    }
    let (warm_up, length) = (scenario.drive.warm_up.0.as_secs(), scenario.length().as_secs());
    let mut view = View::new(&scenario.name, warm_up, length, arguments.plain);
    let result = prepared.run(&scenario, others, |part, line| view.tell(part, line)).await;
    prepared.finish(arguments.keep).await?;
    result
}

/// What a search came to.
#[derive(Debug, Serialize)]
struct Found<'a> {
    schema: &'static str,
    condition: String,
    /// Requests a second; `null` where none held.
    highest_rate: Option<f64>,
    tried: &'a [Tried],
}

pub(crate) fn find_max(arguments: &FindMaxArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let (condition, highest, tried) = runtime()?.block_on(search(arguments))?;
    let found = Found { schema: "vigie-loadtest-max/1", condition, highest_rate: highest, tried: &tried };
    if let Some(path) = &arguments.out {
        std::fs::write(path, serde_json::to_vec_pretty(&found)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&found)?)?;
    } else {
        for one in &tried {
            let p99 = one.p99_ms.map_or("-".to_owned(), |ms| format!("{ms:.2} ms"));
            let outcome = if one.held { "holds".to_owned() } else { format!("fails: {}", one.because) };
            writeln!(
                out,
                "  {:>9.0}/s  {:>9.0} answered/s  p99 {p99:>12}  {outcome}",
                one.rate, one.answered_per_s
            )?;
        }
        match highest {
            Some(rate) => writeln!(out, "{rate:.0}/s is the highest rate at which {}", found.condition)?,
            None => writeln!(out, "there is no rate at which {}", found.condition)?,
        }
    }
    Ok(if highest.is_some() { Exit::Done } else { Exit::ThresholdMissed })
}

async fn search(arguments: &FindMaxArguments) -> anyhow::Result<(String, Option<f64>, Vec<Tried>)> {
    let mut scenario = scenario(&arguments.scenario, &arguments.set)?;
    let bounds = [(0.5, arguments.p50), (0.99, arguments.p99), (0.999, arguments.p999)];
    let bounds = bounds.iter().filter_map(|(quantile, bound)| Some((quantile * 100.0, (*bound)?)));
    let mut conditions: Vec<String> =
        bounds.map(|(percent, bound)| format!("p{percent} <= {bound}")).collect();
    if conditions.is_empty() {
        bail!("say what has to hold: --p99 50ms, --p50, --p999");
    }
    conditions.push(ERRORS_MAX.to_owned());
    let condition = conditions.join(" and ");
    scenario.thresholds =
        conditions.iter().map(|text| text.parse()).collect::<anyhow::Result<Vec<Threshold>>>()?;
    scenario.faults.clear();
    scenario.arrivals.stages.clear();
    scenario.arrivals.trace = None;
    scenario.drive.duration = arguments.step;
    scenario.arrivals.rate = Some(arguments.from);
    scenario.check()?;
    let prepared = Prepared::new(&scenario, &arguments.target).await?;
    let mut search = Search::new(arguments.from, GAP, RATE_MAX);
    let mut tried = Vec::new();
    while let Some(rate) = search.next() {
        scenario.arrivals.rate = Some(rate);
        let result = prepared.run(&scenario, Others::default(), |_, _| {}).await?;
        let failing = result.thresholds.iter().find(|judgement| !judgement.holds);
        let because = failing.map_or(String::new(), |judgement| {
            let why = judgement.because.as_ref().map_or(String::new(), |because| format!(", {because}"));
            format!("{} ({}{why})", judgement.threshold, judgement.shown)
        });
        let held = failing.is_none();
        say(&format!("{rate:.0}/s {}", if held { "holds".to_owned() } else { format!("fails: {because}") }));
        search.note(held);
        tried.push(Tried {
            rate,
            held,
            because,
            p99_ms: result.summary.latency.p99_ms,
            answered_per_s: result.summary.answered_per_s,
        });
        if arguments.pause.0 > std::time::Duration::ZERO {
            tokio::time::sleep(arguments.pause.0).await;
        }
    }
    prepared.finish(false).await?;
    Ok((condition, search.highest(), tried))
}

/// The result that a run has written.
fn read(path: &Path) -> anyhow::Result<RunResult> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let result: RunResult =
        serde_json::from_slice(&text).with_context(|| format!("{} is no result", path.display()))?;
    if result.schema != crate::load::result::SCHEMA {
        bail!("{} is of the schema {}", path.display(), result.schema);
    }
    Ok(result)
}

pub(crate) fn report(arguments: &ReportArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let result = read(&arguments.result)?;
    let folder = folder(Some(&arguments.out), &result.scenario.name)?;
    report::write(&folder, &result)?;
    write!(out, "{}", text::text(&result))?;
    Ok(if result.passed { Exit::Done } else { Exit::ThresholdMissed })
}

pub(crate) fn compare(arguments: &CompareArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let (a, b) = (read(&arguments.a)?, read(&arguments.b)?);
    let changes = compare::compare(&a, &b);
    if changes.is_empty() {
        bail!("there is not one whole second in both that could be compared");
    }
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&changes)?)?;
    } else {
        write!(out, "{}", compare::text(&a, &b, &changes))?;
    }
    let worse = changes.iter().any(|change| change.verdict == Direction::Worse);
    Ok(if worse && arguments.strict { Exit::ThresholdMissed } else { Exit::Done })
}

/// The scenario of a file or of that name, with what the command line sets.
fn scenario(name: &str, set: &[String]) -> anyhow::Result<Scenario> {
    let path = Path::new(name);
    let mut table = if path.is_file() {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        text.parse::<toml::Table>().with_context(|| format!("{} is not TOML", path.display()))?
    } else {
        builtin::table(name)?
    };
    for setting in set {
        setting::apply(&mut table, setting)?;
    }
    let text = toml::to_string(&table)?;
    let mut scenario = Scenario::parse(&text).with_context(|| format!("{name} is no scenario"))?;
    // A trace lies beside the scenario that names it.
    if let (Some(trace), Some(folder)) = (&scenario.arrivals.trace, path.parent()) {
        scenario.arrivals.trace = Some(folder.join(trace));
    }
    Ok(scenario)
}

fn folder(out: Option<&Path>, name: &str) -> anyhow::Result<PathBuf> {
    let folder = match out {
        Some(folder) => folder.to_owned(),
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
            PathBuf::from("loadtest-results").join(format!("{name}-{now}"))
        }
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::result::tests::result;

    fn report_of(latency_ms: u64) -> (Exit, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result.json");
        let result = result(&[latency_ms; 300], 0, &["p99 < 20ms"]);
        std::fs::write(&path, serde_json::to_vec(&result).unwrap()).unwrap();
        let mut said = Vec::new();
        let arguments = ReportArguments { result: path, out: folder.path().join("again") };
        let exit = report(&arguments, &mut said).unwrap();
        assert!(arguments.out.join("report.html").is_file());
        (exit, String::from_utf8(said).unwrap())
    }

    #[test]
    fn a_threshold_that_does_not_hold_decides_how_the_program_ends() {
        let (exit, said) = report_of(19);
        assert_eq!(exit, Exit::Done);
        assert!(said.contains("holds  p99 < 20ms"), "{said}");
        let (exit, said) = report_of(21);
        assert_eq!(exit, Exit::ThresholdMissed);
        assert!(said.contains("FAILS  p99 < 20ms"), "{said}");
    }

    #[test]
    fn a_scenario_is_a_file_or_one_that_comes_along_and_the_command_line_overrules_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.toml");
        std::fs::write(&path, "name = 'own'\n[arrivals]\ntrace = 'trace.csv'\n").unwrap();
        let own = scenario(path.to_str().unwrap(), &[]).unwrap();
        assert_eq!(own.arrivals.trace, Some(folder.path().join("trace.csv")));
        let set = ["arrivals.rate=7".to_owned(), "drive.duration=3s".to_owned()];
        let changed = scenario("steady", &set).unwrap();
        assert_eq!((changed.arrivals.rate, changed.drive.duration.0.as_secs()), (Some(7.0), 3));
        assert!(scenario("nothing", &[]).is_err());
    }
}
