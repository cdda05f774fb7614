//! The answers of a handler: the content of a page, a redirect, or a failure. The frame adds navigation and
//! headers.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use maud::Markup;
use url::form_urlencoded;
use vigie_clients::CallError;

use crate::problem::Problem;

/// The content of a page.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// The title, in the person's language.
    pub(crate) title: String,
    /// The content below the title.
    pub(crate) main: Markup,
    /// The HTTP status of the answer.
    pub(crate) status: StatusCode,
}

impl Page {
    /// Returns a page with this title and content.
    pub(crate) fn new(title: impl Into<String>, main: Markup) -> Self {
        Self { title: title.into(), main, status: StatusCode::OK }
    }

    /// Returns the page with another status.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

/// A page reaches the frame as an extension of an answer without a body.
impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut answer = self.status.into_response();
        answer.extensions_mut().insert(Arc::new(self));
        answer
    }
}

/// A failure of a handler, which the frame shows as a page.
#[derive(Debug, Clone)]
pub(crate) struct Failed {
    pub(crate) problem: Problem,
    pub(crate) is_cross_site: bool,
}

impl Failed {
    /// The failure for a form whose CSRF token does not belong to the session: another site sent the form, or
    /// the session has ended.
    pub(crate) fn cross_site() -> Self {
        let problem = Problem::new(StatusCode::FORBIDDEN, "the form is not of this session");
        Self { problem, is_cross_site: true }
    }

    /// The failure for a page, or for the subject of a page, that does not exist for this person.
    pub(crate) fn not_there() -> Self {
        Problem::not_found("not there").into()
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self { problem, is_cross_site: false }
    }
}

impl From<CallError> for Failed {
    fn from(error: CallError) -> Self {
        Problem::from(error).into()
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let mut answer = self.problem.status.into_response();
        answer.extensions_mut().insert(Arc::new(self));
        answer
    }
}

/// The answer to a form that was carried out: a redirect to a page that shows the result.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    location: String,
}

impl Done {
    /// Returns a redirect to a path of the console.
    pub(crate) fn at(path: impl Into<String>) -> Self {
        Self { location: path.into() }
    }

    /// Returns a redirect to a path, whose page shows the text `done.<key>`. `values` are added to the query.
    pub(crate) fn saying(path: &str, key: &str, values: &[(&str, &str)]) -> Self {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("done", key).extend_pairs(values);
        Self { location: format!("{path}?{}", query.finish()) }
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        let location = HeaderValue::from_str(&self.location);
        let location = location.unwrap_or_else(|_| HeaderValue::from_static("/console/"));
        (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
    }
}

/// The answer to a form: a redirect after success, or the form again with its faults.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The form was carried out.
    Done(Done),
    /// The page to show: usually the form again, with its faults.
    Page(Page),
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Done(done) => done.into_response(),
            Self::Page(page) => page.into_response(),
        }
    }
}
