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
//! Reading order: [`Tracer`], [`Context`], [`Span`], `recording` (what is kept), `headers`, `export`.

mod context;
mod export;
mod headers;
mod recording;
mod span;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::trace::SpanKind;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};
use prometheus_client::registry::Registry;
use tonic::transport::Channel;

use crate::config::TelemetryConfig;
pub use context::{Context, Scoped, child, current, scope};
use export::Exported;
pub use export::{EXPORT_TIMEOUT, ExportError};
use recording::Recording;
pub use span::{Name, Span};

/// Records the spans of calls and sends those that are kept to a collector. Clones are handles of the same.
///
/// By default it is off: it records nothing, and only passes on what callers send.
#[derive(Debug, Clone, Default)]
pub struct Tracer(Option<Arc<Tracing>>);

/// A tracer that is on.
#[derive(Debug)]
struct Tracing {
    ratio: Ratio,
    slow: Duration,
    export: Exported,
}

/// The share of traces that are chosen, by the lower seven bytes of their ids, which are random.
#[derive(Debug, Clone, Copy)]
struct Ratio(u64);

impl Ratio {
    const ALL: u64 = 1 << 56;

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "2^56 at most"
    )]
    fn new(share: f64) -> Self {
        Self((share.clamp(0.0, 1.0) * Self::ALL as f64) as u64)
    }

    const fn chooses(self, trace: opentelemetry::TraceId) -> bool {
        let [_, _, _, _, _, _, _, _, _, lower @ ..] = trace.to_bytes();
        let [a, b, c, d, e, f, g] = lower;
        u64::from_be_bytes([0, a, b, c, d, e, f, g]) < self.0
    }
}

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
        Self(Some(Arc::new(Tracing { ratio: Ratio::new(config.trace_ratio), slow, export })))
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
        let Some(parent) = headers::read(headers) else {
            return self.root(Name::Shared(Arc::clone(method)), SpanKind::Server, is_stream, false);
        };
        let recording = Recording::new(self.0.clone(), parent.trace, parent.chosen, parent.state);
        let name = Name::Shared(Arc::clone(method));
        Span::root(Arc::new(recording), name, SpanKind::Server, Some(parent.span), is_stream)
    }

    /// Begins a trace of nobody else's, chosen or left to the ratio.
    fn root(&self, name: Name, kind: SpanKind, is_stream: bool, chosen: bool) -> Span {
        let Some(tracing) = &self.0 else { return Span::none() };
        let trace = RandomIdGenerator::default().new_trace_id();
        let recording = Recording::new(self.0.clone(), trace, chosen || tracing.ratio.chooses(trace), None);
        Span::root(Arc::new(recording), name, kind, None, is_stream)
    }

    /// Sends what is left, for at most this long. It blocks.
    pub fn stop(&self, within: Duration) {
        if let Some(tracing) = &self.0 {
            tracing.export.stop(within);
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
