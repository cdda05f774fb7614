//! A piece of work of a trace, from when it begins until it is dropped.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{Event, Link, SpanContext, SpanKind, Status, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId, Value};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator, SpanData, SpanEvents, SpanLinks};
use tonic::Code;

use super::context::Context;
use super::recording::Recording;
use crate::names;

/// What a span is called. There are few names: none is made of what a caller sent.
#[derive(Debug, Clone)]
pub enum Name {
    /// Of ours.
    Static(&'static str),
    /// A method.
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

/// A span that goes on. It ends when it is dropped, and costs nothing outside a trace.
#[derive(Debug)]
pub struct Span {
    /// What is done for it is done under this.
    context: Option<Context>,
    open: Option<Box<Open>>,
}

#[derive(Debug)]
struct Open {
    record: Record,
    part: Part,
}

/// Which part of the recording it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Below,
    Whole { is_stream: bool },
}

/// What is remembered of a span.
#[derive(Debug)]
pub(super) struct Record {
    id: SpanId,
    parent: SpanId,
    parent_is_remote: bool,
    kind: SpanKind,
    name: Name,
    began: Instant,
    pub(super) took: Duration,
    /// How it ended.
    code: Option<Code>,
    endpoint: Option<Arc<str>>,
    attributes: Vec<KeyValue>,
    events: Vec<Event>,
    links: Vec<Linked>,
}

/// What is remembered of a span elsewhere.
#[derive(Debug, Clone, Copy)]
pub(super) struct Linked {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) flags: TraceFlags,
}

impl Span {
    /// No span: outside a trace.
    #[must_use]
    pub const fn none() -> Self {
        Self { context: None, open: None }
    }

    pub(super) fn root(
        recording: Arc<Recording>,
        name: Name,
        kind: SpanKind,
        parent: Option<SpanId>,
        is_stream: bool,
    ) -> Self {
        let remote = parent.unwrap_or(SpanId::INVALID);
        Self::begin(recording, name, kind, remote, Part::Whole { is_stream })
    }

    pub(super) fn under(parent: &Context, name: Name, kind: SpanKind) -> Self {
        Self::begin(Arc::clone(&parent.recording), name, kind, parent.span, Part::Below)
    }

    fn begin(recording: Arc<Recording>, name: Name, kind: SpanKind, parent: SpanId, part: Part) -> Self {
        let Some(recording_began) = recording.began() else {
            return Self { context: Some(Context { recording, span: parent }), open: None };
        };
        // The whole begins with its recording.
        let began = if part == Part::Below { Instant::now() } else { recording_began };
        let id = RandomIdGenerator::default().new_span_id();
        let record = Record {
            id,
            parent,
            parent_is_remote: part != Part::Below && parent != SpanId::INVALID,
            kind,
            name,
            began,
            took: Duration::ZERO,
            code: None,
            endpoint: None,
            attributes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
        };
        let open = Some(Box::new(Open { record, part }));
        Self { context: Some(Context { recording, span: id }), open }
    }

    /// What is done for this span is done in this context.
    #[must_use]
    pub const fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    /// Adds a figure or a word. Never a hash, nor anything that a caller sent.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(open) = &mut self.open {
            open.record.attributes.push(KeyValue::new(key, value));
        }
    }

    /// Tells that something happens now.
    pub fn event(&mut self, name: &'static str) {
        if let Some(open) = &mut self.open {
            open.record.events.push(Event::new(name, SystemTime::now(), Vec::new(), 0));
        }
    }

    /// Tells that another span has to do with this one.
    pub fn link(&mut self, to: &Context) {
        if let Some(open) = &mut self.open {
            open.record.links.push(to.linked());
        }
    }

    /// How the work ended. A call without it was given up.
    pub fn ended_with(&mut self, code: Code) {
        if let Some(open) = &mut self.open {
            open.record.code = Some(code);
        }
    }

    pub(super) fn at(&mut self, endpoint: &Arc<str>) {
        if let Some(open) = &mut self.open {
            open.record.endpoint = Some(Arc::clone(endpoint));
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let (Some(context), Some(open)) = (self.context.take(), self.open.take()) else { return };
        let Open { mut record, part } = *open;
        record.took = record.began.elapsed();
        if record.code.is_some_and(names::is_fault) {
            context.recording.keep();
        }
        match part {
            Part::Below => context.recording.ended(record),
            Part::Whole { is_stream } => context.recording.all_ended(record, is_stream),
        }
    }
}

impl Record {
    /// The span as OpenTelemetry has it.
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
            attributes.push(KeyValue::new(names::SPAN_RPC_RESPONSE_STATUS_CODE, names::code(code)));
        }
        // To a client every code but OK is an error; not so what it has withdrawn itself, as a hedge that lost.
        let is_error =
            |code: &Code| names::is_fault(*code) || (self.kind == SpanKind::Client && *code != Code::Ok);
        let status = match self.code.filter(is_error) {
            Some(code) => {
                attributes.push(KeyValue::new(names::SPAN_ERROR_TYPE, names::code(code)));
                // The message of an error may hold what a caller sent.
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
            // Whatever was decided first: it is kept.
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

/// Of an endpoint such as `http://127.0.0.1:7740`.
fn host_and_port(endpoint: &str) -> Option<(String, u16)> {
    let uri: http::Uri = endpoint.parse().ok()?;
    let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
    Some((uri.host()?.to_owned(), port))
}
