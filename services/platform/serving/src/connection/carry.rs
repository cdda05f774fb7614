//! Carries the calls of connections: HTTP/2 or HTTP/1.1, until the client closes the connection, it is idle
//! or too old, or the server ends.
//!
//! A connection is ended when it has had no call for a while, when it has reached its age, and when the
//! server drains. The client gets a GOAWAY first and opens another connection for its next call. If the
//! client answers the GOAWAY, the connection closes as soon as its calls have ended. If it does not answer,
//! because its program is not reading, the connection is closed once it has had no call for [`LINGER`].
//!
//! A client may have calls waiting in its own queue, because it has as many open as a connection may have.
//! Some HTTP/2 clients let those calls fail at the GOAWAY, so a connection that has reached its age is kept
//! until the client has no such calls. One failure no server can prevent: hyper's client (which tonic uses)
//! fails the calls that its program begins at the moment of the GOAWAY. It has not sent them, or it sends
//! them after its answer to the GOAWAY, beyond the last stream that the server then names. No server has seen
//! these calls, so they may be repeated; grpcio and grpc-go repeat them by themselves.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken as Shutdown;
use tonic::body::Body;
use tower::util::{Oneshot, ServiceExt as _};

use crate::config::ServingConfig;
use crate::connection::counts::{Counts, Entered};
use crate::connection::open_calls::{ConnectionCalls, ServerCalls};
use crate::connection::peer::Peer;
use crate::connection::socket::Socket;
use crate::connection::within::Within;
use crate::load::Load;
use crate::random::splitmix;
use crate::refusal_log::{Reason, RefusalLog};

/// The most calls of one connection that may be reset before they are accepted; beyond that the connection is
/// closed.
const PENDING_RESETS_MAX: usize = 4_096;
/// The most bytes of a call's headers.
const HEADERS_BYTES_MAX: u32 = 16 << 10;
/// The time for which a connection without calls stays open after its GOAWAY, so that calls which the client
/// had already begun arrive, and the end of the last answer is sent.
const LINGER: Duration = Duration::from_secs(1);
/// The time for which a client must have had free streams before a connection counts as too old. Longer than
/// a round trip.
const ROOM: Duration = Duration::from_secs(1);
/// The pause after `accept` failed for lack of files or memory: without it the loop would use a processor for
/// nothing.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The interval at which the server checks whether the calls of its own process have ended.
const WITHIN_PAUSE: Duration = Duration::from_millis(10);

/// The longest time in which the head of an HTTP/1.1 request may arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// The most headers of an HTTP/1.1 request.
const HEADERS_MAX: usize = 100;

/// The protocol of every connection of a server.
pub(crate) enum Protocol {
    /// HTTP/2 alone: gRPC.
    Http2(Box<http2::Builder<TokioExecutor>>),
    /// HTTP/1.1 alone.
    Http1(http1::Builder),
}

impl Protocol {
    /// HTTP/2 with these limits.
    pub(crate) fn http2(config: &ServingConfig) -> Self {
        Self::Http2(Box::new(http2(config)))
    }

    /// HTTP/1.1 with limits of its heads.
    pub(crate) fn http1() -> Self {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_headers(HEADERS_MAX)
            .max_buf_size(4 * HEADERS_BYTES_MAX as usize)
            .half_close(false);
        Self::Http1(builder)
    }
}

/// A connection of either protocol.
trait Connection: Future + Send {
    /// Accepts no further call, and ends when the open calls have ended.
    fn end(self: Pin<&mut Self>);
}

