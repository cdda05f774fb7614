//! Sends spans to a collector, in batches, from its own thread. Spans beyond the queue are lost, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::{InstrumentationScope, KeyValue, TraceId};
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter as OtlpExporter, WithExportConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanExporter, SpanProcessor,
};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use thiserror::Error;
use tonic::transport::Channel;

use super::record::Record;
use crate::names;

/// The most spans that wait to be sent.
const QUEUE_MAX: usize = 8_192;
/// The most spans of one message.
const BATCH_MAX: usize = 512;
/// The time between two messages, unless a batch is full before.
const EVERY: Duration = Duration::from_secs(1);
/// The timeout of a message; after it the message is lost. The channel to the collector has to enforce it:
/// the exporter does not.
pub const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// The error of creating the exporter.
#[derive(Debug, Error)]
#[error("cannot send traces")]
pub struct ExportError(#[from] ExporterBuildError);

/// The export to the collector.
#[derive(Debug)]
pub(super) struct Exported {
    processor: Box<dyn SpanProcessor>,
    scope: InstrumentationScope,
    sent: Arc<Sent>,
}

/// The numbers of queued, sent and lost spans.
#[derive(Debug, Default)]
struct Sent {
    queued: AtomicUsize,
    spans: Family<Outcome, Counter>,
    is_failing: AtomicBool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

const SENT: Outcome = Outcome { outcome: "sent" };
const LOST: Outcome = Outcome { outcome: "lost" };

impl Exported {
    /// Exports by OTLP, in the name of `service`.
    pub(super) fn by_otlp(
        service: &'static str,
        collector: Channel,
        registry: &mut Registry,
    ) -> Result<Self, ExportError> {
        let exporter = OtlpExporter::builder()
            .with_tonic()
            .with_channel(collector)
            .with_timeout(EXPORT_TIMEOUT)
            .build()?;
        let sent = Arc::new(Sent::default());
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE_MAX)
            .with_max_export_batch_size(BATCH_MAX)
            .with_scheduled_delay(EVERY)
            .build();
        let counted = Counted { exporter, sent: Arc::clone(&sent) };
        let mut processor = BatchSpanProcessor::builder(counted).with_batch_config(batches).build();
        processor.set_resource(&resource(service));
        Ok(Self::of(processor, sent, registry))
    }

    #[cfg(test)]
    pub(super) fn to(processor: impl SpanProcessor + 'static, registry: &mut Registry) -> Self {
        Self::of(processor, Arc::default(), registry)
    }

    fn of(processor: impl SpanProcessor + 'static, sent: Arc<Sent>, registry: &mut Registry) -> Self {
        registry.register(
            "vigie_trace_spans",
            "Spans that were kept, and whether a collector took them or they are lost",
            sent.spans.clone(),
        );
        for outcome in [SENT, LOST] {
            let _counter = sent.spans.get_or_create_owned(&outcome);
        }
        let scope = InstrumentationScope::builder("vigie").with_version(env!("CARGO_PKG_VERSION")).build();
        Self { processor: Box::new(processor), scope, sent }
    }

    pub(super) fn send(&self, trace: TraceId, began: (Instant, SystemTime), record: Record) {
        if self.sent.queued.fetch_add(1, Ordering::Relaxed) >= QUEUE_MAX {
            self.sent.queued.fetch_sub(1, Ordering::Relaxed);
            return self.lose(1);
        }
        self.processor.on_end(record.into_data(trace, began, &self.scope));
    }

    pub(super) fn lose(&self, count: u64) {
        self.sent.spans.get_or_create(&LOST).inc_by(count);
    }

    pub(super) fn stop(&self, within: Duration) {
        if let Err(error) = self.processor.shutdown_with_timeout(within) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Returns the description of the sender.
fn resource(service: &'static str) -> Resource {
    let instance = format!("{:032x}", rand::random::<u128>());
    let attributes = [
        KeyValue::new(names::SERVICE_NAME, service),
        KeyValue::new(names::SERVICE_NAMESPACE, "vigie"),
        KeyValue::new(names::SERVICE_VERSION, env!("CARGO_PKG_VERSION")),
        KeyValue::new(names::SERVICE_INSTANCE_ID, instance),
    ];
    Resource::builder_empty().with_attributes(attributes).build()
}

/// An exporter that counts and logs its outcomes.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    sent: Arc<Sent>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        self.sent.queued.fetch_sub(count, Ordering::Relaxed);
        let exported = self.exporter.export(batch).await;
        let outcome = if exported.is_ok() { &SENT } else { &LOST };
        self.sent.spans.get_or_create(outcome).inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        let was_failing = self.sent.is_failing.swap(exported.is_err(), Ordering::Relaxed);
        match &exported {
            Err(error) if !was_failing => tracing::warn!(%error, "traces cannot be sent and are lost"),
            Ok(()) if was_failing => tracing::info!("traces are sent again"),
            Ok(()) | Err(_) => {}
        }
        exported
    }

    fn shutdown_with_timeout(&self, within: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(within)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
