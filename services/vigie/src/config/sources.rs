//! Merges the sources of the configuration: the file, then the environment, then the arguments.

use std::path::Path;

use anyhow::Context as _;
use toml::de::DeTable;
use toml::{Table, Value};

use super::fault::Origins;
use super::fitting::one_line;

/// Prefix of the environment variables that set keys.
const ENVIRONMENT_PREFIX: &str = "VIGIE__";

/// The merged values of all sources.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) table: Table,
    pub(super) origins: Origins,
    /// The values that could not be read, each as `key: what is wrong`.
    pub(super) faults: Vec<String>,
    /// Whether the file is not valid TOML, so that its keys are unknown.
    pub(super) is_unread: bool,
}

/// Merges the sources.
///
/// # Errors
///
/// The file cannot be read.
pub(super) fn merged(file: Option<&Path>, arguments: &[String]) -> anyhow::Result<Merged> {
    let mut merged = Merged::default();
    if let Some(path) = file {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        match parse(&text) {
            Ok(table) => merged.table = table,
            Err(faults) => {
                merged.faults = faults;
                merged.is_unread = true;
            }
        }
    }
    for (name, value) in std::env::vars() {
        if let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX) {
            let path: Vec<String> = key.split("__").map(str::to_lowercase).collect();
            merged.set(&path, &value, name);
        }
    }
    for argument in arguments {
        match argument.split_once('=') {
            Some((key, value)) => {
                let path: Vec<String> = key.split('.').map(str::to_owned).collect();
                merged.set(&path, value, format!("--set {key}"));
            }
            None => merged.faults.push(format!("--set {argument}: write it as KEY=VALUE")),
        }
    }
    Ok(merged)
}

impl Merged {
    /// Sets a key from `source`. The value may be a password, so no fault contains it.
    fn set(&mut self, path: &[String], value: &str, source: String) {
        match set(&mut self.table, path, value) {
            Ok(()) => {}
            Err(outer) => {
                let key = path.join(".");
                self.faults.push(format!("{key}: cannot be set, for {outer} is no table"));
            }
        }
        self.origins.set(path.join("."), source);
    }
}

/// Parses TOML. The error has every fault with its line.
fn parse(text: &str) -> Result<Table, Vec<String>> {
    let (_, mut errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return text.parse::<Table>().map_err(|error| vec![one_line(&error)]);
    }
    let fault = |error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        format!("line {}: {}", before.matches('\n').count() + 1, one_line(&error))
    };
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    Err(errors.into_iter().map(fault).collect())
}

/// Sets the key at `path` to `value`, which is parsed as TOML if possible and otherwise used as text. The
/// error names a key on the path that is not a table.
fn set(table: &mut Table, path: &[String], value: &str) -> Result<(), String> {
    match path {
        [] => Err("the empty name".to_owned()),
        [key] => {
            let read =
                format!("value = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
            table.insert(key.clone(), read.unwrap_or_else(|| Value::String(value.to_owned())));
            Ok(())
        }
        [key, rest @ ..] => {
            let inner = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
            set(inner.as_table_mut().ok_or_else(|| format!("`{key}`"))?, rest, value)
        }
    }
}
