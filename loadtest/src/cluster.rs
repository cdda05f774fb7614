//! A cluster of processes of the real binary, one for each role, that ends with the harness.
//!
//! The processes are those that a deployment has: a bank, `shards` times `replicas` matchers, a coordinator and some
//! frontends, on loopback ports, with their data and logs in a temporary folder. Matchers that a fault will slow down
//! are reached by the coordinator through a proxy that can delay.

mod process;
mod proxy;
pub(crate) mod fault;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use vigie_clients::CoordinatorClient;

use crate::cluster::process::Process;
use crate::cluster::proxy::DelayProxy;
use crate::run::scenario::{Action, Scenario};

/// How long the processes may take to find each other.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub(crate) struct LocalCluster {
    /// In the order in which they were started.
    processes: Vec<Process>,
    proxies: BTreeMap<String, DelayProxy>,
    pub(crate) frontends: Vec<String>,
    pub(crate) bank_url: String,
    coordinator_url: String,
    matchers: usize,
    folder: TempDir,
}

impl LocalCluster {
    /// Starts the processes of a scenario's cluster and waits until the coordinator finds every matcher ready.
    pub(crate) async fn start(scenario: &Scenario, vigie: &Path) -> anyhow::Result<Self> {
        let plan = &scenario.cluster;
        let folder = tempfile::Builder::new().prefix("vigie-loadtest-").tempdir()?;
        let slowed: BTreeSet<&str> = scenario
            .faults
            .iter()
            .filter_map(|fault| {
                let Action::Slow { process, .. } = &fault.action else { return None };
                Some(process.as_str())
            })
            .collect();
        let settings = |role: &str| -> Vec<String> {
            plan.set.iter().filter(|set| set.starts_with(&format!("{role}."))).cloned().collect()
        };
        let start = |name: &str, role: &str, address: SocketAddr, set: Vec<String>| {
            Process::start(vigie, folder.path(), name, role, address, [set, settings(role)].concat())
        };

        let bank_at = free_address()?;
        let store = format!("bank.store=sqlite:{}", folder.path().join("bank.db").display());
        let mut processes = vec![start("bank", "bank", bank_at, vec![store])?];
        let mut proxies = BTreeMap::new();
        let mut reached = Vec::new();
        for shard in 0..plan.shards {
            for replica in 0..plan.replicas {
                let (name, address) = (format!("matcher-{shard}-{replica}"), free_address()?);
                let set = vec![
                    format!("matcher.bank=http://{bank_at}"),
                    format!("matcher.shard={shard}"),
                    format!("matcher.shard_count={}", plan.shards),
                    format!("matcher.index_folder={}", folder.path().join(&name).display()),
                ];
                processes.push(start(&name, "matcher", address, set)?);
                let mut at = address;
                if slowed.contains(name.as_str()) {
                    let proxy = DelayProxy::start(address).await?;
                    at = proxy.address();
                    proxies.insert(name, proxy);
                }
                reached.push(format!("\"http://{at}\""));
            }
        }
        if let Some(unknown) = slowed.iter().find(|name| !proxies.contains_key(**name)) {
            bail!("{unknown} cannot be slowed down: it is no matcher of the cluster");
        }
        let coordinator_at = free_address()?;
        let set = vec![format!("coordinator.matchers=[{}]", reached.join(", "))];
        processes.push(start("coordinator", "coordinator", coordinator_at, set)?);
        let mut frontends = Vec::new();
        for number in 0..plan.frontends {
            let address = free_address()?;
            let set = vec![format!("frontend.coordinator=http://{coordinator_at}")];
            processes.push(start(&format!("frontend-{number}"), "frontend", address, set)?);
            frontends.push(format!("http://{address}"));
        }
        let mut cluster = Self {
            processes,
            proxies,
            frontends,
            bank_url: format!("http://{bank_at}"),
            coordinator_url: format!("http://{coordinator_at}"),
            matchers: reached.len(),
            folder,
        };
        cluster.wait_ready().await?;
        Ok(cluster)
    }

    async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let coordinator = CoordinatorClient::new(&self.coordinator_url)?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(ended) = self.ended().first() {
                bail!("{ended}");
            }
            let soon = Instant::now() + Duration::from_secs(1);
            let topology = coordinator.describe_topology(soon.into()).await;
            if topology.as_ref().is_ok_and(|topology| topology.ready_count() == self.matchers) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                bail!("the cluster was not ready within {READY_WITHIN:?}: {topology:?}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Does to the cluster what a fault says. Commands and imports are not the cluster's.
    pub(crate) async fn inflict(&mut self, action: &Action) -> anyhow::Result<()> {
        match action {
            Action::Stop(name) => self.process(name)?.signal(rustix::process::Signal::STOP),
            Action::Continue(name) => self.process(name)?.signal(rustix::process::Signal::CONT),
            Action::Kill(name) => self.process(name)?.kill(),
            Action::Start(name) => self.process(name)?.spawn(),
            Action::Restart(name) => {
                let process = self.process(name)?;
                process.end().await?;
                process.spawn()
            }
            Action::Slow { process, by } => {
                let proxy = self.proxies.get(process).with_context(|| format!("{process} has no proxy"))?;
                proxy.delay(by.0);
                Ok(())
            }
            Action::Command(_) | Action::Import { .. } => Ok(()),
        }
    }

    fn process(&mut self, name: &str) -> anyhow::Result<&mut Process> {
        let names: Vec<String> = self.processes.iter().map(|process| process.name.clone()).collect();
        self.processes
            .iter_mut()
            .find(|process| process.name == name)
            .with_context(|| format!("there is no {name}, only {}", names.join(", ")))
    }

    /// What is wrong with processes that have ended by themselves, with the end of their logs.
    pub(crate) fn ended(&mut self) -> Vec<String> {
        self.processes.iter_mut().filter_map(Process::ended).collect()
    }

    /// Leaves data and logs where they are, and tells where.
    pub(crate) fn keep_folder(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }
}

/// The binary beside this one, or one folder above, as for tests.
pub(crate) fn find_vigie() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program")?;
    let name = format!("vigie{}", std::env::consts::EXE_SUFFIX);
    let beside = own.ancestors().skip(1).take(2).map(|folder| folder.join(&name));
    let mut found = beside.filter(|path| path.is_file());
    found.next().with_context(|| {
        format!("there is no `{name}` beside {}; build it, or say where it is with --vigie", own.display())
    })
}

/// An address that was free a moment ago.
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
