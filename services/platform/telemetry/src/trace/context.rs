//! The position of work in a trace, and how it is passed to tasks and calls.

use std::future::Future;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use opentelemetry::SpanId;
use tokio::task::futures::TaskLocalFuture;

use super::headers;
use super::record::Linked;
use super::recording::Recording;

/// The span under which work is done. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Context {
    pub(super) recording: Arc<Recording>,
    pub(super) span: SpanId,
}

tokio::task_local! {
    static CURRENT: Option<Context>;
}

/// Returns the context of the present task, if it belongs to a trace.
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
    /// Returns whether the trace is sampled, so that it is kept whatever its outcome.
    #[must_use]
    pub fn is_chosen(&self) -> bool {
        self.recording.chosen
    }

    /// Marks this trace to be kept, because its answer is incomplete or wrong.
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

    /// Returns the `traceparent` of calls that are made under this span.
    #[must_use]
    pub(super) fn traceparent(&self) -> HeaderValue {
        headers::traceparent(self.recording.trace, self.span, self.recording.chosen)
    }

    /// Runs `work`, which must not wait, in this context.
    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(Some(self.clone()), work)
    }

    /// Returns the ids of the trace and the span, in the form that logs show.
    #[must_use]
    pub fn ids(&self) -> (String, String) {
        (self.recording.trace.to_string(), self.span.to_string())
    }

    pub(super) fn linked(&self) -> Linked {
        Linked { trace: self.recording.trace, span: self.span, flags: self.recording.flags() }
    }
}
