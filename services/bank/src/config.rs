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
    /// Where the bank keeps everything: `sqlite:<path>`, `sqlite::memory:` for a bank that forgets, or
    /// `postgres://<user>:<password>@<host>:<port>/<database>`. One bank at a time runs on a file; another
    /// one refuses to start. Of the banks on a database one serves, and the others stand by.
    /// `?sslmode=verify-full&sslrootcert=<file>` after a database's URL encrypts the connections and checks
    /// the server.
    #[schemars(extend("x-value" = "URL"))]
    pub store: StoreUrl,
    /// Runs on a PostgreSQL server, too, that acknowledges commits before they are flushed. A crash of such a
    /// server loses acknowledged writes: for tests alone.
    pub allow_unflushed: bool,
    /// Connections that read; one more read waits for one of them. Writes have a connection of their own, and
    /// so has the lock of a bank on PostgreSQL.
    #[schemars(range(min = 1))]
    pub read_connections_max: u32,
    /// Changes of one transaction; what is beyond waits for the next. A single larger write still goes alone.
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
    /// How long an idempotency key is kept at least, in hours; then it is forgotten.
    #[schemars(range(min = 1))]
    pub idempotency_hours: u32,
    /// How long the log keeps a change at least, in hours. What a change says of a removed item goes with it.
    pub log_hours: u32,
    /// Newest changes that the log keeps at least, however old they are.
    pub log_changes: u64,
    /// How long the log keeps what a follower needs that has gone, in minutes; then it has to load the state
    /// anew. What a follower needs that is there is always kept.
    pub follower_minutes: u32,
    /// How long a follower's stream lasts, in minutes, give or take a quarter; then it comes again, and so
    /// finds its way to another bank or a new address. At least 1.
    #[schemars(range(min = 1))]
    pub stream_minutes: u32,
    /// Rows that one sweep of deleted data takes away in one transaction, between which writes go on.
    #[schemars(range(min = 1))]
    pub sweep_rows_max: u32,
    /// Rewrites the database's tables of items and changes before the end of `purge_hours` of what was
    /// removed. Only that clears the copies of removed rows in the free space of their pages. Writes wait
    /// meanwhile, some 15 seconds a gigabyte, and the disk needs room for a second copy; searches go on. With
    /// `false` that is left to the operator.
    pub purge_rewrites: bool,
    /// Followers of the log; one more is refused with `RESOURCE_EXHAUSTED` and `RetryInfo`. A quarter is kept
    /// for the names in `matcher_names`; if there are none, for clients with fewer than four followers.
    #[schemars(range(min = 1))]
    pub followers_max: usize,
    /// Followers of one client: of one name in certificates, and of one host where clients show no
    /// certificates. One more is refused with `RESOURCE_EXHAUSTED` and `RetryInfo`, unless its name is one of
    /// `matcher_names`.
    #[schemars(range(min = 1))]
    pub followers_per_client_max: usize,
    /// The names in the certificates of the deployment's own matchers, whole, such as
    /// `spiffe://vigie.dev/matcher`. Of no meaning without TLS, where nothing proves who follows.
    #[schemars(extend("x-value" = "NAME"))]
    pub matcher_names: Vec<String>,
    /// The longest silence towards a follower, in milliseconds; then it gets a sign of life. At most 2,000: a
    /// matcher gives a feed up after 5 seconds of silence.
    #[schemars(range(min = 1, max = HEARTBEAT_MS_MAX))]
    pub heartbeat_ms: u64,
    /// Changes of one message to a follower; the rest comes in the next.
    #[schemars(range(min = 1, max = FEED_CHANGES_MAX))]
    pub feed_changes_max: usize,
    /// Bytes of the changes of one message to a follower, though always one change at least. At most 4 MiB:
    /// followers accept messages of 8 MiB.
    #[schemars(range(min = 1, max = FEED_BYTES_MAX))]
    pub feed_bytes_max: usize,
    /// Newest changes kept in memory for the followers; one that is farther behind reads from the store.
    pub recent_changes_max: usize,
    /// Bytes of the newest changes in memory; the oldest go first.
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
