//! The fault rig: random subsets of the replicas of a real cluster, also whole shards, are stopped, killed
//! and cut off while lookups continue. Every answer is either complete and right, or names what is missing
//! and is right about the rest.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use rustix::process::Signal;
use tokio::task::JoinSet;
use vigie_clients::{BankClient, CoordinatorClient};
use vigie_harness::cluster::{Cluster, Replica};
use vigie_harness::isolation::{Host, Network};
use vigie_model::{Sequence, ShardCount};

use crate::material::generator;
use crate::workload::{LookupTally, Lookups, Workload};

/// The time limit for the cluster to be complete again; beyond it the cluster counts as stuck.
const WHOLE_WITHIN: Duration = Duration::from_secs(120);
/// The time limit for an answer in a round; beyond it the cluster counts as stuck. A lookup has a second.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// The pause between two lookups, so that the cluster itself gets processor time.
const REST: Duration = Duration::from_millis(2);

/// A fault of a matcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// SIGSTOP: its connections stay open, and it does not answer.
    Stopped,
    /// SIGKILL: its connections are reset, and new ones refused.
    Killed,
    /// All its packets are dropped in both directions. The matcher itself keeps running.
    CutOff,
}

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct FaultPlan {
    /// The path of the binary.
    pub vigie: PathBuf,
    /// The folder for data and logs of the processes.
    pub folder: PathBuf,
    /// Number of shards.
    pub shard_count: u16,
    /// Number of matchers per shard.
    pub replica_count: u16,
    /// The network on which matchers have hosts of their own, so that they can be cut off; `None` without
    /// that fault.
    pub network: Option<Arc<Network>>,
    /// Number of tasks that look up.
    pub readers: u64,
    /// The least number of answers that have to be checked against the ledger while a replica is away.
    pub answers: u64,
    /// Number of rounds of faults between two comparisons of everything.
    pub rounds_between_checks: u64,
    /// The longest duration of a round's faults.
    pub pause_max: Duration,
    /// The seed of victims, faults and moments.
    pub seed: u64,
}

/// The result of a run.
#[derive(Debug, Clone, Default)]
pub struct FaultReport {
    /// Counts of the answers.
    pub lookups: LookupTally,
    /// Number of answers while a replica was away.
    pub answers_under_faults: u64,
    /// Number of times that a matcher was stopped.
    pub stopped: u64,
    /// Number of times that a matcher was killed.
    pub killed: u64,
    /// Number of times that a matcher was cut off.
    pub cut_off: u64,
    /// Number of rounds in which a shard had no matcher left.
    pub rounds_without_a_shard: u64,
    /// Number of rounds.
    pub rounds: u64,
    /// Number of comparisons of everything.
    pub checks: u64,
    /// The longest time until the cluster was complete again.
    pub whole_after_max: Duration,
    /// The duration of the run.
    pub took: Duration,
}

/// Runs a plan to its end; fails if a guarantee is broken.
pub async fn run(plan: &FaultPlan, log: impl Fn(&str)) -> anyhow::Result<FaultReport> {
    let began = Instant::now();
    let mut rng = generator(plan.seed);
    let mut cluster = Cluster::of(&plan.vigie)
        .folder(&plan.folder)
        .shards(plan.shard_count)
        .replicas(plan.replica_count)
        .frontends(0)
        .network(plan.network.clone())
        .set(["matcher.snapshot_changes=500"])
        .start()?;
    let replicas = cluster.matchers().to_vec();
    let (bank, coordinator) = (cluster.bank_client()?, cluster.coordinator_client()?);
    let workload = Arc::new(Workload::new(WHOLE_WITHIN, REST));
    let lookups = Arc::new(Lookups::default());
    cluster.wait_ready(Sequence::ZERO, WHOLE_WITHIN).await?;
    workload.prepare(&bank).await?;

    let mut tasks = JoinSet::new();
    let (writer, to, draws) = (Arc::clone(&workload), bank.clone(), generator(rng.random()));
    tasks.spawn(async move { writer.write(&to, draws).await });
    let shard_count = ShardCount::new(plan.shard_count.into())?;
    for _ in 0..plan.readers {
        let (workload, lookups, draws) =
            (Arc::clone(&workload), Arc::clone(&lookups), generator(rng.random()));
        let coordinator = coordinator.clone();
        tasks.spawn(async move { workload.look_up(&coordinator, shard_count, &lookups, draws).await });
    }

    let mut report = FaultReport::default();
    while report.answers_under_faults < plan.answers {
        report.rounds += 1;
        let struck = draw_faults(plan, &replicas, &mut rng);
        strike(&mut cluster, &struck, &mut report)?;
        let before = lookups.tally().answers();
        let is_away =
            |shard: u16| replicas.iter().filter(|one| one.shard == shard).all(|one| struck.contains_key(one));
        report.rounds_without_a_shard += u64::from((0..plan.shard_count).any(is_away));
        wait(plan.pause_max, &lookups, &mut rng, &mut tasks).await?;
        if !struck.is_empty() {
            report.answers_under_faults += lookups.tally().answers() - before;
        }
        for (replica, fault) in &struck {
            heal(&mut cluster, *replica, *fault).with_context(|| format!("{replica:?}, {fault:?}"))?;
        }
        // After a short wait the next faults come before these matchers are back.
        wait(plan.pause_max / 2, &lookups, &mut rng, &mut tasks).await?;
        cluster.check_running()?;
        if report.rounds.is_multiple_of(plan.rounds_between_checks) {
            check(&mut cluster, &workload, &bank, &coordinator, &mut report).await?;
            let FaultReport { rounds, answers_under_faults, .. } = report;
            log(&format!(
                "{rounds} rounds, {answers_under_faults} answers under faults: all agrees; {:?}",
                lookups.tally()
            ));
        }
    }
    check(&mut cluster, &workload, &bank, &coordinator, &mut report).await.context("at the end")?;
    workload.stop();
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    report.lookups = lookups.tally();
    report.took = began.elapsed();
    Ok(report)
}

