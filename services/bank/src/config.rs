//! What a bank is told before it starts: where it keeps its data, and its limits.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use vigie_serving::ServingConfig;

/// The settings of a bank. Each has a default that suits a small machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the bank keeps everything: `sqlite:<path>`, or `sqlite::memory:` for a bank that forgets.
    pub store: String,
    /// Connections that read; one more read waits for one of them. Writes have a connection of their own.
    pub read_connections_max: u32,
    /// Changes of one transaction; what is beyond waits for the next. A single larger write still goes alone.
    pub group_changes_max: usize,
    /// Writes that wait for their transaction; one more is refused with `RESOURCE_EXHAUSTED` and `RetryInfo`.
    pub write_queue_max: usize,
    /// Bytes of the writes that wait or are being written; refused beyond it likewise.
    pub write_queue_bytes_max: usize,
    /// Living banks; one more is refused with `FAILED_PRECONDITION`.
    pub banks_max: usize,
    /// How long an idempotency key is kept at least, in hours; then it is forgotten.
    pub idempotency_hours: u32,
    /// Rows that one sweep of deleted data takes away in one transaction, between which writes go on.
    pub sweep_rows_max: u32,
    /// Followers of the log; one more is refused with `RESOURCE_EXHAUSTED` and `RetryInfo`.
    pub followers_max: usize,
    /// The longest silence towards a follower, in milliseconds; then it gets a sign of life.
    pub heartbeat_ms: u64,
    /// Changes of one message to a follower; the rest comes in the next.
    pub feed_changes_max: usize,
    /// Bytes of the changes of one message to a follower, though always one change at least.
    pub feed_bytes_max: usize,
    /// Newest changes kept in memory for the followers; one that is farther behind reads from the store.
    pub recent_changes_max: usize,
    /// Bytes of those changes; the oldest go first.
    pub recent_bytes_max: usize,
    /// Bytes of one request; a larger one is refused with `INVALID_ARGUMENT`. 1,000 items of 64 hashes are 2.5 MB.
    pub message_bytes_max: usize,
    /// The limits that every server keeps.
    pub serving: ServingConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: "sqlite:vigie-bank.db".to_owned(),
            read_connections_max: 4,
            group_changes_max: 1_000,
            write_queue_max: 1_024,
            write_queue_bytes_max: 64 << 20,
            banks_max: 10_000,
            idempotency_hours: 72,
            sweep_rows_max: 1_000,
            followers_max: 512,
            heartbeat_ms: 500,
            feed_changes_max: 2_000,
            feed_bytes_max: 1 << 20,
            recent_changes_max: 16_384,
            recent_bytes_max: 32 << 20,
            message_bytes_max: 4 << 20,
            serving: ServingConfig::default(),
        }
    }
}

/// Where the data is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// In this file and the two that SQLite keeps beside it.
    File(PathBuf),
    /// In memory, gone with the process.
    Memory,
}

impl Location {
    /// Reads [`Config::store`]; `None` where it names no store that this bank knows.
    pub(crate) fn parse(store: &str) -> Option<Self> {
        let path = store.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        match path {
            "" => None,
            ":memory:" => Some(Self::Memory),
            path => Some(Self::File(path.into())),
        }
    }
}

impl Config {
    /// Every fault of these values, each as `field: what is wrong`.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if Location::parse(&self.store).is_none() {
            faults.push("store: must be sqlite:<path> or sqlite::memory:".to_owned());
        }
        let at_least_one = [
            ("read_connections_max", self.read_connections_max >= 1),
            ("group_changes_max", self.group_changes_max >= 1),
            ("write_queue_max", self.write_queue_max >= 1),
            ("write_queue_bytes_max", self.write_queue_bytes_max >= 1),
            ("banks_max", self.banks_max >= 1),
            ("idempotency_hours", self.idempotency_hours >= 1),
            ("sweep_rows_max", self.sweep_rows_max >= 1),
            ("followers_max", self.followers_max >= 1),
            ("heartbeat_ms", self.heartbeat_ms >= 1),
            ("feed_changes_max", self.feed_changes_max >= 1),
            ("feed_bytes_max", self.feed_bytes_max >= 1),
            ("message_bytes_max", self.message_bytes_max >= 1),
        ];
        faults.extend(
            at_least_one
                .into_iter()
                .filter(|(_, holds)| !holds)
                .map(|(field, _)| format!("{field}: must be at least 1")),
        );
        faults.extend(self.serving.faults());
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_fault() {
        assert_eq!(Config::default().faults(), Vec::<String>::new());
    }

    #[test]
    fn every_fault_is_reported() {
        let config = Config {
            store: "postgres://x".to_owned(),
            group_changes_max: 0,
            heartbeat_ms: 0,
            serving: ServingConfig { calls_in_flight_max: 0, ..ServingConfig::default() },
            ..Config::default()
        };
        assert_eq!(
            config.faults(),
            [
                "store: must be sqlite:<path> or sqlite::memory:",
                "group_changes_max: must be at least 1",
                "heartbeat_ms: must be at least 1",
                "serving.calls_in_flight_max: must be at least 1",
            ]
        );
    }

    #[test]
    fn stores_are_named_by_path() {
        let file = |path: &str| Some(Location::File(path.into()));
        assert_eq!(Location::parse("sqlite:a b?.db"), file("a b?.db"));
        assert_eq!(Location::parse("sqlite:/var/bank.db"), file("/var/bank.db"));
        assert_eq!(Location::parse("sqlite:///var/bank.db"), file("/var/bank.db"));
        assert_eq!(Location::parse("sqlite::memory:"), Some(Location::Memory));
        assert_eq!(Location::parse("sqlite:"), None);
        assert_eq!(Location::parse("/var/bank.db"), None);
    }
}
