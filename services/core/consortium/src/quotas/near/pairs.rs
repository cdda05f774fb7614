//! The pairs of one member on one day, in bounded memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::RandomState;

use vigie_model::ItemId;

use super::limits::NearLimits;
use super::pair::{Anchor, Pair};

/// Watched pairs of a member: each of its queries is compared with each of them, in about 12 microseconds for
/// eight hashes and all pairs.
const WATCHED_MAX: usize = 512;

/// Canaries of a day that a member is remembered to have matched.
const CANARIES_MAX: usize = 1_024;

/// An anchor that the member's queries are compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watched {
    pub(super) item: ItemId,
    pub(super) anchor: Anchor,
}

/// The pairs, and the key of their digests, which lives as long as they do.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    pub(super) key: RandomState,
    /// Counted from the beginning of the clock.
    pub(super) day: u64,
    held: HashMap<ItemId, Held>,
    /// By when they were used, the least recent first: pairs that are not watched, and pairs that are.
    light: BTreeMap<u64, ItemId>,
    watched: BTreeMap<u64, ItemId>,
    uses: u64,
    /// Digests of all pairs.
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

    /// Takes a pair out to be changed. [`Self::put`] brings it back.
    pub(super) fn take(&mut self, item: ItemId) -> Option<Pair> {
        let held = self.held.remove(&item)?;
        self.order(held.is_watched).remove(&held.used);
        self.digests -= held.counted;
        Some(held.pair)
    }

    /// Puts a pair in as the most recently used, and drops others where there are too many: those that are
    /// not watched first, so that a pair of many queries is not pushed out by matching many items once.
    /// Returns whether a watched pair was dropped.
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

    /// What the member's queries are to be compared with.
    pub(super) fn watched(&self) -> Vec<Watched> {
        let pairs = self.watched.values().filter_map(|item| Some((*item, self.held.get(item)?)));
        pairs
            .flat_map(|(item, held)| {
                held.pair.anchors().iter().map(move |anchor| Watched { item, anchor: *anchor })
            })
            .collect()
    }

    /// Whether this is the first match of the canary that is remembered.
    pub(super) fn is_first_of_canary(&mut self, item: ItemId) -> bool {
        if self.canaries.len() >= CANARIES_MAX {
            self.canaries.pop_first();
        }
        self.canaries.insert(item)
    }

    /// The watched pair to drop first, other than that of `item`: one whose budget is not spent, if there is
    /// any.
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
