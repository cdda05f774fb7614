//! Formats exchanges for the commands.

use serde::Serialize;
use vigie_clients::ExchangeListing;
use vigie_consortium::{Exchange, ExchangeStatus};

use crate::commands::date::to_the_second;

/// An exchange as `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct ExchangeObject<'a> {
    name: &'a str,
    api: &'a str,
    bank: String,
    settings: serde_json::Value,
    interval_s: u32,
    enabled: bool,
    running_since_unix_ms: Option<u64>,
    completed_unix_ms: Option<u64>,
    succeeded: Option<bool>,
    up_to_date: bool,
    checkpoint_unix_ms: Option<u64>,
    fetched_items: u64,
    alarm: &'a str,
}

impl<'a> From<&'a ExchangeListing> for ExchangeObject<'a> {
    fn from(listing: &'a ExchangeListing) -> Self {
        let Exchange { name, api, config, interval_seconds, enabled, status, .. } = &listing.exchange;
        Self {
            name: name.as_str(),
            api: api.as_str(),
            bank: listing.bank.to_string(),
            settings: serde_json::from_str(config.as_str()).unwrap_or_default(),
            interval_s: *interval_seconds,
            enabled: *enabled,
            running_since_unix_ms: status.running_since.map(|at| at.0),
            completed_unix_ms: status.completed_at.map(|at| at.0),
            succeeded: status.succeeded,
            up_to_date: status.up_to_date,
            checkpoint_unix_ms: status.checkpoint.map(|at| at.0),
            fetched_items: status.fetched_items,
            alarm: status.alarm.as_str(),
        }
    }
}

/// Returns the row of an exchange in the list.
pub(super) fn row(listing: &ExchangeListing) -> Vec<String> {
    let exchange = &listing.exchange;
    let last = exchange.status.completed_at.map_or_else(|| "none".to_owned(), to_the_second);
    vec![
        exchange.name.to_string(),
        exchange.api.as_str().to_owned(),
        listing.bank.to_string(),
        state(exchange).to_owned(),
        last,
        exchange.status.fetched_items.to_string(),
    ]
}

/// Returns the state of an exchange in one or two words.
fn state(exchange: &Exchange) -> &'static str {
    let ExchangeStatus { running_since, succeeded, alarm, .. } = &exchange.status;
    if !exchange.enabled {
        return "paused";
    }
    if !alarm.as_str().is_empty() {
        return "needs attention";
    }
    match (running_since, succeeded) {
        (Some(_), _) => "running",
        (None, Some(true)) => "up to date",
        (None, Some(false)) => "ended early",
        (None, None) => "not yet",
    }
}

/// Returns the fields of an exchange, one row each.
pub(super) fn details(listing: &ExchangeListing) -> Vec<Vec<String>> {
    let exchange = &listing.exchange;
    let status = &exchange.status;
    let time = |at: Option<_>| at.map_or_else(|| "none".to_owned(), to_the_second);
    let interval = match exchange.interval_seconds {
        0 => "that of the process".to_owned(),
        seconds => format!("{seconds} s"),
    };
    let alarm = if status.alarm.as_str().is_empty() { "none" } else { status.alarm.as_str() };
    let fields = [
        ("interface", exchange.api.as_str().to_owned()),
        ("bank", listing.bank.to_string()),
        ("settings", exchange.config.as_str().to_owned()),
        ("interval", interval),
        ("state", state(exchange).to_owned()),
        ("running since", time(status.running_since)),
        ("last round ended", time(status.completed_at)),
        ("checkpoint", time(status.checkpoint)),
        ("items fetched", status.fetched_items.to_string()),
        ("alarm", alarm.to_owned()),
    ];
    fields.into_iter().map(|(field, value)| vec![field.to_owned(), value]).collect()
}
