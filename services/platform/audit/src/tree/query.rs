//! Queries of a stored tree: the hashes to read, and the answer computed from them.

use thiserror::Error;

use crate::tree::hash::NodeHash;
use crate::tree::position::{LeafIndex, Size, StoredIndex, cover, split};

/// Reads stored hashes by their positions.
pub trait ReadHashes {
    /// The error of a read.
    type Error;

    /// Reads the hashes at these positions, in the order of the positions. A query reads once, fewer than 128
    /// positions, whatever the size of the tree.
    ///
    /// # Errors
    ///
    /// If one of them is missing, or the store fails.
    fn read(&mut self, positions: &[StoredIndex]) -> Result<Vec<NodeHash>, Self::Error>;
}

/// A query whose answer is an `A`.
///
/// A synchronous caller calls [`Self::read`]. An asynchronous one reads the hashes at [`Self::positions`]
/// itself and calls [`Self::answer`]. All positions are known in advance, so a query costs one read.
#[derive(Debug, Clone)]
pub struct Query<A> {
    size: Size,
    positions: Vec<StoredIndex>,
    /// The number of positions from which each hash of the answer is computed.
    parts: Vec<usize>,
    finish: fn(Size, Vec<NodeHash>) -> A,
}

impl<A> Query<A> {
    /// Queries the hashes of these ranges of leaves, in a tree of this size.
    fn of(
        size: Size,
        ranges: impl IntoIterator<Item = (u64, u64)>,
        finish: fn(Size, Vec<NodeHash>) -> A,
    ) -> Self {
        let mut query = Self { size, positions: Vec::new(), parts: Vec::new(), finish };
        for (from, to) in ranges {
            let before = query.positions.len();
            query.positions.extend(cover(from, to).map(|node| node.stored()));
            query.parts.push(query.positions.len() - before);
        }
        query
    }

    /// Queries the complete subtrees of a tree of this size, from the left.
    pub(crate) fn of_subtrees(size: Size, finish: fn(Size, Vec<NodeHash>) -> A) -> Self {
        let positions: Vec<StoredIndex> = cover(0, size.get()).map(|node| node.stored()).collect();
        let parts = vec![1; positions.len()];
        Self { size, positions, parts, finish }
    }

    /// Returns the positions of the hashes from which the answer is computed.
    #[must_use]
    pub fn positions(&self) -> &[StoredIndex] {
        &self.positions
    }

    /// Computes the answer from the hashes at [`Self::positions`], in that order.
    ///
    /// # Errors
    ///
    /// If there are more or fewer hashes than positions.
    pub fn answer(self, hashes: &[NodeHash]) -> Result<A, WrongCount> {
        if hashes.len() != self.positions.len() {
            return Err(WrongCount { asked: self.positions.len(), given: hashes.len() });
        }
        let mut rest = hashes;
        let mut folded = Vec::with_capacity(self.parts.len());
        for count in self.parts {
            let (part, after) = rest.split_at(count.min(rest.len()));
            folded.extend(fold(part));
            rest = after;
        }
        Ok((self.finish)(self.size, folded))
    }

    /// Reads the hashes and computes the answer.
    ///
    /// # Errors
    ///
    /// If they cannot be read, or another number of them is returned.
    pub fn read<R: ReadHashes>(self, store: &mut R) -> Result<A, QueryError<R::Error>> {
        let hashes = store.read(&self.positions).map_err(QueryError::Store)?;
        Ok(self.answer(&hashes)?)
    }
}

/// Queries the root of the tree as of a size; [`NodeHash::EMPTY`] for size 0.
#[must_use]
pub fn root(size: Size) -> Query<NodeHash> {
    let whole = (size > Size::ZERO).then_some((0, size.get()));
    Query::of(size, whole, |_, hashes| hashes.first().copied().unwrap_or(NodeHash::EMPTY))
}

/// Queries the proof that an entry is at its index in the tree of a size: RFC 6962, section 2.1.1, `PATH`.
/// The hashes are those beside the path from the leaf to the root, the lowest first.
///
/// # Errors
///
/// If the tree has no such entry.
pub fn inclusion(index: LeafIndex, size: Size) -> Result<Query<Vec<NodeHash>>, NoSuchEntry> {
    if index.0 >= size.get() {
        return Err(NoSuchEntry { index, size });
    }
    let (mut from, mut to) = (0, size.get());
    let mut beside = Vec::new();
    while to - from > 1 {
        let middle = from + split(to - from);
        if index.0 < middle {
            beside.push((middle, to));
            to = middle;
        } else {
            beside.push((from, middle));
            from = middle;
        }
    }
    Ok(Query::of(size, beside.into_iter().rev(), |_, hashes| hashes))
}

/// Queries the proof that the tree of a size begins with that of a smaller one: RFC 6962, section 2.1.2,
/// `PROOF`. It has no hashes if the sizes are equal or the old one is 0.
///
/// # Errors
///
/// If the old tree is the larger one.
pub fn consistency(old: Size, new: Size) -> Result<Query<Vec<NodeHash>>, Shrinks> {
    if old > new {
        return Err(Shrinks { old, new });
    }
    let (mut from, mut to) = (0, new.get());
    let mut beside = Vec::new();
    while old.get() != to && old > Size::ZERO {
        let middle = from + split(to - from);
        if old.get() <= middle {
            beside.push((middle, to));
            to = middle;
        } else {
            beside.push((from, middle));
            from = middle;
        }
    }
    // The checker knows the old root, so it is not in the proof.
    let last = (from > 0).then_some((from, to));
    Ok(Query::of(new, last.into_iter().chain(beside.into_iter().rev()), |_, hashes| hashes))
}

/// Returns the hash of neighbouring subtrees, each larger than the next, by combining the smallest two first.
pub(crate) fn fold(subtrees: &[NodeHash]) -> Option<NodeHash> {
    let (last, others) = subtrees.split_last()?;
    Some(others.iter().rev().fold(*last, |right, left| NodeHash::of_children(left, &right)))
}

/// The error of a store that returned another number of hashes than requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{asked} stored hashes were asked for, and {given} came")]
pub struct WrongCount {
    /// The number of positions.
    pub asked: usize,
    /// The number of hashes.
    pub given: usize,
}

/// The reasons for which a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QueryError<E> {
    /// The store failed.
    #[error("cannot read the stored hashes of the tree")]
    Store(#[source] E),
    /// The store returned another number of hashes than requested.
    #[error(transparent)]
    WrongCount(#[from] WrongCount),
}

/// The error for an entry that the tree does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("there is no entry {index} in a log of {size} entries")]
pub struct NoSuchEntry {
    /// The entry.
    pub index: LeafIndex,
    /// The size of the tree.
    pub size: Size,
}

/// The error for an older tree that is larger than the newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a log of {new} entries cannot continue one of {old}")]
pub struct Shrinks {
    /// The size of the supposedly older tree.
    pub old: Size,
    /// The size of the supposedly newer tree.
    pub new: Size,
}
