//! An exact index by Hamming distance that is searched while it is written to.
//!
//! Today it is a scan: every block is compared with every query of the batch while it is in the cache, and
//! the readers' side is nothing but that loop. What makes a row visible, and when, is told in `moment` and
//! `writer`.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use arc_swap::ArcSwap;
use vigie_model::{BankId, Distance, ItemId};

use crate::block::{Words, word_count, words_of};
use crate::cancel::{Cancellation, Cancelled, Checkpoint};
use crate::entry::{Edit, Entry, Hit};
use crate::filter::BankFilter;
use crate::kernel::{self, Candidate, Planes};
use crate::moment::Moment;
use crate::nearest::Nearest;
use crate::writer::{View, Writer};

/// Hashes of `BYTES` bytes (1 to 64) and the items that bear them, found by distance.
///
/// It holds pairs of a hash and an item: an item may have several hashes, a hash may have several items, and
/// the same pair is held once.
///
/// All methods take `&self`. Searches take no lock and see the index as it is at one moment; edits wait for
/// each other, and are visible to every search that begins after they returned.
///
/// A row takes `BYTES` (rounded up to 8) + 12 bytes, and 8 more in a block of rows that has seen a removal.
/// There are at most two rows for each living hash, and one block of 2,048 rows beyond that; blocks that were
/// replaced stay for as long as a search still reads them. Finding a row again to remove it takes 10 to 21
/// bytes.
pub struct RadiusIndex<const BYTES: usize> {
    view: ArcSwap<View<BYTES>>,
    writer: Mutex<Writer<BYTES>>,
    live: AtomicUsize,
}

impl<const BYTES: usize> RadiusIndex<BYTES> {
    /// An empty index.
    #[must_use]
    pub fn new() -> Self {
        Self {
            view: ArcSwap::from_pointee(View::empty()),
            writer: Mutex::new(Writer::new()),
            live: AtomicUsize::new(0),
        }
    }

    /// Adds a hash of an item, and says whether it was new.
    ///
    /// Inserting the same pair of hash and item again changes nothing, except that another bank replaces the
    /// one before.
    pub fn insert(&self, hash: &[u8; BYTES], entry: Entry) -> bool {
        self.write(|writer| writer.insert(hash, entry))
    }

    /// Removes a hash of an item; false if it was not there.
    pub fn remove(&self, hash: &[u8; BYTES], item: ItemId) -> bool {
        self.write(|writer| writer.remove(hash, item))
    }

    /// Removes every hash of every item of a bank, all at one moment, and says how many they were.
    pub fn remove_bank(&self, bank: BankId) -> usize {
        self.write(|writer| writer.remove_bank(bank))
    }

    /// Makes the edits in their order and shows them to searches all at once. Says how many changed
    /// something: pairs that were new, and pairs that were removed.
    ///
    /// Loading many hashes is faster by this than one by one.
    pub fn apply(&self, edits: &[Edit<BYTES>]) -> usize {
        self.write(|writer| edits.iter().filter(|edit| writer.edit(edit)).count())
    }

    /// The living hashes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.load(Ordering::Acquire)
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
        let view = self.view.load_full();
        let moment = view.now();
        RadiusSnapshot { view, moment }
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

    /// Edits, publishes, and only then lets the next writer in.
    fn write<T>(&self, edit: impl FnOnce(&mut Writer<BYTES>) -> T) -> T {
        let mut writer = self.lock_writer();
        let outcome = edit(&mut writer);
        writer.publish(&self.view);
        self.live.store(writer.live(), Ordering::Release);
        outcome
    }

    fn lock_writer(&self) -> MutexGuard<'_, Writer<BYTES>> {
        self.writer.lock().expect("no writer panics, unless the index overflows")
    }
}

/// A [`RadiusIndex`] as it was at one moment: later edits do not show.
///
/// Cheap to take and to keep: it holds what the index held then, rows that have died since included, until it is
/// dropped.
pub struct RadiusSnapshot<const BYTES: usize> {
    view: Arc<View<BYTES>>,
    moment: Moment,
}

