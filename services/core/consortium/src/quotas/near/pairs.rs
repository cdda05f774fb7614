//! The pairs of one member on one day, in bounded memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::RandomState;

use vigie_model::ItemId;

use super::limits::NearLimits;
use super::pair::{Anchor, Pair};

/// The largest number of watched pairs of a member. Each query is compared with each of them, which takes
/// about 12 microseconds for eight hashes and all pairs.
const WATCHED_MAX: usize = 512;

/// The largest number of canaries that are remembered as matched by a member in a day.
const CANARIES_MAX: usize = 1_024;

/// An anchor with which the member's queries are compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched {
    pub(super) item: ItemId,
    pub(super) anchor: Anchor,
}

/// The pairs, and the key of their digests, which has the same lifetime.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) key: RandomState,
    /// The day, counted from the origin of the clock.
    pub(super) day: u64,
    held: HashMap<ItemId, Held>,
    /// Pairs in the order of their last use, the least recent first: unwatched pairs here, watched ones in
    /// `watched`.
    light: BTreeMap<u64, ItemId>,
    watched: BTreeMap<u64, ItemId>,
    uses: u64,
    /// The number of digests in all pairs.
    digests: usize,
    canaries: BTreeSet<ItemId>,
}

#[derive(Debug)]
struct Held {
    pair: Pair,
    used: u64,
    is_watched: bool,
    counted: usize,
}

impl Pairs {
    pub(super) fn of_day(day: u64) -> Self {
        Self { day, ..Self::default() }
    }

    /// Removes a pair so that it can be changed. [`Self::put`] inserts it again.
    pub(super) fn take(&mut self, item: ItemId) -> Option<Pair> {
        let held = self.held.remove(&item)?;
        self.order(held.is_watched).remove(&held.used);
        self.digests -= held.counted;
        Some(held.pair)
    }

    /// Inserts a pair as the most recently used, and drops others if there are too many. Unwatched pairs are
    /// dropped first, so that matching many items once does not evict a pair with many queries. Returns
    /// whether a watched pair was dropped.
    pub(super) fn put(&mut self, item: ItemId, pair: Pair, limits: &NearLimits) -> bool {
        self.uses += 1;
        let (used, is_watched, counted) = (self.uses, pair.is_watched(), pair.counted());
        self.digests += counted;
        self.order(is_watched).insert(used, item);
        self.held.insert(item, Held { pair, used, is_watched, counted });
        let mut dropped_watched = false;
        while self.held.len() > 1
            && (self.held.len() > limits.pairs_max || self.digests > limits.digests_max())
        {
            let other = |order: &BTreeMap<u64, ItemId>| order.values().copied().find(|other| *other != item);
            let Some(oldest) = other(&self.light).or_else(|| self.oldest_watched(item)) else { break };
            dropped_watched |= self.take(oldest).is_some_and(|pair| pair.is_watched());
        }
        if self.watched.len() > WATCHED_MAX
            && let Some(oldest) = self.oldest_watched(item)
        {
            self.take(oldest);
            dropped_watched = true;
        }
        dropped_watched
    }

    /// Returns the anchors with which the member's queries are compared.
    pub(super) fn watched(&self) -> Vec<Watched> {
        let pairs = self.watched.values().filter_map(|item| Some((*item, self.held.get(item)?)));
        pairs
            .flat_map(|(item, held)| {
                held.pair.anchors().iter().map(move |anchor| Watched { item, anchor: *anchor })
            })
            .collect()
    }

    /// Records a match of a canary, and returns whether none was remembered before.
    pub(super) fn is_first_of_canary(&mut self, item: ItemId) -> bool {
        if self.canaries.len() >= CANARIES_MAX {
            self.canaries.pop_first();
        }
        self.canaries.insert(item)
    }

    /// Returns the watched pair to drop first, other than that of `item`: preferably one whose budget is not
    /// spent.
    fn oldest_watched(&self, item: ItemId) -> Option<ItemId> {
        let others = || self.watched.values().copied().filter(|other| *other != item);
        let is_unspent = |other: &ItemId| self.held.get(other).is_some_and(|held| !held.pair.is_spent());
        others().find(is_unspent).or_else(|| others().next())
    }

    fn order(&mut self, is_watched: bool) -> &mut BTreeMap<u64, ItemId> {
        if is_watched { &mut self.watched } else { &mut self.light }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.light.len() + self.watched.len(), self.held.len());
        assert_eq!(self.held.values().map(|held| held.pair.counted()).sum::<usize>(), self.digests);
        self.held.len()
    }

    #[cfg(test)]
    pub(super) const fn digests(&self) -> usize {
        self.digests
    }
}
