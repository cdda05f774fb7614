//! `vigie-loadtest run`, `report` and `compare`, and code that all commands share.

pub(crate) mod find_max;
mod search;
pub(crate) mod ceiling;
pub(crate) mod cleanup;
pub(crate) mod cost;
pub(crate) mod versus;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;

use crate::Exit;
use crate::cli::{CompareArguments, ReportArguments, RunArguments};
use crate::report;
use crate::report::compare;
use crate::report::maximum::{self, Maximum};
use crate::report::result::{self, Outcome, RunResult};
use crate::report::text;
use crate::report::view::View;
use crate::run::descriptors;
use crate::run::interrupt::Interrupt;
use crate::run::join::{self, Followers};
use crate::run::prepare::{Others, Prepared};
use crate::run::say::say;
use crate::run::scenario::Scenario;
use crate::run::scenario::builtin::{self, UnknownScenario};
use crate::run::scenario::setting;

/// How long a cancelled command waits for its threads to end: some compare rows, some wait for a shell
/// command.
const GIVE_UP_WITHIN: Duration = Duration::from_millis(100);

/// Runs `work` and returns its result; `None` if the program was asked to end before that. In that case, and
/// after a failure, reports the banks that are left in a target.
pub(crate) fn block_on<T, F: Future<Output = anyhow::Result<T>>>(
    work: impl FnOnce(Interrupt) -> F,
) -> anyhow::Result<Option<T>> {
    descriptors::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (done, interrupt) = runtime.block_on(async {
        let interrupt = Interrupt::listen()?;
        let done = interrupt.unless_given_up(work(interrupt.clone())).await.transpose();
        anyhow::Ok((done, interrupt))
    })?;
    runtime.shutdown_timeout(GIVE_UP_WITHIN);
    if (interrupt.is_asked() || !matches!(done, Ok(Some(_))))
        && let Some(advice) = interrupt.leftovers().advice()
    {
        say(&advice);
    }
    done
}

/// Returns the exit of a run that went as its scenario describes.
pub(crate) const fn exit(outcome: Outcome) -> Exit {
    match outcome {
        Outcome::Passed => Exit::Done,
        Outcome::Failed => Exit::ThresholdMissed,
        Outcome::NotMeasurable => Exit::NotMeasurable,
    }
}

/// Prints an unknown scenario name as an error of the command line; returns all other errors unchanged.
pub(crate) fn unless_unknown(error: anyhow::Error) -> anyhow::Result<Exit> {
    let unknown = error.downcast::<UnknownScenario>()?;
    say(&format!("vigie-loadtest: {unknown}"));
    Ok(Exit::WrongCommandLine)
}

pub(crate) fn run(arguments: &RunArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    if let Some(leader) = &arguments.join {
        let followed = block_on(|_| join::follow(leader, &arguments.target.tls))?;
        return Ok(if followed.is_some() { Exit::Done } else { Exit::Interrupted });
    }
    let named = arguments.scenario.as_deref().ok_or_else(|| UnknownScenario(None).into());
    let scenario = match named.and_then(|name| scenario(name, &arguments.set)) {
        Ok(scenario) => scenario,
        Err(error) => return unless_unknown(error),
    };
    let Some(result) = block_on(|interrupt| run_scenario(arguments, &scenario, interrupt))? else {
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
    Ok(exit(result.outcome))
}

async fn run_scenario(
    arguments: &RunArguments,
    scenario: &Scenario,
    interrupt: Interrupt,
) -> anyhow::Result<RunResult> {
    let prepared = Prepared::new(scenario, &arguments.target, interrupt.leftovers()).await?;
    let result = run_prepared(arguments, scenario, &prepared, interrupt).await;
    prepared.finish(arguments.keep).await?;
    result
}

async fn run_prepared(
    arguments: &RunArguments,
    scenario: &Scenario,
    prepared: &Prepared,
    interrupt: Interrupt,
) -> anyhow::Result<RunResult> {
    let mut others = Others { followers: None, interrupt };
    if arguments.generators > 1 {
        let listener = TcpListener::bind(&arguments.listen).await.context("cannot listen for generators")?;
        let (count, at) = (arguments.generators - 1, listener.local_addr()?);
        say(&format!("waiting for {count} generators: vigie-loadtest run --join {at}"));
        others.followers = Some(Followers::gather(&listener, count).await?);
    }
    let mut view = View::new(scenario, arguments.plain);
    prepared.run(scenario, others, |part, line| view.show(part, line)).await
}

/// A result file of one of the commands.
enum Written {
    Run(Box<RunResult>),
    Maximum(Box<Maximum>),
}

fn read(path: &Path) -> anyhow::Result<Written> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let no_result = || format!("{} is no result of this program", path.display());
    let value: serde_json::Value = serde_json::from_slice(&text).with_context(no_result)?;
    match value.get("schema").and_then(serde_json::Value::as_str) {
        Some(result::SCHEMA) => {
            let result: RunResult = serde_json::from_value(value).with_context(no_result)?;
            Ok(Written::Run(Box::new(result.with_outcome())))
        }
        Some(maximum::SCHEMA) => Ok(Written::Maximum(serde_json::from_value(value).with_context(no_result)?)),
        Some(schema) => {
            bail!("{} is of the schema {schema}, which this program does not read", path.display())
        }
        None => Err(anyhow::anyhow!("it names no schema").context(no_result())),
    }
}

