//! An exact index by Hamming distance that can be searched while it is written to.
//!
//! A search takes a view of the index (`snapshot`), searches each of its segments and tails for rows near the
//! queries, and keeps the rows that are live at its moment and whose bank is included (`asked`).

mod asked;
mod snapshot;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use vigie_model::{BankId, Distance, ItemId};

pub use snapshot::RadiusSnapshot;

use crate::changes::layout::Layout;
use crate::changes::store::Store;
use crate::options::{Footprint, IndexOptions};
use crate::question::cancel::{Cancellation, Cancelled};
use crate::question::entry::{Edit, Entry, Hit};
use crate::question::filter::BankFilter;
use crate::rows::home::OpenError;
use crate::rows::saved::SavedFile;
use crate::rows::segment_file::SegmentError;
use crate::rows::tail::Keys;
use crate::search::permutation::{DEFAULT_SEED, Permutation};

/// Hashes of `BYTES` bytes (8, 12, 16, 32 or 64) and their items, found by distance.
///
/// The index stores pairs of a hash and an item, each pair once: an item may have several hashes, and a hash
/// may have several items.
///
/// All methods take `&self`. Searches take no lock and see the index as it is at one moment. Edits wait for
/// each other, and an edit is visible to every search that begins after it returned.
///
/// A row of a 256-bit hash takes about 134 bytes in segments ([`Self::footprint`] counts them), and up to 240
/// bytes in tails. There are up to five tails of 131,072 rows.
pub struct RadiusIndex<const BYTES: usize> {
    store: Store<BYTES>,
    permutation: Arc<Permutation<BYTES>>,
}

