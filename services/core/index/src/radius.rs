//! An exact index by Hamming distance that is searched while it is written to.
//!
//! This file is the readers' side: a search takes a view of the index, asks each segment and each tail of it
//! for the rows near its queries, and keeps those that live at its moment, in banks that were asked for.

use std::cell::RefCell;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use vigie_model::{BankId, Distance, ItemId};

use crate::changes::moment::Moment;
use crate::changes::store::{Layout, Store};
use crate::changes::view::{Sight, View};
use crate::options::{Footprint, IndexOptions};
use crate::question::cancel::{Cancellation, Cancelled, Checkpoint, Tally};
use crate::question::entry::{Edit, Entry, Hit};
use crate::question::filter::BankFilter;
use crate::rows::home::{OpenError, SavedFile};
use crate::rows::segment::{Segment, run_length};
use crate::rows::segment_file::SegmentError;
use crate::rows::tail::{Keys, Tail, TailScratch};
use crate::search::nearest::Nearest;
use crate::search::permutation::{DEFAULT_SEED, Permutation};
use crate::search::pipeline::Scratch;
use crate::search::verify;

/// The nearest are not sought within more than this before every row is looked at.
const RADIUS_TRIED_MAX: u32 = 64;

/// Rows that the nearest are sought among by looking at each.
const SCANNED_ROWS: usize = 16_384;

/// Rows of a scan between two looks at how near a row must be by now.
const ROWS_PER_LOOK: usize = 4_096;

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
        let view = self.store.view();
        let moment = view.moment.read();
        RadiusSnapshot { view, moment, permutation: Arc::clone(&self.permutation) }
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
    Layout { keys: Keys::chunks_of(BYTES), seed: DEFAULT_SEED, distance: Some(options.distance.0.into()) }
}

/// A [`RadiusIndex`] as it was at one moment: later edits do not show.
///
/// Cheap to take. It holds what the index held then until it is dropped, and a search has to look through
/// what was removed since.
pub struct RadiusSnapshot<const BYTES: usize> {
    view: Arc<View<BYTES>>,
    moment: Moment,
    permutation: Arc<Permutation<BYTES>>,
}

thread_local! {
    /// Buffers of searches, kept for the next one of the thread.
    static BUFFERS: RefCell<(Scratch, TailScratch)> = RefCell::new((Scratch::new(), TailScratch::default()));
}

