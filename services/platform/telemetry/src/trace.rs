//! Traces: the time of a call in all services that it passed, as a tree of spans.
//!
//! ```text
//! headers --serve--> Span (this process) --scope--> Context --child, client--> Span --headers--> a service
//!                      |                                                         |
//!                      +--- Recording: ended spans, until it is decided whether they are kept --> export
//! ```
//!
//! Every call is recorded, in memory. When the part of this process has ended, it is kept if the trace was
//! sampled (by the caller, or one in a given number by its id), or if something in it failed, was incomplete
//! or slow; otherwise it is dropped. Each process decides that for its own part: of a trace that was not
//! sampled, only the slow or failed parts are kept, and not the parts of services that were quick and
//! successful, even if these are in between. That is why the spans are recorded here and not by
//! `tracing-opentelemetry`, which has to decide at the beginning. Recording must also cost next to nothing,
//! because each lookup has a dozen spans. The kept spans go to OpenTelemetry's own exporter.
//!
//! The context goes from service to service in the headers of W3C Trace Context (level 1,
//! `w3.org/TR/trace-context-1`), and within a process with the task ([`scope`]). A spawned task does not
//! inherit it and has to be given it.
//!
//! Reading order: [`Tracer`], [`Context`], [`Span`], `recording` (the spans of one call), `record` (one
//! span), `keeping` (selects the traces to keep), `headers`, `export`.

mod headers;
mod record;
mod export;
mod keeping;
mod recording;
mod context;
mod span;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::trace::SpanKind;
use prometheus_client::registry::Registry;
use tonic::transport::Channel;

use crate::config::TelemetryConfig;
pub use context::{Context, Scoped, current, scope};
use export::Exported;
pub use export::{EXPORT_TIMEOUT, ExportError};
use keeping::{Keeping, Ratio};
use record::Name;
use recording::Recording;
pub use span::{Span, child};

/// Records the spans of calls and sends the kept ones to a collector. Clones share the state.
///
/// By default it is off: it records nothing, and only passes on the headers that callers send.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Keeping>>);

impl Tracer {
    /// Starts sending kept spans over `collector`, by OTLP, in the name of `service`. Must be called within a
    /// runtime. The channel has to end calls after [`EXPORT_TIMEOUT`].
    pub fn start(
        config: &TelemetryConfig,
        service: &'static str,
        collector: Channel,
        registry: &mut Registry,
    ) -> Result<Self, ExportError> {
        let export = Exported::by_otlp(service, collector, registry)?;
        Ok(Self::new(config, export))
    }

    fn new(config: &TelemetryConfig, export: Exported) -> Self {
        let slow = Duration::from_millis(config.trace_slow_ms);
        Self(Some(Arc::new(Keeping { ratio: Ratio::new(config.trace_ratio), slow, export })))
    }

    /// Returns a tracer that passes kept spans to `processor`, for tests.
    #[cfg(test)]
    pub(crate) fn to(
        config: &TelemetryConfig,
        processor: impl opentelemetry_sdk::trace::SpanProcessor + 'static,
    ) -> Self {
        Self::new(config, Exported::to(processor, &mut Registry::default()))
    }

    /// Begins the span of a call that has these headers. A stream is not slow because it is long.
    #[must_use]
    pub fn serve(&self, method: &Arc<str>, headers: &HeaderMap, is_stream: bool) -> Span {
        let name = Name::Shared(Arc::clone(method));
        let Some(parent) = headers::read(headers) else {
            return Span::first(self.0.as_ref(), name, SpanKind::Server, is_stream, false);
        };
        let recording = Recording::new(self.0.clone(), parent.trace, parent.chosen, parent.state);
        Span::root(Arc::new(recording), name, SpanKind::Server, Some(parent.span), is_stream)
    }

    /// Sends the remaining spans, for at most `within`. Blocks the thread.
    pub fn stop(&self, within: Duration) {
        if let Some(keeping) = &self.0 {
            keeping.export.stop(within);
        }
    }
}

/// Returns the context in the variables `TRACEPARENT` and `TRACESTATE`, which OpenTelemetry defines for
/// programs that other programs start.
#[must_use]
pub fn from_environment() -> Option<Context> {
    let mut headers = HeaderMap::new();
    for (name, variable) in [("traceparent", "TRACEPARENT"), ("tracestate", "TRACESTATE")] {
        if let Some(value) = std::env::var(variable).ok().and_then(|value| value.parse().ok()) {
            headers.insert(name, value);
        }
    }
    Tracer::default().serve(&Arc::from(""), &headers, false).context().cloned()
}

#[cfg(test)]
mod tests;
