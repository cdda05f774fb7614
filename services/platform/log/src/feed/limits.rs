//! The limits of a feed.

use std::time::Duration;

/// The limits of a feed.
#[derive(Debug, Clone, Copy)]
pub struct FeedLimits {
    /// Followers at once; one more is refused.
    pub followers_max: usize,
    /// The longest silence towards a follower; then it gets a heartbeat.
    pub heartbeat: Duration,
    /// Changes of one range; the rest comes in the next.
    pub changes_max: usize,
    /// Bytes of the changes of one range, though always one change at least.
    pub bytes_max: usize,
    /// Newest changes kept in memory.
    pub recent_changes_max: usize,
    /// Bytes of those changes; the oldest go first.
    pub recent_bytes_max: usize,
    /// How long the log keeps what a follower needs that has gone.
    pub claim_kept: Duration,
    /// How long a follower's stream lasts, give or take a quarter; then it comes again.
    pub lifetime: Duration,
    /// Followers that read from the store at once; the others wait.
    pub readers_max: usize,
}
