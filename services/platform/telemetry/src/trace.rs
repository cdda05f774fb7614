//! Traces: where the time of a call went, in all services that it passed, as a tree of spans.
//!
//! ```text
//! headers --serve--> Span (the part of this process) --scope--> Context --child, client--> Span ... --headers--> the next service
//!                      |                                                                     |
//!                      +--- Recording: the spans that have ended, until it is known whether they are kept --> export
//! ```
//!
//! Every call is recorded, in memory. When the part of this process has ended, it is kept if the trace was chosen (by the
//! caller, or one in so many by its id), or if something in it failed, was incomplete or slow, and otherwise forgotten.
//! Each process decides that for its own part: of a trace that was not chosen there is what was slow or failed, and not the
//! services that were quick and well, even where they are between. That is why the spans are recorded here and not by
//! `tracing-opentelemetry`, which has to know at the beginning; it has to cost next to nothing, too, for each
//! lookup has a dozen spans. What is kept goes to OpenTelemetry's own exporter.
//!
//! Context goes from service to service in the headers of W3C Trace Context (level 1, `w3.org/TR/trace-context-1`), and within a
//! process with the task ([`scope`]). What is spawned has to take it along.
//!
//! Reading order: [`Tracer`], [`Context`], [`Span`], `recording` (the spans of one call), `record` (one span), `keeping` (which traces
//! are kept), `headers`, `export`.

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

/// Records the spans of calls and sends those that are kept to a collector. Clones are handles of the same.
///
/// By default it is off: it records nothing, and only passes on what callers send.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Keeping>>);

impl Tracer {
    /// Sends what is kept over `collector`, by OTLP, as of this service. Has to be called in a runtime. The channel has to give
    /// calls up after [`EXPORT_TIMEOUT`].
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

    /// A tracer that gives what it keeps to `processor`, for tests.
    #[cfg(test)]
    pub(crate) fn to(
        config: &TelemetryConfig,
        processor: impl opentelemetry_sdk::trace::SpanProcessor + 'static,
    ) -> Self {
        Self::new(config, Exported::to(processor, &mut Registry::default()))
    }

    /// Begins the span of a call that came with these headers. A stream is not slow for being long.
    #[must_use]
    pub fn serve(&self, method: &Arc<str>, headers: &HeaderMap, is_stream: bool) -> Span {
        let name = Name::Shared(Arc::clone(method));
        let Some(parent) = headers::read(headers) else {
            return Span::first(self.0.as_ref(), name, SpanKind::Server, is_stream, false);
        };
        let recording = Recording::new(self.0.clone(), parent.trace, parent.chosen, parent.state);
        Span::root(Arc::new(recording), name, SpanKind::Server, Some(parent.span), is_stream)
    }

    /// Sends what is left, for at most this long. It blocks.
    pub fn stop(&self, within: Duration) {
        if let Some(keeping) = &self.0 {
            keeping.export.stop(within);
        }
    }
}

/// The context that the variables `TRACEPARENT` and `TRACESTATE` name, as OpenTelemetry has them for programs that others run.
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
