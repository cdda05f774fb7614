//! A collector of traces, which receives OTLP and keeps the decoded spans.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::Status;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower::Service;
use vigie_hashes::hex;

/// Receives on a runtime of its own until it is dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    received: Received,
    /// Taken on drop, because a runtime cannot be dropped inside an asynchronous context.
    runtime: Option<Runtime>,
}

/// The received messages, still encoded. They are decoded when they are read, so that a measurement does not
/// include the collector's work.
#[derive(Debug, Clone, Default)]
struct Received(Arc<Mutex<Vec<Bytes>>>);

/// A received span.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenSpan {
    /// The `service.name` of the sender.
    pub service: String,
    /// The id of the trace, in hexadecimal digits like all ids.
    pub trace: String,
    /// The id of the span.
    pub id: String,
    /// The id of the parent span; empty for a root.
    pub parent: String,
    /// The name.
    pub name: String,
    /// The kind of OTLP: 1 internal, 2 server, 3 client.
    pub kind: i32,
    /// Start and end, in nanoseconds since 1970.
    pub times: (u64, u64),
    /// The attributes, as text.
    pub attributes: BTreeMap<String, String>,
    /// The names of the span's events.
    pub events: Vec<String>,
    /// Trace and span id of each link.
    pub links: Vec<(String, String)>,
    /// Whether its status is an error.
    pub is_error: bool,
}

impl SeenSpan {
    /// Returns an attribute; empty if there is none.
    #[must_use]
    pub fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }
}

impl NamedService for Received {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl Service<http::Request<Body>> for Received {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let received = self.clone();
        Box::pin(async move {
            if let Ok(body) = request.into_body().collect().await {
                received.messages().push(body.to_bytes());
            }
            // An empty message.
            let answer = http_body_util::Full::new(Bytes::from_static(&[0; PREFIX_LEN]));
            let trailers = HeaderMap::from_iter([(Status::GRPC_STATUS, HeaderValue::from_static("0"))]);
            let answer = answer.with_trailers(std::future::ready(Some(Ok(trailers))));
            let head = http::Response::builder().header("content-type", "application/grpc");
            Ok(head.body(Body::new(answer)).unwrap_or_default())
        })
    }
}

/// The length of the prefix of each gRPC message, in bytes.
const PREFIX_LEN: usize = 5;

impl Received {
    fn messages(&self) -> MutexGuard<'_, Vec<Bytes>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decoded(&self) -> impl Iterator<Item = ExportTraceServiceRequest> {
        self.messages().clone().into_iter().map(|message| {
            ExportTraceServiceRequest::decode(message.slice(PREFIX_LEN..)).expect("it is a message of OTLP")
        })
    }

    fn spans(&self) -> Vec<SeenSpan> {
        let mut seen = Vec::new();
        for resource in self.decoded().flat_map(|request| request.resource_spans) {
            let of = resource.resource.map(|resource| texts(&resource.attributes)).unwrap_or_default();
            let service = of.get("service.name").cloned().unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            seen.extend(spans.map(|span| read(&service, span)));
        }
        seen
    }
}

fn read(service: &str, span: Span) -> SeenSpan {
    SeenSpan {
        service: service.to_owned(),
        trace: hex::encode(&span.trace_id),
        id: hex::encode(&span.span_id),
        parent: hex::encode(&span.parent_span_id),
        name: span.name,
        kind: span.kind,
        times: (span.start_time_unix_nano, span.end_time_unix_nano),
        attributes: texts(&span.attributes),
        events: span.events.into_iter().map(|event| event.name).collect(),
        links: span
            .links
            .iter()
            .map(|link| (hex::encode(&link.trace_id), hex::encode(&link.span_id)))
            .collect(),
        is_error: span.status.is_some_and(|status| status.code == 2),
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|one| (one.key.clone(), text(one.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone(),
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::DoubleValue(number)) => number.to_string(),
        Some(any_value::Value::BoolValue(yes)) => yes.to_string(),
        other => format!("{other:?}"),
    }
}

impl Collector {
    /// Starts a collector on a free port.
    pub fn start() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let received = Received::default();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let incoming = {
            let _on = runtime.enter();
            TcpIncoming::from(TcpListener::from_std(listener)?)
        };
        runtime.spawn(Server::builder().add_service(received.clone()).serve_with_incoming(incoming));
        Ok(Self { address, received, runtime: Some(runtime) })
    }

    /// Returns the endpoint.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns all spans received so far.
    #[must_use]
    pub fn spans(&self) -> Vec<SeenSpan> {
        self.received.spans()
    }

    /// Returns everything received so far, as raw bytes and as the debug text of each message, for searches
    /// of what must not be there.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        let mut raw = self.received.messages().concat();
        for message in self.received.decoded() {
            raw.extend(format!("{message:?}").bytes());
        }
        raw
    }

    /// Waits until no span has arrived for three seconds, longer than any exporter's delay, and returns all
    /// spans.
    pub fn settled(&self) -> Vec<SeenSpan> {
        let mut seen = 0;
        loop {
            let spans = self.spans();
            if spans.len() == seen {
                return spans;
            }
            seen = spans.len();
            std::thread::sleep(Duration::from_secs(3));
        }
    }

    /// Returns the spans of a trace.
    #[must_use]
    pub fn trace(&self, trace: &str) -> Vec<SeenSpan> {
        self.spans().into_iter().filter(|span| span.trace == trace).collect()
    }

    /// Waits until the received spans satisfy a condition, and returns them; fails after 30 seconds.
    pub fn wait_for(&self, is_there: impl Fn(&[SeenSpan]) -> bool) -> anyhow::Result<Vec<SeenSpan>> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let spans = self.spans();
            if is_there(&spans) {
                return Ok(spans);
            }
            anyhow::ensure!(Instant::now() < deadline, "it did not come; there are {} spans", spans.len());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
