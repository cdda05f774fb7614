//! A span: a piece of work of a trace, from its beginning until it is dropped.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{Event, SpanKind};
use opentelemetry::{KeyValue, SpanId, Value};
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
use vigie_rpc::{Code, code};

use super::context::{Context, current};
use super::keeping::Keeping;
use super::record::{Name, Record};
use super::recording::Recording;

/// An open span. It ends when it is dropped, and costs nothing outside a trace.
#[derive(Debug)]
pub struct Span {
    /// The context of the work under this span.
    context: Option<Context>,
    open: Option<Box<Open>>,
}

#[derive(Debug)]
struct Open {
    record: Record,
    part: Part,
}

/// Whether a span is the root span of this process or one below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Below,
    Whole { is_stream: bool },
}

impl Span {
    /// Returns an empty span, for work outside a trace.
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

    /// Begins a new trace, sampled if `chosen`, otherwise by the ratio. Without `keeping`, nothing is
    /// recorded.
    pub(super) fn first(
        keeping: Option<&Arc<Keeping>>,
        name: Name,
        kind: SpanKind,
        is_stream: bool,
        chosen: bool,
    ) -> Self {
        let Some(keeping) = keeping else { return Self::none() };
        let trace = RandomIdGenerator::default().new_trace_id();
        let chosen = chosen || keeping.chooses(trace);
        let recording = Recording::new(Some(Arc::clone(keeping)), trace, chosen, None);
        Self::root(Arc::new(recording), name, kind, None, is_stream)
    }

    pub(super) fn under(parent: &Context, name: Name, kind: SpanKind) -> Self {
        Self::begin(Arc::clone(&parent.recording), name, kind, parent.span, Part::Below)
    }

    fn begin(recording: Arc<Recording>, name: Name, kind: SpanKind, parent: SpanId, part: Part) -> Self {
        let Some(recording_began) = recording.began() else {
            return Self { context: Some(Context { recording, span: parent }), open: None };
        };
        // The root span begins with its recording.
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

    /// Returns the context of the work under this span.
    #[must_use]
    pub const fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    /// Adds an attribute. Never a hash, nor anything that a caller sent.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(open) = &mut self.open {
            open.record.attributes.push(KeyValue::new(key, value));
        }
    }

    /// Adds an event that happens now.
    pub fn event(&mut self, name: &'static str) {
        if let Some(open) = &mut self.open {
            open.record.events.push(Event::new(name, SystemTime::now(), Vec::new(), 0));
        }
    }

    /// Adds a link to another span that is related to this one.
    pub fn link(&mut self, to: &Context) {
        if let Some(open) = &mut self.open {
            open.record.links.push(to.linked());
        }
    }

    /// Sets the code with which the work ended. A call without one was abandoned.
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
        if record.code.is_some_and(code::is_fault) {
            context.recording.keep();
        }
        match part {
            Part::Below => context.recording.ended(record),
            Part::Whole { is_stream } => context.recording.all_ended(record, is_stream),
        }
    }
}

impl Context {
    /// Begins a span under this one.
    #[must_use]
    pub fn child(&self, name: &'static str) -> Span {
        Span::under(self, Name::Static(name), SpanKind::Internal)
    }

    /// Begins the span of a call to another service.
    #[must_use]
    pub fn client(&self, method: &'static str, endpoint: &Arc<str>) -> Span {
        let mut span = Span::under(self, Name::Static(method), SpanKind::Client);
        span.at(endpoint);
        span
    }

    /// Begins a new trace that is linked to this span: for one of many pieces of work that a long span
    /// brings. It is sampled if this one is. If nothing is recorded, it is a child of this span.
    #[must_use]
    pub fn linked_root(&self, name: &'static str) -> Span {
        let Some(keeping) = self.recording.keeping() else { return self.child(name) };
        let mut span =
            Span::first(Some(keeping), Name::Static(name), SpanKind::Internal, false, self.is_chosen());
        span.link(self);
        span
    }
}

/// Begins a span under the present task's one; an empty span outside a trace.
#[must_use]
pub fn child(name: &'static str) -> Span {
    current().map_or_else(Span::none, |context| context.child(name))
}
