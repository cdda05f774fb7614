//! Takes away what is gone already: the items of deleted banks, idempotency keys past their time, and changes that the
//! log no longer keeps.
//!
//! A deleted bank's items vanish with its row, however many there are; their own rows go here, a bounded number in
//! each transaction, with room for writes in between. What is left to do is in the store, so a restart goes on with it.
//!
//! A change is kept while it is young, or among the newest, or needed by a follower.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use vigie_model::{Sequence, UnixMillis};
use vigie_serving::Shutdown;

use crate::clock::Clock;
use crate::feed::Feed;
use crate::store::{Store, StoreError};

/// How often keys past their time are looked for; also, when a sweep that failed is tried again.
const INTERVAL: Duration = Duration::from_secs(60);
/// The pause between two steps: about as long as a step takes, so that sweeping has at most half of the disk.
const PAUSE: Duration = Duration::from_millis(5);

/// What is kept at least.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// See [`crate::Config::idempotency_hours`].
    pub(crate) keys: Duration,
    /// See [`crate::Config::log_hours`].
    pub(crate) changes: Duration,
    /// See [`crate::Config::log_changes`].
    pub(crate) changes_min: u64,
}

/// Does it.
#[derive(Debug)]
pub(crate) struct Sweeper {
    /// What is swept.
    pub(crate) store: Arc<dyn Store>,
    /// Knows what followers need.
    pub(crate) feed: Arc<Feed>,
    /// Tells that a bank was deleted.
    pub(crate) wake: Arc<Notify>,
    /// Tells how old a key is.
    pub(crate) clock: Arc<dyn Clock>,
    /// What is kept.
    pub(crate) keep: Keep,
    /// The log is not cut before.
    pub(crate) cut_from: Instant,
    /// Rows of one step.
    pub(crate) rows_max: u32,
}

impl Sweeper {
    /// Sweeps until `stop`.
    pub(crate) async fn run(self, stop: Shutdown) {
        while !stop.is_cancelled() {
            match self.step().await {
                // Between two steps, never inside one, the bank may stop.
                Ok(true) => tokio::time::sleep(PAUSE).await,
                Ok(false) => self.rest(&stop).await,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot sweep deleted data yet");
                    self.rest(&stop).await;
                }
            }
        }
    }

    async fn rest(&self, stop: &Shutdown) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.wake.notified() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }

    /// One step of each kind; tells whether there may be more to do.
    pub(crate) async fn step(&self) -> Result<bool, StoreError> {
        let items = self.store.sweep_items(self.rows_max).await?;
        let keys = self.store.sweep_keys(self.before(self.keep.keys), self.rows_max).await?;
        let changes = self.cut().await?;
        Ok(items || keys || changes)
    }

    /// Forgets the oldest changes that need not be kept.
    async fn cut(&self) -> Result<bool, StoreError> {
        if Instant::now() < self.cut_from {
            return Ok(false);
        }
        let Some(old) = self.store.last_before(self.before(self.keep.changes)).await? else {
            return Ok(false);
        };
        let head = self.store.head().await?.sequence;
        let many = Sequence(head.0.saturating_sub(self.keep.changes_min));
        // Asked last: who begins to follow later finds the floor where it is put now.
        let needed = self.feed.all_have().unwrap_or(head);
        self.store.cut(old.min(many).min(needed), self.rows_max).await
    }

    fn before(&self, kept: Duration) -> UnixMillis {
        let kept_ms = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
        UnixMillis(self.clock.now().0.saturating_sub(kept_ms))
    }
}
