//! One line for each call: who asked for what, from where, how it ended and how long it took. Never what was asked.
//!
//! The lines are of the level DEBUG and the target `access`: `--log info,access=debug` turns them on. Where nobody reads
//! them they cost nothing.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Level;

use crate::identity::{ClientIdentity, Peer};

/// What the lines are known by.
const TARGET: &str = "access";

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccessLogLayer;

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLog<S>;

    fn layer(&self, inner: S) -> AccessLog<S> {
        AccessLog { inner }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct AccessLog<S> {
    inner: S,
}

impl<S> Service<Request<Body>> for AccessLog<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = AccessLogFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let line = tracing::enabled!(target: TARGET, Level::DEBUG).then(|| Line::of(&request));
        AccessLogFuture { call: self.inner.call(request), line }
    }
}

/// What will be told of a call. It is told when this is dropped, once.
#[derive(Debug)]
pub(crate) struct Line {
    method: Uri,
    client: Option<ClientIdentity>,
    peer: Peer,
    begun: Instant,
    /// None as long as the answer has not ended: then the caller has gone.
    code: Option<Code>,
}

impl Line {
    fn of(request: &Request<Body>) -> Self {
        let extensions = request.extensions();
        Self {
            method: request.uri().clone(),
            client: extensions.get().cloned(),
            peer: extensions.get().cloned().unwrap_or_default(),
            begun: Instant::now(),
            code: None,
        }
    }

    fn ended_with(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get(Status::GRPC_STATUS) {
            self.code = Some(Code::from_bytes(status.as_bytes()));
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let code = self.code.unwrap_or(Code::Cancelled);
        // What is no method's path is whatever the caller has put there, and is not repeated.
        let method = if code == Code::Unimplemented { "unknown" } else { self.method.path() };
        let ms = self.begun.elapsed().as_secs_f64() * 1e3;
        let client = self.client.as_ref().map(|client| &*client.0);
        let peer = self.peer.address.map(tracing::field::display);
        tracing::debug!(target: TARGET, method, ?code, ms, client, peer, "call");
    }
}

pin_project_lite::pin_project! {
    /// The call, up to the head of its answer.
    #[derive(Debug)]
    pub(crate) struct AccessLogFuture<F> {
        #[pin]
        call: F,
        line: Option<Line>,
    }
}

impl<F, E> Future for AccessLogFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answered = ready!(this.call.poll(context));
        let Some(mut line) = this.line.take() else { return Poll::Ready(answered) };
        Poll::Ready(answered.map(|answer| {
            line.ended_with(answer.headers());
            answer.map(|body| Body::new(LoggedBody { body, line }))
        }))
    }
}

struct LoggedBody {
    body: Body,
    line: Line,
}

impl http_body::Body for LoggedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref() {
                    self.line.ended_with(trailers);
                }
            }
            Some(Err(status)) => self.line.code = Some(status.code()),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
