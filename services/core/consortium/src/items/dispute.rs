//! Disputes: members ask the owner of a bank to look at an item again.

use vigie_model::{MemberId, UnixMillis};

/// A dispute that waits for the owner's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dispute {
    /// When it was opened.
    pub opened_at: UnixMillis,
    /// When it should have been resolved.
    pub due_at: UnixMillis,
    /// The member whose opinion opened it.
    pub opened_by: MemberId,
}

/// The outcome of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resolution {
    /// The item stays as it is.
    Kept,
    /// The item is gone.
    Removed,
    /// The item stays, with another classification.
    Reclassified,
}

impl Resolution {
    /// All outcomes.
    pub const ALL: [Self; 3] = [Self::Kept, Self::Removed, Self::Reclassified];

    /// The word for commands and scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Removed => "removed",
            Self::Reclassified => "reclassified",
        }
    }
}

/// A hold of an item for one member, at which it matches too often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberHold {
    /// The member.
    pub member: MemberId,
    /// Since when.
    pub since: UnixMillis,
    /// By flood control, and not by the member itself. The member lifts either.
    pub flooded: bool,
}

/// A hold by flood control that its member has lifted. Matches from before are no reason for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloodLift {
    /// The member.
    pub member: MemberId,
    /// When.
    pub at: UnixMillis,
}

impl FloodLift {
    /// The longest window in which matches are counted, in milliseconds: a day. A lift that is older is
    /// forgotten.
    pub const WINDOW_MS_MAX: u64 = 86_400_000;

    /// Whether all matches of a window that ends at `now` came after it.
    #[must_use]
    pub const fn is_before(&self, window_ms: u64, now: UnixMillis) -> bool {
        self.at.0.saturating_add(window_ms) <= now.0
    }
}
