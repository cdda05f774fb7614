//! A limit that is learned from the latencies of calls.
//!
//! A gradient limit, after Netflix's [concurrency-limits] (`limit x RTTnoload / RTTactual + queueSize`) and
//! Envoy's [adaptive concurrency] filter: while calls take about as long as on an idle server, nothing queues
//! and the limit may grow; when they take longer, the excess is time in a queue, and the limit shrinks by
//! that ratio. It differs from those two in four ways:
//!
//! - **Mixed costs.** The latencies of a lookup of 1 ms and a batch of 100 ms cannot be compared. Each
//!   [`Class`] (method and size) has its own idle time. The limit compares the *sum* of the latencies of the
//!   calls in a window with the sum of their idle times. A change of the mix changes both sums alike.
//! - **Bursts.** Where costs vary, a healthy server has queues now and then. As in CoDel ([RFC 8289]) only a
//!   *standing* queue counts: a single good window within a second keeps the limit from shrinking. The slack
//!   for a queue also grows with the spread of the costs.
//! - **Short calls.** Four times 0.1 ms is no overload: a mean latency up to the target is always allowed
//!   (CoDel's 5 ms, by default).
//! - **The idle server.** The lowest latency is no baseline where costs vary, and a mean drifts up with the
//!   overload that it should detect. The idle time is a moving mean of calls that were admitted while at most
//!   a quarter of the limit was in use. Under lasting pressure there are no such calls, so every 20 seconds
//!   the limit is held to that quarter for a moment, as BBR drains its pipe to measure the round-trip time.
//!   This corrects an idle time that was learned in a queue: with a quarter of the calls, the time in the
//!   queue is a quarter, so a call takes less than twice the idle time.
//!
//! The limit moves only when it is reached: a server with spare capacity learns nothing about its limit.
//!
//! [concurrency-limits]: https://github.com/Netflix/concurrency-limits
//! [adaptive concurrency]:
//! https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter
//! [RFC 8289]: https://www.rfc-editor.org/rfc/rfc8289

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use vigie_rpc::Priority;

use super::measures::{Closed, Latencies, Spread, Window};
use super::tuning::Tuning;

/// A class of calls that cost about the same: a method, and the order of magnitude of the request's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Class(pub(crate) u32);

/// The meaning of a call's latency, by the state of the server when the call was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// A latency of the class on an idle server.
    Idle,
    /// A latency on a server that the probe with this number holds idle. Ignored if the call outlasts the
    /// probe.
    Probe(u32),
    /// A latency under the current load.
    Loaded,
    /// No evidence: the limit is held down by a probe, or fixed.
    Nothing,
}

/// The range and the target of a learned limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aim {
    pub(crate) limit_min: usize,
    pub(crate) limit_max: usize,
    pub(crate) limit_initial: usize,
    /// A mean latency up to which calls are never too slow.
    pub(crate) latency_target: Duration,
}

/// The numbers of calls that may be in flight now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    /// The limit for calls of any client.
    pub(crate) slots: usize,
    /// The limit for a call whose client has less than its share. Other clients get no slot until fewer than
    /// `slots` are used.
    pub(crate) within_share: usize,
    /// The limit for a call whose client has none in flight. A probe does not lower it: otherwise such a call
    /// would be refused because of the calls of others.
    pub(crate) first_of_client: usize,
}

/// A limit that is learned. All times are durations since any fixed moment.
#[derive(Debug)]
pub(crate) struct AdaptiveLimit {
    limit: f64,
    limit_min: f64,
    limit_max: f64,
    latency_target: f64,
    classes: HashMap<Class, Latencies>,
    spread: Spread,
    window: Window,
    recent: VecDeque<Closed>,
    phase: Phase,
    probe_due: Duration,
    probes: u32,
    /// The mean latency of the calls in the last window, in seconds.
    mean: f64,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// Latencies show the load of the server.
    Steady,
    /// The limit is held to its idle share.
    Probing(Probe),
    /// The phase after a probe, until the limit has been reached again and the calls that were in flight then
    /// have ended. The calls that end first are the short ones, which is no fair sample.
    Settling { begun: Duration, until: Option<Duration> },
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    begun: Duration,
    until: Duration,
    /// Whether interactive calls are held back too, because they had reached the limit.
    holds_all: bool,
    admitted: u32,
    ended: u32,
    /// The sum of the relative changes of idle times in this probe.
    moved: f64,
}

