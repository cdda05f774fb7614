//! Assembles a frontend and runs its server.

use std::sync::Arc;

use futures::future::BoxFuture;
use tonic::server::NamedService as _;
use vigie_access::{Access, Membership, WallClock, fetch_keys};
use vigie_clients::Network;
use vigie_clients::decoder::{DecoderMetrics, FfmpegAbsence, FfmpegReport, Hashing};
use vigie_consortium::Process;
use vigie_model::Quality;
use vigie_proto::pb::matching::v1::DescribeDecodingResponse;
use vigie_proto::pb::matching::v1::match_service_server::MatchServiceServer;
use vigie_proto::pb::matching::v1::scoring_service_server::ScoringServiceServer;
use vigie_sandbox::Posture;
use vigie_serving::{AnyListener, Listener, Reflection, Routes, Shutdown};
use vigie_telemetry::{Condition, Telemetry};

use crate::config::Config;
use crate::error::RunError;
use crate::grpc::Grpc;
use crate::grpc::scoring::Scoring;
use crate::hashing::pool::Media;
use crate::hashing::{HashingMetrics, HashingPool, Images, Videos};
use crate::matching::Matching;
use crate::request::alarms::{AuditedAlarms, CountedAlarms};
use crate::request::classifying::asking::Classifiers;
use crate::request::classifying::metrics::ClassifierMetrics;
use crate::request::floods::Floods;
use crate::request::floods::control::{FloodControl, FloodMetrics};
use crate::request::meters::Meters;
use crate::request::policies::Policies;
use crate::request::reports::{Reporters, Reports};
use crate::searcher::Searcher;

/// Answers platforms on `listener` until `shutdown`. See [`run_with`].
pub async fn run(config: Config, listener: impl Listener, shutdown: Shutdown) -> Result<(), RunError> {
    run_with(config, listener, shutdown, &Network::tcp(), &Telemetry::default()).await
}

/// Answers platforms on `listener` until `shutdown`, and connects to the cluster through `network`. Metrics
/// and health are published in `telemetry`.
///
/// Health is `SERVING` from the start, because a frontend has no state; with an embedded coordinator it is
/// `SERVING` once the coordinator has seen every matcher. If the cluster does not answer, each answer reports
/// that.
pub async fn run_with(
    config: Config,
    listener: impl Listener,
    shutdown: Shutdown,
    network: &Network,
    telemetry: &Telemetry,
) -> Result<(), RunError> {
    let clock = WallClock::system();
    boxed(config, AnyListener::new(listener), shutdown, network, telemetry, clock).await
}

/// Runs a frontend on a simulated network, with a given clock for the expiry of rights.
#[doc(hidden)]
pub async fn run_simulated(
    config: Config,
    listener: impl Listener,
    shutdown: Shutdown,
    network: &Network,
    clock: WallClock,
) -> Result<(), RunError> {
    let telemetry = Telemetry::default();
    boxed(config, AnyListener::new(listener), shutdown, network, &telemetry, clock).await
}

/// Boxes a frontend in this crate, for one type of listener. A future is compiled by the crate that first
/// awaits or boxes it, and the crates that run a frontend should not each compile one.
fn boxed<'a>(
    config: Config,
    listener: AnyListener,
    shutdown: Shutdown,
    network: &'a Network,
    telemetry: &'a Telemetry,
    clock: WallClock,
) -> BoxFuture<'a, Result<(), RunError>> {
    Box::pin(run_on(config, listener, shutdown, network, telemetry, clock))
}

