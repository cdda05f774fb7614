//! `--set arrivals.rate=5000`: keys of a scenario on the command line.

use anyhow::{Context as _, bail};
use toml::{Table, Value};

/// Sets one key. The value is parsed as TOML if possible, and is text otherwise, so that `30s` needs no
/// quotes.
pub(crate) fn apply(table: &mut Table, setting: &str) -> anyhow::Result<()> {
    let Some((key, value)) = setting.split_once('=') else {
        bail!("--set {setting}: write it as KEY=VALUE");
    };
    let read = format!("value = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    let value = read.unwrap_or_else(|| Value::String(value.to_owned()));
    let mut path: Vec<&str> = key.split('.').collect();
    let last = path.pop().context("--set names no key")?;
    let mut at = table;
    for part in path {
        let inner = at.entry(part).or_insert_with(|| Value::Table(Table::new()));
        at = inner.as_table_mut().with_context(|| format!("--set {setting}: {part} is not a table"))?;
    }
    // A rate excludes stages and a trace, so setting a rate removes them.
    if key == "arrivals.rate" {
        at.remove("stages");
        at.remove("trace");
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_set_in_tables_that_may_be_new() {
        let mut table: Table =
            "name = 'x'\n[arrivals]\nstages = [{ over = '1s', rate = 1 }]\n".parse().unwrap();
        for setting in ["arrivals.rate=50", "drive.duration=30s", "mix.lookup=3", "thresholds=['p99 < 1s']"] {
            apply(&mut table, setting).unwrap();
        }
        let scenario = crate::run::scenario::Scenario::parse(&toml::to_string(&table).unwrap()).unwrap();
        assert_eq!((scenario.arrivals.rate, scenario.mix.lookup), (Some(50.0), 3));
        assert_eq!(scenario.drive.duration.0.as_secs(), 30);
        assert_eq!(scenario.thresholds.len(), 1);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let mut table: Table = "name = 'x'".parse().unwrap();
        assert!(apply(&mut table, "name").is_err());
        assert!(apply(&mut table, "name.inner=1").is_err());
    }
}
