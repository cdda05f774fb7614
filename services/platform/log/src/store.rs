//! What the log asks of a database.
//!
//! A store keeps the changes, the chain of their batches, and the answers to writes with a key, next to the rows of the
//! application. It decides nothing: a [`Batch`] holds every row as it is to be. Two writers never number the same changes,
//! since [`LogStore::commit`] moves the head only from where the batch expects it.

pub(crate) mod memory;

use std::fmt::{self, Debug};

use async_trait::async_trait;
use thiserror::Error;

use crate::chain::digest;
use crate::position::{Chain, Digest, LogId, Sequence, Slice, UnixMillis};

/// Reads a log. Several readers may read at once, and none of them holds up the writer.
#[async_trait]
pub trait LogRead: Debug + Send + Sync + 'static {
    /// Why the store did not do what it was asked.
    type Error: StoreFault;

    /// Which log it is.
    fn log_id(&self) -> LogId;

    /// Reads the head.
    async fn head(&self) -> Result<Head, Self::Error>;

    /// Reads changes by sequence, purged ones among them, and the floor as of the same moment.
    async fn changes(&self, range: &ChangeRange) -> Result<ChangePage, Self::Error>;

    /// Reads batches that ended after a sequence, at most `limit`, by sequence. The one that ended at the floor is kept.
    async fn batches(&self, after: Sequence, limit: u16) -> Result<Vec<StoredBatch>, Self::Error>;

    /// Returns when the batch that ends with a change was committed; `None` where no batch does, or it is not known.
    async fn committed_at(&self, last: Sequence) -> Result<Option<UnixMillis>, Self::Error>;

    /// Returns the last batch that was committed before a time.
    async fn last_before(&self, time: UnixMillis) -> Result<Option<Sequence>, Self::Error>;
}

/// Writes a log. `R` are the application's rows. Nothing here waits for readers, however many they are.
#[async_trait]
pub trait LogStore<R>: LogRead {
    /// Tries to become the one process that serves on the store, or to stay it. Returns `None` where another one is, and
    /// else the newest change. It is called again and again. An error means that the store is not reachable.
    ///
    /// It keeps two processes from hindering each other, and no more: that no change is lost or numbered twice follows from
    /// [`Self::commit`] alone.
    async fn lead(&self) -> Result<Option<Sequence>, Self::Error>;

    /// Returns the newest change, read by the writer.
    async fn newest(&self) -> Result<Sequence, Self::Error>;

    /// Writes the batch in one transaction and flushes it, or leaves everything as it was. A batch without changes has no end
    /// in the log.
    async fn commit(&self, batch: &Batch<R>) -> Result<(), CommitError<Self::Error>>;

    /// Whether the batch that ends at `head` is there although its commit failed; `None` where that is not certain yet. Not asked
    /// of a batch without changes, of which the head says nothing.
    async fn outcome(&self, head: &Head) -> Result<Option<bool>, Self::Error>;

    /// Reads what is recorded under those of these keys that are known.
    async fn recorded(&self, keys: &[String]) -> Result<Vec<Recorded>, Self::Error>;

    /// Removes at most `rows_max` keys from before a time. Returns whether there may be more.
    async fn sweep_keys(&self, before: UnixMillis, rows_max: u32) -> Result<bool, Self::Error>;

    /// Removes the oldest changes and moves the floor behind them, up to the last batch that ended at or before `through`:
    /// about `rows_max` of them, and at least one batch. Returns whether there are more to remove.
    async fn cut(&self, through: Sequence, rows_max: u32) -> Result<bool, Self::Error>;

    /// Removes the bytes of one change. Its sequence, partition and digest stay, so the chain holds. Returns whether there
    /// was such a change with bytes.
    ///
    /// A running log may still have the change in memory ([`crate::FeedLimits::recent_changes_max`]) unless its sweeper purges it
    /// ([`crate::Application::purge`]), and a database may keep the bytes in freed pages and write-ahead logs.
    async fn purge(&self, sequence: Sequence) -> Result<bool, Self::Error>;

    /// Writes out what is pending and closes. Nothing may be asked afterwards.
    async fn close(&self);
}

/// An error of a store.
pub trait StoreFault: std::error::Error + Send + Sync + 'static {
    /// Whether stored data does not read back: a later attempt fails likewise.
    fn is_corrupt(&self) -> bool;
}

