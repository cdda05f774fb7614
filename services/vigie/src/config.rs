//! Configuration of the roles: defaults, then the file, then the environment, then arguments.
//!
//! A file is TOML with a key `listen` and one table for each role, named as the role: `[bank]`, `[matcher]`,
//! `[coordinator]`, `[frontend]`. A variable `VIGIE__MATCHER__SHARD=2` sets the key `matcher.shard`; so does the
//! argument `--set matcher.shard=2`. Only this file and the command line read the environment.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use toml::{Table, Value};

use crate::cli::{Cli, Command, LogFormat, RoleArgs};

/// Variables that set keys of the configuration begin so.
const ENVIRONMENT_PREFIX: &str = "VIGIE__";

/// A configuration file: where to listen, and what each role is told.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// Where the role listens.
    pub listen: Option<SocketAddr>,
    /// What a bank is told.
    pub bank: Option<vigie_bank::Config>,
    /// What a matcher is told.
    pub matcher: Option<vigie_matcher::Config>,
    /// What a coordinator is told.
    pub coordinator: Option<vigie_coordinator::Config>,
    /// What a frontend is told.
    pub frontend: Option<vigie_frontend::Config>,
}

impl File {
    /// Puts together what the file, the environment and the arguments say.
    pub fn load(args: &RoleArgs) -> anyhow::Result<Self> {
        let mut table = match &args.config {
            Some(path) => read(path)?,
            None => Table::new(),
        };
        for (name, value) in std::env::vars() {
            if let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) {
                let path: Vec<String> = key.split("__").map(str::to_lowercase).collect();
                set(&mut table, &path, &value).with_context(|| format!("the variable {name}"))?;
            }
        }
        for argument in &args.set {
            let Some((key, value)) = argument.split_once('=') else {
                bail!("--set {argument}: write it as KEY=VALUE");
            };
            let path: Vec<String> = key.split('.').map(str::to_owned).collect();
            set(&mut table, &path, value).with_context(|| format!("--set {argument}"))?;
        }
        let mut file: Self =
            table.try_into().context("the configuration has a key or a value that does not fit")?;
        file.listen = args.listen.or(file.listen);
        Ok(file)
    }

    /// Reads a file alone, without environment and arguments.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        read(path)?
            .try_into()
            .with_context(|| format!("{} has a key or a value that does not fit", path.display()))
    }

    /// Every fault of every role's table.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let roles = [
            ("bank", self.bank.as_ref().map(vigie_bank::Config::faults)),
            ("matcher", self.matcher.as_ref().map(vigie_matcher::Config::faults)),
            ("coordinator", self.coordinator.as_ref().map(vigie_coordinator::Config::faults)),
            ("frontend", self.frontend.as_ref().map(vigie_frontend::Config::faults)),
        ];
        let named = |(role, faults): (&str, Option<Vec<String>>)| {
            faults.unwrap_or_default().into_iter().map(|fault| format!("{role}.{fault}")).collect::<Vec<_>>()
        };
        roles.into_iter().flat_map(named).collect()
    }
}

fn read(path: &Path) -> anyhow::Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // The error of the parser shows the line and points at the fault.
    text.parse().with_context(|| format!("{} is not TOML", path.display()))
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
    use super::*;

    fn load(text: &str, set: &[&str]) -> anyhow::Result<File> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let set = set.iter().map(|one| (*one).to_owned()).collect();
        File::load(&RoleArgs { config: Some(file.path().to_owned()), listen: None, set })
    }

    #[test]
    fn arguments_overrule_the_file_and_the_file_the_defaults() {
        let text = "listen = '127.0.0.1:9'\n[matcher]\nshard = 1\nshard_count = 4\n";
        let file =
            load(text, &["matcher.shard=3", "matcher.serving.drain_ms_max=7", "matcher.bank=http://x:1"])
                .unwrap();
        let matcher = file.matcher.unwrap();
        assert_eq!((matcher.shard, matcher.shard_count), (3, 4));
        assert_eq!(matcher.serving.drain_ms_max, 7);
        assert_eq!(matcher.bank, "http://x:1");
        assert_eq!(matcher.feed_open_ms_max, vigie_matcher::Config::default().feed_open_ms_max);
        assert_eq!(file.listen.unwrap().port(), 9);
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let error = format!("{:#}", load("[matcher]\nshards = 1\n", &[]).unwrap_err());
        assert!(error.contains("shards"), "{error}");
        assert!(load("", &["matcher"]).is_err());
        assert!(load("listen = '127.0.0.1:9'", &["listen.port=1"]).is_err());
    }

    #[test]
    fn every_fault_is_told_with_its_place() {
        let file = load(
            "[matcher]\nshard = 4\nshard_count = 4\nfeed_open_ms_max = 0\n[frontend]\nquality_floor = 101\n",
            &[],
        );
        let faults = file.unwrap().faults();
        for place in ["matcher.shard: ", "matcher.feed_open_ms_max: ", "frontend.quality_floor: "] {
            assert!(faults.iter().any(|fault| fault.starts_with(place)), "{place} in {faults:?}");
        }
    }
}
