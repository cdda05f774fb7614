//! The errors of a frontend, and the code that the caller gets for each.

use std::time::Duration;

use thiserror::Error;
use tonic::{Code, Status};
use vigie_clients::decoder::StartError;
use vigie_clients::{CallError, EndpointError};
use vigie_model::QualityError;
use vigie_proto::status;
use vigie_serving::ServeError;

/// The reason why a frontend could not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The configuration has these faults.
    #[error("the configuration has faults: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The coordinator's endpoint is invalid.
    #[error("cannot reach the coordinator")]
    Coordinator(#[from] EndpointError),
    /// The endpoint of a classifier is invalid.
    #[error("cannot reach classifiers")]
    Classifiers(#[source] EndpointError),
    /// The embedded coordinator cannot run.
    #[error("cannot run the embedded coordinator")]
    Embedded(#[from] vigie_coordinator::RunError),
    /// The quality floor is out of range.
    #[error("cannot use the quality floor")]
    QualityFloor(#[from] QualityError),
    /// Images cannot be decoded in processes with the required protection.
    #[error("cannot decode images in a sandbox, which sandbox = \"required\" asks for")]
    Sandbox(#[source] StartError),
    /// A hashing thread could not be started.
    #[error("cannot start the hashing pool")]
    HashingPool(#[source] std::io::Error),
    /// The follower of the directory ended because of an internal fault.
    #[error("the follower of the directory of members ended unexpectedly")]
    Directory,
    /// The server failed.
    #[error("cannot serve matches")]
    Serve(#[from] ServeError),
}

/// The reason why one file was not hashed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum HashingError {
    #[error("{waiting} {media}s are waiting to be hashed; try again later")]
    QueueFull {
        /// The kind of file: "image" or "video".
        media: &'static str,
        waiting: usize,
        retry_after: Duration,
    },
    #[error("the deadline passed before the file was hashed")]
    OutOfTime,
    #[error("the hashing pool is shutting down")]
    Closed,
}

impl HashingError {
    /// Returns the status code of the file.
    pub(crate) const fn code(&self) -> Code {
        match self {
            Self::QueueFull { .. } => Code::ResourceExhausted,
            Self::OutOfTime => Code::DeadlineExceeded,
            Self::Closed => Code::Unavailable,
        }
    }

    /// Returns the status of the file.
    pub(crate) fn into_status(self) -> Status {
        let (text, code) = (self.to_string(), self.code());
        match self {
            Self::QueueFull { retry_after, .. } => status::resource_exhausted(text, retry_after),
            Self::OutOfTime | Self::Closed => Status::new(code, text),
        }
    }
}

/// Returns the status of a search that the coordinator did not answer. Errors about the caller's request are
/// passed on to the caller; an unreachable coordinator is an outage of this service.
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
