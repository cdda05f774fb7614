//! The errors of a frontend, and the code that the caller gets for each.

use std::time::Duration;

use thiserror::Error;
use tonic::{Code, Status};
use vigie_clients::decoder::StartError;
use vigie_clients::{CallError, EndpointError};
use vigie_model::QualityError;
use vigie_proto::status;
use vigie_serving::ServeError;

/// Why a frontend could not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The configuration has these faults.
    #[error("the configuration has faults: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The coordinator's endpoint is none.
    #[error("cannot reach the coordinator")]
    Coordinator(#[from] EndpointError),
    /// The endpoint of a classifier is none.
    #[error("cannot reach classifiers")]
    Classifiers(#[source] EndpointError),
    /// The coordinator inside cannot run.
    #[error("cannot run a coordinator inside")]
    Embedded(#[from] vigie_coordinator::RunError),
    /// The quality floor is none.
    #[error("cannot use the quality floor")]
    QualityFloor(#[from] QualityError),
    /// Images cannot be decoded in processes with the required protection.
    #[error("cannot decode images in a sandbox, which sandbox = \"required\" asks for")]
    Sandbox(#[source] StartError),
    /// A hashing thread could not be started.
    #[error("cannot start the hashing pool")]
    HashingPool(#[source] std::io::Error),
    /// The follower of the directory ended by a fault of its own.
    #[error("the follower of the directory of members ended unexpectedly")]
    Directory,
    /// The server failed.
    #[error("cannot serve matches")]
    Serve(#[from] ServeError),
}

/// Why one file was not hashed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum HashingError {
    #[error("{waiting} {media}s are waiting to be hashed; try again later")]
    QueueFull {
        /// "image" or "video".
        media: &'static str,
        waiting: usize,
        retry_after: Duration,
    },
    #[error("the file's time ran out before it could be hashed")]
    OutOfTime,
    #[error("the hashing pool is shutting down")]
    Closed,
}

impl HashingError {
    /// The code that its file gets.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::QueueFull { .. } => Code::ResourceExhausted,
            Self::OutOfTime => Code::DeadlineExceeded,
            Self::Closed => Code::Unavailable,
        }
    }

    /// The status of the file.
    pub(crate) fn into_status(self) -> Status {
        let (text, code) = (self.to_string(), self.code());
        match self {
            Self::QueueFull { retry_after, .. } => status::resource_exhausted(text, retry_after),
            Self::OutOfTime | Self::Closed => Status::new(code, text),
        }
    }
}

/// The status of a search that the coordinator did not answer: what it said of the caller's request is the
/// caller's to hear; that it could not be reached is an outage here.
pub(crate) fn search_status(error: CallError) -> Status {
    match error.code() {
        Code::NotFound
        | Code::FailedPrecondition
        | Code::InvalidArgument
        | Code::ResourceExhausted
        | Code::DeadlineExceeded => error.into_status(),
        Code::Unavailable | Code::Aborted | Code::Cancelled => {
            Status::new(Code::Unavailable, error.to_string())
        }
        Code::Ok
        | Code::Unknown
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => {
            tracing::error!(%error, "the coordinator failed");
            Status::new(Code::Internal, "the search failed")
        }
    }
}
