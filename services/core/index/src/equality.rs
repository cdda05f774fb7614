//! An index of digests that finds those equal to a query, and can be searched while it is written to.
//!
//! The index has the same segments, tails and tombstones as the radius index, without the tables. In a
//! segment digests are sorted; a directory of prefixes leads to a run of about 32 rows, in which a binary
//! search finds the digest. In a tail digests are found by lists. Digests that were chosen to share a prefix
//! only lengthen the binary search, logarithmically: 22 steps if all of a hundred million rows share one.

use std::fmt;
use std::hash::RandomState;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Weak};

use vigie_model::{BankId, ItemId};

use crate::changes::layout::Layout;
use crate::changes::moment::Moment;
use crate::changes::store::Store;
use crate::changes::view::{Sight, View};
use crate::options::{Footprint, IndexOptions};
use crate::question::audit::{AuditError, Pace, Taken};
use crate::question::cancel::{Cancellation, Cancelled, Checkpoint, Tally};
use crate::question::entry::{Edit, Entry};
use crate::question::filter::BankFilter;
use crate::rows::home::OpenError;
use crate::rows::saved::SavedFile;
use crate::rows::segment_file::SegmentError;
use crate::rows::stored::Stored;
use crate::rows::tail::Keys;

/// Digests of `BYTES` bytes (8, 12, 16, 32 or 64) and their items, found by equality.
///
/// The index stores pairs of a digest and an item, each pair once. Visibility and locking are those of
/// [`crate::RadiusIndex`].
///
/// In segments a digest takes `BYTES` + 5 bytes and two bits (4 bytes more if the ids of the segment's items
/// span more than 2^32 numbers). Up to five tails of 131,072 rows take `BYTES` + 24 bytes a row, and up to 50
/// for finding them.
pub struct EqualityIndex<const BYTES: usize> {
    store: Store<BYTES>,
}

