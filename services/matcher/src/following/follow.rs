//! Keeps a replica up to date with the bank's log.
//!
//! [`vigie_follow`] resumes, proves and rebuilds; this module adds what is special to a matcher. A replica
//! starts from the snapshot in its folder, if there is one. If it would have to be loaded, it starts from the
//! newest snapshot in the object store instead; this is tried once in the lifetime of the process. Snapshots
//! are saved and published regularly, and saved at the end. Health is `SERVING` while the replica is ready.
//! When a replica's shard is dropped, its snapshot is deleted too.

use std::sync::Arc;
use std::time::Duration;

use vigie_clients::FeedClient;
use vigie_follow::{Companion, Event, Limits, Reason};
use vigie_model::Sequence;
use vigie_net::retry;
use vigie_serving::{Health, Shutdown};

use crate::following::feed::BankFeed;
use crate::following::keeping::{Keeping, Schedule, Sharing};
use crate::following::replica::Replica;

/// The limits of the feed: the time to open it, and its longest silence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) open: Duration,
    pub(crate) silence: Duration,
}

/// Follows the log until `shutdown`, and then saves a last snapshot. Whether a snapshot is due is checked at
/// every message of the bank, heartbeats included. While the bank is unreachable, nothing changes.
pub(crate) async fn follow(
    replica: Arc<Replica>,
    client: FeedClient,
    patience: Patience,
    schedule: Schedule,
    sharing: Sharing,
    health: Health,
    shutdown: Shutdown,
) {
    let restoring = Arc::clone(&replica);
    // The panic hook has logged a panic in there; the shard is then loaded instead.
    let restored = tokio::task::spawn_blocking(move || restoring.restore()).await.unwrap_or_default();
    let keeping = Keeping::begin(schedule, sharing, restored);
    let source = BankFeed { client, identity: replica.identity };
    let limits = Limits::new(patience.open, patience.silence, retry::draw);
    let mut attendant = Attendant { replica: Arc::clone(&replica), keeping, health };
    vigie_follow::follow(Arc::clone(&replica), source, &mut attendant, limits, shutdown.cancelled()).await;
    attendant.keeping.end(&replica).await;
}

/// The work beside following: logs, health, metrics and snapshots.
struct Attendant {
    replica: Arc<Replica>,
    keeping: Keeping,
    health: Health,
}

impl Companion for Attendant {
    async fn before_loading(&mut self) {
        self.keeping.bootstrap(&self.replica).await;
    }

    async fn hear(&mut self, event: Event) {
        let shard = self.replica.identity;
        match &event {
            Event::Ready(_) => self.replica.note(None),
            Event::Lost(error) | Event::NotLoaded(error) => self.replica.note(Some(error.clone())),
            // The bank stores its digest separately from its items. If a state that was just loaded has
            // another digest, an item is damaged in the bank.
            Event::Dropping(Reason::Digest, error) => self.replica.note(Some(format!(
                "{error}; if this comes again after a rebuild, an item is damaged in the bank: run `vigie bank verify`"
            ))),
            Event::Dropping(Reason::Log | Reason::Change | Reason::Damage, error) => {
                self.replica.note(Some(error.clone()));
            }
            Event::Loading(_) | Event::Stalled(_) | Event::Fault(_) | Event::Applied(_) => {}
        }
        match event {
            Event::Loading(sequence) => tracing::info!(%shard, %sequence, "loading the bank's state"),
            Event::Ready(sequence) => {
                tracing::info!(%shard, %sequence, "ready");
                self.health.set(true).await;
            }
            Event::Stalled(fault) => {
                tracing::error!(%shard, fault, "not ready: changes cannot be applied");
                self.health.set(false).await;
            }
            Event::Fault(Some(fault)) => tracing::error!(%shard, fault, "cannot write the shard's files"),
            Event::Fault(None) => tracing::info!(%shard, "the shard's files are written again"),
            Event::Applied(sequence) => self.keeping.tend(&self.replica, Sequence(sequence.0)).await,
            Event::Lost(error) => tracing::warn!(%shard, error, "lost the bank's feed"),
            Event::NotLoaded(reason) => tracing::error!(%shard, reason, "cannot load the bank's state"),
            Event::Dropping(reason, error) => {
                match reason {
                    Reason::Log => {
                        tracing::error!(%shard, error, "rebuilding: the bank does not go on from here");
                    }
                    // The damage was logged where it was found.
                    Reason::Damage => tracing::info!(%shard, "rebuilding from the bank"),
                    Reason::Change | Reason::Digest => {
                        tracing::error!(%shard, reason = error, "rebuilding: the feed contradicts what is held");
                    }
                }
                self.health.set(false).await;
                self.replica.metrics.count_rebuild(reason);
                self.keeping.begin_anew();
            }
        }
    }
}
