//! The progress of a follower, for those who wait for it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::place::Position;
use crate::progress::{Progress, Unready};

/// The follower's progress, which others can watch.
#[derive(Debug)]
pub struct Standing {
    progress: watch::Sender<Progress>,
    /// The last time at which the state held everything that the source had; until then, the time of
    /// creation.
    level_at: Mutex<Instant>,
}

/// The lag of a state behind its source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lag {
    /// The number of changes that the source is known to have and that are not applied.
    pub changes: u64,
    /// The time since the state was last known to hold everything. It grows while nothing is received from
    /// the source.
    pub time: Duration,
}

/// The reasons for which a state does not hold the requested position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotThere {
    /// The state is not ready.
    NotReady(Unready),
    /// The state is ready, but did not reach the position in time.
    Behind {
        /// The last change that it holds.
        reached: Position,
    },
}

impl Default for Standing {
    fn default() -> Self {
        Self { progress: watch::Sender::default(), level_at: Mutex::new(Instant::now()) }
    }
}

impl Standing {
    /// Sets the progress that others see.
    pub fn show(&self, progress: Progress) {
        if progress.level {
            *self.level_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        self.progress.send_replace(progress);
    }

    /// Returns the present progress.
    #[must_use]
    pub fn now(&self) -> Progress {
        *self.progress.borrow()
    }

    /// Returns a receiver of the present progress and of every change of it.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Returns the lag behind the source.
    #[must_use]
    pub fn lag(&self) -> Lag {
        let Progress { applied, head, .. } = self.now();
        let level_at = *self.level_at.lock().unwrap_or_else(PoisonError::into_inner);
        Lag { changes: head.0.saturating_sub(applied.0), time: level_at.elapsed() }
    }

    /// Waits until the state holds every change up to `wanted`, but no longer than until it is not ready or
    /// `deadline` has passed.
    pub async fn at_least(&self, wanted: Position, deadline: Instant) -> Result<Progress, NotThere> {
        let mut progress = self.progress.subscribe();
        let reached = progress.wait_for(|now| !now.ready || now.applied >= wanted);
        let now = match tokio::time::timeout_at(deadline, reached).await {
            Ok(Ok(now)) => *now,
            Ok(Err(_)) | Err(_) => self.now(),
        };
        match now.unready() {
            Some(unready) => Err(NotThere::NotReady(unready)),
            None if now.applied < wanted => Err(NotThere::Behind { reached: now.applied }),
            None => Ok(now),
        }
    }
}
