//! Searches the hashes of one shard, exactly.
//!
//! Two indexes. [`RadiusIndex`] holds hashes that are compared by Hamming distance and finds every one within
//! a radius, or the k nearest; [`EqualityIndex`] holds digests and finds those equal to a query. Both are
//! searched while they are written to.
//!
//! Always true:
//!
//! - **Exact.** An answer is the set that a linear scan ([`oracle::LinearScan`]) gives.
//! - **Readers never wait.** A search takes no lock. It reads an immutable view, swapped atomically, and rows that
//!   are written once.
//! - **One moment.** A search sees the index as it was between two writes: a row that is moved meanwhile is
//!   neither missed nor found twice, a batch of edits is seen whole or not at all, and whatever returned before
//!   the search began is seen. A snapshot keeps such a moment, for several searches that must agree.
//! - **Bounded.** Dead rows are reclaimed; memory is at most a stated multiple of what the live hashes need.
//! - **Nothing leaks.** Hashes can be partly inverted, so no `Debug` here prints one.
//!
//! Reading order: [`entry`], [`filter`], [`cancel`] for what is asked and answered; `moment` for how a reader
//! knows which rows it may see, `block` for the rows, `kernel` for the scan, `locator` for finding a row to
//! remove, `writer` for edits and compaction; then [`radius`] with `nearest`, [`equality`], and [`oracle`].

pub mod entry;
pub mod filter;
pub mod cancel;
mod moment;
mod block;
mod kernel;
mod locator;
mod writer;
mod nearest;
pub mod radius;
pub mod equality;
pub mod oracle;

pub use cancel::{Cancellation, Cancelled};
pub use entry::{Edit, Entry, Hit};
pub use equality::{EqualityIndex, EqualitySnapshot};
pub use filter::BankFilter;
pub use radius::{RadiusIndex, RadiusSnapshot};

#[cfg(test)]
mod tests;
