//! `/`, `/status`: bare words, never JSON.

use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use http::StatusCode;

use crate::cluster;
use crate::shared::Shared;

const ALIVE: &str = "I-AM-ALIVE";

/// Leads to the status.
pub(crate) async fn root() -> Response {
    (StatusCode::FOUND, Redirect::to("/status")).into_response()
}

/// Says whether every shard answers.
pub(crate) async fn status(State(shared): State<Shared>) -> Response {
    let (status, word) = match shared.cluster.state() {
        cluster::State::Ready => (StatusCode::OK, ALIVE),
        cluster::State::NeverReady => (StatusCode::SERVICE_UNAVAILABLE, "INDEX-NOT-LOADED"),
        cluster::State::Stale => (StatusCode::SERVICE_UNAVAILABLE, "INDEX-STALE"),
    };
    (status, Html(word)).into_response()
}

/// Says that the gateway runs.
pub(crate) async fn live() -> Response {
    Html(ALIVE).into_response()
}
