//! Ends the streams of health watchers when a server drains.
//!
//! These streams never end by themselves, and a server waits for every stream before it ends. The watchers
//! have received `NOT_SERVING` by then. Now they receive `UNAVAILABLE`, the code on which a watcher asks
//! again elsewhere (gRPC health checking protocol).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tokio_util::sync::{CancellationToken as Shutdown, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// Ends the streams of health watchers.
#[derive(Debug, Clone)]
pub(crate) struct HealthWatchLayer {
    pub(crate) draining: Shutdown,
}

impl<S> Layer<S> for HealthWatchLayer {
    type Service = HealthWatch<S>;

    fn layer(&self, inner: S) -> HealthWatch<S> {
        HealthWatch { inner, draining: self.draining.clone() }
    }
}

/// The service of [`HealthWatchLayer`].
#[derive(Debug, Clone)]
pub(crate) struct HealthWatch<S> {
    inner: S,
    draining: Shutdown,
}

impl<S> Service<Request<Body>> for HealthWatch<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = HealthWatchFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let draining = (request.uri().path() == WATCH).then(|| self.draining.clone());
        HealthWatchFuture { call: self.inner.call(request), draining }
    }
}

pin_project_lite::pin_project! {
    #[derive(Debug)]
    pub(crate) struct HealthWatchFuture<F> {
        #[pin]
        call: F,
        draining: Option<Shutdown>,
    }
}

impl<F, E> Future for HealthWatchFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answered = ready!(this.call.poll(context));
        Poll::Ready(match this.draining.take() {
            Some(draining) => answered.map(|response| {
                let draining = Box::pin(draining.cancelled_owned());
                response.map(|body| Body::new(Watch { body, draining, ended: false }))
            }),
            None => answered,
        })
    }
}

struct Watch {
    body: Body,
    draining: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
}

impl http_body::Body for Watch {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        // A pending status is sent first.
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        ready!(self.draining.as_mut().poll(context));
        self.ended = true;
        let mut trailers = HeaderMap::new();
        let ended = Status::unavailable("the server is shutting down").add_header(&mut trailers);
        Poll::Ready(Some(ended.map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
