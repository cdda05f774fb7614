//! The assignment of items to shards.
//!
//! Items are assigned to a fixed number of [`Partition`]s by a hash of their id, and partitions to shards by
//! the remainder of a division. Because partitions are small and fixed, any value that is kept for each of
//! them (a count, a digest) can be added up for any `shard_count`.

use std::fmt;

use thiserror::Error;

use crate::item::ItemId;

/// A fixed slice of all items, of which there are [`Partition::COUNT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition(u16);

impl Partition {
    /// The number of partitions: sixteen for each shard of the largest cluster, so that shards stay even.
    pub const COUNT: u16 = 4096;

    /// Returns the partition of an item: the top 12 bits of SplitMix64's output function applied to the id.
    ///
    /// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014) is a bijection that spreads consecutive ids evenly.
    #[must_use]
    pub const fn of(item: ItemId) -> Self {
        let mut mixed = item.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        let top = (mixed >> 52) as u16;
        Self(top)
    }

    /// Returns the partition's number, 0 to [`Self::COUNT`] - 1.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// The number of a shard, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of shards, 1 to [`ShardCount::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardCount(u16);

impl ShardCount {
    /// The largest cluster: 256 shards of tens of millions of hashes each.
    pub const MAX: u16 = 256;

    /// Checks that the count is 1 to [`Self::MAX`].
    pub fn new(shard_count: u32) -> Result<Self, ShardIdentityError> {
        match u16::try_from(shard_count) {
            Ok(count @ 1..=Self::MAX) => Ok(Self(count)),
            _ => Err(ShardIdentityError::Count(shard_count)),
        }
    }

    /// Returns the count, 1 to [`Self::MAX`].
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Returns every shard of a cluster of this size.
    pub fn shards(self) -> impl ExactSizeIterator<Item = ShardId> {
        (0..self.0).map(ShardId)
    }

    /// Returns every shard with the count.
    pub fn identities(self) -> impl ExactSizeIterator<Item = ShardIdentity> {
        self.shards().map(move |shard| ShardIdentity { shard, shard_count: self })
    }

    /// Returns the count of a cluster in which each shard of this one is split into `parts` shards. The
    /// caller has checked that the product is at most [`Self::MAX`].
    pub(crate) const fn times(self, parts: u16) -> Self {
        Self(self.0 * parts)
    }

    /// Returns the shard that holds a partition.
    #[must_use]
    pub const fn shard_of(self, partition: Partition) -> ShardId {
        ShardId(partition.0 % self.0)
    }
}

/// A shard and the number of shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardIdentity {
    shard: ShardId,
    shard_count: ShardCount,
}

/// The numbers are not those of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShardIdentityError {
    /// `shard_count` is 0 or too large.
    #[error("shard_count is {0}; it must be 1 to {max}", max = ShardCount::MAX)]
    Count(u32),
    /// The shard is not below `shard_count`.
    #[error("shard is {shard}; with shard_count {shard_count} it must be 0 to {}", shard_count - 1)]
    Shard {
        /// The shard that was named.
        shard: u32,
        /// The number of shards, which limits it.
        shard_count: u16,
    },
}

impl ShardIdentity {
    /// Checks that `shard < shard_count <= ShardCount::MAX`.
    pub fn new(shard: u32, shard_count: u32) -> Result<Self, ShardIdentityError> {
        let shard_count = ShardCount::new(shard_count)?;
        match u16::try_from(shard) {
            Ok(number) if number < shard_count.0 => Ok(Self { shard: ShardId(number), shard_count }),
            _ => Err(ShardIdentityError::Shard { shard, shard_count: shard_count.0 }),
        }
    }

    /// Returns the shard's number.
    #[must_use]
    pub const fn shard(self) -> ShardId {
        self.shard
    }

    /// Returns the number of shards.
    #[must_use]
    pub const fn shard_count(self) -> ShardCount {
        self.shard_count
    }

    /// Checks whether this shard holds the item.
    #[must_use]
    pub fn holds(self, item: ItemId) -> bool {
        self.shard_count.shard_of(Partition::of(item)) == self.shard
    }
}

impl fmt::Display for ShardIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.shard, self.shard_count.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_lies_on_exactly_one_shard() {
        for shard_count in [1, 2, 3, 4, 7, 256] {
            for item in 1..2_000 {
                let holders = (0..shard_count)
                    .filter(|&shard| ShardIdentity::new(shard, shard_count).unwrap().holds(ItemId(item)))
                    .count();
                assert_eq!(holders, 1, "item {item} of {shard_count} shards");
            }
        }
    }

    #[test]
    fn shards_are_even() {
        for shard_count in [3_u32, 4, 16] {
            let shard = ShardIdentity::new(1, shard_count).unwrap();
            let held = (1..=100_000).filter(|&item| shard.holds(ItemId(item))).count();
            let fair = 100_000 / shard_count as usize;
            assert!(held.abs_diff(fair) * 20 < fair, "{held} of a fair {fair}");
        }
    }

    #[test]
    fn the_partition_function_is_fixed() {
        // A change of this function would misplace everything that is stored by partition.
        let partitions = [1, 2, 3, u64::MAX].map(|item| Partition::of(ItemId(item)).get());
        assert_eq!(partitions, [2320, 2421, 464, 3661]);
    }

    #[test]
    fn identities_are_checked() {
        assert_eq!(ShardIdentity::new(0, 0), Err(ShardIdentityError::Count(0)));
        assert_eq!(ShardIdentity::new(0, 257), Err(ShardIdentityError::Count(257)));
        assert_eq!(ShardIdentity::new(4, 4), Err(ShardIdentityError::Shard { shard: 4, shard_count: 4 }));
    }
}
