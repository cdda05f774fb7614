//! Configuration of the roles. Each source overrides the one before it: defaults, file, environment,
//! arguments.
//!
//! A file is TOML. It has a key `listen`, and one table for each role with the role's name: `[bank]`,
//! `[matcher]`, `[coordinator]`, `[frontend]`, `[gateway]`, `[exchange]`, `[classifier]`. The keys that all
//! roles share are `[tls]` and `allow_plaintext` ([`Transport`]), and `[telemetry]`. The variable
//! `VIGIE__MATCHER__SHARD=2` sets the key `matcher.shard`, and so does the argument `--set matcher.shard=2`.
//! Only this module and the command line read the environment.
//!
//! Reading order: `sources` (file, environment, arguments), `fitting` (converts a table to a type), `fault`,
//! `transport`, then [`reference`] (describes every key for people), which uses `fields`.

pub(crate) mod names;
mod fields;
pub(crate) mod reference;
mod fault;
mod fitting;
mod sources;
mod transport;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use serde::de::DeserializeOwned;
use toml::{Table, Value};
use vigie_frontend::CoordinatorAt;
use vigie_telemetry::TelemetryConfig;

use crate::cli::{Cli, Command, ExchangeCommand, LogFormat, RoleArgs, StoreArgs};

pub(crate) use fault::Fault;
pub(crate) use transport::Transport;

use fault::{error_of, located};
use fitting::{fitting, unknown as unknown_key};
use names::{
    ALLOW_PLAINTEXT, BANK, CLASSIFIER, COORDINATOR, EXCHANGE, FRONTEND, GATEWAY, LISTEN, MATCHER, ROLES,
    TELEMETRY, TLS,
};
use sources::{Merged, merged};

/// The configuration of one role. Every key has a default.
pub(crate) trait RoleConfig: DeserializeOwned {
    /// Name of the role, and of its table.
    const NAME: &'static str;

    /// Whether the role listens for calls.
    const LISTENS: bool = true;

    /// Returns every fault of the values, each as `field: what is wrong`.
    fn faults(&self) -> Vec<String>;

    /// Copies values that the role needs from the tables of other roles.
    fn complete(&mut self, _table: &Table, _transport: &Transport, _faults: &mut Vec<String>) {}

    /// Returns the endpoints that the role calls, each with the field that contains it.
    fn endpoints(&self) -> Vec<(&'static str, String)>;
}

/// Pairs every endpoint of a list with the field that contains it.
fn endpoints_of(field: &'static str, endpoints: &[String]) -> Vec<(&'static str, String)> {
    endpoints.iter().map(|endpoint| (field, endpoint.clone())).collect()
}

macro_rules! role_config {
    ($name:expr, $config:ty, $endpoints:expr) => {
        impl RoleConfig for $config {
            const NAME: &'static str = $name;

            fn faults(&self) -> Vec<String> {
                self.faults()
            }

            fn endpoints(&self) -> Vec<(&'static str, String)> {
                $endpoints(self)
            }
        }
    };
}

role_config!(BANK, vigie_bank::Config, |_: &Self| Vec::new());
role_config!(MATCHER, vigie_matcher::Config, |of: &Self| vec![("matcher.bank", of.bank.clone())]);
role_config!(COORDINATOR, vigie_coordinator::Config, |of: &Self| {
    endpoints_of("coordinator.matchers", &of.matchers)
});

role_config!(GATEWAY, vigie_gateway::Config, |of: &Self| {
    [
        endpoints_of("gateway.frontend", &of.frontend),
        endpoints_of("gateway.coordinator", &of.coordinator),
        endpoints_of("gateway.directory.bank", &of.directory.bank),
    ]
    .concat()
});

role_config!(CLASSIFIER, vigie_classifier::Config, |of: &Self| {
    let servers = of.servers.iter().map(|server| ("classifier.servers", server.endpoint.clone()));
    servers.chain(endpoints_of("classifier.directory.bank", &of.directory.bank)).collect()
});

impl RoleConfig for vigie_exchange::Config {
    const NAME: &'static str = EXCHANGE;