fn read_run(path: &Path) -> anyhow::Result<RunResult> {
    match read(path)? {
        Written::Run(result) => Ok(*result),
        Written::Maximum(_) => {
            bail!("{} is a result of find-max; only results of `run` can be compared", path.display())
        }
    }
}

pub(crate) fn report(arguments: &ReportArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    match read(&arguments.result)? {
        Written::Run(result) => {
            let folder = folder(Some(&arguments.out), &result.scenario.name)?;
            report::write(&folder, &result)?;
            write!(out, "{}", text::text(&result))?;
            Ok(exit(result.outcome))
        }
        Written::Maximum(found) => {
            let folder = folder(Some(&arguments.out), &found.scenario.name)?;
            maximum::write(&folder, &found)?;
            write!(out, "{}", maximum::text::text(&found))?;
            Ok(exit(found.outcome()))
        }
    }
}

pub(crate) fn compare(arguments: &CompareArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let (a, b) = (read_run(&arguments.a)?, read_run(&arguments.b)?);
    let compared = compare::compare(&a, &b)
        .context("a run has no whole second after its warm-up, so there is nothing to compare")?;
    if !compared.differences.is_empty() && !arguments.force {
        bail!(
            "A and B are not comparable: they differ in\n{}--force compares them all the same",
            compare::text::listed(&compared.differences)
        );
    }
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string(&compared)?)?;
    } else {
        write!(out, "{}", compare::text::text(&compared))?;
    }
    Ok(if compared.worse && arguments.strict { Exit::ThresholdMissed } else { Exit::Done })
}

/// Reads the scenario from a file, or takes the built-in one of that name, and applies the command line's
/// settings.
pub(crate) fn scenario(name: &str, set: &[String]) -> anyhow::Result<Scenario> {
    let path = Path::new(name);
    let mut table = if path.is_file() {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        text.parse::<toml::Table>().with_context(|| format!("{} is not TOML", path.display()))?
    } else {
        builtin::table(name).ok_or_else(|| UnknownScenario(Some(name.to_owned())))??
    };
    for setting in set {
        setting::apply(&mut table, setting)?;
    }
    let text = toml::to_string(&table)?;
    let mut scenario = Scenario::parse(&text).with_context(|| format!("{name} is no scenario"))?;
    // The path of a trace is relative to the scenario's file.
    if let (Some(trace), Some(folder)) = (&scenario.arrivals.trace, path.parent()) {
        scenario.arrivals.trace = Some(folder.join(trace));
    }
    Ok(scenario)
}

pub(crate) fn folder(out: Option<&Path>, name: &str) -> anyhow::Result<PathBuf> {
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
        assert!(said.contains("holds          p99 < 20ms"), "{said}");
        let (exit, said) = report_of(21);
        assert_eq!(exit, Exit::ThresholdMissed);
        assert!(said.contains("FAILS          p99 < 20ms"), "{said}");
    }

    #[test]
    fn what_a_late_generator_measured_ends_in_another_way_than_a_failure() {
        assert_eq!(exit(result(&[5; 300], 20, &["p99 < 20ms"]).outcome), Exit::NotMeasurable);
        assert_eq!(exit(result(&[5; 300], 20, &["p99 < 20ms", "stale == 1"]).outcome), Exit::ThresholdMissed);
    }

    #[test]
    fn runs_of_different_scenarios_are_refused_by_their_differences_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, rate: f64| {
            let mut result = result(&[5; 1_200], 0, &[]);
            result.scenario.arrivals.rate = Some(rate);
            let path = folder.path().join(name);
            std::fs::write(&path, serde_json::to_vec(&result).unwrap()).unwrap();
            path
        };
        let (a, b) = (write("a.json", 100.0), write("b.json", 200.0));
        let mut arguments = CompareArguments { a, b, json: false, strict: false, force: false };
        let mut said = Vec::new();
        let refused = compare(&arguments, &mut said).unwrap_err().to_string();
        assert!(
            refused.contains("arrivals.rate: 100.0 in A, 200.0 in B") && refused.contains("--force"),
            "{refused}"
        );
        assert!(said.is_empty());
        arguments.force = true;
        assert_eq!(compare(&arguments, &mut said).unwrap(), Exit::Done);
        assert!(String::from_utf8(said).unwrap().contains("NOT COMPARABLE"));
        arguments.b.clone_from(&arguments.a);
        arguments.force = false;
        compare(&arguments, &mut Vec::new()).unwrap();
    }

    #[test]
    fn a_file_that_is_no_result_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        for (text, expected) in [
            ("{}", "it names no schema"),
            ("nonsense", "is no result of this program"),
            (r#"{"schema":"vigie-loadtest/9"}"#, "is of the schema vigie-loadtest/9"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = format!("{:#}", read_run(&path).unwrap_err());
            assert!(error.contains(expected) && error.contains("x.json"), "{error}");
        }
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
        let unknown = scenario("nothing", &[]).unwrap_err();
        assert!(unknown.to_string().contains("  smoke "), "{unknown}");
        assert_eq!(unless_unknown(unknown).unwrap(), Exit::WrongCommandLine);
        assert!(unless_unknown(anyhow::anyhow!("of another kind")).is_err());
    }
}
