//! A call that failed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Status};
use vigie_model::SearchAnswer;
use vigie_proto::pb::coordinator::v1::SearchResponse;
use vigie_proto::{Invalid, status};

use crate::matching::MatchAnswer;

/// A call that failed: which service, where, and what it said.
#[derive(Debug, Clone)]
pub struct CallError {
    service: &'static str,
    endpoint: Arc<str>,
    status: Box<Status>,
}

impl CallError {
    pub(crate) fn new(service: &'static str, endpoint: Arc<str>, status: Status) -> Self {
        Self { service, endpoint, status: Box::new(status) }
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
        let Self { service, endpoint, status } = self;
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
