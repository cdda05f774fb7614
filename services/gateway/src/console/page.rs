//! What a handler answers: the content of a page, a way elsewhere, or a failure. The frame puts navigation and headers around it.

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
    /// What stands below the title.
    pub(crate) main: Markup,
    /// The status of the answer.
    pub(crate) status: StatusCode,
}

impl Page {
    /// A page with this title and content.
    pub(crate) fn new(title: impl Into<String>, main: Markup) -> Self {
        Self { title: title.into(), main, status: StatusCode::OK }
    }

    /// The same page with another status.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

/// The page travels to the frame as an extension of an answer without a body.
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
    /// A form whose token is not that of the session: one of another site, or of a session that has ended.
    pub(crate) fn cross_site() -> Self {
        let problem = Problem::new(StatusCode::FORBIDDEN, "the form is not of this session");
        Self { problem, is_cross_site: true }
    }

    /// A page, or a thing that a page is of, which does not exist for this person.
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

/// The answer to a form that was carried out: leads to a page, which names what was done.
#[derive(Debug, Clone)]
pub(crate) struct Done {
    location: String,
}

impl Done {
    /// Leads to a path of the console.
    pub(crate) fn at(path: impl Into<String>) -> Self {
        Self { location: path.into() }
    }

    /// Leads to a path, whose page says `done.<key>` and gets the other values as its query.
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

/// What a handler answers a form with: what was done, or the form again with what is wrong in it.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Carried out.
    Done(Done),
    /// The page to show.
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
