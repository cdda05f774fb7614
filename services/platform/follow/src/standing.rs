//! How far a follower is, for those who wait for it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::place::Position;
use crate::progress::{Progress, Unready};

/// The follower's progress as others watch it.
#[derive(Debug)]
pub struct Standing {
    progress: watch::Sender<Progress>,
    /// When the state last held everything that the source had; before that, when the standing was made.
    level_at: Mutex<Instant>,
}

/// How far a state is behind its source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lag {
    /// Changes that the source is known to have and that are not applied.
    pub changes: u64,
    /// Time since the state was last known to hold everything. It grows while nothing is heard of the source.
    pub time: Duration,
}

/// A state does not hold what it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotThere {
    /// It is not ready.
    NotReady(Unready),
    /// It is ready, and was not far enough in time.
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
    /// Shows a progress to those who watch.
    pub fn show(&self, progress: Progress) {
        if progress.level {
            *self.level_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        self.progress.send_replace(progress);
    }

    /// The progress now.
    #[must_use]
    pub fn now(&self) -> Progress {
        *self.progress.borrow()
    }

    /// The progress now and whenever it changes.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// How far the state is behind its source.
    #[must_use]
    pub fn lag(&self) -> Lag {
        let Progress { applied, head, .. } = self.now();
        let level_at = *self.level_at.lock().unwrap_or_else(PoisonError::into_inner);
        Lag { changes: head.0.saturating_sub(applied.0), time: level_at.elapsed() }
    }

    /// Waits until the state holds every change up to `wanted`, or is not ready, or `deadline`.
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
