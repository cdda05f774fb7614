//! Assembles a matcher and runs it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use tonic::server::NamedService as _;
use vigie_access::{Access, Refusals};
use vigie_clients::{FeedClient, Network};
use vigie_consortium::Process;
use vigie_proto::pb::matcher::v1::matcher_service_server::MatcherServiceServer;
use vigie_serving::{AnyListener, Listener, LongStreamLimits, LongStreams};
use vigie_serving::{Reflection, Routes, ServeError, Shutdown};
use vigie_telemetry::{Condition, Telemetry, register_gauge};

use crate::config::Config;
use crate::error::RunError;
use crate::following::follow::{Patience, follow};
use crate::following::keeping::{Schedule, Sharing};
use crate::following::latencies::LatencyReports;
use crate::following::presence::Presence;
use crate::following::replica::Replica;
use crate::following::scrub::scrub;
use crate::grpc::Grpc;
use crate::here::Here;
use crate::metrics::{MatcherMetrics, figure, register_replica};
use crate::saving::folder::FolderError;
use crate::saving::plan::StorePlan;
use crate::searching::answering::Answering;
use crate::searching::running::Runner;

/// The largest request, in bytes. A video of 4,096 frames in eight variants takes 1.2 MB, and a batch of 256
/// queries of 64 hashes each is also allowed. The rest is for the names of banks.
pub(crate) const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// Follows the bank and answers searches on `listener` until `shutdown`. See [`run_with`] for the details.
pub async fn run(config: Config, listener: impl Listener, shutdown: Shutdown) -> Result<(), RunError> {
    run_with(config, listener, shutdown, &Network::tcp(), &Telemetry::default()).await
}

/// Follows the bank and answers searches on `listener` until `shutdown`. The bank is reached through
/// `network`. Metrics and the health condition are reported to `telemetry`.
///
/// Health is `SERVING` once the shard holds what the bank had when the feed opened, and a digest has proved
/// it. After `shutdown` the replica reports that it is not ready, but still answers calls until it stops
/// listening.
pub async fn run_with(
    config: Config,
    listener: impl Listener,
    shutdown: Shutdown,
    network: &Network,
    telemetry: &Telemetry,
) -> Result<(), RunError> {
    boxed(config, AnyListener::new(listener), shutdown, network, telemetry).await
}

/// Boxes the matcher's future in this crate, for one type of listener. A future is compiled by the crate that
/// first awaits or boxes it, and the crates that run a matcher should not each compile one.
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
    let shards = config.shards()?;
    let own = |fault| RunError::Config(vec![format!("processes.{fault}")]);
    let network = config.processes.network(network, Process::Matcher).map_err(own)?;
    let feed = FeedClient::new_on(&config.bank, &network)?;
    let mut refusals = Refusals::reported_to(std::slice::from_ref(&config.bank), &network)?;
    let access = Access::for_processes(config.processes.clone()).map_err(RunError::Config)?;
    let access = access.counting(refusals.tally());
    let objects = config.objects().map_err(RunError::Config)?.map(Arc::new);
    let plan = take_folder(&config).await?;
    let metrics = telemetry.register(MatcherMetrics::register);
    let replica = Arc::new(Replica::new(shards, plan, metrics));
    let mut latencies = LatencyReports::new(Arc::clone(&replica.latencies), &config.bank, &network)?;
    // However this function ends, the replica's watchers get no further description.
    let shown = shutdown.child_token();
    let _shown = shown.clone().drop_guard();
    let here = here(&replica, &config, &shown);
    let routes = routes(&here, &config)?.guarded_by(Arc::new(access)).traced_by(telemetry.tracer());
    let endpoint = listener.address().map(|address| format!("http://{address}"));
    let neighbours = config.neighbours.as_ref().zip(endpoint);
    let _stays = neighbours.map(|(neighbours, endpoint)| neighbours.add(&endpoint, Arc::new(here)));
    telemetry.register(|registry| {
        routes.load().register(registry);
        register_replica(registry, Arc::clone(&replica));
        let (name, hours) = ("vigie_matcher_purge_hours", config.purge_hours);
        let help = "The setting purge_hours; it has to be no more than the least of all charters";
        register_gauge(registry, name, help, move || figure(hours));
    });
    let probed = Arc::clone(&replica);
    telemetry.set_condition(move || Condition::starting(probed.unready_reason()));
    let patience = Patience {
        open: Duration::from_millis(config.feed_open_ms_max),
        silence: Duration::from_millis(config.feed_silence_ms_max),
    };
    let schedule = Schedule {
        changes: config.snapshot_changes,
        every: Duration::from_secs(60 * config.snapshot_minutes),
        purge_after: Duration::from_secs(3_600 * config.purge_hours),
    };
    let sharing = Sharing { objects, every: config.publish_every() };
    tracing::info!(%shards, shard = %replica.identity, bank = config.bank, "starting");
    let scrubbing = scrub(Arc::clone(&replica), config.scrubbing());
    let following =
        follow(replica, feed, patience, schedule, sharing, routes.health(), shutdown.child_token());
    let mut follower = tokio::spawn(async move {
        tokio::select! {
            () = following => {}
            () = scrubbing => {}
        }
    });
    let serving =
        vigie_serving::serve(listener, routes, MESSAGE_BYTES_MAX, &config.serving, shutdown.clone());
    let mut serving = std::pin::pin!(serving);
    let ended = async {
        tokio::select! {
            served = &mut serving => {
                if shutdown.is_cancelled() {
                    // The follower saves the shard before it ends.
                    return follower.await.map_err(|_| RunError::Follower).and(Ok(served?));
                }
                follower.abort();
                Ok(served?)
            }
            // On shutdown the follower may end first. At any other time its end is an error, because nothing
            // keeps the shard up to date with the log.
            _ = &mut follower => {
                if !shutdown.is_cancelled() {
                    return Err(RunError::Follower);
                }
                Ok(serving.await?)
            }
        }
    };
    let ended = tokio::select! {
        ended = ended => ended,
        // These two futures never end.
        () = refusals.run() => Ok(()),
        () = latencies.run() => Ok(()),
    };
    tokio::join!(refusals.finish(), latencies.finish());
    ended
}

