//! Bodies in JSON, and HMA's answers to other bodies.

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode, header};
use serde_json::{Map, Value};

use crate::entry::ClientAddress;
use crate::hma::refusal::Refusal;
use crate::media::bodies::{ReadBody, too_large};
use crate::problem::Problem;
use crate::shared::Shared;

/// The most bytes of a body in JSON.
const JSON_BYTES_MAX: usize = 1 << 20;

/// Reads the head and the body of a request. The body counts as held until it is dropped.
pub(crate) async fn read(shared: &Shared, request: Request<Body>) -> Result<(Parts, ReadBody), Refusal> {
    read_at_most(shared, request, usize::MAX).await
}

/// Reads the head and the body of a request, of at most `max` bytes.
pub(crate) async fn read_at_most(
    shared: &Shared,
    request: Request<Body>,
    max: usize,
) -> Result<(Parts, ReadBody), Refusal> {
    let (head, body) = request.into_parts();
    let client = head.extensions.get::<ClientAddress>().copied().unwrap_or_default();
    let body = shared.bodies.read(client.0, &head.headers, body, max).await?;
    Ok((head, body))
}

/// Returns whether the body's content type is JSON.
pub(crate) fn is_json(head: &Parts) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json")
    })
}

/// Reads the body of a call that parses JSON itself: 415 for any other content type.
pub(crate) async fn value(shared: &Shared, request: Request<Body>) -> Result<Value, Refusal> {
    let (head, body) = read_at_most(shared, request, JSON_BYTES_MAX).await?;
    if !is_json(&head) {
        let message = "the body has to be JSON, and announced as application/json";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into());
    }
    parsed(body.bytes())
}

/// Reads the body of a call with a schema: 422 for anything but a JSON object.
pub(crate) async fn object(shared: &Shared, request: Request<Body>) -> Result<Map<String, Value>, Refusal> {
    let (_, body) = read_at_most(shared, request, JSON_BYTES_MAX).await?;
    match serde_json::from_slice(body.bytes()) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => {
            Err(Refusal::Schema { place: "", name: String::new(), why: "an object of JSON is needed".into() })
        }
    }
}

pub(crate) fn parsed(body: &Bytes) -> Result<Value, Refusal> {
    if body.len() > JSON_BYTES_MAX {
        return Err(too_large(JSON_BYTES_MAX).into());
    }
    // The error's own text may repeat a part of the body.
    serde_json::from_slice(body).map_err(|error| {
        Refusal::bad(format!("the body is not JSON (line {}, column {})", error.line(), error.column()))
    })
}
