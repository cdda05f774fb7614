//! What a cluster in this process is to be.

use std::path::PathBuf;

use vigie_serving::ServingConfig;
use vigie_telemetry::TelemetryConfig;

use crate::local_cluster::gateway::HttpAt;
use crate::local_cluster::ports::Ports;

/// How lookups go from role to role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// Over sockets, as in a cluster of many machines: from the gateway to the frontend, the coordinator and
    /// the matchers.
    OverSockets,
    /// As functions. The coordinator and the frontend, which has one inside, call the matchers: nothing is
    /// sent, nothing is converted, and a search is admitted once. The gateway calls the frontend's server:
    /// nothing is sent, and the call passes every layer of the server.
    AsFunctions,
}

/// What the cluster is to be.
#[derive(Debug, Clone)]
pub struct LocalClusterConfig {
    /// The folder of the bank's data; created if it is missing.
    pub data: PathBuf,
    /// Shards, each with one matcher.
    pub shard_count: u16,
    /// How lookups go from role to role.
    pub calls: Calls,
    /// Where to listen.
    pub ports: Ports,
    /// What the bank is told; its store is set from `data`.
    pub bank: vigie_bank::Config,
    /// What every matcher is told; its bank, shard and folder are set.
    pub matcher: vigie_matcher::Config,
    /// What the frontend is told; its coordinator is set.
    pub frontend: vigie_frontend::Config,
    /// Where the gateway listens.
    pub http: HttpAt,
    /// What the gateway is told; the roles behind it are set.
    pub gateway: vigie_gateway::Config,
    /// What the exchange process is told, if there is one; its bank is set.
    pub exchange: Option<vigie_exchange::Config>,
    /// What the classifier is told, if there is one; its bank is set, and the frontend asks it.
    pub classifier: Option<vigie_classifier::Config>,
    /// Where the traces of all roles go, if anywhere, and where the metrics of all roles are served, if
    /// anywhere.
    pub telemetry: TelemetryConfig,
}

impl LocalClusterConfig {
    /// The defaults, with data in `data`, on any free ports.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        // There is no balancer to be warned.
        let serving = ServingConfig::default().without_lame_duck();
        let mut frontend = vigie_frontend::Config::default();
        frontend.serving = frontend.serving.without_lame_duck();
        Self {
            data: data.into(),
            shard_count: 4,
            calls: Calls::OverSockets,
            ports: Ports::Any,
            bank: vigie_bank::Config { serving, ..vigie_bank::Config::default() },
            matcher: vigie_matcher::Config { serving, ..vigie_matcher::Config::default() },
            frontend,
            http: HttpAt::Off,
            gateway: vigie_gateway::Config { serving, ..vigie_gateway::Config::default() },
            exchange: None,
            classifier: None,
            telemetry: TelemetryConfig::default(),
        }
    }
}
