//! Reads a table of the configuration, and reports every key that does not fit.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// The table of this name, if every key fits. Each key has a default.
pub(super) fn fitting<C: DeserializeOwned>(name: &str, value: &Value, faults: &mut Vec<String>) -> Option<C> {
    let Some(table) = value.as_table() else {
        faults.push(format!("{name}: is a {}, not a table", value.type_str()));
        return None;
    };
    // So each can be read alone: all faults are told, not only the first.
    let unfit = table.iter().filter_map(|(key, value)| {
        let alone = Table::from_iter([(key.clone(), value.clone())]);
        Some(format!("{name}.{key}: {}", one_line(&alone.try_into::<C>().err()?)))
    });
    faults.extend(unfit);
    table.clone().try_into::<C>().ok()
}

/// The error's own words, without the excerpt that its `Display` draws.
pub(super) fn one_line(error: &toml::de::Error) -> String {
    error.message().lines().map(str::trim).collect::<Vec<_>>().join(", ")
}
