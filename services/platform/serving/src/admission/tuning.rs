//! Every constant of the adaptive limit.

use std::time::Duration;

/// The constants of the adaptive limit, each with its meaning. The simulations of `adaptive/tests` hold for these values.
pub(super) struct Tuning;

/// The rule: `limit * allowed / taken + slack`.
impl Tuning {
    /// Calls may take this many times their idle time. At one, workers would be idle between calls; at two, one call waits for
    /// each that is worked on.
    pub(super) const STRETCH_TARGET: f64 = 2.0;
    /// Calls that may queue beside that: for one or two workers twice their number is too few to keep them busy.
    pub(super) const SLACK: f64 = 4.0;
    /// The slack is at most this many times larger where costs vary.
    pub(super) const QUEUE_FACTOR_MAX: f64 = 3.0;
    /// The part of the way to a smaller limit that one window goes: the calls that it counted were admitted under a larger
    /// limit still.
    pub(super) const SHRINK_STEP: f64 = 0.3;
    /// One window makes the limit at most this many times larger.
    pub(super) const GROWTH_MAX: f64 = 1.1;
}

/// Windows: the calls that are compared at once.
impl Tuning {
    /// A window ends with this many calls, or after [`Self::WINDOW_MAX`].
    pub(super) const WINDOW_CALLS: u32 = 32;
    /// Fewer calls than this say nothing.
    pub(super) const WINDOW_CALLS_MIN: u32 = 8;
    /// A window lasts at least this long.
    pub(super) const WINDOW_MIN: Duration = Duration::from_millis(50);
    /// And at most this long.
    pub(super) const WINDOW_MAX: Duration = Duration::from_secs(1);
    /// A queue stands if no window within this time was without one ...
    pub(super) const STANDING: Duration = Duration::from_secs(1);
    /// ... and there were at least this many windows.
    pub(super) const STANDING_WINDOWS: usize = 4;
}

/// Idle times: what calls take where nothing queues.
impl Tuning {
    /// A call meets an idle server while at most this share of the limit is in use.
    pub(super) const IDLE_SHARE: f64 = 0.25;
    /// An idle time is the mean of about this many calls.
    pub(super) const IDLE_CALLS: f64 = 50.0;
    /// The spread of idle times is that of about this many calls.
    pub(super) const SPREAD_CALLS: f64 = 400.0;
    /// Classes that are told apart; all others count as one.
    pub(super) const CLASSES_MAX: usize = 1_024;
}

/// Probes: moments at which the limit is held to its idle share, to measure idle times under lasting pressure.
impl Tuning {
    /// The pause between two probes (longer if a probe takes long) ...
    pub(super) const PROBE_EVERY: Duration = Duration::from_secs(20);
    /// ... and while idle times still change ...
    pub(super) const PROBE_AGAIN: Duration = Duration::from_secs(1);
    /// ... by more than this part.
    pub(super) const PROBE_SETTLED: f64 = 0.5;
    /// A pause is at least this many times the probe before it, and while idle times still change this many times.
    pub(super) const PROBE_COST: (u32, u32) = (20, 5);
    /// A probe ends with this many calls; or with fewer, after a few times what a call takes; or after the most.
    pub(super) const PROBE_CALLS: u32 = 64;
    /// See [`Self::PROBE_CALLS`].
    pub(super) const PROBE_CALLS_MIN: u32 = 16;
    /// A probe lasts at least this long, if it does not get all its calls before.
    pub(super) const PROBE_MIN: Duration = Duration::from_millis(250);
    /// And at most this long.
    pub(super) const PROBE_MAX: Duration = Duration::from_secs(2);
    /// After this many times what a call takes, the calls from before have ended.
    pub(super) const SETTLING_MEANS: f64 = 3.0;
    /// If the limit is not reached again within this time after a probe, the pressure is gone.
    pub(super) const SETTLING_MAX: Duration = Duration::from_secs(1);
}
