//! Runs every role of a cluster in this process, on loopback ports, with the bank's data in one folder.
//!
//! `vigie up` runs this, and so do the demonstration and the tests. Each role has its own listener. The roles
//! call each other over gRPC, as separate processes do, or some calls are direct function calls ([`Calls`]).

mod ports;
mod config;
mod folder;
mod gateway;
mod secrets;
pub mod role;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
pub use config::{Calls, LocalClusterConfig};
pub use gateway::HttpAt;
pub use ports::Ports;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use vigie_access::{DirectoryConfig, ProcessesConfig};
use vigie_bank::AuditConfig;
use vigie_clients::{
    BankClient, CoordinatorClient, Deadline, LocalServers, MatchClient, MatcherClient, Neighbours, Network,
};
use vigie_consortium::Process;
use vigie_frontend::CoordinatorAt;
use vigie_model::Topology;
use vigie_serving::ServingConfig;
use vigie_telemetry::{Condition, OpenFiles, Shown, TelemetryConfig};

use crate::config::names::{BANK, CLASSIFIER, COORDINATOR, EXCHANGE, FRONTEND, GATEWAY, MATCHER};
use crate::local_cluster::folder::{MATCHER_FOLDER, lock, path_text, remove_other_matchers};
use crate::local_cluster::gateway::Behind;
use crate::local_cluster::ports::bind;
use crate::local_cluster::role::Role;
use crate::local_cluster::secrets::Secrets;
use crate::traces;

/// Timeout of one readiness check of a cluster that starts.
const PROBE_WITHIN: Duration = Duration::from_secs(1);

/// Number of servers besides the matchers: bank, coordinator, frontend, gateway and classifier.
const OTHER_SERVERS: usize = 5;
/// Offset of the classifier's port from the first port.
const CLASSIFIER_PORT: u16 = 6;

/// A cluster that runs until it is stopped.
#[derive(Debug)]
pub struct LocalCluster {
    bank: Role,
    matchers: Vec<Option<Role>>,
    coordinator: Role,
    frontend: Role,
    gateway: Option<Role>,
    exchange: Option<Role>,
    classifier: Option<Role>,
    bank_url: String,
    matcher_config: vigie_matcher::Config,
    telemetry: TelemetryConfig,
    data: PathBuf,
    matcher_addresses: Vec<SocketAddr>,
    /// The credentials by which the cluster's processes authenticate to each other.
    processes: ProcessesConfig,
    /// Network settings for calls of the cluster's own processes.
    own: Network,
    /// Network settings for the calls that the gateway makes for its callers.
    callers: Network,
    /// Address where metrics and probes are served, if they are.
    telemetry_address: Option<SocketAddr>,
    /// The server of metrics and probes, which ends with the cluster.
    _shown: JoinSet<()>,
    /// Lock that is held while the cluster runs: two banks in one folder would overwrite each other's data.
    _lock: File,
}

impl LocalCluster {
    /// Starts every role. They listen when this returns, and [`Self::wait_ready`] waits until they answer.
    pub async fn start(config: LocalClusterConfig) -> anyhow::Result<Self> {
        // The configurations of all roles are large, and callers hold this future in theirs.
        Box::pin(Self::started(Box::new(config))).await
    }

