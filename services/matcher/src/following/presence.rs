//! What a replica says of itself, to those who choose whom to ask.
//!
//! Once, or again whenever it has changed: a [`Watcher`] hears of readiness at once, of new changes at most every
//! [`MOVED_EVERY`], and something at least every [`SIGN_OF_LIFE`], so that silence means that the replica is stuck or gone.
//!
//! From shutdown on a replica says that it is not ready, and why, while it still answers what comes: those who choose have
//! to hear of it before it stops listening. A watcher's last word is always that.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use vigie_follow::{Progress, State as _};
use vigie_model::ReplicaDescription;
use vigie_serving::Shutdown;

use crate::following::memory::{Memory, process_id};
use crate::following::replica::Replica;

/// A feed moves many times a second; those who watch only need to know about how far it is.
const MOVED_EVERY: Duration = Duration::from_millis(100);
/// So that a silence of some seconds is a certain sign.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Presence {
    replica: Arc<Replica>,
    memory: Arc<Memory>,
    shutdown: Shutdown,
    places: Arc<Semaphore>,
}

impl Presence {
    /// That of `replica` until `shutdown`, for at most so many watchers at once.
    pub(crate) fn new(replica: Arc<Replica>, watchers_max: usize, shutdown: Shutdown) -> Self {
        let places = Arc::new(Semaphore::new(watchers_max.min(Semaphore::MAX_PERMITS)));
        Self { replica, memory: Arc::default(), shutdown, places }
    }

    /// What it says now.
    pub(crate) fn describe(&self) -> ReplicaDescription {
        describe(&self.replica, &self.memory, self.shutdown.is_cancelled())
    }

    /// One more who is told; `None` where there are too many.
    pub(crate) fn watch(&self) -> Option<Watcher> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Watcher {
            progress: self.replica.standing().watch(),
            replica: Arc::clone(&self.replica),
            memory: Arc::clone(&self.memory),
            shutdown: self.shutdown.clone(),
            told: None,
            _place: place,
        })
    }
}

fn describe(replica: &Replica, memory: &Memory, is_draining: bool) -> ReplicaDescription {
    let mut description = replica.describe();
    description.memory_bytes = memory.resident_bytes();
    description.process_id = process_id();
    if is_draining {
        description.unready_reason = Some("draining".to_owned());
    }
    description
}

/// One who is told whenever the replica has changed.
#[derive(Debug)]
pub(crate) struct Watcher {
    replica: Arc<Replica>,
    memory: Arc<Memory>,
    shutdown: Shutdown,
    progress: watch::Receiver<Progress>,
    told: Option<Told>,
    _place: OwnedSemaphorePermit,
}

/// What was told last.
#[derive(Debug, Clone, Copy)]
struct Told {
    at: Instant,
    progress: Progress,
    draining: bool,
}

impl Watcher {
    /// The next thing to tell, once there is one; `None` after the last word.
    pub(crate) async fn next(&mut self) -> Option<ReplicaDescription> {
        match self.told {
            None => {}
            Some(told) if told.draining => return None,
            Some(told) => self.until_due(told).await,
        }
        // First of all: what changes meanwhile is told once too often, and never missed.
        let progress = *self.progress.borrow_and_update();
        let draining = self.shutdown.is_cancelled();
        self.told = Some(Told { at: Instant::now(), progress, draining });
        Some(describe(&self.replica, &self.memory, draining))
    }

    async fn until_due(&mut self, told: Told) {
        let moved = async {
            // The sender lives as long as the replica, which is held here.
            let moved = self.progress.wait_for(|now| *now != told.progress).await;
            let turned = moved.is_ok_and(|now| now.ready != told.progress.ready);
            if turned {
                return;
            }
            let turned = self.progress.wait_for(|now| now.ready != told.progress.ready);
            let _either = tokio::time::timeout_at(told.at + MOVED_EVERY, turned).await;
        };
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = moved => {}
            () = tokio::time::sleep_until(told.at + SIGN_OF_LIFE) => {}
        }
    }
}
