//! The definition of a correct answer: a list that is searched from end to end.
//!
//! For tests, here and in other crates. It is slow, and so simple that it can be checked by reading. It has
//! the methods of both indexes, without cancellation.

use std::fmt;
use std::sync::{Mutex, MutexGuard};

use vigie_model::{BankId, Distance, ItemId};

use crate::question::entry::{Edit, Entry, Hit};
use crate::question::filter::BankFilter;

/// All hashes with their entries, in a `Vec` behind a lock.
pub struct LinearScan<const BYTES: usize> {
    rows: Mutex<Vec<([u8; BYTES], Entry)>>,
}

impl<const BYTES: usize> LinearScan<BYTES> {
    /// Creates an empty list.
    #[must_use]
    pub const fn new() -> Self {
        Self { rows: Mutex::new(Vec::new()) }
    }

    /// Adds a hash of an item, and returns whether it was new; otherwise only its bank is replaced.
    pub fn insert(&self, hash: &[u8; BYTES], entry: Entry) -> bool {
        let mut rows = self.rows();
        match rows.iter_mut().find(|row| row.0 == *hash && row.1.item == entry.item) {
            Some(known) => {
                known.1 = entry;
                false
            }
            None => {
                rows.push((*hash, entry));
                true
            }
        }
    }

    /// Removes a hash of an item, and returns whether it was there.
    pub fn remove(&self, hash: &[u8; BYTES], item: ItemId) -> bool {
        self.retain(|row| row.0 != *hash || row.1.item != item) > 0
    }

    /// Removes every hash of a bank, and returns the number of removed hashes.
    pub fn remove_bank(&self, bank: BankId) -> usize {
        self.retain(|row| row.1.bank != bank)
    }

    /// Applies the edits in their order, and returns how many pairs were new or removed.
    pub fn apply(&self, edits: &[Edit<BYTES>]) -> usize {
        let apply = |edit: &&Edit<BYTES>| match edit {
            Edit::Insert(hash, entry) => self.insert(hash, *entry),
            Edit::Remove(hash, item) => self.remove(hash, *item),
        };
        edits.iter().filter(apply).count()
    }

    /// Returns the number of hashes, counted once for each item.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows().len()
    }

    /// Checks whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns every hash within `radius` of each query, in the order of [`Hit`].
    #[must_use]
    pub fn search(&self, queries: &[[u8; BYTES]], radius: Distance, filter: &BankFilter) -> Vec<Vec<Hit>> {
        let mut answers = self.everything(queries, filter);
        for hits in &mut answers {
            hits.retain(|hit| hit.distance <= radius);
        }
        answers
    }

    /// Returns the `k` hashes nearest to each query, in the order of [`Hit`].
    #[must_use]
    pub fn nearest(&self, queries: &[[u8; BYTES]], k: usize, filter: &BankFilter) -> Vec<Vec<Hit>> {
        let mut answers = self.everything(queries, filter);
        for hits in &mut answers {
            hits.truncate(k);
        }
        answers
    }

    /// Returns the entries whose hash equals each query, in their order.
    #[must_use]
    pub fn lookup(&self, queries: &[[u8; BYTES]], filter: &BankFilter) -> Vec<Vec<Entry>> {
        let equal = self.search(queries, Distance(0), filter);
        equal.into_iter().map(|hits| hits.into_iter().map(|hit| hit.entry).collect()).collect()
    }

    fn everything(&self, queries: &[[u8; BYTES]], filter: &BankFilter) -> Vec<Vec<Hit>> {
        let rows = self.rows();
        let against = |query: &[u8; BYTES]| {
            let admitted = rows.iter().filter(|row| filter.contains(row.1.bank));
            let mut hits: Vec<Hit> =
                admitted.map(|row| Hit { entry: row.1, distance: distance(query, &row.0) }).collect();
            hits.sort();
            hits
        };
        queries.iter().map(against).collect()
    }

    fn retain(&self, keep: impl Fn(&([u8; BYTES], Entry)) -> bool) -> usize {
        let mut rows = self.rows();
        let before = rows.len();
        rows.retain(keep);
        before - rows.len()
    }

    fn rows(&self) -> MutexGuard<'_, Vec<([u8; BYTES], Entry)>> {
        self.rows.lock().expect("no method panics with the lock held")
    }
}

impl<const BYTES: usize> Default for LinearScan<BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows counts, never a hash.
impl<const BYTES: usize> fmt::Debug for LinearScan<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinearScan").field("bytes", &BYTES).field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Returns the number of bits in which two hashes differ.
fn distance<const BYTES: usize>(one: &[u8; BYTES], other: &[u8; BYTES]) -> Distance {
    let differing = |(one, other): (&u8, &u8)| (one ^ other).count_ones();
    Distance(one.iter().zip(other).map(differing).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_counts_differing_bits() {
        assert_eq!(distance(&[0b1010, 0xff], &[0b1001, 0x0f]), Distance(6));
        assert_eq!(distance(&[0; 64], &[0xff; 64]), Distance(512));
    }
}
