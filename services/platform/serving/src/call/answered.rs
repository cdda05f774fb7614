//! The future of a layer that passes a call on or answers it itself.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use tonic::Status;
use tonic::body::Body;

pin_project_lite::pin_project! {
    /// A call that is passed on, or the answer of the layer itself.
    #[project = AnsweredProjection]
    #[derive(Debug)]
    pub(crate) enum Answered<F> {
        Passed { #[pin] call: F },
        Here { status: Status },
    }
}

impl<F, E> Future for Answered<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            AnsweredProjection::Passed { call } => call.poll(context),
            AnsweredProjection::Here { status } => Poll::Ready(Ok(status.clone().into_http())),
        }
    }
}
