//! `vigie-loadtest ceiling`: whether this machine can send lookups at a given rate in time.
//!
//! The lookups go to a service that does nothing, on a thread of its own. A request that is sent late here
//! would be late against any service.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use vigie_clients::Network;

use crate::Exit;
use crate::cli::CeilingArguments;
use crate::cluster::processors::ByRole;
use crate::judge::ledger::Ledger;
use crate::judge::truth::Truth;
use crate::report::machine::Machine;
use crate::report::result::{Ran, RunResult, TargetFacts};
use crate::report::text;
use crate::run::command::exit;
use crate::run::lanes::kind::Chooser;
use crate::run::lanes::shared::Shared;
use crate::run::scenario::Scenario;
use crate::run::session::Session;
use crate::run::target::Targets;
use crate::run::target::noop;
use crate::run::target::vigie::Options;

pub(crate) fn run(arguments: &CeilingArguments, out: &mut impl Write) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(measure(arguments))?;
    write!(out, "{}", text::text(&result))?;
    Ok(exit(result.outcome))
}

pub(crate) async fn measure(arguments: &CeilingArguments) -> anyhow::Result<RunResult> {
    let scenario = scenario(arguments)?;
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let url = format!("http://{}", listener.local_addr()?);
    // The service ends with the process, like its thread.
    std::thread::Builder::new().name("no-op".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { noop::serve(TcpListener::from_std(listener)?).await })
    })?;
    let mut machine = Machine::now();
    let shared = Arc::new(Shared {
        truth: Arc::new(Truth::establish(&scenario, |_| {})?),
        ledger: Ledger::default(),
        chooser: Chooser::new(&scenario.mix),
        bank: None,
        live_seed: 0,
        scenario: scenario.clone(),
    });
    let urls = [url];
    let targets = Targets::vigie(&urls, &Network::tcp(), Options::new(&scenario, Vec::new()))?;
    let session = Session::ready(&shared, &targets, 0, scenario.drive.lanes.into()).await?;
    let ended = session.run(Session::soon(), |_, _| {}).await?;
    machine.finish();
    Ok(RunResult::from(Ran {
        target: TargetFacts {
            protocol: "vigie".to_owned(),
            endpoints: vec!["a service that does nothing".to_owned()],
            own_cluster: true,
        },
        began_unix_ms: ended.began_unix_ms,
        measured_s: ended.measured.as_secs_f64(),
        interrupted: false,
        processes: 1,
        lanes: scenario.drive.lanes.into(),
        cpu_s: ended.cpu_s,
        machine,
        cluster_cpu_s: ByRole::new(),
        faults: Vec::new(),
        record: ended.record,
        scenario,
    }))
}

fn scenario(arguments: &CeilingArguments) -> anyhow::Result<Scenario> {
    let CeilingArguments { rate, lanes, connections, duration } = arguments;
    Scenario::parse(&format!(
        "name = 'ceiling'
        thresholds = ['errors == 0%', 'missed == 0', 'false == 0', 'p50 < 1h']
        data = {{ shape = 'uniform', hashes = 1000 }}
        questions = {{ pool = 2000, matching = 0.0 }}
        arrivals = {{ spacing = 'poisson', rate = {rate} }}
        drive = {{ warm_up = '1s', duration = '{duration}', lanes = {lanes}, connections = {connections} }}"
    ))
    .context("the arguments do not make a valid scenario")
}
