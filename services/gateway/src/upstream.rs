//! The services behind the gateway, as one caller uses them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{BankClient, Bearer, EndpointError, MatchClient, Network, Patience};
use vigie_model::Sequence;

use crate::config::Config;

/// How long a bank that cannot be reached is tried. A client that waits longer has given up.
const CONNECTING: Duration = Duration::from_secs(2);
/// How long lookups ask for the newest write that went through this gateway. A matcher that lags longer is not ready, and is not asked.
const WRITES_REMEMBERED: Duration = Duration::from_secs(60);

/// The clients that all callers share.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    frontends: MatchClient,
    banks: BankClient,
    newest: Arc<Newest>,
    within: Duration,
}

/// The services for one caller: calls carry its credential.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The frontends.
    pub(crate) frontends: MatchClient,
    /// The banks.
    pub(crate) banks: BankClient,
    /// The newest write.
    pub(crate) newest: Arc<Newest>,
    within: Duration,
}

impl Upstream {
    pub(crate) fn new(config: &Config, network: &Network) -> Result<Self, EndpointError> {
        let banks = BankClient::among(&config.directory.bank, network)?;
        Ok(Self {
            frontends: MatchClient::new_on(&config.frontend, network)?,
            banks: banks.with_patience(Patience::Connecting(CONNECTING)),
            newest: Arc::default(),
            within: config.deadline(),
        })
    }

    /// The same for a caller.
    pub(crate) fn of(&self, bearer: Option<Bearer>) -> Caller {
        Caller {
            frontends: self.frontends.bearing(bearer.clone()),
            banks: self.banks.bearing(bearer),
            newest: Arc::clone(&self.newest),
            within: self.within,
        }
    }
}

impl Caller {
    /// When the answer has to be there.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.within
    }
}

/// The newest write that went through this gateway. Lookups ask for it, so that what was added is found by the next of them.
#[derive(Debug, Default)]
pub(crate) struct Newest(Mutex<Option<(Sequence, Instant)>>);

impl Newest {
    /// Remembers a write.
    pub(crate) fn wrote(&self, sequence: Sequence) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_newer = newest.is_none_or(|(known, at)| sequence > known || now - at > WRITES_REMEMBERED);
        if is_newer {
            *newest = Some((sequence, now));
        }
    }

    /// The sequence that a lookup asks for.
    pub(crate) fn sequence(&self) -> Sequence {
        let newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        newest.filter(|(_, at)| at.elapsed() <= WRITES_REMEMBERED).map_or(Sequence(0), |(known, _)| known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_newest_write_is_asked_for_as_long_as_it_is_remembered() {
        let newest = Newest::default();
        assert_eq!(newest.sequence(), Sequence(0));
        newest.wrote(Sequence(9));
        newest.wrote(Sequence(7));
        assert_eq!(newest.sequence(), Sequence(9));
        tokio::time::advance(WRITES_REMEMBERED + Duration::from_secs(1)).await;
        assert_eq!(newest.sequence(), Sequence(0));
        // The log may be another one by now.
        newest.wrote(Sequence(3));
        assert_eq!(newest.sequence(), Sequence(3));
    }
}