    async fn started(config: Box<LocalClusterConfig>) -> anyhow::Result<Self> {
        let LocalClusterConfig {
            data,
            shard_count,
            calls,
            ports,
            bank,
            matcher,
            frontend,
            http,
            gateway,
            exchange,
            classifier,
            telemetry,
        } = *config;
        let (neighbours, local) = match calls {
            Calls::OverSockets => (None, None),
            Calls::AsFunctions => (Some(Neighbours::default()), Some(LocalServers::default())),
        };
        // All servers share the limit of open files of this process.
        let connections = OpenFiles::now().connections(usize::from(shard_count) + OTHER_SERVERS);
        let bounded = |serving: ServingConfig| serving.with_connections_at_most(connections);
        let bank = vigie_bank::Config {
            // All matchers run on one host.
            followers_per_client_max: bank.followers_max,
            serving: bounded(bank.serving),
            ..bank
        };
        let matcher = vigie_matcher::Config { serving: bounded(matcher.serving), ..matcher };
        let frontend = vigie_frontend::Config { serving: bounded(frontend.serving), ..frontend };
        let network = Network::tcp();
        let telemetry_of = |service| traces::start(service, &telemetry, &network);
        let lock = lock(&data)?;
        remove_other_matchers(&data, shard_count)?;
        // The secrets exist from the start, so that members may be turned on while the cluster runs.
        let Secrets { cluster_key, audit_key } = Secrets::prepare(&data)?;
        let processes =
            || ProcessesConfig { cluster_key: Some(cluster_key.clone()), ..ProcessesConfig::default() };
        let audit = AuditConfig { signing_keys: vec![audit_key], ..bank.audit };
        let bank = vigie_bank::Config { processes: processes(), audit, ..bank };
        let matcher =
            vigie_matcher::Config { processes: processes(), neighbours: neighbours.clone(), ..matcher };
        let frontend = vigie_frontend::Config { processes: processes(), ..frontend };
        let gateway = vigie_gateway::Config {
            processes: processes(),
            serving: bounded(gateway.serving),
            access: frontend.access.clone(),
            ..gateway
        };
        let own = processes().network(&network, Process::Frontend).map_err(anyhow::Error::msg)?;
        let store = data.join("bank.db");
        let bank_config =
            vigie_bank::Config { store: format!("sqlite:{}", path_text(&store)?).into(), ..bank };

        let bank_listener = bind(ports, 2).await?;
        let coordinator_listener = bind(ports, 1).await?;
        let frontend_listener = bind(ports, 0).await?;
        let gateway_listener = http.bind(ports).await?;
        let classifier_listener = match &classifier {
            Some(_) => Some(bind(ports, CLASSIFIER_PORT).await?),
            None => None,
        };
        let mut matcher_listeners = Vec::new();
        for shard in 0..shard_count {
            matcher_listeners.push(bind(ports, 10 + shard).await?);
        }

        let bank = Role::bank(bank_config, bank_listener, telemetry_of("vigie-bank")?)?;
        let bank_url = bank.url();
        let mut matchers = Vec::new();
        for (shard, listener) in (0..shard_count).zip(matcher_listeners) {
            let place = MatcherPlace { shard, shard_count, listener };
            matchers.push(start_matcher(&matcher, &data, &bank_url, place, &telemetry)?);
        }
        let directory = || DirectoryConfig { bank: vec![bank_url.clone()], ..frontend.directory.clone() };
        let coordinator_config = vigie_coordinator::Config {
            matchers: matchers.iter().map(Role::url).collect(),
            neighbours: neighbours.clone(),
            serving: bounded(ServingConfig::default().without_lame_duck()),
            directory: directory(),
            access: frontend.access.clone(),
            processes: processes(),
            ..vigie_coordinator::Config::default()
        };
        let embedded = coordinator_config.clone();
        let coordinator =
            Role::coordinator(coordinator_config, coordinator_listener, telemetry_of("vigie-coordinator")?)?;
        let classifier = match classifier.zip(classifier_listener) {
            Some((config, listener)) => {
                let serving = bounded(config.serving.without_lame_duck());
                let (directory, access) = (directory(), frontend.access.clone());
                let config =
                    vigie_classifier::Config { serving, directory, access, processes: processes(), ..config };
                Some(Role::classifier(config, listener, telemetry_of("vigie-classifier")?)?)
            }
            None => None,
        };
        let mut classifiers = frontend.classifiers.clone();
        classifiers.endpoints.extend(classifier.as_ref().map(Role::url));
        let frontend_config = vigie_frontend::Config {
            classifiers,
            coordinator: match neighbours {
                None => CoordinatorAt::Endpoints(vec![coordinator.url()]),
                Some(_) => CoordinatorAt::Embedded,
            },
            embedded,
            directory: directory(),
            local: local.clone(),
            ..frontend
        };
        let frontend = Role::frontend(frontend_config, frontend_listener, telemetry_of("vigie-frontend")?)?;
        let callers = match local {
            None => Network::tcp(),
            Some(servers) => Network::tcp().with_local(servers),
        };
        let behind =
            Behind { frontend: &frontend, coordinator: &coordinator, bank: &bank, network: &callers };
        let gateway = gateway_listener
            .map(|listener| gateway::start(gateway, listener, &behind, telemetry_of("vigie-gateway")?))
            .transpose()?;
        let exchange = match exchange {
            None => None,
            Some(config) => {
                let bank = vec![bank_url.clone()];
                let config = vigie_exchange::Config { bank, processes: processes(), ..config };
                Some(Role::exchange(config, telemetry_of("vigie-exchange")?))
            }
        };
        let mut shown = Shown::of_process()
            .with(&[("role", FRONTEND)], frontend.telemetry())
            .with(&[("role", COORDINATOR)], coordinator.telemetry())
            .with(&[("role", BANK)], bank.telemetry());
        if let Some(gateway) = &gateway {
            shown = shown.with(&[("role", GATEWAY)], gateway.telemetry());
        }
        if let Some(exchange) = &exchange {
            shown = shown.with(&[("role", EXCHANGE)], exchange.telemetry());
        }
        if let Some(classifier) = &classifier {
            shown = shown.with(&[("role", CLASSIFIER)], classifier.telemetry());
        }
        for (shard, matcher) in matchers.iter().enumerate() {
            // The label is not `shard`, because coordinators use that one.
            shown = shown.with(&[("role", MATCHER), ("of_shard", &shard.to_string())], matcher.telemetry());
        }
        let mut serving = JoinSet::new();
        let telemetry_address = match telemetry.listen {
            Some(listen) => {
                let listener = TcpListener::bind(listen).await;
                let listener = listener.with_context(|| format!("cannot listen on {listen} for metrics"))?;
                let address = listener.local_addr()?;
                serving.spawn(vigie_telemetry::serve(listener, shown));
                Some(address)
            }
            None => None,
        };
        Ok(Self {
            processes: processes(),
            own,
            callers,
            telemetry_address,
            _shown: serving,
            bank,
            matcher_addresses: matchers.iter().map(Role::address).collect(),
            matchers: matchers.into_iter().map(Some).collect(),
            coordinator,
            frontend,
            gateway,
            exchange,
            classifier,
            bank_url,
            matcher_config: matcher,
            telemetry,
            data,
            _lock: lock,
        })
    }

