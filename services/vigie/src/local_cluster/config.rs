//! The configuration of a cluster in this process.

use std::path::PathBuf;

use vigie_serving::ServingConfig;
use vigie_telemetry::TelemetryConfig;

use crate::local_cluster::gateway::HttpAt;
use crate::local_cluster::ports::Ports;

/// How the roles call each other for lookups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Calls {
    /// Over sockets, as in a cluster of several machines: the gateway calls the frontend, the frontend the
    /// coordinator, and the coordinator the matchers.
    OverSockets,
    /// As functions. The coordinator, and the frontend with its embedded coordinator, call the matchers
    /// directly: nothing is sent or converted, and a search is admitted once. The gateway calls the
    /// frontend's server in this process: nothing is sent, and the call passes every layer of the server.
    AsFunctions,
}

/// The configuration of the cluster.
#[derive(Debug, Clone)]
pub struct LocalClusterConfig {
    /// The folder of the bank's data; created if it is missing.
    pub data: PathBuf,
    /// Number of shards; each has one matcher.
    pub shard_count: u16,
    /// How the roles call each other for lookups.
    pub calls: Calls,
    /// The ports that the roles listen on.
    pub ports: Ports,
    /// Configuration of the bank; its store is derived from `data`.
    pub bank: vigie_bank::Config,
    /// Configuration of every matcher; its bank, shard and folder are replaced.
    pub matcher: vigie_matcher::Config,
    /// Configuration of the frontend; its coordinator is replaced.
    pub frontend: vigie_frontend::Config,
    /// The address that the gateway listens on.
    pub http: HttpAt,
    /// Configuration of the gateway; the roles that it calls are replaced.
    pub gateway: vigie_gateway::Config,
    /// Configuration of the exchange process; its bank is replaced. `None` for no exchange process.
    pub exchange: Option<vigie_exchange::Config>,
    /// Configuration of the classifier; its bank is replaced, and the frontend calls it. `None` for no
    /// classifier.
    pub classifier: Option<vigie_classifier::Config>,
    /// The collector of the traces of all roles, and the address where the metrics of all roles are served;
    /// both are optional.
    pub telemetry: TelemetryConfig,
}

impl LocalClusterConfig {
    /// Returns the defaults, with data in the folder `data`, on any free ports.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        // No load balancer needs a warning before the servers stop.
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
