//! Reads the files again when they change.
//!
//! The files are read at intervals and compared by content. That detects every way of replacing them,
//! including the atomic swap of a link by which Kubernetes replaces secrets, and ignores identical copies.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::config::{Sides, TlsConfig};
use crate::files::{self, FileFault, Material};

/// The interval at which a lasting fault is logged again, so that any hour of the log contains it.
const LOG_EVERY: Duration = Duration::from_secs(60 * 60);

/// The state that all handles of one [`Tls`](crate::Tls) share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: TlsConfig,
    pub(crate) sides: Sides,
    pub(crate) current: ArcSwap<Material>,
    pub(crate) reloads: Mutex<Reloads>,
}

/// The numbers of reads of changed files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reloads {
    /// Reads whose content came into use.
    pub ok: u64,
    /// Reads that found a fault, after which the content before stays in use. Each check that finds the same
    /// fault counts.
    pub failed: u64,
}

/// Checks the files until the last handle of `shared` is dropped.
pub(crate) async fn keep_up(shared: Weak<Shared>, every: Duration) {
    let note = |taken: bool| {
        let Some(shared) = shared.upgrade() else { return };
        let mut reloads = shared.reloads.lock().unwrap_or_else(PoisonError::into_inner);
        if taken {
            reloads.ok += 1;
        } else {
            reloads.failed += 1;
        }
    };
    repeat(every, || shared.upgrade().map(|shared| move || look(&shared)), note).await;
}

/// Checks repeatedly, until `next` returns `None`, and notes whether new content was taken.
async fn repeat<Look>(every: Duration, next: impl Fn() -> Option<Look>, note: impl Fn(bool))
where
    Look: FnOnce() -> Result<bool, FileFault> + Send + 'static,
{
    let mut last = LastLogged::default();
    loop {
        tokio::time::sleep(every).await;
        let Some(look) = next() else { return };
        match tokio::task::spawn_blocking(look).await {
            Ok(Ok(false)) => last.0 = None,
            Ok(Ok(true)) => {
                last.0 = None;
                note(true);
                tracing::info!("certificates and authorities were read again: new connections use them");
            }
            Ok(Err(fault)) => {
                note(false);
                if last.is_new(Some(&fault)) {
                    tracing::warn!(%fault, "cannot use the new certificates: the previous ones stay in use");
                }
            }
            Err(error) if error.is_panic() => {
                note(false);
                // The panic's message may repeat what was read.
                if last.is_new(None) {
                    tracing::error!("reading the certificates panicked: the previous ones stay in use");
                }
            }
            // The runtime is ending.
            Err(_) => return,
        }
    }
}

/// The last fault that was logged, and the time. A fault that stays the same is not logged at every check.
#[derive(Default)]
struct LastLogged(Option<(Option<FileFault>, Instant)>);

impl LastLogged {
    /// Returns whether this fault, or a panic if `None`, has to be logged now.
    fn is_new(&mut self, fault: Option<&FileFault>) -> bool {
        let now = Instant::now();
        if self.0.as_ref().is_some_and(|(last, at)| last.as_ref() == fault && now < *at + LOG_EVERY) {
            return false;
        }
        self.0 = Some((fault.cloned(), now));
        true
    }
}

/// Reads the files, and returns whether their content was new. Blocks.
fn look(shared: &Arc<Shared>) -> Result<bool, FileFault> {
    let files = files::read(&shared.config)?;
    if files.fingerprint() == shared.current.load().fingerprint {
        return Ok(false);
    }
    shared.current.store(Arc::new(Material::new(&files, &shared.config, shared.sides)?));
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicU32, Ordering};

    use vigie_telemetry::CapturedLog;

    use super::*;

    /// Returns the log lines of this many checks, one a minute.
    async fn logged(
        looks: u32,
        look: impl Fn(u32) -> Result<bool, FileFault> + Copy + Send + 'static,
    ) -> Vec<String> {
        let log = CapturedLog::default();
        let lines = tracing_subscriber::fmt().with_ansi(false).without_time();
        let _here = tracing::subscriber::set_default(lines.with_writer(log.clone()).finish());
        let number = AtomicU32::new(0);
        let next = || {
            let number = number.fetch_add(1, Ordering::Relaxed);
            (number < looks).then_some(move || look(number))
        };
        repeat(Duration::from_secs(60), next, |_| {}).await;
        log.lines("")
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_logged_as_an_error_and_what_comes_after_it_is_read() {
        let lines = logged(10, |number| {
            assert!(number >= 5, "a picture of a panic");
            Ok(number == 5)
        });
        let lines = lines.await;
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("ERROR") && lines[0].contains("panicked"), "{lines:?}");
        assert!(lines[1].contains("INFO") && lines[1].contains("were read again"), "{lines:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_that_lasts_is_logged_every_hour_and_another_one_at_once() {
        let lines = logged(130, |number| {
            let fault = if number == 125 { "another" } else { "the first" };
            Err(FileFault::new("key", Path::new("tls.key"), fault))
        });
        let lines = lines.await;
        let faults: Vec<_> = lines.iter().map(|line| line.contains("the first")).collect();
        assert_eq!(faults, [true, true, true, false, true], "{lines:?}");
    }
}
