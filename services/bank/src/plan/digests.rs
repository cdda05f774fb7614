//! What the living hashes come to, by partition: the bank's side of the proof that a follower has them all.
//!
//! The store keeps a [`SetDigest`] for each bank and partition, changed in the transaction that changes the items.
//! Banks are told apart so that a deleted one's part can be taken away without a look at its items. The feed keeps
//! only the [`Totals`] over all banks, 160 KiB whatever the bank holds, and sums them up for any shard.

use std::collections::BTreeMap;
use std::fmt;

use vigie_log::{Slice, Summary};
use vigie_model::{BankId, Item, ItemId, Partition, SetDigest, ShardIdentity, Standing};

/// A part of what the living hashes come to, or of how that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartDigest {
    /// The bank.
    pub(crate) bank: BankId,
    /// The partition.
    pub(crate) partition: u16,
    /// The digest, or what is to be added to it.
    pub(crate) digest: SetDigest,
}

/// Digests by bank and partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parts(BTreeMap<(BankId, u16), SetDigest>);

impl Parts {
    /// Counts an item in.
    pub(crate) fn add(&mut self, item: &Item) {
        *self.part(item.bank, Partition::of(item.id).get()) +=
            SetDigest::of_item(item.id, item.content.hashes());
    }

    /// Counts the hold of an item in.
    pub(crate) fn hold(&mut self, bank: BankId, item: ItemId) {
        *self.part(bank, Partition::of(item).get()) += SetDigest::of_hold(item);
    }

    /// Counts the standing of an item in.
    pub(crate) fn stand(&mut self, bank: BankId, item: ItemId, standing: &Standing) {
        *self.part(bank, Partition::of(item).get()) += SetDigest::of_standing(item, standing);
    }

    /// The digest of one part; the empty set's where nothing is known of it.
    pub(crate) fn part(&mut self, bank: BankId, partition: u16) -> &mut SetDigest {
        self.0.entry((bank, partition)).or_default()
    }

    /// Everything of a bank.
    pub(crate) fn of(&self, bank: BankId) -> impl Iterator<Item = PartDigest> {
        self.0.range((bank, 0)..=(bank, u16::MAX)).map(to_part)
    }

    /// Forgets everything of a bank.
    pub(crate) fn remove(&mut self, bank: BankId) {
        self.0.retain(|(other, _), _| *other != bank);
    }

    /// All that is not empty, by bank and partition.
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
    /// Of an empty bank.
    pub(crate) fn empty() -> Self {
        Self(vec![SetDigest::EMPTY; Partition::COUNT.into()])
    }

    /// The digest of a partition, below [`Partition::COUNT`].
    pub(crate) fn partition_mut(&mut self, partition: u16) -> Option<&mut SetDigest> {
        self.0.get_mut(usize::from(partition))
    }

    /// Adds digests of partitions, or what they change by.
    pub(crate) fn add(&mut self, deltas: &[(u16, SetDigest)]) {
        for (partition, delta) in deltas {
            if let Some(digest) = self.partition_mut(*partition) {
                *digest += *delta;
            }
        }
    }
}

/// What followers are shown as proof: the digest of their shard's hashes.
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

/// The slice of the log that a shard follows, as [`vigie_model::ShardCount::shard_of`] has it.
pub(crate) fn slice_of(shard: ShardIdentity) -> Slice {
    // A shard's number is below the count of shards.
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
