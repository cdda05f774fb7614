//! Failures in HMA's forms.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use vigie_clients::CallError;

use crate::problem::Problem;

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// `{"message": ...}` with a status.
    Problem(Problem),
    /// 422 with a list: a value that does not fit the schema, with its location, its name and the reason.
    Schema {
        /// `query`, `body` or empty.
        place: &'static str,
        /// The name of the value.
        name: String,
        /// The reason.
        why: String,
    },
    /// A page that does not exist, as HTML.
    NoSuchPage,
}

impl Refusal {
    /// Refuses a value of the query that does not fit.
    pub(crate) fn query(name: &str, why: impl Into<String>) -> Self {
        Self::Schema { place: "query", name: name.to_owned(), why: why.into() }
    }

    /// Refuses a value of the body that does not fit.
    pub(crate) fn body(name: &str, why: impl Into<String>) -> Self {
        Self::Schema { place: "body", name: name.to_owned(), why: why.into() }
    }

    pub(crate) fn bad(message: impl Into<String>) -> Self {
        Problem::bad(message).into()
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Problem::not_found(message).into()
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Problem::new(StatusCode::FORBIDDEN, message).into()
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(Problem { status, message, retry_after, .. }) => {
                let mut answer = (status, Json(json!({ "message": message }))).into_response();
                if let Some(after) = retry_after {
                    let seconds = after.as_millis().div_ceil(1_000).max(1);
                    if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
                        answer.headers_mut().insert(header::RETRY_AFTER, value);
                    }
                }
                answer
            }
            Self::Schema { place, name, why } => {
                let loc: Vec<&str> = [place, &name].into_iter().filter(|part| !part.is_empty()).collect();
                let one =
                    json!({ "type": "value_error", "loc": loc, "msg": why, "input": Value::Null, "url": "" });
                (StatusCode::UNPROCESSABLE_ENTITY, Json(json!([one]))).into_response()
            }
            Self::NoSuchPage => {
                let page = "<!doctype html>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n";
                (StatusCode::NOT_FOUND, axum::response::Html(page)).into_response()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_server_that_is_busy_says_when_to_come_back() {
        let problem = Problem { retry_after: Some(Duration::from_millis(1_200)), ..Problem::busy("busy") };
        let answer = Refusal::from(problem).into_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()[header::RETRY_AFTER], "2");
    }

    #[test]
    fn a_value_that_does_not_fit_is_answered_with_422() {
        assert_eq!(
            Refusal::query("signal", "is missing").into_response().status(),
            StatusCode::UNPROCESSABLE_ENTITY
        );
    }
}
