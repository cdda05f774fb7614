//! One line for each call: who asked for what, from where, how it ended and how long it took. Never what was asked: a path
//! that is no method's may be anything, and is not repeated.
//!
//! The lines are of the level DEBUG and the target `access`: `--log info,access=debug` turns them on. Where nobody reads
//! them they cost nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Level;

use crate::identity::{ClientIdentity, Peer};
use crate::methods::Methods;

/// What the lines are known by.
const TARGET: &str = "access";

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct AccessLogLayer {
    pub(crate) methods: Methods,
}

impl<S> Layer<S> for AccessLogLayer {
    type Service = AccessLog<S>;

    fn layer(&self, inner: S) -> AccessLog<S> {
        AccessLog { inner, methods: self.methods.clone() }
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct AccessLog<S> {
    inner: S,
    methods: Methods,
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
        let line = tracing::enabled!(target: TARGET, Level::DEBUG).then(|| Line::of(&request, &self.methods));
        AccessLogFuture { call: self.inner.call(request), line }
    }
}

/// What will be told of a call. It is told when this is dropped, once.
#[derive(Debug)]
pub(crate) struct Line {
    /// None where there is no such method.
    method: Option<Arc<str>>,
    client: Option<ClientIdentity>,
    peer: Peer,
    begun: Instant,
    /// None as long as the answer has not ended: then the caller has gone.
    code: Option<Code>,
}

impl Line {
    fn of(request: &Request<Body>, methods: &Methods) -> Self {
        let extensions = request.extensions();
        Self {
            method: methods.named(request.uri().path()),
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
        let method = self.method.as_deref().unwrap_or("unknown");
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::io;
    use std::sync::Mutex;

    use tower::ServiceExt as _;

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_path_that_is_no_method_is_not_repeated_whatever_becomes_of_the_call() {
        let log = Log::default();
        let writer = log.clone();
        let lines = tracing_subscriber::fmt().with_max_level(Level::DEBUG).with_ansi(false);
        let _here = tracing::subscriber::set_default(lines.with_writer(move || writer.clone()).finish());
        let descriptors = [vigie_proto::DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET];
        let layer = AccessLogLayer { methods: Methods::described(&descriptors).unwrap() };
        for code in [Code::ResourceExhausted, Code::Unavailable, Code::Unimplemented, Code::Ok] {
            let known = ["/vigie.matching.v1.MatchService/Match", "/grpc.health.v1.Health/Check"];
            let unknown = ["/secret", "/vigie.matching.v1.MatchService/secret", "/secret/Match"];
            for path in known.iter().chain(&unknown) {
                let answering = layer.layer(tower::service_fn(move |_: Request<Body>| async move {
                    Ok::<_, Infallible>(Status::new(code, "").into_http::<Body>())
                }));
                let request = Request::builder().uri(*path).body(Body::empty()).unwrap();
                drop(answering.oneshot(request).await.unwrap());
            }
            let text = String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
            assert_eq!(text.lines().count(), known.len() + unknown.len(), "{text}");
            assert_eq!(text.matches("method=\"unknown\"").count(), unknown.len(), "{text}");
            assert!(!text.contains("secret"), "{text}");
            assert!(known.iter().all(|path| text.contains(path)), "{text}");
        }
    }
}
