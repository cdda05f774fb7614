//! Has free space of the store cleared of what was purged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use vigie_log::UnixMillis;

use crate::store::{Store, StoreError};

/// The pause after free space could not be cleared: each attempt makes others wait.
const RETRY_MS: u64 = 600_000;

/// Clears free space when that is due.
#[derive(Debug)]
pub(crate) struct Eraser {
    /// See [`crate::Config::purge_rewrites`].
    rewrites: bool,
    /// After a failure: not to be tried before.
    not_before_ms: AtomicU64,
    /// Attempts that failed, of this eraser and those before it.
    failures: Arc<AtomicU64>,
}

impl Eraser {
    /// An eraser that may rewrite tables or not, and counts its failures in `failures`.
    pub(crate) const fn new(rewrites: bool, failures: Arc<AtomicU64>) -> Self {
        Self { rewrites, not_before_ms: AtomicU64::new(0), failures }
    }

    /// Does what is due by now. A failure is logged and counted, and the work is tried again after a pause.
    pub(crate) async fn tend(&self, store: &dyn Store, now: UnixMillis) -> Result<(), StoreError> {
        if now.0 < self.not_before_ms.load(Ordering::Relaxed) || !store.erase_is_due(now).await? {
            return Ok(());
        }
        let begun = tokio::time::Instant::now();
        match store.erase(self.rewrites).await {
            Ok(()) => {
                let took_ms = begun.elapsed().as_millis();
                tracing::info!(rewrites = self.rewrites, took_ms, "cleared free space of what was purged");
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                self.not_before_ms.store(now.0.saturating_add(RETRY_MS), Ordering::Relaxed);
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "cannot clear free space of what was purged yet"
                );
            }
        }
        Ok(())
    }
}
