//! The hosts of the simulated cluster.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use turmoil::Sim;
use vigie_access::{ProcessesConfig, WallClock};
use vigie_bank::simulated::{CommitFate, Disk};
use vigie_frontend::CoordinatorAt;
use vigie_model::UnixMillis;
use vigie_sandbox::Requirement;
use vigie_serving::{ServingConfig, Shutdown};
use vigie_telemetry::Telemetry;
use vigie_tests::material::generator;

use crate::network::{SimulatedListener, endpoint, network};

pub(crate) const BANK: &str = "bank";
pub(crate) const COORDINATOR: &str = "coordinator";
/// Two replicas for each of two shards.
pub(crate) const MATCHERS: [(&str, u32); 4] =
    [("matcher-0-a", 0), ("matcher-0-b", 0), ("matcher-1-a", 1), ("matcher-1-b", 1)];
/// The frontends. The first uses the coordinator, the second has an embedded one. Without members there are
/// none.
pub(crate) const FRONTENDS: [&str; 2] = ["frontend-a", "frontend-b"];

/// The start of simulated time, 2023-11-14, in milliseconds since 1970.
const EPOCH_MS: u64 = 1_700_000_000_000;

/// The state that the hosts share with the run.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    /// The error of the bank's clock, in milliseconds.
    pub(crate) skew_ms: AtomicI64,
    /// Whether commits sometimes fail.
    pub(crate) commits_fail: std::sync::atomic::AtomicBool,
}

/// The configuration of a simulated cluster.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    /// The file with the cluster key; `None` without members.
    pub(crate) cluster_key: Option<PathBuf>,
    /// Whether the cluster is small: one replica per shard, and one frontend with an embedded coordinator.
    /// Commits then take no time.
    pub(crate) is_small: bool,
}

/// The frontend of a small cluster.
pub(crate) const ONLY_FRONTEND: &str = FRONTENDS[1];

impl Setup {
    /// Returns the hosts that can get faults.
    pub(crate) fn hosts(&self) -> Vec<&'static str> {
        let frontends = FRONTENDS.into_iter().filter(|_| self.cluster_key.is_some());
        [BANK, COORDINATOR].into_iter().chain(MATCHERS.map(|matcher| matcher.0)).chain(frontends).collect()
    }

    fn matchers(&self) -> impl Iterator<Item = (&'static str, u32)> {
        MATCHERS.into_iter().step_by(if self.is_small { 2 } else { 1 })
    }

    pub(crate) fn processes(&self) -> ProcessesConfig {
        ProcessesConfig { cluster_key: self.cluster_key.clone(), ..ProcessesConfig::default() }
    }

    /// Adds the hosts to the simulation.
    pub(crate) fn start(&self, sim: &mut Sim<'_>, surroundings: &Arc<Surroundings>, rng: &mut SmallRng) {
        let fates = fates(surroundings, generator(rng.random()));
        let at_once = Box::new(|| CommitFate::Done(Duration::ZERO));
        let disk = Disk::new(rng.random(), if self.is_small { at_once } else { fates });
        self.start_bank(sim, &disk, surroundings);
        for (host, shard) in self.matchers() {
            let config = vigie_matcher::Config {
                bank: endpoint(BANK),
                shard,
                shard_count: 2,
                serving: ServingConfig::default(),
                processes: self.processes(),
                ..vigie_matcher::Config::default()
            };
            sim.host(host, move || {
                let config = config.clone();
                async move {
                    let listener = SimulatedListener::bind().await?;
                    let telemetry = Telemetry::default();
                    vigie_matcher::run_with(config, listener, Shutdown::new(), &network(), &telemetry)
                        .await?;
                    Ok(())
                }
            });
        }
        let coordinator = vigie_coordinator::Config {
            matchers: self.matchers().map(|(host, _)| endpoint(host)).collect(),
            processes: self.processes(),
            ..vigie_coordinator::Config::default()
        };
        if !self.is_small {
            start_coordinator(sim, &coordinator);
        }
        if self.cluster_key.is_some() {
            self.start_frontends(sim, &coordinator);
        }
    }

    fn start_bank(&self, sim: &mut Sim<'_>, disk: &Disk, surroundings: &Arc<Surroundings>) {
        let (disk, surroundings) = (disk.clone(), Arc::clone(surroundings));
        // The log is truncated as far as its followers allow, whenever the clock jumps.
        let config = vigie_bank::Config {
            log_hours: 1,
            log_changes: 10,
            follower_minutes: 1,
            recent_changes_max: 64,
            processes: self.processes(),
            ..vigie_bank::Config::default()
        };
        sim.host(BANK, move || {
            let (config, disk, surroundings) = (config.clone(), disk.clone(), Arc::clone(&surroundings));
            let now = move || now().0.saturating_add_signed(surroundings.skew_ms.load(Ordering::Relaxed));
            async move {
                let listener = SimulatedListener::bind().await?;
                Box::pin(vigie_bank::run_simulated(config, disk, listener, Shutdown::new(), Arc::new(now)))
                    .await?;
                Ok(())
            }
        });
    }

    fn start_frontends(&self, sim: &mut Sim<'_>, embedded: &vigie_coordinator::Config) {
        let remote = CoordinatorAt::Endpoints(vec![endpoint(COORDINATOR)]);
        let all = FRONTENDS.into_iter().zip([remote, CoordinatorAt::Embedded]);
        for (host, coordinator) in all.skip(usize::from(self.is_small)) {
            let mut config = vigie_frontend::Config {
                coordinator,
                embedded: embedded.clone(),
                hashing_threads: 1,
                sandbox: Requirement::Off,
                processes: self.processes(),
                ..vigie_frontend::Config::default()
            };
            config.directory.bank = vec![endpoint(BANK)];
            sim.host(host, move || {
                let config = config.clone();
                async move {
                    let listener = SimulatedListener::bind().await?;
                    let clock = WallClock::new(now);
                    vigie_frontend::run_simulated(config, listener, Shutdown::new(), &network(), clock)
                        .await?;
                    Ok(())
                }
            });
        }
    }
}

fn start_coordinator(sim: &mut Sim<'_>, config: &vigie_coordinator::Config) {
    let config = config.clone();
    sim.host(COORDINATOR, move || {
        let config = config.clone();
        async move {
            let listener = SimulatedListener::bind().await?;
            let telemetry = Telemetry::default();
            vigie_coordinator::run_with(config, listener, Shutdown::new(), &network(), &telemetry).await?;
            Ok(())
        }
    });
}

/// Returns the time of correct clocks.
pub(crate) fn now() -> UnixMillis {
    UnixMillis(EPOCH_MS + u64::try_from(elapsed().as_millis()).expect("a run lasts minutes"))
}

/// Returns the simulated time since the start of the run.
pub(crate) fn elapsed() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

/// Returns a function that draws the fate of each commit.
fn fates(surroundings: &Arc<Surroundings>, mut rng: SmallRng) -> Box<dyn FnMut() -> CommitFate + Send> {
    let surroundings = Arc::clone(surroundings);
    Box::new(move || {
        let failing = if surroundings.commits_fail.load(Ordering::Relaxed) { 0 } else { 15 };
        match rng.random_range(failing..1_000) {
            0..5 => CommitFate::Refused,
            5..10 => CommitFate::DoneUnseen,
            10..15 => CommitFate::NotDoneUnseen,
            _ => CommitFate::Done(Duration::from_micros(rng.random_range(0..8_000))),
        }
    })
}
