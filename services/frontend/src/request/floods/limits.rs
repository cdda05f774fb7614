//! The limits from which an item floods.

use std::time::Duration;

/// The limits from which an item floods, and the bounds of the counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FloodLimits {
    /// The least number of matches of an item within the window, 1 or more.
    pub(crate) matches_min: u32,
    /// The least ratio of the item's matches to the median of the other items.
    pub(crate) median_factor: u32,
    /// The window, 1 second or more.
    pub(crate) window: Duration,
    /// The most pairs of a member and an item that are tracked, 1 or more.
    pub(crate) pairs_max: usize,
}

impl FloodLimits {
    /// Returns whether `count` matches are a flood, if the other items have this median.
    pub(super) fn is_flood(&self, count: u32, median: u32) -> bool {
        let many = u64::from(self.median_factor) * u64::from(median.max(1));
        count >= self.matches_min && u64::from(count) >= many
    }
}
