//! Observes each call from its head to the end of its answer, and records how it ended: in the histogram of
//! durations, in the call's trace and in the access log. The content of requests is never recorded.
//!
//! The access log has one line for each call: the method, the caller and its address, the code and the
//! duration. The lines have the level DEBUG and the target `access`: `--log info,access=debug` turns them on.
//! While they are off they cost nothing.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::Level;
use vigie_rpc::deadline;
use vigie_telemetry::trace::{self, Scoped, Span, Tracer};

use crate::authorization::identity::ClientIdentity;
use crate::call::methods::{HasOneMessage, Method, Methods, Traced};
use crate::connection::open_calls::{ConnectionCalls, OpenCall};
use crate::connection::peer::Peer;
use crate::durations::CallDurations;

/// The target of the access log's lines.
const TARGET: &str = "access";

/// Observes each call.
#[derive(Debug, Clone)]
pub(crate) struct ObservedLayer {
    pub(crate) methods: Methods,
    pub(crate) durations: CallDurations,
    pub(crate) tracer: Tracer,
}

impl<S> Layer<S> for ObservedLayer {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed { inner, to: self.clone() }
    }
}

/// The service of [`ObservedLayer`].
#[derive(Debug, Clone)]
pub(crate) struct Observed<S> {
    inner: S,
    to: ObservedLayer,
}

impl<S> Service<Request<Body>> for Observed<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ObservedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let method = self.to.methods.at(request.uri().path());
        let record = CallRecord::of(&request, method, &self.to);
        // The layers that read the body have to know whether there must be a message in it.
        request.extensions_mut().insert(method.has_one_message);
        if method.has_one_message == HasOneMessage(false) {
            request.extensions_mut().insert(self.to.durations.stream_requests(&method.name));
        }
        let context = record.span.context().cloned();
        ObservedFuture { call: trace::scope(context, self.inner.call(request)), record: Some(record) }
    }
}

/// The record of a call. It is written once, when this is dropped.
#[derive(Debug)]
pub(crate) struct CallRecord {
    method: Arc<str>,
    durations: CallDurations,
    span: Span,
    begun: Instant,
    /// The time until the caller's deadline, if the headers give one.
    asked: Option<Duration>,
    /// `None` until the answer has ended.
    code: Option<Code>,
    /// `None` while the access log is off.
    caller: Option<Caller>,
    /// Counts the call as open on its connection until the answer has ended. `None` outside a connection.
    _open: Option<OpenCall>,
}

/// The caller of a call, for the access log.
#[derive(Debug)]
struct Caller {
    client: Option<ClientIdentity>,
    peer: Peer,
}

impl CallRecord {
    fn of(request: &Request<Body>, method: &Method, to: &ObservedLayer) -> Self {
        let extensions = request.extensions();
        let caller = || Caller {
            client: extensions.get().cloned(),
            peer: extensions.get().cloned().unwrap_or_default(),
        };
        let Method { name, traced, .. } = method;
        let span = match traced {
            Traced::Never => Span::none(),
            Traced::AsCalls | Traced::AsStreams => {
                to.tracer.serve(name, request.headers(), *traced == Traced::AsStreams)
            }
        };
        Self {
            method: Arc::clone(name),
            durations: to.durations.clone(),
            span,
            asked: deadline::asked(request.headers()),
            begun: Instant::now(),
            code: None,
            caller: tracing::enabled!(target: TARGET, Level::DEBUG).then(caller),
            _open: extensions.get().map(ConnectionCalls::enter),
        }
    }

    fn ended_with(&mut self, headers: &HeaderMap) {
        if let Some(status) = headers.get(Status::GRPC_STATUS) {
            self.code = Some(Code::from_bytes(status.as_bytes()));
        }
    }
}

