//! A run: a cluster, a workload, and faults.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use tempfile::TempDir;
use turmoil::Sim;
use vigie_clients::{BankClient, CoordinatorClient, Deadline, MatcherClient, Network};
use vigie_consortium::Process;
use vigie_model::{ReplicaDescription, Sequence};
use vigie_net::retry;
use vigie_tests::material::generator;
use vigie_tests::workload::Workload;

use crate::cluster::{BANK, COORDINATOR, MATCHERS, Setup, Surroundings};
use crate::faults::Faults;
use crate::members::{self, Consortium};
use crate::network::{endpoint, network};

const WRITERS: usize = 2;
const READERS: usize = 2;

/// The limit on simulated time for creating the members, before the faults.
const PREPARED_WITHIN: Duration = Duration::from_secs(30);
/// Simulated time with faults.
const TROUBLE: Duration = Duration::from_secs(40);
/// Simulated time with faults where there are members, because they need twice as many hosts.
const TROUBLE_OF_MEMBERS: Duration = Duration::from_secs(25);
/// The limit on simulated time for the cluster to be complete after the faults.
const WHOLE_WITHIN: Duration = Duration::from_secs(90);
/// The length of one step of the simulation.
const TICK: Duration = Duration::from_millis(5);

/// The result of a run.
pub(crate) struct Ran {
    work: String,
    faults: u32,
    simulated: Duration,
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {} faults in {:.0?}", self.work, self.faults, self.simulated)
    }
}

/// The work of the clients.
enum Work {
    /// The workload of a cluster without members.
    Unbound(Workload),
    Members(Box<Consortium>),
}

/// The state that the hosts share with the run.
struct World {
    work: Work,
    surroundings: Arc<Surroundings>,
    mended: AtomicBool,
}

/// Runs a seed. Odd seeds have members.
pub(crate) fn run(seed: u64) -> anyhow::Result<Ran> {
    let mut rng = generator(seed);
    retry::seed(rng.random());
    let mut sim = turmoil::Builder::new()
        .rng_seed(rng.random())
        .tick_duration(TICK)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .tcp_capacity(4_096)
        .simulation_duration(PREPARED_WITHIN + TROUBLE + WHOLE_WITHIN * 2)
        .build();
    let secrets = (seed % 2 == 1).then(secrets).transpose()?;
    let cluster_key = secrets.as_ref().map(|folder| folder.path().join(CLUSTER_KEY));
    let work = match cluster_key {
        None => Work::Unbound(Workload::new(WHOLE_WITHIN, Duration::from_millis(100))),
        Some(_) => Work::Members(Box::new(Consortium::new(WHOLE_WITHIN, &mut rng))),
    };
    let world = Arc::new(World { work, surroundings: Arc::default(), mended: AtomicBool::new(false) });
    let setup = Setup { cluster_key, is_small: false };
    setup.start(&mut sim, &world.surroundings, &mut rng);
    // The judge makes its calls as a process of the cluster.
    let of_process = setup.processes().network(&network(), Process::Frontend).map_err(anyhow::Error::msg)?;
    start_clients(&mut sim, &world, of_process, &mut rng);

    if let Work::Members(consortium) = &world.work {
        while !consortium.is_prepared() {
            sim.step().map_err(|error| anyhow::anyhow!("{error}"))?;
            ensure!(sim.elapsed() < PREPARED_WITHIN, "there are no members yet");
        }
    }
    world.surroundings.commits_fail.store(true, Ordering::Relaxed);
    let begun = sim.elapsed();
    let mut faults = Faults::new(setup.hosts(), begun, &mut rng);
    let mut ended = false;
    let trouble = if setup.cluster_key.is_some() { TROUBLE_OF_MEMBERS } else { TROUBLE };
    while sim.elapsed() < begun + trouble && !ended {
        faults.step(&mut sim, &world.surroundings, &mut rng);
        ended = sim.step().map_err(|error| anyhow::anyhow!("{error}"))?;
    }
    if ended {
        bail!("the workload ended before its time");
    }
    faults.mend(&mut sim);
    world.mended.store(true, Ordering::Relaxed);
    sim.run().map_err(|error| anyhow::anyhow!("{error}"))?;
    if let Work::Members(consortium) = &world.work {
        consortium.check()?;
    }
    Ok(Ran { work: world.work.to_string(), faults: faults.count, simulated: sim.elapsed() })
}

/// The name of the file with the cluster key, in the folder of secrets.
pub(crate) const CLUSTER_KEY: &str = "cluster-key";

/// Creates a folder with a cluster key, which is removed on drop.
pub(crate) fn secrets() -> anyhow::Result<TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join(CLUSTER_KEY), "0".repeat(64))?;
    Ok(folder)
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unbound(workload) => workload.tally().fmt(f),
            Self::Members(consortium) => consortium.tally().fmt(f),
        }
    }
}

