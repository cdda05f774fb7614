//! Where the traces of a role go.

use std::time::Duration;

use anyhow::Context as _;
use vigie_clients::Network;
use vigie_telemetry::trace::{EXPORT_TIMEOUT, Tracer};
use vigie_telemetry::{Telemetry, TelemetryConfig};

/// How long a role that ends tries to send its last traces.
const LAST_WITHIN: Duration = Duration::from_secs(2);

/// The telemetry of a service, whose traces go to the collector of `config` if that names one.
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

/// Sends what was done last, if there is somebody to tell it.
pub(crate) async fn stop(telemetry: &Telemetry) {
    let tracer = telemetry.tracer();
    // It fails where the runtime is ending, and then nothing can be sent.
    let _ = tokio::task::spawn_blocking(move || tracer.stop(LAST_WITHIN)).await;
}
