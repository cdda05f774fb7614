//! The configuration of a bank: the location of its data, and its limits.

mod audit;
mod location;
mod database;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vigie_access::{AccessConfig, ProcessesConfig};
use vigie_serving::ServingConfig;

pub use self::audit::AuditConfig;
pub use self::location::StoreUrl;

pub(crate) use self::database::DatabaseUrl;
pub(crate) use self::location::Location;

/// A matcher gives a feed up after 5 seconds of silence: two heartbeats may be late.
const HEARTBEAT_MS_MAX: u64 = 2_000;
/// A follower accepts messages of 8 MiB. The stored changes take half of that, and their numbers and framing
/// on the wire, less than 32 bytes each, a quarter.
const FEED_BYTES_MAX: u64 = 4 << 20;
/// At 32 bytes of framing each, a quarter of a message ([`FEED_BYTES_MAX`]).
const FEED_CHANGES_MAX: u64 = 65_536;
/// Above the size of the largest write: 1,000 items at their bounds.
const MESSAGE_BYTES_MAX: u64 = 16 << 20;
/// A state begins with all banks in one message of 8 MiB, some 120 bytes each.
const BANKS_MAX: u64 = 50_000;
/// Further writes would wait longer than any caller does.
const WRITE_QUEUE_MAX: u64 = 1 << 20;

