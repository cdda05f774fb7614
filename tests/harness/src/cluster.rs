//! A cluster of processes of the real binary, one process for each role, on addresses of this machine.
//!
//! The processes are those of a deployment: a bank, matchers (shards times replicas), a coordinator and some
//! frontends. They are named by role and number: `bank`, `matcher-1-0` for the first replica of shard 1,
//! `coordinator`, `frontend-0`. Each can be killed, stopped, and started again at the same address. A matcher
//! can also be reached through a link that delays, or run on a host of its own that can be cut off.

mod make;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;
use vigie_clients::{BankClient, CoordinatorClient, Deadline, MatcherClient};
use vigie_model::{ReplicaDescription, Sequence};

use crate::delay::DelayProxy;
use crate::isolation::Network;
use crate::process::Process;
use make::Make;

/// A matcher of a cluster. Its display form is the name of its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Replica {
    /// The number of its shard, or of the first of its shards.
    pub shard: u16,
    /// The number among the shard's matchers.
    pub replica: u16,
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "matcher-{}-{}", self.shard, self.replica)
    }
}

/// The configuration of a cluster to start.
#[derive(Debug, Clone)]
pub struct Builder {
    vigie: PathBuf,
    folder: Option<PathBuf>,
    store: Option<String>,
    shards: u16,
    shards_served: u16,
    replicas: u16,
    frontends: u16,
    settings: Vec<String>,
    slow: BTreeSet<String>,
    network: Option<Arc<Network>>,
    certificates: Option<PathBuf>,
    log: Option<(String, &'static str)>,
    telemetry: bool,
    config_files: bool,
    own_group: bool,
}

impl Builder {
    /// Sets the number of shards. The default is 1.
    #[must_use]
    pub const fn shards(mut self, shards: u16) -> Self {
        self.shards = shards;
        self
    }

    /// Sets the number of shards that each matcher serves. The default is 1.
    #[must_use]
    pub const fn shards_served(mut self, shards: u16) -> Self {
        self.shards_served = shards;
        self
    }

    /// Sets the number of matchers per shard, or per group of shards that a matcher serves. The default is 1.
    #[must_use]
    pub const fn replicas(mut self, replicas: u16) -> Self {
        self.replicas = replicas;
        self
    }

    /// Sets the number of frontends. The default is 1.
    #[must_use]
    pub const fn frontends(mut self, frontends: u16) -> Self {
        self.frontends = frontends;
        self
    }

    /// Sets the folder for data and logs. The default is a temporary folder that is removed with the cluster.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Sets the bank's store, in the form of its setting. The default is a SQLite file in the folder.
    #[must_use]
    pub fn store(mut self, store: impl Into<String>) -> Self {
        self.store = Some(store.into());
        self
    }

    /// Adds settings, such as `matcher.searches_at_once_max=1`. A setting is passed to the processes of its
    /// role; one of `telemetry` to all processes.
    #[must_use]
    pub fn set(mut self, settings: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.settings.extend(settings.into_iter().map(Into::into));
        self
    }

    /// Puts a link that can delay before the named matchers. The cluster must then be built within a runtime.
    #[must_use]
    pub fn slow(mut self, matchers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.slow.extend(matchers.into_iter().map(Into::into));
        self
    }

    /// Gives each matcher a host of its own on this network, so that it can be cut off.
    #[must_use]
    pub fn network(mut self, network: Option<Arc<Network>>) -> Self {
        self.network = network;
        self
    }

    /// Makes all processes use mutual TLS, with the certificates that `vigie tls dev-ca` made in this folder.
    #[must_use]
    pub fn certificates(mut self, folder: impl Into<PathBuf>) -> Self {
        self.certificates = Some(folder.into());
        self
    }

    /// Sets the log filter and the log format (`text` or `json`).
    #[must_use]
    pub fn log(mut self, filter: impl Into<String>, format: &'static str) -> Self {
        self.log = Some((filter.into(), format));
        self
    }

    /// Passes the settings of each process in a configuration file instead of on the command line.
    #[must_use]
    pub const fn config_files(mut self) -> Self {
        self.config_files = true;
        self
    }

    /// Gives each process an address for metrics and probes.
    #[must_use]
    pub const fn telemetry(mut self) -> Self {
        self.telemetry = true;
        self
    }

    /// Gives the processes a group of their own: only the owner handles an interrupt at the terminal.
    #[must_use]
    pub const fn own_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    /// Builds the cluster and starts every process. They may not be ready yet.
    pub fn start(self) -> anyhow::Result<Cluster> {
        let mut cluster = self.build()?;
        for process in &mut cluster.processes {
            process.start()?;
        }
        Ok(cluster)
    }

