//! Metrics and probes over plain HTTP.
//!
//! | path | answer |
//! |---|---|
//! | `/metrics` | every metric, in the text format of OpenMetrics 1.0 |
//! | `/livez` | 200: the runtime of the process answers |
//! | `/readyz` | 200, or 503 with the reason, one line of text |
//! | `/startupz` | 503 until the role has started working once, then 200 permanently |
//!
//! A client gets one answer and the connection is closed: so the bound on connections bounds the work, and no
//! idle client holds a connection for longer than [`CONNECTION_MAX`].

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::telemetry::Condition;
use crate::together::Shown;

/// The most connections at once. Scrapers and probes are few, and short.
const CONNECTIONS_MAX: usize = 64;
/// The longest time of a connection, from the first byte of the request to the last of the answer.
const CONNECTION_MAX: Duration = Duration::from_secs(5);
/// The most bytes of a request's head: the least that hyper accepts as a limit, and more than any scraper
/// sends.
const HEAD_BYTES_MAX: usize = 8 << 10;
const HEADERS_MAX: usize = 64;
/// The pause after a connection could not be accepted, most likely for lack of files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Serves the metrics and conditions of one role, or of several, with the figures of the process, until the
/// future is dropped.
pub async fn serve(listener: TcpListener, shown: impl Into<Shown>) {
    let shown = shown.into();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Dropping the set ends the connections.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let io = match listener.accept().await {
            Ok((io, _peer)) => io,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection for telemetry");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        // One connection too many is closed as it comes: its client sees that at once.
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let shown = shown.clone();
        connections.spawn(async move {
            let _place = place;
            if let Ok(Err(error)) = tokio::time::timeout(CONNECTION_MAX, answer(io, &shown)).await {
                tracing::debug!(%error, "a connection for telemetry failed");
            }
        });
    }
}

async fn answer(io: TcpStream, shown: &Shown) -> hyper::Result<()> {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = respond(request.method(), request.uri().path(), shown);
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    http1::Builder::new()
        .keep_alive(false)
        // The time of the whole connection is limited instead.
        .header_read_timeout(None)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(io), service)
        .await
}

fn respond(method: &Method, path: &str, shown: &Shown) -> Response<Full<Bytes>> {
    let (status, kind, body) = match path {
        "/metrics" | "/livez" | "/readyz" | "/startupz" if method != Method::GET => {
            let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is answered\n".into());
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return refused;
        }
        "/metrics" => match shown.exposition() {
            Ok(written) => (StatusCode::OK, OPENMETRICS, written),
            Err(error) => {
                (StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("cannot write the metrics: {error}\n"))
            }
        },
        "/livez" => (StatusCode::OK, TEXT, "alive\n".to_owned()),
        "/startupz" if shown.has_started() => (StatusCode::OK, TEXT, "started\n".to_owned()),
        "/readyz" | "/startupz" => match shown.condition() {
            Condition::Ready => {
                let remarks = shown.remarks().into_iter().map(|remark| remark + "\n");
                (StatusCode::OK, TEXT, std::iter::once("ready\n".to_owned()).chain(remarks).collect())
            }
            Condition::Standby(reason) => (StatusCode::OK, TEXT, format!("{reason}\n")),
            Condition::Starting(reason) | Condition::Unready(reason) => {
                (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{reason}\n"))
            }
        },
        _ => (StatusCode::NOT_FOUND, TEXT, "there are /metrics, /livez, /readyz and /startupz\n".to_owned()),
    };
    plain(status, kind, body)
}

fn plain(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
