//! The failure of a request, before it takes the form of an API.

use std::time::Duration;

use http::StatusCode;
use vigie_clients::{CallError, Code};

/// Why a request is refused or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The status of the answer.
    pub(crate) status: StatusCode,
    /// For a person to read. Repeats nothing of a credential or a hash.
    pub(crate) message: String,
    /// When the caller may come again.
    pub(crate) retry_after: Option<Duration>,
}

/// When a caller that was refused for want of room comes again.
const AGAIN: Duration = Duration::from_secs(1);

impl Problem {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry_after: None }
    }

    /// A request that its caller has to change.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// A request that is refused for now.
    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self { retry_after: Some(AGAIN), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }
}

/// The status of each code, in one table.
const fn status_of(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A failed call to a service, without the addresses of the deployment.
impl From<CallError> for Problem {
    fn from(error: CallError) -> Self {
        let status = status_of(error.code());
        if status.is_server_error() {
            tracing::warn!(code = ?error.code(), %error, "a call to a service failed");
        }
        let message = match (error.is_of_the_connection(), status) {
            (true, _) => format!("the {} cannot be reached", error.service()),
            (false, StatusCode::INTERNAL_SERVER_ERROR) => {
                "the request failed for an internal reason".to_owned()
            }
            (false, _) => error.message().to_owned(),
        };
        let retry_after =
            error.retry_after().or((status == StatusCode::SERVICE_UNAVAILABLE).then_some(AGAIN));
        Self { status, message, retry_after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_is_not_there_is_never_a_resource_that_is_not_there() {
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled] {
            assert_eq!(status_of(code), StatusCode::SERVICE_UNAVAILABLE, "{code:?}");
        }
        assert_eq!(status_of(Code::NotFound), StatusCode::NOT_FOUND);
    }
}
