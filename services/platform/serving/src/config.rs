//! The limits that every server keeps.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Limits of one server. Each has a default that suits a service on a small machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServingConfig {
    /// How many calls the server works on at once: `"adaptive"`, a limit that it learns from how long calls
    /// take, or a number, which never changes. A call beyond the limit is refused with `RESOURCE_EXHAUSTED`
    /// and `RetryInfo`; a bulk call is refused beyond three quarters of the limit.
    pub concurrency: Concurrency,
    /// The upper bound of `concurrency`, learned or fixed, in calls.
    #[schemars(range(min = 1))]
    pub calls_in_flight_max: usize,
    /// The lower bound of a learned limit, in calls. `calls_in_flight_max` is used instead if it is smaller.
    /// A fixed limit ignores this key.
    #[schemars(range(min = 1))]
    pub calls_in_flight_min: usize,
    /// A mean latency that never shrinks a learned limit, in milliseconds. Calls that take longer may take
    /// twice their time on an idle server before the limit shrinks. A fixed limit ignores this key.
    #[schemars(range(min = 1))]
    pub latency_ms_target: u64,
    /// The most bytes of requests that have arrived and are being read or worked on, at least three messages
    /// of the largest size. Beyond it a message is refused with `RESOURCE_EXHAUSTED` and `RetryInfo`, and a
    /// stream waits. A third is kept for clients that have less than their share.
    #[schemars(range(min = 1))]
    pub bytes_in_flight_max: usize,
    /// The lowest rate at which a message may arrive, in bytes per second, after `body_grace_ms`; 0 allows
    /// any rate. A call whose message arrives more slowly ends with `DEADLINE_EXCEEDED`.
    pub body_bytes_per_second_min: u32,
    /// How long the server waits for a message before `body_bytes_per_second_min` applies, in milliseconds.
    /// Ignored if that is 0.
    pub body_grace_ms: u64,
    /// The most bytes of answers that are being built or sent. An answer counts from before it is built until
    /// the client has taken it. One client gets at most half of the bytes; once half are in use, a client
    /// within its share gets no more of the rest than it leaves free. A further answer waits within its
    /// deadline, and a stream is not read meanwhile.
    #[schemars(range(min = 33_554_432))]
    pub answer_bytes_in_flight_max: usize,
    /// The most connections, or three quarters of the files that the process may have open, if that is less.
    /// A further connection is closed at once.
    #[schemars(range(min = 1))]
    pub connections_max: usize,
    /// The most connections of one host (an IPv4 address, or a /64 of IPv6), never more than three quarters
    /// of all. A further one is closed at once. Behind a proxy all clients are one host.
    #[schemars(range(min = 1))]
    pub connections_per_host_max: usize,
    /// The most connections of clients with the same name in their certificates, never more than three
    /// quarters of all. A further one is closed after its handshake.
    #[schemars(range(min = 1))]
    pub connections_per_identity_max: usize,
    /// How long a connection may have no call, in milliseconds, at least 1,000. Then the server sends GOAWAY,
    /// so that the client opens another connection for its next call, and closes this one.
    #[schemars(range(min = 1_000))]
    pub connection_idle_ms_max: u64,
    /// The age at which a connection ends, in milliseconds, at least 1,000; 0 for no such age. The server
    /// sends GOAWAY, so that the client opens another connection for its next call, which a load balancer may
    /// send elsewhere; open calls and streams go on to their ends. The age varies by a tenth, so that clients
    /// do not reconnect all at once, and a connection whose client has calls waiting ends later. For servers
    /// behind a balancer of connections: clients that choose between endpoints themselves do not need it.
    #[schemars(extend("anyOf" = [{ "const": 0 }, { "type": "integer", "minimum": 1_000 }]))]
    pub connection_age_ms_max: u64,
    /// The most streams of one connection; a further one waits in the client.
    #[schemars(range(min = 1))]
    pub streams_per_connection_max: u32,
    /// The time that a call without a deadline gets, in milliseconds.
    #[schemars(range(min = 1))]
    pub deadline_ms_default: u64,
    /// The longest time that a call gets, in milliseconds; a longer deadline is cut to it.
    #[schemars(range(min = 1))]
    pub deadline_ms_max: u64,
    /// How long a stopping server reports `NOT_SERVING` before it refuses new calls, in milliseconds, so that
    /// balancers notice.
    pub lame_duck_ms: u64,
    /// How long accepted calls may take to end after `lame_duck_ms`, in milliseconds; then they are cut off.
    pub drain_ms_max: u64,
}

