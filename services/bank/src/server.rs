//! Assembles the bank and runs it: the store, leader election, the server.

mod holds;
mod cases;
mod lists;
mod recorder;
pub(crate) mod waiting;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::maybe_done;
use vigie_access::{Access, fetch_keys};
use vigie_audit::salt::Salts;
use vigie_consortium::Charter;
use vigie_log::{Announce, Clock, FeedLimits, Keep, LeadError, Limits, WriteLimits};
use vigie_proto::pb::bank::v1::bank_service_server::BankServiceServer;
use vigie_proto::pb::bank::v1::exchange_service_server::ExchangeServiceServer;
use vigie_proto::pb::bank::v1::feed_service_server::FeedServiceServer;
use vigie_proto::pb::consortium::v1::audit_service_server::AuditServiceServer;
use vigie_proto::pb::consortium::v1::consortium_service_server::ConsortiumServiceServer;
use vigie_proto::pb::consortium::v1::decision_service_server::DecisionServiceServer;
use vigie_proto::pb::consortium::v1::hash_type_service_server::HashTypeServiceServer;
use vigie_proto::pb::consortium::v1::incident_service_server::IncidentServiceServer;
use vigie_proto::pb::consortium::v1::model_card_service_server::ModelCardServiceServer;
use vigie_proto::pb::consortium::v1::opinion_service_server::OpinionServiceServer;
use vigie_proto::pb::consortium::v1::policy_service_server::PolicyServiceServer;
use vigie_proto::pb::consortium::v1::referral_service_server::ReferralServiceServer;
use vigie_proto::pb::consortium::v1::report_service_server::ReportServiceServer;
use vigie_proto::pb::consortium::v1::statistics_service_server::StatisticsServiceServer;
use vigie_proto::{DESCRIPTORS, ROLES};
use vigie_serving::{Health, Listener, LongStreamLimits, LongStreams, Reflection, Routes, Shutdown, serve};
use vigie_telemetry::{Condition, Telemetry, register_counters, register_gauge};

use crate::config::Config;
use crate::grpc::{BankGrpc, Checkpoints, FeedGrpc, Lease, OwnDirectory};
use crate::log::{CurrentTerm, Term};
use crate::store::{Source, StoreError};
use crate::{RunError, StoreFailure};
use cases::CaseKeeper;
use holds::HoldKeeper;
use recorder::Recorder;
use waiting::{Opening, Waiting};

