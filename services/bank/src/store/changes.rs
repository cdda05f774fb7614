//! The changes of one bank's items: each item once, at its latest change, in the order of sequences.
//!
//! An item that has not changed since it was added needs no row of its own: its id is the sequence of its
//! latest change. Every other item has such a row ([`Touched`]). A page merges the two.

use vigie_consortium::Whose;
use vigie_log::{Sequence, UnixMillis};
use vigie_model::{BankId, Item, ItemId};

use crate::store::records::StoredRecord;
use crate::store::touched::{Touch, Touched};

/// The position at which a read of changes begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// After this change.
    After(Sequence),
    /// After every change up to this time.
    AfterTime(UnixMillis),
}

/// The query for a part of a bank's changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChangesQuery {
    /// The bank.
    pub(crate) bank: BankId,
    /// The position at which the read begins.
    pub(crate) start: Start,
    /// The last time of a change, if the read is bounded by time.
    pub(crate) through: Option<UnixMillis>,
    /// The most items.
    pub(crate) count_max: u16,
    /// The most bytes of payloads in each of the two lists that a page merges. The first row of each list is
    /// read in any case.
    pub(crate) bytes_max: usize,
}

/// An item at its latest change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangedItem {
    /// The item.
    pub(crate) item: ItemId,
    /// Its latest change.
    pub(crate) sequence: Sequence,
    /// The time of the change.
    pub(crate) at: UnixMillis,
    /// The state of the item since then.
    pub(crate) state: ChangedState,
}

/// The state of an item since its latest change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ChangedState {
    /// The item exists.
    Living(Box<Item>),
    /// The item was removed.
    Removed {
        /// The time at which it had been added.
        added_at: UnixMillis,
        /// The owner class of the item: own, of programmes, or a canary.
        whose: Whose,
        /// The item, while it can be restored.
        item: Option<Box<Item>>,
    },
    /// The item was removed, and restored as another item.
    BroughtBack {
        /// The time at which it had been added.
        added_at: UnixMillis,
    },
}

impl ChangedItem {
    /// Makes the entry of an item that has not changed since it was added.
    pub(crate) fn added(item: Item) -> Self {
        let (id, at) = (item.id, UnixMillis(item.added_at.0));
        Self { item: id, sequence: Sequence(id.0), at, state: ChangedState::Living(Box::new(item)) }
    }

    /// Makes the entry of an item with a row of its own. `None` if the row says that the item exists, and it
    /// does not.
    pub(crate) fn touched(touched: &Touched, item: Option<Item>) -> Option<Self> {
        let item = item.map(Box::new);
        let state = match touched.touch {
            Touch::Changed => ChangedState::Living(item?),
            Touch::Removed { added_at, whose } => ChangedState::Removed { added_at, whose, item },
            Touch::BroughtBack { added_at } => ChangedState::BroughtBack { added_at },
        };
        Some(Self { item: touched.item, sequence: touched.sequence, at: touched.at, state })
    }
}

/// Rows that were read in order, up to a bound or the end of a range.
#[derive(Debug)]
pub(crate) struct Rows<T> {
    /// The rows.
    pub(crate) rows: Vec<T>,
    /// The sequence of the last row, if a bound was reached.
    pub(crate) cut_at: Option<Sequence>,
}

/// A part of a bank's changes, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChangesPage {
    /// The items, by sequence. May be empty although there are more.
    pub(crate) items: Vec<ChangedItem>,
    /// The records of the living items that have one.
    pub(crate) records: Vec<StoredRecord>,
    /// The sequence after which the page begins.
    pub(crate) after: Sequence,
    /// The last sequence of the page: it covers every change from `after` to here.
    pub(crate) through: Sequence,
    /// Whether the requested range continues after this page.
    pub(crate) has_more: bool,
    /// The newest change of the log.
    pub(crate) head: Sequence,
}