    /// Returns the URL of the frontend.
    #[must_use]
    pub fn frontend_url(&self) -> String {
        self.frontend.url()
    }

    /// Returns the URL of the gateway, if there is one.
    #[must_use]
    pub fn http_url(&self) -> Option<String> {
        self.gateway.as_ref().map(Role::url)
    }

    /// Returns the URL of the console in a browser, if there is a gateway.
    #[must_use]
    pub fn console_url(&self) -> Option<String> {
        self.http_url().map(|url| format!("{url}/console/"))
    }

    /// Returns the URL of the metrics and probes of all roles, if they are served. They do not include a
    /// matcher that was restarted.
    #[must_use]
    pub fn telemetry_url(&self) -> Option<String> {
        self.telemetry_address.map(|address| format!("http://{address}"))
    }

    /// Returns the URL of the coordinator.
    #[must_use]
    pub fn coordinator_url(&self) -> String {
        self.coordinator.url()
    }

    /// Returns the URL of the classifier, if there is one.
    #[must_use]
    pub fn classifier_url(&self) -> Option<String> {
        self.classifier.as_ref().map(Role::url)
    }

    /// Returns the URL of the bank.
    #[must_use]
    pub fn bank_url(&self) -> String {
        self.bank_url.clone()
    }

    /// Returns the URL of a shard's matcher, also while the matcher is stopped.
    #[must_use]
    pub fn matcher_url(&self, shard: u16) -> String {
        format!("http://{}", self.matcher_addresses[usize::from(shard)])
    }

    /// Returns the credentials of the cluster's processes, for further processes that join the cluster.
    #[must_use]
    pub fn processes(&self) -> &ProcessesConfig {
        &self.processes
    }

