//! The coverage of an answer, and its age.

use thiserror::Error;

use crate::sequence::{Sequence, UnixMillis};
use crate::shard::ShardId;

/// The coverage of an answer: the shards that answered, the number of searched hashes, and the sequence of
/// the answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coverage {
    /// The number of shards of the cluster.
    pub shards_total: u16,
    /// The number of shards that answered.
    pub shards_answered: u16,
    /// The number of hashes that were searched.
    pub hashes_searched: u64,
    /// The number of hashes of all shards. For a shard that did not answer, the last known number counts.
    pub hashes_total: u64,
    /// The answer includes every change up to this one.
    pub sequence_min: Sequence,
    /// The newest change that any shard had applied.
    pub sequence_max: Sequence,
    /// The age of the answer in time.
    pub as_of: AsOf,
    /// The shards that did not answer, and the reason for each.
    pub failures: Vec<ShardFailure>,
}

/// The age of an answer, as times. For several shards it is the oldest of each time separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AsOf {
    /// The answer includes every change that was committed up to this time, by the bank's clock. `None` if
    /// the time of none is known.
    pub committed: Option<UnixMillis>,
    /// The last time at which the bank reported that the answer lacks nothing, by the matcher's clock. `None`
    /// if it is not known. It advances while nothing changes, and stops while the bank is unreachable.
    pub heard: Option<UnixMillis>,
}

impl AsOf {
    /// Returns the age of an answer made of both. A time that is unknown for one is unknown for both.
    #[must_use]
    pub fn oldest(self, other: Self) -> Self {
        let older =
            |one: Option<UnixMillis>, other: Option<UnixMillis>| one.zip(other).map(|(a, b)| a.min(b));
        Self { committed: older(self.committed, other.committed), heard: older(self.heard, other.heard) }
    }
}

/// A shard that did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardFailure {
    /// The shard's number.
    pub shard: ShardId,
    /// The reason, for a person to read.
    pub reason: String,
}

impl Coverage {
    /// Returns the share of shards that answered, 0 to 1; 0 for a cluster without shards.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        if self.shards_total == 0 {
            return 0.0;
        }
        f64::from(self.shards_answered) / f64::from(self.shards_total)
    }

    /// Checks whether every shard answered, so that "no match" means no match.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.shards_total > 0 && self.shards_answered == self.shards_total
    }

    /// Returns the coverage of two searches that answer one question together. Each value is the weaker of
    /// the two: fewer answers, larger totals, a wider range of sequences, and the failures of both.
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
            as_of: self.as_of.oldest(other.as_of),
            failures,
        }
    }

    /// Checks whether the caller accepts an answer of this coverage.
    #[must_use]
    pub fn satisfies(&self, wanted: MinCoverage) -> bool {
        self.is_full() || (self.shards_total > 0 && self.fraction() >= wanted.get())
    }
}

/// The smallest share of shards with which a caller accepts an answer, 0 to 1. The default is all of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinCoverage(f64);

/// The share is not from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("min_coverage is {0}; it must be 0.0 to 1.0")]
pub struct MinCoverageError(pub f64);

impl MinCoverage {
    /// Checks that `share` is from 0 to 1.
    pub fn new(share: f64) -> Result<Self, MinCoverageError> {
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err(MinCoverageError(share)) }
    }

    /// Returns the share, 0 to 1.
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
    fn an_answer_is_as_old_as_its_oldest_part() {
        let as_of = |committed: u64, heard: u64| AsOf {
            committed: (committed > 0).then_some(UnixMillis(committed)),
            heard: (heard > 0).then_some(UnixMillis(heard)),
        };
        assert_eq!(as_of(5, 9).oldest(as_of(7, 8)), as_of(5, 8));
        assert_eq!(as_of(5, 9).oldest(as_of(0, 10)), as_of(0, 9), "an older version says nothing");
        let both = Coverage { as_of: as_of(5, 9), ..answered(1, 2) };
        assert_eq!(both.clone().and(Coverage { as_of: as_of(7, 8), ..both }).as_of, as_of(5, 8));
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
