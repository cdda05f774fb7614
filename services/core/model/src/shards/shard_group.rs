//! The shards that one matcher serves with one index.
//!
//! An item's shard is its partition modulo `shard_count`. So of a cluster of C shards, the shards s, s + C/L,
//! s + 2C/L, ... hold exactly the items of the one shard s of a cluster of C/L shards. A matcher that serves
//! L shards follows, keeps and searches that one larger shard; only its coordinators count L shards.

use std::fmt;

use thiserror::Error;

use crate::item::ItemId;
use crate::shard::{ShardCount, ShardId, ShardIdentity, ShardIdentityError};

/// A group of `size` shards of a cluster, at equal distances. Two matchers with the same group are replicas
/// of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardGroup {
    /// The one shard of a smaller cluster that holds the same items.
    whole: ShardIdentity,
    size: u16,
}

/// The numbers are not those of a group of shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ShardGroupError {
    /// The shard or `shard_count` is wrong.
    #[error(transparent)]
    Identity(#[from] ShardIdentityError),
    /// `shard_count` is no multiple of the number of served shards.
    #[error("shards_served is {shards_served}; it must divide shard_count, which is {shard_count}")]
    Size {
        /// The number of shards of the group.
        shards_served: u32,
        /// The number of shards of the cluster.
        shard_count: u16,
    },
    /// The shard is not the first one of a group.
    #[error(
        "shard is {shard}; with shard_count {shard_count} and shards_served {shards_served} it must be 0 to {}",
        shard_count / shards_served - 1
    )]
    First {
        /// The shard that was named.
        shard: u32,
        /// The number of shards of the cluster.
        shard_count: u16,
        /// The number of shards of the group.
        shards_served: u16,
    },
}

impl ShardGroup {
    /// Returns the group that begins with `shard` and has `shards_served` shards of a cluster of
    /// `shard_count`.
    ///
    /// Errors: `shards_served` does not divide `shard_count`, or `shard` is not below their quotient.
    pub fn new(shard: u32, shard_count: u32, shards_served: u32) -> Result<Self, ShardGroupError> {
        let count = ShardCount::new(shard_count)?.get();
        let size = match u16::try_from(shards_served) {
            Ok(size @ 1..) if count.is_multiple_of(size) => size,
            Ok(_) | Err(_) => return Err(ShardGroupError::Size { shards_served, shard_count: count }),
        };
        if size > 1 && shard >= u32::from(count / size) {
            return Err(ShardGroupError::First { shard, shard_count: count, shards_served: size });
        }
        Ok(Self { whole: ShardIdentity::new(shard, u32::from(count / size))?, size })
    }

    /// Returns the group of one shard.
    #[must_use]
    pub const fn single(shard: ShardIdentity) -> Self {
        Self { whole: shard, size: 1 }
    }

    /// Returns the one shard of a cluster of `shard_count / size` shards that holds the items of this group.
    #[must_use]
    pub const fn whole(self) -> ShardIdentity {
        self.whole
    }

    /// Returns the number of shards of the group, at least 1.
    #[must_use]
    pub const fn size(self) -> u16 {
        self.size
    }

    /// Returns the number of shards of the cluster.
    #[must_use]
    pub const fn shard_count(self) -> ShardCount {
        self.whole.shard_count().times(self.size)
    }

    /// Returns the first shard of the group, which is the smallest.
    #[must_use]
    pub const fn first(self) -> ShardId {
        self.whole.shard()
    }

    /// Returns the shards of the group, in order.
    pub fn shards(self) -> impl ExactSizeIterator<Item = ShardId> {
        (0..self.size).map(move |number| self.shard(number))
    }

    fn shard(self, number: u16) -> ShardId {
        ShardId(self.first().0 + number * self.whole.shard_count().get())
    }

    /// Checks whether the group holds the item.
    #[must_use]
    pub fn holds(self, item: ItemId) -> bool {
        self.whole.holds(item)
    }

    /// Checks whether every shard of the other group, of the same cluster, is in this one.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        let (distance, others) = (self.whole.shard_count().get(), other.whole.shard_count().get());
        others.is_multiple_of(distance) && other.first().0 % distance == self.first().0
    }

    /// Checks whether the groups, of the same cluster, have a shard in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        // By the Chinese remainder theorem.
        let common = gcd(self.whole.shard_count().get(), other.whole.shard_count().get());
        self.first().0 % common == other.first().0 % common
    }
}

