//! Sizes of trees, positions of leaves and nodes, and the order in which hashes are stored.
//!
//! The order is that of `golang.org/x/mod/sumdb/tlog`, after Crosby and Wallach, "Efficient Data Structures
//! for Tamper-Evident Logging", section 3.3: each leaf is followed by the nodes that it completes, from the
//! lowest up. So hashes are only appended, and their positions are 0, 1, 2 and so on without gaps.

use std::fmt;

/// The largest size of a tree, in entries. Positions of stored hashes then fit the signed 64-bit integers of
/// SQL and of Go.
pub const SIZE_MAX: u64 = 1 << 62;

/// The number of entries of a tree, at most [`SIZE_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// The size of a tree without entries.
    pub const ZERO: Self = Self(0);

    /// Returns the size of a tree of `entries` entries; `None` above [`SIZE_MAX`].
    #[must_use]
    pub const fn new(entries: u64) -> Option<Self> {
        if entries <= SIZE_MAX { Some(Self(entries)) } else { None }
    }

    /// Returns the number of entries.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Returns the size with one entry more; `None` above [`SIZE_MAX`].
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }

    /// Returns the number of hashes that are stored for a tree of this size: fewer than two for each entry.
    #[must_use]
    pub const fn stored_count(self) -> u64 {
        2 * self.0 - self.0.count_ones() as u64
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The index of an entry: 0 for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafIndex(pub u64);

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The position of a stored hash: 0 for the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoredIndex(pub u64);

impl fmt::Display for StoredIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The top of a complete subtree. `number` counts, from 0, the nodes with `2^level` leaves below them. Leaves
/// have level 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    level: u32,
    number: u64,
}

impl Node {
    /// Returns a node; `None` if its last leaf is beyond the largest tree.
    #[must_use]
    pub const fn new(level: u32, number: u64) -> Option<Self> {
        // 2^level leaves each: `number + 1` such subtrees have to fit.
        if level <= 62 && number < SIZE_MAX >> level { Some(Self { level, number }) } else { None }
    }

    /// Returns the node of a leaf; `None` if it is beyond the largest tree.
    #[must_use]
    pub const fn leaf(index: LeafIndex) -> Option<Self> {
        Self::new(0, index.0)
    }

    /// Returns the level: the number of steps from the leaves.
    #[must_use]
    pub const fn level(self) -> u32 {
        self.level
    }

    /// Returns the number of nodes of this level to the left.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.number
    }

    /// Returns the position of its stored hash.
    #[must_use]
    pub const fn stored(self) -> StoredIndex {
        // The hash is written with the node's last leaf, `level` positions after it.
        let last = ((self.number + 1) << self.level) - 1;
        StoredIndex(2 * last - last.count_ones() as u64 + self.level as u64)
    }
}

/// Iterates over the complete subtrees that cover the leaves from `from` to before `to`, from the left, each
/// as large as possible.
///
/// Ranges are those into which RFC 6962 splits a tree, so they begin at a multiple of the largest of their
/// subtrees, and there are at most 62 subtrees.
pub(crate) fn cover(from: u64, to: u64) -> impl Iterator<Item = Node> {
    let mut rest = from..to.min(SIZE_MAX);
    std::iter::from_fn(move || {
        let leaves = rest.end.checked_sub(rest.start).filter(|leaves| *leaves > 0)?;
        let level = leaves.ilog2();
        let node = Node { level, number: rest.start >> level };
        rest.start += 1 << level;
        Some(node)
    })
}

/// Returns the point at which RFC 6962 splits `leaves` leaves, at least 2: the largest power of two that is
/// smaller.
pub(crate) const fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}
