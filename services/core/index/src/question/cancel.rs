//! Cancellation of a search whose caller has gone or whose deadline has passed.
//!
//! Cancellation is cooperative: a search checks every few thousand comparisons, some microseconds apart, and
//! then ends without an answer. It never returns part of an answer.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use thiserror::Error;

/// Reading the clock takes as long as about 50 comparisons, so a check after this many comparisons costs
/// under 1 %.
const COMPARISONS_BETWEEN_CHECKS: usize = 8_192;

/// The cost of a hit, in comparisons: its parts are read from three columns and passed to the callback.
pub(crate) const COMPARISONS_PER_HIT: usize = 16;

/// The condition for stopping a search: an instant, a flag, whichever comes first, or never.
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
    /// Creates a cancellation that never stops a search.
    #[must_use]
    pub const fn never() -> Self {
        Self { deadline: None, flag: None }
    }

    /// Creates a cancellation that stops a search at `deadline`.
    #[must_use]
    pub const fn at(deadline: Instant) -> Self {
        Self { deadline: Some(deadline), flag: None }
    }

    /// Also stops the search once `flag` is true.
    #[must_use]
    pub fn with_flag(self, flag: Arc<AtomicBool>) -> Self {
        Self { flag: Some(flag), ..self }
    }

    /// Checks whether the search must stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        // Relaxed: the flag carries no data, and seeing it a moment later does no harm.
        self.flag.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// Counts the comparisons of a search, and checks its [`Cancellation`] at intervals. Indexes of other crates
/// use it too.
#[derive(Debug)]
pub struct Checkpoint<'a> {
    cancel: &'a Cancellation,
    left: usize,
}

impl<'a> Checkpoint<'a> {
    /// Creates a checkpoint. Fails if the search is already cancelled.
    pub fn begin(cancel: &'a Cancellation) -> Result<Self, Cancelled> {
        if cancel.is_cancelled() {
            return Err(Cancelled);
        }
        Ok(Self { cancel, left: COMPARISONS_BETWEEN_CHECKS })
    }

    /// Counts `comparisons` that are about to be made. Fails if the search must stop.
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
    /// Creates a separate count of hits with the same cancellation.
    pub(crate) fn tally(&self) -> Tally<'a> {
        let beside = Self { cancel: self.cancel, left: COMPARISONS_BETWEEN_CHECKS };
        Tally { checkpoint: RefCell::new(beside), stopped: Cell::new(false) }
    }
}

/// Counts hits in a callback that cannot fail, and therefore remembers whether the search must stop. A search
/// whose tally was stopped has omitted hits, so it calls [`Self::end`] at its end.
pub(crate) struct Tally<'a> {
    checkpoint: RefCell<Checkpoint<'a>>,
    stopped: Cell<bool>,
}

impl Tally<'_> {
    /// Counts one more hit, or anything that takes as long. Returns false once the search must stop.
    #[inline]
    pub(crate) fn goes_on(&self) -> bool {
        if !self.stopped.get() && self.checkpoint.borrow_mut().spend(COMPARISONS_PER_HIT).is_err() {
            self.stopped.set(true);
        }
        !self.stopped.get()
    }

    /// Fails if any hit was omitted.
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
