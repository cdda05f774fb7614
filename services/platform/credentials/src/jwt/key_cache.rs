//! The keys of one issuer, fetched when they are due.
//!
//! - Keys older than `keys_refresh_ms` are fetched again, while calls go on with the present ones.
//! - A token whose key is unknown waits for a fetch: the issuer may have a new key.
//! - There is one fetch at a time, and at most one in a minute, whatever keys tokens name; one in 5 s while
//!   there are no keys.
//! - At most 4,096 calls wait for one fetch. A further one fails as if the issuer could not be reached.
//! - A fetch that fails changes nothing, until the keys reach the age `keys_age_ms_max`.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use thiserror::Error;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::config::IssuerConfig;
use crate::jwt::algorithm::{Algorithm, PublicKey};
use crate::jwt::jwks::{JWKS_BYTES_MAX, JwkSet, JwksFault, KeyMissing};

/// The longest time that a fetch may take.
const FETCH_MAX: Duration = Duration::from_secs(5);
/// The shortest time from one fetch to the next.
const BETWEEN_FETCHES: Duration = Duration::from_secs(60);
/// The shortest time between fetches while there are no keys, so that one failure at the start does not cost
/// a minute.
const BETWEEN_FETCHES_WITHOUT_KEYS: Duration = Duration::from_secs(5);

/// The most calls that wait for one fetch.
const WAITERS_MAX: usize = 4_096;

/// The future of a fetch.
pub type Fetched = Pin<Box<dyn Future<Output = Result<Vec<u8>, FetchFailed>> + Send>>;

/// Gets sets of keys from issuers. Implemented over the HTTPS client of the program.
pub trait FetchKeys: fmt::Debug + Send + Sync + 'static {
    /// Gets the body of a successful answer at `url`, of at most `bytes_max` bytes: it reads no more than
    /// that and then fails. It checks the server's certificate and follows no redirects. The future is
    /// dropped after 5 s.
    fn fetch(&self, url: &str, bytes_max: usize) -> Fetched;
}

/// The error of a failed fetch.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct FetchFailed(pub String);

/// The keys of one issuer. Clones share the state.
#[derive(Debug, Clone)]
pub(super) struct KeyCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    issuer: String,
    url: String,
    refresh_after: Duration,
    age_max: Duration,
    fetch: Arc<dyn FetchKeys>,
    held: ArcSwapOption<Held>,
    fetches: Mutex<Fetches>,
    /// Notified whenever a fetch has ended.
    ended: watch::Sender<()>,
}

#[derive(Debug)]
struct Held {
    keys: JwkSet,
    at: Instant,
}

#[derive(Debug, Default)]
struct Fetches {
    begun: Option<Instant>,
    is_under_way: bool,
}

#[derive(Debug, Error)]
enum Failed {
    #[error(transparent)]
    Fetch(FetchFailed),
    #[error("there was no answer in {} s", FETCH_MAX.as_secs())]
    Late,
    #[error(transparent)]
    Jwks(JwksFault),
}

impl KeyCache {
    pub(super) fn new(config: &IssuerConfig, fetch: Arc<dyn FetchKeys>) -> Self {
        Self(Arc::new(Inner {
            issuer: config.issuer.clone(),
            url: config.jwks_url.clone(),
            refresh_after: config.refresh_after(),
            age_max: config.age_max(),
            fetch,
            held: ArcSwapOption::empty(),
            fetches: Mutex::default(),
            ended: watch::Sender::new(()),
        }))
    }

