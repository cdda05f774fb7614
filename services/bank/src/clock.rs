//! Wall time, which the bank stamps on what it is told.

use std::fmt::Debug;
use std::time::{SystemTime, UNIX_EPOCH};

use vigie_model::UnixMillis;

/// Tells wall time.
pub(crate) trait Clock: Debug + Send + Sync + 'static {
    /// Now.
    fn now(&self) -> UnixMillis;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        // A clock before 1970 is set wrong; 0 says so as well as anything.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A clock that a simulation sets.
pub(crate) struct SimulatedClock(pub(crate) std::sync::Arc<dyn Fn() -> u64 + Send + Sync>);

impl Debug for SimulatedClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimulatedClock")
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> UnixMillis {
        UnixMillis((self.0)())
    }
}
