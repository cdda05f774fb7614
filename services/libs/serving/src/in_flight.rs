//! Bounds the calls that a server works on at once, and refuses one more at once.
//!
//! Refusing is better than queueing: the caller learns in microseconds that it should go elsewhere or come back
//! later, and the calls that were accepted keep their latency. A stream counts until its answer begins; what goes on
//! inside it is its handler's to bound. Health, reflection and what a service names as its own sign of life are never
//! refused: a busy server is not a dead one.
//!
//! A call that was accepted has to begin its answer within the longest deadline of the server, the arrival of its body
//! included, so a caller who sends a byte now and then does not keep a place for ever.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Timeout;
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
    exempt: Arc<[String]>,
    answer_within: Duration,
}

impl InFlightLayer {
    /// `exempt` are the beginnings of paths that are never refused.
    pub(crate) fn new(calls_max: usize, exempt: Vec<String>, answer_within: Duration) -> Self {
        let permits = Arc::new(Semaphore::new(calls_max.min(Semaphore::MAX_PERMITS)));
        Self { permits, exempt: exempt.into(), answer_within }
    }
}

impl<S> Layer<S> for InFlightLayer {
    type Service = InFlight<S>;

    fn layer(&self, inner: S) -> InFlight<S> {
        InFlight { inner, limits: self.clone() }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct InFlight<S> {
    inner: S,
    limits: InFlightLayer,
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
        let exempt = self.limits.exempt.iter().any(|path| request.uri().path().starts_with(path));
        let permit = Arc::clone(&self.limits.permits).try_acquire_owned();
        if permit.is_err() && !exempt {
            return InFlightFuture::Refused;
        }
        let call = tokio::time::timeout(self.limits.answer_within, self.inner.call(request));
        InFlightFuture::Accepted { call, _permit: permit.ok() }
    }
}

pin_project_lite::pin_project! {
    /// The call, or its refusal.
    #[project = InFlightProjection]
    #[derive(Debug)]
    pub(crate) enum InFlightFuture<F> {
        Accepted { #[pin] call: Timeout<F>, _permit: Option<OwnedSemaphorePermit> },
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
            InFlightProjection::Accepted { call, .. } => call.poll(context).map(|answered| {
                answered.unwrap_or_else(|_| {
                    let text = "the call did not arrive and finish in the time that this server gives";
                    Ok(Status::deadline_exceeded(text).into_http())
                })
            }),
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

    fn limited(calls_max: usize) -> InFlightLayer {
        InFlightLayer::new(calls_max, vec!["/grpc.health.".to_owned()], Duration::from_secs(60))
    }

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
        let mut service = limited(1).layer(never);
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
        let mut service = limited(0).layer(ready);
        let answer = service.call(request("/grpc.health.v1.Health/Check")).await.unwrap();
        assert_eq!(code(&answer), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_never_arrives_gives_its_place_back() {
        let never = service_fn(|_: Request<Body>| async {
            std::future::pending::<()>().await;
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        });
        let mut service = limited(1).layer(never);
        let answer = service.call(request("/vigie.x.v1.S/A")).await.unwrap();
        assert_eq!(code(&answer), Some("4"));
        assert!(matches!(service.call(request("/vigie.x.v1.S/A")), InFlightFuture::Accepted { .. }));
    }
}
