//! Puts a coordinator together and runs it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use vigie_clients::{MatcherClient, Network};
use vigie_proto::pb::coordinator::v1::coordinator_service_server::CoordinatorServiceServer;
use vigie_serving::{Health, Listener, Reflection, Routes, Shutdown};

use crate::config::Config;
use crate::error::RunError;
use crate::fan_out::FanOut;
use crate::grpc::Grpc;
use crate::topology::{Table, watch};

/// The largest request: a batch of 256 queries of 64 hashes, and room for names.
const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// Fans searches out from `listener` until `shutdown`.
///
/// Health is `SERVING` once every matcher has been asked who it is.
pub async fn run(config: Config, listener: impl Listener, shutdown: Shutdown) -> Result<(), RunError> {
    run_on(config, listener, shutdown, &Network::tcp()).await
}

/// [`run`], with the network by which matchers are reached.
pub async fn run_on(
    config: Config,
    listener: impl Listener,
    shutdown: Shutdown,
    network: &Network,
) -> Result<(), RunError> {
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(RunError::Config(faults));
    }
    let clients = config
        .matchers
        .iter()
        .map(|endpoint| MatcherClient::new_on(endpoint, network))
        .collect::<Result<Arc<[_]>, _>>()?;
    let table = Arc::new(ArcSwap::from_pointee(Table::new(clients.len())));
    let grpc = Grpc {
        fan_out: FanOut { clients: Arc::clone(&clients), table: Arc::clone(&table) },
        endpoints: config.matchers.clone(),
        serving: config.serving,
    };
    let service = CoordinatorServiceServer::new(grpc).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let routes = Routes::new(Reflection(vigie_proto::DESCRIPTORS))?.with(service);
    tracing::info!(matchers = config.matchers.len(), "starting");
    let interval = Duration::from_millis(config.describe_interval_ms);
    let patience = Duration::from_millis(config.describe_ms_max);
    let mut watcher =
        tokio::spawn(watch(clients, Arc::clone(&table), interval, patience, shutdown.child_token()));
    let announcer = tokio::spawn(announce(table, routes.health(), interval));
    let serving =
        vigie_serving::serve(listener, routes, MESSAGE_BYTES_MAX, &config.serving, shutdown.clone());
    let mut serving = std::pin::pin!(serving);
    let served = tokio::select! {
        served = &mut serving => served,
        // On shutdown the watcher ends first, as it should; otherwise the table would never change again.
        _ = &mut watcher => {
            if !shutdown.is_cancelled() {
                return Err(RunError::Watcher);
            }
            serving.await
        }
    };
    watcher.abort();
    announcer.abort();
    Ok(served?)
}

/// Says `SERVING` once the table is complete.
async fn announce(table: Arc<ArcSwap<Table>>, health: Health, interval: Duration) {
    while !table.load().is_complete() {
        tokio::time::sleep(interval.min(Duration::from_millis(20))).await;
    }
    health.set(true).await;
}
