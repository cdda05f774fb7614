//! One run: a cluster, a workload, and what goes wrong.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use turmoil::Sim;
use vigie_bank::simulated::{CommitFate, Disk};
use vigie_clients::{BankClient, CoordinatorClient, Deadline, MatcherClient};
use vigie_model::{ReplicaDescription, Sequence};
use vigie_net::retry;
use vigie_serving::{ServingConfig, Shutdown};
use vigie_telemetry::Telemetry;
use vigie_tests::material::generator;
use vigie_tests::workload::{Tally, Workload};

use crate::network::{SimulatedListener, endpoint, network};

const BANK: &str = "bank";
const COORDINATOR: &str = "coordinator";
/// Two replicas of each of two shards.
const MATCHERS: [(&str, u32); 4] =
    [("matcher-0-a", 0), ("matcher-0-b", 0), ("matcher-1-a", 1), ("matcher-1-b", 1)];
const WRITERS: usize = 2;
const READERS: usize = 2;

/// Simulated time in which things go wrong.
const TROUBLE: Duration = Duration::from_secs(40);
/// Whatever is mended has to be whole again within this much simulated time.
const WHOLE_WITHIN: Duration = Duration::from_secs(90);
/// A simulated second has so many steps of the simulation.
const TICK: Duration = Duration::from_millis(5);
/// 2023-11-14.
const EPOCH_MS: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 3_600_000;

/// What a run came to.
pub(crate) struct Ran {
    tally: Tally,
    faults: u32,
    simulated: Duration,
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { added, removed, answers, unanswered } = self.tally;
        write!(
            f,
            "{added} added, {removed} removed, {answers} answers, {unanswered} unanswered, {} faults in {:.0?}",
            self.faults, self.simulated
        )
    }
}

/// What the hosts share with the run.
struct World {
    workload: Workload,
    /// How wrong the bank's clock is.
    skew_ms: AtomicI64,
    mended: AtomicBool,
}

pub(crate) fn run(seed: u64) -> anyhow::Result<Ran> {
    let mut rng = generator(seed);
    retry::seed(rng.random());
    let mut sim = turmoil::Builder::new()
        .rng_seed(rng.random())
        .tick_duration(TICK)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(20))
        .tcp_capacity(4_096)
        .simulation_duration(TROUBLE + WHOLE_WITHIN * 2)
        .build();
    let world = Arc::new(World {
        workload: Workload::new(WHOLE_WITHIN, Duration::from_millis(100)),
        skew_ms: AtomicI64::new(0),
        mended: AtomicBool::new(false),
    });
    start_cluster(&mut sim, &world, &mut rng);
    start_clients(&mut sim, &world, &mut rng);

    let mut faults = Faults::new(&mut rng);
    let mut ended = false;
    while sim.elapsed() < TROUBLE && !ended {
        faults.step(&mut sim, &world, &mut rng);
        ended = sim.step().map_err(|error| anyhow::anyhow!("{error}"))?;
    }
    if ended {
        bail!("the workload ended before its time");
    }
    faults.mend(&mut sim);
    world.mended.store(true, Ordering::Relaxed);
    sim.run().map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(Ran { tally: world.workload.tally(), faults: faults.count, simulated: sim.elapsed() })
}

