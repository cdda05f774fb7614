//! An exact index by Hamming distance that is searched while it is written to.
//!
//! A search takes a view of the index (`snapshot`), asks each segment and each tail of it for the rows near its queries, and
//! keeps those that live at its moment, in banks that were asked for (`asked`).

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

/// Hashes of `BYTES` bytes (8, 12, 16, 32 or 64) and the items that bear them, found by distance.
///
/// It holds pairs of a hash and an item: an item may have several hashes, a hash may have several items, and
/// the same pair is held once.
///
/// All methods take `&self`. Searches take no lock and see the index as it is at one moment; edits wait for
/// each other, and are visible to every search that begins after they returned.
///
/// With 256-bit hashes in segments a row takes about 134 bytes; [`Self::footprint`] counts them. Up to five
/// tails of 131,072 rows take up to 240 bytes a row.
pub struct RadiusIndex<const BYTES: usize> {
    store: Store<BYTES>,
    permutation: Arc<Permutation<BYTES>>,
}

impl<const BYTES: usize> RadiusIndex<BYTES> {
    /// An empty index in memory.
    #[must_use]
    pub fn new() -> Self {
        Self::with_options(IndexOptions::default())
    }

    /// An empty index in memory.
    #[must_use]
    pub fn with_options(options: IndexOptions) -> Self {
        Self::of(Store::in_memory(layout::<BYTES>(options), options))
    }

    /// The index that [`Self::save`] last wrote down in this folder, which it owns until it is dropped; an
    /// empty one if there is none. Also what was saved with it.
    ///
    /// Reads all of it once, to compare checksums; copies nothing. Fails if the folder is in use, or if a
    /// file is damaged: then [`Self::begin`] makes a new start.
    pub fn open(folder: &Path, options: IndexOptions) -> Result<(Self, Option<Vec<u8>>), OpenError> {
        let (store, tag) = Store::open(layout::<BYTES>(options), options, folder, None)?;
        Ok((Self::of(store), tag))
    }

    /// The index that [`Self::save`] wrote down in this folder with this tag, whatever was saved after it. It owns the
    /// folder until it is dropped. Otherwise as [`Self::open`].
    pub fn open_tagged(folder: &Path, options: IndexOptions, tag: &[u8]) -> Result<Self, OpenError> {
        let (store, _) = Store::open(layout::<BYTES>(options), options, folder, Some(tag))?;
        Ok(Self::of(store))
    }

    /// An empty index in this folder, which it owns until it is dropped. What was there is discarded.
    pub fn begin(folder: &Path, options: IndexOptions) -> Result<Self, OpenError> {
        Store::begin(layout::<BYTES>(options), options, folder).map(Self::of)
    }

    fn of(store: Store<BYTES>) -> Self {
        Self { store, permutation: Arc::new(Permutation::new(DEFAULT_SEED)) }
    }

    /// Adds a hash of an item, and says whether it was new.
    ///
    /// Inserting the same pair of hash and item again changes nothing, except that another bank replaces the
    /// one before.
    pub fn insert(&self, hash: &[u8; BYTES], entry: Entry) -> bool {
        self.apply(&[Edit::Insert(*hash, entry)]) == 1
    }

    /// Removes a hash of an item; false if it was not there.
    pub fn remove(&self, hash: &[u8; BYTES], item: ItemId) -> bool {
        self.apply(&[Edit::Remove(*hash, item)]) == 1
    }

    /// Removes every hash of every item of a bank, all at one moment, and says how many they were.
    pub fn remove_bank(&self, bank: BankId) -> usize {
        self.store.remove_bank(bank)
    }

    /// Makes the edits in their order and shows them to searches all at once. Says how many changed
    /// something: pairs that were new, and pairs that were removed.
    ///
    /// Loading many hashes is faster by this than one by one.
    pub fn apply(&self, edits: &[Edit<BYTES>]) -> usize {
        self.apply_each(edits.iter().copied())
    }

    /// [`Self::apply`] of edits that need not lie in memory.
    pub(crate) fn apply_each(&self, edits: impl Iterator<Item = Edit<BYTES>>) -> usize {
        self.store.apply(edits.map(|edit| edit.map_hash(|hash| self.permutation.apply(hash))))
    }

    /// Adds many pairs at once, in any order, and shows them to searches all at once: quicker by far than
    /// [`Self::apply`], as the segment is built from them directly, by all cores. Of equal pairs the one with
    /// the greatest bank is taken.
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

    /// Makes one segment of everything, now; or as few as the greatest size of a segment allows.
    pub fn merge(&self) -> Result<(), SegmentError> {
        self.store.merge()
    }

    /// Writes every segment anew that holds removed rows now, until `stop` says otherwise: their hashes are in no file of the index
    /// once the checkpoints before the next one are given up.
    pub fn clear_dead(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<(), SegmentError> {
        self.store.clear_dead(stop)
    }

    /// Writes the index down as it is now, so that [`Self::open`] finds it, and with it `tag`: what the
    /// caller must know to go on from there. Answers the files that were saved; none in memory.
    ///
    /// Edits wait for it: while the newest rows are written, some 700,000 at most, and where a merge is being
    /// made, until that is done. Searches do not wait. After a crash the index is found as the last completed
    /// call left it; [`Self::open_tagged`] finds it as any call left it since [`Self::forget_before`].
    pub fn save(&self, tag: &[u8]) -> Result<Vec<SavedFile>, SegmentError> {
        self.store.save(tag)
    }

    /// Gives up what was saved before the tag was, and the files that only that needed.
    pub fn forget_before(&self, tag: &[u8]) {
        self.store.forget_before(tag);
    }

    /// What it takes.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        self.store.footprint()
    }

    /// The living hashes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.live()
    }

    /// Whether there is no living hash.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether answers are always those of a linear scan.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        true
    }

    /// The index as it is now, and stays in this view however it changes meanwhile.
    #[must_use]
    pub fn snapshot(&self) -> RadiusSnapshot<BYTES> {
        RadiusSnapshot::of(self.store.view(), Arc::clone(&self.permutation))
    }

    /// [`RadiusSnapshot::search`] of the index as it is now.
    pub fn search(
        &self,
        queries: &[[u8; BYTES]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        self.snapshot().search(queries, radius, filter, cancel)
    }

    /// [`RadiusSnapshot::each`] of the index as it is now.
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

    /// [`RadiusSnapshot::nearest`] of the index as it is now.
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

/// Shows how much it holds, never a hash.
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
