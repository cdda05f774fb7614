//! Asks a probe, as an orchestrator does.

use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The most bytes of an answer. A reason is one line.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The answer of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// The process is ready. Contains its remarks, one a line.
    Ready(Vec<String>),
    /// The process is not ready, for this reason.
    Unready(String),
}

/// The reasons for which a probe gave no answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// The text is no address of a probe.
    #[error("{0} is no address of a probe, such as http://127.0.0.1:9464/readyz")]
    Address(String),
    /// No answer came in time.
    #[error("{0} did not answer in time")]
    TooLate(String),
    /// Nothing listens there.
    #[error("cannot reach {0}")]
    Connect(String, #[source] std::io::Error),
    /// The server at the address does not speak HTTP.
    #[error("{0} does not answer by HTTP")]
    Http(String, #[source] hyper::Error),
    /// The server at the address is no probe.
    #[error("{0} is no probe: it answers {1}")]
    NoProbe(String, StatusCode),
    /// The answer cannot be read.
    #[error("cannot read what {0} answers")]
    Answer(String, #[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Asks the probe at `url` (`http://host:port/path`), for at most `within`.
pub async fn ask(url: &str, within: Duration) -> Result<Readiness, AskError> {
    let asked = tokio::time::timeout(within, ask_now(url)).await;
    asked.map_err(|_| AskError::TooLate(url.to_owned()))?
}

async fn ask_now(url: &str) -> Result<Readiness, AskError> {
    let none = || AskError::Address(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| none())?;
    let authority = uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(none)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let address = (host, authority.port_u16().unwrap_or(80));
    let request = Request::get(path).header(HOST, authority.as_str()).body(Empty::<Bytes>::new());
    let request = request.map_err(|_| none())?;

    let io = TcpStream::connect(address).await.map_err(|error| AskError::Connect(url.to_owned(), error))?;
    let http = |error| AskError::Http(url.to_owned(), error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(http)?;
    // The task of the connection ends with this call at the latest. Its errors are returned by the request as
    // well.
    let _connection = JoinSet::from_iter([connection]);
    let (head, body) = sender.send_request(request).await.map_err(http)?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| AskError::Answer(url.to_owned(), error))?.to_bytes();
    let said = String::from_utf8_lossy(&body).trim().to_owned();
    match head.status {
        StatusCode::OK => Ok(Readiness::Ready(said.lines().skip(1).map(str::to_owned).collect())),
        StatusCode::SERVICE_UNAVAILABLE => Ok(Readiness::Unready(said)),
        other => Err(AskError::NoProbe(url.to_owned(), other)),
    }
}