fn start_cluster(sim: &mut Sim<'_>, world: &Arc<World>, rng: &mut SmallRng) {
    let mut fates = generator(rng.random());
    let draw = move || match fates.random_range(0..1_000) {
        0..5 => CommitFate::Refused,
        5..10 => CommitFate::DoneUnseen,
        10..15 => CommitFate::NotDoneUnseen,
        _ => CommitFate::Done(Duration::from_micros(fates.random_range(0..8_000))),
    };
    let disk = Disk::new(rng.random(), Box::new(draw));
    let clock = Arc::clone(world);
    sim.host(BANK, move || {
        let (disk, clock) = (disk.clone(), Arc::clone(&clock));
        // The log is cut as far as followers let it, whenever the clock leaps.
        let config = vigie_bank::Config {
            log_hours: 1,
            log_changes: 10,
            follower_minutes: 1,
            recent_changes_max: 64,
            serving: serving(),
            ..vigie_bank::Config::default()
        };
        let now = move || {
            let elapsed = turmoil::sim_elapsed().unwrap_or_default().as_millis();
            let elapsed = i64::try_from(elapsed).expect("a run lasts minutes");
            (EPOCH_MS + elapsed + clock.skew_ms.load(Ordering::Relaxed)).cast_unsigned()
        };
        async move {
            let listener = SimulatedListener::bind().await?;
            Box::pin(vigie_bank::run_simulated(config, disk, listener, Shutdown::new(), Arc::new(now)))
                .await?;
            Ok(())
        }
    });
    for (host, shard) in MATCHERS {
        sim.host(host, move || async move {
            let config = vigie_matcher::Config {
                bank: endpoint(BANK),
                shard,
                shard_count: 2,
                serving: serving(),
                ..vigie_matcher::Config::default()
            };
            let listener = SimulatedListener::bind().await?;
            let telemetry = Telemetry::default();
            vigie_matcher::run_with(config, listener, Shutdown::new(), &network(), &telemetry).await?;
            Ok(())
        });
    }
    sim.host(COORDINATOR, || async {
        let config = vigie_coordinator::Config {
            matchers: MATCHERS.iter().map(|(host, _)| endpoint(host)).collect(),
            serving: serving(),
            ..vigie_coordinator::Config::default()
        };
        let listener = SimulatedListener::bind().await?;
        let telemetry = Telemetry::default();
        vigie_coordinator::run_with(config, listener, Shutdown::new(), &network(), &telemetry).await?;
        Ok(())
    });
}

fn serving() -> ServingConfig {
    ServingConfig::default()
}

fn start_clients(sim: &mut Sim<'_>, world: &Arc<World>, rng: &mut SmallRng) {
    for writer in 0..WRITERS {
        let (world, rng) = (Arc::clone(world), generator(rng.random()));
        sim.client(format!("writer-{writer}"), async move {
            let bank = BankClient::new_on(&endpoint(BANK), &network())?;
            world.workload.prepare(&bank).await.map_err(told)?;
            world.workload.write(&bank, rng).await.with_context(|| format!("writer {writer}")).map_err(told)
        });
    }
    for reader in 0..READERS {
        let (world, rng) = (Arc::clone(world), generator(rng.random()));
        sim.client(format!("reader-{reader}"), async move {
            let coordinator = CoordinatorClient::new_on(&[endpoint(COORDINATOR)], &network())?;
            let read = world.workload.read(&coordinator, rng).await;
            read.with_context(|| format!("reader {reader}")).map_err(told)
        });
    }
    let world = Arc::clone(world);
    sim.client("judge", async move { judge(&world).await.map_err(told) });
}

/// With all its causes.
fn told(error: anyhow::Error) -> Box<dyn std::error::Error> {
    format!("{error:#}").into()
}

/// Waits until everything is mended, and compares.
async fn judge(world: &World) -> anyhow::Result<()> {
    while !world.mended.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let _paused = world.workload.pause().await;
    let bank = BankClient::new_on(&endpoint(BANK), &network())?;
    let coordinator = CoordinatorClient::new_on(&[endpoint(COORDINATOR)], &network())?;
    let head = world.workload.head(&bank).await?;
    let replicas = whole(&coordinator, head.sequence).await?;
    world.workload.compare(&coordinator, &head, &replicas).await?;
    world.workload.stop();
    Ok(())
}