impl<const BYTES: usize> EqualityIndex<BYTES> {
    /// Creates an empty index in memory.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(IndexOptions::default())
    }

    /// Creates an empty index in memory, with these options.
    #[must_use]
    pub fn with_options(options: IndexOptions) -> Self {
        Self::in_memory(WHOLE, options)
    }

    /// Creates an empty index in memory for keys of this form.
    pub(crate) fn in_memory(form: u64, options: IndexOptions) -> Self {
        Self { store: Store::in_memory(layout(form), options) }
    }

    /// Opens the last checkpoint of a folder, as [`crate::RadiusIndex::open`] does.
    pub fn open(folder: &Path, options: IndexOptions) -> Result<(Self, Option<Vec<u8>>), OpenError> {
        let (store, tag) = Store::open(layout(WHOLE), options, folder, None)?;
        Ok((Self { store }, tag))
    }

    /// Opens the checkpoint with a tag, as [`crate::RadiusIndex::open_tagged`] does.
    pub fn open_tagged(folder: &Path, options: IndexOptions, tag: &[u8]) -> Result<Self, OpenError> {
        Self::open_tagged_of(WHOLE, folder, options, tag)
    }

    /// Opens as [`Self::open_tagged`] does, for keys of this form. Fails if the saved index has keys of
    /// another form.
    pub(crate) fn open_tagged_of(
        form: u64,
        folder: &Path,
        options: IndexOptions,
        tag: &[u8],
    ) -> Result<Self, OpenError> {
        let (store, _) = Store::open(layout(form), options, folder, Some(tag))?;
        Ok(Self { store })
    }

    /// Creates an empty index in a folder, as [`crate::RadiusIndex::begin`] does.
    pub fn begin(folder: &Path, options: IndexOptions) -> Result<Self, OpenError> {
        Self::begin_of(WHOLE, folder, options)
    }

    /// Creates an empty index as [`Self::begin`] does, for keys of this form.
    pub(crate) fn begin_of(form: u64, folder: &Path, options: IndexOptions) -> Result<Self, OpenError> {
        Ok(Self { store: Store::begin(layout(form), options, folder)? })
    }

    /// Adds a digest of an item, and returns whether it was new.
    ///
    /// Inserting the same pair of digest and item again changes nothing, except that the new bank replaces
    /// the old one.
    pub fn insert(&self, digest: &[u8; BYTES], entry: Entry) -> bool {
        self.apply(&[Edit::Insert(*digest, entry)]) == 1
    }

    /// Removes a digest of an item, and returns whether it was there.
    pub fn remove(&self, digest: &[u8; BYTES], item: ItemId) -> bool {
        self.apply(&[Edit::Remove(*digest, item)]) == 1
    }

    /// Removes every digest of every item of a bank at one moment, and returns the number of removed digests.
    pub fn remove_bank(&self, bank: BankId) -> usize {
        self.store.remove_bank(bank)
    }

    /// Applies the edits in their order and makes them visible to lookups all at once. Returns how many
    /// changed something: new pairs, and removed pairs.
    pub fn apply(&self, edits: &[Edit<BYTES>]) -> usize {
        self.apply_each(edits.iter().copied())
    }

    /// Applies edits as [`Self::apply`] does, from an iterator.
    pub(crate) fn apply_each(&self, edits: impl Iterator<Item = Edit<BYTES>>) -> usize {
        self.store.apply(edits)
    }

    /// Adds many pairs at once, as [`crate::RadiusIndex::load`] does.
    pub fn load(&self, pairs: Vec<([u8; BYTES], Entry)>) -> Result<(), SegmentError> {
        self.store.load(pairs, std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// Merges the segments, as [`crate::RadiusIndex::merge`] does.
    pub fn merge(&self) -> Result<(), SegmentError> {
        self.store.merge()
    }

    /// Rewrites segments without their dead rows, as [`crate::RadiusIndex::clear_dead`] does.
    pub fn clear_dead(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<(), SegmentError> {
        self.store.clear_dead(stop)
    }

    /// Writes a checkpoint, as [`crate::RadiusIndex::save`] does.
    pub fn save(&self, tag: &[u8]) -> Result<Vec<SavedFile>, SegmentError> {
        self.store.save(tag)
    }

    /// Gives up older checkpoints, as [`crate::RadiusIndex::forget_before`] does.
    pub fn forget_before(&self, tag: &[u8]) {
        self.store.forget_before(tag);
    }

    /// Returns the memory that the index takes, and its last fault.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        self.store.footprint()
    }

    /// Returns the number of live digests, counted once for each item.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.live()
    }

    /// Checks whether there is no live digest.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the index as it is now, unaffected by later edits.
    #[must_use]
    pub fn snapshot(&self) -> EqualitySnapshot<BYTES> {
        let view = self.store.view();
        let moment = view.moment.read();
        EqualitySnapshot { view, moment }
    }

    /// Looks up digests in the current state of the index: see [`EqualitySnapshot::lookup`].
    #[must_use]
    pub fn lookup(&self, queries: &[[u8; BYTES]], filter: &BankFilter) -> Vec<Vec<Entry>> {
        self.snapshot().lookup(queries, filter)
    }

    /// Looks up digests in the current state of the index: see [`EqualitySnapshot::each`].
    pub fn each(
        &self,
        queries: &[[u8; BYTES]],
        filter: &BankFilter,
        cancel: &Cancellation,
        take: impl FnMut(usize, Entry),
    ) -> Result<(), Cancelled> {
        self.snapshot().each(queries, filter, cancel, take)
    }
}

/// The form of keys that are whole digests.
const WHOLE: u64 = 0;

/// Returns the layout of an index of digests. Its lists are keyed at random, so that nobody can prepare
/// digests that all share a list. Digests are not permuted: files store the form of the keys in the field of
/// the permutation's seed.
fn layout(form: u64) -> Layout {
    Layout { keys: Keys::Digest(RandomState::new()), seed: form, distance: None, compact: false }
}

impl<const BYTES: usize> Default for EqualityIndex<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows counts, never a digest.
impl<const BYTES: usize> fmt::Debug for EqualityIndex<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EqualityIndex")
            .field("bytes", &BYTES)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// An [`EqualityIndex`] as it was at one moment: later edits are not visible.
