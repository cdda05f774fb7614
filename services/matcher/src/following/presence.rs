//! Describes a replica to those who choose which replica to call.
//!
//! A caller gets one description, or another one whenever the replica changes. A [`Watcher`] is notified of
//! readiness at once, of new changes at most every [`MOVED_EVERY`], and in any case every [`SIGN_OF_LIFE`],
//! so that silence means that the replica is stuck or gone.
//!
//! From shutdown on, a replica reports that it is not ready, and why, while it still answers calls: its
//! callers have to know before it stops listening. This is always a watcher's last description.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use vigie_follow::{Progress, State as _};
use vigie_model::ReplicaDescription;
use vigie_serving::Shutdown;

use crate::following::memory::{Memory, process_id};
use crate::following::replica::Replica;

/// A feed applies changes many times a second; watchers only need an approximate sequence.
const MOVED_EVERY: Duration = Duration::from_millis(100);
/// The interval of heartbeats. It is short enough that a silence of some seconds is a reliable sign of a
/// failure.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// The descriptions of one replica, for a bounded number of watchers.
#[derive(Debug)]
pub(crate) struct Presence {
    replica: Arc<Replica>,
    memory: Arc<Memory>,
    shutdown: Shutdown,
    places: Arc<Semaphore>,
}

impl Presence {
    /// Describes `replica` until `shutdown`, for at most `watchers_max` watchers at once.
    pub(crate) fn new(replica: Arc<Replica>, watchers_max: usize, shutdown: Shutdown) -> Self {
        let places = Arc::new(Semaphore::new(watchers_max.min(Semaphore::MAX_PERMITS)));
        Self { replica, memory: Arc::default(), shutdown, places }
    }

    /// Returns the present description.
    pub(crate) fn describe(&self) -> ReplicaDescription {
        describe(&self.replica, &self.memory, self.shutdown.is_cancelled())
    }

    /// Returns another watcher, or `None` if there are too many.
    pub(crate) fn watch(&self) -> Option<Watcher> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Watcher {
            progress: self.replica.standing().watch(),
            replica: Arc::clone(&self.replica),
            memory: Arc::clone(&self.memory),
            shutdown: self.shutdown.clone(),
            last: None,
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

/// A watcher of the replica: it returns a description whenever the replica has changed.
#[derive(Debug)]
pub(crate) struct Watcher {
    replica: Arc<Replica>,
    memory: Arc<Memory>,
    shutdown: Shutdown,
    progress: watch::Receiver<Progress>,
    last: Option<LastDescription>,
    _place: OwnedSemaphorePermit,
}

/// The last description: its time and content, as far as the next one depends on them.
#[derive(Debug, Clone, Copy)]
struct LastDescription {
    at: Instant,
    progress: Progress,
    draining: bool,
}

impl Watcher {
    /// Waits for the next description and returns it. Returns `None` after the last one.
    pub(crate) async fn next(&mut self) -> Option<ReplicaDescription> {
        match self.last {
            None => {}
            Some(last) if last.draining => return None,
            Some(last) => self.until_due(last).await,
        }
        // Read before the description is made: a change in between may be reported twice, but is never
        // missed.
        let progress = *self.progress.borrow_and_update();
        let draining = self.shutdown.is_cancelled();
        self.last = Some(LastDescription { at: Instant::now(), progress, draining });
        Some(describe(&self.replica, &self.memory, draining))
    }

    async fn until_due(&mut self, last: LastDescription) {
        let moved = async {
            // The sender lives as long as the replica, which this watcher holds.
            let moved = self.progress.wait_for(|now| *now != last.progress).await;
            let turned = moved.is_ok_and(|now| now.ready != last.progress.ready);
            if turned {
                return;
            }
            let turned = self.progress.wait_for(|now| now.ready != last.progress.ready);
            let _either = tokio::time::timeout_at(last.at + MOVED_EVERY, turned).await;
        };
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            () = moved => {}
            () = tokio::time::sleep_until(last.at + SIGN_OF_LIFE) => {}
        }
    }
}
