//! The layer that gives each call a slot ([`crate::admission`]), or refuses it at once.
//!
//! A stream holds a slot until its answer begins; each later piece of work of that stream has to
//! [enter](crate::Call::enter). Health, reflection and the methods by which other processes see that a
//! service is alive are never refused: a busy server is not a dead one.
//!
//! Calls that queue before this layer are not seen here. If a handler computes on the threads that answer
//! calls, the queue of the runtime grows instead: no more calls are in flight than there are such threads,
//! and none is refused, however late they are. So work that takes more than some hundred microseconds belongs
//! on its own threads, where it waits with a slot.
//!
//! A call of any method has to begin its answer within its deadline, including the time in which its body
//! arrives. The deadline is the caller's, or the server's default without one, and never more than the
//! server's longest. A handler's own deadline ([`crate::deadline`]) is a little earlier, so this one takes
//! effect only if a handler has none, or if the body does not arrive.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tokio::time::{Instant, Timeout};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use vigie_rpc::{Priority, deadline, priority};

use crate::admission::slots::{Slot, Slots};
use crate::call::handle::{Call, Caller};
use crate::call::methods::HasOneMessage;
use crate::config::ServingConfig;

/// The methods that have special rules, each given by the beginning of its path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exceptions {
    pub(crate) never_refused: Vec<String>,
    pub(crate) bulk: Vec<String>,
}

/// Gives each call a slot, or refuses it.
#[derive(Debug, Clone)]
pub(crate) struct InFlightLayer {
    slots: Slots,
    exceptions: Arc<Exceptions>,
    deadline_default: Duration,
    deadline_max: Duration,
}

impl InFlightLayer {
    pub(crate) fn new(slots: Slots, exceptions: Exceptions, config: &ServingConfig) -> Self {
        let (deadline_default, deadline_max) = (config.deadline_default(), config.deadline_max());
        Self { slots, exceptions: exceptions.into(), deadline_default, deadline_max }
    }

    fn priority(&self, request: &Request<Body>) -> Priority {
        let path = request.uri().path();
        if self.exceptions.bulk.iter().any(|bulk| path.starts_with(bulk.as_str())) {
            return Priority::Bulk;
        }
        priority::read(request.headers())
    }

    fn never_refuses(&self, request: &Request<Body>) -> bool {
        let path = request.uri().path();
        self.exceptions.never_refused.iter().any(|exempt| path.starts_with(exempt.as_str()))
    }
}

impl<S> Layer<S> for InFlightLayer {
    type Service = InFlight<S>;

    fn layer(&self, inner: S) -> InFlight<S> {
        InFlight { inner, limits: self.clone() }
    }
}

/// The service of [`InFlightLayer`].
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

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let priority = self.limits.priority(&request);
        let caller = Caller::of(request.extensions());
        let (call, slot) = if self.limits.never_refuses(&request) {
            (Call::never_refused(caller, priority), None)
        } else {
            match self.limits.slots.take(caller.client.clone(), priority) {
                Ok(slot) => {
                    let path = request.uri().clone();
                    let has_one_message = request.extensions().get() == Some(&HasOneMessage(true));
                    let slots = self.limits.slots.clone();
                    (Call::new(slots, caller, priority, path, has_one_message), Some(slot))
                }
                Err(refusal) => return InFlightFuture::Refused { answer: Some(refusal) },
            }
        };
        let asked = deadline::asked(request.headers());
        let held = HeldSlot { asked, begun: Instant::now(), call: call.clone(), slot };
        request.extensions_mut().insert(priority);
        request.extensions_mut().insert(call);
        let within = asked.unwrap_or(self.limits.deadline_default).min(self.limits.deadline_max);
        let call = tokio::time::timeout(within, self.inner.call(request));
        InFlightFuture::Accepted { call, held }
    }
}

/// A call's slot. Released when the answer begins or this is dropped.
#[derive(Debug)]
pub(crate) struct HeldSlot {
    call: Call,
    slot: Option<Slot>,
    begun: Instant,
    asked: Option<Duration>,
}

impl HeldSlot {
    fn leave(&mut self, code: Code) {
        self.call.give_room();
        let Some(slot) = self.slot.take() else { return };
        if let Some((class, took)) = self.call.took(code, self.begun.elapsed()) {
            slot.leave(class, took);
        }
    }
}

impl Drop for HeldSlot {
    fn drop(&mut self) {
        // A caller that goes at its deadline goes because the call took too long; one that goes earlier has
        // its own reasons.
        let too_late = self.asked.is_some_and(|asked| self.begun.elapsed() >= asked.mul_f64(0.9));
        self.leave(if too_late { Code::DeadlineExceeded } else { Code::Cancelled });
    }
}

pin_project_lite::pin_project! {
    /// The call, or its refusal.
    #[project = InFlightProjection]
    #[derive(Debug)]
    pub(crate) enum InFlightFuture<F> {
        Accepted { #[pin] call: Timeout<F>, held: HeldSlot },
        Refused { answer: Option<Box<Response<Body>>> },
    }
}

impl<F, E> Future for InFlightFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            InFlightProjection::Accepted { call, held } => {
                let Poll::Ready(answered) = call.poll(context) else { return Poll::Pending };
                let answered = answered.unwrap_or_else(|_| {
                    let text = "the call did not arrive and was not answered within its deadline";
                    Ok(Status::deadline_exceeded(text).into_http())
                });
                held.leave(answered.as_ref().map_or(Code::Unknown, code));
                Poll::Ready(answered)
            }
            InFlightProjection::Refused { answer } => {
                // A future is polled to completion once, so the answer is there.
                let answer = answer.take().map(|answer| *answer);
                Poll::Ready(Ok(answer.unwrap_or_else(|| Status::resource_exhausted("").into_http())))
            }
        }
    }
}

/// Returns the code of an answer that has it in its head. An answer with a body has not failed so far: `OK`.
fn code(response: &Response<Body>) -> Code {
    let status = response.headers().get(Status::GRPC_STATUS);
    status.map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

#[cfg(test)]
mod tests;
