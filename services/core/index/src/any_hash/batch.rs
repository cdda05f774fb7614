//! Many hashes of one length as flat bytes: a batch of edits, or rows to be loaded.

use std::fmt;

use vigie_model::ItemId;

use crate::question::entry::Entry;

/// A step of a batch; all steps of a batch become visible at the same moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum HashEdit<'a> {
    /// Adds a hash of an item.
    Insert(&'a [u8], Entry),
    /// Removes a hash of an item.
    Remove(&'a [u8], ItemId),
}

/// Shows the kind of edit and the item, never the hash.
impl fmt::Debug for HashEdit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insert(_, entry) => f.debug_tuple("Insert").field(entry).finish(),
            Self::Remove(_, item) => f.debug_tuple("Remove").field(item).finish(),
        }
    }
}

/// An ordered batch of edits of hashes of one length. A single edit needs no allocation of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct HashEdits {
    bytes: usize,
    hashes: Vec<u8>,
    steps: Vec<Step>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Insert(Entry),
    Remove(ItemId),
}

impl HashEdits {
    /// Creates an empty batch for hashes of `bytes` bytes, which must not be 0.
    #[must_use]
    pub const fn new(bytes: usize) -> Self {
        assert!(bytes > 0, "a hash has at least one byte");
        Self { bytes, hashes: Vec::new(), steps: Vec::new() }
    }

    /// Adds a hash of an item.
    ///
    /// # Panics
    ///
    /// Panics if the hash has another length than the batch.
    pub fn insert(&mut self, hash: &[u8], entry: Entry) {
        self.push(hash, Step::Insert(entry));
    }

    /// Removes a hash of an item.
    ///
    /// # Panics
    ///
    /// Panics if the hash has another length than the batch.
    pub fn remove(&mut self, hash: &[u8], item: ItemId) {
        self.push(hash, Step::Remove(item));
    }

    fn push(&mut self, hash: &[u8], step: Step) {
        assert_eq!(hash.len(), self.bytes, "the length of the batch's hashes");
        self.hashes.extend_from_slice(hash);
        self.steps.push(step);
    }

    /// Returns the length of the batch's hashes, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the number of edits.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.steps.len()
    }

    /// Checks whether there are no edits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Removes all edits and keeps their memory for later ones.
    pub fn clear(&mut self) {
        self.hashes.clear();
        self.steps.clear();
    }

    /// Returns the edits in their order.
    pub fn iter(&self) -> impl Iterator<Item = HashEdit<'_>> {
        self.hashes.chunks_exact(self.bytes).zip(&self.steps).map(|(hash, step)| match *step {
            Step::Insert(entry) => HashEdit::Insert(hash, entry),
            Step::Remove(item) => HashEdit::Remove(hash, item),
        })
    }
}

/// Shows the number of edits, never a hash.
impl fmt::Debug for HashEdits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashEdits")
            .field("bytes", &self.bytes)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Pairs of a hash and its entry, in any order, that are collected to be loaded at once. A single row needs
/// no allocation of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct HashRows {
    bytes: usize,
    hashes: Vec<u8>,
    entries: Vec<Entry>,
}

impl HashRows {
    /// Creates an empty list of rows for hashes of `bytes` bytes, which must not be 0.
    #[must_use]
    pub const fn new(bytes: usize) -> Self {
        assert!(bytes > 0, "a hash has at least one byte");
        Self { bytes, hashes: Vec::new(), entries: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Panics
    ///
    /// Panics if the hash has another length than the rows.
    pub fn push(&mut self, hash: &[u8], entry: Entry) {
        assert_eq!(hash.len(), self.bytes, "the length of the rows' hashes");
        self.hashes.extend_from_slice(hash);
        self.entries.push(entry);
    }

    /// Returns the length of the rows' hashes, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the number of rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Checks whether there are no rows.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the rows in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Entry)> {
        self.hashes.chunks_exact(self.bytes).zip(self.entries.iter().copied())
    }
}

/// Shows the number of rows, never a hash.
impl fmt::Debug for HashRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashRows")
            .field("bytes", &self.bytes)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::BankId;

    use super::*;

    #[test]
    fn a_batch_keeps_order_and_bytes_and_debug_shows_no_hash() {
        let entry = Entry { item: ItemId(7), bank: BankId(1) };
        let mut edits = HashEdits::new(5);
        edits.insert(&[0xab; 5], entry);
        edits.remove(&[0xcd; 5], ItemId(9));
        let expected = [HashEdit::Insert(&[0xab; 5], entry), HashEdit::Remove(&[0xcd; 5], ItemId(9))];
        assert!(edits.iter().eq(expected));
        let mut rows = HashRows::new(5);
        rows.push(&[0xab; 5], entry);
        assert!(rows.iter().eq([(&[0xab; 5][..], entry)]));
        let text = format!("{edits:?} {rows:?} {:?}", edits.iter().collect::<Vec<_>>());
        assert!(
            !text.contains("171") && !text.contains("205") && !text.to_lowercase().contains("ab,"),
            "{text}"
        );
        edits.clear();
        assert!(edits.is_empty() && edits.iter().next().is_none());
    }
}
