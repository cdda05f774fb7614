//! The interface that the log requires of a database.
//!
//! A store keeps the changes, the chain of their batches, and the answers to writes with a key, next to the
//! rows of the application. It makes no decisions: a [`Batch`] holds every row in its final form. Two writers
//! never number the same changes, because [`LogStore::commit`] moves the head only if it is where the batch
//! expects it.

pub(crate) mod memory;

use std::fmt::{self, Debug};

use async_trait::async_trait;
use thiserror::Error;

use crate::chain::digest;
use crate::position::{Chain, Digest, LogId, Sequence, Slice, UnixMillis};

/// Reads a log. Several readers may read at once, and none of them delays the writer.
#[async_trait]
pub trait LogRead: Debug + Send + Sync + 'static {
    /// The error of the store.
    type Error: StoreFault;

    /// Returns the id of the log.
    fn log_id(&self) -> LogId;

    /// Reads the head.
    async fn head(&self) -> Result<Head, Self::Error>;

    /// Reads changes by sequence, including purged ones, and the floor as of the same moment.
    async fn changes(&self, range: &ChangeRange) -> Result<ChangePage, Self::Error>;

    /// Reads batches that ended after a sequence, at most `limit`, by sequence. The batch that ended at the
    /// floor is kept.
    async fn batches(&self, after: Sequence, limit: u16) -> Result<Vec<StoredBatch>, Self::Error>;

    /// Returns when the batch that ends with a change was committed; `None` if no batch does, or the time is
    /// not known.
    async fn committed_at(&self, last: Sequence) -> Result<Option<UnixMillis>, Self::Error>;

    /// Returns the last batch that was committed before a time.
    async fn last_before(&self, time: UnixMillis) -> Result<Option<Sequence>, Self::Error>;
}

/// Writes a log. `R` is the type of the application's rows. No method waits for readers, however many they
/// are.
#[async_trait]
pub trait LogStore<R>: LogRead {
    /// Tries to become, or to stay, the one process that serves on the store. Returns `None` if another
    /// process is, otherwise the newest change. Called at intervals. An error means that the store is not
    /// reachable.
    ///
    /// Leadership only keeps two processes from hindering each other. That no change is lost or numbered
    /// twice follows from [`Self::commit`] alone.
    async fn lead(&self) -> Result<Option<Sequence>, Self::Error>;

    /// Returns the newest change, as the writer reads it.
    async fn newest(&self) -> Result<Sequence, Self::Error>;

    /// Writes the batch in one transaction and flushes it, or leaves everything unchanged. A batch without
    /// changes is not recorded as a batch of the log.
    async fn commit(&self, batch: &Batch<R>) -> Result<(), CommitError<Self::Error>>;

    /// Returns whether the batch that ends at `head` is stored although its commit failed; `None` if that is
    /// not certain yet. Not called for a batch without changes, for which the head is no evidence.
    async fn outcome(&self, head: &Head) -> Result<Option<bool>, Self::Error>;

    /// Reads the records of those of these keys that are known.
    async fn recorded(&self, keys: &[String]) -> Result<Vec<Recorded>, Self::Error>;

    /// Removes at most `rows_max` keys older than a time. Returns whether there may be more.
    async fn sweep_keys(&self, before: UnixMillis, rows_max: u32) -> Result<bool, Self::Error>;

    /// Removes the oldest changes and moves the floor behind them, up to the last batch that ended at or
    /// before `through`: about `rows_max` of them, and at least one batch. Returns whether there are more to
    /// remove.
    async fn cut(&self, through: Sequence, rows_max: u32) -> Result<bool, Self::Error>;

    /// Removes the bytes of one change. Its sequence, partition and digest stay, so the chain remains valid.
    /// Returns whether there was such a change with bytes.
    ///
    /// A running log may still have the change in memory ([`crate::FeedLimits::recent_changes_max`]) unless
    /// its sweeper purges it ([`crate::Application::purge`]), and a database may keep the bytes in freed
    /// pages and write-ahead logs.
    async fn purge(&self, sequence: Sequence) -> Result<bool, Self::Error>;

    /// Writes out what is pending and closes. No other method may be called afterwards.
    async fn close(&self);
}

/// An error of a store.
pub trait StoreFault: std::error::Error + Send + Sync + 'static {
    /// Returns whether stored data cannot be decoded: a later attempt fails in the same way.
    fn is_corrupt(&self) -> bool;
}

