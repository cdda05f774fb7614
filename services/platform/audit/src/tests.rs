//! Compares the log with a slow second implementation, published examples and Go's libraries, and gives it
//! arbitrary input.

mod rfc;
mod tree;
mod vectors;
mod notes;
mod checkpoints;
mod witness;
mod export;
mod hostile;
mod go;

use crate::checkpoint::Checkpoint;
use crate::note::{KeyKind, KnownKeys, SignerKey};
use crate::tree::*;

/// A log in memory, as a store keeps it.
#[derive(Debug, Clone)]
struct Log {
    entries: Vec<Vec<u8>>,
    stored: Vec<NodeHash>,
    frontier: Frontier,
    /// The most positions of one read so far.
    read_max: usize,
}

impl Log {
    fn of(entries: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let empty = Frontier::empty();
        let mut log = Self { entries: Vec::new(), stored: Vec::new(), frontier: empty, read_max: 0 };
        entries.into_iter().for_each(|entry| log.append(entry));
        log
    }

    /// Returns a log of entries of different lengths, no two of which are equal.
    fn of_size(count: usize) -> Self {
        Self::of((0..count).map(|index| format!("entry {index}{}", ".".repeat(index % 7)).into_bytes()))
    }

    fn append(&mut self, entry: Vec<u8>) {
        let appended = self.frontier.append(&entry).unwrap();
        assert_eq!(small(appended.index.0), self.entries.len());
        assert_eq!(small(appended.first.0), self.stored.len(), "the stored hashes have no gaps");
        self.stored.extend(appended.hashes);
        self.entries.push(entry);
    }

    fn size(&self) -> Size {
        self.frontier.size()
    }

    fn head(&self) -> TreeHead {
        TreeHead { size: self.size(), root: self.frontier.root() }
    }

    /// Returns the head as of an earlier size.
    fn head_at(&mut self, size: usize) -> TreeHead {
        let size = size_of(size);
        TreeHead { size, root: root(size).read(self).unwrap() }
    }

    fn leaves(&self) -> Vec<NodeHash> {
        self.entries.iter().map(|entry| NodeHash::of_entry(entry)).collect()
    }

    fn consistency(&mut self, old: usize, new: usize) -> Vec<NodeHash> {
        consistency(size_of(old), size_of(new)).unwrap().read(self).unwrap()
    }

    fn inclusion(&mut self, index: usize, size: usize) -> Vec<NodeHash> {
        inclusion(LeafIndex(index as u64), size_of(size)).unwrap().read(self).unwrap()
    }
}

impl ReadHashes for Log {
    type Error = StoredIndex;

    fn read(&mut self, positions: &[StoredIndex]) -> Result<Vec<NodeHash>, StoredIndex> {
        self.read_max = self.read_max.max(positions.len());
        positions.iter().map(|at| self.stored.get(small(at.0)).copied().ok_or(*at)).collect()
    }
}

fn small(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

fn size_of(entries: usize) -> Size {
    Size::new(entries as u64).unwrap()
}

const ORIGIN: &str = "vigie.example/audit";

/// Returns the key of a seed that no deployment has.
fn key(name: &str, kind: KeyKind, seed: u8) -> SignerKey {
    SignerKey::from_seed(name, kind, [seed; 32]).unwrap()
}

fn log_key() -> SignerKey {
    key(ORIGIN, KeyKind::Log, 1)
}

fn witness_key() -> SignerKey {
    key("acme.example/witness", KeyKind::Witness, 2)
}

fn known(keys: &[&SignerKey]) -> KnownKeys {
    KnownKeys::new(keys.iter().map(|key| key.public().clone())).unwrap()
}

/// Returns the signed checkpoint of a tree, as text.
fn signed(tree: TreeHead) -> String {
    Checkpoint::new(ORIGIN, tree, &[]).unwrap().sign(&[&log_key()]).unwrap().to_string()
}
