//! Takes away what is gone already: the items of deleted banks, and idempotency keys past their time.
//!
//! A deleted bank's items vanish with its row, however many there are; their own rows go here, a bounded number in
//! each transaction, with room for writes in between. What is left to do is in the store, so a restart goes on with it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use vigie_model::UnixMillis;
use vigie_serving::Shutdown;

use crate::clock::Clock;
use crate::store::{Store, StoreError};

/// How often keys past their time are looked for; also, when a sweep that failed is tried again.
const INTERVAL: Duration = Duration::from_secs(60);
/// The pause between two steps: about as long as a step takes, so that sweeping has at most half of the disk.
const PAUSE: Duration = Duration::from_millis(5);

/// Does it.
#[derive(Debug)]
pub(crate) struct Sweeper {
    /// What is swept.
    pub(crate) store: Arc<dyn Store>,
    /// Tells that a bank was deleted.
    pub(crate) wake: Arc<Notify>,
    /// Tells how old a key is.
    pub(crate) clock: Arc<dyn Clock>,
    /// How long a key is kept at least.
    pub(crate) keys_kept: Duration,
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
        let kept_ms = u64::try_from(self.keys_kept.as_millis()).unwrap_or(u64::MAX);
        let before = UnixMillis(self.clock.now().0.saturating_sub(kept_ms));
        let keys = self.store.sweep_keys(before, self.rows_max).await?;
        Ok(items || keys)
    }
}
