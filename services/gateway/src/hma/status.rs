//! `/` and `/status`: plain words, never JSON.

use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use http::{HeaderMap, StatusCode};

use crate::cluster;
use crate::shared::Shared;

const ALIVE: &str = "I-AM-ALIVE";

/// Redirects to the status, and a browser to the console.
pub(crate) async fn root(headers: HeaderMap) -> Response {
    let is_browser = headers.get("sec-fetch-dest").is_some_and(|of| of.as_bytes() == b"document");
    let to = if is_browser { "/console/" } else { "/status" };
    (StatusCode::FOUND, Redirect::to(to)).into_response()
}

/// Answers whether every shard answers.
pub(crate) async fn status(State(shared): State<Shared>) -> Response {
    let (status, word) = match shared.cluster.state() {
        cluster::State::Ready => (StatusCode::OK, ALIVE),
        cluster::State::NeverReady => (StatusCode::SERVICE_UNAVAILABLE, "INDEX-NOT-LOADED"),
        cluster::State::Stale => (StatusCode::SERVICE_UNAVAILABLE, "INDEX-STALE"),
    };
    (status, Html(word)).into_response()
}

/// Answers that the gateway runs.
pub(crate) async fn live() -> Response {
    Html(ALIVE).into_response()
}
