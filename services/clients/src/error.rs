//! A call that failed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Status};
use vigie_model::SearchAnswer;
use vigie_proto::pb::coordinator::v1::SearchResponse;
use vigie_proto::{Invalid, status};

use crate::load::CallEnd;
use crate::matching::MatchAnswer;

/// A call that failed: which service, where, and what it said.
#[derive(Debug, Clone)]
pub struct CallError {
    service: &'static str,
    endpoint: Arc<str>,
    status: Box<Status>,
    is_of_the_connection: bool,
    is_for_good: bool,
}

impl CallError {
    pub(crate) fn new(service: &'static str, endpoint: Arc<str>, status: Status) -> Self {
        let status = Box::new(status);
        Self { service, endpoint, status, is_of_the_connection: false, is_for_good: false }
    }

    pub(crate) fn of_the_connection(self, is_for_good: bool) -> Self {
        Self { is_of_the_connection: true, is_for_good, ..self }
    }

    /// The same, of an attempt whose time was up, and that came after one which failed so.
    pub(crate) fn after(mut self, last: &Self) -> Self {
        let message = format!("{}; the last attempt: {}", self.message(), with_causes(last));
        *self.status = Status::new(self.code(), message);
        self
    }

    /// Whether the service could not be reached, or was lost on the way, rather than having said something.
    #[must_use]
    pub const fn is_of_the_connection(&self) -> bool {
        self.is_of_the_connection
    }

    /// Whether every connection to the service fails like this one, until somebody changes a certificate or an address: for
    /// who waits there is no use in another attempt.
    #[must_use]
    pub const fn is_for_good(&self) -> bool {
        self.is_for_good
    }

    /// How a call that failed by this ended, as far as the endpoint is concerned.
    #[must_use]
    pub fn call_end(&self) -> CallEnd {
        match self.code() {
            _ if self.is_of_the_connection => CallEnd::Failed,
            Code::Unavailable | Code::Internal | Code::Unknown | Code::DataLoss => CallEnd::Failed,
            Code::ResourceExhausted => CallEnd::Refused,
            // A deadline may have been too short.
            Code::DeadlineExceeded | Code::Cancelled | Code::Aborted => CallEnd::Abandoned,
            Code::Ok
            | Code::InvalidArgument
            | Code::NotFound
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Unauthenticated => CallEnd::Answered,
        }
    }

    /// The gRPC code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.status.code()
    }

    /// What the service said.
    #[must_use]
    pub fn message(&self) -> &str {
        self.status.message()
    }

    /// When the service asks to be called again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        status::retry_after(&self.status)
    }

    /// The partial answer of a coordinator whose coverage was less than asked for.
    #[must_use]
    pub fn partial_search(&self) -> Option<SearchAnswer> {
        status::message::<SearchResponse>(&self.status)?.try_into().ok()
    }

    /// The partial answer of a frontend whose coverage was less than asked for.
    #[must_use]
    pub fn partial_match(&self) -> Option<MatchAnswer> {
        status::message::<vigie_proto::pb::matching::v1::MatchResponse>(&self.status)?.try_into().ok()
    }

    /// The status itself, for a service that passes it on.
    #[must_use]
    pub fn into_status(self) -> Status {
        *self.status
    }

    pub(crate) fn unreadable(invalid: &Invalid) -> Status {
        Status::internal(format!("the answer breaks the contract: {invalid}"))
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, endpoint, status, .. } = self;
        match std::error::Error::source(&**status) {
            // The transport's own words ("tcp connect error") say more than the status it became.
            Some(_) => write!(f, "cannot reach the {service} at {endpoint}"),
            None => write!(f, "{service} at {endpoint}: {}", status.message()),
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&*self.status)
    }
}

/// An error's words and those of all that it comes from.
pub(crate) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
