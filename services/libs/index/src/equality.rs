//! An index of digests that finds those equal to a query, and is searched while it is written to.
//!
//! A chained hash table that only grows: rows as in `block`, for each row a link to the row before it in its
//! chain, and for each chain its newest row. Inserting puts a row at the head of its chain, whatever the
//! chain holds, so that many items with one digest cost no more than many digests. Removing stamps the row.
//! What a reader sees is decided by the same `moment` as in the radius index; a row that is linked but not
//! published yet lies above the moment's rows and is passed over.
//!
//! When the table is full, or mostly dead, its living rows are copied to a fresh one of twice their number,
//! which is then swapped in. The copy is paid for by the insertions or removals that led to it; who still
//! reads the old table finds it as it was.
//!
//! **Ordering.** A row's columns and its link are written before the chain's head is stored with `Release`,
//! and readers load the head with `Acquire`. Whatever they reach from there through links is older, and so
//! was written before by the same writer.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::iter;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use arc_swap::ArcSwap;
use vigie_model::{BankId, ItemId};

use crate::block::{Block, Words, words_of, zeros};
use crate::entry::{Edit, Entry};
use crate::filter::BankFilter;
use crate::locator::Locator;
use crate::moment::{Moment, MomentCell};

/// Rows of the smallest table.
const ROWS_MIN: usize = 64;

/// Any `u32` of rows. The other 32 bits suffice for removals: each ends a row, and a fresh table counts
/// afresh.
const ROW_BITS: u32 = 32;

/// Digests of `BYTES` bytes (1 to 64) and the items that bear them, found by equality.
///
/// It holds pairs of a digest and an item, the same pair once. Visibility and locking are those of
/// [`crate::RadiusIndex`].
///
/// A row takes `BYTES` (rounded up to 8) + 20 to 24 bytes, and 8 more once the table has seen a removal;
/// there are at most four rows for each living digest (or 128 in all), and for the time of a copy also those
/// of the table before. Finding a row again to remove it takes 10 to 21 bytes. One edit in many copies the
/// table, some 0.3 s for a million digests; lookups go on meanwhile.
pub struct EqualityIndex<const BYTES: usize> {
    table: ArcSwap<Table<BYTES>>,
    writer: Mutex<Writer<BYTES>>,
    live: AtomicUsize,
}

impl<const BYTES: usize> EqualityIndex<BYTES> {
    /// An empty index.
    #[must_use]
    pub fn new() -> Self {
        let table = Arc::new(Table::new(0, RandomState::new()));
        Self {
            writer: Mutex::new(Writer::new(Arc::clone(&table))),
            table: ArcSwap::new(table),
            live: AtomicUsize::new(0),
        }
    }

    /// Adds a digest of an item, and says whether it was new.
    ///
    /// Inserting the same pair of digest and item again changes nothing, except that another bank replaces
    /// the one before.
    pub fn insert(&self, digest: &[u8; BYTES], entry: Entry) -> bool {
        self.write(|writer| writer.insert(digest, entry))
    }

    /// Removes a digest of an item; false if it was not there.
    pub fn remove(&self, digest: &[u8; BYTES], item: ItemId) -> bool {
        self.write(|writer| writer.remove(digest, item))
    }

    /// Removes every digest of every item of a bank, all at one moment, and says how many they were.
    pub fn remove_bank(&self, bank: BankId) -> usize {
        self.write(|writer| writer.remove_bank(bank))
    }

    /// Makes the edits in their order and shows them to lookups all at once. Says how many changed something:
    /// pairs that were new, and pairs that were removed.
    pub fn apply(&self, edits: &[Edit<BYTES>]) -> usize {
        self.write(|writer| edits.iter().filter(|edit| writer.edit(edit)).count())
    }

    /// The living digests, counted once for each item.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.load(Ordering::Acquire)
    }

    /// Whether there is no living digest.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index as it is now, and stays in this view however it changes meanwhile.
    #[must_use]
    pub fn snapshot(&self) -> EqualitySnapshot<BYTES> {
        let table = self.table.load_full();
        let moment = table.moment.read();
        EqualitySnapshot { table, moment }
    }

    /// [`EqualitySnapshot::lookup`] of the index as it is now.
    #[must_use]
    pub fn lookup(&self, queries: &[[u8; BYTES]], filter: &BankFilter) -> Vec<Vec<Entry>> {
        self.snapshot().lookup(queries, filter)
    }

    /// Edits, publishes, and only then lets the next writer in.
    fn write<T>(&self, edit: impl FnOnce(&mut Writer<BYTES>) -> T) -> T {
        let mut writer = self.lock_writer();
        let outcome = edit(&mut writer);
        writer.publish(&self.table);
        self.live.store(writer.locator.len(), Ordering::Release);
        outcome
    }

    fn lock_writer(&self) -> MutexGuard<'_, Writer<BYTES>> {
        self.writer.lock().expect("no writer panics, unless the index overflows")
    }
}

