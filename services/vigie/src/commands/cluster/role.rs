//! Runs one role until the process is requested to stop.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use vigie_clients::Network;
use vigie_serving::{Secured, Shutdown};
use vigie_telemetry::{Telemetry, TelemetryConfig, register_counters, register_optional_gauge};
use vigie_tls::Tls;

use crate::cli::RoleArgs;
use crate::commands::stop::StopRequests;
use crate::config::{RoleSettings, load};
use crate::output::Exit;
use crate::traces;

pub(crate) async fn bank(args: &RoleArgs) -> anyhow::Result<Exit> {
    if args.config.is_none() && args.listen.is_none() && args.set.is_empty() {
        bail!("say what to do: `vigie bank --config FILE` runs a bank; `vigie bank --help` shows the rest");
    }
    let run = async |role: Role<vigie_bank::Config>| {
        Ok(vigie_bank::run_with(role.config, role.listener, role.shutdown, &role.telemetry).await?)
    };
    serve("vigie-bank", load(args)?, run).await
}

pub(crate) async fn matcher(args: &RoleArgs) -> anyhow::Result<Exit> {
    let run = async |role: Role<vigie_matcher::Config>| {
        let Role { config, listener, network, shutdown, telemetry } = role;
        Ok(vigie_matcher::run_with(config, listener, shutdown, &network, &telemetry).await?)
    };
    serve("vigie-matcher", load(args)?, run).await
}

pub(crate) async fn coordinator(args: &RoleArgs) -> anyhow::Result<Exit> {
    let run = async |role: Role<vigie_coordinator::Config>| {
        let Role { config, listener, network, shutdown, telemetry } = role;
        Ok(vigie_coordinator::run_with(config, listener, shutdown, &network, &telemetry).await?)
    };
    serve("vigie-coordinator", load(args)?, run).await
}

pub(crate) async fn frontend(args: &RoleArgs) -> anyhow::Result<Exit> {
    let run = async |role: Role<vigie_frontend::Config>| {
        let Role { config, listener, network, shutdown, telemetry } = role;
        Ok(vigie_frontend::run_with(config, listener, shutdown, &network, &telemetry).await?)
    };
    serve("vigie-frontend", load(args)?, run).await
}

pub(crate) async fn gateway(args: &RoleArgs) -> anyhow::Result<Exit> {
    let settings: RoleSettings<vigie_gateway::Config> = load(args)?;
    let asks = settings
        .transport
        .tls
        .as_ref()
        .is_some_and(|tls| tls.client_certificates == vigie_tls::ClientCertificates::Required);
    if let Some(fault) = settings.config.open_to_all(settings.listen, asks) {
        bail!("gateway.{fault}");
    }
    let run = async |role: Role<vigie_gateway::Config>| {
        let Role { config, listener, network, shutdown, telemetry } = role;
        Ok(vigie_gateway::run_with(config, listener, shutdown, &network, &telemetry).await?)
    };
    serve("vigie-gateway", settings, run).await
}

pub(crate) async fn classifier(args: &RoleArgs) -> anyhow::Result<Exit> {
    if args.config.is_none() && args.listen.is_none() && args.set.is_empty() {
        bail!(
            "say what to do: `vigie classifier --config FILE` runs a classifier; `vigie classifier --help` shows the rest"
        );
    }
    let run = async |role: Role<vigie_classifier::Config>| {
        let Role { config, listener, network, shutdown, telemetry } = role;
        Ok(vigie_classifier::run_with(config, listener, shutdown, &network, &telemetry).await?)
    };
    serve("vigie-classifier", load(args)?, run).await
}

pub(crate) async fn exchange(args: &RoleArgs) -> anyhow::Result<Exit> {
    let stop = StopRequests::listen();
    let RoleSettings { transport, telemetry: shown, config, .. }: RoleSettings<vigie_exchange::Config> =
        load(args)?;
    let tls = transport.start()?;
    let network = Network::tcp().with_tls(tls.clone());
    let telemetry = traces::start("vigie-exchange", &shown, &network)?;
    register_certificate_metrics(&telemetry, tls);
    let _shown = show(&shown, telemetry.clone()).await?;
    let shutdown = Shutdown::new();
    stop_by(stop, &shutdown, &telemetry);
    let ran = vigie_exchange::run_with(config, shutdown, &network, &telemetry).await;
    traces::stop(&telemetry).await;
    Ok(ran.map(|()| Exit::Done)?)
}

/// Stops a role at the first request to stop the process.
fn stop_by(mut stop: StopRequests, shutdown: &Shutdown, telemetry: &Telemetry) {
    let (shutdown, telemetry) = (shutdown.clone(), telemetry.clone());
    tokio::spawn(async move {
        stop.next().await;
        tracing::info!("stopping");
        telemetry.stopping();
        shutdown.cancel();
    });
}

/// The parts that a role runs with.
struct Role<C> {
    config: C,
    listener: Secured<TcpListener>,
    network: Network,
    shutdown: Shutdown,
    telemetry: Telemetry,
}

async fn serve<C>(
    service: &'static str,
    settings: RoleSettings<C>,
    run: impl AsyncFnOnce(Role<C>) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let stop = StopRequests::listen();
    let RoleSettings { listen, transport, telemetry: shown, config } = settings;
    let tls = transport.start()?;
    let network = Network::tcp().with_tls(tls.clone());
    let telemetry = traces::start(service, &shown, &network)?;
    register_certificate_metrics(&telemetry, tls.clone());
    // Probes must be answered from the start, so this comes before anything that takes time. The metrics and
    // probes end when this is dropped.
    let _shown = show(&shown, telemetry.clone()).await?;
    let listener = listen_on(listen).await?;
    tracing::info!(address = %listener.local_addr()?, tls = tls.is_some(), "listening");
    let shutdown = Shutdown::new();
    stop_by(stop, &shutdown, &telemetry);
    let (listener, traced) = (Secured::new(listener, tls), telemetry.clone());
    let ran = run(Role { config, listener, network, shutdown, telemetry }).await;
    traces::stop(&traced).await;
    ran.map(|()| Exit::Done)
}

/// Registers metrics about the certificates. Without TLS they are registered too, but have no values that
/// could trigger an alert.
fn register_certificate_metrics(telemetry: &Telemetry, tls: Option<Tls>) {
    let of = tls.clone();
    telemetry.register(|registry| {
        register_counters(
            registry,
            "vigie_tls_reloads",
            "Looks at certificates and authorities that had changed, by whether they are in use now (failed: those before are)",
            "outcome",
            move || {
                let reloads = of.as_ref().map(Tls::reloads).unwrap_or_default();
                vec![("ok", reloads.ok as f64), ("failed", reloads.failed as f64)]
            },
        );
        register_optional_gauge(
            registry,
            "vigie_tls_certificate_not_after_seconds",
            "When the certificate in use ends, in seconds since 1970",
            move || tls.as_ref().and_then(Tls::certificate_not_after).map(|seconds| seconds as f64),
        );
    });
}

/// Serves metrics and probes, if the configuration has an address for them.
async fn show(config: &TelemetryConfig, telemetry: Telemetry) -> anyhow::Result<JoinSet<()>> {
    let mut shown = JoinSet::new();
    if let Some(listen) = config.listen {
        let listener = listen_on(listen).await.context("telemetry")?;
        tracing::info!(address = %listener.local_addr()?, "telemetry listens");
        shown.spawn(vigie_telemetry::serve(listener, telemetry));
    }
    Ok(shown)
}

async fn listen_on(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}
