//! The rows of a tail: their columns, the lists that lead to them, and how they are read.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, Ordering::Relaxed};

use vigie_model::{BankId, ItemId};

use super::keys::Keys;
use crate::question::cancel::{Cancelled, Checkpoint};
use crate::question::entry::Entry;
use crate::rows::segment_file::Cells;
use crate::rows::tombstones::{DeadRows, SourceId};

/// The number of rows of a full tail. A tail is full after two minutes at 1,000 inserts a second.
/// Turning it into a segment takes a tenth of a second. (Tests use a smaller tail, so that tails fill and
/// segments merge in them.)
pub(crate) const TAIL_ROWS: usize = if cfg!(test) { 1 << 12 } else { 1 << 17 };

/// The number of rows in a block, by which a tail's memory grows.
pub(super) const BLOCK_ROWS: usize = if cfg!(test) { 256 } else { 2_048 };

/// From this number of rows on, rows are filed in lists; a scan of fewer rows is as fast.
pub(super) const LISTS_FROM: usize = BLOCK_ROWS;

/// Rows in memory, appended by one writer and read by any number of threads.
pub(crate) struct Tail<const BYTES: usize> {
    pub(crate) id: SourceId,
    pub(crate) dead: DeadRows,
    pub(super) keys: Keys,
    blocks: Box<[OnceLock<Block>]>,
    /// Created when the first block is full, by the next row with a new hash.
    pub(super) lists: OnceLock<Lists>,
}

/// A block of [`BLOCK_ROWS`] rows.
pub(super) struct Block {
    /// The hashes, row after row.
    words: Box<[AtomicU64]>,
    items: Box<[AtomicU64]>,
    banks: Box<[AtomicU32]>,
    /// Links rows with the same hash: the filed row to its newest copy, each copy to the copy before it. A
    /// link is the row's number plus one; 0 ends the list.
    pub(super) copies: Box<[AtomicU32]>,
}

/// The lists of all keys. They are read at random positions, so huge pages are requested for them.
pub(super) struct Lists {
    /// For each key its lists: a [`Link`] to the newest row of each list.
    pub(super) heads: Cells,
    /// For each row and key a [`Link`] to the next row of the list.
    pub(super) nodes: Cells,
}

/// A link to a row of a list, with the 32 bits of the row that are compared first.
#[derive(Clone, Copy)]
pub(super) struct Link {
    /// The row's number plus one, 0 for an empty list; combined with [`Self::LAST`].
    to: u32,
    pub(super) check: u32,
}

impl Link {
    /// The flag of the last row in its list, whose node need not be read.
    const LAST: u32 = 1 << 31;

    #[inline(always)]
    const fn pack(self) -> u64 {
        self.to as u64 | (self.check as u64) << 32
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "each half is a u32")]
    pub(super) const fn unpack(packed: u64) -> Self {
        Self { to: packed as u32, check: (packed >> 32) as u32 }
    }

    #[inline(always)]
    pub(super) const fn is_empty(self) -> bool {
        self.to == 0
    }

    #[inline(always)]
    pub(super) const fn row(self) -> usize {
        (self.to & !Self::LAST) as usize - 1
    }

    #[inline(always)]
    pub(super) const fn is_last(self) -> bool {
        self.to & Self::LAST != 0
    }
}

impl<const BYTES: usize> Tail<BYTES> {
    const WORDS: usize = BYTES.div_ceil(8);

    pub(crate) fn new(id: SourceId, keys: Keys) -> Self {
        const { assert!(BYTES >= 8 && BYTES <= 64 && BYTES.is_multiple_of(4), "8 to 64 bytes, a multiple of 4") };
        Self {
            id,
            dead: DeadRows::none_of(TAIL_ROWS),
            keys,
            blocks: (0..TAIL_ROWS / BLOCK_ROWS).map(|_| OnceLock::new()).collect(),
            lists: OnceLock::new(),
        }
    }

    #[inline]
    pub(super) fn block(&self, row: usize) -> &Block {
        self.blocks[row / BLOCK_ROWS].get().expect("only written rows are read")
    }

