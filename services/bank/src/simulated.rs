//! The parts of a bank that a simulation replaces: its disk and its clock.

use std::fmt::{self, Debug};
use std::sync::Arc;

use vigie_log::{Clock, UnixMillis};

pub use crate::store::memory::{CommitFate, Disk, DrawFate};

/// A clock that a simulation sets, in milliseconds since 1970.
pub(crate) struct SimulatedClock(pub(crate) Arc<dyn Fn() -> u64 + Send + Sync>);

impl Debug for SimulatedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimulatedClock")
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> UnixMillis {
        UnixMillis((self.0)())
    }
}
