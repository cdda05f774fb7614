//! Reads a table of the configuration, and reports every key that does not fit.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::names::ROLES;
use super::reference;

/// Two names that are as much alike as this are taken for a slip.
const ALIKE: f64 = 0.8;

/// A table without the keys that do not fit.
pub(super) struct Fitted<C> {
    pub(super) config: C,
    /// The keys that were left out, with their tables.
    unfit: Vec<String>,
}

impl<C> Fitted<C> {
    /// Whether a fault is of the values as they were written: one of a key that was left out is of its
    /// default, and is reported already.
    pub(super) fn is_of_a_value(&self, fault: &str) -> bool {
        let key = fault.split([':', '[']).next().unwrap_or_default();
        !self.unfit.iter().any(|unfit| unfit == key)
    }
}

/// Reads the table of this name. Keys that do not fit are reported and left out, so that the values of the
/// others can be checked too: each key has a default.
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

/// The keys of `table` that fit. `place` puts a table where this one is, within the table that `C` is read
/// from.
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
            // A table is right here, and something in it is not.
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

/// The fault of a key that is not there, with the one that was meant, if any is like it.
pub(super) fn unknown<'a>(key: &str, known: impl Iterator<Item = &'a str>, shown_by: &str) -> String {
    let alike = known.map(|name| (strsim::jaro_winkler(name, key), name));
    let closest = alike.max_by(|one, other| one.0.total_cmp(&other.0)).filter(|(alike, _)| *alike >= ALIKE);
    let meant = closest.map_or_else(String::new, |(_, name)| format!("; `{name}` is like it"));
    let role = if ROLES.contains(&shown_by) { format!(" {shown_by}") } else { String::new() };
    format!("is unknown{meant}; `vigie config show{role}` lists the keys")
}

/// The error's own words, without the excerpt that its `Display` draws, and without the names of Rust's
/// types.
pub(super) fn one_line(error: &toml::de::Error) -> String {
    const TYPES: [&str; 10] = ["u8", "u16", "u32", "u64", "usize", "i8", "i16", "i32", "i64", "f64"];
    let text = error.message().lines().map(str::trim).collect::<Vec<_>>().join(", ");
    match text.rsplit_once("expected ") {
        Some((before, "path string")) => format!("{before}expected a text"),
        Some((before, kind)) if TYPES.contains(&kind) => format!("{before}expected a number"),
        _ => text,
    }
}
