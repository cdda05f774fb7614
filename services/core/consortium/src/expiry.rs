//! The end of a right.

use vigie_model::UnixMillis;

/// From when on a right is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expiry(Option<UnixMillis>);

impl Expiry {
    /// The right has no end.
    pub const NEVER: Self = Self(None);

    /// The right is refused from this moment on.
    #[must_use]
    pub const fn at(moment: UnixMillis) -> Self {
        Self(Some(moment))
    }

    /// The moment as the wire has it; 0 stands for [`Self::NEVER`].
    #[must_use]
    pub const fn from_wire(unix_ms: u64) -> Self {
        if unix_ms == 0 { Self::NEVER } else { Self(Some(UnixMillis(unix_ms))) }
    }

    /// The moment for the wire; 0 for [`Self::NEVER`].
    #[must_use]
    pub fn to_wire(self) -> u64 {
        self.0.map_or(0, |moment| moment.0)
    }

    /// The moment, if there is one.
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