    /// Returns whether the block of the row exists: true for every written row, and for the other rows of the
    /// newest block.
    pub(super) fn has(&self, row: usize) -> bool {
        self.blocks.get(row / BLOCK_ROWS).is_some_and(|block| block.get().is_some())
    }

    pub(crate) fn hash(&self, row: usize) -> [u8; BYTES] {
        let mut hash = [0; BYTES];
        for (bytes, word) in hash.chunks_mut(8).zip(self.words(row)) {
            bytes.copy_from_slice(&word.load(Relaxed).to_le_bytes()[..bytes.len()]);
        }
        hash
    }

    #[inline(always)]
    pub(super) fn words(&self, row: usize) -> &[AtomicU64] {
        &self.block(row).words[row % BLOCK_ROWS * Self::WORDS..][..Self::WORDS]
    }

    pub(crate) fn item(&self, row: usize) -> ItemId {
        ItemId(self.block(row).items[row % BLOCK_ROWS].load(Relaxed))
    }

    pub(crate) fn bank(&self, row: usize) -> BankId {
        BankId(self.block(row).banks[row % BLOCK_ROWS].load(Relaxed))
    }

    pub(crate) fn entry(&self, row: usize) -> Entry {
        Entry { item: self.item(row), bank: self.bank(row) }
    }

    /// Returns the memory ranges of the rows, for tests that corrupt this memory.
    pub(crate) fn memory(&self) -> Vec<std::ops::Range<usize>> {
        fn range_of<T>(cells: &[T]) -> std::ops::Range<usize> {
            let start = cells.as_ptr().addr();
            start..start + size_of_val(cells)
        }
        let block = |block: &Block| {
            [range_of(&block.words), range_of(&block.items), range_of(&block.banks), range_of(&block.copies)]
        };
        let lists = |lists: &Lists| [range_of(lists.heads.get()), range_of(lists.nodes.get())];
        let blocks = self.blocks.iter().filter_map(OnceLock::get).flat_map(block);
        blocks.chain(self.lists.get().into_iter().flat_map(lists)).collect()
    }

    /// Returns the memory of the tail in bytes, including its lists.
    pub(crate) fn bytes(&self) -> usize {
        let block = |block: &Block| {
            let links = size_of_val(&*block.banks) + size_of_val(&*block.copies);
            size_of_val(&*block.words) + size_of_val(&*block.items) + links
        };
        let (mut blocks, mut sum) = (0, self.dead.bytes());
        for one in self.blocks.iter().filter_map(OnceLock::get) {
            blocks += 1;
            sum += block(one);
        }
        // The system allocates the pages of nodes when they are written to.
        let nodes = blocks * BLOCK_ROWS * self.keys.count() * size_of::<AtomicU64>();
        sum + self.lists.get().map_or(0, |lists| size_of_val(lists.heads.get()) + nodes)
    }

    /// Compares every one of the first `rows` rows. Before each block, `reach` returns the largest distance
    /// at which a row is still useful.
    #[inline(always)]
    pub(crate) fn scan(
        &self,
        rows: usize,
        query: &[u8; BYTES],
        reach: impl Fn(usize) -> Option<u32>,
        checkpoint: &mut Checkpoint<'_>,
        found: &mut impl FnMut(u32, u32),
    ) -> Result<(), Cancelled> {
        let query = words_of(query);
        for first in (0..rows).step_by(BLOCK_ROWS) {
            let count = BLOCK_ROWS.min(rows - first);
            checkpoint.spend(count)?;
            let Some(radius) = reach(first) else { continue };
            let words = &self.block(first).words[..count * Self::WORDS];
            for (row, words) in (first..).zip(words.chunks_exact(Self::WORDS)) {
                let distance = distance(words, &query);
                if distance <= radius {
                    found(number_of(row), distance);
                }
            }
        }
        Ok(())
    }

