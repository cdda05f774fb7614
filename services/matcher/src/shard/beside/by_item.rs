//! A map for a few of a shard's items: those that are held, or those with a standing among the members.
//!
//! A search looks an item up only after it has found it, so marks cost nothing where there are none. Each
//! moment has its own map, and shares with the next one every bucket that does not change.

use std::sync::Arc;

use vigie_model::{BankId, ItemId};

/// The number of buckets. A change of one item copies one bucket; a range of the log also copies at most the
/// list of pointers to them.
const BUCKETS: usize = 1 << 12;

/// Marks of items, at most one for each item, with the item's bank.
#[derive(Debug, Clone)]
pub(crate) struct ByItem<T> {
    /// Buckets in ascending order of ids; the list is empty before the first mark.
    buckets: Vec<Arc<Vec<Mark<T>>>>,
    count: usize,
}

#[derive(Debug, Clone)]
struct Mark<T> {
    item: ItemId,
    bank: BankId,
    value: T,
}

impl<T> Default for ByItem<T> {
    fn default() -> Self {
        Self { buckets: Vec::new(), count: 0 }
    }
}

impl<T> ByItem<T> {
    /// Returns whether an item has a mark.
    #[inline]
    pub(crate) fn contains(&self, item: ItemId) -> bool {
        self.get(item).is_some()
    }

    /// Returns the mark of an item.
    #[inline]
    pub(crate) fn get(&self, item: ItemId) -> Option<&T> {
        if self.count == 0 {
            return None;
        }
        let bucket = &self.buckets[bucket(item)];
        slot(bucket, item).ok().map(|at| &bucket[at].value)
    }

    /// Returns the number of items that have a mark.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Returns the marks bucket by bucket, an order in which they can be inserted quickly.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ItemId, &T)> {
        self.buckets.iter().flat_map(|bucket| bucket.iter().map(|mark| (mark.item, &mark.value)))
    }

    /// Returns the items in ascending order of ids.
    pub(crate) fn sorted(&self) -> Vec<ItemId> {
        let mut items: Vec<ItemId> = self.iter().map(|(item, _)| item).collect();
        items.sort_unstable();
        items
    }
}

impl<T: Clone> ByItem<T> {
    /// Marks an item of a bank. Returns its previous mark.
    pub(crate) fn insert(&mut self, item: ItemId, bank: BankId, value: T) -> Option<T> {
        if self.buckets.is_empty() {
            self.buckets = vec![Arc::default(); BUCKETS];
        }
        let bucket = Arc::make_mut(&mut self.buckets[bucket(item)]);
        match slot(bucket, item) {
            Ok(at) => Some(std::mem::replace(&mut bucket[at].value, value)),
            Err(at) => {
                bucket.insert(at, Mark { item, bank, value });
                self.count += 1;
                None
            }
        }
    }

    /// Removes the mark of an item, and returns it.
    pub(crate) fn remove(&mut self, item: ItemId) -> Option<T> {
        if self.count == 0 {
            return None;
        }
        let bucket = &mut self.buckets[bucket(item)];
        let at = slot(bucket, item).ok()?;
        self.count -= 1;
        Some(Arc::make_mut(bucket).remove(at).value)
    }

    /// Removes the marks of the items of a deleted bank.
    pub(crate) fn remove_bank(&mut self, gone: BankId) {
        if self.count == 0 {
            return;
        }
        for bucket in &mut self.buckets {
            if bucket.iter().any(|mark| mark.bank == gone) {
                let before = bucket.len();
                Arc::make_mut(bucket).retain(|mark| mark.bank != gone);
                self.count -= before - bucket.len();
            }
        }
    }
}

/// Returns the bucket of an item. Ids are sequences, so neighbours get different buckets, and no caller can
/// choose the buckets of its items.
#[expect(clippy::cast_possible_truncation, reason = "the remainder is small")]
const fn bucket(item: ItemId) -> usize {
    (item.0 % BUCKETS as u64) as usize
}

fn slot<T>(bucket: &[Mark<T>], item: ItemId) -> Result<usize, usize> {
    bucket.binary_search_by_key(&item, |mark| mark.item)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(u64, u8),
        Remove(u64),
        RemoveBank(u32),
    }

    fn step() -> impl Strategy<Value = Step> {
        // There are few ids, and some share a bucket.
        let item = || (0..6_u64, 0..3_u64).prop_map(|(low, high)| 1 + low + high * BUCKETS as u64);
        prop_oneof![
            8 => (item(), any::<u8>()).prop_map(|(item, value)| Step::Insert(item, value)),
            4 => item().prop_map(Step::Remove),
            1 => (1..4_u32).prop_map(Step::RemoveBank),
        ]
    }

    proptest! {
        #[test]
        fn the_marks_are_those_of_a_map(steps in prop::collection::vec(step(), 0..60)) {
            // The bank of an item never changes.
            let bank_of = |item: u64| 1 + u32::try_from(item % 3).unwrap();
            let (mut marks, mut expected) = (ByItem::default(), BTreeMap::new());
            for step in steps {
                let before = (marks.clone(), expected.clone());
                match step {
                    Step::Insert(item, value) => {
                        let bank = bank_of(item);
                        let old = expected.insert(item, (bank, value)).map(|(_, value)| value);
                        prop_assert_eq!(marks.insert(ItemId(item), BankId(bank), value), old);
                    }
                    Step::Remove(item) => {
                        let old = expected.remove(&item).map(|(_, value)| value);
                        prop_assert_eq!(marks.remove(ItemId(item)), old);
                    }
                    Step::RemoveBank(bank) => {
                        expected.retain(|_, (of, _)| *of != bank);
                        marks.remove_bank(BankId(bank));
                    }
                }
                // The map of an older moment stays unchanged.
                for (marks, expected) in [before, (marks.clone(), expected.clone())] {
                    prop_assert_eq!(marks.count(), expected.len());
                    prop_assert_eq!(marks.sorted(), expected.keys().copied().map(ItemId).collect::<Vec<_>>());
                    let listed: BTreeMap<_, _> = marks.iter().map(|(item, value)| (item.0, *value)).collect();
                    let wanted: BTreeMap<_, _> = expected.iter().map(|(item, (_, value))| (*item, *value)).collect();
                    prop_assert_eq!(listed, wanted);
                    for item in 0..3 * BUCKETS as u64 {
                        let value = expected.get(&item).map(|(_, value)| value);
                        prop_assert_eq!(marks.get(ItemId(item)), value);
                        prop_assert_eq!(marks.contains(ItemId(item)), value.is_some());
                    }
                }
            }
        }
    }
}
