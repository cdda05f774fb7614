//! Runs a coordinator behind its gRPC server.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use vigie_access::{Access, Membership, WallClock};
use vigie_clients::Network;
use vigie_consortium::Process;
use vigie_proto::pb::coordinator::v1::coordinator_service_server::CoordinatorServiceServer;
use vigie_serving::{AnyListener, Health, Listener, Reflection, Routes, Shutdown};
use vigie_telemetry::{Condition, Telemetry};

use crate::config::Config;
use crate::coordinator::Coordinator;
use crate::error::RunError;
use crate::grpc::Grpc;

/// The largest request, in bytes. A video of 4,096 frames in eight variants takes 1.2 MB, and a batch of 256
/// queries of 64 hashes each is also allowed. The rest is for the names of banks.
const MESSAGE_BYTES_MAX: usize = 2 << 20;
/// The interval at which the server checks whether the matchers have been heard.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Serves searches on `listener` until `shutdown`. See [`run_with`] for the details.
pub async fn run(config: Config, listener: impl Listener, shutdown: Shutdown) -> Result<(), RunError> {
    run_with(config, listener, shutdown, &Network::tcp(), &Telemetry::default()).await
}

/// Serves searches on `listener` until `shutdown`. The matchers are reached through `network`. Metrics and
/// the health condition are reported to `telemetry`.
///
/// Health is `SERVING` once every matcher has been heard or found silent.
pub async fn run_with(
    config: Config,
    listener: impl Listener,
    shutdown: Shutdown,
    network: &Network,
    telemetry: &Telemetry,
) -> Result<(), RunError> {
    boxed(config, AnyListener::new(listener), shutdown, network, telemetry).await
}

/// Boxes the coordinator's future in this crate, for one type of listener. A future is compiled by the crate
/// that first awaits or boxes it, and the crates that run a coordinator should not each compile one.
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
    let own = |fault| RunError::Config(vec![format!("processes.{fault}")]);
    let network = config.processes.network(network, Process::Coordinator).map_err(own)?;
    let members = Membership::start(&config.directory, &network, WallClock::system());
    let mut members = members.map_err(|error| RunError::Config(vec![format!("directory.bank: {error}")]))?;
    let access = access(&config, &members)?;
    let coordinator = telemetry.register(|registry| Coordinator::start(&config, &network, registry))?;
    let coordinator = Arc::new(coordinator);
    let grpc = Grpc { coordinator: Arc::clone(&coordinator), serving: config.serving };
    let service = CoordinatorServiceServer::new(grpc).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let routes =
        Routes::new(Reflection { descriptors: vigie_proto::DESCRIPTORS, roles: vigie_proto::ROLES })?
            .with(service)
            .guarded_by(Arc::new(access))
            .traced_by(telemetry.tracer());
    telemetry.register(|registry| routes.load().register(registry));
    let looking = Arc::clone(&coordinator);
    telemetry.set_condition(move || Condition::starting(looking.unready_reason()));
    tracing::info!(matchers = config.matchers.len(), "starting");
    let health = routes.health();
    let serving =
        vigie_serving::serve(listener, routes, MESSAGE_BYTES_MAX, &config.serving, shutdown.clone());
    let outcome = tokio::select! {
        served = serving => served.map_err(RunError::from),
        error = stand_by(&coordinator, health, shutdown) => Err(error),
        () = members.run() => Err(RunError::Directory),
    };
    members.finish().await;
    // Probes hold the coordinator for the lifetime of the process, so it is stopped here, not by its drop.
    coordinator.stop();
    outcome
}

/// Returns the access rules: processes of the deployment may call, and operators too where a directory of
/// members is followed.
fn access(config: &Config, members: &Membership) -> Result<Access, RunError> {
    let processes = config.processes.clone();
    let access = match members.followed() {
        Some(followed) => {
            let followed = Arc::clone(followed) as _;
            Access::for_processes_and_operators(&config.access, processes, followed)
        }
        None => Access::for_processes(processes),
    };
    Ok(access.map_err(RunError::Config)?.counting(members.tally()))
}

/// Reports `SERVING` once every matcher has been heard or found silent. Returns only if the task that watches
/// the matchers ends.
async fn stand_by(coordinator: &Coordinator, health: Health, shutdown: Shutdown) -> RunError {
    while !coordinator.has_looked_around() && !shutdown.is_cancelled() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    if !shutdown.is_cancelled() {
        health.set(true).await;
    }
    while !coordinator.is_blind() {
        tokio::time::sleep(LOOK_EVERY * 50).await;
    }
    RunError::Watcher
}
