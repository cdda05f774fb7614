//! The crash rig: processes of a real cluster are killed at random moments under a [`Workload`]. Nothing that
//! was acknowledged may be lost, applied twice, or answered wrongly.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::task::JoinSet;
use vigie_clients::{BankClient, CoordinatorClient};
use vigie_harness::cluster::{Cluster, Replica};
use vigie_model::Sequence;

use crate::material::generator;
use crate::workload::{Tally, Workload};

/// The time limit for the cluster to be complete again; beyond it the cluster counts as stuck.
const WHOLE_WITHIN: Duration = Duration::from_secs(120);

/// The name of the bank's process.
const BANK: &str = "bank";

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct CrashPlan {
    /// The path of the binary.
    pub vigie: PathBuf,
    /// The folder for data and logs of the processes.
    pub folder: PathBuf,
    /// The bank's store.
    pub store: String,
    /// Number of shards.
    pub shard_count: u16,
    /// Number of tasks that write.
    pub writers: u64,
    /// Number of tasks that read.
    pub readers: u64,
    /// Number of kills.
    pub kills: u64,
    /// Number of kills between two comparisons of everything.
    pub kills_between_checks: u64,
    /// The longest pause between two kills.
    pub pause_max: Duration,
    /// The seed of victims, moments and hashes.
    pub seed: u64,
}

/// The result of a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct CrashReport {
    /// Number of kills of the bank.
    pub bank_kills: u64,
    /// Number of kills of matchers.
    pub matcher_kills: u64,
    /// Counts of acknowledged writes and of answers.
    pub tally: Tally,
    /// Number of comparisons of everything.
    pub checks: u64,
    /// The longest time until the cluster was complete again.
    pub whole_after_max: Duration,
    /// The duration of the run.
    pub took: Duration,
}

/// Runs a plan to its end; fails if a guarantee is broken.
pub async fn run(plan: &CrashPlan, log: impl Fn(&str)) -> anyhow::Result<CrashReport> {
    let began = Instant::now();
    let mut rng = generator(plan.seed);
    let mut cluster = Cluster::of(&plan.vigie)
        .folder(&plan.folder)
        .store(&plan.store)
        .shards(plan.shard_count)
        .frontends(0)
        // Frequent snapshots, so that many kills happen while one is saved.
        .set(["matcher.snapshot_changes=300"])
        .start()?;
    let (bank, coordinator) = (cluster.bank_client()?, cluster.coordinator_client()?);
    let workload = Arc::new(Workload::new(WHOLE_WITHIN, Duration::ZERO));
    cluster.wait_ready(Sequence::ZERO, WHOLE_WITHIN).await?;
    workload.prepare(&bank).await?;

    let mut tasks = JoinSet::new();
    for _ in 0..plan.writers {
        let (workload, bank, rng) = (Arc::clone(&workload), bank.clone(), generator(rng.random()));
        tasks.spawn(async move { workload.write(&bank, rng).await });
    }
    for _ in 0..plan.readers {
        let (workload, coordinator, rng) =
            (Arc::clone(&workload), coordinator.clone(), generator(rng.random()));
        tasks.spawn(async move { workload.read(&coordinator, rng).await });
    }
    let mut report = CrashReport::default();
    for kill in 1..=plan.kills {
        let victim = draw_victim(plan.shard_count, &mut rng);
        pause(plan.pause_max, &mut rng).await;
        fail_if_one_ended(&mut tasks).await?;
        cluster.check_running()?;
        cluster.process(&victim)?.kill()?;
        // A short pause restarts the process at once, a long one keeps it away for a while.
        pause(plan.pause_max / 3, &mut rng).await;
        cluster.process(&victim)?.start()?;
        if victim == BANK {
            report.bank_kills += 1;
        } else {
            report.matcher_kills += 1;
        }
        if kill % plan.kills_between_checks == 0 || kill == plan.kills {
            let checked = check(&mut cluster, &workload, &bank, &coordinator).await;
            let whole_after = checked.with_context(|| format!("after kill {kill}"))?;
            report.whole_after_max = report.whole_after_max.max(whole_after);
            report.checks += 1;
            log(&format!("{kill} kills: all agrees, whole again after {whole_after:.1?}"));
        }
    }
    workload.stop();
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    // Writers have written since the last comparison.
    check(&mut cluster, &workload, &bank, &coordinator).await.context("at the end")?;
    drop(cluster);
    let store = vigie_bank::Config { store: plan.store.clone().into(), ..vigie_bank::Config::default() };
    vigie_bank::verify(&store).await.context("the store is not proven")?;
    report.tally = workload.tally();
    report.took = began.elapsed();
    Ok(report)
}

/// Draws a victim. The bank is as likely as all matchers together, because it is the process that must not
/// lose anything.
fn draw_victim(shard_count: u16, rng: &mut SmallRng) -> String {
    if rng.random() {
        return BANK.to_owned();
    }
    Replica { shard: rng.random_range(0..shard_count), replica: 0 }.to_string()
}

/// Waits a random time up to `max`. Random moments are the purpose of the rig; nothing is awaited here.
async fn pause(max: Duration, rng: &mut SmallRng) {
    tokio::time::sleep(max.mul_f64(rng.random_range(0.0..1.0))).await;
}

async fn fail_if_one_ended(tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    match tasks.try_join_next() {
        None => Ok(()),
        Some(ended) => {
            ended??;
            bail!("a task ended before its time");
        }
    }
}

/// Pauses the writers and compares everything; returns the time until the cluster was complete.
async fn check(
    cluster: &mut Cluster,
    workload: &Workload,
    bank: &BankClient,
    coordinator: &CoordinatorClient,
) -> anyhow::Result<Duration> {
    let _paused = workload.pause().await;
    let began = Instant::now();
    let head = workload.head(bank).await?;
    let replicas = cluster.wait_ready(head.sequence, WHOLE_WITHIN).await?;
    let whole_after = began.elapsed();
    workload.compare(coordinator, &head, &replicas).await?;
    Ok(whole_after)
}
