//! The errors of writes and of followers, and the reasons why a log stops serving.

use thiserror::Error;

use crate::position::{LogId, Sequence};

/// The reasons why the log itself refuses a write. The store's errors are logged once, where they are
/// handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WriteRefused {
    /// The key was used before, with another request.
    #[error("was used before with another request; a new request needs a new key")]
    KeyReused,
    /// The queue of writes is full.
    #[error("too many writes are waiting; try again later")]
    QueueFull,
    /// The deadline passed before the write began.
    #[error("the call's deadline passed before the write began; nothing was written")]
    TooLate,
    /// Other writers moved the head at every attempt.
    #[error("other writers moved the log each time this write was tried; nothing was written")]
    Contended,
    /// The store refused, and nothing of the write was stored.
    #[error("the store cannot take writes now; nothing was written")]
    NotWritten,
    /// The store failed during the commit.
    #[error(
        "the store failed while it committed: the write may or may not be stored; repeat it with the same idempotency key"
    )]
    OutcomeUnknown,
    /// The log accepts no more writes.
    #[error("the log is stopping; nothing was written")]
    Stopping,
    /// The writer ended because of a fault of its own.
    #[error("the log has an internal fault")]
    Broken,
}

/// The reasons why a follower is refused or cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FollowError {
    /// The follower has changes that were never made in this log.
    #[error(
        "the cursor {cursor} lies beyond the head of the log, {head}: those changes were not made in this log"
    )]
    CursorBeyondHead {
        /// The follower's position.
        cursor: Sequence,
        /// The newest change.
        head: Sequence,
    },
    /// The log no longer keeps the changes after the cursor.
    #[error(
        "the log keeps only the changes after {floor}, and the cursor is {cursor}: load the state, and continue from there"
    )]
    CursorBeforeFloor {
        /// The follower's position.
        cursor: Sequence,
        /// The last change that was removed.
        floor: Sequence,
    },
    /// The follower needs a change whose bytes were purged.
    #[error(
        "change {purged} was purged, and the cursor is {cursor}: load the state, and continue from there"
    )]
    Purged {
        /// The follower's position.
        cursor: Sequence,
        /// The first purged change after it.
        purged: Sequence,
    },
    /// The follower has followed another log.
    #[error(
        "the cursor is of the log {cursor}, and this one is {own}: a state that was built from it cannot continue here"
    )]
    AnotherLog {
        /// The follower's log.
        cursor: LogId,
        /// This log.
        own: LogId,
    },
    /// The follower has followed the same log, which has since continued differently.
    #[error(
        "the log has another chain at {cursor} than the cursor: it was restored from a backup and has continued differently"
    )]
    Diverged {
        /// The follower's position.
        cursor: Sequence,
    },
    /// The number of followers is at its limit.
    #[error("too many followers; try again later")]
    TooManyFollowers,
    /// The store cannot be read.
    #[error("the store cannot be read now")]
    Unreadable,
    /// The log is closing.
    #[error("the log is stopping")]
    Stopping,
    /// An invariant does not hold: the store is damaged, or a task ended because of a fault.
    #[error("the log has an internal fault")]
    Broken,
}

/// The reasons why the log stopped serving.
#[derive(Debug, Error)]
pub enum LeadError<E: std::error::Error + 'static> {
    /// The store could not be read at the start.
    #[error("cannot read the store")]
    Store(#[source] E),
    /// The writer ended because of a fault of its own.
    #[error("the writer of the log ended unexpectedly")]
    Writer,
    /// The sweeper ended because of a fault of its own.
    #[error("the sweeper ended unexpectedly")]
    Sweeper,
    /// Another process has taken over.
    #[error("another process leads on the same store")]
    Superseded,
}
