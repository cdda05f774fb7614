//! Every constant of the adaptive limit.

use std::time::Duration;

/// The constants of the adaptive limit, each with its meaning. The simulations of `adaptive/tests` hold for
/// these values.
pub(super) struct Tuning;

/// The rule: `limit * allowed / taken + slack`.
impl Tuning {
    /// The multiple of their idle time that calls may take. At one, workers would be idle between calls; at
    /// two, one call waits for each that is worked on.
    pub(super) const STRETCH_TARGET: f64 = 2.0;
    /// The calls that may queue in addition: with one or two workers, twice their number is too few to keep
    /// them busy.
    pub(super) const SLACK: f64 = 4.0;
    /// The factor by which the slack may grow where costs vary.
    pub(super) const QUEUE_FACTOR_MAX: f64 = 3.0;
    /// The fraction of the way to a smaller limit that one window moves. It is small because the calls of
    /// that window were admitted under a larger limit still.
    pub(super) const SHRINK_STEP: f64 = 0.3;
    /// The factor by which one window may raise the limit.
    pub(super) const GROWTH_MAX: f64 = 1.1;
}

/// Windows: the calls that are compared together.
impl Tuning {
    /// A window ends with this many calls, or after [`Self::WINDOW_MAX`].
    pub(super) const WINDOW_CALLS: u32 = 32;
    /// Windows with fewer calls than this are ignored.
    pub(super) const WINDOW_CALLS_MIN: u32 = 8;
    /// A window lasts at least this long.
    pub(super) const WINDOW_MIN: Duration = Duration::from_millis(50);
    /// A window lasts at most this long.
    pub(super) const WINDOW_MAX: Duration = Duration::from_secs(1);
    /// A queue is standing if no window within this time was without one ...
    pub(super) const STANDING: Duration = Duration::from_secs(1);
    /// ... and there were at least this many windows.
    pub(super) const STANDING_WINDOWS: usize = 4;
}

/// Idle times: the latencies of calls when nothing queues.
impl Tuning {
    /// A call meets an idle server while at most this share of the limit is in use.
    pub(super) const IDLE_SHARE: f64 = 0.25;
    /// An idle time is a moving mean over about this many calls.
    pub(super) const IDLE_CALLS: f64 = 50.0;
    /// The spread of idle times is a moving mean over about this many calls.
    pub(super) const SPREAD_CALLS: f64 = 400.0;
    /// The number of classes that are counted one by one; all others count as one.
    pub(super) const CLASSES_MAX: usize = 1_024;
}

/// Probes: short times in which the limit is held to its idle share, to measure idle times under lasting
/// pressure.
impl Tuning {
    /// The pause between two probes (longer if a probe takes long) ...
    pub(super) const PROBE_EVERY: Duration = Duration::from_secs(20);
    /// ... and while idle times still change ...
    pub(super) const PROBE_AGAIN: Duration = Duration::from_secs(1);
    /// ... by more than this fraction.
    pub(super) const PROBE_SETTLED: f64 = 0.5;
    /// The least pause, as a multiple of the duration of the probe before it; the second while idle times
    /// still change.
    pub(super) const PROBE_COST: (u32, u32) = (20, 5);
    /// A probe ends with this many calls; with fewer, after a few times the latency of a call; or after
    /// [`Self::PROBE_MAX`].
    pub(super) const PROBE_CALLS: u32 = 64;
    /// The least number of calls with which a probe may end before [`Self::PROBE_MAX`].
    pub(super) const PROBE_CALLS_MIN: u32 = 16;
    /// A probe lasts at least this long, unless it gets all its calls before.
    pub(super) const PROBE_MIN: Duration = Duration::from_millis(250);
    /// A probe lasts at most this long.
    pub(super) const PROBE_MAX: Duration = Duration::from_secs(2);
    /// After this multiple of the latency of a call, the earlier calls have ended.
    pub(super) const SETTLING_MEANS: f64 = 3.0;
    /// If the limit is not reached again within this time after a probe, the pressure is gone.
    pub(super) const SETTLING_MAX: Duration = Duration::from_secs(1);
}
