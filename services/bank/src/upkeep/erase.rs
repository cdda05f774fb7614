//! Has free space of the store cleared of what was purged.

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
}

impl Eraser {
    /// Nothing has failed yet.
    pub(crate) const fn new(rewrites: bool) -> Self {
        Self { rewrites, not_before_ms: AtomicU64::new(0) }
    }

    /// Does what is due by now. That it fails is logged, and tried again after a pause.
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