    /// An exchange process calls others, and nobody calls it.
    const LISTENS: bool = false;

    fn faults(&self) -> Vec<String> {
        self.faults()
    }

    fn endpoints(&self) -> Vec<(&'static str, String)> {
        endpoints_of("exchange.bank", &self.bank)
    }
}

impl RoleConfig for vigie_frontend::Config {
    const NAME: &'static str = FRONTEND;

    fn faults(&self) -> Vec<String> {
        self.faults()
    }

    /// An embedded coordinator uses the table of the coordinator role.
    fn complete(&mut self, table: &Table, transport: &Transport, faults: &mut Vec<String>) {
        if self.coordinator == CoordinatorAt::Embedded
            && let Some(config) = required_role(table, transport, faults)
        {
            self.embedded = config;
        }
    }

    fn endpoints(&self) -> Vec<(&'static str, String)> {
        let mut all = endpoints_of("frontend.classifiers.endpoints", &self.classifiers.endpoints);
        match &self.coordinator {
            // The endpoints of an embedded coordinator are checked with the coordinator's table.
            CoordinatorAt::Embedded => {}
            CoordinatorAt::Endpoints(endpoints) => {
                all.extend(endpoints_of("frontend.coordinator", endpoints));
            }
        }
        all
    }
}

/// The settings of one role, including those that all roles share.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RoleSettings<C> {
    /// The address that the role listens on.
    pub(crate) listen: SocketAddr,
    /// The settings of TLS and plain text for incoming and outgoing connections.
    pub(crate) transport: Transport,
    /// The settings of metrics, probes and traces.
    pub(crate) telemetry: TelemetryConfig,
    /// The role's own table.
    pub(crate) config: C,
}

/// Loads the settings of one role from the file, the environment and the arguments.
///
/// The tables of other roles are not checked.
pub(crate) fn load<C: RoleConfig>(args: &RoleArgs) -> anyhow::Result<RoleSettings<C>> {
    let file = args.config.as_deref();
    let Merged { mut table, mut origins, mut faults, is_unread } = merged(file, &args.set)?;
    if is_unread {
        return Err(error_of(&located(faults, &origins, file)));
    }
    if let Some(listen) = args.listen {
        table.insert(LISTEN.to_owned(), Value::String(listen.to_string()));
        origins.set(LISTEN.to_owned(), format!("--{LISTEN}"));
    }
    faults.extend(unknown_keys(&table));
    let transport = Transport::read(&table, &mut faults);
    let telemetry = telemetry(&table, &mut faults);
    let listen = match C::LISTENS {
        true => listen(&table, &transport, &mut faults),
        false => Some((Ipv4Addr::UNSPECIFIED, 0).into()),
    };
    let config = required_role::<C>(&table, &transport, &mut faults);
    match (listen, config) {
        (Some(listen), Some(config)) if faults.is_empty() => {
            Ok(RoleSettings { listen, transport, telemetry, config })
        }
        _ => Err(error_of(&located(faults, &origins, file))),
    }
}

/// Loads the settings of a bank's store from the file, the environment and the arguments. The bank does not
/// run, so it needs no address to listen on.
pub(crate) fn load_store(args: &StoreArgs) -> anyhow::Result<vigie_bank::Config> {
    let file = args.config.as_deref();
    let Merged { table, origins, mut faults, is_unread } = merged(file, &args.set)?;
    if is_unread {
        return Err(error_of(&located(faults, &origins, file)));
    }
    faults.extend(unknown_keys(&table));
    match required_role(&table, &Transport::default(), &mut faults) {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(error_of(&located(faults, &origins, file))),
    }
}