impl Probe {
    fn is_over(&self, now: Duration) -> bool {
        self.ended >= Tuning::PROBE_CALLS
            || (now >= self.until && self.ended >= Tuning::PROBE_CALLS_MIN)
            || now >= self.begun + Tuning::PROBE_MAX
    }
}

impl AdaptiveLimit {
    pub(crate) fn new(aim: Aim, now: Duration) -> Self {
        let limit_max = count(aim.limit_max).max(1.0);
        let limit_min = count(aim.limit_min).clamp(1.0, limit_max);
        Self {
            limit: count(aim.limit_initial).clamp(limit_min, limit_max),
            limit_min,
            limit_max,
            latency_target: aim.latency_target.as_secs_f64(),
            classes: HashMap::new(),
            spread: Spread::default(),
            window: Window { begun: now, ..Window::default() },
            recent: VecDeque::new(),
            phase: Phase::Steady,
            probe_due: now + Tuning::PROBE_AGAIN,
            probes: 0,
            mean: 0.0,
        }
    }

    /// Returns how many calls may be in flight now, counting one more call of this priority.
    pub(crate) fn at(&mut self, now: Duration, priority: Priority) -> Capacity {
        match self.phase {
            Phase::Probing(probe) if probe.is_over(now) => self.end_probe(now, probe),
            Phase::Settling { begun, until: None } if now >= begun + Tuning::SETTLING_MAX => self.settle(now),
            Phase::Settling { until: Some(until), .. } if now >= until => self.settle(now),
            Phase::Steady | Phase::Probing(_) | Phase::Settling { .. } => {}
        }
        let within_share = floor(self.limit * 1.5);
        let all = Capacity { slots: floor(self.limit), within_share, first_of_client: within_share };
        match self.phase {
            Phase::Probing(probe) if probe.holds_all || priority == Priority::Bulk => {
                let slots = self.idle_level();
                // Clients with less than their share are held back only in the second half of a probe.
                let lenient = now < probe.begun + probe.until.saturating_sub(probe.begun) / 2;
                Capacity { slots, within_share: if lenient { within_share } else { slots }, ..all }
            }
            Phase::Probing(_) | Phase::Steady | Phase::Settling { .. } => all,
        }
    }

    /// Returns the limit without the effect of a probe.
    pub(crate) fn learned(&self) -> usize {
        floor(self.limit)
    }

    fn idle_level(&self) -> usize {
        floor(self.limit * Tuning::IDLE_SHARE)
    }

    /// Returns the meaning of the latency of a call that is admitted now. `in_flight` includes the call.
    pub(crate) fn admit(&mut self, in_flight: usize) -> Evidence {
        let idle = in_flight <= self.idle_level();
        match &mut self.phase {
            Phase::Steady if idle => Evidence::Idle,
            Phase::Steady | Phase::Settling { .. } => Evidence::Loaded,
            Phase::Probing(probe) if idle && probe.admitted < Tuning::PROBE_CALLS => {
                probe.admitted += 1;
                Evidence::Probe(self.probes)
            }
            Phase::Probing(_) => Evidence::Nothing,
        }
    }