impl<Io, S> Connection for http1::Connection<TokioIo<Io>, S>
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: hyper::service::HttpService<Incoming, ResBody = Body> + Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<Io, S> Connection for http2::Connection<TokioIo<Io>, S, TokioExecutor>
where
    Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: hyper::service::HttpService<Incoming, ResBody = Body> + Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send + 'static,
{
    fn end(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Returns the HTTP/2 settings of every connection.
fn http2(config: &ServingConfig) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.streams_per_connection_max)
        // The number of streams that a client may reset before they are accepted. Beyond it hyper takes the
        // peer for an attacker (CVE-2023-44487) and closes the connection with all its calls. The default of
        // twenty is too low: a coordinator reaches it when it withdraws calls that other replicas have
        // answered.
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        // Names and a deadline need some hundred bytes. Set explicitly, so that an upgrade cannot change it.
        .max_header_list_size(HEADERS_BYTES_MAX)
        // Windows that hold a whole image or a page of the feed: the default of 64 KiB costs a round trip for
        // each 64 KiB.
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// The settings that differ between servers.
pub(crate) struct Carried {
    /// The protocol of the connections.
    pub(crate) protocol: Protocol,
    /// A number that differs between servers.
    pub(crate) seed: u64,
    /// The most connections of one identity.
    pub(crate) of_identity_max: usize,
}

/// The connections of one server.
pub(crate) struct Connections<S> {
    service: S,
    protocol: Protocol,
    identities: Counts<Arc<str>>,
    idle_max: Duration,
    ages: Ages,
    streams_max: usize,
    calls: ServerCalls,
    /// The calls that come from this process, without a connection.
    calls_within: ConnectionCalls,
    draining: Shutdown,
    load: Load,
    refusals: RefusalLog,
    /// The tasks of the connections. Dropping the set aborts them, so no connection outlives the server.
    running: JoinSet<()>,
}

impl<S> Connections<S>
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
{
    /// Begins without connections. Clients with the same name in their certificates may have at most
    /// `of_identity_max` connections. All connections end when `draining` is cancelled. `seed` begins the
    /// random part of their ages.
    pub(crate) fn new(
        service: S,
        Carried { protocol, seed, of_identity_max }: Carried,
        config: &ServingConfig,
        draining: Shutdown,
        load: Load,
        refusals: RefusalLog,
    ) -> Self {
        let calls = ServerCalls::default();
        let streams_max = usize::try_from(config.streams_per_connection_max).unwrap_or(usize::MAX);
        Self {
            service,
            protocol,
            identities: Counts::new(of_identity_max),
            idle_max: config.connection_idle_max(),
            ages: Ages { max: config.connection_age_max(), drawn: seed },
            calls_within: calls.connection(streams_max),
            streams_max,
            calls,
            draining,
            load,
            refusals,
            running: JoinSet::new(),
        }
    }

    /// Carries all incoming connections, until `incoming` has ended and all connections have ended.
    pub(crate) async fn accept<Io>(&mut self, incoming: impl Stream<Item = io::Result<Socket<Io>>>)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut incoming = std::pin::pin!(incoming);
        loop {
            tokio::select! {
                next = incoming.next() => match next {
                    Some(Ok(socket)) => self.begin(socket),
                    Some(Err(error)) => self.failed(error).await,
                    None => break,
                },
                Some(_ended) = self.running.join_next() => {}
            }
        }
        self.ended().await;
    }

    /// Returns the service as the rest of this process calls it.
    pub(crate) fn within(&self) -> Within<S> {
        Within::new(self.service.clone(), self.calls_within.clone())
    }

    /// Waits until all connections and the calls of this process have ended.
    pub(crate) async fn ended(&mut self) {
        while self.running.join_next().await.is_some() {}
        self.calls_within.ended(WITHIN_PAUSE).await;
    }

    /// Returns the number of open calls.
    pub(crate) fn open_calls(&self) -> usize {
        self.calls.open()
    }

    async fn failed(&self, error: io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        // The client closed the connection before it was accepted. The server needs no pause: the next may be
        // there.
        if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
            self.refusals.add(None, Reason::Accept(error));
            tokio::time::sleep(ACCEPT_PAUSE).await;
        }
    }

    fn begin<Io>(&mut self, socket: Socket<Io>)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let peer = socket.peer().clone();
        let entered = match peer.certificate_name.clone() {
            None => None,
            Some(name) => {
                let Some(entered) = self.identities.enter(Arc::clone(&name)) else {
                    self.load.refuse_connection_of_identity();
                    let max = self.identities.each_max();
                    self.refusals.add(peer.address, Reason::ConnectionsOfIdentity { name, max });
                    return;
                };
                Some(entered)
            }
        };
        let calls = self.calls.connection(self.streams_max);
        let service = CallService { inner: self.service.clone(), peer, calls: calls.clone() };
        let io = TokioIo::new(socket);
        let life =
            Life { draining: self.draining.clone(), idle_max: self.idle_max, age_max: self.ages.draw() };
        match &self.protocol {
            Protocol::Http2(http2) => {
                let connection = http2.serve_connection(io, service);
                self.running.spawn(life.of(connection, calls, entered));
            }
            Protocol::Http1(http1) => {
                let connection = http1.serve_connection(io, service);
                self.running.spawn(life.of(connection, calls, entered));
            }
        }
    }
}

/// The conditions on which a connection ends.
struct Life {
    draining: Shutdown,
    idle_max: Duration,
    age_max: Option<Duration>,
}

impl Life {
    /// Carries a connection to its end. `entered` counts the connection until then.
    async fn of(
        self,
        connection: impl Connection,
        calls: ConnectionCalls,
        entered: Option<Entered<Arc<str>>>,
    ) {
        let _entered = entered;
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ended = connection.as_mut() => return,
            () = self.draining.cancelled() => {}
            () = calls.quiet(Instant::now(), self.idle_max) => {}
            () = old(&calls, self.age_max) => {}
        }
        connection.as_mut().end();
        tokio::select! {
            _ended = connection => {}
            () = calls.quiet(Instant::now(), LINGER) => {}
        }
    }
}

/// Waits until a connection has this age and its client has no calls waiting. Waits for ever without an age.
async fn old(calls: &ConnectionCalls, age: Option<Duration>) {
    match age {
        Some(age) => {
            tokio::time::sleep(age).await;
            calls.roomy(ROOM).await;
        }
        None => std::future::pending().await,
    }
}

/// Draws the ages at which connections end.
struct Ages {
    max: Option<Duration>,
    drawn: u64,
}

impl Ages {
    /// Returns the age of the next connection: from 0.9 to 1.1 times the configured age.
    fn draw(&mut self) -> Option<Duration> {
        self.drawn = self.drawn.wrapping_add(1);
        Some(self.max?.mul_f64(0.9 + 0.2 * splitmix(self.drawn)))
    }
}

/// The service of one connection. It adds the connection's peer and open calls to the extensions of each
/// request.
#[derive(Clone)]
struct CallService<S> {
    inner: S,
    peer: Peer,
    calls: ConnectionCalls,
}

impl<S> hyper::service::Service<Request<Incoming>> for CallService<S>
where
    S: tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Oneshot<S, Request<Body>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.peer.clone());
        request.extensions_mut().insert(self.calls.clone());
        self.inner.clone().oneshot(request)
    }
}
