//! A log that others can check: the audit, as far as it is bytes.
//!
//! Entries are bytes, whose meaning this crate does not know. They are the leaves of a Merkle tree (RFC 6962), whose root a
//! log signs from time to time in a checkpoint (C2SP `tlog-checkpoint`, `signed-note`). Whoever has two checkpoints can check that
//! the newer log begins with the older one; whoever has one can check that an entry is in it; and a witness signs what it has
//! checked (C2SP `tlog-cosignature`).
//!
//! ```text
//! entry -> Frontier::append -> hashes to store, in the transaction of the entry
//!             | root, size
//!          Checkpoint::sign -> Note -> Witness::cosign -> Note
//!
//! stored hashes -> inclusion, consistency -> check_inclusion, check_consistency
//! entries + leaf hashes + checkpoint -> check_export -> the entry at fault
//! ```
//!
//! Always true:
//!
//! - Nothing here waits, reads a clock, or holds a file: a caller reads stored hashes and gives them to a [`tree::Query`].
//! - Stored hashes are only appended, in the order of Go's `golang.org/x/mod/sumdb/tlog`. Appending reads nothing but the
//!   frontier, at most 62 hashes.
//! - No input makes it panic: notes, keys, checkpoints and proofs come from others. Each has a bound, and is refused at it
//!   before any work is done.
//! - No private key is in an error or in the output of `Debug`.
//!
//! Reading order: `tree` (`hash`, `position`, `query`, `frontier`, `proof`), `note` (`key`, `signer`, `known`, `signature`),
//! `checkpoint`, `witness`, `export`, `files`.

pub mod tree;
pub mod note;
pub mod checkpoint;
pub mod witness;
pub mod export;
pub mod files;
#[cfg(test)]
mod tests;
