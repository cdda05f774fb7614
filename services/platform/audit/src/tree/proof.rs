//! Checks proofs that come from others.
//!
//! The shape of a tree determines how many hashes a proof has. So a proof of another length is refused before
//! anything is hashed, and a check hashes at most twice for each level of the tree.

use thiserror::Error;

use crate::tree::hash::NodeHash;
use crate::tree::position::{LeafIndex, Size};
use crate::tree::query::{NoSuchEntry, Shrinks};

/// The most hashes of a proof, for a tree of any size.
pub const PROOF_HASHES_MAX: usize = 63;

/// The size and root of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// The number of entries.
    pub size: Size,
    /// The root of the tree.
    pub root: NodeHash,
}

/// The reasons for which a proof is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The tree has no such entry.
    #[error(transparent)]
    NoSuchEntry(#[from] NoSuchEntry),
    /// The newer tree is smaller than the older one.
    #[error(transparent)]
    Shrinks(#[from] Shrinks),
    /// The number of hashes does not match the sizes of the trees.
    #[error("the proof has {given} hashes, and trees of these sizes need {needed}")]
    Length {
        /// The number of hashes in the proof.
        given: usize,
        /// The number of hashes needed.
        needed: usize,
    },
    /// The entry is not the one at this index of the tree, or the proof is of another tree.
    #[error("the proof of entry {index} leads to the root {computed}, and the log's is {root}")]
    Inclusion {
        /// The entry.
        index: LeafIndex,
        /// The root that the proof leads to.
        computed: NodeHash,
        /// The root of the tree.
        root: NodeHash,
    },
    /// The proof does not begin at the older tree.
    #[error("the proof leads to the root {computed} of {size} entries, and the known one is {root}")]
    OldRoot {
        /// The older size.
        size: Size,
        /// The root that the proof leads to.
        computed: NodeHash,
        /// The root of the older tree.
        root: NodeHash,
    },
    /// The newer tree does not begin with the older one, or the proof is of other trees.
    #[error("the proof leads to the root {computed} of {size} entries, and the log's is {root}")]
    NewRoot {
        /// The newer size.
        size: Size,
        /// The root that the proof leads to.
        computed: NodeHash,
        /// The root of the newer tree.
        root: NodeHash,
    },
}

/// Checks that the tree has this leaf at this index: RFC 9162, section 2.1.3.2, which covers the tree of RFC
/// 6962.
///
/// # Errors
///
/// If the tree has no such entry, or the proof is too long or too short, or leads to another root.
pub fn check_inclusion(
    proof: &[NodeHash],
    index: LeafIndex,
    leaf: &NodeHash,
    tree: &TreeHead,
) -> Result<(), ProofError> {
    if index.0 >= tree.size.get() {
        return Err(NoSuchEntry { index, size: tree.size }.into());
    }
    let (inner, border) = levels(index.0, tree.size);
    let (inner, border) = parts(proof, inner, border)?;
    let computed = climb_border(climb(*leaf, inner, index.0), border);
    if computed != tree.root {
        return Err(ProofError::Inclusion { index, computed, root: tree.root });
    }
    Ok(())
}

/// Checks that the newer tree begins with the older one: RFC 9162, section 2.1.4.2, which covers the tree of
/// RFC 6962. Every tree begins with the empty one.
///
/// # Errors
///
/// If the newer tree is smaller, or the proof is too long or too short, or leads to another root.
pub fn check_consistency(proof: &[NodeHash], old: &TreeHead, new: &TreeHead) -> Result<(), ProofError> {
    if old.size > new.size {
        return Err(Shrinks { old: old.size, new: new.size }.into());
    }
    if old.size == Size::ZERO && old.root != NodeHash::EMPTY {
        return Err(ProofError::OldRoot { size: old.size, computed: NodeHash::EMPTY, root: old.root });
    }
    if old.size == new.size || old.size == Size::ZERO {
        parts(proof, 0, 0)?;
        if old.size == new.size && old.root != new.root {
            return Err(ProofError::NewRoot { size: new.size, computed: old.root, root: new.root });
        }
        return Ok(());
    }
    // The path up begins at the largest subtree that ends with the old tree. If that is the whole old tree,
    // its hash is the old root.
    let last = old.size.get() - 1;
    let complete = old.size.get().trailing_zeros();
    let (inner, border) = levels(last, new.size);
    let inner = inner - complete as usize;
    let whole = old.size.get().is_power_of_two();
    let (start, inner, border) = if whole {
        let (inner, border) = parts(proof, inner, border)?;
        (old.root, inner, border)
    } else {
        let (inner, border) = parts(proof, inner + 1, border)?;
        let (start, inner) = inner.split_first().ok_or(ProofError::Length { given: 0, needed: 1 })?;
        (*start, inner, border)
    };
    let from = last >> complete;
    let computed = climb_border(climb_right(start, inner, from), border);
    if computed != old.root {
        return Err(ProofError::OldRoot { size: old.size, computed, root: old.root });
    }
    let computed = climb_border(climb(start, inner, from), border);
    if computed != new.root {
        return Err(ProofError::NewRoot { size: new.size, computed, root: new.root });
    }
    Ok(())
}

/// Returns the numbers of hashes beside the path from a leaf to the root: below the level where that path
/// joins the path from the last leaf, and above it, where the path has only left neighbours.
fn levels(index: u64, size: Size) -> (usize, usize) {
    let inner = u64::BITS - (index ^ (size.get() - 1)).leading_zeros();
    // No size is above 2^62, so this shifts by less than 64.
    (inner as usize, (index >> inner).count_ones() as usize)
}

/// Splits a proof into these two parts, if it has their length.
fn parts(proof: &[NodeHash], inner: usize, border: usize) -> Result<(&[NodeHash], &[NodeHash]), ProofError> {
    if proof.len() != inner + border {
        return Err(ProofError::Length { given: proof.len(), needed: inner + border });
    }
    Ok(proof.split_at(inner))
}

/// Computes the hash at the top of a path from a node. The node's number has a 1 for each level at which the
/// neighbour is to the left.
fn climb(start: NodeHash, beside: &[NodeHash], number: u64) -> NodeHash {
    beside.iter().enumerate().fold(start, |node, (level, other)| {
        if number >> level & 1 == 1 {
            NodeHash::of_children(other, &node)
        } else {
            NodeHash::of_children(&node, other)
        }
    })
}

/// Computes as [`climb`] does, where nothing is to the right of the path.
fn climb_right(start: NodeHash, beside: &[NodeHash], number: u64) -> NodeHash {
    let left = beside.iter().enumerate().filter(|(level, _)| number >> level & 1 == 1);
    left.fold(start, |node, (_, other)| NodeHash::of_children(other, &node))
}

fn climb_border(start: NodeHash, left: &[NodeHash]) -> NodeHash {
    left.iter().fold(start, |node, other| NodeHash::of_children(other, &node))
}