/// Loads the classifier's table for a cluster in one process. The cluster itself sets the bank and the
/// processes in it.
pub(crate) fn load_classifiers(file: &Path) -> anyhow::Result<vigie_classifier::Config> {
    let Merged { table, origins, mut faults, is_unread } = merged(Some(file), &[])?;
    if is_unread {
        return Err(error_of(&located(faults, &origins, Some(file))));
    }
    faults.extend(unknown_keys(&table));
    if !table.contains_key(CLASSIFIER) {
        faults.push(format!("{CLASSIFIER}: the configuration has no [{CLASSIFIER}] table"));
    }
    let value = table.get(CLASSIFIER);
    let fitted = value.and_then(|value| fitting::<vigie_classifier::Config>(CLASSIFIER, value, &mut faults));
    if let Some(fitted) = &fitted {
        let found = fitted.config.engine_faults().into_iter();
        faults.extend(found.map(|fault| format!("{CLASSIFIER}.{fault}")));
    }
    match fitted {
        Some(fitted) if faults.is_empty() => Ok(fitted.config),
        _ => Err(error_of(&located(faults, &origins, Some(file)))),
    }
}

/// Converts the role's table. It is a fault if the table is missing.
fn required_role<C: RoleConfig>(table: &Table, transport: &Transport, faults: &mut Vec<String>) -> Option<C> {
    let config = role::<C>(table, transport, faults);
    if !table.contains_key(C::NAME) {
        faults.push(format!("{}: the configuration has no [{}] table", C::NAME, C::NAME));
    }
    config
}

/// Returns every fault of a file, the environment and these `--set` arguments, in every table that is
/// present.
///
/// # Errors
///
/// The file cannot be read.
pub(crate) fn check(file: Option<&Path>, arguments: &[String]) -> anyhow::Result<Vec<Fault>> {
    let Merged { table, origins, mut faults, is_unread } = merged(file, arguments)?;
    if is_unread {
        // If the file is not valid TOML, its keys are not known, so they cannot be checked.
        return Ok(located(faults, &origins, file));
    }
    faults.extend(unknown_keys(&table));
    let transport = Transport::read(&table, &mut faults);
    telemetry(&table, &mut faults);
    // An exchange process alone does not listen.
    let listens = |role: &&str| **role != *EXCHANGE && table.contains_key(*role);
    if ROLES.iter().any(listens) || !table.contains_key(EXCHANGE) {
        listen(&table, &transport, &mut faults);
    }
    role::<vigie_bank::Config>(&table, &transport, &mut faults);
    role::<vigie_matcher::Config>(&table, &transport, &mut faults);
    role::<vigie_coordinator::Config>(&table, &transport, &mut faults);
    role::<vigie_frontend::Config>(&table, &transport, &mut faults);
    role::<vigie_gateway::Config>(&table, &transport, &mut faults);
    role::<vigie_exchange::Config>(&table, &transport, &mut faults);
    role::<vigie_classifier::Config>(&table, &transport, &mut faults);
    // The table of an embedded coordinator is checked twice, so its faults are deduplicated.
    let mut seen = BTreeSet::new();
    faults.retain(|fault| seen.insert(fault.clone()));
    if !ROLES.iter().any(|role| table.contains_key(*role)) {
        faults.push(format!("there is no table of a role: [{}]", ROLES.join("], [")));
    }
    Ok(located(faults, &origins, file))
}

fn unknown_keys(table: &Table) -> Vec<String> {
    const SHARED: [&str; 4] = [LISTEN, ALLOW_PLAINTEXT, TLS, TELEMETRY];
    let unknown =
        table.keys().filter(|key| !SHARED.contains(&key.as_str()) && !ROLES.contains(&key.as_str()));
    let known = [SHARED.as_slice(), &ROLES].concat();
    unknown.map(|key| format!("{key}: {}", unknown_key(key, known.iter().copied(), ""))).collect()
}

/// Converts the `[telemetry]` table. The rule about plain text does not apply to it, because telemetry
/// contains nothing that callers sent.
fn telemetry(table: &Table, faults: &mut Vec<String>) -> TelemetryConfig {
    let fitted = table.get(TELEMETRY).and_then(|value| fitting::<TelemetryConfig>(TELEMETRY, value, faults));
    let Some(fitted) = fitted else { return TelemetryConfig::default() };
    let found = fitted.config.faults().into_iter().map(|fault| format!("{TELEMETRY}.{fault}"));
    faults.extend(found.filter(|fault| fitted.is_of_a_value(fault)));
    let config = fitted.config;
    if config.listen.is_some_and(|listen| listen.port() != 0 && is_taken(table, listen)) {
        faults.push(format!(
            "{TELEMETRY}.listen: is the address that the role itself listens on; choose another port"
        ));
    }
    config
}

