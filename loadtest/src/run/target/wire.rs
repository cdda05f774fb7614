//! A persistent HTTP/2 connection to a service, in plain text or over TLS.
//!
//! `tonic`'s own channel queues requests behind a worker and hides the number of connections. Here each
//! connection is explicit: it is opened before the run, on the thread that uses it, and reopened when it is
//! lost; while it is lost, a request fails at once.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use http::Uri;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tonic::Status;
use tonic::body::Body;
use vigie_clients::Network;
use vigie_net::{Bearer, Connection};
use vigie_tls::is_for_good;

/// The time limit for opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The pause before the next attempt.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);
/// The same values as in Vigie's own clients: the interval of keep-alive probes on an idle connection, and
/// the time without an answer after which it is closed.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A persistent HTTP/2 connection.
#[derive(Debug, Clone)]
pub(crate) struct Wire {
    sender: Arc<Mutex<Option<SendRequest<Body>>>>,
    link: watch::Receiver<Link>,
    endpoint: Uri,
    bearer: Option<Bearer>,
    _keeper: Arc<Keeper>,
}

/// The state of the connection.
#[derive(Debug)]
enum Link {
    Opening,
    Open,
    /// The last attempt failed, for this reason.
    Failed {
        reason: String,
        /// Whether no further attempt can succeed.
        for_good: bool,
    },
}

/// Ends the task that maintains the connection when it is no longer used.
#[derive(Debug)]
struct Keeper(AbortHandle);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Wire {
    /// Starts to connect; must be called within a runtime, whose thread does the work.
    pub(crate) fn new(endpoint: &Uri, network: &Network) -> anyhow::Result<Self> {
        let is_known = matches!(endpoint.scheme_str(), Some("http" | "https"));
        ensure!(is_known, "{endpoint} is no endpoint; write it as http://host:port or https://host:port");
        ensure!(endpoint.host().is_some(), "{endpoint} names no host");
        let sender = Arc::new(Mutex::new(None));
        let (state, link) = watch::channel(Link::Opening);
        let (reached, network, bearer) = (endpoint.clone(), network.clone(), network.bearer().cloned());
        let held = Arc::clone(&sender);
        let keeping = tokio::spawn(async move {
            loop {
                match connect(&reached, &network).await {
                    Ok((sender, connection)) => {
                        *held.lock().unwrap_or_else(PoisonError::into_inner) = Some(sender);
                        state.send_replace(Link::Open);
                        // This state is for callers that wait until all is ready. The requests on a lost
                        // connection get their own errors.
                        let ended = connection.await;
                        *held.lock().unwrap_or_else(PoisonError::into_inner) = None;
                        state.send_replace(match ended {
                            Ok(()) => Link::Opening,
                            Err(error) => Link::failed(error.into()),
                        });
                    }
                    Err(error) => {
                        state.send_replace(Link::failed(error));
                    }
                }
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
        });
        let keeper = Arc::new(Keeper(keeping.abort_handle()));
        Ok(Self { sender, link, endpoint: endpoint.clone(), bearer, _keeper: keeper })
    }

    /// Waits until the connection is open; fails with the reason if that takes longer than `within`, or is
    /// impossible.
    pub(crate) async fn opened(&self, within: Duration) -> anyhow::Result<()> {
        let mut link = self.link.clone();
        let settled = |link: &Link| matches!(link, Link::Open | Link::Failed { for_good: true, .. });
        let opening = tokio::time::timeout(within, link.wait_for(settled)).await;
        // The task that maintains the connection lives as long as this value, so the channel is not closed.
        let open = opening.is_ok_and(|settled| settled.is_ok_and(|link| matches!(*link, Link::Open)));
        match &*self.link.borrow() {
            _ if open => Ok(()),
            Link::Failed { reason, .. } => bail!("cannot connect to {}: {reason}", self.endpoint),
            Link::Opening | Link::Open => bail!("cannot connect to {} within {within:?}", self.endpoint),
        }
    }

    /// Returns the reason why it can never open, if there is a known one.
    pub(crate) fn hopeless(&self) -> Option<String> {
        match &*self.link.borrow() {
            Link::Failed { reason, for_good: true } => {
                Some(format!("cannot connect to {}: {reason}", self.endpoint))
            }
            Link::Failed { .. } | Link::Opening | Link::Open => None,
        }
    }
}

impl Link {
    fn failed(error: anyhow::Error) -> Self {
        Self::Failed { reason: format!("{error:#}"), for_good: is_for_good(error.as_ref()) }
    }
}

impl Wire {
    /// Sends a request with the network's credential, and waits for the head of its answer.
    pub(crate) async fn send(
        &self,
        mut request: http::Request<Body>,
    ) -> Result<http::Response<Incoming>, Status> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(mut sender) = sender else { return Err(Status::unavailable("there is no connection")) };
        if let Some(bearer) = &self.bearer {
            bearer.write(request.headers_mut());
        }
        sender.send_request(request).await.map_err(|error| Status::unavailable(error.to_string()))
    }
}

type Held = http2::Connection<TokioIo<Box<dyn Connection>>, Body, TokioExecutor>;

async fn connect(endpoint: &Uri, network: &Network) -> anyhow::Result<(SendRequest<Body>, Held)> {
    let connecting = async {
        let stream = network.connect(endpoint, Some(CONNECT_TIMEOUT)).await?;
        let made = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(4 << 20)
            .keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok::<_, anyhow::Error>(made)
    };
    tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.context("nobody answers")?
}

impl tower::Service<http::Request<Body>> for Wire {
    type Response = http::Response<Incoming>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let wire = self.clone();
        Box::pin(async move { wire.send(request).await })
    }
}
