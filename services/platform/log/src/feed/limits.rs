//! The limits of a feed.

use std::time::Duration;

/// The limits of a feed.
#[derive(Debug, Clone, Copy)]
pub struct FeedLimits {
    /// The most followers at once; one more is refused.
    pub followers_max: usize,
    /// The longest silence towards a follower, after which it gets a heartbeat.
    pub heartbeat: Duration,
    /// The most changes in one range; the rest is in the next.
    pub changes_max: usize,
    /// The most bytes of the changes in one range, but always at least one change.
    pub bytes_max: usize,
    /// The most changes kept in memory.
    pub recent_changes_max: usize,
    /// The most bytes of those changes; the oldest are dropped first.
    pub recent_bytes_max: usize,
    /// The time for which the log keeps the changes that a departed follower needs.
    pub claim_kept: Duration,
    /// The lifetime of a follower's stream, give or take a quarter; then the follower reconnects.
    pub lifetime: Duration,
    /// The most followers that read from the store at once; the others wait.
    pub readers_max: usize,
}
