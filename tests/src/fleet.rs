//! A cluster of processes, each of one role, that can be killed and started again where they were. Matchers can be struck in
//! other ways too: stopped, so that they neither answer nor refuse, or cut off from everybody.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use vigie_clients::{BankClient, CoordinatorClient, Deadline, MatcherClient};
use vigie_model::{ReplicaDescription, Sequence};

use crate::isolation::{Host, Network};

/// What the cluster is.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// The binary.
    pub vigie: PathBuf,
    /// Where the processes keep their data and write their logs.
    pub folder: PathBuf,
    /// The bank's store, as its settings name it.
    pub store: String,
    /// Shards.
    pub shard_count: u16,
    /// Matchers of each shard.
    pub replica_count: u16,
    /// Where each matcher has a host of its own; only there can it be cut off.
    pub network: Option<Arc<Network>>,
    /// Further settings of the matchers, `key=value`.
    pub matcher: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Fleet {
    bank: Process,
    matchers: Vec<(Replica, Process)>,
    coordinator: Process,
}

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The bank.
    Bank,
    /// A matcher.
    Matcher(Replica),
}

/// Which matcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Replica {
    /// Its shard.
    pub shard: u16,
    /// Which of the shard's matchers.
    pub replica: u16,
}

/// What befalls a matcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGSTOP: its connections stand, and nobody answers.
    Stopped,
    /// SIGKILL: its connections are reset, and new ones refused.
    Killed,
    /// No packet comes in or out. It goes on working.
    CutOff,
}

impl FleetConfig {
    /// Every matcher, by shard.
    pub fn replicas(&self) -> impl Iterator<Item = Replica> + use<> {
        let Self { shard_count, replica_count, .. } = *self;
        (0..shard_count)
            .flat_map(move |shard| (0..replica_count).map(move |replica| Replica { shard, replica }))
    }
}

impl Fleet {
    /// Starts every process.
    pub fn start(config: &FleetConfig) -> anyhow::Result<Self> {
        let here = config.network.as_ref().map_or(Ipv4Addr::LOCALHOST, |network| network.gateway());
        let (bank_at, coordinator_at) = (free_address(here)?, free_address(here)?);
        let process = |name: &str, role, address, set: &[String]| {
            let mut process = Process::new(config, name, role, address, set);
            process.start()?;
            anyhow::Ok(process)
        };
        let bank = process("bank", "bank", bank_at, &[format!("bank.store={}", config.store)])?;
        let mut matchers = Vec::new();
        for replica in config.replicas() {
            let Replica { shard, replica: number } = replica;
            let name = format!("matcher-{shard}-{number}");
            let host = match &config.network {
                Some(network) => Some(network.host(u8::try_from(matchers.len())?)?),
                None => None,
            };
            let address = match &host {
                // Nobody else is there.
                Some(host) => SocketAddr::new(host.address(), 7750),
                None => free_address(here)?,
            };
            let mut set = vec![
                format!("matcher.bank=http://{bank_at}"),
                format!("matcher.shard={shard}"),
                format!("matcher.shard_count={}", config.shard_count),
                format!("matcher.index_folder={}", config.folder.join(&name).display()),
            ];
            set.extend(config.matcher.iter().map(|setting| format!("matcher.{setting}")));
            let mut process = Process::new(config, &name, "matcher", address, &set);
            process.host = host;
            process.start()?;
            matchers.push((replica, process));
        }
        let endpoints: Vec<_> =
            matchers.iter().map(|(_, matcher)| format!("\"http://{}\"", matcher.address)).collect();
        let set = [format!("coordinator.matchers=[{}]", endpoints.join(", "))];
        let coordinator = process("coordinator", "coordinator", coordinator_at, &set)?;
        Ok(Self { bank, matchers, coordinator })
    }

    /// Ends a process with SIGKILL: it gets no chance to finish anything.
    pub fn kill(&mut self, role: Role) -> anyhow::Result<()> {
        self.process(role)?.kill()
    }

    /// Starts a process that was killed.
    pub fn revive(&mut self, role: Role) -> anyhow::Result<()> {
        self.process(role)?.start()
    }

    /// Lets something befall a matcher, which is well so far.
    pub fn strike(&mut self, replica: Replica, fault: Fault) -> anyhow::Result<()> {
        let process = self.process(Role::Matcher(replica))?;
        match fault {
            Fault::Stopped => process.signal(Signal::STOP),
            Fault::Killed => process.kill(),
            Fault::CutOff => process.host()?.cut_off(),
        }
    }

    /// Ends what befell it.
    pub fn heal(&mut self, replica: Replica, fault: Fault) -> anyhow::Result<()> {
        let process = self.process(Role::Matcher(replica))?;
        match fault {
            Fault::Stopped => process.signal(Signal::CONT),
            Fault::Killed => process.start(),
            Fault::CutOff => process.host()?.mend(),
        }
    }