    /// Returns the network settings for calls of the cluster's own processes. Matchers answer nobody else.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.own
    }

    /// Returns the network settings with which the gateway calls other roles for its callers; it adds their
    /// credentials. It calls the frontend over a socket or as a function.
    #[must_use]
    pub fn callers(&self) -> &Network {
        &self.callers
    }

    /// Returns a client of the frontend.
    pub fn match_client(&self) -> anyhow::Result<MatchClient> {
        Ok(MatchClient::new(&self.frontend_url())?)
    }

    /// Returns a client of the bank.
    pub fn bank_client(&self) -> anyhow::Result<BankClient> {
        Ok(BankClient::new(&self.bank_url())?)
    }

    /// Returns a client of the coordinator.
    pub fn coordinator_client(&self) -> anyhow::Result<CoordinatorClient> {
        Ok(CoordinatorClient::new(&self.coordinator_url())?)
    }

    /// Waits until every shard is ready and the bank answers. Fails at `deadline`, or when a role has ended,
    /// with the error of that role.
    pub async fn wait_ready(&mut self, deadline: Deadline) -> anyhow::Result<()> {
        let bank = BankClient::new_on(&self.bank_url(), &self.own)?;
        let coordinator = CoordinatorClient::new_on(&[self.coordinator_url()], &self.own)?;
        loop {
            if let Some(error) = self.ended().await {
                return Err(error);
            }
            let soon = Deadline::now() + PROBE_WITHIN;
            // The matchers are asked first: the state that the coordinator knows may be from before a matcher
            // was restarted.
            let matchers_ready = self.matchers_ready(soon).await?;
            let (head, topology) = tokio::join!(bank.log_head(soon), coordinator.describe_topology(soon));
            if matchers_ready
                && self.is_ready([Some(&self.frontend), self.gateway.as_ref()])
                && head.is_ok()
                && topology.as_ref().is_ok_and(|topology| self.all_ready(topology))
            {
                return Ok(());
            }
            if Deadline::now() >= deadline {
                head.context("the bank does not answer")?;
                bail!("the cluster was not ready in time: {topology:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn matchers_ready(&self, deadline: Deadline) -> anyhow::Result<bool> {
        for matcher in self.matchers.iter().flatten() {
            let described = MatcherClient::new_on(&matcher.url(), &self.own)?.describe(deadline).await;
            if !described.is_ok_and(|replica| replica.unready_reason.is_none()) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_ready(&self, roles: [Option<&Role>; 2]) -> bool {
        roles.into_iter().flatten().all(|role| matches!(role.telemetry().condition(), Condition::Ready))
    }

    fn all_ready(&self, topology: &Topology) -> bool {
        topology.ready_count() == self.matchers.iter().flatten().count()
    }

    /// Returns the error of a role that has ended by itself; `None` if all roles run.
    async fn ended(&mut self) -> Option<anyhow::Error> {
        let fixed = [&mut self.bank, &mut self.coordinator, &mut self.frontend];
        let mut roles = fixed
            .into_iter()
            .chain(&mut self.gateway)
            .chain(&mut self.exchange)
            .chain(&mut self.classifier)
            .chain(self.matchers.iter_mut().flatten());
        let role = roles.find(|role| role.has_ended())?;
        let outcome = role.outcome().await;
        Some(outcome.err().unwrap_or_else(|| anyhow!("the {} ended by itself", role.name())))
    }

    /// Waits until a role ends by itself, which none should, and returns the reason.
    pub async fn wait_ended(&mut self) -> anyhow::Error {
        loop {
            if let Some(error) = self.ended().await {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Stops the matcher of a shard, as if its machine had failed.
    pub async fn stop_matcher(&mut self, shard: u16) -> anyhow::Result<()> {
        match self.matchers[usize::from(shard)].take() {
            Some(matcher) => matcher.stop().await,
            None => bail!("the matcher of shard {shard} does not run"),
        }
    }

    /// Restarts the matcher of a shard at its previous address. It continues from its last snapshot.
    pub async fn start_matcher(&mut self, shard: u16) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.matcher_addresses[usize::from(shard)]).await?;
        let place = MatcherPlace { shard, shard_count: u16::try_from(self.matchers.len())?, listener };
        let started =
            start_matcher(&self.matcher_config, &self.data, &self.bank_url, place, &self.telemetry)?;
        self.matchers[usize::from(shard)] = Some(started);
        Ok(())
    }

    /// Stops every role, callers before the roles that they call, and returns the first error.
    pub async fn stop(self) -> anyhow::Result<()> {
        let mut outcome = Ok(());
        for role in [self.exchange, self.gateway].into_iter().flatten() {
            outcome = outcome.and(role.stop().await);
        }
        outcome = outcome.and(self.frontend.stop().await);
        if let Some(classifier) = self.classifier {
            outcome = outcome.and(classifier.stop().await);
        }
        outcome = outcome.and(self.coordinator.stop().await);
        for matcher in self.matchers.into_iter().flatten() {
            outcome = outcome.and(matcher.stop().await);
        }
        outcome.and(self.bank.stop().await)
    }
}

/// The shard of a matcher, and its listener.
struct MatcherPlace {
    shard: u16,
    shard_count: u16,
    listener: TcpListener,
}

fn start_matcher(
    config: &vigie_matcher::Config,
    data: &Path,
    bank_url: &str,
    place: MatcherPlace,
    telemetry: &TelemetryConfig,
) -> anyhow::Result<Role> {
    let MatcherPlace { shard, shard_count, listener } = place;
    let config = vigie_matcher::Config {
        bank: bank_url.to_owned(),
        shard: shard.into(),
        shard_count: shard_count.into(),
        index_folder: Some(data.join(format!("{MATCHER_FOLDER}{shard}"))),
        ..config.clone()
    };
    let telemetry = traces::start("vigie-matcher", telemetry, &Network::tcp())?;
    Role::matcher(config, listener, telemetry)
}
