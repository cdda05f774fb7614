//! Where in a trace a piece of work is, and how that goes with it.

use std::future::Future;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use opentelemetry::SpanId;
use opentelemetry::trace::SpanKind;
use tokio::task::futures::TaskLocalFuture;

use super::recording::Recording;
use super::span::{Linked, Name, Span};
use super::{Tracer, headers};

/// The span that work is done under. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Context {
    pub(super) recording: Arc<Recording>,
    pub(super) span: SpanId,
}

tokio::task_local! {
    static CURRENT: Option<Context>;
}

/// The context of what runs now, if it is of a trace.
#[must_use]
pub fn current() -> Option<Context> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Begins a span under the one of what runs now; none outside a trace.
#[must_use]
pub fn child(name: &'static str) -> Span {
    current().map_or_else(Span::none, |context| context.child(name))
}

/// What [`scope`] gives, where it has to be named.
pub type Scoped<F> = TaskLocalFuture<Option<Context>, F>;

/// Runs `work` in a context, or in none.
pub fn scope<F: Future>(context: Option<Context>, work: F) -> Scoped<F> {
    CURRENT.scope(context, work)
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

    /// Begins a trace of its own that is linked to this span: for one of many pieces of work that a long span brings. It is
    /// chosen if this one is. Where nothing is recorded it is a part of this one.
    #[must_use]
    pub fn linked_root(&self, name: &'static str) -> Span {
        let Some(tracing) = self.recording.tracing() else { return self.child(name) };
        let tracer = Tracer(Some(Arc::clone(tracing)));
        let mut span = tracer.root(Name::Static(name), SpanKind::Internal, false, self.is_chosen());
        span.link(self);
        span
    }

    /// Whether the trace is kept whatever becomes of it.
    #[must_use]
    pub fn is_chosen(&self) -> bool {
        self.recording.chosen
    }

    /// Says that this trace has to be kept: its answer is not what it should be.
    pub fn keep(&self) {
        self.recording.keep();
    }

    /// Writes the headers of a call that is made under this span.
    pub fn write(&self, to: &mut HeaderMap) {
        to.insert(&headers::TRACEPARENT, self.traceparent());
        if let Some(state) = &self.recording.state {
            to.insert(&headers::TRACESTATE, state.clone());
        }
    }

    /// The `traceparent` of calls that are made under this span.
    #[must_use]
    pub fn traceparent(&self) -> HeaderValue {
        headers::traceparent(self.recording.trace, self.span, self.recording.chosen)
    }

    /// Does `work`, which does not wait, in this context.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(Some(self.clone()), work)
    }

    /// The ids of the trace and the span, as logs show them.
    #[must_use]
    pub fn ids(&self) -> (String, String) {
        (self.recording.trace.to_string(), self.span.to_string())
    }

    pub(super) fn linked(&self) -> Linked {
        Linked { trace: self.recording.trace, span: self.span, flags: self.recording.flags() }
    }
}
