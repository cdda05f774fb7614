//! The entries that indexes store, and the hits that they return.

use std::cmp::Ordering;
use std::fmt;

use vigie_model::{BankId, Distance, ItemId};

/// The value stored with a hash: the item that has the hash, and the item's bank, which filters need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// The item.
    pub item: ItemId,
    /// The bank that contains the item.
    pub bank: BankId,
}

/// A hash found by a query. An item with several hashes may be found by each of them.
///
/// Hits are ordered by distance, then by item, then by bank: the order of every answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hit {
    /// The entry that was found.
    pub entry: Entry,
    /// The distance between the hash and the query.
    pub distance: Distance,
}

impl Ord for Hit {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.distance, self.entry).cmp(&(other.distance, other.entry))
    }
}

impl PartialOrd for Hit {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A step of a batch; all steps of a batch become visible at the same moment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Edit<const BYTES: usize> {
    /// Adds a hash of an item, as the index's `insert` does.
    Insert([u8; BYTES], Entry),
    /// Removes a hash of an item, as the index's `remove` does.
    Remove([u8; BYTES], ItemId),
}

impl<const BYTES: usize> Edit<BYTES> {
    /// Returns the same edit with another hash.
    pub(crate) fn map_hash(&self, map: impl FnOnce(&[u8; BYTES]) -> [u8; BYTES]) -> Self {
        match self {
            Self::Insert(hash, entry) => Self::Insert(map(hash), *entry),
            Self::Remove(hash, item) => Self::Remove(map(hash), *item),
        }
    }
}

/// Shows the kind of edit and the item, never the hash.
impl<const BYTES: usize> fmt::Debug for Edit<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Insert(_, entry) => f.debug_tuple("Insert").field(entry).finish(),
            Self::Remove(_, item) => f.debug_tuple("Remove").field(item).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_ordered_by_distance_then_item() {
        let hit = |distance, item| Hit {
            entry: Entry { item: ItemId(item), bank: BankId(1) },
            distance: Distance(distance),
        };
        let mut hits = [hit(2, 1), hit(0, 9), hit(2, 0), hit(0, 3)];
        hits.sort_unstable();
        assert_eq!(hits, [hit(0, 3), hit(0, 9), hit(2, 0), hit(2, 1)]);
    }

    #[test]
    fn debug_of_an_edit_shows_no_hash() {
        let entry = Entry { item: ItemId(7), bank: BankId(1) };
        let text = format!("{:?} {:?}", Edit::Insert([0xab; 8], entry), Edit::Remove([0xab; 8], ItemId(7)));
        assert!(!text.contains("171") && !text.to_lowercase().contains("ab,"), "{text}");
        assert!(text.contains("ItemId(7)"));
    }
}