/// The limit of calls in flight: learned, or fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Concurrency {
    /// Learned from how long calls take. Written as `"adaptive"`.
    #[default]
    Adaptive,
    /// This number, which never changes. Written as the number.
    Fixed(usize),
}

/// Enough for a few of the largest answers, each of which may have a quarter.
const ANSWER_BYTES_MIN: usize = 32 << 20;

const ADAPTIVE: &str = "adaptive";

impl JsonSchema for Concurrency {
    fn schema_name() -> Cow<'static, str> {
        "Concurrency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": ADAPTIVE }, { "type": "integer", "minimum": 1 }] })
    }
}

impl Serialize for Concurrency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Adaptive => serializer.serialize_str(ADAPTIVE),
            Self::Fixed(calls) => calls.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Concurrency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ConcurrencyVisitor)
    }
}

struct ConcurrencyVisitor;

impl Visitor<'_> for ConcurrencyVisitor {
    type Value = Concurrency;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"adaptive\" or a number of calls")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Concurrency, E> {
        if text == ADAPTIVE {
            Ok(Concurrency::Adaptive)
        } else {
            Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }

    fn visit_u64<E: Error>(self, calls: u64) -> Result<Concurrency, E> {
        Ok(Concurrency::Fixed(usize::try_from(calls).unwrap_or(usize::MAX)))
    }

    fn visit_i64<E: Error>(self, calls: i64) -> Result<Concurrency, E> {
        match u64::try_from(calls) {
            Ok(calls) => self.visit_u64(calls),
            Err(_) => Err(E::invalid_value(serde::de::Unexpected::Signed(calls), &self)),
        }
    }
}

impl Default for ServingConfig {
    fn default() -> Self {
        Self {
            concurrency: Concurrency::Adaptive,
            calls_in_flight_max: 512,
            calls_in_flight_min: 8,
            // What CoDel takes for a queue that is no trouble (RFC 8289, section 4.2).
            latency_ms_target: 5,
            bytes_in_flight_max: 256 << 20,
            // An eighth of a megabit per second: within the longest deadline not even 1 MB would arrive at
            // this rate.
            body_bytes_per_second_min: 16_384,
            body_grace_ms: 5_000,
            answer_bytes_in_flight_max: 64 << 20,
            connections_max: 10_000,
            connections_per_host_max: 1_000,
            connections_per_identity_max: 1_000,
            connection_idle_ms_max: 300_000,
            // The clusters' own clients choose between endpoints themselves.
            connection_age_ms_max: 0,
            streams_per_connection_max: 256,
            deadline_ms_default: 10_000,
            deadline_ms_max: 60_000,
            lame_duck_ms: 2_000,
            drain_ms_max: 10_000,
        }
    }
}

impl ServingConfig {
    /// Returns the same limits for a server that stops as soon as its accepted calls are answered, because no
    /// balancer has to notice.
    #[must_use]
    pub const fn without_lame_duck(self) -> Self {
        Self { lame_duck_ms: 0, ..self }
    }

    /// Returns the same limits with at most this many connections.
    #[must_use]
    pub fn with_connections_at_most(self, connections: usize) -> Self {
        Self { connections_max: self.connections_max.min(connections), ..self }
    }

