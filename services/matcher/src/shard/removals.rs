//! Since when the files of a shard may hold what was removed.
//!
//! Removed rows stay in the files of indexes and records as dead ones until a merge takes them out, which may be never. Their
//! age, by the machine's clock, says when the files are to be written anew. It is saved in snapshots.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// See the module. Times are milliseconds since 1970, and 0 for none.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    oldest_ms: AtomicU64,
    newest_ms: AtomicU64,
}

/// When a clearing began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clearing(u64);

impl Removals {
    /// The oldest was at this time; 0 for none.
    pub(crate) const fn since(oldest_ms: u64) -> Self {
        Self { oldest_ms: AtomicU64::new(oldest_ms), newest_ms: AtomicU64::new(oldest_ms) }
    }

    /// Takes note of a removal now.
    pub(crate) fn note(&self) {
        let now = now_ms();
        self.newest_ms.store(now, Ordering::Relaxed);
        // There may be an older one.
        let _older = self.oldest_ms.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// When the oldest was that may be in a file.
    pub(crate) fn oldest_ms(&self) -> Option<u64> {
        Some(self.oldest_ms.load(Ordering::Relaxed)).filter(|oldest| *oldest > 0)
    }

    /// Whether one is at least so old.
    pub(crate) fn are_older_than(&self, age: Duration) -> bool {
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        self.oldest_ms().is_some_and(|oldest| now_ms().saturating_sub(oldest) >= age_ms)
    }

    /// Those from now on may be missed by a clearing.
    pub(crate) fn begin_clearing(&self) -> Clearing {
        Clearing(now_ms())
    }

    /// Those before the clearing are in no file any more.
    pub(crate) fn end_clearing(&self, begun: Clearing) {
        let is_newer = self.newest_ms.load(Ordering::Relaxed) >= begun.0;
        self.oldest_ms.store(if is_newer { begun.0 } else { 0 }, Ordering::Relaxed);
    }
}

/// The present time; never 0.
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
