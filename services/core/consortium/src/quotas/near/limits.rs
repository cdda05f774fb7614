//! The limits of a member's memory and near queries.

use std::num::NonZeroU16;

use crate::quotas::quota::Quota;

/// The largest number of pairs in a process. A pair takes about 300 bytes, or 800 if its budget is spent.
pub const PAIRS_MAX: usize = 100_000;

/// The limits of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NearLimits {
    /// The number of counted queries of a pair in a day.
    pub(super) budget: NonZeroU16,
    /// The largest number of pairs of the member.
    pub(super) pairs_max: usize,
}

impl NearLimits {
    /// Returns the limits of one of `members` members.
    #[must_use]
    pub fn new(quota: &Quota, members: usize) -> Self {
        Self { budget: quota.near_queries(), pairs_max: (PAIRS_MAX / members.max(1)).max(1) }
    }

    /// Returns the largest number of digests in all pairs of the member.
    pub(super) fn digests_max(&self) -> usize {
        self.pairs_max * usize::from(Quota::NEAR_QUERIES_DEFAULT.get())
    }

    /// Returns the budget of a pair, at most the number of digests that the member's memory holds.
    pub(super) fn budget(&self) -> usize {
        usize::from(self.budget.get()).min(self.digests_max())
    }
}
