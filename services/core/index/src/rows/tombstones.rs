//! The dead rows and their times of death: a bit for each row, and a log of removals.
//!
//! Rows are never changed, so removals are recorded beside them. The bit answers nearly every question: a row
//! whose bit is clear is live at every moment that a reader can have. A row whose bit is set is dead, but
//! perhaps only since a time after the reader's moment. Removals are numbered, and a moment records how many
//! had been made, so the row is live at that moment if the log has its removal at or after that number. The
//! part of the log after a reader's moment is as short as the reader's moment is recent. It is read once, and
//! only if the reader finds a dead row that it would otherwise return. (Multi-version concurrency control
//! stores an end number with each row instead; here that would cost 8 bytes a row for a rare question.)
//!
//! The log is a chain of pages, each of which leads to the next. A reader's view holds the page that was
//! current when the view was created, and so all later ones. Pages that no view holds any more are freed.
//!
//! **Ordering.** The single writer stores the log's entry, then the page's count with `Release`, then the bit
//! with `Release`. A reader that sees the bit (`Acquire`) therefore finds the entry.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The number of entries in a page of 8 KiB. A new view is created for each page, so that old pages can be
/// freed.
const PAGE_ENTRIES: usize = 1_024;

/// A set of rows that only grows, one bit for each row: the rows of an immutable file that died after it was
/// written.
///
/// A single thread adds rows while any number of threads read the set.
#[derive(Debug)]
pub struct DeadRows {
    words: Box<[AtomicU64]>,
    count: AtomicUsize,
}

impl DeadRows {
    /// Creates an empty set for `rows` rows.
    #[must_use]
    pub fn none_of(rows: usize) -> Self {
        Self::of((0..rows.div_ceil(64)).map(|_| 0))
    }

    /// Creates the set of the rows whose bits are set, as [`Self::words`] returned them.
    #[must_use]
    pub fn of(words: impl Iterator<Item = u64>) -> Self {
        let words: Box<[AtomicU64]> = words.map(AtomicU64::new).collect();
        let count = words.iter().map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum();
        Self { words, count: AtomicUsize::new(count) }
    }

    /// Checks whether the row is dead. False for a row that does not exist.
    #[inline]
    #[must_use]
    pub fn contains(&self, row: usize) -> bool {
        let word = self.words.get(row / 64).map_or(0, |word| word.load(Ordering::Acquire));
        word >> (row % 64) & 1 == 1
    }

    /// Adds a row, which must exist, and returns whether it was new.
    pub fn insert(&self, row: usize) -> bool {
        let bit = 1 << (row % 64);
        let fresh = self.words[row / 64].fetch_or(bit, Ordering::Release) & bit == 0;
        self.count.fetch_add(usize::from(fresh), Ordering::Relaxed);
        fresh
    }

    /// Returns the number of dead rows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Returns the bits as they are now, as words of 64.
    #[must_use]
    pub fn words(&self) -> Vec<u64> {
        self.words.iter().map(|word| word.load(Ordering::Acquire)).collect()
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&*self.words)
    }
}

/// The identity of a segment or a tail, unique as long as the index is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SourceId(pub(crate) u32);

/// A row that was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Removal {
    pub(crate) source: SourceId,
    pub(crate) row: u32,
}

impl Removal {
    const fn pack(self) -> u64 {
        (self.source.0 as u64) << 32 | self.row as u64
    }

    #[expect(clippy::cast_possible_truncation, reason = "each half is a u32")]
    const fn unpack(packed: u64) -> Self {
        Self { source: SourceId((packed >> 32) as u32), row: packed as u32 }
    }
}

/// A page of the log: removals with consecutive numbers.
pub(crate) struct LogPage {
    /// The number of the page's first entry.
    first: u64,
    entries: Box<[AtomicU64]>,
    written: AtomicUsize,
    next: OnceLock<Arc<LogPage>>,
}

