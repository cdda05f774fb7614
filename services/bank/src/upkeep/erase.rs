//! Clears purged data from the free space of the store's files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use vigie_log::UnixMillis;

use crate::store::{Store, StoreError};

/// The pause after a failed attempt, in milliseconds: each attempt blocks other work.
const RETRY_MS: u64 = 600_000;

/// Clears free space when it is due.
#[derive(Debug)]
pub(crate) struct Eraser {
    /// Whether tables may be rewritten ([`crate::Config::purge_rewrites`]).
    rewrites: bool,
    /// The earliest time of the next attempt after a failure, in milliseconds.
    not_before_ms: AtomicU64,
    /// Number of failed attempts, by this eraser and those before it.
    failures: Arc<AtomicU64>,
}

impl Eraser {
    /// Makes an eraser that counts its failures in `failures`.
    pub(crate) const fn new(rewrites: bool, failures: Arc<AtomicU64>) -> Self {
        Self { rewrites, not_before_ms: AtomicU64::new(0), failures }
    }

    /// Clears free space if that is due at `now`. A failure is logged and counted, and the work is tried
    /// again after a pause.
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
                    "cannot yet clear purged data from free space"
                );
            }
        }
        Ok(())
    }
}