    /// Finds a key, and fetches the set first if that may help.
    pub(super) async fn find(
        &self,
        key_id: Option<&str>,
        algorithm: Algorithm,
    ) -> Result<Arc<PublicKey>, KeyMissing> {
        let held = self.0.held();
        let found = held.as_ref().map_or(Err(KeyMissing::NoKeys), |held| held.keys.find(key_id, algorithm));
        match found {
            // Each waiting call has a receiver.
            Err(KeyMissing::NoKeys | KeyMissing::Unknown) if self.0.ended.receiver_count() >= WAITERS_MAX => {
                return Err(KeyMissing::NoKeys);
            }
            Err(KeyMissing::NoKeys | KeyMissing::Unknown) => self.fetch().await,
            Ok(_) | Err(_) => {
                let is_due = |held: Arc<Held>| held.at.elapsed() >= self.0.refresh_after;
                if held.is_some_and(is_due) {
                    self.begin();
                }
                return found;
            }
        }
        self.0.held().map_or(Err(KeyMissing::NoKeys), |held| held.keys.find(key_id, algorithm))
    }

    /// Begins a fetch, if one may begin, and returns a future of the end of the fetch in progress.
    pub(super) fn fetch(&self) -> impl Future<Output = ()> + use<> {
        // Subscribed before the fetch begins, so that its end is not missed.
        let mut ended = self.0.ended.subscribe();
        let is_under_way = self.begin();
        async move {
            if is_under_way {
                // A fetch ends by itself within this time. The keys show whether it succeeded.
                let _ = timeout(FETCH_MAX, ended.changed()).await;
            }
        }
    }

    /// Returns the age of the keys, if there are usable ones.
    pub(super) fn age(&self) -> Option<Duration> {
        self.0.held().map(|held| held.at.elapsed())
    }

    /// Begins a fetch, unless one is in progress or the last was too recent. Returns whether one is in
    /// progress.
    fn begin(&self) -> bool {
        let between = if self.0.held().is_some() { BETWEEN_FETCHES } else { BETWEEN_FETCHES_WITHOUT_KEYS };
        let mut fetches = self.0.fetches();
        if fetches.is_under_way {
            return true;
        }
        if fetches.begun.is_some_and(|begun| begun.elapsed() < between) {
            return false;
        }
        *fetches = Fetches { begun: Some(Instant::now()), is_under_way: true };
        let under_way = UnderWay(self.0.clone());
        // A separate task: a caller that goes away does not end it.
        tokio::spawn(async move { under_way.0.refresh().await });
        true
    }
}

/// A fetch in progress, until this is dropped: also if it panics, or its runtime ends.
#[derive(Debug)]
struct UnderWay(Arc<Inner>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetches().is_under_way = false;
        self.0.ended.send_replace(());
    }
}

impl Inner {
    /// Returns the keys, if they are not too old to be used.
    fn held(&self) -> Option<Arc<Held>> {
        self.held.load_full().filter(|held| held.at.elapsed() < self.age_max)
    }

    fn fetches(&self) -> MutexGuard<'_, Fetches> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn refresh(&self) {
        let issuer = &self.issuer;
        // The age of keys counts from the request: changes that the issuer makes meanwhile may be missing.
        let at = Instant::now();
        match self.get().await {
            Ok(keys) => {
                for (key_id, why) in keys.unusable() {
                    tracing::debug!(issuer, key_id, %why, "a key of an issuer cannot be used");
                }
                let ids = |keys: &JwkSet| keys.key_ids().map(str::to_owned).collect::<Vec<_>>();
                let new = ids(&keys);
                let old = self.held.swap(Some(Arc::new(Held { keys, at })));
                if old.is_none_or(|old| ids(&old.keys) != new) {
                    tracing::info!(issuer, keys = ?new, "an issuer has new keys");
                }
            }
            Err(failed) => {
                let age_seconds = self.held().map(|held| held.at.elapsed().as_secs());
                tracing::warn!(issuer, %failed, age_seconds, "cannot fetch the keys of an issuer");
            }
        }
    }

    async fn get(&self) -> Result<JwkSet, Failed> {
        let body = timeout(FETCH_MAX, self.fetch.fetch(&self.url, JWKS_BYTES_MAX)).await;
        let body = body.map_err(|_| Failed::Late)?.map_err(Failed::Fetch)?;
        JwkSet::parse(&body).map_err(Failed::Jwks)
    }
}

#[cfg(test)]
mod tests;