///
/// A snapshot is cheap to take. It keeps the data of that moment in memory until it is dropped.
pub struct EqualitySnapshot<const BYTES: usize> {
    view: Arc<View<BYTES>>,
    moment: Moment,
}

impl<const BYTES: usize> EqualitySnapshot<BYTES> {
    /// Returns the entries whose digest equals the query, in the order of their items: one answer for each
    /// query, all as of the same moment.
    ///
    /// The cost is a few cache misses for each query, segment and found entry. A digest may have as many
    /// entries as there are items; [`Self::each`] can be cancelled.
    #[must_use]
    pub fn lookup(&self, queries: &[[u8; BYTES]], filter: &BankFilter) -> Vec<Vec<Entry>> {
        let mut answers = vec![Vec::new(); queries.len()];
        let never = Cancellation::never();
        self.each(queries, filter, &never, |query, entry| answers[query].push(entry))
            .expect("nothing cancels it");
        for entries in &mut answers {
            entries.sort_unstable();
        }
        answers
    }

    /// Passes on each entry whose digest equals a query as it is found, with the number of the query, in no
    /// particular order. After a failure, the entries that were passed on must be discarded.
    pub fn each(
        &self,
        queries: &[[u8; BYTES]],
        filter: &BankFilter,
        cancel: &Cancellation,
        take: impl FnMut(usize, Entry),
    ) -> Result<(), Cancelled> {
        self.each_of(queries.iter().copied(), filter, cancel, take)
    }

    /// Looks up digests as [`Self::each`] does, for queries from an iterator.
    pub(crate) fn each_of(
        &self,
        queries: impl Iterator<Item = [u8; BYTES]>,
        filter: &BankFilter,
        cancel: &Cancellation,
        mut take: impl FnMut(usize, Entry),
    ) -> Result<(), Cancelled> {
        let tally = Checkpoint::begin(cancel)?.tally();
        for (number, query) in queries.enumerate() {
            self.each_equal(&query, filter, &tally, |entry| take(number, entry));
            tally.end()?;
        }
        Ok(())
    }

    /// Checks that searches reach every digest: see [`HashSnapshot::audit`](crate::HashSnapshot::audit).
    pub(crate) fn audit(&self, pace: &mut Pace<'_>, take: &mut Taken<'_, BYTES>) -> Result<(), AuditError> {
        self.view.audit(self.moment, pace, take)
    }

    pub(crate) fn stored(&self) -> Vec<Weak<dyn Stored>> {
        self.view.stored()
    }

    pub(crate) fn tail_memory(&self) -> Vec<Range<usize>> {
        self.view.tail_memory()
    }

    fn each_equal(
        &self,
        query: &[u8; BYTES],
        filter: &BankFilter,
        tally: &Tally<'_>,
        mut take: impl FnMut(Entry),
    ) {
        let Self { view, moment } = self;
        let sight = Sight::new(view, *moment, tally);
        let mut offer = |entry: Entry, source, dead, row| {
            if filter.contains(entry.bank) && sight.shows(source, dead, row) {
                take(entry);
            }
            tally.goes_on()
        };
        for segment in &view.segments {
            for row in segment.lookup(query) {
                let number = u32::try_from(row).expect("a segment has fewer than 2^32 rows");
                if !offer(segment.entry(row), segment.id, &segment.dead, number) {
                    return;
                }
            }
        }
        for (tail, rows) in view.tails_at(*moment) {
            tail.lookup(rows, query, |row| offer(tail.entry(row as usize), tail.id, &tail.dead, row));
        }
    }
}

impl<const BYTES: usize> fmt::Debug for EqualitySnapshot<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EqualitySnapshot").field("bytes", &BYTES).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_digest() {
        let index = EqualityIndex::<8>::new();
        index.insert(&[0xab; 8], Entry { item: ItemId(1), bank: BankId(1) });
        assert_eq!(format!("{index:?}"), "EqualityIndex { bytes: 8, len: 1, .. }");
    }
}
