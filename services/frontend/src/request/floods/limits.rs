//! From when on an item floods.

use std::time::Duration;

/// From when on an item floods, and what that is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FloodLimits {
    /// Matches of an item within the window, 1 or more.
    pub(crate) matches_min: u32,
    /// How many times as often as the median of the other items it has to match.
    pub(crate) median_factor: u32,
    /// The window, 1 second or more.
    pub(crate) window: Duration,
    /// Pairs of members and items that are tracked, 1 or more.
    pub(crate) pairs_max: usize,
}

impl FloodLimits {
    /// Whether so many matches are a flood, where the median of the others is that.
    pub(super) fn is_flood(&self, count: u32, median: u32) -> bool {
        let many = u64::from(self.median_factor) * u64::from(median.max(1));
        count >= self.matches_min && u64::from(count) >= many
    }
}
