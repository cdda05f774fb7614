//! The number of calls that may be in flight: a fixed number, or one that is learned.

use std::time::Duration;

use vigie_rpc::Priority;

use super::adaptive::AdaptiveLimit;
pub(crate) use super::adaptive::{Aim, Capacity, Class, Evidence};

/// The limit of one server.
#[derive(Debug)]
pub(crate) enum Limit {
    /// A constant number of calls, whatever their latency.
    Fixed(usize),
    /// A number that is learned from the latencies of calls.
    Adaptive(Box<AdaptiveLimit>),
}

impl Limit {
    /// Returns a constant limit of `calls`, at least one.
    pub(crate) fn fixed(calls: usize) -> Self {
        Self::Fixed(calls.max(1))
    }

    /// Returns a limit that is learned from now on.
    pub(crate) fn adaptive(aim: Aim, now: Duration) -> Self {
        Self::Adaptive(Box::new(AdaptiveLimit::new(aim, now)))
    }

    /// Returns how many calls may be in flight now, counting one more call of this priority.
    pub(crate) fn at(&mut self, now: Duration, priority: Priority) -> Capacity {
        match self {
            Self::Fixed(calls) => Capacity { slots: *calls, within_share: *calls, first_of_client: *calls },
            Self::Adaptive(limit) => limit.at(now, priority),
        }
    }

    /// Returns the limit that metrics show and shares are computed from.
    pub(crate) fn current(&self) -> usize {
        match self {
            Self::Fixed(calls) => *calls,
            Self::Adaptive(limit) => limit.learned(),
        }
    }

    /// Returns the meaning of the latency of a call that is admitted now. `in_flight` includes the call.
    pub(crate) fn admit(&mut self, in_flight: usize) -> Evidence {
        match self {
            Self::Fixed(_) => Evidence::Nothing,
            Self::Adaptive(limit) => limit.admit(in_flight),
        }
    }

    /// Notes that a call was refused or has to wait: the limit is reached.
    pub(crate) fn reached(&mut self, now: Duration, priority: Priority) {
        match self {
            Self::Fixed(_) => {}
            Self::Adaptive(limit) => limit.reached(now, priority),
        }
    }

    /// Records the latency of a call. `in_flight` still includes the call.
    pub(crate) fn record(
        &mut self,
        now: Duration,
        class: Class,
        took: Duration,
        evidence: Evidence,
        in_flight: usize,
    ) {
        match self {
            Self::Fixed(_) => {}
            Self::Adaptive(limit) => limit.record(now, class, took, evidence, in_flight),
        }
    }
}