/// The reasons why a batch was not committed.
#[derive(Debug, Error)]
pub enum CommitError<E: std::error::Error + 'static> {
    /// Another writer has moved the head. Nothing was written.
    #[error("another writer moved the head")]
    StaleHead,
    /// The store failed before the commit. Nothing was written.
    #[error("nothing was written")]
    Refused(#[source] E),
    /// The store failed during the commit: the batch may be stored or not.
    #[error("the outcome is unknown")]
    Unknown(#[source] E),
}

/// The one row that every writer updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The newest change.
    pub sequence: Sequence,
    /// The chain as of the newest change.
    pub chain: Chain,
    /// Changes up to this one are no longer kept. It is the end of a batch, unless it is 0.
    pub floor: Sequence,
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Self = Self { sequence: Sequence::ZERO, chain: Chain::GENESIS, floor: Sequence::ZERO };
}

/// The content of one transaction.
#[derive(Debug, Clone)]
pub struct Batch<R> {
    /// The sequence and chain that the head must have. Its floor is ignored.
    pub expected: Head,
    /// The sequence and chain that the head gets. Its floor stays.
    pub head: Head,
    /// The time of the commit.
    pub committed_at: UnixMillis,
    /// The new changes, dense from `expected.sequence + 1` to `head.sequence`, all with bytes. Empty if only
    /// the application's rows are written: the head then stays where it is, and is checked all the same.
    pub changes: Vec<StoredChange>,
    /// The answers to writes with a key.
    pub recorded: Vec<Recorded>,
    /// The application's rows.
    pub rows: R,
}

/// A change as the log stores it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredChange {
    /// The change's position.
    pub sequence: Sequence,
    /// The partition that it concerns; `None` for all. Not covered by the chain: the application derives it
    /// from the bytes.
    pub partition: Option<u16>,
    /// The digest of the bytes, which the chain covers.
    pub digest: Digest,
    /// The application's encoding of the change; `None` if it was purged.
    pub bytes: Option<Vec<u8>>,
}

/// Shows no bytes, because they may hold data that must not be logged.
impl Debug for StoredChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.bytes {
            Some(bytes) => write!(f, "StoredChange({}, {} bytes)", self.sequence, bytes.len()),
            None => write!(f, "StoredChange({}, purged)", self.sequence),
        }
    }
}

impl StoredChange {
    /// Returns the bytes if they match the digest; `None` if they were altered or purged.
    #[must_use]
    pub fn proven_bytes(&self) -> Option<&[u8]> {
        self.bytes.as_deref().filter(|bytes| digest(bytes) == self.digest)
    }

    /// Returns whether its bytes were purged.
    #[must_use]
    pub const fn is_purged(&self) -> bool {
        self.bytes.is_none()
    }

    /// Returns the number of its bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.as_ref().map_or(0, Vec::len)
    }

    /// Returns whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The answer to a write that carried a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The key.
    pub key: String,
    /// The digest of the request, from [`crate::Write::digest`].
    pub digest: [u8; 32],
    /// The encoded answer, from [`crate::Answer::encode`].
    pub answer: Vec<u8>,
    /// The time of the write.
    pub created_at: UnixMillis,
}

/// The end of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBatch {
    /// The last change of the batch.
    pub last: Sequence,
    /// The chain as of that change.
    pub chain: Chain,
    /// The chain as of that change by an earlier definition, under which followers may know this position.
    /// Only batches from before the definition changed have one.
    pub former: Option<Chain>,
}

/// The range of changes to read.
#[derive(Debug, Clone, Copy)]
pub struct ChangeRange {
    /// The range begins after this change.
    pub after: Sequence,
    /// The range ends with this change.
    pub through: Sequence,
    /// Only changes of this slice are read.
    pub slice: Slice,
    /// The most changes.
    pub count_max: usize,
    /// Reading ends once the changes have this many bytes together.
    pub bytes_max: usize,
}

/// The changes that were read.
#[derive(Debug)]
pub struct ChangePage {
    /// The changes, by sequence.
    pub changes: Vec<StoredChange>,
    /// All changes of the range up to this one are included. The end of the range unless a bound was reached.
    pub through: Sequence,
    /// Changes up to this one were no longer kept at the time of reading. A range that begins before it has a
    /// gap.
    pub floor: Sequence,
}
