//! The time by which rights expire.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use vigie_model::UnixMillis;

/// A clock that returns milliseconds since 1970: the machine's, or one that a simulation sets.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> UnixMillis + Send + Sync>);

impl WallClock {
    /// Returns the machine's clock. A time before 1970 counts as 1970.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            UnixMillis(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
        })
    }

    /// Returns a clock that calls `now`.
    #[must_use]
    pub fn new(now: impl Fn() -> UnixMillis + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Returns the present time.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        (self.0)()
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallClock")
    }
}
