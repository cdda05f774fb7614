//! A numbered, chained, durable log, and the feed by which others follow it.
//!
//! The log numbers changes and does not interpret them. Its user implements [`Application`]: the types of its
//! writes, answers, changes and rows, the planning of a group of writes, and the reading of a stored change.
//! The log queues the writes, numbers the changes, extends the chain, commits changes and rows in one
//! transaction, answers, and streams the changes to followers.
//!
//! ```text
//! write -> queue -> group -> look up -> plan (the application's, pure) -> commit (the store's) -> answer
//!                                                                            |
//!                                      follower <- pages, proofs <- recent changes in memory, else the store
//! ```
//!
//! Always true:
//!
//! - An acknowledged write is committed and flushed.
//! - Sequences are 1, 2, 3 and so on without a gap, in the order of commits, so a follower can prove that it
//!   has missed nothing.
//! - A write is done as a whole or not at all. With an idempotency key it is done once, however often it is
//!   sent.
//! - The chain covers the digest of every change ([`Link`]), so the bytes of one change can be removed while
//!   the proof of all others holds ([`LogStore::purge`], [`prove`]).
//! - Queues, groups, pages, followers and the changes in memory are bounded, and followers never delay
//!   writes.
//!
//! SQL is not in this crate. A change and the rows that it causes are committed in one transaction, in one
//! schema that belongs to the application, so the statements stay with it. This crate has the two traits that
//! a store implements, [`LogRead`] and [`LogStore`], and a log in memory ([`MemoryLog`]) for tests and
//! simulations.
//!
//! Reading order: [`Sequence`] and its neighbours in `position`; [`Application`]; `chain`; [`LogRead`] and
//! [`LogStore`]; [`Draft`] and the path of a write through `write`; the path of a change through `feed`;
//! `leadership` and `sweep`; `proof`.

mod position;
mod clock;
mod chain;
mod error;
mod application;
mod store;
mod draft;
mod write;
mod feed;
mod sweep;
mod leadership;
mod proof;
#[cfg(test)]
mod tests;

pub use application::{Answer, Application, Loaded, Planned, Planner, PurgeStep, Summary, Write};
pub use chain::{FormerLink, Link, digest};
pub use clock::{Clock, SystemClock};
pub use draft::Draft;
pub use error::{FollowError, LeadError, WriteRefused};
pub use feed::{Admission, Feed, FeedLimits, Follower, Range};
pub use leadership::{Announce, CurrentTerm, Leader, Leadership, Limits, Term};
pub use position::{Chain, Cursor, Digest, LogId, Sequence, Slice, UnixMillis};
pub use proof::{Proof, ProofError, Purged, prove};
pub use store::memory::MemoryLog;
pub use store::{
    Batch, ChangePage, ChangeRange, CommitError, Head, LogRead, LogStore, Recorded, StoreFault, StoredBatch,
    StoredChange,
};
pub use sweep::{Keep, Sweeper};
pub use tokio_util::sync::CancellationToken as Shutdown;
pub use write::{Log, WriteLimits, Writer};
