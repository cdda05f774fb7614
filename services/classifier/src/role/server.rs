//! Assembles a classifier and runs its server.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use vigie_access::{Access, FollowedDirectory, Membership, WallClock};
use vigie_consortium::Process;
use vigie_net::Network;
use vigie_proto::pb::classifier::v1::classifier_service_server::ClassifierServiceServer;
use vigie_serving::{AnyListener, Health, Listener, Reflection, Routes, Shutdown};
use vigie_telemetry::{Condition, Telemetry};

use super::error::RunError;
use super::grpc::{Grpc, MESSAGE_BYTES_MAX};
use super::keeper::Keeper;
use super::metrics::Metrics;
use super::models::Models;
use super::scoring::Scoring;
use crate::config::Config;
use crate::engine::Engine;
use crate::engines::Engines;

/// The interval of checks whether the directory has been read.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Runs models for `listener` until `shutdown`. See [`run_with`].
pub async fn run(config: Config, listener: impl Listener, shutdown: Shutdown) -> Result<(), RunError> {
    run_with(config, listener, shutdown, &Network::tcp(), &Telemetry::default()).await
}

/// Runs models for `listener` until `shutdown`. Banks and inference servers are reached through `network`.
/// Metrics and health are published in `telemetry`.
///
/// Health is `SERVING` once the directory has been read. A model that cannot be served does not delay it.
pub async fn run_with(
    config: Config,
    listener: impl Listener,
    shutdown: Shutdown,
    network: &Network,
    telemetry: &Telemetry,
) -> Result<(), RunError> {
    boxed(config, AnyListener::new(listener), shutdown, network, telemetry).await
}

/// Boxes a classifier in this crate, for one type of listener, so that the crates that run one do not each
/// compile it.
fn boxed<'a>(
    config: Config,
    listener: AnyListener,
    shutdown: Shutdown,
    network: &'a Network,
    telemetry: &'a Telemetry,
) -> BoxFuture<'a, Result<(), RunError>> {
    Box::pin(run_on(config, listener, shutdown, network, telemetry))
}

async fn run_on(
    config: Config,
    listener: AnyListener,
    shutdown: Shutdown,
    network: &Network,
    telemetry: &Telemetry,
) -> Result<(), RunError> {
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(RunError::Config(faults));
    }
    // External servers get no proof of a process of this deployment.
    let engine: Arc<dyn Engine> = Arc::new(Engines::start(&config, network)?);
    let own = |fault| RunError::Config(vec![format!("processes.{fault}")]);
    let network = config.processes.network(network, Process::Classifier).map_err(own)?;
    let members = Membership::start(&config.directory, &network, WallClock::system());
    let mut members = members.map_err(|error| RunError::Config(vec![format!("directory.bank: {error}")]))?;
    let Some(followed) = members.followed().map(Arc::clone) else {
        return Err(RunError::Config(vec![Config::NO_BANK.to_owned()]));
    };
    let processes = config.processes.clone();
    let access = Access::for_processes_and_operators(&config.access, processes, Arc::clone(&followed) as _);
    let access = access.map_err(RunError::Config)?.counting(members.tally());
    let models = Arc::<Models>::default();
    let metrics = telemetry.register(|registry| Metrics::register(registry, &models));
    let configured = config.sources();
    tracing::info!(models = configured.len(), "starting");
    let cards = Arc::new(Arc::clone(&followed));
    let mut keeper =
        Keeper::new(cards, Arc::clone(&engine), configured, Arc::clone(&models), metrics.clone());
    let scoring = Arc::new(Scoring { engine, models, metrics, items: Semaphore::new(config.items_max) });
    let grpc = Grpc { scoring, serving: config.serving };
    let service = ClassifierServiceServer::new(grpc).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let routes =
        Routes::new(Reflection { descriptors: vigie_proto::DESCRIPTORS, roles: vigie_proto::ROLES })?
            .with(service)
            .guarded_by(Arc::new(access))
            .traced_by(telemetry.tracer());
    telemetry.register(|registry| routes.load().register(registry));
    let looking = Arc::clone(&followed);
    telemetry.set_condition(move || Condition::starting(looking.unready_reason()));
    let health = routes.health();
    let serving =
        vigie_serving::serve(listener, routes, MESSAGE_BYTES_MAX, &config.serving, shutdown.clone());
    let outcome = tokio::select! {
        served = serving => served.map_err(RunError::from),
        error = stand_by(&followed, health, shutdown) => Err(error),
        () = members.run() => Err(RunError::Directory),
        () = keeper.run() => Err(RunError::Directory),
    };
    members.finish().await;
    outcome
}

/// Sets health to `SERVING` once the directory has been read. Never ends.
async fn stand_by(followed: &FollowedDirectory, health: Health, shutdown: Shutdown) -> RunError {
    while followed.unready_reason().is_some() && !shutdown.is_cancelled() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    if !shutdown.is_cancelled() {
        health.set(true).await;
    }
    std::future::pending().await
}