/// Returns whether the role listens on this address.
fn is_taken(table: &Table, address: SocketAddr) -> bool {
    let listen = table.get(LISTEN).and_then(Value::as_str).and_then(|text| text.parse().ok());
    listen.is_some_and(|listen: SocketAddr| {
        let is_any = listen.ip().is_unspecified() || address.ip().is_unspecified();
        listen.port() == address.port() && (is_any || listen.ip() == address.ip())
    })
}

fn listen(table: &Table, transport: &Transport, faults: &mut Vec<String>) -> Option<SocketAddr> {
    let Some(value) = table.get(LISTEN) else {
        faults.push(format!("{LISTEN}: is missing; set it in the file, or with --listen"));
        return None;
    };
    let address = value.as_str().and_then(|text| text.parse().ok());
    match address {
        None => faults
            .push(format!("{LISTEN}: {value} is not an address with a port, such as \"127.0.0.1:7740\"")),
        Some(address) => transport.check_listen(address, table, faults),
    }
    address
}

/// Converts the role's table; `None` if it is missing or a key does not fit.
fn role<C: RoleConfig>(table: &Table, transport: &Transport, faults: &mut Vec<String>) -> Option<C> {
    let value = table.get(C::NAME)?;
    let known = faults.len();
    let mut fitted = fitting::<C>(C::NAME, value, faults)?;
    fitted.config.complete(table, transport, faults);
    let mut found: Vec<String> =
        fitted.config.faults().into_iter().map(|fault| format!("{}.{fault}", C::NAME)).collect();
    for (field, endpoint) in fitted.config.endpoints() {
        transport.check_endpoint(field, &endpoint, table, &mut found);
    }
    faults.extend(found.into_iter().filter(|fault| fitted.is_of_a_value(fault)));
    (faults.len() == known).then_some(fitted.config)
}

/// Sets up logs. The default level is `error` for clients, `warn` for `vigie up`, and `info` for the other
/// servers.
pub fn init_logs(cli: &Cli) -> anyhow::Result<()> {
    let default = match &cli.command {
        Command::Matcher(_) | Command::Coordinator(_) | Command::Frontend(_) | Command::Gateway(_) => "info",
        Command::Bank(bank) if bank.command.is_none() => "info",
        Command::Classifier(classifier) if classifier.command.is_none() => "info",
        Command::Exchange(ExchangeCommand::Run(_)) => "info",
        Command::Up(_) => "warn",
        Command::Bank(_)
        | Command::Demo(_)
        | Command::Match(_)
        | Command::Hash(_)
        | Command::Item(_)
        | Command::Opinion(_)
        | Command::Dispute(_)
        | Command::Status(_)
        | Command::Whoami(_)
        | Command::Member(_)
        | Command::Principal(_)
        | Command::Grant(_)
        | Command::Quota(_)
        | Command::HashType(_)
        | Command::Conversation(_)
        | Command::Classifier(_)
        | Command::Policy(_)
        | Command::Exchange(_)
        | Command::Report(_)
        | Command::Explain(_)
        | Command::Decision(_)
        | Command::Referral(_)
        | Command::Incident(_)
        | Command::Audit(_)
        | Command::Statistics(_)
        | Command::Tls(_)
        | Command::Try(_)
        | Command::Health(_)
        | Command::Config(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Descriptors(_) => "error",
    };
    let format = match cli.log_format {
        LogFormat::Text => vigie_telemetry::LogFormat::Text,
        LogFormat::Json => vigie_telemetry::LogFormat::Json,
    };
    vigie_telemetry::init_logs(format, cli.log.as_deref().unwrap_or(default))
        .map_err(|error| anyhow::anyhow!("cannot set up logs: {error}"))
}

#[cfg(test)]
mod tests;