impl<const BYTES: usize> Default for EqualityIndex<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows how much it holds, never a digest.
impl<const BYTES: usize> fmt::Debug for EqualityIndex<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EqualityIndex")
            .field("bytes", &BYTES)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// An [`EqualityIndex`] as it was at one moment: later edits do not show.
///
/// Cheap to take; it keeps the table of that moment until it is dropped.
pub struct EqualitySnapshot<const BYTES: usize> {
    table: Arc<Table<BYTES>>,
    moment: Moment,
}

impl<const BYTES: usize> EqualitySnapshot<BYTES> {
    /// The entries whose digest equals the query, in the order of their items; one answer for each query, all
    /// as of the same moment.
    ///
    /// Costs a few cache misses for each query and for each entry found, so there is nothing to cancel. (A
    /// digest that was removed and inserted again very often is slower until the next copy drops the dead
    /// rows.)
    #[must_use]
    pub fn lookup(&self, queries: &[[u8; BYTES]], filter: &BankFilter) -> Vec<Vec<Entry>> {
        let Self { table, moment } = self;
        let find = |query: &[u8; BYTES]| {
            let mut entries: Vec<Entry> =
                table.find(query, *moment).filter(|entry| filter.contains(entry.bank)).collect();
            entries.sort_unstable();
            entries
        };
        queries.iter().map(find).collect()
    }
}

impl<const BYTES: usize> fmt::Debug for EqualitySnapshot<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EqualitySnapshot").field("bytes", &BYTES).finish_non_exhaustive()
    }
}

/// What one lookup reads.
struct Table<const BYTES: usize> {
    rows: Block<BYTES>,
    /// For each row the one before it in its chain, as its number plus one; 0 at the end of the chain.
    links: Box<[AtomicU32]>,
    /// For each chain its newest row, likewise.
    heads: Box<[AtomicU32]>,
    /// Keyed at random, so that nobody can prepare digests that all share a chain.
    keys: RandomState,
    moment: MomentCell<ROW_BITS>,
}

impl<const BYTES: usize> Table<BYTES> {
    /// With room for `live` rows and as many again.
    fn new(live: usize, keys: RandomState) -> Self {
        let capacity = (live * 2).max(ROWS_MIN);
        Self {
            rows: Block::new(capacity),
            links: zeros(capacity),
            heads: zeros(capacity.next_power_of_two()),
            keys,
            moment: MomentCell::new(Moment { removals: 0, rows: 0 }),
        }
    }

    fn head_of(&self, words: &Words) -> &AtomicU32 {
        let chain = self.keys.hash_one(words) & (self.heads.len() as u64 - 1);
        &self.heads[usize::try_from(chain).expect("below the number of chains")]
    }

    fn append(&self, row: usize, digest: &[u8; BYTES], entry: Entry) {
        self.rows.write(row, digest, entry);
        let head = self.head_of(&words_of(digest));
        self.links[row].store(head.load(Ordering::Relaxed), Ordering::Relaxed);
        head.store(link_to(row), Ordering::Release);
    }

    fn find(&self, digest: &[u8; BYTES], moment: Moment) -> impl Iterator<Item = Entry> {
        let words = words_of(digest);
        let newest = row_at(self.head_of(&words).load(Ordering::Acquire));
        iter::successors(newest, |&row| row_at(self.links[row].load(Ordering::Relaxed)))
            .filter(move |&row| {
                row < moment.rows && self.rows.equals(row, &words) && self.rows.lives_at(row, moment.removals)
            })
            .map(|row| self.rows.entry(row))
    }
}

struct Writer<const BYTES: usize> {
    /// The table that is published or, after `replaced`, will be.
    table: Arc<Table<BYTES>>,
    rows: usize,
    locator: Locator,
    /// The last number that a published removal of this table bears.
    removals: u64,
    /// Rows were ended since the last publication; they bear the number after `removals`.
    ended: bool,
    replaced: bool,
}

impl<const BYTES: usize> Writer<BYTES> {
    fn new(table: Arc<Table<BYTES>>) -> Self {
        Self { table, rows: 0, locator: Locator::default(), removals: 0, ended: false, replaced: false }
    }

    fn edit(&mut self, edit: &Edit<BYTES>) -> bool {
        match edit {
            Edit::Insert(digest, entry) => self.insert(digest, *entry),
            Edit::Remove(digest, item) => self.remove(digest, *item),
        }
    }