/// Draws the faults of a round: for one matcher, for all of one shard, for one of each shard, or for each
/// matcher with the same probability. Each of them gets a fault of its own.
fn draw_faults(plan: &FaultPlan, all: &[Replica], rng: &mut SmallRng) -> BTreeMap<Replica, Fault> {
    let faults: &[Fault] = match plan.network {
        Some(_) => &[Fault::Stopped, Fault::Killed, Fault::CutOff],
        None => &[Fault::Stopped, Fault::Killed],
    };
    let one = all[rng.random_range(0..all.len())];
    let share = rng.random_range(0.1..0.9);
    let kind = rng.random_range(0..4);
    let mut struck = BTreeMap::new();
    for &replica in all {
        let is_struck = match kind {
            0 => replica == one,
            1 => replica.shard == one.shard,
            // One matcher of each shard, so that nothing is missing.
            2 => replica.replica == one.replica && plan.replica_count > 1,
            _ => rng.random_bool(share),
        };
        if is_struck {
            struck.insert(replica, faults[rng.random_range(0..faults.len())]);
        }
    }
    struck
}

fn strike(
    cluster: &mut Cluster,
    struck: &BTreeMap<Replica, Fault>,
    report: &mut FaultReport,
) -> anyhow::Result<()> {
    for (replica, fault) in struck {
        let process = cluster.process(&replica.to_string())?;
        let done = match fault {
            Fault::Stopped => process.signal(Signal::STOP),
            Fault::Killed => process.kill(),
            Fault::CutOff => process.host().and_then(Host::cut_off),
        };
        done.with_context(|| format!("{replica:?}, {fault:?}"))?;
        match fault {
            Fault::Stopped => report.stopped += 1,
            Fault::Killed => report.killed += 1,
            Fault::CutOff => report.cut_off += 1,
        }
    }
    Ok(())
}

/// Ends the fault of a matcher.
fn heal(cluster: &mut Cluster, replica: Replica, fault: Fault) -> anyhow::Result<()> {
    let process = cluster.process(&replica.to_string())?;
    match fault {
        Fault::Stopped => process.signal(Signal::CONT),
        Fault::Killed => process.start(),
        Fault::CutOff => process.host()?.mend(),
    }
}

/// Waits a random time up to `max`; fails if no lookup is answered any more, or if an answer was wrong.
async fn wait(
    max: Duration,
    lookups: &Lookups,
    rng: &mut SmallRng,
    tasks: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let ended = |tally: LookupTally| tally.answers() + tally.refused;
    let before = ended(lookups.tally());
    tokio::time::sleep(max.mul_f64(rng.random_range(0.1..1.0))).await;
    let give_up = Instant::now() + ANSWER_WITHIN;
    loop {
        if let Some(ended) = tasks.try_join_next() {
            ended??;
            bail!("a task ended before its time");
        }
        if ended(lookups.tally()) > before {
            return Ok(());
        }
        if Instant::now() > give_up {
            bail!("no call has ended for {ANSWER_WITHIN:?}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Pauses the writer, waits until the cluster is complete, and compares everything.
async fn check(
    cluster: &mut Cluster,
    workload: &Workload,
    bank: &BankClient,
    coordinator: &CoordinatorClient,
    report: &mut FaultReport,
) -> anyhow::Result<()> {
    let _paused = workload.pause().await;
    let began = Instant::now();
    let head = workload.head(bank).await?;
    let replicas = cluster.wait_ready(head.sequence, WHOLE_WITHIN).await?;
    report.whole_after_max = report.whole_after_max.max(began.elapsed());
    report.checks += 1;
    workload.compare(coordinator, &head, &replicas).await
}
