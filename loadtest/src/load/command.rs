//! `vigie-loadtest run`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use rand::RngExt as _;
use vigie_clients::{BankClient, IdempotencyKey};
use vigie_model::{BankName, Sequence};

use crate::Exit;
use crate::cli::RunArguments;
use crate::load::drive::Shared;
use crate::load::fill;
use crate::load::kind::Chooser;
use crate::load::ledger::Ledger;
use crate::load::request::Bank;
use crate::load::result::{Ran, RunResult, TargetFacts};
use crate::load::scenario::Scenario;
use crate::load::session::{self, Session, Targets};
use crate::load::target::vigie::Options;
use crate::load::truth::Truth;
use crate::machine::Machine;

/// How long a cluster may take to hold the data after the bank does.
const READY_WITHIN: Duration = Duration::from_secs(600);

pub(crate) fn run(arguments: &RunArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let result = runtime.block_on(run_scenario(arguments))?;
    let folder = folder(arguments, &result)?;
    write_files(&folder, &result)?;
    if arguments.json {
        let mut value = serde_json::to_value(&result)?;
        if let Some(object) = value.as_object_mut() {
            object.remove("record");
        }
        writeln!(out, "{value}")?;
    } else {
        write!(out, "{}", crate::load::text::text(&result))?;
        writeln!(out, "results: {}", folder.display())?;
    }
    Ok(if result.passed { Exit::Done } else { Exit::ThresholdMissed })
}

async fn run_scenario(arguments: &RunArguments) -> anyhow::Result<RunResult> {
    let scenario = scenario(arguments)?;
    let mut machine = Machine::now();
    say(&format!("{}: working out what is true of {} questions", scenario.name, scenario.questions.pool));
    let truth = {
        let scenario = scenario.clone();
        tokio::task::spawn_blocking(move || Truth::establish(&scenario)).await??
    };
    let bank_name: BankName = scenario.bank().parse()?;
    if arguments.target.target.is_empty() {
        bail!("name a frontend with --target");
    }
    let mut banks = vec![bank_name.to_string()];
    let live = live_name()?;
    let writes = scenario.mix.writes();
    let bank = match &arguments.target.bank_url {
        Some(url) if writes => {
            let client = BankClient::new(url)?;
            banks.push(live.to_string());
            Some(Bank { client, live: live.clone() })
        }
        None if writes => bail!("the scenario writes, so --bank-url has to say where"),
        _ => None,
    };
    let truth = Arc::new(truth);
    let mut sequence = Sequence(0);
    if let Some(url) = &arguments.target.bank_url {
        let rows = Arc::clone(&truth.rows);
        let mut told = Instant::now();
        let filled = fill::fill(url, &bank_name, &rows, |items, took| {
            if told.elapsed() > Duration::from_secs(1) {
                told = Instant::now();
                say(&format!("{items} of {} items added, {:.0}/s", rows.count(), per_s(items, took)));
            }
        })
        .await?;
        sequence = filled.sequence;
        if filled.items > 0 {
            let rate = per_s(filled.items, filled.took);
            say(&format!("added {} items in {:.1} s, {rate:.0}/s", filled.items, filled.took.as_secs_f64()));
        }
    }
    if let Some(bank) = &bank {
        let deadline = Instant::now() + Duration::from_secs(10);
        let made = bank.client.create_bank(&live, IdempotencyKey::random(), deadline.into()).await;
        sequence = made.context("cannot create the bank that this run writes to")?.sequence;
    }
    let targets = Targets::new(&arguments.target.target, Options::new(&scenario, banks))?;
    session::wait_ready(&targets, sequence, READY_WITHIN).await?;

    let shared = Arc::new(Shared {
        scenario: scenario.clone(),
        truth: Arc::clone(&truth),
        ledger: Ledger::default(),
        chooser: Chooser::new(&scenario.mix),
        bank: bank.clone(),
        live_seed: rand::rng().random(),
    });
    shared.ledger.begin(sequence, Instant::now());
    let lanes = u64::from(scenario.drive.lanes);
    let session = Session::ready(&shared, &targets, 0, lanes).await?;
    let stop = session.stop.clone();
    let interrupted = tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    let ended = session
        .run(Session::soon(), |_, line| {
            if let Some(line) = line {
                say(&line);
            }
        })
        .await;
    interrupted.abort();
    if let Some(bank) = &bank {
        let deadline = Instant::now() + Duration::from_secs(30);
        if let Err(error) = bank.client.delete_bank(&live, IdempotencyKey::random(), deadline.into()).await {
            say(&format!("the bank {live} is left behind: {error}"));
        }
    }
    let ended = ended?;
    machine.finish();
    Ok(RunResult::from(Ran {
        target: TargetFacts {
            protocol: "vigie".to_owned(),
            endpoints: arguments.target.target.clone(),
            own_cluster: false,
        },
        began_unix_ms: ended.began_unix_ms,
        measured_s: ended.measured.as_secs_f64(),
        processes: 1,
        lanes: scenario.drive.lanes.into(),
        cpu_s: ended.cpu_s,
        machine,
        faults: Vec::new(),
        record: ended.record,
        scenario,
    }))
}

fn per_s(items: u64, took: Duration) -> f64 {
    items as f64 / took.as_secs_f64().max(1e-9)
}

/// Progress goes to standard error: standard output is for results.
fn say(line: &str) {
    eprintln!("{line}");
}

fn live_name() -> anyhow::Result<BankName> {
    Ok(format!("load-live-{:016x}", rand::rng().random::<u64>()).parse()?)
}

/// The scenario of a file or of that name, with what the command line sets.
fn scenario(arguments: &RunArguments) -> anyhow::Result<Scenario> {
    let path = Path::new(&arguments.scenario);
    let mut table = if path.exists() {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        text.parse::<toml::Table>().with_context(|| format!("{} is not TOML", path.display()))?
    } else {
        crate::load::builtin::table(&arguments.scenario)?
    };
    for setting in &arguments.set {
        crate::load::setting::apply(&mut table, setting)?;
    }
    let text = toml::to_string(&table)?;
    let mut scenario =
        Scenario::parse(&text).with_context(|| format!("{} is no scenario", arguments.scenario))?;
    // A trace lies beside the scenario that names it.
    if let (Some(trace), Some(folder)) = (&scenario.arrivals.trace, path.parent()) {
        scenario.arrivals.trace = Some(folder.join(trace));
    }
    Ok(scenario)
}

fn folder(arguments: &RunArguments, result: &RunResult) -> anyhow::Result<PathBuf> {
    let folder = match &arguments.out {
        Some(folder) => folder.clone(),
        None => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
            PathBuf::from("loadtest-results").join(format!("{}-{now}", result.scenario.name))
        }
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

fn write_files(folder: &Path, result: &RunResult) -> anyhow::Result<()> {
    let file = |name: &str, content: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    };
    file("result.json", &serde_json::to_vec(result)?)?;
    Ok(())
}