fn start_clients(sim: &mut Sim<'_>, world: &Arc<World>, of_process: Network, rng: &mut SmallRng) {
    match world.work {
        Work::Unbound(_) => start_workload(sim, world, rng),
        Work::Members(_) => start_members(sim, world, rng),
    }
    let (world, mut rng) = (Arc::clone(world), generator(rng.random()));
    sim.client("judge", async move { judge(&world, &of_process, &mut rng).await.map_err(as_text) });
}

fn start_workload(sim: &mut Sim<'_>, world: &Arc<World>, rng: &mut SmallRng) {
    for writer in 0..WRITERS {
        let (world, rng) = (Arc::clone(world), generator(rng.random()));
        sim.client(format!("writer-{writer}"), async move {
            let Work::Unbound(workload) = &world.work else { return Ok(()) };
            let bank = BankClient::new_on(&endpoint(BANK), &network())?;
            workload.prepare(&bank).await.map_err(as_text)?;
            workload.write(&bank, rng).await.with_context(|| format!("writer {writer}")).map_err(as_text)
        });
    }
    for reader in 0..READERS {
        let (world, rng) = (Arc::clone(world), generator(rng.random()));
        sim.client(format!("reader-{reader}"), async move {
            let Work::Unbound(workload) = &world.work else { return Ok(()) };
            let coordinator = CoordinatorClient::new_on(&[endpoint(COORDINATOR)], &network())?;
            let read = workload.read(&coordinator, rng).await;
            read.with_context(|| format!("reader {reader}")).map_err(as_text)
        });
    }
}

fn start_members(sim: &mut Sim<'_>, world: &Arc<World>, rng: &mut SmallRng) {
    let (shared, operator) = (Arc::clone(world), generator(rng.random()));
    sim.client("operator", async move {
        let Work::Members(consortium) = &shared.work else { return Ok(()) };
        consortium.operate(operator).await.context("the operator").map_err(as_text)
    });
    for member in 0..members::COUNT {
        let (shared, curator) = (Arc::clone(world), generator(rng.random()));
        sim.client(format!("curator-{member}"), async move {
            let Work::Members(consortium) = &shared.work else { return Ok(()) };
            let curated = consortium.curate(member, curator).await;
            curated.with_context(|| format!("curator {member}")).map_err(as_text)
        });
        let (shared, reader) = (Arc::clone(world), generator(rng.random()));
        sim.client(format!("reader-{member}"), async move {
            let Work::Members(consortium) = &shared.work else { return Ok(()) };
            let read = consortium.read(member, reader).await;
            read.with_context(|| format!("reader {member}")).map_err(as_text)
        });
    }
}

/// Returns an error as text, with all its causes.
pub(crate) fn as_text(error: anyhow::Error) -> Box<dyn std::error::Error> {
    format!("{error:#}").into()
}

/// Waits until all faults have ended, and compares.
async fn judge(world: &World, of_process: &Network, rng: &mut SmallRng) -> anyhow::Result<()> {
    while !world.mended.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let coordinator = CoordinatorClient::new_on(&[endpoint(COORDINATOR)], of_process)?;
    match &world.work {
        Work::Unbound(workload) => {
            let _paused = workload.pause().await;
            let head = workload.head(&BankClient::new_on(&endpoint(BANK), &network())?).await?;
            let replicas = whole(&coordinator, of_process, head.sequence).await?;
            workload.compare(&coordinator, &head, &replicas).await?;
            workload.stop();
        }
        Work::Members(consortium) => {
            let _paused = consortium.pause().await;
            let head = consortium.head().await?;
            let replicas = whole(&coordinator, of_process, head.sequence).await?;
            consortium.compare(&head, &replicas, rng).await?;
            consortium.end();
        }
    }
    Ok(())
}

/// Waits until every replica is ready and has applied the log up to `sequence`, and the coordinator knows of
/// it.
async fn whole(
    coordinator: &CoordinatorClient,
    of_process: &Network,
    sequence: Sequence,
) -> anyhow::Result<Vec<ReplicaDescription>> {
    let give_up = Deadline::now() + WHOLE_WITHIN;
    loop {
        let soon = Deadline::now() + Duration::from_secs(2);
        let (mut replicas, mut lacking) = (Vec::new(), Vec::new());
        for (host, _) in MATCHERS {
            match MatcherClient::new_on(&endpoint(host), of_process)?.describe(soon).await {
                Ok(replica) if replica.unready_reason.is_none() && replica.sequence >= sequence => {
                    replicas.push(replica);
                }
                Ok(replica) => {
                    lacking.push(format!("{host}: at {}, {:?}", replica.sequence, replica.unready_reason))
                }
                Err(error) => lacking.push(format!("{host}: {error}")),
            }
        }
        let topology = coordinator.describe_topology(soon).await;
        let known = topology.as_ref().is_ok_and(|topology| topology.ready_count() == MATCHERS.len());
        if lacking.is_empty() && known {
            return Ok(replicas);
        }
        if Deadline::now() > give_up {
            bail!("not whole at {sequence}: {}; {topology:?}", lacking.join("; "));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