/// The settings of a bank. Each has a default that suits a small machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The location of all data: `sqlite:<path>`, `sqlite::memory:` for a bank whose data is lost when it
    /// ends, or `postgres://<user>:<password>@<host>:<port>/<database>`. Only one bank at a time runs on a
    /// file; another one refuses to start. Of the banks on a database one serves, and the others stand by.
    /// `?sslmode=verify-full&sslrootcert=<file>` after a database's URL encrypts the connections and checks
    /// the server.
    #[schemars(extend("x-value" = "URL"))]
    pub store: StoreUrl,
    /// Also accepts a PostgreSQL server that acknowledges commits before they are flushed. A crash of such a
    /// server loses acknowledged writes: only for tests.
    pub allow_unflushed: bool,
    /// Connections for reads; further reads wait for one of them. Writes have a connection of their own, and
    /// so has the lock of a bank on PostgreSQL.
    #[schemars(range(min = 1))]
    pub read_connections_max: u32,
    /// Changes of one transaction; further ones wait for the next. A single larger write has a transaction of
    /// its own.
    #[schemars(range(min = 1))]
    pub group_changes_max: usize,
    /// Writes that wait for their transaction; one more is refused with `RESOURCE_EXHAUSTED` and `RetryInfo`.
    #[schemars(range(min = 1, max = WRITE_QUEUE_MAX))]
    pub write_queue_max: usize,
    /// Bytes of the writes that wait or are being written; a write beyond it is refused with
    /// `RESOURCE_EXHAUSTED` and `RetryInfo`.
    #[schemars(range(min = 1))]
    pub write_queue_bytes_max: usize,
    /// Living banks; one more is refused with `FAILED_PRECONDITION`.
    #[schemars(range(min = 1, max = BANKS_MAX))]
    pub banks_max: usize,
    /// The least time for which an idempotency key is kept, in hours; later it is forgotten.
    #[schemars(range(min = 1))]
    pub idempotency_hours: u32,
    /// The least time for which the log keeps a change, in hours. The content of a removed item may be
    /// erased from the log earlier: see the `purge_hours` of its bank's charter.
    pub log_hours: u32,
    /// The least number of newest changes that the log keeps, however old they are.
    pub log_changes: u64,
    /// How long the log keeps the changes that a disconnected follower needs, in minutes; after that the
    /// follower may have to load the state again. Changes that a connected follower needs are always kept.
    pub follower_minutes: u32,
    /// How long a follower's stream lasts, in minutes, give or take a quarter. Then the follower connects
    /// again, and so finds another bank or a new address. At least 1.
    #[schemars(range(min = 1))]
    pub stream_minutes: u32,
    /// Rows of deleted data that are removed in one transaction. Writes continue between two of them.
    #[schemars(range(min = 1))]
    pub sweep_rows_max: u32,
    /// Rewrites the database's tables of items and changes before the `purge_hours` of removed items end.
    /// Only a rewrite clears the copies of removed rows in the free space of their pages. Meanwhile writes
    /// wait, some 15 seconds per gigabyte, and the disk needs space for a second copy; searches continue.
    /// With `false` rewrites are left to the operator.
    pub purge_rewrites: bool,
    /// Followers of the log; one more is refused with `RESOURCE_EXHAUSTED` and `RetryInfo`. A quarter is
    /// reserved for the names in `matcher_names`; without names, for clients with fewer than four followers.
    #[schemars(range(min = 1))]
    pub followers_max: usize,
    /// Followers of one client. A client is a name in a certificate, or a host if clients show no
    /// certificates. One more is refused with `RESOURCE_EXHAUSTED` and `RetryInfo`, unless its name is one of
    /// `matcher_names`.
    #[schemars(range(min = 1))]
    pub followers_per_client_max: usize,
    /// The names in the certificates of the deployment's own matchers, whole, such as
    /// `spiffe://vigie.dev/matcher`. Not used without TLS, which alone proves a follower's name.
    #[schemars(extend("x-value" = "NAME"))]
    pub matcher_names: Vec<String>,
    /// The longest silence towards a follower, in milliseconds; then the bank sends a heartbeat. At most
    /// 2,000, because a matcher gives up a feed after 5 seconds of silence.
    #[schemars(range(min = 1, max = HEARTBEAT_MS_MAX))]
    pub heartbeat_ms: u64,
    /// Changes of one message to a follower; further ones are in the next message.
    #[schemars(range(min = 1, max = FEED_CHANGES_MAX))]
    pub feed_changes_max: usize,
    /// Bytes of the changes of one message to a follower; every message has at least one change. At most 4
    /// MiB, because followers accept messages of 8 MiB.
    #[schemars(range(min = 1, max = FEED_BYTES_MAX))]
    pub feed_bytes_max: usize,
    /// Newest changes kept in memory for the followers; a follower that is farther behind reads from the
    /// store.
    pub recent_changes_max: usize,
    /// Bytes of the newest changes in memory; beyond it the oldest are dropped.
    pub recent_bytes_max: usize,
    /// Bytes of one request; a larger one is refused with `INVALID_ARGUMENT`. 1,000 items of 64 hashes are
    /// 2.5 MB.
    #[schemars(range(min = 1, max = MESSAGE_BYTES_MAX))]
    pub message_bytes_max: usize,
    /// The limits that every server keeps.
    pub serving: ServingConfig,
    /// Credentials of members.
    pub access: AccessConfig,
    /// The processes of the deployment.
    pub processes: ProcessesConfig,
    /// The audit of members.
    pub audit: AuditConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: "sqlite:vigie-bank.db".into(),
            allow_unflushed: false,
            read_connections_max: 4,
            group_changes_max: 1_000,
            write_queue_max: 1_024,
            write_queue_bytes_max: 64 << 20,
            banks_max: 10_000,
            idempotency_hours: 72,
            log_hours: 720,
            log_changes: 1_000_000,
            follower_minutes: 60,
            stream_minutes: 60,
            sweep_rows_max: 1_000,
            purge_rewrites: true,
            followers_max: 512,
            followers_per_client_max: 128,
            matcher_names: Vec::new(),
            heartbeat_ms: 500,
            feed_changes_max: 2_000,
            feed_bytes_max: 1 << 20,
            recent_changes_max: 16_384,
            recent_bytes_max: 32 << 20,
            message_bytes_max: 4 << 20,
            serving: ServingConfig::default(),
            access: AccessConfig::default(),
            processes: ProcessesConfig::default(),
            audit: AuditConfig::default(),
        }
    }
}