/// Waits until every replica is ready and has come to `sequence`, and the coordinator knows.
async fn whole(
    coordinator: &CoordinatorClient,
    sequence: Sequence,
) -> anyhow::Result<Vec<ReplicaDescription>> {
    let give_up = Deadline::now() + WHOLE_WITHIN;
    loop {
        let soon = Deadline::now() + Duration::from_secs(2);
        let (mut replicas, mut lacking) = (Vec::new(), Vec::new());
        for (host, _) in MATCHERS {
            match MatcherClient::new_on(&endpoint(host), &network())?.describe(soon).await {
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

/// What goes wrong, and when it is mended.
struct Faults {
    next: Duration,
    open: Vec<(Duration, Open)>,
    count: u32,
}

/// Something that is wrong.
#[derive(Clone, Copy)]
enum Open {
    /// No message passes.
    Cut(&'static str, &'static str),
    /// Messages wait.
    Held(&'static str, &'static str),
    /// Messages take long.
    Slow(&'static str, &'static str),
    /// It is down.
    Down(&'static str),
    /// It is down, and will come up and go down again so many times.
    Flapping(&'static str, u32),
    /// It is up between two times.
    Up(&'static str, u32),
}

impl Faults {
    fn new(rng: &mut SmallRng) -> Self {
        Self { next: Duration::from_millis(rng.random_range(500..3_000)), open: Vec::new(), count: 0 }
    }

    fn step(&mut self, sim: &mut Sim<'_>, world: &World, rng: &mut SmallRng) {
        let now = sim.elapsed();
        let (due, open): (Vec<_>, Vec<_>) = self.open.drain(..).partition(|(until, _)| *until <= now);
        self.open = open;
        for (_, fault) in due {
            fault.mend(sim);
            if let Open::Flapping(host, times @ 1..) = fault {
                // It was up for a moment, long enough to be found and asked.
                self.open.push((
                    now + Duration::from_millis(rng.random_range(300..2_000)),
                    Open::Up(host, times - 1),
                ));
            }
            if let Open::Up(host, times) = fault {
                sim.crash(host);
                let lasts = Duration::from_millis(rng.random_range(50..500));
                self.open.push((now + lasts, Open::Flapping(host, times)));
            }
        }
        if now < self.next {
            return;
        }
        self.next = now + Duration::from_millis(rng.random_range(200..4_000));
        self.count += 1;
        let lasts = Duration::from_millis(rng.random_range(50..8_000));
        let hosts = || [BANK, COORDINATOR].into_iter().chain(MATCHERS.map(|matcher| matcher.0));
        let all: Vec<_> = hosts().collect();
        let draw = |rng: &mut SmallRng| *all.choose(rng).unwrap_or(&BANK);
        match rng.random_range(0..13) {
            0..3 => {
                let (one, other) = (draw(rng), draw(rng));
                if one != other {
                    sim.partition(one, other);
                    self.open.push((now + lasts, Open::Cut(one, other)));
                }
            }
            3..5 => {
                let (one, other) = (draw(rng), draw(rng));
                if one != other {
                    sim.hold(one, other);
                    self.open.push((now + lasts, Open::Held(one, other)));
                }
            }
            kind @ 5..11 => {
                let host = draw(rng);
                if !self.is_down_or_flaps(host) {
                    sim.crash(host);
                    let down = if kind < 9 { Open::Down(host) } else { Open::Flapping(host, 4) };
                    self.open.push((now + lasts / 2, down));
                }
            }
            11 => {
                let (one, other) = (draw(rng), draw(rng));
                if one != other {
                    sim.set_link_latency(one, other, Duration::from_millis(rng.random_range(50..600)));
                    self.open.push((now + lasts, Open::Slow(one, other)));
                }
            }
            _ => {
                let leap = rng.random_range(-2 * HOUR_MS..2 * HOUR_MS);
                world.skew_ms.store(leap, Ordering::Relaxed);
            }
        }
    }

    fn is_down_or_flaps(&self, host: &str) -> bool {
        self.open.iter().any(|(_, open)| match open {
            Open::Down(down) | Open::Flapping(down, _) | Open::Up(down, _) => *down == host,
            Open::Cut(..) | Open::Held(..) | Open::Slow(..) => false,
        })
    }

    fn mend(&mut self, sim: &mut Sim<'_>) {
        self.open.drain(..).for_each(|(_, fault)| fault.mend(sim));
    }
}

impl Open {
    fn mend(self, sim: &mut Sim<'_>) {
        match self {
            Self::Cut(one, other) => sim.repair(one, other),
            Self::Held(one, other) => sim.release(one, other),
            Self::Slow(one, other) => sim.set_link_latency(one, other, Duration::from_millis(10)),
            Self::Down(host) | Self::Flapping(host, _) => sim.bounce(host),
            Self::Up(..) => {}
        }
    }
}