/// The longest wait for the matcher's folder, which a previous matcher may be about to release.
const IN_USE_MAX: Duration = Duration::from_secs(5);

/// Takes the folder of the configuration, if it names one.
///
/// Errors: the folder cannot be used, or another process has used it for longer than [`IN_USE_MAX`].
async fn take_folder(config: &Config) -> Result<StorePlan, FolderError> {
    let give_up = tokio::time::Instant::now() + IN_USE_MAX;
    loop {
        match StorePlan::new(config.indexes(), config.index_folder.as_deref()) {
            Err(FolderError::InUse { .. }) if tokio::time::Instant::now() < give_up => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            taken => return taken,
        }
    }
}

/// Returns a replica that roles of this process can call. The caller keeps the replica up to date.
pub(crate) fn here(replica: &Arc<Replica>, config: &Config, shutdown: &Shutdown) -> Here {
    let metrics = replica.metrics.clone();
    let inline_max = Duration::from_micros(config.search_inline_us_max);
    let presence = Presence::new(Arc::clone(replica), config.watchers_max, shutdown.clone());
    let answering = Answering {
        replica: Arc::clone(replica),
        shutdown: shutdown.clone(),
        runner: Runner::new(config.searches_at_once(), inline_max, metrics.clone()),
        wait_permits: Semaphore::new(config.sequence_waits_max),
    };
    Here { answering: Arc::new(answering), presence: Arc::new(presence), metrics }
}

/// Returns the gRPC routes through which other processes call the replica.
pub(crate) fn routes(here: &Here, config: &Config) -> Result<Routes, ServeError> {
    let grpc = Grpc {
        answering: Arc::clone(&here.answering),
        presence: Arc::clone(&here.presence),
        // All coordinators of a cluster may have the same name, so one name may use three quarters of the
        // slots.
        watchers: LongStreams::new(LongStreamLimits {
            what: "watchers",
            streams_max: config.watchers_max,
            per_client_max: config.watchers_max,
            own_names: Vec::new(),
        }),
        serving: config.serving,
        metrics: here.metrics.clone(),
    };
    let service = MatcherServiceServer::new(grpc).max_decoding_message_size(MESSAGE_BYTES_MAX);
    Ok(Routes::new(Reflection { descriptors: vigie_proto::DESCRIPTORS, roles: vigie_proto::ROLES })?
        .with(service)
        .never_refusing(MatcherServiceServer::<Grpc>::NAME, "Describe")
        .never_refusing(MatcherServiceServer::<Grpc>::NAME, "Watch"))
}
