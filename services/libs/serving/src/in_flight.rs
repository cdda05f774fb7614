//! Bounds the calls that a server works on at once, and refuses one more at once.
//!
//! Refusing is better than queueing: the caller learns in microseconds that it should go elsewhere or come back
//! later, and the calls that were accepted keep their latency. A stream counts until its answer begins; what goes on
//! inside it is its handler's to bound. Health and reflection are never refused.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use tower::{Layer, Service};

/// When a refused caller is told to come back: about as long as a full server takes to finish a few calls.
const RETRY_AFTER: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct InFlightLayer {
    permits: Arc<Semaphore>,
}

impl InFlightLayer {
    pub(crate) fn new(calls_max: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(calls_max.min(Semaphore::MAX_PERMITS))) }
    }
}

impl<S> Layer<S> for InFlightLayer {
    type Service = InFlight<S>;

    fn layer(&self, inner: S) -> InFlight<S> {
        InFlight { inner, permits: Arc::clone(&self.permits) }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct InFlight<S> {
    inner: S,
    permits: Arc<Semaphore>,
}

impl<S> Service<Request<Body>> for InFlight<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = InFlightFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let exempt = path.starts_with("/grpc.health.") || path.starts_with("/grpc.reflection.");
        match Arc::clone(&self.permits).try_acquire_owned() {
            Ok(permit) => InFlightFuture::Accepted { call: self.inner.call(request), _permit: Some(permit) },
            Err(_) if exempt => InFlightFuture::Accepted { call: self.inner.call(request), _permit: None },
            Err(_) => InFlightFuture::Refused,
        }
    }
}

pin_project_lite::pin_project! {
    /// The call, or its refusal.
    #[project = InFlightProjection]
    #[derive(Debug)]
    pub(crate) enum InFlightFuture<F> {
        Accepted { #[pin] call: F, _permit: Option<OwnedSemaphorePermit> },
        Refused,
    }
}

impl<F, E> Future for InFlightFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            InFlightProjection::Accepted { call, .. } => call.poll(context),
            InFlightProjection::Refused => {
                let details = ErrorDetails::with_retry_info(Some(RETRY_AFTER));
                let text = "too many calls in flight; try again later";
                let status = Status::with_error_details(Code::ResourceExhausted, text, details);
                Poll::Ready(Ok(status.into_http()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tower::service_fn;

    fn request(path: &str) -> Request<Body> {
        Request::builder().uri(path).body(Body::empty()).unwrap()
    }

    fn code(response: &Response<Body>) -> Option<&str> {
        response.headers().get("grpc-status").map(|code| code.to_str().unwrap())
    }

    #[tokio::test]
    async fn one_call_too_many_is_refused_at_once_and_the_next_is_not() {
        let never = service_fn(|_: Request<Body>| async {
            std::future::pending::<()>().await;
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        });
        let mut service = InFlightLayer::new(1).layer(never);
        let first = service.call(request("/vigie.x.v1.S/A"));
        let refused = service.call(request("/vigie.x.v1.S/A")).await.unwrap();
        assert_eq!(code(&refused), Some("8"));

        drop(first);
        let third = service.call(request("/vigie.x.v1.S/A"));
        assert!(matches!(third, InFlightFuture::Accepted { .. }));
    }

    #[tokio::test]
    async fn health_is_never_refused() {
        let ready = service_fn(|_: Request<Body>| async {
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        });
        let mut service = InFlightLayer::new(0).layer(ready);
        let answer = service.call(request("/grpc.health.v1.Health/Check")).await.unwrap();
        assert_eq!(code(&answer), None);
    }
}