impl<const BYTES: usize> RadiusSnapshot<BYTES> {
    /// Every hash within `radius` of each query, in the order of [`Hit`]; one answer for each query, all as
    /// of the same moment. A radius above the length of a hash finds everything.
    ///
    /// The queries of a batch are searched together, so that the wait for memory of one is the work of
    /// another. The number of hits is not bounded here: a bank may hold one hash a million times. To put them into
    /// their order is not interrupted.
    ///
    /// Whatever the data, a search takes at most about twice as long as comparing every hash: hashes that
    /// agree in many bits overfill buckets, and where they do, every hash is compared.
    pub fn search(
        &self,
        queries: &[[u8; BYTES]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        let mut answers = vec![Vec::new(); queries.len()];
        self.each(queries, radius, filter, cancel, |query, hit| answers[query].push(hit))?;
        for hits in &mut answers {
            hits.sort_unstable();
        }
        Ok(answers)
    }

    /// The same, each hit handed over with the number of its query as it is found, in no particular order: for who
    /// keeps only some of them. What was handed over before a failure is of no use.
    pub fn each(
        &self,
        queries: &[[u8; BYTES]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: impl FnMut(usize, Hit),
    ) -> Result<(), Cancelled> {
        self.each_of(queries.iter(), radius, filter, cancel, take)
    }

    /// [`Self::each`] of queries that need not lie side by side.
    pub(crate) fn each_of<'a>(
        &self,
        queries: impl Iterator<Item = &'a [u8; BYTES]>,
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: impl FnMut(usize, Hit),
    ) -> Result<(), Cancelled> {
        let mut checkpoint = Checkpoint::begin(cancel)?;
        self.each_within(&self.stored(queries), radius.0.into(), filter, &mut checkpoint, take)
    }

    /// The `k` hashes nearest to each query, fewer if the index holds fewer, in the order of [`Hit`]; one
    /// answer for each query, all as of the same moment.
    ///
    /// Of several equally far the least items are taken. Meant for `k` of 1 to 1,000. Searches with a
    /// growing radius until there are `k`; for those queries that have no `k` neighbours within
    /// a quarter of the bits, it compares every hash.
    pub fn nearest(
        &self,
        queries: &[[u8; BYTES]],
        k: usize,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        let mut checkpoint = Checkpoint::begin(cancel)?;
        let stored = self.stored(queries.iter());
        let mut answers = vec![Vec::new(); queries.len()];
        let mut pending: Vec<usize> = (0..queries.len()).collect();
        let rows = self.rows();
        // Each step allows one more bit to each chunk of 16.
        let steps = (1..=4).map(|flips| flips * u32::try_from(BYTES).expect("at most 64") / 2 - 1);
        for radius in steps.filter(|&radius| radius <= RADIUS_TRIED_MAX) {
            if rows <= SCANNED_ROWS.max(k) || pending.is_empty() {
                break;
            }
            let asked: Vec<[u8; BYTES]> = pending.iter().map(|&query| stored[query]).collect();
            let mut found: Vec<Nearest> = asked.iter().map(|_| Nearest::new(k)).collect();
            self.each_within(&asked, radius, filter, &mut checkpoint, |at, hit| found[at].offer(hit))?;
            let mut found = found.into_iter();
            pending.retain(|&query| {
                let nearest = found.next().expect("one for each query that was asked");
                let is_full = nearest.is_full();
                if is_full {
                    answers[query] = nearest.into_hits();
                }
                !is_full
            });
        }
        for query in pending {
            answers[query] = self.nearest_of_all(&stored[query], k, filter, &mut checkpoint)?;
        }
        Ok(answers)
    }

    /// By comparing every hash.
    fn nearest_of_all(
        &self,
        query: &[u8; BYTES],
        k: usize,
        filter: &BankFilter,
        checkpoint: &mut Checkpoint<'_>,
    ) -> Result<Vec<Hit>, Cancelled> {
        let nearest = RefCell::new(Nearest::new(k));
        let tally = checkpoint.tally();
        let asked = Asked { sight: Sight::new(&self.view, self.moment, &tally), filter, tally: &tally };
        let reach = || nearest.borrow().reach();
        for segment in &self.view.segments {
            let hashes = segment.hashes();
            for first in (0..hashes.len()).step_by(ROWS_PER_LOOK) {
                let Some(radius) = reach() else { break };
                let rows = &hashes[first..hashes.len().min(first + ROWS_PER_LOOK)];
                verify::scan(rows, &[*query], radius, checkpoint, &mut |_, row, distance| {
                    for copy in copies_of(rows, row) {
                        let row = number(first) + copy;
                        asked.offer(segment, row, distance, |hit| nearest.borrow_mut().offer(hit));
                    }
                })?;
            }
        }
        for (tail, rows) in self.view.tails_at(self.moment) {
            tail.scan(rows, query, |_| reach(), checkpoint, &mut |row, distance| {
                asked.offer_of_tail(tail, row, distance, |hit| nearest.borrow_mut().offer(hit));
            })?;
        }
        tally.end()?;
        Ok(nearest.into_inner().into_hits())
    }

    /// Hands over every hit within `radius` of each query, in any order.
    fn each_within(
        &self,
        queries: &[[u8; BYTES]],
        radius: u32,
        filter: &BankFilter,
        checkpoint: &mut Checkpoint<'_>,
        mut take: impl FnMut(usize, Hit),
    ) -> Result<(), Cancelled> {
        let tally = checkpoint.tally();
        let asked = Asked { sight: Sight::new(&self.view, self.moment, &tally), filter, tally: &tally };
        BUFFERS.with_borrow_mut(|(scratch, tail_scratch)| {
            for segment in &self.view.segments {
                asked.search(segment, queries, radius, checkpoint, scratch, &mut take)?;
            }
            for (tail, rows) in self.view.tails_at(self.moment) {
                tail.search(rows, queries, radius, checkpoint, tail_scratch, &mut |query, row, distance| {
                    asked.offer_of_tail(tail, row, distance, |hit| take(query, hit));
                })?;
            }
            tally.end()
        })
    }

    fn rows(&self) -> usize {
        let in_segments: usize = self.view.segments.iter().map(|segment| segment.rows()).sum();
        in_segments + self.view.tails_at(self.moment).map(|(_, rows)| rows).sum::<usize>()
    }

    fn stored<'a>(&self, queries: impl Iterator<Item = &'a [u8; BYTES]>) -> Vec<[u8; BYTES]> {
        queries.map(|query| self.permutation.apply(query)).collect()
    }
}

