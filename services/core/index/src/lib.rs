//! Searches the hashes of one shard, exactly. (The crate `vigie-vectors` searches approximately.)
//!
//! There are two indexes. [`RadiusIndex`] stores hashes that are compared by Hamming distance, and finds
//! every hash within a radius, or the k nearest. [`EqualityIndex`] stores digests, and finds those equal to a
//! query. Both can be searched while they are written to. A [`HashIndex`] is one of the two, or an index of
//! another crate, for callers that learn the length of hashes at run time; [`HashShape`] creates one.
//!
//! Rows are stored in immutable *segments*, which are sorted and read from files, and in a mutable *tail* for
//! the newest rows. A removed row stays where it is, and a *tombstone* records the removal. Segments are
//! searched by multi-index hashing with chain signatures: a search reads a few hundred buckets and excludes
//! most of their rows 32 at a time. A search of a million 256-bit hashes within 31 bits compares about a
//! dozen whole hashes.
//!
//! Always true:
//!
//! - **Exact.** An answer is the same set as that of a linear scan ([`oracle::LinearScan`]); `chain` has the
//!   proof.
//! - **Readers never wait.** A search takes no lock. It reads an immutable view, which is swapped atomically,
//!   and rows that are written once.
//! - **One moment.** A search sees the index as it was between two writes. A row that moves during the search
//!   is neither missed nor found twice, a batch of edits is seen whole or not at all, and every edit that
//!   returned before the search began is seen. A snapshot keeps such a moment for several searches that must
//!   agree.
//! - **Bounded.** A search takes at most about twice as long as comparing every row, whatever the data. Dead
//!   rows are reclaimed. Merging rewrites a row a limited number of times, in limited memory (`merge` states
//!   both limits).
//! - **Whole or refused.** A file that differs from what was written is not searched. Searches read memory of
//!   the process, so damage to a file after it was read changes no answer ([`Stored`] compares both memory
//!   and file with their checksums).
//! - **Every search ends.** A search of damaged memory may find too little or fail, but it does not loop. An
//!   *audit* ([`HashSnapshot::audit`]) proves that searches reach every hash.
//! - **Nothing leaks.** Hashes can be partly inverted, so no `Debug` here prints one.
//!
//! Reading order:
//!
//! - `question`: the parts of a query (`entry`, `filter`, `cancel`), and the check that searches reach
//!   everything (`audit`).
//! - `search`: the search of one segment. `permutation` and `chunking` divide a hash, `chain` defines which
//!   rows can be near and proves it, `buckets` builds the tables, `pipeline` searches them with the kernels
//!   of `signature`, and `verify` compares whole hashes.
//! - `rows`: the storage of rows. `segment_file` and `segment_writer` (bytes), [`container`] (the same format
//!   for files of other crates), `tombstones` (which rows are dead), `segment` (columns), `tail` (the newest
//!   rows), `home` (the folder).
//! - `changes`: `moment` and `view` (what a reader sees), `merge` (the policy), `store` (edits, publication,
//!   background merges).
//! - Above these: `options`, [`RadiusIndex`], [`EqualityIndex`] and [`oracle`]; `any_hash` for hashes whose
//!   length is known only at run time.

mod question;
mod search;
mod rows;
mod changes;
mod options;
mod radius;
mod equality;
mod any_hash;
pub mod oracle;

pub use any_hash::{
    EQUALITY_BYTES_MAX, EQUALITY_BYTES_MIN, HAMMING_BYTES, HashEdit, HashEdits, HashIndex, HashRows,
    HashShape, HashSnapshot, UnsupportedShape, Within,
};
pub use equality::{EqualityIndex, EqualitySnapshot};
pub use options::{Footprint, IndexOptions, SegmentFootprint};
pub use question::audit::{AuditError, Pace};
pub use question::cancel::{Cancellation, Cancelled, Checkpoint};
pub use question::entry::{Edit, Entry, Hit};
pub use question::filter::BankFilter;
pub use radius::{RadiusIndex, RadiusSnapshot};
pub use rows::container;
pub use rows::home::OpenError;
pub use rows::saved::SavedFile;
pub use rows::segment_file::{Fault, SegmentError};
pub use rows::stored::Stored;
pub use rows::tombstones::DeadRows;
pub use search::verify::near_pairs;

#[doc(hidden)]
pub mod measuring;

#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;

#[cfg(test)]
mod tests;
