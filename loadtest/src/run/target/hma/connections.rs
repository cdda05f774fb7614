//! Persistent HTTP/1.1 connections to one service, and requests on them.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use vigie_clients::Network;

/// The size limit of an answer, in bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// The time limit for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause before the next attempt to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// A pool of connections to one service, with a limit on their number.
#[derive(Debug)]
pub(super) struct Connections {
    endpoint: Uri,
    authority: String,
    /// The path of the base URL, without a slash at its end.
    prefix: String,
    network: Network,
    /// A permit for each connection that may be open.
    free: Semaphore,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

/// An answer that has been read completely.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Bytes,
}

impl Connections {
    pub(super) fn new(endpoint: &Uri, network: &Network, count: usize) -> anyhow::Result<Self> {
        ensure!(
            endpoint.scheme_str() == Some("http"),
            "{endpoint} is no base URL; write it as http://host:port"
        );
        let host = endpoint.host().with_context(|| format!("{endpoint} names no host"))?;
        Ok(Self {
            authority: format!("{host}:{}", endpoint.port_u16().unwrap_or(80)),
            prefix: endpoint.path().trim_end_matches('/').to_owned(),
            endpoint: endpoint.clone(),
            network: network.clone(),
            free: Semaphore::new(count),
            idle: Mutex::default(),
        })
    }

    /// Opens every connection; fails with the reason if that takes longer than `within`.
    pub(super) async fn opened(&self, within: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        for _ in 0..self.free.available_permits() {
            let sender = loop {
                match self.connect().await {
                    Ok(sender) => break sender,
                    Err(error) if Instant::now() >= deadline => {
                        return Err(error.context(format!("cannot connect to {}", self.authority)));
                    }
                    Err(_) => tokio::time::sleep(RECONNECT_PAUSE).await,
                }
            };
            self.put_back(sender);
        }
        Ok(())
    }

    /// Sends `GET path` and reads the answer.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Response> {
        self.send(Method::GET, path, None).await
    }

    /// Sends `POST path` with a JSON body and reads the answer.
    pub(super) async fn post(&self, path: &str, body: &serde_json::Value) -> anyhow::Result<Response> {
        self.send(Method::POST, path, Some(body.to_string())).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<String>) -> anyhow::Result<Response> {
        let _permit = self.free.acquire().await?;
        let mut sender = match self.take() {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header(HOST, &self.authority)
            .header(ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let mut request = request.body(Full::from(body.unwrap_or_default()))?;
        if let Some(bearer) = self.network.bearer() {
            bearer.write(request.headers_mut());
        }
        let response = match sender.try_send_request(request).await {
            Ok(response) => response,
            // The service had closed the idle connection and the request was not sent, so it is sent again on
            // a new connection.
            Err(mut failed) => match failed.take_message() {
                Some(request) => {
                    sender = self.connect().await?;
                    sender.send_request(request).await?
                }
                None => return Err(failed.into_error().into()),
            },
        };
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!(error)).context("cannot read the answer")?.to_bytes();
        self.put_back(sender);
        let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        Ok(Response { status: head.status, retry_after, body })
    }

    /// Returns an idle connection. Those that were closed meanwhile, or are still busy, are dropped.
    fn take(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find(|sender| !sender.is_closed())
    }

    fn put_back(&self, sender: SendRequest<Full<Bytes>>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let connecting = async {
            let stream = self.network.connect(&self.endpoint, Some(CONNECT_TIMEOUT)).await?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // The request on the connection gets its error.
            tokio::spawn(connection);
            sender.ready().await?;
            anyhow::Ok(sender)
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.context("nobody answers")?
    }
}