    /// Returns every fault of these values, each as `field: what is wrong`.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |holds: bool, fault: &str| {
            if !holds {
                faults.push(format!("serving.{fault}"));
            }
        };
        check(self.calls_in_flight_max >= 1, "calls_in_flight_max: must be at least 1");
        check(self.calls_in_flight_min >= 1, "calls_in_flight_min: must be at least 1");
        if let Concurrency::Fixed(calls) = self.concurrency {
            check(calls >= 1, "concurrency: must be \"adaptive\" or at least 1");
            check(
                calls <= self.calls_in_flight_max,
                "concurrency: must be at most calls_in_flight_max; raise both for a larger limit",
            );
        }
        check(self.latency_ms_target >= 1, "latency_ms_target: must be at least 1");
        check(self.bytes_in_flight_max >= 1, "bytes_in_flight_max: must be at least 1");
        check(
            self.answer_bytes_in_flight_max >= ANSWER_BYTES_MIN,
            "answer_bytes_in_flight_max: must be at least 33554432, for a few of the largest answers",
        );
        check(self.connections_max >= 1, "connections_max: must be at least 1");
        check(self.connections_per_host_max >= 1, "connections_per_host_max: must be at least 1");
        check(self.connections_per_identity_max >= 1, "connections_per_identity_max: must be at least 1");
        check(self.connection_idle_ms_max >= 1_000, "connection_idle_ms_max: must be at least 1000");
        check(
            self.connection_age_ms_max == 0 || self.connection_age_ms_max >= 1_000,
            "connection_age_ms_max: must be 0, for any age, or at least 1000",
        );
        check(self.streams_per_connection_max >= 1, "streams_per_connection_max: must be at least 1");
        check(self.deadline_ms_default >= 1, "deadline_ms_default: must be at least 1");
        check(
            self.deadline_ms_max >= self.deadline_ms_default,
            "deadline_ms_max: must be at least deadline_ms_default",
        );
        faults
    }

    pub(crate) const fn connection_idle_max(&self) -> Duration {
        Duration::from_millis(self.connection_idle_ms_max)
    }

    /// The age at which connections end; `None` if they may have any age.
    pub(crate) const fn connection_age_max(&self) -> Option<Duration> {
        match self.connection_age_ms_max {
            0 => None,
            ms => Some(Duration::from_millis(ms)),
        }
    }

    pub(crate) const fn deadline_default(&self) -> Duration {
        Duration::from_millis(self.deadline_ms_default)
    }

    pub(crate) const fn deadline_max(&self) -> Duration {
        Duration::from_millis(self.deadline_ms_max)
    }

    pub(crate) const fn lame_duck(&self) -> Duration {
        Duration::from_millis(self.lame_duck_ms)
    }

    pub(crate) const fn drain_max(&self) -> Duration {
        Duration::from_millis(self.drain_ms_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<ServingConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn concurrency_is_a_word_or_a_number() {
        assert_eq!(read("{}").unwrap().concurrency, Concurrency::Adaptive);
        for (json, expected) in [("\"adaptive\"", Concurrency::Adaptive), ("64", Concurrency::Fixed(64))] {
            let config = read(&format!("{{\"concurrency\": {json}}}")).unwrap();
            assert_eq!(config.concurrency, expected);
            assert!(config.faults().is_empty());
            assert_eq!(serde_json::to_string(&config.concurrency).unwrap(), json);
        }
        for wrong in ["\"fixed\"", "-1", "1.5", "true"] {
            let error = read(&format!("{{\"concurrency\": {wrong}}}")).unwrap_err().to_string();
            assert!(error.contains("\"adaptive\" or a number of calls"), "{error}");
        }
    }

    #[test]
    fn a_fixed_limit_lies_between_one_and_the_most() {
        let faults = |calls, calls_in_flight_max| {
            let concurrency = Concurrency::Fixed(calls);
            ServingConfig { concurrency, calls_in_flight_max, ..Default::default() }.faults()
        };
        assert!(faults(512, 512).is_empty() && faults(1, 1).is_empty());
        assert_eq!(faults(0, 512), ["serving.concurrency: must be \"adaptive\" or at least 1"]);
        assert!(faults(513, 512)[0].starts_with("serving.concurrency: must be at most calls_in_flight_max"));
    }
}
