//! Opens the store and finds out which bank leads on it, however long the store is out of reach.
//!
//! A bank that starts before its database keeps running: it answers probes, refuses calls as a standby, and
//! tries again with a pause that grows to [`PAUSE_MAX`]. A fault that only a person can repair ends it
//! ([`StoreError::is_away`]).

use std::error::Error;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use vigie_audit::salt::Salts;
use vigie_log::{Announce, Clock, LeadError, Leader, Leadership, Limits, Shutdown};

use crate::RunError;
use crate::config::Config;
use crate::log::{BankLog, CurrentTerm};
use crate::store::{Source, Store, StoreError};
use crate::upkeep::erase::Eraser;

/// The pause after the first failure; each further pause is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(250);
/// The longest pause. A database that is back is used within about this time.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The reason why the bank waits, for probes; `None` while it does not wait.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<Mutex<Option<String>>>);

impl Waiting {
    /// Returns the reason.
    pub(crate) fn reason(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, reason: Option<String>) -> bool {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *now != reason;
        *now = reason;
        is_new
    }

    /// Records a failure. Logs it once, and again only when the reason changes.
    fn note(&self, error: &StoreError) {
        if self.set(Some(Causes(error).to_string())) {
            tracing::warn!(error = error as &dyn Error, "waiting for the store");
        }
    }
}

/// Formats an error and its causes in one line. A cause that its error already repeats is left out.
pub(crate) struct Causes<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        for cause in std::iter::successors(self.0.source(), |&cause| cause.source()) {
            let cause = cause.to_string();
            if !said.ends_with(&cause) {
                said = format!("{said}: {cause}");
            }
        }
        f.write_str(&said)
    }
}

/// The inputs for starting a bank on a store.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) config: Config,
    pub(crate) limits: Limits,
    pub(crate) source: Source,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) current: CurrentTerm,
    pub(crate) announce: Arc<dyn Announce>,
    /// Ends the streams of every term.
    pub(crate) shutdown: Shutdown,
    pub(crate) waiting: Waiting,
    pub(crate) salts: Arc<Salts>,
    /// Number of failed attempts to clear free space.
    pub(crate) erase_failures: Arc<AtomicU64>,
}

/// A store with a bank that leads or stands by on it.
pub(crate) struct Begun {
    store: Arc<dyn Store>,
    leader: Leader<BankLog>,
}

impl Opening {
    /// Opens the store and begins. Returns `None`, and records the reason, if the store is out of reach.
    pub(crate) async fn begin(&self) -> Result<Option<Begun>, RunError> {
        match self.try_begin().await {
            Ok(begun) => {
                if self.waiting.set(None) {
                    tracing::info!("the store can be used again");
                }
                Ok(Some(begun))
            }
            Err(LeadError::Store(error)) if error.is_away() => {
                self.waiting.note(&error);
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn try_begin(&self) -> Result<Begun, LeadError<StoreError>> {
        let store = self.source.open(&self.config).await.map_err(LeadError::Store)?;
        let leadership = Leadership {
            application: Arc::new(BankLog::new(
                Arc::clone(&store),
                self.config.banks_max,
                Arc::clone(&self.clock),
                Arc::clone(&self.salts),
                Eraser::new(self.config.purge_rewrites, Arc::clone(&self.erase_failures)),
            )),
            store: Arc::clone(&store) as _,
            clock: Arc::clone(&self.clock),
            limits: self.limits,
            current: self.current.clone(),
            announce: Arc::clone(&self.announce),
            shutdown: self.shutdown.clone(),
        };
        match leadership.begin().await {
            Ok(leader) => Ok(Begun { store, leader }),
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
    }

    /// Leads or is a standby until `stop`, then closes the store in every case. Without a `begun` store it
    /// waits for the store first.
    pub(crate) async fn run(self, begun: Option<Begun>, stop: Shutdown) -> Result<(), RunError> {
        let begun = match begun {
            Some(begun) => Some(begun),
            None => tokio::select! {
                () = stop.cancelled() => None,
                begun = self.wait() => Some(begun?),
            },
        };
        let Some(Begun { store, leader }) = begun else { return Ok(()) };
        let led = leader.run(stop).await;
        store.close().await;
        Ok(led?)
    }

    async fn wait(&self) -> Result<Begun, RunError> {
        let mut pause = PAUSE_MIN;
        loop {
            tokio::time::sleep(pause).await;
            pause = PAUSE_MAX.min(2 * pause);
            if let Some(begun) = self.begin().await? {
                return Ok(begun);
            }
        }
    }
}
