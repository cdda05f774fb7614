//! Removes data that need not be kept: expired idempotency keys, old changes, and what the application has to
//! sweep or purge.
//!
//! Each step is one bounded transaction, with a pause for writes in between. The remaining work is in the
//! store, so a restart continues it. A change is kept while it is recent, or among the newest, or needed by a
//! follower.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::Shutdown;
use crate::application::{Application, PurgeStep};
use crate::clock::Clock;
use crate::feed::Feed;
use crate::position::{Sequence, UnixMillis};
use crate::store::LogStore;

/// The interval at which expired keys are looked for, and after which a failed sweep is tried again.
const INTERVAL: Duration = Duration::from_secs(60);
/// The pause between two steps: about as long as a step takes, so that sweeping uses at most half of the
/// disk's time.
const PAUSE: Duration = Duration::from_millis(5);

/// The least retention.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// The time for which a key is kept.
    pub keys: Duration,
    /// The time for which a change is kept.
    pub changes: Duration,
    /// The number of newest changes that are kept, however old they are.
    pub changes_min: u64,
}

/// The task that removes old data.
pub struct Sweeper<A: Application> {
    /// The application's own sweep.
    pub application: Arc<A>,
    /// The store to sweep.
    pub store: Arc<dyn LogStore<A::Rows, Error = A::StoreError>>,
    /// The feed, which knows the changes that followers need.
    pub feed: Arc<Feed<A>>,
    /// Notified when there is something to sweep.
    pub wake: Arc<Notify>,
    /// The clock by which the age of keys and changes is computed.
    pub clock: Arc<dyn Clock>,
    /// The retention.
    pub keep: Keep,
    /// The instant before which no changes are removed.
    pub cut_from: Instant,
    /// The most rows in one step.
    pub rows_max: u32,
}

impl<A: Application> fmt::Debug for Sweeper<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweeper").field("keep", &self.keep).finish_non_exhaustive()
    }
}

impl<A: Application> Sweeper<A> {
    /// Sweeps until `stop`.
    pub async fn run(self, stop: Shutdown) {
        while !stop.is_cancelled() {
            match self.step().await {
                // The sweeper stops only between two steps, never inside one.
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

    /// Does one step of each kind; returns whether there may be more to do.
    pub async fn step(&self) -> Result<bool, A::StoreError> {
        let rows = self.application.sweep(self.rows_max).await?;
        let keys = self.store.sweep_keys(self.before(self.keep.keys), self.rows_max).await?;
        let purged = self.purge().await?;
        let changes = self.cut().await?;
        Ok(rows || keys || purged || changes)
    }

    /// Purges changes, including those in memory.
    async fn purge(&self) -> Result<bool, A::StoreError> {
        let PurgeStep { through, more } = self.application.purge(self.clock.now(), self.rows_max).await?;
        if let Some(through) = through {
            self.feed.forget(through);
        }
        Ok(more)
    }

    /// Removes the oldest changes that need not be kept.
    async fn cut(&self) -> Result<bool, A::StoreError> {
        if Instant::now() < self.cut_from {
            return Ok(false);
        }
        let Some(old) = self.store.last_before(self.before(self.keep.changes)).await? else {
            return Ok(false);
        };
        let head = self.store.head().await?.sequence;
        let many = Sequence(head.0.saturating_sub(self.keep.changes_min));
        // Read last: a follower that begins later finds the new floor.
        let needed = self.feed.all_have().unwrap_or(head);
        self.store.cut(old.min(many).min(needed), self.rows_max).await
    }

    fn before(&self, kept: Duration) -> UnixMillis {
        let kept_ms = u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
        UnixMillis(self.clock.now().0.saturating_sub(kept_ms))
    }
}
