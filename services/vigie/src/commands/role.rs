//! Runs one role until it is told to stop.

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use vigie_clients::Network;
use vigie_serving::{Secured, Shutdown};
use vigie_telemetry::Registry;

use crate::cli::RoleArgs;
use crate::config::{Told, load};
use crate::output::Exit;

pub(super) async fn bank(args: &RoleArgs) -> anyhow::Result<Exit> {
    if args.config.is_none() && args.listen.is_none() && args.set.is_empty() {
        bail!("say what to do: `vigie bank --config FILE` runs a bank; `vigie bank --help` shows the rest");
    }
    let run = async |role: Role<vigie_bank::Config>| {
        Ok(vigie_bank::run(role.config, role.listener, role.shutdown).await?)
    };
    serve(load(args)?, run).await
}

pub(super) async fn matcher(args: &RoleArgs) -> anyhow::Result<Exit> {
    let run = async |role: Role<vigie_matcher::Config>| {
        let Role { config, listener, network, shutdown } = role;
        Ok(vigie_matcher::run_with(config, listener, shutdown, &network, &mut Registry::default()).await?)
    };
    serve(load(args)?, run).await
}

pub(super) async fn coordinator(args: &RoleArgs) -> anyhow::Result<Exit> {
    let run = async |role: Role<vigie_coordinator::Config>| {
        let Role { config, listener, network, shutdown } = role;
        Ok(vigie_coordinator::run_with(config, listener, shutdown, &network, &mut Registry::default())
            .await?)
    };
    serve(load(args)?, run).await
}

pub(super) async fn frontend(args: &RoleArgs) -> anyhow::Result<Exit> {
    let run = async |role: Role<vigie_frontend::Config>| {
        let Role { config, listener, network, shutdown } = role;
        Ok(vigie_frontend::run_with(config, listener, shutdown, &network, &mut Registry::default()).await?)
    };
    serve(load(args)?, run).await
}

/// What a role runs with.
struct Role<C> {
    config: C,
    listener: Secured<TcpListener>,
    network: Network,
    shutdown: Shutdown,
}

async fn serve<C>(
    told: Told<C>,
    run: impl AsyncFnOnce(Role<C>) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let Told { listen, transport, config } = told;
    let tls = transport.start()?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, tls = tls.is_some(), "listening");
    let shutdown = Shutdown::new();
    let stopping = shutdown.clone();
    tokio::spawn(async move {
        asked_to_stop().await;
        tracing::info!("stopping");
        stopping.cancel();
    });
    let network = Network::tcp().with_tls(tls.clone());
    run(Role { config, listener: Secured::new(listener, tls), network, shutdown }).await?;
    Ok(Exit::Done)
}

/// Waits for SIGTERM (what orchestrators send) or SIGINT (what a person types).
pub(super) async fn asked_to_stop() {
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        // Without handlers the signals end the process by themselves.
        _ => std::future::pending().await,
    }
}
