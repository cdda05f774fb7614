//! The Merkle tree of RFC 6962 over the entries of a log, and its stored hashes.

mod hash;
mod position;
mod query;
mod frontier;
mod proof;

pub use frontier::{Appended, Frontier, Full, NotAFrontier};
pub use hash::{NodeHash, NotAHash};
pub use position::{LeafIndex, Node, SIZE_MAX, Size, StoredIndex};
pub use proof::{PROOF_HASHES_MAX, ProofError, TreeHead, check_consistency, check_inclusion};
pub use query::{
    NoSuchEntry, Query, QueryError, ReadHashes, Shrinks, WrongCount, consistency, inclusion, root,
};
