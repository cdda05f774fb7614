//! What an answer covers and how fresh it is.

use thiserror::Error;

use crate::sequence::Sequence;
use crate::shard::ShardId;

/// Which shards answered, how many hashes were searched, and as of which sequence.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// Shards of the cluster.
    pub shards_total: u16,
    /// Shards whose answer is in.
    pub shards_answered: u16,
    /// Hashes that were searched.
    pub hashes_searched: u64,
    /// Hashes of all shards, with what those that did not answer were last known to hold.
    pub hashes_total: u64,
    /// The answer holds every change up to this one.
    pub sequence_min: Sequence,
    /// The newest change that any shard had applied.
    pub sequence_max: Sequence,
    /// The shards that did not answer, and why.
    pub failures: Vec<ShardFailure>,
}

/// A shard that did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardFailure {
    /// Which one.
    pub shard: ShardId,
    /// Why, for a person to read.
    pub reason: String,
}

impl Coverage {
    /// The share of shards that answered, 0 to 1; 0 for a cluster without shards.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        if self.shards_total == 0 {
            return 0.0;
        }
        f64::from(self.shards_answered) / f64::from(self.shards_total)
    }

    /// Whether every shard answered, so that "no match" means no match.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.shards_total > 0 && self.shards_answered == self.shards_total
    }

    /// What two searches cover that answer one question together: the lesser of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let mut failures = self.failures;
        for failure in other.failures {
            if !failures.iter().any(|known| known.shard == failure.shard) {
                failures.push(failure);
            }
        }
        failures.sort_by_key(|failure| failure.shard);
        Self {
            shards_total: self.shards_total.max(other.shards_total),
            shards_answered: self.shards_answered.min(other.shards_answered),
            hashes_searched: self.hashes_searched.min(other.hashes_searched),
            hashes_total: self.hashes_total.max(other.hashes_total),
            sequence_min: self.sequence_min.min(other.sequence_min),
            sequence_max: self.sequence_max.max(other.sequence_max),
            failures,
        }
    }

    /// Whether the caller takes an answer of this coverage.
    #[must_use]
    pub fn satisfies(&self, wanted: MinCoverage) -> bool {
        self.is_full() || (self.shards_total > 0 && self.fraction() >= wanted.get())
    }
}

/// The least share of shards that a caller takes an answer from, 0 to 1. The default is all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinCoverage(f64);

/// The share is not in 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("min_coverage is {0}; it must be 0.0 to 1.0")]
pub struct MinCoverageError(pub f64);

impl MinCoverage {
    /// Checks that `share` lies in 0 to 1.
    pub fn new(share: f64) -> Result<Self, MinCoverageError> {
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err(MinCoverageError(share)) }
    }

    /// The share, 0 to 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Default for MinCoverage {
    fn default() -> Self {
        Self(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(shards_answered: u16, shards_total: u16) -> Coverage {
        Coverage { shards_answered, shards_total, ..Coverage::default() }
    }

    #[test]
    fn only_all_shards_satisfy_the_default() {
        assert!(answered(4, 4).satisfies(MinCoverage::default()));
        assert!(!answered(3, 4).satisfies(MinCoverage::default()));
        assert!(answered(3, 4).satisfies(MinCoverage::new(0.75).unwrap()));
    }

    #[test]
    fn a_cluster_without_shards_satisfies_nobody() {
        assert!(!answered(0, 0).satisfies(MinCoverage::new(0.0).unwrap()));
    }

    #[test]
    fn shares_are_checked() {
        for bad in [-0.1, 1.1, f64::NAN] {
            assert!(MinCoverage::new(bad).is_err(), "{bad}");
        }
    }
}
