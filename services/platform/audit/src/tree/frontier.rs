//! The part of a tree that is needed to append to it.

use thiserror::Error;

use crate::tree::hash::NodeHash;
use crate::tree::position::{LeafIndex, SIZE_MAX, Size, StoredIndex};
use crate::tree::query::{Query, fold};

/// The hashes of a tree's complete subtrees, from the left: one for each binary 1 of the size, so at most 62.
/// Appending needs only these hashes, and the root is computed from them.
///
/// A log keeps it in memory, stores [`Self::encode`] beside its head, or reads it back with [`Self::query`]:
/// one read of at most 62 hashes. Between two appends nothing has to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frontier {
    size: Size,
    /// The subtrees' hashes, one for each binary 1 of the size.
    subtrees: Vec<NodeHash>,
}

/// The hashes that an entry adds to a stored tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// The entry's index.
    pub index: LeafIndex,
    /// The position of the first new hash; the others follow it.
    pub first: StoredIndex,
    /// The hashes to store, in the transaction of the entry: that of its leaf, and those of the nodes that it
    /// completes. Between 1 and 63, and fewer than two on average.
    pub hashes: Vec<NodeHash>,
}

impl Frontier {
    /// Returns the frontier of a tree without entries.
    #[must_use]
    pub const fn empty() -> Self {
        Self { size: Size::ZERO, subtrees: Vec::new() }
    }

    /// Returns the query for the frontier of the tree as of a size.
    #[must_use]
    pub fn query(size: Size) -> Query<Self> {
        Query::of_subtrees(size, |size, subtrees| Self { size, subtrees })
    }

    /// Returns the number of entries.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Returns the root of the tree: RFC 6962, section 2.1, `MTH`.
    #[must_use]
    pub fn root(&self) -> NodeHash {
        fold(&self.subtrees).unwrap_or(NodeHash::EMPTY)
    }

    /// Appends an entry.
    ///
    /// # Errors
    ///
    /// If the tree has [`SIZE_MAX`] entries; it is then unchanged.
    pub fn append(&mut self, entry: &[u8]) -> Result<Appended, Full> {
        self.append_leaf(NodeHash::of_entry(entry))
    }

    /// Appends an entry of which only the leaf's hash is known.
    ///
    /// # Errors
    ///
    /// If the tree has [`SIZE_MAX`] entries; it is then unchanged.
    pub fn append_leaf(&mut self, leaf: NodeHash) -> Result<Appended, Full> {
        let size = self.size.next().ok_or(Full)?;
        let index = self.size.get();
        // Each trailing 1 is a subtree that the new leaf completes to a larger one.
        let kept = self.subtrees.len().saturating_sub(index.trailing_ones() as usize);
        let mut hashes = vec![leaf];
        let mut right = leaf;
        for left in self.subtrees.drain(kept..).rev() {
            right = NodeHash::of_children(&left, &right);
            hashes.push(right);
        }
        self.subtrees.push(right);
        let first = StoredIndex(self.size.stored_count());
        self.size = size;
        Ok(Appended { index: LeafIndex(index), first, hashes })
    }

    /// Encodes the frontier: the size in 8 bytes, big-endian, and 32 bytes for each subtree, from the left.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let size = self.size.get().to_be_bytes();
        size.iter().chain(self.subtrees.iter().flat_map(|hash| &hash.0)).copied().collect()
    }

    /// Decodes the form of [`Self::encode`].
    ///
    /// # Errors
    ///
    /// If the size is too large, or the number of hashes does not match the size.
    pub fn decode(bytes: &[u8]) -> Result<Self, NotAFrontier> {
        let fault = NotAFrontier { bytes: bytes.len() };
        let (size, hashes) = bytes.split_first_chunk().ok_or(fault)?;
        let size = Size::new(u64::from_be_bytes(*size)).ok_or(fault)?;
        let (subtrees, rest) = hashes.as_chunks();
        if !rest.is_empty() || subtrees.len() != size.get().count_ones() as usize {
            return Err(fault);
        }
        Ok(Self { size, subtrees: subtrees.iter().copied().map(NodeHash).collect() })
    }
}

/// The error of appending to a full tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the log has {SIZE_MAX} entries and takes no more")]
pub struct Full;

/// The error of decoding bytes that are no frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{bytes} bytes are not the frontier of a log: its size, and a hash for each binary 1 of the size")]
pub struct NotAFrontier {
    /// The number of bytes.
    pub bytes: usize,
}
