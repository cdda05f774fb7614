//! Why a call is refused, and the code that tells the caller what to do about it.

use std::time::Duration;

use thiserror::Error;
use tonic::{Code, Status};
use vigie_model::change::LogId;
use vigie_model::{BankName, ItemId, Sequence};
use vigie_proto::{Invalid, status};

use crate::store::StoreError;

/// Why a call is refused. Holds no source: what the store said is logged where it was handled, once.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Error {
    /// No living bank has this name.
    #[error("there is no bank called {0}")]
    BankNotFound(BankName),
    /// A living bank has this name already.
    #[error("there is a bank called {0} already")]
    NameTaken(BankName),
    /// No living bank holds this item.
    #[error("there is no item {0}")]
    ItemNotFound(ItemId),
    /// The key came before, with another request.
    #[error("came before with another request; a new request needs a new key")]
    KeyReused,
    /// The table of banks is full.
    #[error("there are {0} banks already, and no more can be created")]
    TooManyBanks(usize),
    /// The queue of writes is full.
    #[error("too many writes are waiting; try again later")]
    QueueFull,
    /// The time of the call was over before the write began.
    #[error("the call's time was over before the write began; nothing was written")]
    TooLate,
    /// The time of the call was over while the write was waiting or being written.
    #[error(
        "the call's time is spent: the write may have been done or not; repeat it with the same idempotency key"
    )]
    TimeSpent,
    /// Other writers were quicker, every time.
    #[error("other writers moved the log each time this write was tried; nothing was written")]
    Contended,
    /// The store refused, and nothing of the write is there.
    #[error("the store cannot take writes now; nothing was written")]
    NotWritten,
    /// The store failed while it was committing.
    #[error(
        "the store failed while it committed: the write may be done or not; repeat it with the same idempotency key"
    )]
    OutcomeUnknown,
    /// The store cannot be read.
    #[error("the store cannot be read now")]
    Unreadable,
    /// The bank is going down.
    #[error("the bank is stopping; nothing was written")]
    Stopping,
    /// This bank does not lead.
    #[error("standby: this bank does not serve the log now; another one does, or will")]
    Standby,
    /// The follower knows of changes that were never made here.
    #[error(
        "the cursor {cursor} lies beyond the head of the log, {head}: those changes were not made in this bank"
    )]
    CursorBeyondHead {
        /// What the follower says it has.
        cursor: Sequence,
        /// What there is.
        head: Sequence,
    },
    /// The log no longer keeps what follows the cursor.
    #[error(
        "the log keeps only what follows {floor}, and the cursor is {cursor}: load the state, and go on from there"
    )]
    CursorBeforeFloor {
        /// What the follower says it has.
        cursor: Sequence,
        /// What is gone.
        floor: Sequence,
    },
    /// The follower has followed another log.
    #[error(
        "the cursor is of the log {cursor}, and this bank's is {own}: nothing that was built from it goes on here"
    )]
    AnotherLog {
        /// What the follower says it has.
        cursor: LogId,
        /// What there is.
        own: LogId,
    },
    /// The follower has followed the same log, and then this one took another way.
    #[error(
        "the log has another chain at {cursor} than the cursor: it was restored from a backup and has gone another way"
    )]
    Diverged {
        /// Where.
        cursor: Sequence,
    },
    /// As many follow the log as may.
    #[error("too many followers; try again later")]
    TooManyFollowers,
    /// Something that is always true was not.
    #[error("the bank is at fault")]
    Broken,
}

/// When a caller is told to come back to a full queue: about as long as it takes to write a few groups.
const RETRY_WRITE_AFTER: Duration = Duration::from_millis(100);
/// When a caller is told to come back as a follower: places become free when others restart.
const RETRY_WATCH_AFTER: Duration = Duration::from_secs(1);

impl Error {
    /// The one table from error to code.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::BankNotFound(_) | Self::ItemNotFound(_) => Code::NotFound,
            Self::NameTaken(_) => Code::AlreadyExists,
            Self::KeyReused => Code::InvalidArgument,
            Self::TooManyBanks(_) => Code::FailedPrecondition,
            Self::QueueFull | Self::TooManyFollowers => Code::ResourceExhausted,
            Self::TooLate | Self::TimeSpent => Code::DeadlineExceeded,
            Self::Contended => Code::Aborted,
            Self::NotWritten | Self::OutcomeUnknown | Self::Unreadable | Self::Stopping | Self::Standby => {
                Code::Unavailable
            }
            Self::CursorBeyondHead { .. }
            | Self::CursorBeforeFloor { .. }
            | Self::AnotherLog { .. }
            | Self::Diverged { .. } => Code::OutOfRange,
            Self::Broken => Code::Internal,
        }
    }
}

impl Error {
    /// What a failed read comes to. Logs what the store said.
    pub(crate) fn from_read(error: &StoreError) -> Self {
        tracing::error!(error = error as &dyn std::error::Error, "cannot read the store");
        match error {
            StoreError::Corrupt { .. } => Self::Broken,
            StoreError::Database { .. }
            | StoreError::Folder { .. }
            | StoreError::InUse { .. }
            | StoreError::Lock { .. }
            | StoreError::Open { .. }
            | StoreError::Unflushed { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::Migrate { .. }
            | StoreError::Simulated => Self::Unreadable,
            #[cfg(test)]
            StoreError::Injected => Self::Unreadable,
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::KeyReused => Invalid::new("idempotency_key", text).into(),
            Error::QueueFull => status::resource_exhausted(text, RETRY_WRITE_AFTER),
            Error::TooManyFollowers => status::resource_exhausted(text, RETRY_WATCH_AFTER),
            Error::BankNotFound(_)
            | Error::NameTaken(_)
            | Error::ItemNotFound(_)
            | Error::TooManyBanks(_)
            | Error::TooLate
            | Error::TimeSpent
            | Error::Contended
            | Error::NotWritten
            | Error::OutcomeUnknown
            | Error::Unreadable
            | Error::Stopping
            | Error::Standby
            | Error::CursorBeyondHead { .. }
            | Error::CursorBeforeFloor { .. }
            | Error::AnotherLog { .. }
            | Error::Diverged { .. }
            | Error::Broken => Self::new(error.code(), text),
        }
    }
}