/// Why a batch was not committed.
#[derive(Debug, Error)]
pub enum CommitError<E: std::error::Error + 'static> {
    /// Another writer has moved the head. Nothing was written.
    #[error("another writer moved the head")]
    StaleHead,
    /// It failed before the commit. Nothing was written.
    #[error("nothing was written")]
    Refused(#[source] E),
    /// It failed in the commit: the batch may be there or not.
    #[error("the outcome is unknown")]
    Unknown(#[source] E),
}

/// The one row that every writer moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The newest change.
    pub sequence: Sequence,
    /// The chain as of it.
    pub chain: Chain,
    /// Changes up to this one are no longer kept. A batch ended with it, unless it is 0.
    pub floor: Sequence,
}

impl Head {
    /// The head of an empty log.
    pub const EMPTY: Self = Self { sequence: Sequence::ZERO, chain: Chain::GENESIS, floor: Sequence::ZERO };
}

/// What one transaction writes.
#[derive(Debug, Clone)]
pub struct Batch<R> {
    /// The sequence and chain that the head must have. Its floor is of no importance.
    pub expected: Head,
    /// The sequence and chain that the head gets. Its floor stays.
    pub head: Head,
    /// The time of the commit.
    pub committed_at: UnixMillis,
    /// The new changes, dense from `expected.sequence + 1` to `head.sequence`. All have bytes. There are none where the
    /// application's rows alone are written: the head then stays where it is, and is checked all the same.
    pub changes: Vec<StoredChange>,
    /// The answers to writes with a key.
    pub recorded: Vec<Recorded>,
    /// The application's rows.
    pub rows: R,
}

/// One change as the log stores it.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredChange {
    /// Its position.
    pub sequence: Sequence,
    /// The partition that it concerns; `None` for all. Not covered by the chain: the application derives it from the bytes.
    pub partition: Option<u16>,
    /// The digest of the bytes, which the chain covers.
    pub digest: Digest,
    /// The application's encoding of the change; `None` where it was purged.
    pub bytes: Option<Vec<u8>>,
}

/// Shows no bytes: they may hold what must not be logged.
impl Debug for StoredChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.bytes {
            Some(bytes) => write!(f, "StoredChange({}, {} bytes)", self.sequence, bytes.len()),
            None => write!(f, "StoredChange({}, purged)", self.sequence),
        }
    }
}

impl StoredChange {
    /// Returns the bytes if they are those of the digest; `None` where they were altered or purged.
    #[must_use]
    pub fn proven_bytes(&self) -> Option<&[u8]> {
        self.bytes.as_deref().filter(|bytes| digest(bytes) == self.digest)
    }

    /// Whether its bytes were purged.
    #[must_use]
    pub const fn is_purged(&self) -> bool {
        self.bytes.is_none()
    }

    /// The number of its bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.as_ref().map_or(0, Vec::len)
    }

    /// Whether it has no bytes.
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
    /// See [`crate::Write::digest`].
    pub digest: [u8; 32],
    /// See [`crate::Answer::encode`].
    pub answer: Vec<u8>,
    /// The time of the write.
    pub created_at: UnixMillis,
}

/// The end of one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBatch {
    /// Its last change.
    pub last: Sequence,
    /// The chain as of it.
    pub chain: Chain,
    /// The chain as of it by an earlier definition, under which followers may know this position. Only batches from before
    /// the definition changed have one.
    pub former: Option<Chain>,
}

/// Which changes to read.
#[derive(Debug, Clone, Copy)]
pub struct ChangeRange {
    /// After this one,
    pub after: Sequence,
    /// up to and with this one,
    pub through: Sequence,
    /// those of this slice,
    pub slice: Slice,
    /// at most this many,
    pub count_max: usize,
    /// and no more once they have this many bytes together.
    pub bytes_max: usize,
}

/// Changes that were read.
#[derive(Debug)]
pub struct ChangePage {
    /// The changes, by sequence.
    pub changes: Vec<StoredChange>,
    /// Every change of the range up to this one is among them; the end of the range unless a bound was reached.
    pub through: Sequence,
    /// Changes up to this one were no longer kept when they were read. A range that begins before it has a gap.
    pub floor: Sequence,
}