impl ChangesPage {
    /// Returns a page without changes, at the end of a range.
    pub(crate) fn empty(after: Sequence, head: Sequence) -> Self {
        Self { items: Vec::new(), records: Vec::new(), after, through: after, has_more: false, head }
    }

    /// Merges the rows that were read of the range from `after` to `through`. In `added`, `None` is an item
    /// that has a row of its own in `touched`.
    pub(crate) fn merged(
        added: Rows<Option<ChangedItem>>,
        touched: Rows<ChangedItem>,
        (after, through): (Sequence, Sequence),
        count_max: usize,
        head: Sequence,
    ) -> Self {
        let read_to = [added.cut_at, touched.cut_at].into_iter().flatten().fold(through, Sequence::min);
        let mut items: Vec<ChangedItem> = added.rows.into_iter().flatten().chain(touched.rows).collect();
        items.retain(|item| item.sequence <= read_to);
        items.sort_unstable_by_key(|item| item.sequence);
        let is_cut = items.len() > count_max;
        items.truncate(count_max);
        let last = items.last().map(|item| item.sequence);
        let read_to = last.filter(|_| is_cut).unwrap_or(read_to);
        Self { items, records: Vec::new(), after, through: read_to, has_more: read_to < through, head }
    }

    /// Returns the living items, whose records are to be read.
    pub(crate) fn living(&self) -> Vec<ItemId> {
        let is_living = |changed: &&ChangedItem| matches!(changed.state, ChangedState::Living(_));
        self.items.iter().filter(is_living).map(|changed| changed.item).collect()
    }
}

/// A binary search for the last change up to a given time; times ascend with sequences. For each step the
/// caller reads the first row in the range that [`Self::next`] returns, and passes it to [`Self::take`].
pub(crate) struct Halves {
    low: Sequence,
    high: Sequence,
}

impl Halves {
    /// Begins a search among changes up to `high`.
    pub(crate) const fn up_to(high: Sequence) -> Self {
        Self { low: Sequence::ZERO, high }
    }

    /// Returns the next range to read: after the first sequence, up to and including the second. `None` when
    /// the search has ended.
    pub(crate) fn next(&self) -> Option<(Sequence, Sequence)> {
        let middle = Sequence(self.low.0 + (self.high.0 - self.low.0) / 2);
        (self.low < self.high).then_some((middle, self.high))
    }

    /// Takes the first row of the range, if there is one: its sequence, and whether its time is at or before
    /// the given time.
    pub(crate) fn take(&mut self, found: Option<(Sequence, bool)>) {
        let middle = Sequence(self.low.0 + (self.high.0 - self.low.0) / 2);
        match found {
            Some((sequence, true)) => self.low = sequence,
            Some((_, false)) | None => self.high = middle,
        }
    }

    /// Returns the sequence that was found.
    pub(crate) const fn found(&self) -> Sequence {
        self.low
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_time_is_found_by_halves(
            steps in prop::collection::vec((1..5_u64, 0..3_u64), 0..40), time in 0..60_u64, beyond in 0..5_u64
        ) {
            let mut rows = vec![(0, 0)];
            for (gap, later) in steps {
                let (sequence, at) = rows[rows.len() - 1];
                rows.push((sequence + gap, at + later));
            }
            rows.remove(0);
            let high = rows.last().map_or(0, |row| row.0) + beyond;
            let mut halves = Halves::up_to(Sequence(high));
            let mut reads = 0;
            while let Some((after, through)) = halves.next() {
                reads += 1;
                let found = rows.iter().find(|row| row.0 > after.0 && row.0 <= through.0);
                halves.take(found.map(|row| (Sequence(row.0), row.1 <= time)));
            }
            let expected = rows.iter().rfind(|row| row.1 <= time).map_or(0, |row| row.0);
            let found = halves.found().0;
            prop_assert!(rows.iter().all(|row| (row.0 <= found) == (row.1 <= time)), "{found} of {rows:?}");
            prop_assert!(found <= expected);
            prop_assert!(reads <= 9, "{reads}");
        }
    }
}
