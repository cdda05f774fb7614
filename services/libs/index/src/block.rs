//! A fixed number of rows: hashes, what they lead to, and when they died.
//!
//! One array for each column, and the hash itself cut into 64-bit words with one array (a *plane*) for each
//! word: a scan reads a plane or two of most rows and touches nothing else.
//!
//! **A row is written once.** Its slot is never used for another hash, and a removal only adds a stamp. The
//! writer (there is one at a time) fills row n, publishes through a [`crate::moment::MomentCell`] that row n
//! exists, and does not touch it again, so readers may read it without further care. The cells are atomics
//! with relaxed loads and stores, which are plain moves on every machine, because safe Rust has no other way
//! to share memory that one thread still writes to, next to what others read.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use vigie_model::{BankId, ItemId};

use crate::entry::Entry;

/// Words of the longest hash, 64 bytes.
pub(crate) const WORDS_MAX: usize = 8;

/// A hash as the words that are compared. The last one is filled up with zeros, as are those not used.
pub(crate) type Words = [u64; WORDS_MAX];

/// The number of words of a hash of `bytes` bytes.
pub(crate) const fn word_count(bytes: usize) -> usize {
    bytes.div_ceil(8)
}

pub(crate) fn words_of<const BYTES: usize>(hash: &[u8; BYTES]) -> Words {
    const { assert!(BYTES >= 1 && BYTES <= 64, "a hash has 1 to 64 bytes") };
    let mut words = [0; WORDS_MAX];
    for (word, bytes) in words.iter_mut().zip(hash.chunks(8)) {
        let mut filled = [0; 8];
        filled[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_le_bytes(filled);
    }
    words
}

/// Rows of hashes of `BYTES` bytes, filled from the first to the last.
pub(crate) struct Block<const BYTES: usize> {
    capacity: usize,
    /// Plane after plane, `capacity` words each.
    words: Box<[AtomicU64]>,
    items: Box<[AtomicU64]>,
    banks: Box<[AtomicU32]>,
    /// For each row the number of the removal that ended it, 0 while it lives. Allocated by the first
    /// removal.
    deaths: OnceLock<Box<[AtomicU64]>>,
}

impl<const BYTES: usize> Block<BYTES> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            words: zeros(capacity * word_count(BYTES)),
            items: zeros(capacity),
            banks: zeros(capacity),
            deaths: OnceLock::new(),
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Fills a row that no reader knows of yet.
    pub(crate) fn write(&self, row: usize, hash: &[u8; BYTES], entry: Entry) {
        for (word, plane) in words_of(hash).iter().zip(self.words.chunks_exact(self.capacity)) {
            plane[row].store(*word, Relaxed);
        }
        self.items[row].store(entry.item.0, Relaxed);
        self.banks[row].store(entry.bank.0, Relaxed);
    }

    /// The planes, `capacity` words each.
    pub(crate) fn planes(&self) -> &[AtomicU64] {
        &self.words
    }

    pub(crate) fn hash(&self, row: usize) -> [u8; BYTES] {
        let mut hash = [0; BYTES];
        for (bytes, plane) in hash.chunks_mut(8).zip(self.words.chunks_exact(self.capacity)) {
            bytes.copy_from_slice(&plane[row].load(Relaxed).to_le_bytes()[..bytes.len()]);
        }
        hash
    }

    /// Whether the row's hash is this one.
    #[inline]
    pub(crate) fn equals(&self, row: usize, words: &Words) -> bool {
        let mut planes = self.words.chunks_exact(self.capacity).zip(words);
        planes.all(|(plane, word)| plane[row].load(Relaxed) == *word)
    }

    #[inline]
    pub(crate) fn entry(&self, row: usize) -> Entry {
        Entry { item: self.item(row), bank: self.bank(row) }
    }

    #[inline]
    pub(crate) fn item(&self, row: usize) -> ItemId {
        ItemId(self.items[row].load(Relaxed))
    }

    #[inline]
    pub(crate) fn bank(&self, row: usize) -> BankId {
        BankId(self.banks[row].load(Relaxed))
    }

    /// Stamps a row as ended by the removal of this number, which is above 0 and not published yet.
    pub(crate) fn end(&self, row: usize, removal: u64) {
        self.deaths.get_or_init(|| zeros(self.capacity))[row].store(removal, Relaxed);
    }

    /// Whether the row had not ended when `removals` removals had been made.
    ///
    /// If one of those ended it, then the `Acquire` load that told this reader of `removals` made both the
    /// allocation of the stamps and the stamp visible.
    #[inline]
    pub(crate) fn lives_at(&self, row: usize, removals: u64) -> bool {
        self.deaths.get().is_none_or(|deaths| {
            let death = deaths[row].load(Relaxed);
            death == 0 || death > removals
        })
    }

    /// Whether the row has not ended at all, as only the writer may ask.
    pub(crate) fn lives(&self, row: usize) -> bool {
        self.lives_at(row, u64::MAX)
    }
}

/// `count` atomics that are zero.
pub(crate) fn zeros<T: Default>(count: usize) -> Box<[T]> {
    (0..count).map(|_| T::default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_a_row_reads_back<const BYTES: usize>() {
        let block = Block::<BYTES>::new(3);
        let hash = std::array::from_fn(|byte| u8::try_from(byte).unwrap() + 1);
        let entry = Entry { item: ItemId(u64::MAX - 1), bank: BankId(u32::MAX) };
        block.write(1, &hash, entry);
        assert_eq!((block.hash(1), block.entry(1)), (hash, entry));
        assert!(block.equals(1, &words_of(&hash)));
        for byte in 0..BYTES {
            let mut other = hash;
            other[byte] ^= 0x80;
            assert!(!block.equals(1, &words_of(&other)), "byte {byte} of {BYTES}");
        }
    }

    #[test]
    fn a_row_of_any_length_reads_back() {
        check_a_row_reads_back::<1>();
        check_a_row_reads_back::<8>();
        check_a_row_reads_back::<12>();
        check_a_row_reads_back::<16>();
        check_a_row_reads_back::<32>();
        check_a_row_reads_back::<64>();
    }

    #[test]
    fn an_ended_row_is_still_seen_by_who_came_before() {
        let block = Block::<8>::new(2);
        assert!(block.lives(0));
        block.end(0, 5);
        assert!(block.lives_at(0, 4));
        assert!(!block.lives_at(0, 5) && !block.lives_at(0, 6) && !block.lives(0));
        assert!(block.lives(1));
    }
}