impl<const BYTES: usize> RadiusIndex<BYTES> {
    /// Creates an empty index in memory.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(IndexOptions::default())
    }

    /// Creates an empty index in memory, with these options.
    #[must_use]
    pub fn with_options(options: IndexOptions) -> Self {
        Self::of(Store::in_memory(layout::<BYTES>(options), options))
    }

    /// Opens the index that [`Self::save`] last wrote to this folder, or an empty index if there is none. The
    /// index owns the folder until it is dropped. Also returns the tag that was saved with it.
    ///
    /// Reads all files once and compares their checksums. Fails if the folder is in use, or if a file is
    /// damaged; [`Self::begin`] then starts with an empty index.
    pub fn open(folder: &Path, options: IndexOptions) -> Result<(Self, Option<Vec<u8>>), OpenError> {
        let (store, tag) = Store::open(layout::<BYTES>(options), options, folder, None)?;
        Ok((Self::of(store), tag))
    }

    /// Opens the index that [`Self::save`] wrote to this folder with this tag, even if others were saved
    /// after it. Otherwise works like [`Self::open`].
    pub fn open_tagged(folder: &Path, options: IndexOptions, tag: &[u8]) -> Result<Self, OpenError> {
        let (store, _) = Store::open(layout::<BYTES>(options), options, folder, Some(tag))?;
        Ok(Self::of(store))
    }

    /// Creates an empty index in this folder, which it owns until it is dropped. Deletes any index that the
    /// folder holds.
    pub fn begin(folder: &Path, options: IndexOptions) -> Result<Self, OpenError> {
        Store::begin(layout::<BYTES>(options), options, folder).map(Self::of)
    }

    fn of(store: Store<BYTES>) -> Self {
        Self { store, permutation: Arc::new(Permutation::new(DEFAULT_SEED)) }
    }

    /// Adds a hash of an item, and returns whether it was new.
    ///
    /// Inserting the same pair of hash and item again changes nothing, except that the new bank replaces the
    /// old one.
    pub fn insert(&self, hash: &[u8; BYTES], entry: Entry) -> bool {
        self.apply(&[Edit::Insert(*hash, entry)]) == 1
    }

    /// Removes a hash of an item, and returns whether it was there.
    pub fn remove(&self, hash: &[u8; BYTES], item: ItemId) -> bool {
        self.apply(&[Edit::Remove(*hash, item)]) == 1
    }

    /// Removes every hash of every item of a bank at one moment, and returns the number of removed hashes.
    pub fn remove_bank(&self, bank: BankId) -> usize {
        self.store.remove_bank(bank)
    }

    /// Applies the edits in their order and makes them visible to searches all at once. Returns how many
    /// changed something: new pairs, and removed pairs.
    ///
    /// A call with many edits is faster than a call for each edit.
    pub fn apply(&self, edits: &[Edit<BYTES>]) -> usize {
        self.apply_each(edits.iter().copied())
    }

    /// Applies edits as [`Self::apply`] does, from an iterator.
    pub(crate) fn apply_each(&self, edits: impl Iterator<Item = Edit<BYTES>>) -> usize {
        self.store.apply(edits.map(|edit| edit.map_hash(|hash| self.permutation.apply(hash))))
    }

    /// Adds many pairs at once, in any order, and makes them visible to searches all at once. Much faster
    /// than [`Self::apply`], because all cores build a segment directly from the pairs. Of equal pairs, the
    /// one with the greatest bank is kept.
    pub fn load(&self, mut pairs: Vec<([u8; BYTES], Entry)>) -> Result<(), SegmentError> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let share = pairs.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            for part in pairs.chunks_mut(share) {
                scope.spawn(|| part.iter_mut().for_each(|(hash, _)| *hash = self.permutation.apply(hash)));
            }
        });
        self.store.load(pairs, threads)
    }

    /// Merges everything into one segment, or into as few as the size limit of a segment allows.
    pub fn merge(&self) -> Result<(), SegmentError> {
        self.store.merge()
    }

    /// Rewrites every segment that holds removed rows at the time of the call, until `stop` returns true. The
    /// hashes of those rows are in no file of the index once the older checkpoints are given up.
    pub fn clear_dead(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<(), SegmentError> {
        self.store.clear_dead(stop)
    }

    /// Writes a checkpoint of the index as it is now with `tag`, the caller's note of where to continue, so
    /// that [`Self::open`] finds both. Returns the files of the checkpoint; none if the index is in memory.
    ///
    /// Edits wait while the newest rows (at most about 700,000) are written, and while the call waits for a
    /// running merge. Searches do not wait. After a crash, [`Self::open`] finds the index as the last
    /// completed call saved it, and [`Self::open_tagged`] finds it as any call since [`Self::forget_before`]
    /// saved it.
    pub fn save(&self, tag: &[u8]) -> Result<Vec<SavedFile>, SegmentError> {
        self.store.save(tag)
    }

    /// Gives up the checkpoints older than that of the tag, and the files that only those needed.
    pub fn forget_before(&self, tag: &[u8]) {
        self.store.forget_before(tag);
    }

    /// Returns the memory that the index takes, and its last fault.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        self.store.footprint()
    }

    /// Returns the number of live hashes, counted once for each item.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.live()
    }

    /// Checks whether there is no live hash.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns true: answers always equal those of a linear scan.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        true
    }

    /// Returns the index as it is now, unaffected by later edits.
    #[must_use]
    pub fn snapshot(&self) -> RadiusSnapshot<BYTES> {
        RadiusSnapshot::of(self.store.view(), Arc::clone(&self.permutation))
    }

    /// Searches the current state of the index: see [`RadiusSnapshot::search`].
    pub fn search(
        &self,
        queries: &[[u8; BYTES]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        self.snapshot().search(queries, radius, filter, cancel)
    }

    /// Searches the current state of the index: see [`RadiusSnapshot::each`].
    pub fn each(
        &self,
        queries: &[[u8; BYTES]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: impl FnMut(usize, Hit),
    ) -> Result<(), Cancelled> {
        self.snapshot().each(queries, radius, filter, cancel, take)
    }

    /// Searches the current state of the index: see [`RadiusSnapshot::nearest`].
    pub fn nearest(
        &self,
        queries: &[[u8; BYTES]],
        k: usize,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        self.snapshot().nearest(queries, k, filter, cancel)
    }
}

fn layout<const BYTES: usize>(options: IndexOptions) -> Layout {
    let IndexOptions { distance, compact, .. } = options;
    Layout { keys: Keys::chunks_of(BYTES), seed: DEFAULT_SEED, distance: Some(distance.0), compact }
}

impl<const BYTES: usize> Default for RadiusIndex<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows counts, never a hash.
impl<const BYTES: usize> fmt::Debug for RadiusIndex<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RadiusIndex").field("bytes", &BYTES).field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_hash() {
        let index = RadiusIndex::<8>::new();
        index.insert(&[0xab; 8], Entry { item: ItemId(1), bank: BankId(1) });
        assert_eq!(format!("{index:?}"), "RadiusIndex { bytes: 8, len: 1, .. }");
    }
}
