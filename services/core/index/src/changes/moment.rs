//! A moment in an index's life, and the one word through which a writer tells readers of it.
//!
//! Rows are only ever appended, and a removal only stamps its row with a number. Two numbers therefore say
//! exactly which rows a reader may see: how many rows there are, and how many removals have been made. A row
//! is visible at a moment if it lies below `rows` and was not stamped with a number up to `removals`. (A
//! column of "begins" and "ends" is what multi-version concurrency control keeps for each row; here the
//! position is the beginning.)
//!
//! Both numbers change together, so they share an `AtomicU64`. If they were two words, a reader could take
//! the count of removals from before, and the count of rows from after, a hash was removed and inserted
//! again, and find it twice.
//!
//! **Ordering.** The single writer fills rows and stamps with relaxed stores and then publishes with
//! `Release`; a reader begins with an `Acquire` load of the word, so it sees every row and every stamp that
//! the moment speaks of. It may also see stamps that are newer; their numbers are above `removals`, so it
//! disregards them. Rows that are newer lie at or above `rows`, where it does not look.

use std::sync::atomic::{AtomicU64, Ordering};

/// Which rows are visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// Removals so far. Removals of one batch share a number.
    pub(crate) removals: u64,
    /// Rows so far, in whatever is being appended to.
    pub(crate) rows: usize,
}

/// A published [`Moment`]: the lower `ROW_BITS` bits hold the rows, the others the removals.
pub(crate) struct MomentCell<const ROW_BITS: u32>(AtomicU64);

impl<const ROW_BITS: u32> MomentCell<ROW_BITS> {
    pub(crate) fn new(moment: Moment) -> Self {
        Self(AtomicU64::new(Self::pack(moment)))
    }

    pub(crate) fn publish(&self, moment: Moment) {
        self.0.store(Self::pack(moment), Ordering::Release);
    }

    #[inline]
    pub(crate) fn read(&self) -> Moment {
        let packed = self.0.load(Ordering::Acquire);
        let rows = usize::try_from(packed & ((1 << ROW_BITS) - 1)).expect("rows fit in memory");
        Moment { removals: packed >> ROW_BITS, rows }
    }

    fn pack(Moment { removals, rows }: Moment) -> u64 {
        let rows = rows as u64;
        assert!(rows >> ROW_BITS == 0, "more rows than the word has room for");
        assert!(removals.leading_zeros() >= ROW_BITS, "more removals than the word has room for");
        removals << ROW_BITS | rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_reads_back_as_published() {
        let cell = MomentCell::<12>::new(Moment { removals: 0, rows: 0 });
        for moment in [
            Moment { removals: 0, rows: 4_095 },
            Moment { removals: (1 << 52) - 1, rows: 0 },
            Moment { removals: (1 << 52) - 1, rows: 4_095 },
        ] {
            cell.publish(moment);
            assert_eq!(cell.read(), moment);
        }
    }
}