/// Runs a bank on a store, and closes the store in every case.
pub(crate) async fn run(
    config: Config,
    source: Source,
    listener: impl Listener,
    shutdown: Shutdown,
    clock: Arc<dyn Clock>,
    telemetry: &Telemetry,
) -> Result<(), RunError> {
    let current = CurrentTerm::none();
    let directory = OwnDirectory { current: current.clone(), clock: Arc::clone(&clock) };
    let pepper = config.access.pepper().map_err(|fault| RunError::Config(vec![format!("access.{fault}")]))?;
    let access = Access::new(&config.access, config.processes(), &fetch_keys(), Arc::new(directory));
    let (tally, salts) = (Arc::default(), Arc::new(Salts::new().map_err(|_| RunError::Randomness)?));
    let access = access.map_err(RunError::Config)?.counting(&tally);
    let mut recorder = Recorder::new(tally, current.clone(), Arc::clone(&salts));
    let mut holds = HoldKeeper::new(current.clone(), Arc::clone(&clock));
    let mut cases = CaseKeeper::new(current.clone(), Arc::clone(&clock));
    let checkpoints = Checkpoints::new(&config.audit);
    let checkpoints =
        Arc::new(checkpoints.map_err(|fault| RunError::Config(vec![format!("audit.{fault}")]))?);
    let lease = Arc::new(Lease::new(clock.now().0));
    let bank = BankGrpc { current: current.clone(), serving: config.serving, pepper, checkpoints, lease };
    let follow = FeedGrpc {
        current: current.clone(),
        followers: LongStreams::new(follower_limits(&config)),
        load_max: Duration::from_secs(u64::from(config.stream_minutes) * 60),
    };
    let routes = Routes::new(Reflection { descriptors: DESCRIPTORS, roles: ROLES })?
        .with(BankServiceServer::new(bank.clone()).max_decoding_message_size(config.message_bytes_max))
        .with(AuditServiceServer::new(bank.clone()).max_decoding_message_size(config.message_bytes_max))
        .with(ExchangeServiceServer::new(bank.clone()).max_decoding_message_size(config.message_bytes_max))
        .with(StatisticsServiceServer::new(bank.clone()).max_decoding_message_size(config.message_bytes_max))
        .with(PolicyServiceServer::new(bank.clone()).max_decoding_message_size(config.message_bytes_max))
        .with(HashTypeServiceServer::new(bank.clone()).max_decoding_message_size(config.message_bytes_max))
        .with(ModelCardServiceServer::new(bank.clone()).max_decoding_message_size(config.message_bytes_max))
        .with(OpinionServiceServer::new(bank.clone()).max_decoding_message_size(config.message_bytes_max))
        .with(ReportServiceServer::new(bank.clone()).max_decoding_message_size(config.message_bytes_max))
        .with(DecisionServiceServer::new(bank.clone()).max_decoding_message_size(config.message_bytes_max))
        .with(ReferralServiceServer::new(bank.clone()).max_decoding_message_size(config.message_bytes_max))
        .with(IncidentServiceServer::new(bank.clone()).max_decoding_message_size(config.message_bytes_max))
        .with(ConsortiumServiceServer::new(bank).max_decoding_message_size(config.message_bytes_max))
        .with(FeedServiceServer::new(follow).max_decoding_message_size(config.message_bytes_max))
        .guarded_by(Arc::new(access))
        .traced_by(telemetry.tracer());
    let (head, has_term, queue, charters, completed) =
        (current.clone(), current.clone(), current.clone(), current.clone(), current.clone());
    let erase_failures = Arc::<AtomicU64>::default();
    let failures = Arc::clone(&erase_failures);
    telemetry.register(|registry| {
        routes.load().register(registry);
        let name = "vigie_bank_sequence";
        register_gauge(registry, name, "The newest change; 0 while another bank serves", move || {
            head.get().map_or(0.0, |term| figure(term.feed.head().0))
        });
        let name = "vigie_bank_writes_queued";
        register_gauge(registry, name, "Writes that wait to be committed", move || {
            queue.get().map_or(0.0, |term| figure(term.log.queued() as u64))
        });
        let name = "vigie_bank_serving";
        register_gauge(
            registry,
            name,
            "Whether this bank serves, 0 or 1; one of several stands by",
            move || f64::from(u8::from(has_term.get().is_some())),
        );
        let name = "vigie_bank_purge_hours_min";
        let help = "The least purge_hours of all charters, which no matcher's setting may exceed; 0 while another bank serves";
        register_gauge(registry, name, help, move || charters.get().map_or(0.0, |term| least_purge_hours(&term)));
        let name = "vigie_bank_rewrites_failed";
        let help = "Attempts to clear removed items from the free space of the database that failed; each is made again after ten minutes";
        register_counters(registry, name, help, "", move || {
            vec![("", figure(failures.load(Ordering::Relaxed)))]
        });
    });
    let (message_bytes_max, serving) = (config.message_bytes_max, config.serving);
    let waiting = Waiting::default();
    let opening = Opening {
        limits: limits(&config),
        config,
        source,
        clock,
        current: current.clone(),
        announce: Arc::new(Announced(routes.health())),
        shutdown: shutdown.clone(),
        waiting: waiting.clone(),
        salts,
        erase_failures,
    };
    let begun = opening.begin().await?;
    telemetry.set_condition(move || condition(&current, &waiting));
    tracing::info!(address = ?listener.address(), "the bank answers");

    // The term outlives the server: accepted writes are committed and answered before it ends.
    let stop = Shutdown::new();
    let mut led = pin!(maybe_done(Box::pin(opening.run(begun, stop.clone()))));
    let served = tokio::select! {
        served = serve(listener, routes, message_bytes_max, &serving, shutdown) => served,
        // The term ends only when it is stopped, or by its own failure.
        () = &mut led => Ok(()),
        () = recorder.run() => Ok(()),
        () = holds.run() => Ok(()),
        () = cases.run() => Ok(()),
        () = lists::complete(completed) => Ok(()),
    };
    tokio::select! {
        () = recorder.record() => {}
        () = &mut led => {}
    }
    stop.cancel();
    led.as_mut().await;
    let led = led.take_output().unwrap_or(Ok(()));
    served?;
    led
}