    /// Builds the cluster without starting its processes.
    pub fn build(self) -> anyhow::Result<Cluster> {
        let (folder, temporary) = match &self.folder {
            Some(folder) => (folder.clone(), None),
            None => {
                let temporary = tempfile::Builder::new().prefix("vigie-cluster-").tempdir()?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let here = self.network.as_ref().map_or(Ipv4Addr::LOCALHOST, |network| network.gateway());
        ensure!(
            self.shards_served > 0 && self.shards.is_multiple_of(self.shards_served),
            "{} shards cannot be divided among matchers that serve {} each",
            self.shards,
            self.shards_served
        );
        let matchers: Vec<Replica> = (0..self.shards / self.shards_served)
            .flat_map(|shard| (0..self.replicas).map(move |replica| Replica { shard, replica }))
            .collect();
        // Two addresses per process: one for its role and one for telemetry.
        let count = 2 + matchers.len() + usize::from(self.frontends);
        let free = free_addresses(here, 2 * count)?;
        let addresses = free[..count].iter().copied();
        let telemetry = free[count..].iter().map(|address| self.telemetry.then_some(*address));
        let mut addresses = addresses.zip(telemetry);
        let mut address = || addresses.next().context("an address for each process was taken");
        let make = Make { of: &self, folder: &folder };

        let store = self.store.clone();
        let store = store.unwrap_or_else(|| format!("sqlite:{}", folder.join("bank.db").display()));
        let at = address()?;
        let bank_url = self.url(at.0);
        let mut processes =
            vec![make.process("bank", "bank", at, vec![format!("bank.store={store}")], None)?];
        let mut proxies = BTreeMap::new();
        let mut reached = Vec::new();
        for (number, replica) in matchers.iter().enumerate() {
            let (name, mut at) = (replica.to_string(), address()?);
            let host = match &self.network {
                Some(network) => Some(network.host(u8::try_from(number)?)?),
                None => None,
            };
            if let Some(host) = &host {
                // The host has no other process, so the port is free.
                at.0 = SocketAddr::new(host.address(), 7750);
            }
            let mut set = vec![
                format!("matcher.bank={bank_url}"),
                format!("matcher.shard={}", replica.shard),
                format!("matcher.shard_count={}", self.shards),
                format!("matcher.index_folder={}", folder.join(&name).display()),
            ];
            if self.shards_served > 1 {
                set.push(format!("matcher.shards_served={}", self.shards_served));
            }
            let mut seen_at = at.0;
            if self.slow.contains(&name) {
                let proxy = DelayProxy::start(at.0)?;
                seen_at = proxy.address();
                proxies.insert(name.clone(), proxy);
            }
            reached.push(format!("\"{}\"", self.url(seen_at)));
            processes.push(make.process(&name, "matcher", at, set, host)?);
        }
        if let Some(unknown) = self.slow.iter().find(|name| !proxies.contains_key(*name)) {
            bail!("{unknown} cannot be slowed down: it is no matcher of the cluster");
        }
        let at = address()?;
        let coordinator_url = self.url(at.0);
        let set = vec![format!("coordinator.matchers=[{}]", reached.join(", "))];
        processes.push(make.process("coordinator", "coordinator", at, set, None)?);
        let mut frontend_urls = Vec::new();
        for number in 0..self.frontends {
            let at = address()?;
            let mut set = vec![format!("frontend.coordinator={coordinator_url}")];
            let has_key = self.settings.iter().any(|one| one.starts_with("frontend.processes.cluster_key="));
            set.extend(has_key.then(|| format!("frontend.directory.bank=['{bank_url}']")));
            processes.push(make.process(&format!("frontend-{number}"), "frontend", at, set, None)?);
            frontend_urls.push(self.url(at.0));
        }
        Ok(Cluster {
            processes,
            proxies,
            matchers,
            bank_url,
            coordinator_url,
            frontend_urls,
            certificates: self.certificates,
            folder,
            temporary,
        })
    }

    fn url(&self, address: SocketAddr) -> String {
        match self.certificates {
            // The certificates are for the name `localhost`.
            Some(_) => format!("https://localhost:{}", address.port()),
            None => format!("http://{address}"),
        }
    }
}

/// A cluster of processes, which end with it.
#[derive(Debug)]
pub struct Cluster {
    /// The processes, in the order in which they are started.
    processes: Vec<Process>,
    proxies: BTreeMap<String, DelayProxy>,
    matchers: Vec<Replica>,
    bank_url: String,
    coordinator_url: String,
    frontend_urls: Vec<String>,
    certificates: Option<PathBuf>,
    folder: PathBuf,
    temporary: Option<TempDir>,
}

impl Cluster {
    /// Returns a builder: one shard, one replica, free addresses of this machine, plain text.
    #[must_use]
    pub fn of(vigie: impl Into<PathBuf>) -> Builder {
        Builder {
            vigie: vigie.into(),
            folder: None,
            store: None,
            shards: 1,
            shards_served: 1,
            replicas: 1,
            frontends: 1,
            settings: Vec::new(),
            slow: BTreeSet::new(),
            network: None,
            certificates: None,
            log: None,
            telemetry: false,
            config_files: false,
            own_group: false,
        }
    }

    /// Returns the process of this name.
    pub fn process(&mut self, name: &str) -> anyhow::Result<&mut Process> {
        let names: Vec<String> = self.processes.iter().map(|process| process.name().to_owned()).collect();
        self.processes
            .iter_mut()
            .find(|process| process.name() == name)
            .with_context(|| format!("there is no {name}, only {}", names.join(", ")))
    }

    /// Returns all processes, in the order in which they are started.
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// Returns all processes, for starting, killing and signalling.
    pub fn processes_mut(&mut self) -> &mut [Process] {
        &mut self.processes
    }

    /// Returns every matcher, by shard.
    #[must_use]
    pub fn matchers(&self) -> &[Replica] {
        &self.matchers
    }

    /// Returns the link of a matcher that was built with one.
    pub fn link(&self, matcher: &str) -> anyhow::Result<&DelayProxy> {
        self.proxies.get(matcher).with_context(|| format!("{matcher} has no proxy"))
    }

    /// Returns the endpoint of the bank.
    #[must_use]
    pub fn bank_url(&self) -> &str {
        &self.bank_url
    }

    /// Returns the endpoint of the coordinator.
    #[must_use]
    pub fn coordinator_url(&self) -> &str {
        &self.coordinator_url
    }

    /// Returns the endpoints of the frontends.
    #[must_use]
    pub fn frontend_urls(&self) -> &[String] {
        &self.frontend_urls
    }

    /// Returns a client of the bank, in plain text.
    pub fn bank_client(&self) -> anyhow::Result<BankClient> {
        Ok(BankClient::new(&self.bank_url)?)
    }

    /// Returns a client of the coordinator, in plain text.
    pub fn coordinator_client(&self) -> anyhow::Result<CoordinatorClient> {
        Ok(CoordinatorClient::new(&self.coordinator_url)?)
    }

    /// Returns the environment variables of client commands; for TLS only the certificate authority.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut environment = vec![
            ("VIGIE_BANK".to_owned(), self.bank_url.clone()),
            ("VIGIE_COORDINATOR".to_owned(), self.coordinator_url.clone()),
        ];
        environment.extend(self.frontend_urls.first().map(|url| ("VIGIE_FRONTEND".to_owned(), url.clone())));
        let ca = self.certificates.as_ref().map(|folder| folder.join("ca.crt").display().to_string());
        environment.extend(ca.map(|ca| ("VIGIE_CA".to_owned(), ca)));
        environment
    }