impl Config {
    /// Returns the processes of the deployment: matchers by the names of `matcher_names` too.
    pub(crate) fn processes(&self) -> ProcessesConfig {
        let mut processes = self.processes.clone();
        processes.matcher_names.extend(self.matcher_names.iter().cloned());
        processes
    }

    /// Returns every fault of these values, each as `field: what is wrong`.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        faults.extend(self.store.faults().into_iter().map(|fault| format!("store: {fault}")));
        let at_least_one = [
            ("read_connections_max", self.read_connections_max >= 1),
            ("group_changes_max", self.group_changes_max >= 1),
            ("write_queue_bytes_max", self.write_queue_bytes_max >= 1),
            ("idempotency_hours", self.idempotency_hours >= 1),
            ("sweep_rows_max", self.sweep_rows_max >= 1),
            ("followers_max", self.followers_max >= 1),
            ("followers_per_client_max", self.followers_per_client_max >= 1),
            ("stream_minutes", self.stream_minutes >= 1),
        ];
        faults.extend(
            at_least_one
                .into_iter()
                .filter(|(_, holds)| !holds)
                .map(|(field, _)| format!("{field}: must be at least 1")),
        );
        let within = [
            ("write_queue_max", self.write_queue_max as u64, WRITE_QUEUE_MAX),
            ("banks_max", self.banks_max as u64, BANKS_MAX),
            ("heartbeat_ms", self.heartbeat_ms, HEARTBEAT_MS_MAX),
            ("feed_changes_max", self.feed_changes_max as u64, FEED_CHANGES_MAX),
            ("feed_bytes_max", self.feed_bytes_max as u64, FEED_BYTES_MAX),
            ("message_bytes_max", self.message_bytes_max as u64, MESSAGE_BYTES_MAX),
        ];
        faults.extend(
            within
                .into_iter()
                .filter(|(_, value, max)| !(1..=*max).contains(value))
                .map(|(field, value, max)| format!("{field}: is {value}; it must be 1 to {max}")),
        );
        faults.extend(self.serving.faults());
        faults.extend(self.access.faults().into_iter().map(|fault| format!("access.{fault}")));
        faults.extend(self.processes.faults().into_iter().map(|fault| format!("processes.{fault}")));
        faults.extend(self.audit.faults().into_iter().map(|fault| format!("audit.{fault}")));
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
            store: "mysql://x".into(),
            group_changes_max: 0,
            heartbeat_ms: 0,
            serving: ServingConfig { calls_in_flight_max: 0, ..ServingConfig::default() },
            ..Config::default()
        };
        assert_eq!(
            config.faults(),
            [
                "store: must be sqlite:<path>, sqlite::memory: or postgres://<user>@<host>/<database>",
                "group_changes_max: must be at least 1",
                "heartbeat_ms: is 0; it must be 1 to 2000",
                "serving.calls_in_flight_max: must be at least 1",
            ]
        );
    }

    #[test]
    fn followers_hear_in_time_and_can_read_what_they_are_sent() {
        let check = |config: Config, expected: &[&str]| assert_eq!(config.faults(), expected);
        let sound = Config { heartbeat_ms: 2_000, feed_bytes_max: 4 << 20, ..Config::default() };
        check(sound.clone(), &[]);
        let silent = Config { heartbeat_ms: 2_001, ..sound.clone() };
        check(silent, &["heartbeat_ms: is 2001; it must be 1 to 2000"]);
        let large = Config { feed_bytes_max: (4 << 20) + 1, ..sound.clone() };
        check(large, &["feed_bytes_max: is 4194305; it must be 1 to 4194304"]);
        let many = Config { feed_changes_max: 65_537, ..sound.clone() };
        check(many, &["feed_changes_max: is 65537; it must be 1 to 65536"]);
        let message = Config { message_bytes_max: (16 << 20) + 1, ..sound };
        check(message, &["message_bytes_max: is 16777217; it must be 1 to 16777216"]);
    }
}
