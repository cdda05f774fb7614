//! The data of a span, and its conversion to the type of OpenTelemetry's SDK.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{Event, Link, SpanContext, SpanKind, Status, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use vigie_rpc::{Code, code};

use crate::names;

/// The name of a span. There are few names: none contains anything that a caller sent.
#[derive(Debug, Clone)]
pub(super) enum Name {
    /// A fixed name.
    Static(&'static str),
    /// The name of a method.
    Shared(Arc<str>),
}

impl Name {
    fn text(&self) -> &str {
        match self {
            Self::Static(name) => name,
            Self::Shared(name) => name,
        }
    }

    fn into_text(self) -> Cow<'static, str> {
        match self {
            Self::Static(name) => name.into(),
            Self::Shared(name) => name.to_string().into(),
        }
    }
}

/// The data of one span.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: SpanId,
    pub(super) parent: SpanId,
    pub(super) parent_is_remote: bool,
    pub(super) kind: SpanKind,
    pub(super) name: Name,
    pub(super) began: Instant,
    pub(super) took: Duration,
    /// The code with which it ended.
    pub(super) code: Option<Code>,
    pub(super) endpoint: Option<Arc<str>>,
    pub(super) attributes: Vec<KeyValue>,
    pub(super) events: Vec<Event>,
    pub(super) links: Vec<Linked>,
}

/// A span of another trace that is related to this one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Linked {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) flags: TraceFlags,
}

impl Record {
    /// Converts the span to the type of OpenTelemetry's SDK.
    pub(super) fn into_data(
        self,
        trace: TraceId,
        (instant, time): (Instant, SystemTime),
        scope: &InstrumentationScope,
    ) -> SpanData {
        let start_time = time + self.began.saturating_duration_since(instant);
        let is_call = matches!(self.kind, SpanKind::Client | SpanKind::Server);
        let mut attributes = self.attributes;
        if is_call {
            let code = self.code.unwrap_or(Code::Cancelled);
            attributes.push(KeyValue::new(names::SPAN_RPC_SYSTEM_NAME, names::GRPC));
            attributes.push(KeyValue::new(names::SPAN_RPC_METHOD, self.name.text().to_owned()));
            attributes.push(KeyValue::new(names::SPAN_RPC_RESPONSE_STATUS_CODE, code::word(code)));
        }
        // For a client, every code but OK is an error. A call that the client withdrew itself, such as a
        // hedge that lost, has no code.
        let is_error =
            |code: &Code| code::is_fault(*code) || (self.kind == SpanKind::Client && *code != Code::Ok);
        let status = match self.code.filter(is_error) {
            Some(code) => {
                attributes.push(KeyValue::new(names::SPAN_ERROR_TYPE, code::word(code)));
                // The message of an error may contain what a caller sent.
                Status::error("")
            }
            None => Status::Unset,
        };
        if let Some((host, port)) = self.endpoint.as_deref().and_then(host_and_port) {
            attributes.push(KeyValue::new(names::SPAN_SERVER_ADDRESS, host));
            attributes.push(KeyValue::new(names::SPAN_SERVER_PORT, i64::from(port)));
        }
        let mut links = SpanLinks::default();
        let link = |to: Linked| {
            let context = SpanContext::new(to.trace, to.span, to.flags, false, TraceState::default());
            Link::new(context, Vec::new(), 0)
        };
        links.links = self.links.into_iter().map(link).collect();
        let mut events = SpanEvents::default();
        events.events = self.events;
        SpanData {
            // Whatever was decided at first, the span is kept now.
            span_context: SpanContext::new(trace, self.id, TraceFlags::SAMPLED, false, TraceState::default()),
            parent_span_id: self.parent,
            parent_span_is_remote: self.parent_is_remote,
            span_kind: self.kind,
            name: self.name.into_text(),
            start_time,
            end_time: start_time + self.took,
            attributes,
            dropped_attributes_count: 0,
            events,
            links,
            status,
            instrumentation_scope: scope.clone(),
        }
    }
}

/// Returns the host and port of an endpoint such as `http://127.0.0.1:7740`.
fn host_and_port(endpoint: &str) -> Option<(String, u16)> {
    let uri: http::Uri = endpoint.parse().ok()?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    Some((uri.host()?.to_owned(), port))
}