    /// Notes that a call was refused or has to wait: the limit is reached.
    pub(crate) fn reached(&mut self, now: Duration, priority: Priority) {
        self.window.reached = true;
        self.window.reached_by_interactive |= priority == Priority::Interactive;
        if let Phase::Settling { until: until @ None, .. } = &mut self.phase {
            *until = Some(now + Duration::from_secs_f64(self.mean * Tuning::SETTLING_MEANS));
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
        let probing = matches!(self.phase, Phase::Probing(_)).then_some(self.probes);
        let idle = match evidence {
            Evidence::Nothing => return,
            Evidence::Probe(number) if probing != Some(number) => return,
            Evidence::Probe(_) => true,
            // Counts as idle, unless the server has become busy meanwhile.
            Evidence::Idle => in_flight <= floor(self.limit / 2.0),
            Evidence::Loaded => false,
        };
        let took = took.as_secs_f64();
        let (idle_seconds, moved) = self.learn(class, took, idle);
        match &mut self.phase {
            Phase::Steady => {
                self.window.calls += 1;
                self.window.taken += took;
                self.window.idle += idle_seconds;
                self.close_window(now);
            }
            Phase::Probing(probe) => {
                probe.ended += u32::from(idle);
                probe.moved += moved;
                if probe.is_over(now) {
                    let probe = *probe;
                    self.end_probe(now, probe);
                }
            }
            Phase::Settling { .. } => {}
        }
    }

    /// Adds a latency to the class. Returns the class's idle time in seconds, and the relative change of it
    /// by this call.
    fn learn(&mut self, class: Class, took: f64, idle: bool) -> (f64, f64) {
        let known = self.classes.len() < Tuning::CLASSES_MAX || self.classes.contains_key(&class);
        let class = if known { class } else { Class(u32::MAX) };
        let latencies = self.classes.entry(class).or_default();
        latencies.latest.add(took, Tuning::IDLE_CALLS);
        if !idle {
            return (latencies.idle_seconds(), 0.0);
        }
        self.spread.add(took);
        let before = latencies.idle.value;
        latencies.idle.add(took, Tuning::IDLE_CALLS);
        let after = latencies.idle.value;
        (after, (after - before) / after.max(f64::MIN_POSITIVE))
    }

    fn close_window(&mut self, now: Duration) {
        let Window { begun, calls, taken, idle, reached, reached_by_interactive } = self.window;
        let age = now.saturating_sub(begun);
        if age < Tuning::WINDOW_MIN || (age < Tuning::WINDOW_MAX && calls < Tuning::WINDOW_CALLS) {
            return;
        }
        self.window = Window { begun: now, ..Window::default() };
        if calls < Tuning::WINDOW_CALLS_MIN {
            return;
        }
        self.mean = taken / f64::from(calls);
        let allowed = (idle * Tuning::STRETCH_TARGET).max(f64::from(calls) * self.latency_target);
        self.recent.push_back(Closed { at: now, allowed, taken: taken.max(f64::MIN_POSITIVE) });
        while self.recent.len() > Tuning::STANDING_WINDOWS
            && self.recent.front().is_some_and(|window| window.at + Tuning::STANDING < now)
        {
            self.recent.pop_front();
        }
        if !reached {
            return;
        }
        if now >= self.probe_due {
            self.begin_probe(now, reached_by_interactive);
        } else {
            self.adapt();
        }
    }

    fn adapt(&mut self) {
        let slack = Tuning::SLACK * self.spread.queue_factor();
        let best = self.recent.iter().map(|window| window.allowed / window.taken).fold(0.0, f64::max);
        let smaller = self.limit * best + slack;
        let allowed: f64 = self.recent.iter().map(|window| window.allowed).sum();
        let taken: f64 = self.recent.iter().map(|window| window.taken).sum();
        let larger = self.limit * allowed / taken + slack;
        if smaller < self.limit && self.recent.len() >= Tuning::STANDING_WINDOWS {
            self.limit += (smaller - self.limit) * Tuning::SHRINK_STEP;
        } else if larger > self.limit {
            self.limit = larger.min(self.limit * Tuning::GROWTH_MAX + 1.0);
        }
        self.limit = self.limit.clamp(self.limit_min, self.limit_max);
    }

    fn begin_probe(&mut self, now: Duration, holds_all: bool) {
        // Calls in flight have to end first, then the calls of the probe.
        let slowest = self.classes.values().map(|class| class.latest.value).fold(self.mean, f64::max);
        let lasting = (slowest * Tuning::SETTLING_MEANS).min(Tuning::PROBE_MAX.as_secs_f64());
        let until = now + Duration::from_secs_f64(lasting).max(Tuning::PROBE_MIN);
        self.probes = self.probes.wrapping_add(1);
        self.phase =
            Phase::Probing(Probe { begun: now, until, holds_all, admitted: 0, ended: 0, moved: 0.0 });
    }

    fn end_probe(&mut self, now: Duration, probe: Probe) {
        self.phase = Phase::Settling { begun: now, until: None };
        let cost = now.saturating_sub(probe.begun);
        let settled = probe.moved.abs() <= Tuning::PROBE_SETTLED;
        let pause = if settled {
            Tuning::PROBE_EVERY.max(cost * Tuning::PROBE_COST.0)
        } else {
            Tuning::PROBE_AGAIN.max(cost * Tuning::PROBE_COST.1)
        };
        self.probe_due = now + pause;
    }

    fn settle(&mut self, now: Duration) {
        self.phase = Phase::Steady;
        self.window = Window { begun: now, ..Window::default() };
    }
}

fn count(calls: usize) -> f64 {
    u32::try_from(calls).map_or(f64::from(u32::MAX), f64::from)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "limits are from 1 to 2^32")]
fn floor(calls: f64) -> usize {
    calls.max(1.0) as usize
}

#[cfg(test)]
mod tests;
