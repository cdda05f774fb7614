//! The errors of a matcher, and the gRPC code that the caller gets for each.

use thiserror::Error;
use tonic::{Code, Status};
use vigie_clients::EndpointError;

use vigie_model::{BankRef, HashType, ItemId, Sequence, ShardGroupError};
use vigie_serving::ServeError;

use crate::saving::folder::FolderError;

/// Reasons why a matcher could not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The configuration has these faults.
    #[error("the configuration has faults: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The shards are not some of the cluster's.
    #[error("cannot serve the configured shards")]
    Shards(#[from] ShardGroupError),
    /// The bank's endpoint is malformed.
    #[error("cannot reach the bank")]
    Bank(#[from] EndpointError),
    /// The folder of the shard cannot be used.
    #[error("cannot keep the shard on disk")]
    Folder(#[from] FolderError),
    /// The task that follows the log ended by a fault of its own.
    #[error("the follower of the bank's log ended unexpectedly")]
    Follower,
    /// The server failed.
    #[error("cannot serve searches")]
    Serve(#[from] ServeError),
}

/// Reasons why a search was not answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum SearchError {
    #[error("there is no bank named {name} as of sequence {sequence}")]
    UnknownBank { name: BankRef, sequence: Sequence },
    #[error("bank {0} is disabled: enable it, or leave it out of the request")]
    DisabledBank(BankRef),
    #[error(
        "the deployment has members, and this search does not name the set of banks that its caller may search: give the \
         frontend that it came through its `directory` setting"
    )]
    NoBankSet,
    #[error("this replica cannot search hashes of type {}: its version does not know it", .0.number())]
    UnknownHashType(HashType),
    #[error("not ready: {0}")]
    NotReady(String),
    #[error("behind: sequence {reached} is reached, {wanted} was asked for")]
    Behind { reached: Sequence, wanted: Sequence },
    #[error("the index names item {0}, which has no record")]
    Damaged(ItemId),
    #[error("the search ran out of time")]
    OutOfTime,
    #[error("the search failed")]
    Failed,
}

impl From<SearchError> for Status {
    fn from(error: SearchError) -> Self {
        let code = match &error {
            SearchError::UnknownBank { .. } => Code::NotFound,
            SearchError::DisabledBank(_) | SearchError::NoBankSet => Code::FailedPrecondition,
            // Another replica of the shard may run a newer version.
            SearchError::UnknownHashType(_) => Code::Unimplemented,
            SearchError::NotReady(_) | SearchError::Behind { .. } | SearchError::Damaged(_) => {
                Code::Unavailable
            }
            SearchError::OutOfTime => Code::DeadlineExceeded,
            SearchError::Failed => Code::Internal,
        };
        Self::new(code, error.to_string())
    }
}
