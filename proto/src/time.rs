//! Times on the wire.

use vigie_model::{AsOf, UnixMillis};

use crate::pb::model::v1 as pb;

/// Returns a time on the wire, in milliseconds since 1970; 0 if it is unknown.
pub(crate) fn unix_ms(time: Option<UnixMillis>) -> u64 {
    time.map_or(0, |time| time.0)
}

/// Reads a time on the wire; `None` for 0.
pub(crate) fn time(unix_ms: u64) -> Option<UnixMillis> {
    (unix_ms > 0).then_some(UnixMillis(unix_ms))
}

impl From<AsOf> for pb::AsOf {
    fn from(AsOf { committed, heard }: AsOf) -> Self {
        Self { committed_unix_ms: unix_ms(committed), heard_unix_ms: unix_ms(heard) }
    }
}

impl From<pb::AsOf> for AsOf {
    fn from(message: pb::AsOf) -> Self {
        Self { committed: time(message.committed_unix_ms), heard: time(message.heard_unix_ms) }
    }
}