impl<const BYTES: usize> RadiusSnapshot<BYTES> {
    /// Every hash within `radius` of each query, in the order of [`Hit`]; one answer for each query, all as
    /// of the same moment. A radius above the length of a hash finds everything.
    ///
    /// Makes one pass over memory, whatever the number of queries. The number of hits is not bounded here: a
    /// bank may hold one hash a million times.
    pub fn search(
        &self,
        queries: &[[u8; BYTES]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        let mut answers = vec![Vec::new(); queries.len()];
        self.scan(
            queries,
            filter,
            cancel,
            &mut answers,
            |_| Some(u32::from(radius.0)),
            |hits, hit| hits.push(hit),
        )?;
        for hits in &mut answers {
            hits.sort_unstable();
        }
        Ok(answers)
    }

    /// The `k` hashes nearest to each query, fewer if the index holds fewer, in the order of [`Hit`]; one
    /// answer for each query, all as of the same moment.
    ///
    /// Of several equally far the least items are taken. Meant for `k` of 1 to 1,000.
    pub fn nearest(
        &self,
        queries: &[[u8; BYTES]],
        k: usize,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        let mut answers: Vec<Nearest> = queries.iter().map(|_| Nearest::new(k)).collect();
        self.scan(queries, filter, cancel, &mut answers, Nearest::reach, Nearest::offer)?;
        Ok(answers.into_iter().map(Nearest::into_hits).collect())
    }

    /// Passes every block by every query. `reach` says before each block how far a hit may lie to be of use
    /// to an answer, `take` adds a hit to it.
    fn scan<A>(
        &self,
        queries: &[[u8; BYTES]],
        filter: &BankFilter,
        cancel: &Cancellation,
        answers: &mut [A],
        reach: impl Fn(&A) -> Option<u32>,
        take: impl Fn(&mut A, Hit),
    ) -> Result<(), Cancelled> {
        let mut checkpoint = Checkpoint::begin(cancel)?;
        let queries: Vec<Words> = queries.iter().map(words_of).collect();
        let mut found: Vec<Candidate> = Vec::new();
        let moment = self.moment;
        for (block, rows) in self.view.blocks_at(moment) {
            let planes = Planes {
                words: block.planes(),
                stride: block.capacity(),
                word_count: word_count(BYTES),
                rows,
            };
            for (query, answer) in queries.iter().zip(&mut *answers) {
                checkpoint.spend(rows)?;
                let Some(radius) = reach(answer) else { continue };
                kernel::scan(planes, query, radius, &mut found);
                for &Candidate { row, distance } in &found {
                    if filter.contains(block.bank(row)) && block.lives_at(row, moment.removals) {
                        let distance =
                            Distance(u16::try_from(distance).expect("a hash has at most 512 bits"));
                        take(answer, Hit { entry: block.entry(row), distance });
                    }
                }
            }
        }
        Ok(())
    }
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
    use crate::writer::BLOCK_ROWS;

    fn entry(item: u64, bank: u32) -> Entry {
        Entry { item: ItemId(item), bank: BankId(bank) }
    }

    fn rows_held(index: &RadiusIndex<8>) -> usize {
        index.lock_writer().rows_held()
    }

    #[test]
    fn rows_never_exceed_twice_the_living_and_one_block() {
        let index = RadiusIndex::<8>::new();
        let hash = |item: u64| item.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
        for item in 0..50_000 {
            index.insert(&hash(item), entry(item, 1));
        }
        for item in (0..50_000).map(|at| at * 7_919 % 50_000) {
            assert!(index.remove(&hash(item), ItemId(item)));
            assert!(rows_held(&index) <= 2 * index.len() + BLOCK_ROWS, "with {} alive", index.len());
        }
        assert!(index.is_empty());
    }

    #[test]
    fn one_hash_inserted_and_removed_for_ever_takes_two_blocks_at_most() {
        let index = RadiusIndex::<8>::new();
        for _ in 0..20 * BLOCK_ROWS {
            assert!(index.insert(&[7; 8], entry(1, 1)));
            assert!(index.remove(&[7; 8], ItemId(1)));
        }
        assert!(rows_held(&index) <= 2 * BLOCK_ROWS);
    }

    #[test]
    fn a_deleted_bank_gives_its_memory_back() {
        let index = RadiusIndex::<8>::new();
        let edits: Vec<_> = (0..100_000_u64)
            .map(|item| Edit::Insert(item.to_le_bytes(), entry(item, u32::from(item % 10 == 0))))
            .collect();
        assert_eq!(index.apply(&edits), 100_000);
        assert_eq!(index.remove_bank(BankId(0)), 90_000);
        assert_eq!(index.len(), 10_000);
        assert!(rows_held(&index) <= 2 * 10_000 + BLOCK_ROWS);
        assert_eq!(index.remove_bank(BankId(0)), 0);
    }

    #[test]
    fn debug_shows_no_hash() {
        let index = RadiusIndex::<8>::new();
        index.insert(&[0xab; 8], entry(1, 1));
        assert_eq!(format!("{index:?}"), "RadiusIndex { bytes: 8, len: 1, .. }");
    }
}
