//! Disputes: requests of members that the owner of a bank reviews an item again.

use vigie_model::{MemberId, UnixMillis};

/// A dispute that waits for the owner's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dispute {
    /// The time at which it was opened.
    pub opened_at: UnixMillis,
    /// The time by which it should be resolved.
    pub due_at: UnixMillis,
    /// The member whose opinion opened it.
    pub opened_by: MemberId,
}

/// The outcome of a dispute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resolution {
    /// The item stays as it is.
    Kept,
    /// The item is removed.
    Removed,
    /// The item stays, with a new classification.
    Reclassified,
}

impl Resolution {
    /// All outcomes.
    pub const ALL: [Self; 3] = [Self::Kept, Self::Removed, Self::Reclassified];

    /// Returns the word for commands and scripts.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Removed => "removed",
            Self::Reclassified => "reclassified",
        }
    }
}

/// A hold of an item for one member: the item matches no query of that member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberHold {
    /// The member.
    pub member: MemberId,
    /// The start of the hold.
    pub since: UnixMillis,
    /// Whether flood control placed the hold, not the member itself. The member can lift both kinds.
    pub flooded: bool,
}

/// A record that a member has lifted a hold by flood control. Matches from before that time cannot cause
/// another hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FloodLift {
    /// The member.
    pub member: MemberId,
    /// The time at which the hold was lifted.
    pub at: UnixMillis,
}

impl FloodLift {
    /// The longest window in which matches are counted, in milliseconds: a day. Older lifts are dropped.
    pub const WINDOW_MS_MAX: u64 = 86_400_000;

    /// Whether the window of `window_ms` milliseconds that ends at `now` starts no earlier than the lift.
    #[must_use]
    pub const fn is_before(&self, window_ms: u64, now: UnixMillis) -> bool {
        self.at.0.saturating_add(window_ms) <= now.0
    }
}
