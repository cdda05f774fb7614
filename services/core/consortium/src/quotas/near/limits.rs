//! How much memory and how many near queries a member has.

use std::num::NonZeroU16;

use crate::quotas::quota::Quota;

/// Pairs of a process, of about 300 bytes each, and 800 where the budget is spent.
pub const PAIRS_MAX: usize = 100_000;

/// The bounds of one member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NearLimits {
    /// Queries of a pair in a day.
    pub(super) budget: NonZeroU16,
    /// Pairs of the member.
    pub(super) pairs_max: usize,
}

impl NearLimits {
    /// The limits of one of `members` members.
    #[must_use]
    pub fn new(quota: &Quota, members: usize) -> Self {
        Self { budget: quota.near_queries(), pairs_max: (PAIRS_MAX / members.max(1)).max(1) }
    }

    /// Digests of all pairs of the member.
    pub(super) fn digests_max(&self) -> usize {
        self.pairs_max * usize::from(Quota::NEAR_QUERIES_DEFAULT.get())
    }

    /// A budget beyond what the member has memory for is spent when that is full.
    pub(super) fn budget(&self) -> usize {
        usize::from(self.budget.get()).min(self.digests_max())
    }
}
