//! `vigie-loadtest run`, `report` and `compare`, and what the commands have in common.

pub(crate) mod find_max;
mod search;
pub(crate) mod ceiling;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;

use crate::Exit;
use crate::cli::{CompareArguments, ReportArguments, RunArguments};
use crate::report;
use crate::report::compare;
use crate::report::result::RunResult;
use crate::report::text;
use crate::report::view::View;
use crate::run::descriptors;
use crate::run::interrupt::Interrupt;
use crate::run::join::{self, Followers};
use crate::run::prepare::{Others, Prepared};
use crate::run::say::say;
use crate::run::scenario::Scenario;
use crate::run::scenario::{builtin, setting};

/// How long threads that compare rows, or wait for a command, are waited for when all is given up.
const GIVE_UP_WITHIN: Duration = Duration::from_millis(100);

/// What `work` comes to; `None` if the program is asked to end meanwhile.
pub(crate) fn block_on<T, F: Future<Output = anyhow::Result<T>>>(
    work: impl FnOnce(Interrupt) -> F,
) -> anyhow::Result<Option<T>> {
    descriptors::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let done = runtime.block_on(async {
        let interrupt = Interrupt::listen()?;
        interrupt.unless_given_up(work(interrupt.clone())).await.transpose()
    });
    runtime.shutdown_timeout(GIVE_UP_WITHIN);
    done
}

pub(crate) fn run(arguments: &RunArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    if let Some(leader) = &arguments.join {
        let followed = block_on(|_| join::follow(leader, &arguments.target.tls))?;
        return Ok(if followed.is_some() { Exit::Done } else { Exit::Interrupted });
    }
    let Some(result) = block_on(|interrupt| run_scenario(arguments, interrupt))? else {
        return Ok(Exit::Interrupted);
    };
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
    if result.interrupted {
        return Ok(Exit::Interrupted);
    }
    let unplanned: Vec<&str> = result.unplanned().map(|mark| mark.what.as_str()).collect();
    if !unplanned.is_empty() {
        bail!("this was not the run that the scenario describes: {}", unplanned.join("; "));
    }
    Ok(if result.passed { Exit::Done } else { Exit::ThresholdMissed })
}

async fn run_scenario(arguments: &RunArguments, interrupt: Interrupt) -> anyhow::Result<RunResult> {
    let name = arguments.scenario.as_deref().context("name a scenario")?;
    let scenario = scenario(name, &arguments.set)?;
    let prepared = Prepared::new(&scenario, &arguments.target).await?;
    let mut others = Others { followers: None, interrupt };
    if arguments.generators > 1 {
        let listener = TcpListener::bind(&arguments.listen).await.context("cannot listen for generators")?;
        let (count, at) = (arguments.generators - 1, listener.local_addr()?);
        say(&format!("waiting for {count} generators: vigie-loadtest run --join {at}"));
        others.followers = Some(Followers::gather(&listener, count).await?);
    }
    let mut view = View::new(&scenario, arguments.plain);
    let result = prepared.run(&scenario, others, |part, line| view.tell(part, line)).await;
    prepared.finish(arguments.keep).await?;
    result
}

/// The result that a run has written.
fn read(path: &Path) -> anyhow::Result<RunResult> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let result: RunResult =
        serde_json::from_slice(&text).with_context(|| format!("{} is no result", path.display()))?;
    if result.schema != crate::report::result::SCHEMA {
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
    let compared =
        compare::compare(&a, &b).context("there is not one whole second in both that could be compared")?;
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&compared)?)?;
    } else {
        write!(out, "{}", compare::text::text(&compared))?;
    }
    Ok(if compared.worse && arguments.strict { Exit::ThresholdMissed } else { Exit::Done })
}

/// The scenario of a file or of that name, with what the command line sets.
pub(crate) fn scenario(name: &str, set: &[String]) -> anyhow::Result<Scenario> {
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
    use crate::report::result::tests::result;

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