async fn run_on(
    config: Config,
    listener: AnyListener,
    shutdown: Shutdown,
    network: &Network,
    telemetry: &Telemetry,
    clock: WallClock,
) -> Result<(), RunError> {
    let faults = config.faults();
    if !faults.is_empty() {
        return Err(RunError::Config(faults));
    }
    let threads = config.hashing_threads();
    let (hashing, ffmpeg) = prepare_hashing(&config, telemetry).await?;
    let decoding = describe(&config, &hashing, ffmpeg);
    telemetry.remark(remark(&decoding));
    let images = Images { hashing: hashing.clone(), limits: config.image_limits(), ways: config.ways() };
    let images = start_pool(threads, config.hashing_queue_max, &images, telemetry)?;
    let videos = Videos { hashing, limits: config.video_limits() };
    let videos = match config.video_threads {
        0 => None,
        threads => Some(start_pool(threads, config.video_queue_max, &videos, telemetry)?),
    };
    let own = |fault| RunError::Config(vec![format!("processes.{fault}")]);
    let network = &config.processes.network(network, Process::Frontend).map_err(own)?;
    let mut members = Membership::start(&config.directory, network, clock)?;
    let access = Access::new(&config.access, config.processes.clone(), &fetch_keys(), members.source());
    let access = access.map_err(RunError::Config)?.counting(members.tally());
    let searcher = telemetry.register(|registry| Searcher::start(&config, network, registry))?;
    let asked = &config.classifiers;
    let classifier_metrics = telemetry.register(ClassifierMetrics::register);
    let classifiers = Classifiers::new(&asked.endpoints, asked.wait(), network, classifier_metrics)
        .map_err(RunError::Classifiers)?;
    let matching = Matching {
        images,
        videos,
        searcher: searcher.clone(),
        classifiers,
        quality_floor: Quality::new(config.quality_floor.into())?,
        queries_max: config.call_queries_max,
        video_bytes_max: config.video_bytes_max,
    };
    let counted = telemetry.register(CountedAlarms::register);
    let alarms = AuditedAlarms { counted, tally: Arc::clone(members.tally()), directories: members.source() };
    let reports = telemetry.register(Reports::register);
    let mut reporters = Reporters::new(&reports, &config.directory.bank, network)?;
    let floods = Floods::new(config.flood_limits());
    let flood_metrics = telemetry.register(FloodMetrics::register);
    let mut flood_control = FloodControl::new(&floods, &config.directory.bank, network, flood_metrics)?;
    let meters = Meters::new(Arc::new(alarms), floods);
    let scoring = Scoring {
        matching: matching.clone(),
        serving: config.serving,
        meters: meters.clone(),
        reports: reports.clone(),
    };
    let grpc = Grpc {
        matching,
        serving: config.serving,
        stream_requests_in_flight_max: config.stream_requests_in_flight_max,
        shutdown: shutdown.clone(),
        meters,
        policies: telemetry.register(Policies::register),
        reports,
        decoding,
    };
    // The layer in front refuses larger messages with this project's status code.
    let bytes_max = config.message_bytes_max();
    let service = MatchServiceServer::new(grpc).max_decoding_message_size(bytes_max);
    let scoring = ScoringServiceServer::new(scoring).max_decoding_message_size(bytes_max);
    let routes =
        Routes::new(Reflection { descriptors: vigie_proto::DESCRIPTORS, roles: vigie_proto::ROLES })?
            .with(service)
            .with(scoring)
            .bulk(MatchServiceServer::<Grpc>::NAME, "MatchStream")
            .bulk(MatchServiceServer::<Grpc>::NAME, "MatchVideo")
            .bulk(MatchServiceServer::<Grpc>::NAME, "HashVideo")
            .guarded_by(Arc::new(access))
            .traced_by(telemetry.tracer())
            .among(config.local.clone());
    telemetry.register(|registry| routes.load().register(registry));
    let (looking, followed) = (searcher.clone(), members.followed().cloned());
    telemetry.set_condition(move || {
        let directory = followed.as_ref().and_then(|followed| followed.unready_reason());
        Condition::starting(looking.unready_reason().or(directory))
    });
    tracing::info!(coordinator = ?config.coordinator, hashing_threads = threads, "starting");
    let health = routes.health();
    let stand_by = async {
        searcher.ready().await;
        if !shutdown.is_cancelled() {
            health.set(true).await;
        }
        searcher.blind().await;
    };
    let serving = vigie_serving::serve(listener, routes, bytes_max, &config.serving, shutdown.clone());
    let outcome = tokio::select! {
        served = serving => served.map_err(RunError::from),
        () = stand_by => Err(vigie_coordinator::RunError::Watcher.into()),
        () = members.run() => Err(RunError::Directory),
        () = reporters.run() => Ok(()),
        () = flood_control.run() => Ok(()),
    };
    tokio::join!(reporters.finish(), flood_control.finish());
    members.finish().await;
    // The readiness probe holds the searcher for as long as the process runs, so it is stopped here.
    searcher.stop();
    outcome
}

