//! Configuration of the roles: defaults, then the file, then the environment, then arguments.
//!
//! A file is TOML with a key `listen` and one table for each role, named as the role: `[bank]`, `[matcher]`,
//! `[coordinator]`, `[frontend]`; and what all roles share: `[tls]` and `allow_plaintext` ([`Transport`]), and `[telemetry]`. A variable
//! `VIGIE__MATCHER__SHARD=2` sets the key `matcher.shard`; so does the argument `--set matcher.shard=2`. Only this file and
//! the command line read the environment.

mod fitting;
mod transport;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use toml::{Table, Value};
use vigie_frontend::CoordinatorAt;
use vigie_telemetry::TelemetryConfig;

use crate::cli::{Cli, Command, LogFormat, RoleArgs, StoreArgs};

pub(crate) use transport::Transport;

use fitting::{fitting, one_line};
use transport::{ALLOW_PLAINTEXT, TLS};

/// Variables that set keys of the configuration begin so.
const ENVIRONMENT_PREFIX: &str = "VIGIE__";
/// The key that says where a role listens.
const LISTEN: &str = "listen";
/// The table of metrics, probes and traces.
const TELEMETRY: &str = "telemetry";

/// What one role is told. Every key has a default.
pub(crate) trait RoleConfig: DeserializeOwned {
    /// The role's name, which is that of its table.
    const NAME: &'static str;

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
    ($name:literal, $config:ty, $endpoints:expr) => {
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

role_config!("bank", vigie_bank::Config, |_: &Self| Vec::new());
role_config!("matcher", vigie_matcher::Config, |of: &Self| vec![("matcher.bank", of.bank.clone())]);
role_config!("coordinator", vigie_coordinator::Config, |of: &Self| {
    endpoints_of("coordinator.matchers", &of.matchers)
});

impl RoleConfig for vigie_frontend::Config {
    const NAME: &'static str = "frontend";

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
        match &self.coordinator {
            // Told with the coordinator's table.
            CoordinatorAt::Embedded => Vec::new(),
            CoordinatorAt::Endpoints(endpoints) => endpoints_of("frontend.coordinator", endpoints),
        }
    }
}

/// What one role is told, with what all roles share.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told<C> {
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
pub(crate) fn load<C: RoleConfig>(args: &RoleArgs) -> anyhow::Result<Told<C>> {
    let mut table = merged(args.config.as_deref(), &args.set)?;
    if let Some(listen) = args.listen {
        table.insert(LISTEN.to_owned(), Value::String(listen.to_string()));
    }
    let mut faults = unknown_keys(&table);
    let transport = Transport::told(&table, &mut faults);
    let telemetry = telemetry(&table, &mut faults);
    let listen = listen(&table, &transport, &mut faults);
    let config = told::<C>(&table, &transport, &mut faults);
    match (listen, config) {
        (Some(listen), Some(config)) if faults.is_empty() => {
            Ok(Told { listen, transport, telemetry, config })
        }
        _ => bail!("the configuration has faults: {}", faults.join("; ")),
    }
}

/// What the file, the environment and the arguments say of a bank's store: the bank is not to run, and need not know
/// where to listen.
pub(crate) fn load_store(args: &StoreArgs) -> anyhow::Result<vigie_bank::Config> {
    let table = merged(args.config.as_deref(), &args.set)?;
    let mut faults = unknown_keys(&table);
    match told(&table, &Transport::default(), &mut faults) {
        Some(config) if faults.is_empty() => Ok(config),
        _ => bail!("the configuration has faults: {}", faults.join("; ")),
    }
}

/// The role's table, which has to be there.
fn told<C: RoleConfig>(table: &Table, transport: &Transport, faults: &mut Vec<String>) -> Option<C> {
    let config = role::<C>(table, transport, faults);
    if !table.contains_key(C::NAME) {
        faults.push(format!("the configuration has no [{}] table", C::NAME));
    }
    config
}

/// The file, and over it the environment, and over that the arguments.
fn merged(file: Option<&Path>, arguments: &[String]) -> anyhow::Result<Table> {
    let mut table = match file {
        Some(path) => parse(&text(path)?)
            .map_err(|fault| anyhow::Error::msg(fault).context(format!("{} is not TOML", path.display())))?,
        None => Table::new(),
    };
    for (name, value) in std::env::vars() {
        if let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) {
            let path: Vec<String> = key.split("__").map(str::to_lowercase).collect();
            set(&mut table, &path, &value).with_context(|| format!("the variable {name}"))?;
        }
    }
    for argument in arguments {
        let Some((key, value)) = argument.split_once('=') else {
            bail!("--set {argument}: write it as KEY=VALUE");
        };
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        // The value may hold a password.
        set(&mut table, &path, value).with_context(|| format!("--set {key}=..."))?;
    }
    Ok(table)
}

