//! Puts the bank together and runs it: the store, the writer, the sweeper, the server.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::maybe_done;
use tokio::sync::Notify;
use vigie_proto::DESCRIPTORS;
use vigie_proto::pb::bank::v1::bank_service_server::BankServiceServer;
use vigie_proto::pb::bank::v1::feed_service_server::FeedServiceServer;
use vigie_serving::{Listener, Reflection, Routes, Shutdown, serve};

use crate::change_log::{self, ChangeLog};
use crate::clock::Clock;
use crate::config::Config;
use crate::feed::{self, Feed};
use crate::grpc::{BankGrpc, FeedGrpc};
use crate::store::Store;
use crate::sweep::{Keep, Sweeper};
use crate::{RunError, StoreFailure};

/// Runs a bank on a store that is open, and closes it, whatever happens.
pub(crate) async fn run(
    config: Config,
    store: Arc<dyn Store>,
    listener: impl Listener,
    shutdown: Shutdown,
    clock: Arc<dyn Clock>,
) -> Result<(), RunError> {
    let served = run_open(config, Arc::clone(&store), listener, shutdown, clock).await;
    store.close().await;
    served
}

async fn run_open(
    config: Config,
    store: Arc<dyn Store>,
    listener: impl Listener,
    shutdown: Shutdown,
    clock: Arc<dyn Clock>,
) -> Result<(), RunError> {
    let feed = Arc::new(Feed::new(Arc::clone(&store), feed_limits(&config)));
    let sweep = Arc::new(Notify::new());
    let (log, mut writer) = ChangeLog::new(
        Arc::clone(&store),
        Arc::clone(&feed),
        Arc::clone(&sweep),
        Arc::clone(&clock),
        log_limits(&config),
    );
    writer.load().await.map_err(StoreFailure::from)?;

    let bank = BankGrpc { log, store: Arc::clone(&store), serving: config.serving };
    let sweeper = Sweeper {
        store: Arc::clone(&store),
        feed: Arc::clone(&feed),
        wake: sweep,
        clock,
        keep: keep(&config),
        rows_max: config.sweep_rows_max,
    };
    let follow = FeedGrpc { feed, shutdown: shutdown.clone() };
    let routes = Routes::new(Reflection(DESCRIPTORS))?
        .with(BankServiceServer::new(bank).max_decoding_message_size(config.message_bytes_max))
        .with(FeedServiceServer::new(follow).max_decoding_message_size(config.message_bytes_max));
    routes.health().set(true).await;
    tracing::info!(address = ?listener.address(), "the bank serves");

    // The writer outlives the server: what was accepted is written and answered before it ends.
    let stop = Shutdown::new();
    let mut sweeper = pin!(maybe_done(tokio::spawn(sweeper.run(stop.clone()))));
    let mut writer = pin!(maybe_done(tokio::spawn(writer.run(stop.clone()))));
    let served = tokio::select! {
        served = serve(listener, routes, config.message_bytes_max, &config.serving, shutdown) => {
            served.map_err(RunError::from)
        }
        // Each ends only when it is told to, or by a fault of its own.
        () = &mut writer => Err(RunError::Writer),
        () = &mut sweeper => Err(RunError::Sweeper),
    };
    stop.cancel();
    tokio::join!(writer.as_mut(), sweeper.as_mut());
    let (wrote, swept) = (writer.take_output(), sweeper.take_output());
    served?;
    wrote.and_then(Result::ok).ok_or(RunError::Writer)?;
    swept.and_then(Result::ok).ok_or(RunError::Sweeper)
}

pub(crate) fn keep(config: &Config) -> Keep {
    let hours = |hours: u32| Duration::from_secs(u64::from(hours) * 3_600);
    Keep {
        keys: hours(config.idempotency_hours),
        changes: hours(config.log_hours),
        changes_min: config.log_changes,
    }
}

pub(crate) fn log_limits(config: &Config) -> change_log::Limits {
    change_log::Limits {
        group_changes_max: config.group_changes_max,
        write_queue_max: config.write_queue_max,
        write_queue_bytes_max: config.write_queue_bytes_max,
        banks_max: config.banks_max,
    }
}

pub(crate) fn feed_limits(config: &Config) -> feed::Limits {
    feed::Limits {
        followers_max: config.followers_max,
        heartbeat: Duration::from_millis(config.heartbeat_ms),
        changes_max: config.feed_changes_max,
        bytes_max: config.feed_bytes_max,
        recent_changes_max: config.recent_changes_max,
        recent_bytes_max: config.recent_bytes_max,
        place_kept: Duration::from_secs(u64::from(config.follower_minutes) * 60),
        // A connection stays free of followers, for the writer's questions and for those who read an item.
        readers_max: config.read_connections_max.saturating_sub(1).max(1) as usize,
    }
}
