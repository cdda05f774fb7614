//! The digests of the living hashes, by partition: the bank's side of the proof that a follower has all
//! hashes.
//!
//! The store keeps a [`SetDigest`] for each bank and partition, updated in the transaction that changes the
//! items. Banks have separate digests so that a deleted bank's part can be subtracted without reading its
//! items. The feed keeps only the [`Totals`] over all banks, 160 KiB whatever the size of the bank, and sums
//! them for any shard.

use std::collections::BTreeMap;
use std::fmt;

use vigie_log::{Slice, Summary};
use vigie_model::{BankId, Item, ItemId, Partition, SetDigest, ShardIdentity, Standing};

/// The digest of a bank's living hashes in one partition, or the difference by which it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartDigest {
    /// The bank.
    pub(crate) bank: BankId,
    /// The partition.
    pub(crate) partition: u16,
    /// The digest, or the difference to add to it.
    pub(crate) digest: SetDigest,
}

/// Digests by bank and partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parts(BTreeMap<(BankId, u16), SetDigest>);

impl Parts {
    /// Adds an item.
    pub(crate) fn add(&mut self, item: &Item) {
        *self.part(item.bank, Partition::of(item.id).get()) +=
            SetDigest::of_item(item.id, item.content.hashes());
    }

    /// Adds the hold of an item.
    pub(crate) fn hold(&mut self, bank: BankId, item: ItemId) {
        *self.part(bank, Partition::of(item).get()) += SetDigest::of_hold(item);
    }

    /// Adds the standing of an item.
    pub(crate) fn stand(&mut self, bank: BankId, item: ItemId, standing: &Standing) {
        *self.part(bank, Partition::of(item).get()) += SetDigest::of_standing(item, standing);
    }

    /// Returns the digest of one part; initially that of the empty set.
    pub(crate) fn part(&mut self, bank: BankId, partition: u16) -> &mut SetDigest {
        self.0.entry((bank, partition)).or_default()
    }

    /// Returns all parts of a bank.
    pub(crate) fn of(&self, bank: BankId) -> impl Iterator<Item = PartDigest> {
        self.0.range((bank, 0)..=(bank, u16::MAX)).map(to_part)
    }

    /// Removes all parts of a bank.
    pub(crate) fn remove(&mut self, bank: BankId) {
        self.0.retain(|(other, _), _| *other != bank);
    }

    /// Returns all parts that are not empty, by bank and partition.
    pub(crate) fn iter(&self) -> impl Iterator<Item = PartDigest> {
        self.0.iter().map(to_part).filter(|part| part.digest != SetDigest::EMPTY)
    }
}

fn to_part((&(bank, partition), &digest): (&(BankId, u16), &SetDigest)) -> PartDigest {
    PartDigest { bank, partition, digest }
}

/// Digests by partition, over all banks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Totals(Vec<SetDigest>);

impl Totals {
    /// Returns the totals of an empty bank.
    pub(crate) fn empty() -> Self {
        Self(vec![SetDigest::EMPTY; Partition::COUNT.into()])
    }

    /// Returns the digest of a partition, which must be below [`Partition::COUNT`].
    pub(crate) fn partition_mut(&mut self, partition: u16) -> Option<&mut SetDigest> {
        self.0.get_mut(usize::from(partition))
    }

    /// Adds digests of partitions, or differences of them.
    pub(crate) fn add(&mut self, deltas: &[(u16, SetDigest)]) {
        for (partition, delta) in deltas {
            if let Some(digest) = self.partition_mut(*partition) {
                *digest += *delta;
            }
        }
    }
}

/// Sends followers their proof: the digest of their shard's hashes.
impl Summary for Totals {
    type Delta = Vec<(u16, SetDigest)>;
    type Proof = SetDigest;

    fn apply(&mut self, delta: &Self::Delta) {
        self.add(delta);
    }

    fn of(&self, slice: Slice) -> SetDigest {
        let own = self.0.iter().skip(slice.number().into()).step_by(slice.count().into());
        let mut sum = SetDigest::EMPTY;
        own.for_each(|digest| sum += *digest);
        sum
    }
}

/// Returns the slice of the log that a shard follows, according to [`vigie_model::ShardCount::shard_of`].
pub(crate) fn slice_of(shard: ShardIdentity) -> Slice {
    // A shard's number is below the shard count.
    Slice::new(shard.shard().0, shard.shard_count().get()).unwrap_or(Slice::ALL)
}

impl fmt::Debug for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sum = SetDigest::EMPTY;
        self.0.iter().for_each(|digest| sum += *digest);
        write!(f, "Totals({sum})")
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::{Hash, ItemId};

    use super::*;

    #[test]
    fn the_digests_of_shards_are_those_of_their_items_for_any_shard_count() {
        let items: Vec<_> = (1..500_u64).map(|id| (ItemId(id), Hash::md5([(id % 251) as u8; 16]))).collect();
        let mut totals = Totals::empty();
        for (item, hash) in &items {
            let delta = SetDigest::of_item(*item, std::slice::from_ref(hash));
            totals.add(&[(Partition::of(*item).get(), delta)]);
        }
        for shard_count in [1, 2, 7, 256] {
            for shard in 0..shard_count {
                let shard = ShardIdentity::new(shard, shard_count).unwrap();
                let mut expected = SetDigest::EMPTY;
                for (item, hash) in items.iter().filter(|(item, _)| shard.holds(*item)) {
                    expected += SetDigest::of_item(*item, std::slice::from_ref(hash));
                }
                assert_eq!(totals.of(slice_of(shard)), expected, "shard {shard}");
            }
        }
    }
}
