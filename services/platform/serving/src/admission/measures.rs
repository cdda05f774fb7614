//! Measures of calls: idle times, their spread, and the sums of a window.

use std::time::Duration;

use super::tuning::Tuning;

/// The mean latencies of the calls of a class, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Latencies {
    pub(super) idle: Mean,
    pub(super) latest: Mean,
}

impl Latencies {
    /// Returns the idle time of the class. If no call has met an idle server yet, the known latencies include
    /// a queue, and a quarter of their mean is returned.
    pub(super) fn idle_seconds(&self) -> f64 {
        if self.idle.calls > 0.0 { self.idle.value } else { self.latest.value * Tuning::IDLE_SHARE }
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mean {
    pub(super) value: f64,
    pub(super) calls: f64,
}

impl Mean {
    /// Adds a value. The mean is plain over the first `calls_max` values, and exponential after that.
    pub(super) fn add(&mut self, value: f64, calls_max: f64) {
        self.calls = (self.calls + 1.0).min(calls_max);
        self.value += (value - self.value) / self.calls;
    }
}

/// The spread of the latencies on an idle server.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spread {
    pub(super) mean: Mean,
    pub(super) mean_square: Mean,
}

impl Spread {
    pub(super) fn add(&mut self, seconds: f64) {
        self.mean.add(seconds, Tuning::SPREAD_CALLS);
        self.mean_square.add(seconds * seconds, Tuning::SPREAD_CALLS);
    }

    /// Returns the factor by which queues are longer than with exponential costs: `(1 + C^2) / 2` on average,
    /// where `C` is the coefficient of variation (Pollaczek and Khinchine). The result is the root of that,
    /// because long queues weigh more in the average than they last.
    pub(super) fn queue_factor(&self) -> f64 {
        let ratio = self.mean_square.value / (self.mean.value * self.mean.value).max(f64::MIN_POSITIVE);
        (ratio / 2.0).sqrt().clamp(1.0, Tuning::QUEUE_FACTOR_MAX)
    }
}

/// The calls that ended since `begun`. `taken` and `idle` are sums over all of them, in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Window {
    pub(super) begun: Duration,
    pub(super) calls: u32,
    pub(super) taken: f64,
    pub(super) idle: f64,
    pub(super) reached: bool,
    pub(super) reached_by_interactive: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Closed {
    pub(super) at: Duration,
    pub(super) allowed: f64,
    pub(super) taken: f64,
}
