//! A cluster of processes, each of one role, that can be killed and started again where they were.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use vigie_clients::{BankClient, CoordinatorClient, Deadline, MatcherClient};
use vigie_model::{ReplicaDescription, Sequence};

/// What the cluster is.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// The binary.
    pub vigie: PathBuf,
    /// Where the processes keep their data and write their logs.
    pub folder: PathBuf,
    /// The bank's store, as its settings name it.
    pub store: String,
    /// Shards, each with one matcher.
    pub shard_count: u16,
    /// Further settings of the matchers, `key=value`.
    pub matcher: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub struct Fleet {
    bank: Process,
    matchers: Vec<Process>,
    coordinator: Process,
}

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The bank.
    Bank,
    /// The matcher of a shard.
    Matcher(u16),
}

impl Fleet {
    /// Starts every process.
    pub fn start(config: &FleetConfig) -> anyhow::Result<Self> {
        let (bank_at, coordinator_at) = (free_address()?, free_address()?);
        let matchers_at =
            (0..config.shard_count).map(|_| free_address()).collect::<anyhow::Result<Vec<_>>>()?;
        let process =
            |name: &str, role, address, set: &[String]| Process::new(config, name, role, address, set);
        let bank = process("bank", "bank", bank_at, &[format!("bank.store={}", config.store)])?;
        let mut matchers = Vec::new();
        for (shard, address) in (0..config.shard_count).zip(&matchers_at) {
            let name = format!("matcher-{shard}");
            let mut set = vec![
                format!("matcher.bank=http://{bank_at}"),
                format!("matcher.shard={shard}"),
                format!("matcher.shard_count={}", config.shard_count),
                format!("matcher.index_folder={}", config.folder.join(&name).display()),
            ];
            set.extend(config.matcher.iter().map(|setting| format!("matcher.{setting}")));
            matchers.push(process(&name, "matcher", *address, &set)?);
        }
        let endpoints: Vec<_> = matchers_at.iter().map(|address| format!("\"http://{address}\"")).collect();
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

    fn process(&mut self, role: Role) -> anyhow::Result<&mut Process> {
        match role {
            Role::Bank => Ok(&mut self.bank),
            Role::Matcher(shard) => self
                .matchers
                .get_mut(usize::from(shard))
                .with_context(|| format!("there is no shard {shard}")),
        }
    }

    /// Fails if a process has ended that nobody killed.
    pub fn check_running(&mut self) -> anyhow::Result<()> {
        for process in self.matchers.iter_mut().chain([&mut self.bank, &mut self.coordinator]) {
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
            for matcher in &self.matchers {
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
}

impl Process {
    fn new(
        config: &FleetConfig,
        name: &str,
        role: &str,
        address: SocketAddr,
        set: &[String],
    ) -> anyhow::Result<Self> {
        let mut arguments = vec![role.to_owned(), "--listen".to_owned(), address.to_string()];
        arguments.extend(set.iter().flat_map(|setting| ["--set".to_owned(), setting.clone()]));
        let log = config.folder.join(format!("{name}.log"));
        let vigie = config.vigie.clone();
        let mut process = Self { name: name.to_owned(), address, vigie, arguments, log, child: None };
        process.start()?;
        Ok(process)
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "the {} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.vigie)
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
fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