/// Every fault of a file as it stands, without environment and arguments.
///
/// # Errors
///
/// The file cannot be read.
pub(crate) fn check(path: &Path) -> anyhow::Result<Vec<String>> {
    let table = match parse(&text(path)?) {
        Ok(table) => table,
        Err(fault) => return Ok(vec![fault]),
    };
    let mut faults = unknown_keys(&table);
    let transport = Transport::told(&table, &mut faults);
    telemetry(&table, &mut faults);
    listen(&table, &transport, &mut faults);
    role::<vigie_bank::Config>(&table, &transport, &mut faults);
    role::<vigie_matcher::Config>(&table, &transport, &mut faults);
    role::<vigie_coordinator::Config>(&table, &transport, &mut faults);
    role::<vigie_frontend::Config>(&table, &transport, &mut faults);
    // An embedded coordinator's are those of its table.
    let mut told = BTreeSet::new();
    faults.retain(|fault| told.insert(fault.clone()));
    if !ROLES.iter().any(|role| table.contains_key(*role)) {
        faults.push(format!("the file has no table of a role: [{}]", ROLES.join("], [")));
    }
    Ok(faults)
}

const ROLES: [&str; 4] = [
    <vigie_bank::Config as RoleConfig>::NAME,
    <vigie_matcher::Config as RoleConfig>::NAME,
    <vigie_coordinator::Config as RoleConfig>::NAME,
    <vigie_frontend::Config as RoleConfig>::NAME,
];

fn unknown_keys(table: &Table) -> Vec<String> {
    const SHARED: [&str; 4] = [LISTEN, ALLOW_PLAINTEXT, TLS, TELEMETRY];
    let unknown =
        table.keys().filter(|key| !SHARED.contains(&key.as_str()) && !ROLES.contains(&key.as_str()));
    let known = [SHARED.as_slice(), &ROLES].concat().join(", ");
    unknown.map(|key| format!("{key}: unknown; known are {known}")).collect()
}

/// What is said of telemetry, which no rule about plain text is for: it tells nothing that came with a call.
fn telemetry(table: &Table, faults: &mut Vec<String>) -> TelemetryConfig {
    let told = table.get(TELEMETRY).and_then(|value| fitting::<TelemetryConfig>(TELEMETRY, value, faults));
    let told = told.unwrap_or_default();
    faults.extend(told.faults().into_iter().map(|fault| format!("{TELEMETRY}.{fault}")));
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
        None => {
            faults.push(format!("{LISTEN}: {value} is no address with a port, such as \"127.0.0.1:7740\""))
        }
        Some(address) => transport.check_listen(address, table, faults),
    }
    address
}

/// The role's table, if it is there and every key fits.
fn role<C: RoleConfig>(table: &Table, transport: &Transport, faults: &mut Vec<String>) -> Option<C> {
    let value = table.get(C::NAME)?;
    let known = faults.len();
    let mut config = fitting::<C>(C::NAME, value, faults)?;
    config.complete(table, transport, faults);
    faults.extend(config.faults().into_iter().map(|fault| format!("{}.{fault}", C::NAME)));
    for (field, endpoint) in config.endpoints() {
        transport.check_endpoint(field, &endpoint, table, faults);
    }
    (faults.len() == known).then_some(config)
}

fn text(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn parse(text: &str) -> Result<Table, String> {
    text.parse::<Table>().map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {}: {}", before.matches('\n').count() + 1, one_line(&error))
    })
}

/// Sets the key at `path` to `value`, read as TOML where it can be and as text where not.
fn set(table: &mut Table, path: &[String], value: &str) -> anyhow::Result<()> {
    match path {
        [] => bail!("names no key"),
        [key] => {
            let read =
                format!("value = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
            table.insert(key.clone(), read.unwrap_or_else(|| Value::String(value.to_owned())));
            Ok(())
        }
        [key, rest @ ..] => {
            let inner = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
            set(inner.as_table_mut().with_context(|| format!("{key} is not a table"))?, rest, value)
        }
    }
}

/// Sets up logs: quiet for clients, telling for servers.
pub fn init_logs(cli: &Cli) -> anyhow::Result<()> {
    let default = match &cli.command {
        Command::Matcher(_) | Command::Coordinator(_) | Command::Frontend(_) => "info",
        Command::Bank(bank) if bank.command.is_none() => "info",
        Command::Up(_) => "warn",
        Command::Bank(_)
        | Command::Demo(_)
        | Command::Match(_)
        | Command::Hash(_)
        | Command::Item(_)
        | Command::Status(_)
        | Command::Tls(_)
        | Command::Try(_)
        | Command::Health(_)
        | Command::Config(_)
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
