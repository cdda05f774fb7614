//! The time since which the files of a shard may hold removed items.
//!
//! Removed rows stay in the files of indexes and records as dead rows until a merge removes them, which may
//! never happen. The age of the oldest removal, by the machine's clock, determines when the files are
//! rewritten. It is saved in snapshots.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The times of the oldest removal that may still be in a file, and of the newest removal. In milliseconds
/// since 1970; 0 for none.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    oldest_ms: AtomicU64,
    newest_ms: AtomicU64,
}

/// The time when a clearing began, in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clearing(u64);

impl Removals {
    /// Returns removals of which the oldest was at this time; 0 for none.
    pub(crate) const fn since(oldest_ms: u64) -> Self {
        Self { oldest_ms: AtomicU64::new(oldest_ms), newest_ms: AtomicU64::new(oldest_ms) }
    }

    /// Records a removal now.
    pub(crate) fn note(&self) {
        let now = now_ms();
        self.newest_ms.store(now, Ordering::Relaxed);
        // An older removal keeps its time.
        let _older = self.oldest_ms.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Returns the time of the oldest removal that may still be in a file.
    pub(crate) fn oldest_ms(&self) -> Option<u64> {
        Some(self.oldest_ms.load(Ordering::Relaxed)).filter(|oldest| *oldest > 0)
    }

    /// Returns whether the oldest removal is at least this old.
    pub(crate) fn are_older_than(&self, age: Duration) -> bool {
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self.oldest_ms().is_some_and(|oldest| now_ms().saturating_sub(oldest) >= age_ms)
    }

    /// Begins a clearing. It may miss removals from now on.
    pub(crate) fn begin_clearing(&self) -> Clearing {
        Clearing(now_ms())
    }

    /// Ends a clearing: removals from before it began are in no file any more.
    pub(crate) fn end_clearing(&self, begun: Clearing) {
        let is_newer = self.newest_ms.load(Ordering::Relaxed) >= begun.0;
        self.oldest_ms.store(if is_newer { begun.0 } else { 0 }, Ordering::Relaxed);
    }
}

/// Returns the present time in milliseconds since 1970; never 0.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_counts_until_a_clearing_that_began_after_the_newest() {
        let removals = Removals::default();
        assert!(!removals.are_older_than(Duration::ZERO));
        removals.note();
        assert!(removals.are_older_than(Duration::ZERO) && !removals.are_older_than(Duration::from_secs(60)));
        let begun = removals.begin_clearing();
        removals.note();
        removals.end_clearing(begun);
        assert_eq!(removals.oldest_ms(), Some(begun.0));
        removals.end_clearing(Clearing(u64::MAX));
        assert_eq!(removals.oldest_ms(), None);
        assert!(Removals::since(1).are_older_than(Duration::from_secs(60)));
    }
}
