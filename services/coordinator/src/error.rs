//! The errors of a coordinator, and the gRPC code that the caller gets for each.

use std::time::Duration;

use thiserror::Error;
use tonic::{Code, Status};
use vigie_clients::EndpointError;
use vigie_model::SearchAnswer;
use vigie_proto::pb::coordinator::v1::SearchResponse;
use vigie_serving::ServeError;

/// Reasons why a coordinator could not run.
#[derive(Debug, Error)]
pub enum RunError {
    /// The configuration has these faults.
    #[error("the configuration has faults: {}", .0.join("; "))]
    Config(Vec<String>),
    /// The endpoint of a matcher is malformed.
    #[error("cannot reach a matcher")]
    Matcher(#[from] EndpointError),
    /// The task that watches the matchers ended by a fault of its own.
    #[error("the watcher of the matchers ended unexpectedly")]
    Watcher,
    /// The task that follows the directory of members ended by a fault of its own.
    #[error("the follower of the directory of members ended unexpectedly")]
    Directory,
    /// The server failed.
    #[error("cannot serve searches")]
    Serve(#[from] ServeError),
}

/// Reasons why a search was not answered.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SearchError {
    /// Every shard reports that a bank of the search is unknown. The text is a matcher's.
    #[error("{0}")]
    UnknownBank(String),
    /// Every shard refuses the search: a bank that it names is disabled, or it names no set of banks although
    /// the deployment has members. The text is a matcher's.
    #[error("{0}")]
    Refused(String),
    /// Every shard that did not answer is overloaded.
    #[error("{0}")]
    Overloaded(String),
    /// The answer covers less than the caller asked for. It contains the partial answer.
    #[error("{}", too_little(.0))]
    CoverageTooLow(Box<SearchAnswer>),
}

/// The retry delay sent to the caller: an overloaded matcher has free capacity again after about this time.
const OVERLOADED_RETRY_AFTER: Duration = Duration::from_millis(100);

pub(crate) fn too_little(partial: &SearchAnswer) -> String {
    let coverage = &partial.coverage;
    let mut text = match coverage.shards_total {
        0 => "no matcher has been reached yet".to_owned(),
        total => format!("{} of {total} shards answered", coverage.shards_answered),
    };
    // The first three failures are enough for a person; the status details have all of them.
    for failure in coverage.failures.iter().take(3) {
        text.push_str(&format!("; shard {}: {}", failure.shard, failure.reason));
    }
    text
}

impl SearchError {
    /// Converts the error to the gRPC status of a search. `is_of_a_set` is true if the search named its set
    /// of banks; a partial answer is then marked as limited to that set.
    pub(crate) fn into_status(self, is_of_a_set: bool) -> Status {
        let text = self.to_string();
        match self {
            Self::UnknownBank(_) => Status::new(Code::NotFound, text),
            Self::Refused(_) => Status::new(Code::FailedPrecondition, text),
            Self::Overloaded(_) => vigie_proto::status::resource_exhausted(text, OVERLOADED_RETRY_AFTER),
            Self::CoverageTooLow(partial) => {
                let partial = SearchResponse { bank_set_kept: is_of_a_set, ..SearchResponse::from(*partial) };
                vigie_proto::status::with_partial(Code::Unavailable, &text, partial)
            }
        }
    }
}

impl From<SearchError> for Status {
    fn from(error: SearchError) -> Self {
        error.into_status(false)
    }
}
