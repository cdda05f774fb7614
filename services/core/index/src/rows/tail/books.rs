//! The writer's records of a tail.

use std::sync::atomic::{Ordering, Ordering::Relaxed};

use vigie_model::ItemId;

use super::columns::{BLOCK_ROWS, LISTS_FROM, Lists, TAIL_ROWS, Tail, distance, number_of, words_of};
use super::keys::LISTS;
use crate::question::entry::Entry;
use crate::rows::locator::Locator;
use crate::rows::segment_file::Cells;

/// The writer's records of a tail: the number of rows, and the row of each pair of hash and item.
pub(crate) struct TailBooks<const BYTES: usize> {
    rows: usize,
    pairs: Locator,
    /// The filed row of each hash.
    filed: Locator,
}

impl<const BYTES: usize> TailBooks<BYTES> {
    pub(crate) fn new() -> Self {
        Self { rows: 0, pairs: Locator::default(), filed: Locator::default() }
    }

    pub(crate) const fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of live rows.
    pub(crate) fn live(&self) -> usize {
        self.pairs.len()
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.rows == TAIL_ROWS
    }

    pub(crate) fn bytes(&self) -> usize {
        self.pairs.bytes() + self.filed.bytes()
    }

    /// Returns the live row of this pair.
    pub(crate) fn find(&self, tail: &Tail<BYTES>, hash: &[u8; BYTES], item: ItemId) -> Option<usize> {
        let words = words_of(hash);
        let is_it = |row: u32| {
            let row = row as usize;
            tail.item(row) == item && distance(tail.words(row), &words) == 0
        };
        self.pairs.find(self.pairs.fingerprint(hash, item), is_it).map(|row| row as usize)
    }

    /// Appends a row for a pair that has no live row. The tail must not be full.
    pub(crate) fn append(&mut self, tail: &Tail<BYTES>, hash: &[u8; BYTES], entry: Entry) {
        let row = self.rows;
        tail.write(row, hash, entry);
        self.rows += 1;
        self.pairs.insert(self.pairs.fingerprint(hash, entry.item), number_of(row));
        match self.filed_row(tail, hash) {
            Some(filed) => {
                let newest = &tail.block(filed).copies[filed % BLOCK_ROWS];
                tail.block(row).copies[row % BLOCK_ROWS].store(newest.load(Relaxed), Relaxed);
                newest.store(number_of(row) + 1, Ordering::Release);
            }
            None => {
                self.filed.insert(self.filed.fingerprint(hash, ItemId(0)), number_of(row));
                match tail.lists.get() {
                    Some(lists) => tail.file(lists, row, hash),
                    None if self.rows < LISTS_FROM => {}
                    None => self.begin_lists(tail),
                }
            }
        }
    }

    /// Removes the record of a row that becomes dead.
    pub(crate) fn forget(&mut self, tail: &Tail<BYTES>, row: usize) {
        let fingerprint = self.pairs.fingerprint(&tail.hash(row), tail.item(row));
        self.pairs.remove(fingerprint, number_of(row));
    }

    fn filed_row(&self, tail: &Tail<BYTES>, hash: &[u8; BYTES]) -> Option<usize> {
        let words = words_of(hash);
        let is_it = |row: u32| distance(tail.words(row as usize), &words) == 0;
        self.filed.find(self.filed.fingerprint(hash, ItemId(0)), is_it).map(|row| row as usize)
    }

    /// Files all rows so far, and then publishes the lists to readers.
    fn begin_lists(&self, tail: &Tail<BYTES>) {
        let cells = |count| Cells::new(count).expect("there is memory for the lists of a tail");
        let keys = tail.keys.count();
        let lists = Lists { heads: cells(keys * LISTS), nodes: cells(keys * TAIL_ROWS) };
        for row in 0..self.rows {
            let hash = tail.hash(row);
            if self.filed_row(tail, &hash) == Some(row) {
                tail.file(&lists, row, &hash);
            }
        }
        assert!(tail.lists.set(lists).is_ok(), "one writer makes the lists, once");
    }
}
