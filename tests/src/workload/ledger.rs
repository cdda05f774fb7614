//! The record of acknowledged writes, against which the cluster's answers are checked.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::{Rng, RngExt as _};
use vigie_model::{Hash, ItemId, PdqHash, Sequence, SetDigest, ShardIdentity};

/// An item whose addition was acknowledged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) item: ItemId,
    pub(super) hash: PdqHash,
    /// The sequence of the addition: answers as of it or a later one have to include the item.
    pub(super) added: Sequence,
    pub(super) fate: Fate,
}

/// Whether the item is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Living,
    /// Its removal was sent and is not yet acknowledged.
    Going,
    /// Its removal was acknowledged with this sequence.
    Removed(Sequence),
}

/// The acknowledged items, shared by writers and readers.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Vec<Entry>>);

impl Ledger {
    /// Records items whose addition was acknowledged; returns their positions.
    pub(super) fn added(&self, items: &[ItemId], hashes: &[PdqHash], sequence: Sequence) -> Vec<usize> {
        let mut entries = self.entries();
        let first = entries.len();
        let new = items.iter().zip(hashes);
        let new = new.map(|(&item, &hash)| Entry { item, hash, added: sequence, fate: Fate::Living });
        entries.extend(new);
        (first..entries.len()).collect()
    }

    /// Sets the fate of items.
    pub(super) fn set(&self, places: &[usize], fate: Fate) {
        let mut entries = self.entries();
        places.iter().for_each(|place| entries[*place].fate = fate);
    }

    pub(super) fn items(&self, places: &[usize]) -> Vec<ItemId> {
        let entries = self.entries();
        places.iter().map(|place| entries[*place].item).collect()
    }

    pub(super) fn entry(&self, place: usize) -> Entry {
        self.entries()[place]
    }

    pub(super) fn draw(&self, rng: &mut impl Rng) -> Option<usize> {
        let count = self.entries().len();
        (count > 0).then(|| rng.random_range(0..count))
    }

    pub(super) fn all(&self) -> Vec<Entry> {
        self.entries().clone()
    }

    /// Returns the digest of the live items of a shard.
    pub(super) fn digest(&self, shard: ShardIdentity) -> SetDigest {
        let mut digest = SetDigest::EMPTY;
        for entry in self.entries().iter().filter(|entry| entry.fate == Fate::Living) {
            if shard.holds(entry.item) {
                digest += SetDigest::of_item(entry.item, &[Hash::pdq(entry.hash)]);
            }
        }
        digest
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Returns the lowest sequence at which an answer has to agree with the entry.
    pub(super) const fn as_of(&self) -> Sequence {
        match self.fate {
            Fate::Living | Fate::Going => self.added,
            Fate::Removed(sequence) => sequence,
        }
    }
}
