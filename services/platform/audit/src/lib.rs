//! A log that others can check: the audit's log as bytes.
//!
//! Entries are bytes, which this crate does not interpret. They are the leaves of a Merkle tree (RFC 6962),
//! whose root a log signs at intervals in a checkpoint (C2SP `tlog-checkpoint`, `signed-note`). With two
//! checkpoints, anybody can check that the newer log begins with the older one; with one, that an entry is in
//! the log. A witness signs checkpoints that it has checked (C2SP `tlog-cosignature`).
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
//! - Nothing here waits, reads a clock, or holds a file: a caller reads stored hashes and passes them to a
//!   [`tree::Query`].
//! - Stored hashes are only appended, in the order of Go's `golang.org/x/mod/sumdb/tlog`. Appending reads
//!   nothing but the frontier, at most 62 hashes.
//! - No input makes it panic: notes, keys, checkpoints and proofs come from others. Each has a bound, and is
//!   refused beyond it before any work is done.
//! - No private key is in an error or in the output of `Debug`.
//!
//! ```
//! use vigie_audit::checkpoint::Checkpoint;
//! use vigie_audit::note::{KeyKind, KnownKeys, SignerKey, UnixSeconds};
//! use vigie_audit::tree::{self, Frontier, LeafIndex, NodeHash, TreeHead};
//! use vigie_audit::witness::Witness;
//!
//! // The log: entries and hashes are written in one transaction.
//! let mut stored: Vec<NodeHash> = Vec::new();
//! let mut frontier = Frontier::empty();
//! for entry in ["a member was added", "a bank was created", "a call was refused"] {
//!     stored.extend(frontier.append(entry.as_bytes())?.hashes);
//! }
//! let key = SignerKey::generate("vigie.example/audit", KeyKind::Log)?;
//! let head = TreeHead { size: frontier.size(), root: frontier.root() };
//! let note = Checkpoint::new("vigie.example/audit", head, &[])?.sign(&[&key])?.to_string();
//!
//! // An auditor checks that this entry is in the log.
//! let keys = KnownKeys::new([key.public().clone()])?;
//! let opened = Checkpoint::open(note.as_bytes(), "vigie.example/audit", &keys)?;
//! let query = tree::inclusion(LeafIndex(1), opened.checkpoint.tree().size)?;
//! let hashes: Vec<NodeHash> = query.positions().iter().map(|at| stored[at.0 as usize]).collect();
//! let leaf = NodeHash::of_entry(b"a bank was created");
//! tree::check_inclusion(&query.answer(&hashes)?, LeafIndex(1), &leaf, opened.checkpoint.tree())?;
//!
//! // A witness cosigns the log for the first time.
//! let witness = SignerKey::generate("acme.example/witness", KeyKind::Witness)?;
//! let witness = Witness::new(witness, "vigie.example/audit", keys)?;
//! let cosigned = witness.cosign(None, note.as_bytes(), &[], UnixSeconds(1_795_000_000))?;
//! assert_eq!(cosigned.note.signatures().len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Reading order: `tree` (`hash`, `position`, `query`, `frontier`, `proof`), `note` (`key`, `signer`,
//! `known`, `signature`), `checkpoint`, `witness`, `export`, `files`.

pub mod tree;
pub mod salt;
pub mod note;
pub mod checkpoint;
pub mod witness;
pub mod export;
pub mod files;
#[cfg(test)]
mod tests;