impl LogPage {
    fn begin(first: u64) -> Arc<Self> {
        let entries = (0..PAGE_ENTRIES).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { first, entries, written: AtomicUsize::new(0), next: OnceLock::new() })
    }

    /// Returns the removals from number `since` on, which must not be before this page. Includes those of a
    /// batch that is still being applied.
    pub(crate) fn since(&self, since: u64) -> impl Iterator<Item = Removal> {
        let pages = std::iter::successors(Some(self), |page| page.next.get().map(|next| &**next));
        pages.flat_map(move |page| {
            let written = &page.entries[..page.written.load(Ordering::Acquire)];
            let skipped = usize::try_from(since.saturating_sub(page.first)).unwrap_or(usize::MAX);
            let entries = written.get(skipped..).unwrap_or_default();
            entries.iter().map(|entry| Removal::unpack(entry.load(Ordering::Relaxed)))
        })
    }

    /// Returns the page, this one or a later one, that holds entry `number` or will hold it.
    pub(crate) fn reaching(&self, number: u64) -> &Self {
        let mut page = self;
        while number >= page.first + PAGE_ENTRIES as u64
            && let Some(next) = page.next.get()
        {
            page = next;
        }
        page
    }
}

/// Unlinks the pages after this one that nothing else holds, one by one. Dropping the chain recursively would
/// take a stack frame for each page.
impl Drop for LogPage {
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut page) = next.and_then(Arc::into_inner) {
            next = page.next.take();
        }
    }
}

/// The end of the log, for its writer.
pub(crate) struct LogEnd {
    page: Arc<LogPage>,
    written: usize,
}

impl LogEnd {
    pub(crate) fn new() -> Self {
        Self { page: LogPage::begin(0), written: 0 }
    }

    /// Returns the number of the next entry, which equals the number of entries so far.
    pub(crate) fn position(&self) -> u64 {
        self.page.first + self.written as u64
    }

    /// Returns the page from which all entries at [`Self::position`] and later can be reached.
    pub(crate) fn page(&self) -> &Arc<LogPage> {
        &self.page
    }

    /// Adds an entry, and returns whether a new page was begun for it.
    pub(crate) fn push(&mut self, removal: Removal) -> bool {
        let begins = self.written == PAGE_ENTRIES;
        if begins {
            let next = LogPage::begin(self.position());
            assert!(self.page.next.set(Arc::clone(&next)).is_ok(), "only the end of the log is continued");
            (self.page, self.written) = (next, 0);
        }
        self.page.entries[self.written].store(removal.pack(), Ordering::Relaxed);
        self.written += 1;
        self.page.written.store(self.written, Ordering::Release);
        begins
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn removal(number: u32) -> Removal {
        Removal { source: SourceId(number % 3), row: u32::MAX - number }
    }

    #[test]
    fn the_log_returns_what_was_removed_from_any_number_on() {
        let mut end = LogEnd::new();
        let first = Arc::clone(end.page());
        let mut pages = vec![(0, first)];
        for number in 0..3_000 {
            assert_eq!(end.position(), u64::from(number));
            if end.push(removal(number)) {
                pages.push((number, Arc::clone(end.page())));
            }
        }
        for (begins, page) in &pages {
            for since in [*begins, begins + 1, 2_500, 2_999, 3_000] {
                let removed: Vec<Removal> = page.since(u64::from(since)).collect();
                let expected: Vec<Removal> = (since..3_000).map(removal).collect();
                assert_eq!(removed, expected, "since {since}");
            }
        }
    }

    #[test]
    fn a_long_log_is_dropped_without_a_deep_stack() {
        let mut end = LogEnd::new();
        let first = Arc::clone(end.page());
        for number in 0..20_000_000 {
            end.push(removal(number));
        }
        let last = Arc::downgrade(end.page());
        drop(end);
        assert!(last.upgrade().is_some(), "the first page leads to it");
        drop(first);
        assert!(last.upgrade().is_none());
    }

    #[test]
    fn dead_rows_are_counted_once() {
        let dead = DeadRows::none_of(130);
        assert!(dead.insert(0) && dead.insert(129) && !dead.insert(129));
        assert_eq!(dead.count(), 2);
        assert!(dead.contains(129) && !dead.contains(128) && !dead.contains(1_000));
        let copy = DeadRows::of(dead.words().into_iter());
        assert_eq!((copy.count(), copy.contains(0), copy.contains(1)), (2, true, false));
    }
}
