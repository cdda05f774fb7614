//! Sends the traces of a role to a collector.

use std::time::Duration;

use anyhow::Context as _;
use vigie_clients::Network;
use vigie_telemetry::trace::{EXPORT_TIMEOUT, Tracer};
use vigie_telemetry::{Telemetry, TelemetryConfig};

/// Maximum time that a role that ends spends on sending its last traces.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// Returns the telemetry of a service. Traces are sent to the collector that `config` names, if it names one.
pub(crate) fn start(
    service: &'static str,
    config: &TelemetryConfig,
    network: &Network,
) -> anyhow::Result<Telemetry> {
    let telemetry = Telemetry::default();
    if config.otlp_endpoint.is_empty() {
        return Ok(telemetry);
    }
    let collector = network.channel_to(&config.otlp_endpoint, EXPORT_TIMEOUT).context("otlp_endpoint")?;
    let started = telemetry.register(|registry| Tracer::start(config, service, collector, registry));
    let (collector, ratio) = (&config.otlp_endpoint, config.trace_ratio);
    tracing::info!(service, collector, ratio, slow_ms = config.trace_slow_ms, "traces are sent");
    Ok(telemetry.with_tracer(started?))
}

/// Sends the last traces, if there is a collector.
pub(crate) async fn stop(telemetry: &Telemetry) {
    let tracer = telemetry.tracer();
    // This fails if the runtime is ending; then nothing can be sent.
    let _ = tokio::task::spawn_blocking(move || tracer.stop(LAST_WITHIN)).await;
}
