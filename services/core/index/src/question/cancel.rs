//! Stopping a search whose caller has gone or whose time is up.
//!
//! Cancellation is cooperative: a search asks every few thousand comparisons, some microseconds apart, and
//! gives up without an answer. It never gives part of one.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use thiserror::Error;

/// Reading the clock takes about as long as 50 comparisons; at this spacing it costs under 1 %.
const COMPARISONS_BETWEEN_CHECKS: usize = 8_192;

/// A hit is read from three columns and handed over, which takes about as long as this many comparisons.
pub(crate) const COMPARISONS_PER_HIT: usize = 16;

/// When a search is to stop: at an instant, when a flag is raised, at whichever comes first, or never.
#[derive(Debug, Clone, Default)]
pub struct Cancellation {
    deadline: Option<Instant>,
    flag: Option<Arc<AtomicBool>>,
}

/// The search was stopped before it had an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the search was cancelled or ran out of time")]
pub struct Cancelled;

impl Cancellation {
    /// Lets the search end by itself.
    #[must_use]
    pub const fn never() -> Self {
        Self { deadline: None, flag: None }
    }

    /// Stops at `deadline`.
    #[must_use]
    pub const fn at(deadline: Instant) -> Self {
        Self { deadline: Some(deadline), flag: None }
    }

    /// Stops once `flag` is true, too.
    #[must_use]
    pub fn with_flag(self, flag: Arc<AtomicBool>) -> Self {
        Self { flag: Some(flag), ..self }
    }

    /// Whether it is time to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        // Relaxed: the flag carries no data, and a check that comes a moment late is only late.
        self.flag.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Counts the comparisons of a search, and looks at its [`Cancellation`] now and then. For indexes of other crates, too.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    cancel: &'a Cancellation,
    left: usize,
}

impl<'a> Checkpoint<'a> {
    /// Fails at once if the search is cancelled already.
    pub fn begin(cancel: &'a Cancellation) -> Result<Self, Cancelled> {
        if cancel.is_cancelled() {
            return Err(Cancelled);
        }
        Ok(Self { cancel, left: COMPARISONS_BETWEEN_CHECKS })
    }

    /// Accounts for `comparisons` about to be made. Fails if the search is to stop.
    #[inline]
    pub fn spend(&mut self, comparisons: usize) -> Result<(), Cancelled> {
        if let Some(left) = self.left.checked_sub(comparisons) {
            self.left = left;
            return Ok(());
        }
        *self = Self::begin(self.cancel)?;
        Ok(())
    }
}

impl<'a> Checkpoint<'a> {
    /// A count of hits beside this count of comparisons.
    pub(crate) fn tally(&self) -> Tally<'a> {
        let beside = Self { cancel: self.cancel, left: COMPARISONS_BETWEEN_CHECKS };
        Tally { checkpoint: RefCell::new(beside), stopped: Cell::new(false) }
    }
}

/// Counts hits where they are handed over, which cannot fail there: that it is time to stop is remembered. A search whose
/// tally was stopped has left hits out, so it ends by asking [`Self::end`].
pub(crate) struct Tally<'a> {
    checkpoint: RefCell<Checkpoint<'a>>,
    stopped: Cell<bool>,
}

impl Tally<'_> {
    /// Accounts for one more hit, or anything that takes as long. False once it is time to stop.
    #[inline]
    pub(crate) fn goes_on(&self) -> bool {
        if !self.stopped.get() && self.checkpoint.borrow_mut().spend(COMPARISONS_PER_HIT).is_err() {
            self.stopped.set(true);
        }
        !self.stopped.get()
    }

    /// Fails if anything was left out.
    pub(crate) fn end(&self) -> Result<(), Cancelled> {
        if self.stopped.get() { Err(Cancelled) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flag_or_a_deadline_cancels_whichever_comes_first() {
        let flag = Arc::new(AtomicBool::new(false));
        let later = Instant::now() + Duration::from_secs(3_600);
        let both = Cancellation::at(later).with_flag(Arc::clone(&flag));
        assert!(!both.is_cancelled());
        flag.store(true, Ordering::Relaxed);
        assert!(both.is_cancelled());
        assert!(Cancellation::at(Instant::now()).is_cancelled());
        assert!(!Cancellation::never().is_cancelled());
    }

    #[test]
    fn a_flag_raised_meanwhile_is_seen_within_the_spacing_of_checks() {
        let flag = Arc::new(AtomicBool::new(false));
        let cancel = Cancellation::never().with_flag(Arc::clone(&flag));
        let mut checkpoint = Checkpoint::begin(&cancel).unwrap();
        assert_eq!(checkpoint.spend(1_000), Ok(()));
        flag.store(true, Ordering::Relaxed);
        let tally = checkpoint.tally();
        assert_eq!(
            (1..).find(|_| !tally.goes_on()),
            Some(1 + COMPARISONS_BETWEEN_CHECKS / COMPARISONS_PER_HIT)
        );
        assert_eq!((tally.goes_on(), tally.end()), (false, Err(Cancelled)));
        let seen_after = (1..).find(|_| checkpoint.spend(1_000).is_err()).unwrap();
        assert!(seen_after * 1_000 <= COMPARISONS_BETWEEN_CHECKS + 1_000);
    }
}
