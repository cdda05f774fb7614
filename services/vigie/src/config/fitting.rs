//! Converts a table of the configuration to a type, and reports every key that does not fit.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::names::ROLES;
use super::reference;

/// Minimum Jaro-Winkler similarity at which an unknown name is taken for a misspelling of a known one.
const ALIKE: f64 = 0.8;

/// A table after conversion, without the keys that do not fit.
pub(super) struct Fitted<C> {
    pub(super) config: C,
    /// The keys that were left out, with the names of their tables.
    unfit: Vec<String>,
}

impl<C> Fitted<C> {
    /// Returns whether a fault is about a value as it was written. If the key was left out, the fault is
    /// about its default, and the key is reported already.
    pub(super) fn is_of_a_value(&self, fault: &str) -> bool {
        let key = fault.split([':', '[']).next().unwrap_or_default();
        !self.unfit.iter().any(|unfit| unfit == key)
    }
}

/// Converts the table `name`. Keys that do not fit are reported and left out, so that the other values can be
/// checked too: each key has a default.
pub(super) fn fitting<C: DeserializeOwned>(
    name: &str,
    value: &Value,
    faults: &mut Vec<String>,
) -> Option<Fitted<C>> {
    let Some(table) = value.as_table() else {
        faults.push(format!("{name}: is a {}, not a table", value.type_str()));
        return None;
    };
    let mut unfit = Vec::new();
    let fit = without_unfit::<C>(name, table, &|inner| inner, &mut unfit, faults);
    let config = fit.try_into::<C>().inspect_err(|error| faults.push(format!("{name}: {}", one_line(error))));
    Some(Fitted { config: config.ok()?, unfit })
}

/// Returns the keys of `table` that fit. `place` wraps a table in the outer tables from which `C` is read.
fn without_unfit<C: DeserializeOwned>(
    name: &str,
    table: &Table,
    place: &dyn Fn(Table) -> Table,
    unfit: &mut Vec<String>,
    faults: &mut Vec<String>,
) -> Table {
    let mut fit = Table::new();
    for (key, value) in table {
        let alone = |value: Value| place(Table::from_iter([(key.clone(), value)]));
        let full = format!("{name}.{key}");
        let Err(error) = alone(value.clone()).try_into::<C>() else {
            fit.insert(key.clone(), value.clone());
            continue;
        };
        match value.as_table() {
            // The key does accept a table, so the fault is within it.
            Some(inner) if alone(Value::Table(Table::new())).try_into::<C>().is_ok() => {
                let within = |inner: Table| alone(Value::Table(inner));
                let inner = without_unfit::<C>(&full, inner, &within, unfit, faults);
                fit.insert(key.clone(), Value::Table(inner));
            }
            _ => {
                faults.push(format!("{full}: {}", unfit_because(name, key, &error)));
                unfit.push(full);
            }
        }
    }
    fit
}

fn unfit_because(table: &str, key: &str, error: &toml::de::Error) -> String {
    match reference::sections().iter().find(|section| section.table == table) {
        Some(section) if !reference::is_known(table, key) => {
            let names = section.keys.iter().map(reference::Key::name);
            unknown(key, names, table.split('.').next().unwrap_or_default())
        }
        _ => one_line(error),
    }
}

/// Describes the fault of an unknown key, with the most similar known one if it is similar enough.
pub(super) fn unknown<'a>(key: &str, known: impl Iterator<Item = &'a str>, shown_by: &str) -> String {
    let alike = known.map(|name| (strsim::jaro_winkler(name, key), name));
    let closest = alike.max_by(|one, other| one.0.total_cmp(&other.0)).filter(|(alike, _)| *alike >= ALIKE);
    let meant = closest.map_or_else(String::new, |(_, name)| format!("; `{name}` is like it"));
    let role = if ROLES.contains(&shown_by) { format!(" {shown_by}") } else { String::new() };
    format!("is unknown{meant}; `vigie config show{role}` lists the keys")
}

/// Returns the message of the error in one line, without the excerpt that its `Display` prints, and without
/// the names of Rust types.
pub(super) fn one_line(error: &toml::de::Error) -> String {
    const TYPES: [&str; 10] = ["u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "f64"];
    let text = error.message().lines().map(str::trim).collect::<Vec<_>>().join(", ");
    match text.rsplit_once("expected ") {
        Some((before, "path string")) => format!("{before}expected a text"),
        Some((before, kind)) if TYPES.contains(&kind) => format!("{before}expected a number"),
        _ => text,
    }
}