/// Which rows a search may answer with.
struct Asked<'a, 'c> {
    sight: Sight<'a, 'c>,
    filter: &'a BankFilter,
    tally: &'a Tally<'c>,
}

impl Asked<'_, '_> {
    /// Hands over the hits of one segment.
    fn search<const BYTES: usize>(
        &self,
        segment: &Segment<BYTES>,
        queries: &[[u8; BYTES]],
        radius: u32,
        checkpoint: &mut Checkpoint<'_>,
        scratch: &mut Scratch,
        take: &mut impl FnMut(usize, Hit),
    ) -> Result<(), Cancelled> {
        if radius == 0 {
            for (query, hash) in queries.iter().enumerate() {
                let rows = segment.lookup(hash);
                checkpoint.spend(1)?;
                for row in rows {
                    self.offer(segment, number(row), 0, |hit| take(query, hit));
                    self.tally.end()?;
                }
            }
            return Ok(());
        }
        let hashes = segment.hashes();
        let mut found = |query, row, distance| {
            for row in copies_of(hashes, row) {
                self.offer(segment, row, distance, |hit| take(query, hit));
                if self.tally.end().is_err() {
                    break;
                }
            }
        };
        match segment.tables() {
            Some(tables) => tables.search(queries, radius, checkpoint, scratch, &mut found),
            None => verify::scan(hashes, queries, radius, checkpoint, &mut found),
        }
    }

    #[inline]
    fn offer<const BYTES: usize>(
        &self,
        segment: &Segment<BYTES>,
        row: u32,
        distance: u32,
        take: impl FnOnce(Hit),
    ) {
        let bank = segment.bank(row as usize);
        if self.tally.goes_on()
            && self.filter.contains(bank)
            && self.sight.shows(segment.id, &segment.dead, row)
        {
            take(hit(Entry { item: segment.item(row as usize), bank }, distance));
        }
    }

    #[inline]
    fn offer_of_tail<const BYTES: usize>(
        &self,
        tail: &Tail<BYTES>,
        row: u32,
        distance: u32,
        take: impl FnOnce(Hit),
    ) {
        let bank = tail.bank(row as usize);
        if self.tally.goes_on() && self.filter.contains(bank) && self.sight.shows(tail.id, &tail.dead, row) {
            take(hit(Entry { item: tail.item(row as usize), bank }, distance));
        }
    }
}

/// The rows of a hash, of which this one is the first.
fn copies_of<const BYTES: usize>(hashes: &[[u8; BYTES]], row: u32) -> std::ops::Range<u32> {
    let rows = &hashes[row as usize..];
    row..row + rows.first().map_or(0, |hash| number(run_length(rows, hash)))
}

fn hit(entry: Entry, distance: u32) -> Hit {
    Hit { entry, distance: Distance(u16::try_from(distance).expect("a hash has at most 512 bits")) }
}

fn number(row: usize) -> u32 {
    u32::try_from(row).expect("a segment has fewer than 2^32 rows")
}

impl<const BYTES: usize> fmt::Debug for RadiusSnapshot<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RadiusSnapshot").field("bytes", &BYTES).finish_non_exhaustive()
    }
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