impl Drop for CallRecord {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        let code = self.code.unwrap_or_else(|| match self.asked {
            _ if std::thread::panicking() => Code::Internal,
            // The transport drops a call whose deadline has passed, so its end is recorded here.
            Some(asked) if took >= asked.mul_f64(0.9) => Code::DeadlineExceeded,
            // The caller has gone.
            Some(_) | None => Code::Cancelled,
        });
        self.span.ended_with(code);
        self.durations.observe(&self.method, code, took);
        if let Some(Caller { client, peer }) = &self.caller {
            let (method, ms) = (&*self.method, took.as_secs_f64() * 1e3);
            let client = client.as_ref().map(|client| &*client.0);
            let peer = peer.address.map(tracing::field::display);
            let log = || tracing::debug!(target: TARGET, method, ?code, ms, client, peer, "call");
            self.span.context().map_or_else(log, |context| context.enter(log));
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of a call, up to the head of its answer.
    #[derive(Debug)]
    pub(crate) struct ObservedFuture<F>
    where
        F: Future,
    {
        #[pin]
        call: Scoped<F>,
        record: Option<CallRecord>,
    }
}

impl<F, E> Future for ObservedFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answered = ready!(this.call.poll(context));
        let Some(mut record) = this.record.take() else { return Poll::Ready(answered) };
        Poll::Ready(answered.map(|answer| {
            record.ended_with(answer.headers());
            answer.map(|body| Body::new(ObservedBody { body, record }))
        }))
    }
}

struct ObservedBody {
    body: Body,
    record: CallRecord,
}

impl http_body::Body for ObservedBody {
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
                    self.record.ended_with(trailers);
                }
            }
            Some(Err(status)) => self.record.code = Some(status.code()),
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

    use tower::ServiceExt as _;
    use vigie_telemetry::CapturedLog;

    use super::*;

    fn layer() -> ObservedLayer {
        let descriptors =
            [tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET];
        let (traced, untraced) = (["grpc.health.v1.Health"], ["grpc.reflection.v1.ServerReflection"]);
        let methods = Methods::of(&descriptors, &traced, &untraced).unwrap();
        ObservedLayer { methods, durations: CallDurations::default(), tracer: Tracer::default() }
    }

    #[tokio::test]
    async fn a_path_that_is_no_method_is_not_repeated_whatever_becomes_of_the_call() {
        let log = CapturedLog::default();
        let lines = tracing_subscriber::fmt().with_max_level(Level::DEBUG).with_ansi(false);
        let _here = tracing::subscriber::set_default(lines.with_writer(log.clone()).finish());
        let layer = layer();
        for code in [Code::ResourceExhausted, Code::Unavailable, Code::Unimplemented, Code::Ok] {
            let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
            let known = ["/grpc.health.v1.Health/Check", reflection];
            let unknown = ["/secret", "/grpc.health.v1.Health/secret", "/secret/Check"];
            for path in known.iter().chain(&unknown) {
                let answering = layer.layer(tower::service_fn(move |_: Request<Body>| async move {
                    Ok::<_, Infallible>(Status::new(code, "").into_http::<Body>())
                }));
                let request = Request::builder().uri(*path).body(Body::empty()).unwrap();
                drop(answering.oneshot(request).await.unwrap());
            }
            let text = log.take();
            assert_eq!(text.lines().count(), known.len() + unknown.len(), "{text}");
            assert_eq!(text.matches("method=\"_OTHER\"").count(), unknown.len(), "{text}");
            assert!(!text.contains("secret"), "{text}");
            assert!(known.iter().all(|path| text.contains(&path[1..])), "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_end_is_recorded_with_the_reason() {
        let layer = layer();
        let call = |waits_ms: u64, panics: bool| {
            let silent = layer.layer(tower::service_fn(move |_: Request<Body>| async move {
                assert!(!panics, "it panics");
                std::future::pending::<Result<Response<Body>, Infallible>>().await
            }));
            let request =
                Request::builder().uri("/grpc.health.v1.Health/Check").header("grpc-timeout", "100m");
            let answer = silent.oneshot(request.body(Body::empty()).unwrap());
            tokio::spawn(tokio::time::timeout(Duration::from_millis(waits_ms), answer))
        };
        for (waits_ms, panics, expected) in
            [(50, false, "CANCELLED"), (95, false, "DEADLINE_EXCEEDED"), (1, true, "INTERNAL")]
        {
            assert!(!matches!(call(waits_ms, panics).await, Ok(Ok(_))));
            let mut registry = prometheus_client::registry::Registry::default();
            layer.durations.register(&mut registry);
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            assert!(text.contains(&format!("rpc_response_status_code=\"{expected}\"")), "{text}");
        }
    }
}
