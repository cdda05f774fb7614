//! The budget of extra calls, beyond one for each search of a shard: hedges and retries.
//!
//! Without a bound, an overloaded cluster would get twice as many calls. Every search of a shard pays a share
//! of a call into the budget, and each extra call takes a whole one out ("retry budget", Finagle). So extra
//! calls stay that share of all calls, however many searches are slow or fail.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The cost of a call, in the budget's unit.
const CALL: u64 = 1_000_000;
/// The most extra calls that a quiet shard may make at once: the searches that are running when a replica
/// dies.
const SAVED_MAX: u64 = 64 * CALL;
/// The part of the budget that hedges leave for retries.
const KEPT_FOR_RETRIES: u64 = 32 * CALL;

/// The budget of extra calls of one group of shards.
#[derive(Debug)]
pub(crate) struct Budget {
    saved: AtomicU64,
    share: u64,
}

impl Budget {
    /// Returns a full budget, or an empty one if `share` is 0. `share` is the share of extra calls in all
    /// calls, 0 to 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is 0 to 1")]
    pub(crate) fn new(share: f64) -> Self {
        let share = (share.clamp(0.0, 1.0) * CALL as f64) as u64;
        Self { saved: AtomicU64::new(if share == 0 { 0 } else { SAVED_MAX }), share }
    }

    /// Pays the share of one search in. Called when a search begins.
    pub(crate) fn pay_in(&self) {
        let paid = |saved: u64| Some((saved + self.share).min(SAVED_MAX));
        let _ = self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid);
    }

    /// Takes a call for a retry. Returns false if none is left.
    pub(crate) fn take_retry(&self) -> bool {
        self.take_above(0)
    }

    /// Takes a call for a hedge. Returns false if only the part for retries is left: a slow search may still
    /// be answered, a failed one will not be.
    pub(crate) fn take_hedge(&self) -> bool {
        self.take_above(KEPT_FOR_RETRIES)
    }

    fn take_above(&self, kept: u64) -> bool {
        let taken = |saved: u64| (saved >= kept + CALL).then(|| saved - CALL);
        self.saved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok()
    }
}

/// The number of latest latencies that the percentile is computed from.
const WINDOW: usize = 256;
/// The percentile is computed again after this many latencies.
const RECKONED_EVERY: u64 = 32;
/// The percentile is unknown before this many latencies.
const KNOWN_AFTER: u64 = 64;

/// The 95th percentile of a shard's latest latencies.
#[derive(Debug)]
pub(crate) struct Latencies {
    window: Mutex<Window>,
    /// The percentile in microseconds; 0 while it is unknown.
    p95: AtomicU64,
}

#[derive(Debug)]
struct Window {
    micros: [u32; WINDOW],
    count: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { window: Mutex::new(Window { micros: [0; WINDOW], count: 0 }), p95: AtomicU64::new(0) }
    }
}

impl Latencies {
    /// Records how long a search of the shard took.
    pub(crate) fn observe(&self, took: Duration) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let place = usize::try_from(window.count % WINDOW as u64).unwrap_or(0);
        window.micros[place] = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        window.count += 1;
        if window.count >= KNOWN_AFTER && window.count.is_multiple_of(RECKONED_EVERY) {
            let filled = usize::try_from(window.count).unwrap_or(WINDOW).min(WINDOW);
            let mut sorted = window.micros;
            let (_, p95, _) = sorted[..filled].select_nth_unstable(filled * 95 / 100);
            self.p95.store(u64::from(*p95).max(1), Ordering::Relaxed);
        }
    }

    /// Returns the percentile, or `None` before `KNOWN_AFTER` searches.
    pub(crate) fn p95(&self) -> Option<Duration> {
        let micros = self.p95.load(Ordering::Relaxed);
        (micros > 0).then(|| Duration::from_micros(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_calls_stay_a_share_of_all() {
        let budget = Budget::new(0.05);
        assert_eq!((0..1_000).take_while(|_| budget.take_hedge()).count(), 32);
        assert_eq!((0..1_000).take_while(|_| budget.take_retry()).count(), 32);
        let taken = (0..10_000)
            .filter(|_| {
                budget.pay_in();
                budget.take_retry()
            })
            .count();
        assert!((499..=500).contains(&taken), "{taken}");
        let none = Budget::new(0.0);
        none.pay_in();
        assert!(!none.take_retry());
    }

    #[test]
    fn what_is_not_spent_is_saved_up_to_a_bound() {
        let budget = Budget::new(1.0);
        (0..1_000).for_each(|_| budget.pay_in());
        assert_eq!((0..1_000).take_while(|_| budget.take_retry()).count(), 64);
    }

    #[test]
    fn the_percentile_follows_the_last_latencies() {
        let latencies = Latencies::default();
        let observe = |millis: u64| latencies.observe(Duration::from_millis(millis));
        (1..=63).for_each(observe);
        assert_eq!(latencies.p95(), None);
        (0..4).for_each(|_| (1..=100).for_each(observe));
        let p95 = latencies.p95().unwrap().as_millis();
        assert!((93..=97).contains(&p95), "{p95}");
        (0..300).for_each(|_| observe(1));
        assert_eq!(latencies.p95(), Some(Duration::from_millis(1)));
    }
}
