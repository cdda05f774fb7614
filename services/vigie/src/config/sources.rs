//! The file, over it the environment, and over that the arguments.

use std::path::Path;

use anyhow::Context as _;
use toml::de::DeTable;
use toml::{Table, Value};

use super::fault::Origins;
use super::fitting::one_line;

/// Variables that set keys of the configuration begin so.
const ENVIRONMENT_PREFIX: &str = "VIGIE__";

/// What all sources say together.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) table: Table,
    pub(super) origins: Origins,
    /// What could not be read, each as `key: what is wrong`.
    pub(super) faults: Vec<String>,
    /// The file is no TOML, so its keys are unknown.
    pub(super) is_unread: bool,
}

/// Puts the sources together.
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
    /// Sets a key to what `source` says. The value may hold a password: no fault shows it.
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

/// Every fault of the text as TOML, with its line.
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

/// Sets the key at `path` to `value`, read as TOML where it can be and as text where not. Fails with what is
/// no table on the way there.
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