    /// Passes on those of the first `rows` rows whose hash equals this one, including dead rows, until
    /// `found` returns false.
    pub(crate) fn lookup(&self, rows: usize, hash: &[u8; BYTES], mut found: impl FnMut(u32) -> bool) {
        let Some(lists) = self.lists.get() else {
            let words = words_of(hash);
            let mut equal = (0..rows).filter(|&row| distance(self.words(row), &words) == 0);
            let _all_passed_on = equal.all(|row| found(number_of(row)));
            return;
        };
        let (list, check) = self.keys.of(hash).next().expect("a hash has a key");
        let words = words_of(hash);
        let mut link = Link::unpack(lists.heads.get()[list].load(Ordering::Acquire));
        // Lists lead from newer rows to older ones. A link to a newer row is damage, and could make the list
        // endless.
        let mut newer = usize::MAX;
        while !link.is_empty() && link.row() < newer {
            let row = link.row();
            newer = row;
            if check == link.check && distance(self.words(row), &words) == 0 {
                return self.each_copy(row, rows, &mut found);
            }
            if link.is_last() {
                return;
            }
            link = Link::unpack(lists.nodes.get()[row * self.keys.count()].load(Relaxed));
        }
    }

    /// Passes on a filed row and the rows with the same hash, among the first `rows`, until `found`
    /// returns false.
    pub(super) fn each_copy(&self, filed: usize, rows: usize, mut found: impl FnMut(u32) -> bool) {
        let (mut row, mut newer) = (filed, usize::MAX);
        loop {
            if row < rows && !found(number_of(row)) {
                return;
            }
            let copy = self.block(row).copies[row % BLOCK_ROWS].load(Ordering::Acquire);
            // Copies lead from the newest to the oldest. A link to a newer row is damage, and could make the
            // list endless.
            let Some(next) = copy.checked_sub(1).filter(|&next| (next as usize) < newer) else { return };
            row = next as usize;
            newer = row;
        }
    }

    /// Fills the columns of a row.
    pub(super) fn write(&self, row: usize, hash: &[u8; BYTES], entry: Entry) {
        let block = self.blocks[row / BLOCK_ROWS].get_or_init(|| Block::new(Self::WORDS));
        let at = row % BLOCK_ROWS;
        for (cell, word) in block.words[at * Self::WORDS..][..Self::WORDS].iter().zip(words_of(hash)) {
            cell.store(word, Relaxed);
        }
        block.items[at].store(entry.item.0, Relaxed);
        block.banks[at].store(entry.bank.0, Relaxed);
    }

    /// Files a row under its keys. If readers already use the lists, the row's columns must have been
    /// written.
    pub(super) fn file(&self, lists: &Lists, row: usize, hash: &[u8; BYTES]) {
        let (heads, nodes) = (lists.heads.get(), lists.nodes.get());
        for (key, (list, check)) in self.keys.of(hash).enumerate() {
            let next = heads[list].load(Relaxed);
            nodes[row * self.keys.count() + key].store(next, Relaxed);
            let last = if Link::unpack(next).is_empty() { Link::LAST } else { 0 };
            heads[list].store(Link { to: (number_of(row) + 1) | last, check }.pack(), Ordering::Release);
        }
    }
}

impl Block {
    fn new(words: usize) -> Self {
        Self {
            words: zeros(BLOCK_ROWS * words),
            items: zeros(BLOCK_ROWS),
            banks: zeros(BLOCK_ROWS),
            copies: zeros(BLOCK_ROWS),
        }
    }
}

/// Returns `count` atomics that are zero.
fn zeros<T: Default>(count: usize) -> Box<[T]> {
    (0..count).map(|_| T::default()).collect()
}

#[inline]
pub(super) fn number_of(row: usize) -> u32 {
    u32::try_from(row).expect("a tail has fewer than 2^32 rows")
}

/// Returns the hash as little-endian words, the last one padded with zeros.
#[inline]
pub(super) fn words_of<const BYTES: usize>(hash: &[u8; BYTES]) -> [u64; 8] {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(hash.chunks(8)) {
        let mut filled = [0; 8];
        filled[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_le_bytes(filled);
    }
    words
}

#[inline(always)]
pub(super) fn distance(words: &[AtomicU64], query: &[u64; 8]) -> u32 {
    words.iter().zip(query).map(|(word, query)| (word.load(Relaxed) ^ query).count_ones()).sum()
}