    /// Returns, for each process that has ended unexpectedly, its status and the end of its log.
    pub fn ended(&mut self) -> Vec<String> {
        self.processes.iter_mut().filter_map(Process::ended).collect()
    }

    /// Fails if a process has ended unexpectedly.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        self.processes.iter_mut().try_for_each(Process::check_running)
    }

    /// Waits until every matcher is ready and has applied the log up to `sequence`, and the coordinator knows
    /// of all of them. The cluster has to use plain text.
    pub async fn wait_ready(
        &mut self,
        sequence: Sequence,
        within: Duration,
    ) -> anyhow::Result<Vec<ReplicaDescription>> {
        let deadline = Deadline::now() + within;
        loop {
            self.check_running()?;
            let soon = Deadline::now() + Duration::from_secs(2);
            let (mut ready, mut lacking) = (Vec::new(), Vec::new());
            for replica in self.matchers.clone() {
                let name = replica.to_string();
                match MatcherClient::new(&self.process(&name)?.url())?.describe(soon).await {
                    Ok(replica) if replica.unready_reason.is_none() && replica.sequence >= sequence => {
                        ready.push(replica);
                    }
                    Ok(replica) => {
                        let reason = replica.unready_reason.as_deref().unwrap_or("ready");
                        lacking.push(format!("{name}: at {}, {reason}", replica.sequence));
                    }
                    Err(error) => lacking.push(format!("{name}: {error}")),
                }
            }
            let topology = self.coordinator_client()?.describe_topology(soon).await;
            let known = topology.is_ok_and(|topology| topology.ready_count() == self.matchers.len());
            if lacking.is_empty() && known {
                return Ok(ready);
            }
            if Deadline::now() > deadline {
                if lacking.is_empty() {
                    lacking.push("the coordinator does not know every matcher".to_owned());
                }
                bail!("the cluster was not ready at {sequence} within {within:?}: {}", lacking.join("; "));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Returns the folder with data and logs.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps data and logs when the cluster ends, and returns their folder.
    pub fn keep_folder(&mut self) -> PathBuf {
        if let Some(temporary) = &mut self.temporary {
            temporary.disable_cleanup(true);
        }
        self.folder.clone()
    }
}

/// Returns addresses that were free a moment ago, each with a different port.
pub fn free_addresses(here: Ipv4Addr, count: usize) -> anyhow::Result<Vec<SocketAddr>> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind((IpAddr::V4(here), 0)))
        .collect::<Result<_, _>>()
        .with_context(|| format!("cannot listen on {here}"))?;
    Ok(listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?)
}
