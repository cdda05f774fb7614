//! Searches the hashes of one shard, exactly. (The crate `vigie-vectors` does the like approximately.)
//!
//! Two indexes. [`RadiusIndex`] holds hashes that are compared by Hamming distance and finds every one within
//! a radius, or the k nearest; [`EqualityIndex`] holds digests and finds those equal to a query. Both are
//! searched while they are written to. A [`HashIndex`] is either of them, or another crate's, for callers that learn the
//! length of hashes at run time: [`HashShape`] makes one.
//!
//! Rows live in immutable *segments*, sorted and read from files, and in a mutable *tail* for the newest; a
//! removal is a *tombstone* beside either. Segments are searched by multi-index hashing with chain signatures:
//! a few hundred buckets are looked into, and what they hold is ruled out 32 rows at a time, so that a search of
//! a million 256-bit hashes for those within 31 bits compares a dozen.
//!
//! Always true:
//!
//! - **Exact.** An answer is the set that a linear scan ([`oracle::LinearScan`]) gives; `chain` has the proof.
//! - **Readers never wait.** A search takes no lock. It reads an immutable view, swapped atomically, and rows that
//!   are written once.
//! - **One moment.** A search sees the index as it was between two writes: a row that is moved meanwhile is
//!   neither missed nor found twice, a batch of edits is seen whole or not at all, and whatever returned before
//!   the search began is seen. A snapshot keeps such a moment, for several searches that must agree.
//! - **Bounded.** A search takes at most about twice as long as comparing every row, whatever the data; dead
//!   rows are reclaimed; merging rewrites a row a stated number of times, in stated memory (`merge`).
//! - **Whole or refused.** A file that is not as it was written is not searched. What is searched lies in memory of the
//!   process: a file that is damaged or cut later changes nothing ([`Stored`] compares both with their checksums).
//! - **No walk without end.** A search of damaged memory may find too little or fail; it ends all the same. An *audit*
//!   ([`HashSnapshot::audit`]) proves that searches reach everything.
//! - **Nothing leaks.** Hashes can be partly inverted, so no `Debug` here prints one.
//!
//! Reading order:
//!
//! - `question`: what is asked (`entry`, `filter`, `cancel`), and whether all of it can be found (`audit`).
//! - `search`: one segment's search. `permutation` and `chunking` cut a hash, `chain` says which rows can be near and proves
//!   it, `buckets` builds the tables, `pipeline` searches them with the kernels of `signature`, `verify` compares whole
//!   hashes.
//! - `rows`: what holds the rows. `segment_file` and `segment_writer` (bytes), [`container`] (the same for files of others),
//!   `tombstones` (which rows have died), `segment` (columns), `tail` (the newest), `home` (the folder).
//! - `changes`: `moment` and `view` (what a reader sees), `merge` (the policy), `store` (edits, publication, background
//!   merges).
//! - On top: `options`, [`RadiusIndex`], [`EqualityIndex`] and [`oracle`]; `any_hash` for hashes whose length is known only at
//!   run time.

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
