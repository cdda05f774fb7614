//! Times on the wire.

use vigie_model::{AsOf, UnixMillis};

use crate::pb::model::v1 as pb;

/// A time on the wire; 0 where it is not known.
pub(crate) fn unix_ms(time: Option<UnixMillis>) -> u64 {
    time.map_or(0, |time| time.0)
}

/// The time of a wire's number.
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