/// Reports to the health service whether this bank serves.
#[derive(Debug)]
struct Announced(Health);

#[async_trait]
impl Announce for Announced {
    async fn serves(&self, serves: bool) {
        self.0.set(serves).await;
    }
}

/// Returns the bank's condition: it serves, is a standby, or waits for its store.
fn condition(current: &CurrentTerm, waiting: &Waiting) -> Condition {
    if current.get().is_some() {
        return Condition::Ready;
    }
    match waiting.reason() {
        // A bank that has never reached its store may have a wrong address. A rolling update must not take it
        // for a working one.
        Some(reason) => Condition::Unready(format!("waiting for the store: {reason}").into()),
        None if current.is_in_reach() => Condition::Standby("standing by: another bank serves".into()),
        None => Condition::Unready("standing by: the store is out of reach".into()),
    }
}

impl From<LeadError<StoreError>> for RunError {
    fn from(error: LeadError<StoreError>) -> Self {
        match error {
            LeadError::Store(error) => Self::Store(StoreFailure::from(error)),
            LeadError::Writer => Self::Writer,
            LeadError::Sweeper => Self::Sweeper,
            LeadError::Superseded => Self::Superseded,
        }
    }
}

/// Returns the shortest time, in hours, after which the hash of a removed item must be gone from every file,
/// over all charters.
fn least_purge_hours(term: &Term) -> f64 {
    let view = term.application.view();
    let hours = view.directory().banks().iter().map(|bank| bank.charter.purge_hours());
    f64::from(hours.min().unwrap_or(Charter::PURGE_HOURS_DEFAULT))
}

#[expect(clippy::cast_precision_loss, reason = "2^53 changes are out of reach")]
fn figure(number: u64) -> f64 {
    number as f64
}

pub(crate) fn limits(config: &Config) -> Limits {
    Limits {
        write: write_limits(config),
        feed: feed_limits(config),
        keep: keep(config),
        sweep_rows_max: config.sweep_rows_max,
    }
}

pub(crate) fn keep(config: &Config) -> Keep {
    let hours = |hours: u32| Duration::from_secs(u64::from(hours) * 3_600);
    Keep {
        keys: hours(config.idempotency_hours),
        changes: hours(config.log_hours),
        changes_min: config.log_changes,
    }
}

pub(crate) fn write_limits(config: &Config) -> WriteLimits {
    WriteLimits {
        group_changes_max: config.group_changes_max,
        queue_max: config.write_queue_max,
        queue_bytes_max: config.write_queue_bytes_max,
    }
}

fn follower_limits(config: &Config) -> LongStreamLimits {
    LongStreamLimits {
        what: "followers",
        streams_max: config.followers_max,
        per_client_max: config.followers_per_client_max,
        own_names: config.matcher_names.clone(),
    }
}

pub(crate) fn feed_limits(config: &Config) -> FeedLimits {
    FeedLimits {
        followers_max: config.followers_max,
        heartbeat: Duration::from_millis(config.heartbeat_ms),
        changes_max: config.feed_changes_max,
        bytes_max: config.feed_bytes_max,
        recent_changes_max: config.recent_changes_max,
        recent_bytes_max: config.recent_bytes_max,
        lifetime: Duration::from_secs(u64::from(config.stream_minutes) * 60),
        claim_kept: Duration::from_secs(u64::from(config.follower_minutes) * 60),
        // One connection stays free of followers, for the writer's queries and for callers that read an item.
        readers_max: config.read_connections_max.saturating_sub(1).max(1) as usize,
    }
}
