//! The limits that every server keeps.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::admission::limit::Aim;

/// Limits of one server. Each has a default that suits a service on a small machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServingConfig {
    /// Calls that are worked on at once, at most. Below it the server learns how many are good for it; one more than
    /// that is refused with `RESOURCE_EXHAUSTED` and `RetryInfo`, bulk calls from three quarters of it on.
    pub calls_in_flight_max: usize,
    /// Calls that are worked on at once, at least: what is learned never goes below it (nor above the most).
    pub calls_in_flight_min: usize,
    /// A mean latency that is never too long, in milliseconds. Calls that take longer may take twice what they take on
    /// an idle server before the server admits fewer of them.
    pub latency_ms_target: u64,
    /// Bytes of requests that are read or worked on at once; a message for which there is no room is refused with
    /// `RESOURCE_EXHAUSTED` and `RetryInfo`, a stream waits. There is always room for one message of the largest size.
    pub bytes_in_flight_max: usize,
    /// Connections; one more is closed as it comes.
    pub connections_max: usize,
    /// Streams of one connection; one more waits in the client.
    pub streams_per_connection_max: u32,
    /// The time that a call without a deadline gets, in milliseconds.
    pub deadline_ms_default: u64,
    /// The longest time that a call gets, in milliseconds; a longer deadline is cut to it.
    pub deadline_ms_max: u64,
    /// How long `NOT_SERVING` is said before new calls are refused, in milliseconds, so that balancers notice.
    pub lame_duck_ms: u64,
    /// How long accepted calls may take to end after that, in milliseconds; then they are cut off.
    pub drain_ms_max: u64,
}

impl Default for ServingConfig {
    fn default() -> Self {
        Self {
            calls_in_flight_max: 512,
            calls_in_flight_min: 8,
            // What CoDel takes for a queue that is no trouble (RFC 8289, section 4.2).
            latency_ms_target: 5,
            bytes_in_flight_max: 256 << 20,
            connections_max: 10_000,
            streams_per_connection_max: 256,
            deadline_ms_default: 10_000,
            deadline_ms_max: 60_000,
            lame_duck_ms: 2_000,
            drain_ms_max: 10_000,
        }
    }
}

impl ServingConfig {
    /// The same for a server that nobody has to be warned of: it stops as soon as what it has accepted is answered.
    #[must_use]
    pub const fn without_lame_duck(self) -> Self {
        Self { lame_duck_ms: 0, ..self }
    }

    /// Every fault of these values, each as `field: what is wrong`.
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
        check(self.latency_ms_target >= 1, "latency_ms_target: must be at least 1");
        check(self.bytes_in_flight_max >= 1, "bytes_in_flight_max: must be at least 1");
        check(self.connections_max >= 1, "connections_max: must be at least 1");
        check(self.streams_per_connection_max >= 1, "streams_per_connection_max: must be at least 1");
        check(self.deadline_ms_default >= 1, "deadline_ms_default: must be at least 1");
        check(
            self.deadline_ms_max >= self.deadline_ms_default,
            "deadline_ms_max: must be at least deadline_ms_default",
        );
        faults
    }

    /// What the limit of calls aims at. It begins at a quarter of its most.
    pub(crate) fn aim(&self) -> Aim {
        Aim {
            limit_min: self.calls_in_flight_min,
            limit_max: self.calls_in_flight_max,
            limit_initial: self.calls_in_flight_max / 4,
            latency_target: Duration::from_millis(self.latency_ms_target),
        }
    }

    pub(crate) const fn lame_duck(&self) -> Duration {
        Duration::from_millis(self.lame_duck_ms)
    }

    pub(crate) const fn drain_max(&self) -> Duration {
        Duration::from_millis(self.drain_ms_max)
    }
}
