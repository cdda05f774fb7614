//! Configuration of the roles: defaults, then the file, then the environment, then arguments.
//!
//! A file is TOML with a key `listen` and one table for each role, named as the role: `[bank]`, `[matcher]`,
//! `[coordinator]`, `[frontend]`. A variable `VIGIE__MATCHER__SHARD=2` sets the key `matcher.shard`; so does the
//! argument `--set matcher.shard=2`. Only this file and the command line read the environment.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::de::DeserializeOwned;
use toml::{Table, Value};
use vigie_frontend::CoordinatorAt;

use crate::cli::{Cli, Command, LogFormat, RoleArgs, StoreArgs};

/// Variables that set keys of the configuration begin so.
const ENVIRONMENT_PREFIX: &str = "VIGIE__";
/// The key that says where a role listens.
const LISTEN: &str = "listen";

/// What one role is told. Every key has a default.
pub trait RoleConfig: DeserializeOwned {
    /// The role's name, which is that of its table.
    const NAME: &'static str;

    /// Every fault of the values, each as `field: what is wrong`.
    fn faults(&self) -> Vec<String>;

    /// Takes what it needs to know of other roles from their tables.
    fn complete(&mut self, _table: &Table, _faults: &mut Vec<String>) {}
}

macro_rules! role_config {
    ($name:literal, $config:ty) => {
        impl RoleConfig for $config {
            const NAME: &'static str = $name;

            fn faults(&self) -> Vec<String> {
                self.faults()
            }
        }
    };
}

role_config!("bank", vigie_bank::Config);
role_config!("matcher", vigie_matcher::Config);
role_config!("coordinator", vigie_coordinator::Config);

impl RoleConfig for vigie_frontend::Config {
    const NAME: &'static str = "frontend";

    fn faults(&self) -> Vec<String> {
        self.faults()
    }

    /// An embedded coordinator is told what a coordinator of its own would be.
    fn complete(&mut self, table: &Table, faults: &mut Vec<String>) {
        if self.coordinator == CoordinatorAt::Embedded
            && let Some(config) = told(table, faults)
        {
            self.embedded = config;
        }
    }
}

/// Puts together what the file, the environment and the arguments say to one role: where it listens, and the rest.
///
/// The tables of other roles are theirs to check.
pub fn load<C: RoleConfig>(args: &RoleArgs) -> anyhow::Result<(SocketAddr, C)> {
    let mut table = merged(args.config.as_deref(), &args.set)?;
    if let Some(listen) = args.listen {
        table.insert(LISTEN.to_owned(), Value::String(listen.to_string()));
    }
    let mut faults = unknown_keys(&table);
    let listen = listen(&table, &mut faults);
    let config = told::<C>(&table, &mut faults);
    match (listen, config) {
        (Some(listen), Some(config)) if faults.is_empty() => Ok((listen, config)),
        _ => bail!("the configuration has faults: {}", faults.join("; ")),
    }
}

/// What the file, the environment and the arguments say of a bank's store: the bank is not to run, and need not know
/// where to listen.
pub fn load_store(args: &StoreArgs) -> anyhow::Result<vigie_bank::Config> {
    let table = merged(args.config.as_deref(), &args.set)?;
    let mut faults = unknown_keys(&table);
    match told(&table, &mut faults) {
        Some(config) if faults.is_empty() => Ok(config),
        _ => bail!("the configuration has faults: {}", faults.join("; ")),
    }
}

