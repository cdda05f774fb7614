//! Runs one role until it is told to stop.

use std::future::Future;
use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use vigie_serving::Shutdown;

use crate::cli::RoleArgs;
use crate::config::load;
use crate::output::Exit;

pub(super) async fn bank(args: &RoleArgs) -> anyhow::Result<Exit> {
    if args.config.is_none() && args.listen.is_none() && args.set.is_empty() {
        bail!("say what to do: `vigie bank --config FILE` runs a bank; `vigie bank --help` shows the rest");
    }
    let (listen, config) = load(args)?;
    serve(listen, |listener, shutdown| async move { Ok(vigie_bank::run(config, listener, shutdown).await?) })
        .await
}

pub(super) async fn matcher(args: &RoleArgs) -> anyhow::Result<Exit> {
    let (listen, config) = load(args)?;
    serve(
        listen,
        |listener, shutdown| async move { Ok(vigie_matcher::run(config, listener, shutdown).await?) },
    )
    .await
}

pub(super) async fn coordinator(args: &RoleArgs) -> anyhow::Result<Exit> {
    let (listen, config) = load(args)?;
    serve(listen, |listener, shutdown| async move {
        Ok(vigie_coordinator::run(config, listener, shutdown).await?)
    })
    .await
}

pub(super) async fn frontend(args: &RoleArgs) -> anyhow::Result<Exit> {
    let (listen, config) = load(args)?;
    serve(
        listen,
        |listener, shutdown| async move { Ok(vigie_frontend::run(config, listener, shutdown).await?) },
    )
    .await
}

async fn serve<F>(listen: SocketAddr, run: impl FnOnce(TcpListener, Shutdown) -> F) -> anyhow::Result<Exit>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let listener = TcpListener::bind(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    let shutdown = Shutdown::new();
    let stopping = shutdown.clone();
    tokio::spawn(async move {
        asked_to_stop().await;
        tracing::info!("stopping");
        stopping.cancel();
    });
    run(listener, shutdown).await?;
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