    fn insert(&mut self, digest: &[u8; BYTES], entry: Entry) -> bool {
        let fingerprint = self.locator.fingerprint(digest, entry.item);
        let known = self.find(fingerprint, digest, entry.item);
        if let Some(row) = known {
            if self.table.rows.bank(row) == entry.bank {
                return false;
            }
            self.end(row, fingerprint);
        }
        if self.rows == self.table.rows.capacity() {
            self.replace_table();
        }
        self.table.append(self.rows, digest, entry);
        self.locator.insert(fingerprint, slot_of(self.rows));
        self.rows += 1;
        known.is_none()
    }

    fn remove(&mut self, digest: &[u8; BYTES], item: ItemId) -> bool {
        let fingerprint = self.locator.fingerprint(digest, item);
        let found = self.find(fingerprint, digest, item);
        if let Some(row) = found {
            self.end(row, fingerprint);
        }
        found.is_some()
    }

    fn remove_bank(&mut self, bank: BankId) -> usize {
        let live_before = self.locator.len();
        let table = Arc::clone(&self.table);
        for row in (0..self.rows).filter(|&row| table.rows.bank(row) == bank && table.rows.lives(row)) {
            self.end(row, self.locator.fingerprint(&table.rows.hash(row), table.rows.item(row)));
        }
        live_before - self.locator.len()
    }

    /// Makes everything since the last publication visible at once.
    fn publish(&mut self, published: &ArcSwap<Table<BYTES>>) {
        if self.rows > ROWS_MIN && self.locator.len() * 2 < self.rows {
            self.replace_table();
        }
        self.removals += u64::from(std::mem::take(&mut self.ended));
        self.table.moment.publish(Moment { removals: self.removals, rows: self.rows });
        if std::mem::take(&mut self.replaced) {
            published.store(Arc::clone(&self.table));
        }
    }

    /// Goes on in a fresh table that holds the living rows only.
    ///
    /// The removals not published yet need no number any more: the fresh table does not hold their rows, and
    /// the old one's moment never changes again.
    fn replace_table(&mut self) {
        let old = Arc::clone(&self.table);
        let fresh = Table::new(self.locator.len(), old.keys.clone());
        let mut moved_to = vec![0; self.rows];
        let mut rows = 0;
        for row in (0..self.rows).filter(|&row| old.rows.lives(row)) {
            fresh.append(rows, &old.rows.hash(row), old.rows.entry(row));
            moved_to[row] = slot_of(rows);
            rows += 1;
        }
        self.locator.relocate_all(|slot| moved_to[slot as usize]);
        self.locator.trim();
        self.table = Arc::new(fresh);
        self.rows = rows;
        self.removals = 0;
        self.ended = false;
        self.replaced = true;
    }

    fn end(&mut self, row: usize, fingerprint: u32) {
        self.table.rows.end(row, self.removals + 1);
        self.locator.remove(fingerprint, slot_of(row));
        self.ended = true;
    }

    fn find(&self, fingerprint: u32, digest: &[u8; BYTES], item: ItemId) -> Option<usize> {
        let (words, rows) = (words_of(digest), &self.table.rows);
        let is_it = |slot| rows.item(slot as usize) == item && rows.equals(slot as usize, &words);
        self.locator.find(fingerprint, is_it).map(|slot| slot as usize)
    }
}

/// Links name a row by its number plus one, so the last number of a `u32` stays unused.
fn slot_of(row: usize) -> u32 {
    u32::try_from(row).ok().filter(|&slot| slot < u32::MAX).expect("one index holds fewer than 2^32 - 1 rows")
}

fn link_to(row: usize) -> u32 {
    slot_of(row) + 1
}

fn row_at(link: u32) -> Option<usize> {
    link.checked_sub(1).map(|row| row as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_never_exceed_four_times_the_living_but_for_the_smallest_table() {
        let index = EqualityIndex::<16>::new();
        let digest = |item: u64| u128::from(item).to_le_bytes();
        let check = || {
            let capacity = index.table.load().rows.capacity();
            assert!(capacity <= (4 * index.len()).max(2 * ROWS_MIN), "{capacity} for {}", index.len());
        };
        for item in 0..20_000 {
            index.insert(&digest(item), Entry { item: ItemId(item), bank: BankId(1) });
            check();
        }
        for item in (0..20_000).map(|at| at * 7_919 % 20_000) {
            assert!(index.remove(&digest(item), ItemId(item)));
            check();
        }
        assert!(index.is_empty());
    }

    #[test]
    fn debug_shows_no_digest() {
        let index = EqualityIndex::<8>::new();
        index.insert(&[0xab; 8], Entry { item: ItemId(1), bank: BankId(1) });
        assert_eq!(format!("{index:?}"), "EqualityIndex { bytes: 8, len: 1, .. }");
    }
}
