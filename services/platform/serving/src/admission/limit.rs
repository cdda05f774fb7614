//! How many calls may be in flight: a fixed number, or one that is learned.

use std::time::Duration;

use vigie_rpc::Priority;

use super::adaptive::AdaptiveLimit;
pub(crate) use super::adaptive::{Aim, Capacity, Class, Evidence};

/// The limit of one server.
#[derive(Debug)]
pub(crate) enum Limit {
    /// This many calls, whatever they take.
    Fixed(usize),
    /// As many as the latencies of calls allow.
    Adaptive(Box<AdaptiveLimit>),
}

impl Limit {
    /// A limit that never moves: this many calls, at least one.
    pub(crate) fn fixed(calls: usize) -> Self {
        Self::Fixed(calls.max(1))
    }

    /// A limit that is learned from now on.
    pub(crate) fn adaptive(aim: Aim, now: Duration) -> Self {
        Self::Adaptive(Box::new(AdaptiveLimit::new(aim, now)))
    }

    /// Calls that may be in flight now if one more of this priority is to be admitted.
    pub(crate) fn at(&mut self, now: Duration, priority: Priority) -> Capacity {
        match self {
            Self::Fixed(calls) => Capacity { slots: *calls, within_share: *calls, first_of_client: *calls },
            Self::Adaptive(limit) => limit.at(now, priority),
        }
    }

    /// The limit as it is shown, and as shares are taken of it.
    pub(crate) fn current(&self) -> usize {
        match self {
            Self::Fixed(calls) => *calls,
            Self::Adaptive(limit) => limit.learned(),
        }
    }

    /// What the latency of a call that is admitted now will say. `in_flight` counts the call.
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

    /// Notes what a call took. `in_flight` still counts the call.
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
