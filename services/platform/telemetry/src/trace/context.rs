//! Where in a trace a piece of work is, and how that goes with its task and its calls.

use std::future::Future;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use opentelemetry::SpanId;
use tokio::task::futures::TaskLocalFuture;

use super::headers;
use super::record::Linked;
use super::recording::Recording;

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

/// The future that [`scope`] returns.
pub type Scoped<F> = TaskLocalFuture<Option<Context>, F>;

/// Runs `work` in a context, or in none.
pub fn scope<F: Future>(context: Option<Context>, work: F) -> Scoped<F> {
    CURRENT.scope(context, work)
}

impl Context {
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
    pub(super) fn traceparent(&self) -> HeaderValue {
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
