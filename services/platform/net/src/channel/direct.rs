//! A channel for calls of one message, for services that get thousands of calls a second. The answer may be a
//! stream.
//!
//! `tonic`'s own channel passes a request from task to task, and sends its head and its message separately,
//! so that the server is woken for each. Here the caller writes both into the buffers of the connection,
//! which sends them together; there is one task for each connection, and none for a call. Connections are
//! made at the first use, and again after they are lost.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use h2::client::SendRequest;
use h2::{Ping, PingPong, RecvStream};
use http::{HeaderValue, Request, Response, Uri, header};
use http_body::{Body as _, Frame};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

use crate::endpoint::{
    CONNECT_TIMEOUT, CONNECTION_WINDOW_BYTES, KEEP_ALIVE_INTERVAL, KEEP_ALIVE_TIMEOUT, STREAM_WINDOW_BYTES,
};
use crate::network::Network;

/// The number of calls that may be sent before the server has announced its limit.
const STREAMS_AT_FIRST: usize = 100;
/// The most bytes in the headers, and in the trailers, of an answer.
const HEADER_LIST_BYTES_MAX: u32 = 16 << 10;

/// A channel for calls of one message. Clones share the connection.
#[derive(Clone)]
pub struct DirectChannel(Arc<Link>);

/// An endpoint, and the connection to it.
struct Link {
    endpoint: Uri,
    network: Network,
    connection: Mutex<Option<Making>>,
}

/// A connection that is being made, or was made. All waiting calls get the same outcome.
type Making = Shared<BoxFuture<'static, Result<Open, Arc<io::Error>>>>;

/// An open connection.
#[derive(Clone)]
struct Open {
    requests: SendRequest<Bytes>,
    /// Each call holds a reference while it is in flight, as does the task of the connection.
    in_use: Weak<()>,
}

impl DirectChannel {
    pub(crate) fn new(endpoint: &Uri, network: &Network) -> Self {
        let (endpoint, network) = (endpoint.clone(), network.clone());
        Self(Arc::new(Link { endpoint, network, connection: Mutex::default() }))
    }
}

impl fmt::Debug for DirectChannel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DirectChannel({})", self.0.endpoint)
    }
}

impl Service<Request<Body>> for DirectChannel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = BoxFuture<'static, Result<Response<Body>, Status>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let link = Arc::clone(&self.0);
        Box::pin(async move { link.send(request).await })
    }
}

impl Link {
    /// Sends the request, and returns the answer as soon as its head has arrived.
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (mut head, body) = request.into_parts();
        if let Some(bearer) = self.network.bearer() {
            bearer.write(&mut head.headers);
        }
        head.uri = self.of(head.uri)?;
        head.headers.insert(
            header::USER_AGENT,
            HeaderValue::from_static(concat!("vigie/", env!("CARGO_PKG_VERSION"))),
        );
        let message = whole(body).await?;
        let mut open = self.open().await?;
        let in_use = open.in_use.upgrade();
        let sent = open.requests.send_request(Request::from_parts(head, ()), false);
        let (answer, mut sending) = sent.map_err(broken)?;
        sending.send_data(message, true).map_err(broken)?;
        let (head, stream) = answer.await.map_err(broken)?.into_parts();
        let body = Answer { stream, has_data: true, _in_use: in_use };
        Ok(Response::from_parts(head, Body::new(body)))
    }

    /// Returns the URI of a method of the service.
    fn of(&self, method: Uri) -> Result<Uri, Status> {
        let mut parts = self.endpoint.clone().into_parts();
        parts.path_and_query = method.into_parts().path_and_query;
        Uri::from_parts(parts).map_err(|error| Status::internal(error.to_string()))
    }

    /// Returns a connection that can take a request now. A connection that has ended since its last call is
    /// replaced.
    async fn open(&self) -> Result<Open, Status> {
        loop {
            let making = self.making();
            // The attempt may have ended while no call waited for it.
            let (is_old, made) = (making.clone().now_or_never().is_some(), making.clone().await);
            let failure = match made {
                Ok(Open { requests, in_use }) => match requests.ready().await {
                    Ok(requests) => return Ok(Open { requests, in_use }),
                    Err(error) => broken(error),
                },
                Err(error) => unreachable(error),
            };
            self.forget(&making);
            // The failure of a new connection is the outcome of this call; an old connection is replaced.
            if !is_old {
                return Err(failure);
            }
        }
    }

    /// Returns the current connection, or starts a new one.
    fn making(&self) -> Making {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let making = connection.get_or_insert_with(|| {
            // A task of its own, so that connecting goes on if the waiting calls give up.
            let connecting = tokio::spawn(connect(self.endpoint.clone(), self.network.clone()));
            let made =
                connecting.map(|ended| ended.unwrap_or_else(|failed| Err(failed.into())).map_err(Arc::new));
            made.boxed().shared()
        });
        making.clone()
    }

    /// Forgets this connection, so that the next call does not use it.
    fn forget(&self, making: &Making) {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        connection.take_if(|kept| kept.ptr_eq(making));
    }
}

