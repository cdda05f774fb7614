//! The end of a right.

use vigie_model::UnixMillis;

/// The time from which a right is refused, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expiry(Option<UnixMillis>);

impl Expiry {
    /// The right has no end.
    pub const NEVER: Self = Self(None);

    /// Returns an expiry from which on the right is refused.
    #[must_use]
    pub const fn at(moment: UnixMillis) -> Self {
        Self(Some(moment))
    }

    /// Converts the wire form, in Unix milliseconds; 0 means [`Self::NEVER`].
    #[must_use]
    pub const fn from_wire(unix_ms: u64) -> Self {
        if unix_ms == 0 { Self::NEVER } else { Self(Some(UnixMillis(unix_ms))) }
    }

    /// Returns the wire form, in Unix milliseconds; 0 for [`Self::NEVER`].
    #[must_use]
    pub fn to_wire(self) -> u64 {
        self.0.map_or(0, |moment| moment.0)
    }

    /// Returns the time of expiry, if there is one.
    #[must_use]
    pub const fn moment(self) -> Option<UnixMillis> {
        self.0
    }

    /// Whether the right is refused at `now`.
    #[must_use]
    pub fn is_over(self, now: UnixMillis) -> bool {
        self.0.is_some_and(|moment| now >= moment)
    }
}