    fn process(&mut self, role: Role) -> anyhow::Result<&mut Process> {
        match role {
            Role::Bank => Ok(&mut self.bank),
            Role::Matcher(replica) => self
                .matchers
                .iter_mut()
                .find_map(|(one, process)| (*one == replica).then_some(process))
                .with_context(|| format!("there is no {replica:?}")),
        }
    }

    /// Fails if a process has ended that nobody killed.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        let matchers = self.matchers.iter_mut().map(|(_, matcher)| matcher);
        for process in matchers.chain([&mut self.bank, &mut self.coordinator]) {
            process.check_running()?;
        }
        Ok(())
    }

    /// A client of the bank.
    pub fn bank_client(&self) -> anyhow::Result<BankClient> {
        Ok(BankClient::new(&self.bank.url())?)
    }

    /// A client of the coordinator.
    pub fn coordinator_client(&self) -> anyhow::Result<CoordinatorClient> {
        Ok(CoordinatorClient::new(&self.coordinator.url())?)
    }

    /// Waits until every matcher is ready and holds the log up to `sequence`, and the coordinator knows.
    pub async fn wait_ready(
        &mut self,
        sequence: Sequence,
        within: Duration,
    ) -> anyhow::Result<Vec<ReplicaDescription>> {
        let deadline = Deadline::now() + within;
        loop {
            self.check_running()?;
            let soon = Deadline::now() + Duration::from_secs(2);
            let mut replicas = Vec::new();
            let mut lacking = Vec::new();
            for (_, matcher) in &self.matchers {
                match MatcherClient::new(&matcher.url())?.describe(soon).await {
                    Ok(replica) if replica.unready_reason.is_none() && replica.sequence >= sequence => {
                        replicas.push(replica);
                    }
                    Ok(replica) => lacking.push(format!(
                        "{}: at {}, {}",
                        matcher.name,
                        replica.sequence,
                        replica.unready_reason.as_deref().unwrap_or("ready")
                    )),
                    Err(error) => lacking.push(format!("{}: {error}", matcher.name)),
                }
            }
            let topology = self.coordinator_client()?.describe_topology(soon).await;
            let known = topology.is_ok_and(|topology| topology.ready_count() == self.matchers.len());
            if lacking.is_empty() && known {
                return Ok(replicas);
            }
            if Deadline::now() > deadline {
                bail!("not ready at {sequence} within {within:?}: {}", lacking.join("; "));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// One process, and how to start it again.
#[derive(Debug)]
struct Process {
    name: String,
    address: SocketAddr,
    vigie: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    /// `None` while it is killed.
    child: Option<Child>,
    /// Where it runs; `None` for where this process does. Goes after the child.
    host: Option<Host>,
}

impl Process {
    fn new(config: &FleetConfig, name: &str, role: &str, address: SocketAddr, set: &[String]) -> Self {
        let mut arguments = vec![role.to_owned(), "--listen".to_owned(), address.to_string()];
        arguments.extend(set.iter().flat_map(|setting| ["--set".to_owned(), setting.clone()]));
        if config.network.is_some() {
            // The hosts are on this machine, though their addresses do not tell.
            arguments.extend(["--set", "allow_plaintext=true"].map(str::to_owned));
        }
        let log = config.folder.join(format!("{name}.log"));
        let vigie = config.vigie.clone();
        Self { name: name.to_owned(), address, vigie, arguments, log, child: None, host: None }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "the {} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut words = self.host.as_ref().map_or(Vec::new(), Host::launcher);
        words.push(self.vigie.to_str().context("the path is not UTF-8")?.to_owned());
        let child = Command::new(&words[0])
            .args(&words[1..])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start the {}", self.name))?;
        self.child = Some(child);
        Ok(())
    }

    fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().with_context(|| format!("the {} does not run", self.name))?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let child = self.child.as_ref().with_context(|| format!("the {} does not run", self.name))?;
        kill_process(Pid::from_child(child), signal)
            .with_context(|| format!("cannot send {signal:?} to the {}", self.name))
    }

    fn host(&self) -> anyhow::Result<&Host> {
        self.host.as_ref().with_context(|| format!("the {} has no host of its own", self.name))
    }

    fn check_running(&mut self) -> anyhow::Result<()> {
        let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
        match ended {
            None => Ok(()),
            Some(status) => {
                bail!("the {} ended by itself with {status}: see {}", self.name, self.log.display())
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.is_some() {
            // If it has ended already, so much the better.
            let _ = self.kill();
        }
    }
}

/// An address that was free a moment ago.
fn free_address(here: Ipv4Addr) -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((IpAddr::V4(here), 0))?.local_addr()?)
}
