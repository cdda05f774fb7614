//! Collects what one query has found: the nearest items, and at most as many as are wanted.
//!
//! A bank may have one hash a million times, while a query wants some hundred items. The number of items that
//! are kept is bounded by the number wanted, and so is the time to drop them. Items are ordered by their
//! nearest hash. Once there are twice as many as wanted, the farther half is dropped, and from then on no
//! item that is farther than the rest enters. An item's nearest hash only becomes nearer during the search,
//! so an item of the answer enters at the latest with its nearest hash.
//!
//! The number of an item's matching hashes is not counted here, because some of them may come before the item
//! enters. It is counted later from the item's record, which has all of its hashes.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use vigie_index::Entry;
use vigie_model::{BankId, Distance, HashType, ItemId, Rank, Variant, VideoEvidence};

/// A matching hash of an item: its distance, its type, and the query's variant.
pub(crate) type Near = (Distance, HashType, Variant);

/// A match of the query's video with an item's: the distance of their nearest frames, the query's variant,
/// and the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NearVideo {
    pub(crate) distance: Distance,
    pub(crate) variant: Variant,
    pub(crate) evidence: VideoEvidence,
}

impl NearVideo {
    /// Returns the key that orders the videos of one item. The answer names the least.
    fn order(&self, item: ItemId) -> (Rank, Distance, Variant) {
        (Rank::of_video(&self.evidence, item), self.distance, self.variant)
    }
}

/// The best match of an item: a hash, a video, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Best {
    pub(crate) bank: BankId,
    hash: Option<Near>,
    pub(crate) video: Option<Box<NearVideo>>,
}

impl Best {
    /// Returns the better of both, with its rank.
    fn place(&self, item: ItemId) -> (Rank, Near) {
        let of_hash = |near: &Near| (Rank::of_hash(near.1, near.0, item), *near);
        let of_video = |video: &NearVideo| {
            let (rank, distance, variant) = video.order(item);
            (rank, (distance, HashType::VPDQ, variant))
        };
        let both = self.hash.iter().map(of_hash).chain(self.video.iter().map(|video| of_video(video)));
        both.min().expect("an item is found by a hash or by its video")
    }

    /// Returns the match that the answer names.
    pub(crate) fn nearest(&self, item: ItemId) -> Near {
        self.place(item).1
    }
}

/// The items that one query has found so far.
#[derive(Debug)]
pub(crate) struct Found {
    wanted: usize,
    items: HashMap<ItemId, Best>,
    /// The rank of the last item that can be in the answer, once more items were found than are wanted.
    last: Option<Rank>,
    /// Whether an item was left out because it is set aside for the caller.
    has_aside: bool,
    /// See `QueryMatches::common_frames`.
    common_frames: u32,
}

/// The nearest items, in the order of answers.
#[derive(Debug)]
pub(crate) struct Nearest {
    pub(crate) items: Vec<(ItemId, Best)>,
    /// Whether more items were found than are wanted.
    pub(crate) has_more: bool,
    /// Whether an item was left out because it is set aside for the caller.
    pub(crate) has_aside: bool,
    /// See `QueryMatches::common_frames`.
    pub(crate) common_frames: u32,
}

impl Found {
    /// Returns an empty collection of at most `wanted` items, which must be at least one.
    pub(crate) fn new(wanted: usize) -> Self {
        Self { wanted, items: HashMap::new(), last: None, has_aside: false, common_frames: 0 }
    }

    /// Returns whether a hash of an item is too far to be in the answer.
    #[inline]
    pub(crate) fn is_beyond(&self, hash_type: HashType, distance: Distance, item: ItemId) -> bool {
        self.last.is_some_and(|last| Rank::of_hash(hash_type, distance, item) > last)
    }

    /// Records that an item was left out because it is set aside.
    pub(crate) fn set_aside(&mut self) {
        self.has_aside = true;
    }

    /// Records the number of the query's frames that were not searched in full.
    pub(crate) fn set_common_frames(&mut self, frames: u32) {
        self.common_frames = self.common_frames.max(frames);
    }

    /// Adds a matching hash of an item.
    pub(crate) fn note(&mut self, entry: Entry, near: Near) {
        if self.is_beyond(near.1, near.0, entry.item) {
            return;
        }
        match self.items.entry(entry.item) {
            Slot::Vacant(slot) => {
                slot.insert(Best { bank: entry.bank, hash: Some(near), video: None });
                self.make_room();
            }
            Slot::Occupied(mut slot) => {
                let best = &mut slot.get_mut().hash;
                *best = Some(best.map_or(near, |best| best.min(near)));
            }
        }
    }

    /// Adds a matching video of an item. Call it after all hashes, so that an item that is already there by a
    /// hash keeps its evidence, however far the video is.
    pub(crate) fn note_video(&mut self, entry: Entry, near: NearVideo) {
        let Entry { item, bank } = entry;
        match self.items.entry(item) {
            Slot::Vacant(slot) => {
                if self.last.is_none_or(|last| near.order(item).0 <= last) {
                    slot.insert(Best { bank, hash: None, video: Some(Box::new(near)) });
                    self.make_room();
                }
            }
            Slot::Occupied(mut slot) => {
                let best = &mut slot.get_mut().video;
                if best.as_ref().is_none_or(|best| near.order(item) < best.order(item)) {
                    *best = Some(Box::new(near));
                }
            }
        }
    }

    fn make_room(&mut self) {
        if self.items.len() > 2 * self.wanted {
            self.cut();
        }
    }

    /// Keeps only the nearest items, as many as are wanted.
    fn cut(&mut self) {
        let mut places: Vec<Rank> = self.items.iter().map(|(item, best)| best.place(*item).0).collect();
        let (_, last, _) = places.select_nth_unstable(self.wanted - 1);
        let last = *last;
        self.items.retain(|item, best| best.place(*item).0 <= last);
        self.last = Some(last);
    }

    /// Returns the nearest items.
    pub(crate) fn into_nearest(mut self) -> Nearest {
        if self.items.len() > self.wanted {
            self.cut();
        }
        let Self { items, last, has_aside, common_frames, .. } = self;
        let mut items: Vec<(ItemId, Best)> = items.into_iter().collect();
        items.sort_by_cached_key(|(item, best)| best.place(*item).0);
        Nearest { items, has_more: last.is_some(), has_aside, common_frames }
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
            hits in vec((0_u64..40, 0_u32..6, 0_usize..8), 0..200),
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
            let kept: Vec<_> = nearest.items.iter().map(|(item, best)| (*item, best.nearest(*item))).collect();
            prop_assert_eq!(kept, expected);
        }
    }
}