/// Reads the body of a request, all of which is there.
async fn whole(body: Body) -> Result<Bytes, Status> {
    let mut body = pin!(body);
    let mut message = Bytes::new();
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        match frame?.into_data() {
            Ok(data) if message.is_empty() => message = data,
            Ok(data) => message = [message, data].concat().into(),
            // Trailers, which gRPC requests do not have.
            Err(_) => {}
        }
    }
    Ok(message)
}

async fn connect(endpoint: Uri, network: Network) -> io::Result<Open> {
    let connecting = async {
        let io = network.connect(&endpoint, Some(CONNECT_TIMEOUT)).await?;
        let mut settings = h2::client::Builder::new();
        settings
            .enable_push(false)
            .initial_max_send_streams(STREAMS_AT_FIRST)
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEADER_LIST_BYTES_MAX);
        settings.handshake(io).await.map_err(io::Error::other)
    };
    let (requests, mut connection) = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await??;
    let held = Arc::new(());
    let (pings, in_use) = (connection.ping_pong(), Arc::downgrade(&held));
    tokio::spawn(async move {
        // When the connection ends, h2 returns the reason to each of its calls.
        let lives = async {
            match pings {
                Some(pings) => silent(pings, || Arc::strong_count(&held) > 1).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = connection => {}
            () = lives => {}
        }
    });
    Ok(Open { requests, in_use })
}

/// Sends pings while the connection is used, and completes when the peer does not answer one.
async fn silent(mut pings: PingPong, is_used: impl Fn() -> bool) {
    loop {
        tokio::time::sleep(KEEP_ALIVE_INTERVAL).await;
        if is_used() {
            let answered = tokio::time::timeout(KEEP_ALIVE_TIMEOUT, pings.ping(Ping::opaque())).await;
            if !matches!(answered, Ok(Ok(_))) {
                return;
            }
        }
    }
}

/// The body of an answer.
struct Answer {
    stream: RecvStream,
    has_data: bool,
    _in_use: Option<Arc<()>>,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if this.has_data {
            match ready!(this.stream.poll_data(context)) {
                Some(Ok(data)) => {
                    // Consumed bytes are returned to the flow-control window.
                    let released = this.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(released.map(|()| Frame::data(data)).map_err(broken)));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(broken(error)))),
                None => this.has_data = false,
            }
        }
        let trailers = ready!(this.stream.poll_trailers(context)).map_err(broken);
        Poll::Ready(trailers.transpose().map(|trailers| trailers.map(Frame::trailers)))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}

/// Returns the status of a call whose connection broke, or whose stream the server reset.
fn broken(error: h2::Error) -> Status {
    Status::from_error(Box::new(error))
}

fn unreachable(error: Arc<io::Error>) -> Status {
    let mut status = Status::unavailable(error.to_string());
    status.set_source(error);
    status
}

#[cfg(test)]
mod tests;
