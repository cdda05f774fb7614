//! Configuration of the roles: defaults, then the file, then the environment, then arguments.
//!
//! A file is TOML with a key `listen` and one table for each role, named as the role: `[bank]`, `[matcher]`,
//! `[coordinator]`, `[frontend]`, `[gateway]`, `[exchange]`, `[classifier]`; and what all roles share:
//! `[tls]` and `allow_plaintext` ([`Transport`]), and `[telemetry]`. A variable `VIGIE__MATCHER__SHARD=2`
//! sets the key `matcher.shard`; so does the argument `--set matcher.shard=2`. Only this module and the
//! command line read the environment.
//!
//! Reading order: `sources` (file, environment, arguments), `fitting` (a table as a type), `fault`,
//! `transport`, then [`reference`] (every key, for people), which `fields` helps.

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

/// What one role is told. Every key has a default.
pub(crate) trait RoleConfig: DeserializeOwned {
    /// The role's name, which is that of its table.
    const NAME: &'static str;

    /// Whether it listens for calls.
    const LISTENS: bool = true;

    /// Every fault of the values, each as `field: what is wrong`.
    fn faults(&self) -> Vec<String>;

    /// Takes what it needs to know of other roles from their tables.
    fn complete(&mut self, _table: &Table, _transport: &Transport, _faults: &mut Vec<String>) {}

    /// The endpoints that it calls, each with its field.
    fn endpoints(&self) -> Vec<(&'static str, String)>;
}

/// Says of every endpoint in a list which field it is of.
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

    /// It calls others, and nobody calls it.
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

    /// An embedded coordinator is told what a coordinator of its own would be.
    fn complete(&mut self, table: &Table, transport: &Transport, faults: &mut Vec<String>) {
        if self.coordinator == CoordinatorAt::Embedded
            && let Some(config) = told(table, transport, faults)
        {
            self.embedded = config;
        }
    }

    fn endpoints(&self) -> Vec<(&'static str, String)> {
        let mut all = endpoints_of("frontend.classifiers.endpoints", &self.classifiers.endpoints);
        match &self.coordinator {
            // RoleSettings with the coordinator's table.
            CoordinatorAt::Embedded => {}
            CoordinatorAt::Endpoints(endpoints) => {
                all.extend(endpoints_of("frontend.coordinator", endpoints));
            }
        }
        all
    }
}

/// The settings of one role, with those that all roles share.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RoleSettings<C> {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// How it is reached, and how it reaches others.
    pub(crate) transport: Transport,
    /// Where its metrics, probes and traces are.
    pub(crate) telemetry: TelemetryConfig,
    /// The rest.
    pub(crate) config: C,
}

/// Puts together what the file, the environment and the arguments say to one role.
///
/// The tables of other roles are theirs to check.
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
    let transport = Transport::told(&table, &mut faults);
    let telemetry = telemetry(&table, &mut faults);
    let listen = match C::LISTENS {
        true => listen(&table, &transport, &mut faults),
        false => Some((Ipv4Addr::UNSPECIFIED, 0).into()),
    };
    let config = told::<C>(&table, &transport, &mut faults);
    match (listen, config) {
        (Some(listen), Some(config)) if faults.is_empty() => {
            Ok(RoleSettings { listen, transport, telemetry, config })
        }
        _ => Err(error_of(&located(faults, &origins, file))),
    }
}

/// What the file, the environment and the arguments say of a bank's store: the bank is not to run, and need
/// not know where to listen.
pub(crate) fn load_store(args: &StoreArgs) -> anyhow::Result<vigie_bank::Config> {
    let file = args.config.as_deref();
    let Merged { table, origins, mut faults, is_unread } = merged(file, &args.set)?;
    if is_unread {
        return Err(error_of(&located(faults, &origins, file)));
    }
    faults.extend(unknown_keys(&table));
    match told(&table, &Transport::default(), &mut faults) {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(error_of(&located(faults, &origins, file))),
    }
}

/// What a file says of the classifier of a cluster in one process, which sets the bank and the processes
/// itself.
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

/// The role's table, which has to be there.
fn told<C: RoleConfig>(table: &Table, transport: &Transport, faults: &mut Vec<String>) -> Option<C> {
    let config = role::<C>(table, transport, faults);
    if !table.contains_key(C::NAME) {
        faults.push(format!("{}: the configuration has no [{}] table", C::NAME, C::NAME));
    }
    config
}

/// Every fault of a file, the environment and these `--set` arguments: of every table that is there.
///
/// # Errors
///
/// The file cannot be read.
pub(crate) fn check(file: Option<&Path>, arguments: &[String]) -> anyhow::Result<Vec<Fault>> {
    let Merged { table, origins, mut faults, is_unread } = merged(file, arguments)?;
    if is_unread {
        // Which keys a file holds that is no TOML is not certain.
        return Ok(located(faults, &origins, file));
    }
    faults.extend(unknown_keys(&table));
    let transport = Transport::told(&table, &mut faults);
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
    // An embedded coordinator's are those of its table.
    let mut told = BTreeSet::new();
    faults.retain(|fault| told.insert(fault.clone()));
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

/// What is said of telemetry, which no rule about plain text is for: it tells nothing that came with a call.
fn telemetry(table: &Table, faults: &mut Vec<String>) -> TelemetryConfig {
    let fitted = table.get(TELEMETRY).and_then(|value| fitting::<TelemetryConfig>(TELEMETRY, value, faults));
    let Some(fitted) = fitted else { return TelemetryConfig::default() };
    let found = fitted.config.faults().into_iter().map(|fault| format!("{TELEMETRY}.{fault}"));
    faults.extend(found.filter(|fault| fitted.is_of_a_value(fault)));
    let told = fitted.config;
    if told.listen.is_some_and(|listen| listen.port() != 0 && is_taken(table, listen)) {
        faults.push(format!("{TELEMETRY}.listen: is where the role listens already"));
    }
    told
}

/// Whether the role listens at this address.
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

/// The role's table, if it is there and every key fits.
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

/// Sets up logs: quiet for clients, telling for servers.
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
