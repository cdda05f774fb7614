//! What one query has found so far: the nearest items, and no more of them than are wanted.
//!
//! A bank may bear one hash a million times, and a query asks for some hundred items: what is kept is bounded by that, and
//! so is the time that giving it up takes. Items are kept by their nearest hash. Where twice as many are there as are
//! wanted, the farther half goes, and from then on nothing as far enters. An item's nearest hash only becomes nearer as the search goes
//! on, so one that belongs to the answer enters at the latest with the hash that makes it so.
//!
//! How many hashes of an item matched is not counted here, where some may have passed by before the item entered: its
//! record has all of its hashes.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use vigie_index::Entry;
use vigie_model::{BankId, Distance, HashType, ItemId, Variant};

/// The nearest hash of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Best {
    pub(crate) bank: BankId,
    pub(crate) nearest: (Distance, HashType, Variant),
}

/// The order of answers.
type Place = (Distance, ItemId);

/// See the module.
#[derive(Debug)]
pub(crate) struct Found {
    wanted: usize,
    items: HashMap<ItemId, Best>,
    /// The last place that is of use, once more items were found than are wanted.
    last: Option<Place>,
    /// An item was left out that is set aside for whoever searches.
    has_aside: bool,
}

/// The nearest items in the order of answers.
#[derive(Debug)]
pub(crate) struct Nearest {
    pub(crate) items: Vec<(ItemId, Best)>,
    /// There are more than were wanted.
    pub(crate) has_more: bool,
    /// An item was left out that is set aside for whoever searches.
    pub(crate) has_aside: bool,
}

impl Found {
    /// Nothing yet, of at most so many items, at least one.
    pub(crate) fn new(wanted: usize) -> Self {
        Self { wanted, items: HashMap::new(), last: None, has_aside: false }
    }

    /// Whether a hash of an item is farther than all that are wanted.
    #[inline]
    pub(crate) fn is_beyond(&self, distance: Distance, item: ItemId) -> bool {
        self.last.is_some_and(|last| (distance, item) > last)
    }

    /// Notes that an item was left out, which is set aside.
    pub(crate) fn set_aside(&mut self) {
        self.has_aside = true;
    }

    /// Takes in a hash of an item.
    pub(crate) fn note(&mut self, entry: Entry, nearest: (Distance, HashType, Variant)) {
        if self.is_beyond(nearest.0, entry.item) {
            return;
        }
        match self.items.entry(entry.item) {
            Slot::Vacant(slot) => {
                slot.insert(Best { bank: entry.bank, nearest });
                if self.items.len() > 2 * self.wanted {
                    self.cut();
                }
            }
            Slot::Occupied(mut slot) => {
                let best = slot.get_mut();
                best.nearest = best.nearest.min(nearest);
            }
        }
    }

    /// Keeps the nearest that are wanted, where there are more.
    fn cut(&mut self) {
        let mut places: Vec<Place> = self.items.iter().map(|(item, best)| (best.nearest.0, *item)).collect();
        let (_, last, _) = places.select_nth_unstable(self.wanted - 1);
        let last = *last;
        self.items.retain(|item, best| (best.nearest.0, *item) <= last);
        self.last = Some(last);
    }

    /// The nearest items.
    pub(crate) fn into_nearest(mut self) -> Nearest {
        if self.items.len() > self.wanted {
            self.cut();
        }
        let mut items: Vec<(ItemId, Best)> = self.items.into_iter().collect();
        items.sort_unstable_by_key(|(item, best)| (best.nearest.0, *item));
        Nearest { items, has_more: self.last.is_some(), has_aside: self.has_aside }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_nearest_are_those_of_a_sort_of_everything(
            hits in vec((0_u64..40, 0_u16..6, 0_usize..8), 0..200),
            wanted in 1_usize..30,
        ) {
            let mut found = Found::new(wanted);
            let mut all = BTreeMap::new();
            for (item, distance, variant) in hits {
                let nearest = (Distance(distance), HashType::PDQ, Variant::ALL[variant]);
                found.note(Entry { item: ItemId(item), bank: BankId(7) }, nearest);
                prop_assert!(found.items.len() <= 2 * wanted);
                all.entry(ItemId(item)).and_modify(|best| *best = nearest.min(*best)).or_insert(nearest);
            }
            let mut expected: Vec<_> = all.into_iter().collect();
            expected.sort_by_key(|(item, best)| (best.0, *item));
            let nearest = found.into_nearest();
            prop_assert_eq!(nearest.has_more, expected.len() > wanted);
            expected.truncate(wanted);
            let told: Vec<_> = nearest.items.iter().map(|(item, best)| (*item, best.nearest)).collect();
            prop_assert_eq!(told, expected);
        }
    }
}