/// The role's table, which has to be there.
fn told<C: RoleConfig>(table: &Table, faults: &mut Vec<String>) -> Option<C> {
    let config = role::<C>(table, faults);
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
pub fn check(path: &Path) -> anyhow::Result<Vec<String>> {
    let table = match parse(&text(path)?) {
        Ok(table) => table,
        Err(fault) => return Ok(vec![fault]),
    };
    let mut faults = unknown_keys(&table);
    listen(&table, &mut faults);
    role::<vigie_bank::Config>(&table, &mut faults);
    role::<vigie_matcher::Config>(&table, &mut faults);
    role::<vigie_coordinator::Config>(&table, &mut faults);
    role::<vigie_frontend::Config>(&table, &mut faults);
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
    let unknown = table.keys().filter(|key| *key != LISTEN && !ROLES.contains(&key.as_str()));
    unknown.map(|key| format!("{key}: unknown; known are {LISTEN}, {}", ROLES.join(", "))).collect()
}

fn listen(table: &Table, faults: &mut Vec<String>) -> Option<SocketAddr> {
    let Some(value) = table.get(LISTEN) else {
        faults.push(format!("{LISTEN}: is missing; set it in the file, or with --listen"));
        return None;
    };
    let address = value.as_str().and_then(|text| text.parse().ok());
    if address.is_none() {
        faults.push(format!("{LISTEN}: {value} is no address with a port, such as \"127.0.0.1:7740\""));
    }
    address
}

/// The role's table, if it is there and every key fits.
fn role<C: RoleConfig>(table: &Table, faults: &mut Vec<String>) -> Option<C> {
    let role = C::NAME;
    let all = table;
    let value = all.get(role)?;
    let Some(table) = value.as_table() else {
        faults.push(format!("{role}: is a {}, not a table", value.type_str()));
        return None;
    };
    // Every key has a default, so each can be read alone: all faults are told, not only the first.
    let unfit = table.iter().filter_map(|(key, value)| {
        let alone = Table::from_iter([(key.clone(), value.clone())]);
        Some(format!("{role}.{key}: {}", one_line(&alone.try_into::<C>().err()?)))
    });
    let known = faults.len();
    faults.extend(unfit);
    let mut config = table.clone().try_into::<C>().ok()?;
    config.complete(all, faults);
    faults.extend(config.faults().into_iter().map(|fault| format!("{role}.{fault}")));
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

/// The error's own words, without the excerpt that its `Display` draws.
fn one_line(error: &toml::de::Error) -> String {
    error.message().lines().map(str::trim).collect::<Vec<_>>().join(", ")
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
        | Command::Config(_) => "error",
    };
    let format = match cli.log_format {
        LogFormat::Text => vigie_telemetry::LogFormat::Text,
        LogFormat::Json => vigie_telemetry::LogFormat::Json,
    };
    vigie_telemetry::init_logs(format, cli.log.as_deref().unwrap_or(default))
        .map_err(|error| anyhow::anyhow!("cannot set up logs: {error}"))
}

#[cfg(test)]
mod tests {
    // Endpoints are checked by making a channel, which needs a runtime, as `main` gives.

    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn load_matcher(text: &str, set: &[&str]) -> anyhow::Result<(SocketAddr, vigie_matcher::Config)> {
        let file = file(text);
        let set = set.iter().map(|one| (*one).to_owned()).collect();
        load(&RoleArgs { config: Some(file.path().to_owned()), listen: None, set })
    }

    /// Each of these beginnings is that of a fault, in any order, and there is no other fault.
    fn check_faults(text: &str, places: &[&str]) {
        let faults = check(file(text).path()).unwrap();
        for place in places {
            assert!(faults.iter().any(|fault| fault.starts_with(place)), "{place} in {faults:?}");
        }
        assert_eq!(faults.len(), places.len(), "{faults:?}");
        assert!(faults.iter().all(|fault| !fault.contains('\n')), "{faults:?}");
    }

    #[tokio::test]
    async fn arguments_overrule_the_file_and_the_file_the_defaults() {
        let text = "listen = '127.0.0.1:9'\n[matcher]\nshard = 1\nshard_count = 4\n";
        let set = ["matcher.shard=3", "matcher.serving.drain_ms_max=7", "matcher.bank=http://x:1"];
        let (listen, matcher) = load_matcher(text, &set).unwrap();
        assert_eq!((matcher.shard, matcher.shard_count), (3, 4));
        assert_eq!(matcher.serving.drain_ms_max, 7);
        assert_eq!(matcher.bank, "http://x:1");
        assert_eq!(matcher.feed_open_ms_max, vigie_matcher::Config::default().feed_open_ms_max);
        assert_eq!(listen.port(), 9);
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let error = format!("{:#}", load_matcher("[matcher]\nshards = 1\n", &[]).unwrap_err());
        assert!(error.contains("matcher.shards"), "{error}");
        assert!(load_matcher("", &["matcher"]).is_err());
        assert!(load_matcher("listen = '127.0.0.1:9'", &["listen.port=1"]).is_err());
    }

    #[tokio::test]
    async fn a_role_runs_only_if_something_is_said_to_it() {
        let other = "listen = '127.0.0.1:9'\n[coordinator]\n";
        let error = format!("{:#}", load_matcher(other, &[]).unwrap_err());
        assert!(error.contains("has no [matcher] table"), "{error}");
        assert!(load_matcher(other, &["matcher.shard=0"]).is_ok(), "the faults of others are theirs");
    }

    #[tokio::test]
    async fn every_fault_is_told_with_its_place() {
        check_faults(
            "[matcher]\nshard = 4\nshard_count = 4\nfeed_open_ms_max = 0\n[frontend]\nquality_floor = 101\n",
            &["listen: ", "matcher.shard: ", "matcher.feed_open_ms_max: ", "frontend.quality_floor: "],
        );
        check_faults(
            "listen = 9\nbank = 1\nbnak = 1\n[matcher]\nshards = 4\nshard_count = 'x'\n[coordinator]\nmatchers = []\n",
            &[
                "listen: ",
                "bank: ",
                "bnak: ",
                "matcher.shards: ",
                "matcher.shard_count: ",
                "coordinator.matchers: ",
            ],
        );
        check_faults("listen = '127.0.0.1:9'\n", &["the file has no table of a role"]);
        check_faults("listen = '127.0.0.1:9'\n[bank\n", &["line 2: "]);
        check_faults("listen = '127.0.0.1:9'\n[bank]\n", &[]);
    }
}
