//! The items that are held: they are in the indexes, and no search answers with them.
//!
//! A search looks an item up here only when it has found it, so that holds cost nothing where nothing is held. A moment has a set of
//! its own: the next one shares with it every bucket in which no hold came or went.

use std::sync::Arc;

use vigie_model::{BankId, ItemId};

/// The parts of the set: changing one item copies a part, and a step of the log at most all pointers to them.
const BUCKETS: usize = 1 << 12;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeldItems {
    /// Each in order; none at all before the first hold.
    buckets: Vec<Arc<Vec<(ItemId, BankId)>>>,
    count: usize,
}

impl HeldItems {
    /// Whether an item is held.
    #[inline]
    pub(crate) fn contains(&self, item: ItemId) -> bool {
        self.count > 0 && place(&self.buckets[bucket(item)], item).is_ok()
    }

    /// Holds an item of a bank, or lifts its hold; returns whether that changed anything.
    pub(crate) fn set(&mut self, item: ItemId, bank: BankId, held: bool) -> bool {
        if self.contains(item) == held {
            return false;
        }
        if self.buckets.is_empty() {
            self.buckets = vec![Arc::default(); BUCKETS];
        }
        let bucket = Arc::make_mut(&mut self.buckets[bucket(item)]);
        match place(bucket, item) {
            Ok(at) => {
                bucket.remove(at);
                self.count -= 1;
            }
            Err(at) => {
                bucket.insert(at, (item, bank));
                self.count += 1;
            }
        }
        true
    }

    /// Forgets the items of a bank that is gone.
    pub(crate) fn remove_bank(&mut self, gone: BankId) {
        if self.count == 0 {
            return;
        }
        for bucket in &mut self.buckets {
            if bucket.iter().any(|(_, bank)| *bank == gone) {
                let before = bucket.len();
                Arc::make_mut(bucket).retain(|(_, bank)| *bank != gone);
                self.count -= before - bucket.len();
            }
        }
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// The items, by id.
    pub(crate) fn sorted(&self) -> Vec<ItemId> {
        let mut items: Vec<ItemId> =
            self.buckets.iter().flat_map(|bucket| bucket.iter().map(|(item, _)| *item)).collect();
        items.sort_unstable();
        items
    }
}

/// Ids are sequences: neighbours go to different buckets, and no caller chooses where its items go.
#[expect(clippy::cast_possible_truncation, reason = "the remainder is small")]
const fn bucket(item: ItemId) -> usize {
    (item.0 % BUCKETS as u64) as usize
}

fn place(bucket: &[(ItemId, BankId)], item: ItemId) -> Result<usize, usize> {
    bucket.binary_search_by_key(&item, |(held, _)| *held)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Set(u64, u32, bool),
        RemoveBank(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Few ids, and some that share a bucket.
        let item = (0..6_u64, 0..3_u64).prop_map(|(low, high)| 1 + low + high * BUCKETS as u64);
        prop_oneof![
            12 => (item, 1..4_u32, any::<bool>()).prop_map(|(item, bank, held)| Step::Set(item, bank, held)),
            1 => (1..4_u32).prop_map(Step::RemoveBank),
        ]
    }

    proptest! {
        #[test]
        fn the_set_is_what_was_held_and_not_lifted(steps in prop::collection::vec(step(), 0..60)) {
            let (mut held, mut expected) = (HeldItems::default(), BTreeMap::new());
            for step in steps {
                let before = (held.clone(), expected.clone());
                match step {
                    Step::Set(item, bank, true) => {
                        let changed = !expected.contains_key(&item);
                        expected.entry(item).or_insert(bank);
                        prop_assert_eq!(held.set(ItemId(item), BankId(bank), true), changed);
                    }
                    Step::Set(item, bank, false) => {
                        let changed = expected.remove(&item).is_some();
                        prop_assert_eq!(held.set(ItemId(item), BankId(bank), false), changed);
                    }
                    Step::RemoveBank(bank) => {
                        expected.retain(|_, of| *of != bank);
                        held.remove_bank(BankId(bank));
                    }
                }
                // What an older moment has stays as it was.
                for (held, expected) in [before, (held.clone(), expected.clone())] {
                    prop_assert_eq!(held.count(), expected.len());
                    prop_assert_eq!(held.sorted(), expected.keys().copied().map(ItemId).collect::<Vec<_>>());
                    prop_assert!((0..3 * BUCKETS as u64).all(|item| held.contains(ItemId(item)) == expected.contains_key(&item)));
                }
            }
        }
    }
}
