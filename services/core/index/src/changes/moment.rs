//! A moment of an index, and the single atomic word in which the writer publishes it to readers.
//!
//! Rows are only ever appended, and a removal only stamps its row with a number. Two numbers therefore define
//! exactly which rows a reader may see: the number of rows, and the number of removals. A row is visible at a
//! moment if its position is below `rows` and it was not stamped with a number up to `removals`.
//! (Multi-version concurrency control stores a begin and an end number for each row; here the position
//! replaces the begin number.)
//!
//! Both numbers change together, so they share one `AtomicU64`. With two words, a reader could load the count
//! of removals from before, and the count of rows from after, the removal and reinsertion of a hash, and find
//! the hash twice.
//!
//! **Ordering.** The single writer fills rows and stamps with relaxed stores and then publishes with
//! `Release`. A reader begins with an `Acquire` load of the word, so it sees every row and every stamp of
//! that moment. It may also see newer stamps; their numbers are above `removals`, so it ignores them. Newer
//! rows are at or above `rows`, where it does not look.

use std::sync::atomic::{AtomicU64, Ordering};

/// The position in the history of an index that decides which rows are visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The number of removals so far. All removals of one batch have the same number.
    pub(crate) removals: u64,
    /// The number of rows so far in the tail that is being filled.
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