/// Starts the threads that hash files of one kind.
fn start_pool<M: Media>(
    threads: usize,
    queue_max: usize,
    media: &M,
    telemetry: &Telemetry,
) -> Result<HashingPool<M>, RunError> {
    let metrics = telemetry.register(HashingMetrics::register::<M>);
    let pool = HashingPool::start(threads, queue_max, media, &metrics).map_err(RunError::HashingPool)?;
    telemetry.register(|registry| pool.register(registry));
    Ok(pool)
}

/// Checks whether decoder processes can run, and logs their protection.
async fn prepare_hashing(
    config: &Config,
    telemetry: &Telemetry,
) -> Result<(Hashing, Result<FfmpegReport, FfmpegAbsence>), RunError> {
    let metrics = telemetry.register(DecoderMetrics::register);
    let settings = config.decoder_settings();
    let prepared = tokio::task::spawn_blocking(move || {
        let hashing = Hashing::prepare(settings, metrics)?;
        let ffmpeg = hashing.ffmpeg();
        Ok((hashing, ffmpeg))
    });
    let (hashing, ffmpeg) =
        prepared.await.map_err(|error| RunError::HashingPool(error.into()))?.map_err(RunError::Sandbox)?;
    let (sandbox, posture) = (config.sandbox, hashing.posture());
    if hashing.has_processes() && posture < Posture::Full {
        tracing::warn!(?sandbox, %posture, "decoder processes have less than full protection");
    } else {
        tracing::info!(?sandbox, %posture, processes = hashing.has_processes(), "decoding images");
    }
    log_ffmpeg(&ffmpeg);
    Ok((hashing, ffmpeg))
}

/// Returns the description of what this frontend decodes.
fn describe(
    config: &Config,
    hashing: &Hashing,
    ffmpeg: Result<FfmpegReport, FfmpegAbsence>,
) -> DescribeDecodingResponse {
    let protection = match hashing.posture() {
        Posture::Full => "full",
        Posture::SeccompOnly => "seccomp_only",
        Posture::None => "none",
    };
    let videos = hashing.video().map(drop);
    let reason = match videos {
        _ if config.video_threads == 0 => "the setting video_threads is 0".to_owned(),
        Err(absence) => absence.to_string(),
        Ok(()) => String::new(),
    };
    DescribeDecodingResponse {
        decodes_videos: reason.is_empty(),
        reason,
        ffmpeg_version: ffmpeg.map(|report| report.version).unwrap_or_default(),
        protection: protection.to_owned(),
    }
}

/// Returns the description as one line of text.
fn remark(decoding: &DescribeDecodingResponse) -> String {
    if decoding.decodes_videos {
        format!("videos: decoded by ffmpeg {}", decoding.ffmpeg_version)
    } else {
        format!("videos: searched by their digests alone ({})", decoding.reason)
    }
}

/// Logs which formats ffmpeg decodes.
fn log_ffmpeg(ffmpeg: &Result<FfmpegReport, FfmpegAbsence>) {
    match ffmpeg {
        Ok(FfmpegReport { program, version, formats, missing, posture, .. }) => {
            let program = program.display();
            tracing::info!(%program, version, ?formats, ?missing, %posture, "ffmpeg decodes further formats");
        }
        Err(absence) => {
            let reason: &dyn std::error::Error = absence;
            tracing::info!(
                reason,
                "no ffmpeg: videos, JPEG 2000, HEIC and JPEG XL are searched by their digests alone"
            );
        }
    }
}
