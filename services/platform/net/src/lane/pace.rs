//! When a lane's next calls begin: at once while there is little to do, at intervals while searches keep coming.
//!
//! A call costs far more than one more search in it. While calls carry one search each, nothing is gained by waiting, and none
//! waits. Where they carry several, the lane is busy, and it tries an interval: calls begin at its ends, with all that has come
//! meanwhile. How that was spread shows whether it was worth it: where callers do not wait for their answers before they ask again,
//! searches come throughout, and the interval grows. Those of a few callers who do wait come together or not at all, and it ends.

use std::time::Duration;

use tokio::time::Instant;

/// The least interval: timers are no finer.
const INTERVAL_MIN: Duration = Duration::from_millis(1);
/// The greatest. It is added to the time of a search at most, and on average half of it.
const INTERVAL_MAX: Duration = Duration::from_millis(3);
/// Queries of a call, on average, from which on a lane is busy.
const BUSY: f32 = 2.0;
/// The share of the last call in that average.
const SMOOTHING: f32 = 1.0 / 16.0;
/// Calls of a busy lane from one trial of an interval to the next: at first, and at most where trials fail.
const TRIAL_AFTER: (u32, u32) = (32, 1_024);
/// Searches come throughout an interval if each third of it has at least this part of them.
const SPREAD: usize = 16;
/// A search waits for no interval that is more than this part of its remaining time.
const TIME_SHARE: u32 = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    /// Queries of a call, on average.
    queries: f32,
    /// Zero where calls begin at once.
    interval: Duration,
    /// When the last interval ended: what came before goes as soon as there is a call for it.
    began: Option<Instant>,
    /// Calls since the last trial, and those from a trial to the next.
    calls: u32,
    trial_after: u32,
}

impl Default for Pace {
    fn default() -> Self {
        let trial_after = TRIAL_AFTER.0;
        Self { queries: 1.0, interval: Duration::ZERO, began: None, calls: 0, trial_after }
    }
}

impl Pace {
    /// When a search that has come at `since`, and has to be answered by `deadline`, may go; `None` for at once.
    pub(super) fn due(&self, since: Instant, deadline: Instant, now: Instant) -> Option<Instant> {
        let due = self.began.filter(|_| self.is_of_this_interval(since))? + self.interval;
        let has_time = deadline.saturating_duration_since(now) / TIME_SHARE >= self.interval;
        (has_time && due > now).then_some(due)
    }

    /// Whether a search that has come at `since` has come after the last interval.
    pub(super) fn is_of_this_interval(&self, since: Instant) -> bool {
        self.began.is_none_or(|began| since > began)
    }

    /// A call begins, with so many queries.
    pub(super) fn note_call(&mut self, queries: usize, now: Instant) {
        let queries = f32::from(u16::try_from(queries).unwrap_or(u16::MAX));
        self.queries += (queries - self.queries) * SMOOTHING;
        self.calls = self.calls.saturating_add(1);
        if self.queries < BUSY {
            // So that the first after a busy time waits for nothing.
            (self.interval, self.trial_after) = (Duration::ZERO, TRIAL_AFTER.0);
        } else if self.interval.is_zero() && self.calls >= self.trial_after {
            (self.interval, self.calls) = (INTERVAL_MIN, 0);
            self.began = Some(now);
        }
    }

    /// Everything that has come goes. If an interval ends with it, the moments at which that came tell whether there is another.
    pub(super) fn release(&mut self, came: impl Iterator<Item = Instant>, now: Instant) {
        let began = self.began.replace(now).unwrap_or(now);
        if self.interval.is_zero() {
            return;
        }
        let lasted = now.saturating_duration_since(began);
        let mut thirds = [0; 3];
        for since in came {
            let at = 3 * since.saturating_duration_since(began);
            thirds[usize::from(at > lasted) + usize::from(at > 2 * lasted)] += 1;
        }
        let (all, least): (usize, usize) =
            (thirds.iter().sum(), thirds.into_iter().min().unwrap_or_default());
        if least > 0 && SPREAD * least >= all {
            self.interval = (self.interval * 2).min(INTERVAL_MAX);
            self.trial_after = TRIAL_AFTER.0;
        } else {
            self.interval /= 2;
            if self.interval < INTERVAL_MIN {
                (self.interval, self.calls) = (Duration::ZERO, 0);
                self.trial_after = (self.trial_after * 2).min(TRIAL_AFTER.1);
            }
        }
    }
}
