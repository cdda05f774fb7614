//! The harness against services that should expose its mistakes: one that stalls, one that lies, one of
//! another protocol.

mod service;
mod stall;
mod lies;
mod videos;
mod hma;
mod join;
mod ceiling;

use std::sync::Arc;
use std::time::Instant;

use vigie_model::Sequence;

use crate::judge::ledger::Ledger;
use crate::judge::truth::Truth;
use crate::report::machine::Machine;
use crate::report::result::{Ran, RunResult, TargetFacts};
use crate::run::lanes::kind::Chooser;
use crate::run::lanes::shared::Shared;
use crate::run::scenario::Scenario;
use crate::run::session::Session;
use crate::run::target::Targets;

/// Runs a scenario against a service, with a ledger that expects the log up to `sequence`.
async fn run(scenario: &Scenario, truth: Arc<Truth>, targets: &Targets, sequence: u64) -> RunResult {
    let shared = Arc::new(Shared {
        truth,
        ledger: Ledger::default(),
        chooser: Chooser::new(&scenario.mix),
        bank: None,
        live_seed: 1,
        scenario: scenario.clone(),
    });
    shared.ledger.begin(Sequence(sequence), Instant::now());
    let lanes = scenario.drive.lanes;
    let session = Session::ready(&shared, targets, 0, lanes.into()).await.unwrap();
    let ended = session.run(Session::soon(), |_, _| {}).await.unwrap();
    RunResult::from(Ran {
        scenario: scenario.clone(),
        target: TargetFacts::default(),
        began_unix_ms: ended.began_unix_ms,
        measured_s: ended.measured.as_secs_f64(),
        interrupted: false,
        processes: 1,
        lanes: lanes.into(),
        cpu_s: ended.cpu_s,
        machine: Machine::now(),
        cluster_cpu_s: crate::cluster::processors::ByRole::new(),
        faults: Vec::new(),
        record: ended.record,
    })
}
