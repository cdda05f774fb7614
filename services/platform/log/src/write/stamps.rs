//! The times with which commits are stamped: ascending with the sequences, whatever the clock does.
//!
//! A group gets its stamp when it is planned, and is committed later. So a reader cannot assume that it has
//! seen all changes up to the clock's time. [`Stamps::settled`] returns a time up to which it has: no group
//! that is committed afterwards has a stamp at or before that time.
//!
//! The rule holds for one process. Another process that writes later continues from the newest stamp in the
//! store; if its clock is behind, it may stamp a group with a time that the former process has reported as
//! settled.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clock::Clock;
use crate::position::UnixMillis;

/// The stamps of one writer.
#[derive(Debug)]
pub(crate) struct Stamps {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The earliest time of the next stamp.
    floor: UnixMillis,
    /// The stamp of the group that is being planned or committed.
    open: Option<UnixMillis>,
}

/// The stamp of a group, until the group is committed or abandoned.
#[derive(Debug)]
pub(super) struct Stamp<'a> {
    stamps: &'a Stamps,
    /// The time.
    pub(super) at: UnixMillis,
}

impl Stamps {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::new(State { floor: UnixMillis(0), open: None }) }
    }

    /// Notes when the newest batch was committed: no further stamp is earlier.
    pub(super) fn raise(&self, committed_at: UnixMillis) {
        let mut state = self.state();
        state.floor = state.floor.max(committed_at);
    }

    /// Stamps the next group. Only one group is open at a time.
    pub(super) fn next(&self) -> Stamp<'_> {
        let mut state = self.state();
        let at = self.clock.now().max(state.floor);
        (state.floor, state.open) = (at, Some(at));
        Stamp { stamps: self, at }
    }

    /// Returns a time just before now. Every group with a stamp up to it is committed or will never be.
    pub(super) fn settled(&self) -> UnixMillis {
        let mut state = self.state();
        let next = match state.open {
            Some(open) => open,
            None => self.clock.now().max(state.floor),
        };
        state.floor = state.floor.max(next);
        UnixMillis(next.0.saturating_sub(1))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stamp<'_> {
    fn drop(&mut self) {
        self.stamps.state().open = None;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> UnixMillis {
            UnixMillis(self.0.load(Ordering::Relaxed))
        }
    }

    proptest! {
        /// The clock goes forward and back; groups are stamped, committed and read in any order.
        #[test]
        fn stamps_ascend_and_nothing_is_committed_at_a_settled_time(
            steps in prop::collection::vec((0..4_u8, 0..50_u64), 1..200)
        ) {
            let hand = Arc::new(Hand::default());
            let stamps = Stamps::new(Arc::clone(&hand) as Arc<dyn Clock>);
            let (mut last, mut settled, mut open) = (UnixMillis(0), None::<UnixMillis>, None::<Stamp<'_>>);
            for (step, time) in steps {
                match step {
                    0 => hand.0.store(time, Ordering::Relaxed),
                    1 => {
                        drop(open.take());
                        let stamp = stamps.next();
                        prop_assert!(stamp.at >= last);
                        prop_assert!(settled.is_none_or(|settled| stamp.at > settled || stamp.at == UnixMillis(0)));
                        last = stamp.at;
                        open = Some(stamp);
                    }
                    2 => drop(open.take()),
                    _ => {
                        let now = stamps.settled();
                        // A group that is open is committed after this.
                        prop_assert!(open.as_ref().is_none_or(|stamp| stamp.at > now || stamp.at == UnixMillis(0)));
                        settled = settled.max(Some(now));
                    }
                }
            }
        }
    }

    #[test]
    fn a_quiet_log_is_settled_up_to_just_before_now() {
        let hand = Arc::new(Hand::default());
        let stamps = Stamps::new(Arc::clone(&hand) as Arc<dyn Clock>);
        hand.0.store(1_000, Ordering::Relaxed);
        stamps.raise(UnixMillis(900));
        assert_eq!(stamps.settled(), UnixMillis(999));
        assert_eq!(stamps.next().at, UnixMillis(1_000));
        hand.0.store(500, Ordering::Relaxed);
        assert_eq!(stamps.next().at, UnixMillis(1_000));
        stamps.raise(UnixMillis(3_000));
        assert_eq!(stamps.settled(), UnixMillis(2_999));
    }
}