fn gcd(one: u16, other: u16) -> u16 {
    if other == 0 { one } else { gcd(other, one % other) }
}

impl From<ShardIdentity> for ShardGroup {
    fn from(shard: ShardIdentity) -> Self {
        Self::single(shard)
    }
}

/// Writes the shards and the cluster's number of shards: `1 of 4`, `0 and 2 of 4`, `0, 2, ... 14 of 16`.
impl fmt::Display for ShardGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second, last) = (self.first(), self.shard(1), self.shard(self.size - 1));
        match self.size {
            1 => write!(f, "{first}")?,
            2 => write!(f, "{first} and {last}")?,
            3 => write!(f, "{first}, {second} and {last}")?,
            _ => write!(f, "{first}, {second}, ... {last}")?,
        }
        write!(f, " of {}", self.shard_count().get())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::shard::Partition;

    /// Every group of a cluster of this size.
    fn groups(shard_count: u32) -> Vec<ShardGroup> {
        let sizes = (1..=shard_count).filter(|size| shard_count.is_multiple_of(*size));
        let of_size = |size| (0..shard_count / size).map(move |first| (first, size));
        sizes
            .flat_map(of_size)
            .map(|(first, size)| ShardGroup::new(first, shard_count, size).unwrap())
            .collect()
    }

    fn shards(group: ShardGroup) -> BTreeSet<ShardId> {
        group.shards().collect()
    }

    proptest! {
        #[test]
        fn a_group_holds_the_items_of_its_shards_and_no_others(
            shard_count in 1_u32..=256,
            choice in any::<prop::sample::Index>(),
            items in prop::collection::vec(any::<u64>(), 1..200),
        ) {
            let groups = groups(shard_count);
            let group = groups[choice.index(groups.len())];
            let count = ShardCount::new(shard_count).unwrap();
            prop_assert_eq!(group.shard_count(), count);
            prop_assert_eq!(group.shards().len(), usize::from(group.size()));
            prop_assert_eq!(group.shards().next(), Some(group.first()));
            prop_assert!(group.shards().all(|shard| shard.0 < count.get()));
            for item in items.into_iter().map(ItemId) {
                let shard = count.shard_of(Partition::of(item));
                prop_assert_eq!(group.holds(item), shards(group).contains(&shard));
            }
        }

        #[test]
        fn groups_overlap_and_include_each_other_as_the_sets_of_their_shards_do(
            shard_count in prop_oneof![1_u32..=64, Just(240), Just(256)],
            choices in prop::collection::vec(any::<[prop::sample::Index; 2]>(), 1..20),
        ) {
            let groups = groups(shard_count);
            for [one, other] in choices {
                let (one, other) = (groups[one.index(groups.len())], groups[other.index(groups.len())]);
                prop_assert_eq!(one.overlaps(other), !shards(one).is_disjoint(&shards(other)));
                prop_assert_eq!(one.includes(other), shards(one).is_superset(&shards(other)));
            }
        }
    }

    #[test]
    fn groups_are_checked() {
        let fault =
            |shard, shard_count, served| ShardGroup::new(shard, shard_count, served).unwrap_err().to_string();
        assert_eq!(fault(0, 4, 3), "shards_served is 3; it must divide shard_count, which is 4");
        assert_eq!(fault(0, 4, 0), "shards_served is 0; it must divide shard_count, which is 4");
        assert_eq!(fault(0, 4, 8), "shards_served is 8; it must divide shard_count, which is 4");
        let first = "shard is 2; with shard_count 4 and shards_served 2 it must be 0 to 1";
        assert_eq!(fault(2, 4, 2), first);
        assert_eq!(fault(4, 4, 1), "shard is 4; with shard_count 4 it must be 0 to 3");
        assert_eq!(fault(0, 512, 2), "shard_count is 512; it must be 1 to 256");
    }

    #[test]
    fn groups_are_shown_by_their_shards() {
        let shown =
            |shard, shard_count, served| ShardGroup::new(shard, shard_count, served).unwrap().to_string();
        assert_eq!(shown(1, 4, 1), "1 of 4");
        assert_eq!(shown(0, 4, 2), "0 and 2 of 4");
        assert_eq!(shown(1, 6, 3), "1, 3 and 5 of 6");
        assert_eq!(shown(0, 16, 8), "0, 2, ... 14 of 16");
    }
}
