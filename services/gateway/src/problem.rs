//! The failure of a request: independent of an API's form, and in the form of RFC 9457
//! (`application/problem+json`).

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use vigie_clients::{CallError, Code};
use vigie_rpc::code;

/// The reason why a request is refused or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The status of the answer.
    pub(crate) status: StatusCode,
    /// The gRPC code.
    pub(crate) code: Code,
    /// A message for people. Repeats nothing of a credential or a hash.
    pub(crate) message: String,
    /// The time after which the caller may retry.
    pub(crate) retry_after: Option<Duration>,
    /// The field of the request at fault, if one is.
    pub(crate) field: Option<String>,
    /// The answer of a lookup with less coverage than requested.
    pub(crate) partial: Option<Box<Value>>,
}

/// The time after which a caller that was refused for lack of capacity should retry.
const AGAIN: Duration = Duration::from_secs(1);

impl Problem {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let (code, message) = (code_of(status), message.into());
        Self { status, code, message, retry_after: None, field: None, partial: None }
    }

    /// A request that its caller must change.
    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A field of a request that does not fit, with the reason.
    pub(crate) fn field(field: impl Into<String>, why: impl std::fmt::Display) -> Self {
        let field = field.into();
        Self { message: format!("{field}: {why}"), field: Some(field), ..Self::bad("") }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// A request that is refused temporarily.
    pub(crate) fn busy(message: impl Into<String>) -> Self {
        Self { retry_after: Some(AGAIN), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// A failure that a service answered with this code and text.
    pub(crate) fn of_code(code: Code, message: impl Into<String>) -> Self {
        let status = status_of(code);
        let retry_after = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(AGAIN);
        Self { code, retry_after, ..Self::new(status, message) }
    }
}

/// Returns the HTTP status of each code.
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

/// Returns the code of a failure that no service answered.
const fn code_of(status: StatusCode) -> Code {
    match status {
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => Code::Unimplemented,
        StatusCode::REQUEST_TIMEOUT => Code::DeadlineExceeded,
        StatusCode::CONFLICT => Code::FailedPrecondition,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        StatusCode::INTERNAL_SERVER_ERROR => Code::Internal,
        _ => Code::InvalidArgument,
    }
}

/// Converts a failed call to a service, without the addresses of the deployment.
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
        let problem = Self::of_code(error.code(), message);
        Self { retry_after: error.retry_after().or(problem.retry_after), ..problem }
    }
}

/// A failure (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemObject {
    /// `about:blank`: the status says which kind of failure it is, and `code` says more.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// Why, for a person to read.
    detail: String,
    /// The gRPC code, such as `INVALID_ARGUMENT`.
    code: &'static str,
    /// The field of the request that is at fault, such as `queries[2].hashes[0].hash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The answer of a lookup that covers less than was asked for, in the form of a whole answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    partial: Option<Box<Value>>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, code, message, retry_after, field, partial } = self;
        let object = ProblemObject {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: message,
            code: code::word(code),
            field,
            partial,
        };
        let mut answer = (status, Json(object)).into_response();
        let headers: &mut HeaderMap = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(after) = retry_after {
            let seconds = u64::try_from(after.as_millis().div_ceil(1_000).max(1)).unwrap_or(u64::MAX);
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        answer
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

    #[test]
    fn the_code_of_a_status_is_one_that_services_answer_with_that_status() {
        for status in [400, 401, 403, 404, 409, 429, 500, 501, 503] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(status_of(code_of(status)), status);
        }
    }

    #[tokio::test]
    async fn a_failure_is_answered_in_the_form_of_rfc_9457() {
        let answer = Problem::field("limit", "is 0").into_response();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/problem+json");
        let body = axum::body::to_bytes(answer.into_body(), 1_024).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let expected = serde_json::json!({
            "type": "about:blank", "title": "Bad Request", "status": 400, "detail": "limit: is 0",
            "code": "INVALID_ARGUMENT", "field": "limit"
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn headers_say_when_to_come_back_and_which_credential_is_asked_for() {
        let retry_after = Some(Duration::from_millis(1_200));
        let busy = Problem { retry_after, ..Problem::busy("busy") }.into_response();
        assert_eq!(busy.headers()[header::RETRY_AFTER], "2");
        let unknown = Problem::new(StatusCode::UNAUTHORIZED, "who?").into_response();
        assert_eq!(unknown.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
}
