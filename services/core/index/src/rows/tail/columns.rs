//! The rows of a tail: their columns, the lists that lead to them, and how they are read.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, Ordering::Relaxed};

use vigie_model::{BankId, ItemId};

use super::keys::Keys;
use crate::question::cancel::{Cancelled, Checkpoint};
use crate::question::entry::Entry;
use crate::rows::segment_file::Cells;
use crate::rows::tombstones::{DeadRows, SourceId};

/// Rows of a full tail. Filling one takes two minutes at 1,000 inserts a second, and making a segment of it a
/// tenth of a second.
/// (Tests make do with a smaller one, so that they see tails fill and segments merge.)
pub(crate) const TAIL_ROWS: usize = if cfg!(test) { 1 << 12 } else { 1 << 17 };

/// Rows of a block, the step by which a tail's memory grows.
pub(super) const BLOCK_ROWS: usize = if cfg!(test) { 256 } else { 2_048 };

/// From so many rows on, rows are filed in lists; a scan of fewer is as quick.
pub(super) const LISTS_FROM: usize = BLOCK_ROWS;

/// Rows in memory, appended by one writer and read by anyone.
pub(crate) struct Tail<const BYTES: usize> {
    pub(crate) id: SourceId,
    pub(crate) dead: DeadRows,
    pub(super) keys: Keys,
    blocks: Box<[OnceLock<Block>]>,
    /// Made by the row that fills the first block.
    pub(super) lists: OnceLock<Lists>,
}

/// [`BLOCK_ROWS`] rows.
pub(super) struct Block {
    /// Row after row.
    words: Box<[AtomicU64]>,
    items: Box<[AtomicU64]>,
    banks: Box<[AtomicU32]>,
    /// For a filed row the newest of the rows with the same hash, for such a row the one before it; as a
    /// row's number plus one, 0 at the end.
    pub(super) copies: Box<[AtomicU32]>,
}

/// The lists of all keys. They are looked into at random, so they lie in huge pages where there are such.
pub(super) struct Lists {
    /// For each key its lists: a [`Link`] to the newest row of each.
    pub(super) heads: Cells,
    /// For each row and key a [`Link`] to the next row of the list.
    pub(super) nodes: Cells,
}

/// Leads to a row of a list, and tells the 32 bits of it that are compared first.
#[derive(Clone, Copy)]
pub(super) struct Link {
    /// The row's number plus one, 0 for an empty list; and [`Self::LAST`].
    to: u32,
    pub(super) check: u32,
}

impl Link {
    /// The row is the last of its list, so that its node need not be looked at.
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
        self.blocks[row / BLOCK_ROWS].get().expect("a row that is asked for was written")
    }

    /// Whether the row was written, or is in a block where rows are written.
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

    /// Where it lies in memory, for tests that damage it there.
    pub(crate) fn memory(&self) -> Vec<std::ops::Range<usize>> {
        fn place<T>(cells: &[T]) -> std::ops::Range<usize> {
            let start = cells.as_ptr().addr();
            start..start + size_of_val(cells)
        }
        let block = |block: &Block| {
            [place(&block.words), place(&block.items), place(&block.banks), place(&block.copies)]
        };
        let lists = |lists: &Lists| [place(lists.heads.get()), place(lists.nodes.get())];
        let blocks = self.blocks.iter().filter_map(OnceLock::get).flat_map(block);
        blocks.chain(self.lists.get().into_iter().flat_map(lists)).collect()
    }

    /// Memory taken, the lists included.
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
        // Nodes are pages that the system gives as they are written to.
        let nodes = blocks * BLOCK_ROWS * self.keys.count() * size_of::<AtomicU64>();
        sum + self.lists.get().map_or(0, |lists| size_of_val(lists.heads.get()) + nodes)
    }

    /// Compares every one of the first `rows` rows. `reach` says before each block how far a row may lie to
    /// be of use.
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

    /// The first `rows` rows whose hash equals this one, the dead ones too, until `found` says that it has enough.
    pub(crate) fn lookup(&self, rows: usize, hash: &[u8; BYTES], mut found: impl FnMut(u32) -> bool) {
        let Some(lists) = self.lists.get() else {
            let words = words_of(hash);
            let mut equal = (0..rows).filter(|&row| distance(self.words(row), &words) == 0);
            let _enough = equal.all(|row| found(number_of(row)));
            return;
        };
        let (list, check) = self.keys.of(hash).next().expect("a hash has a key");
        let words = words_of(hash);
        let mut link = Link::unpack(lists.heads.get()[list].load(Ordering::Acquire));
        // Lists go from newer rows to older ones. One that leads back is damaged, and would have no end.
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

    /// A filed row and those with the same hash, as far as they are among the first `rows`, until `found` has enough.
    pub(super) fn each_copy(&self, filed: usize, rows: usize, mut found: impl FnMut(u32) -> bool) {
        let (mut row, mut newer) = (filed, usize::MAX);
        loop {
            if row < rows && !found(number_of(row)) {
                return;
            }
            let copy = self.block(row).copies[row % BLOCK_ROWS].load(Ordering::Acquire);
            // From the newest copy to the oldest: one that leads back is damaged, and would have no end.
            let Some(next) = copy.checked_sub(1).filter(|&next| (next as usize) < newer) else { return };
            row = next as usize;
            newer = row;
        }
    }

    /// Fills a row's columns.
    pub(super) fn write(&self, row: usize, hash: &[u8; BYTES], entry: Entry) {
        let block = self.blocks[row / BLOCK_ROWS].get_or_init(|| Block::new(Self::WORDS));
        let at = row % BLOCK_ROWS;
        for (cell, word) in block.words[at * Self::WORDS..][..Self::WORDS].iter().zip(words_of(hash)) {
            cell.store(word, Relaxed);
        }
        block.items[at].store(entry.item.0, Relaxed);
        block.banks[at].store(entry.bank.0, Relaxed);
    }

    /// Files a row under its keys, in lists that nobody reads yet or that it is ready for.
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

/// `count` atomics that are zero.
fn zeros<T: Default>(count: usize) -> Box<[T]> {
    (0..count).map(|_| T::default()).collect()
}

#[inline]
pub(super) fn number_of(row: usize) -> u32 {
    u32::try_from(row).expect("a tail has fewer than 2^32 rows")
}

/// The hash as little-endian words, the last one filled up with zeros.
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
