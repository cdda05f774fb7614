//! Texts as file downloads.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, header};

/// A text as a file with this name, which needs no escaping in a header.
pub(super) fn file(name: &str, text: String) -> Response {
    const KIND: (HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; charset=utf-8");
    let disposition = (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""));
    ([KIND], [disposition], text).into_response()
}
