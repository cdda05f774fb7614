//! The proof that a log is complete and unaltered: its chain, and the digests of its changes.

mod prove;
mod purged;

pub use prove::{Proof, ProofError, prove};
pub use purged::Purged;
