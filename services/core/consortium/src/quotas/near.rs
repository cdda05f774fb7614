//! The budget of near queries: it limits how much of one item's hash a member can learn in a day.
//!
//! A caller that may search and has a query near a hash can reconstruct the hash: it alters the query and
//! observes the answers. Starting from a copy 20 bits away, flipping single bits takes 257 queries if exact
//! distances are returned, and 271 with only "match" or "no match". Exchanging pairs of bits, which passes
//! the check of weights, takes 168 and 192 queries; exchanging groups of pairs takes 84 with exact distances.
//! The budget bounds the number of answers that reveal something.
//!
//! **Counted queries.** A pair is a member and an item that it has matched at a distance above 0. Each
//! matching query is an *anchor*. By the triangle inequality, a search of radius `r` can match the same hash
//! only within `r` plus the anchor's distance, measured from the anchor: this is the anchor's reach. So "no
//! match" beyond the reach reveals nothing new. Each different query within the reach counts, **whether or
//! not it matches**: if only matches counted, a caller could probe along the outside of the boundary for
//! free. A pair's anchor is the nearest of its queries, so that the reach is small. The pair gets one more
//! anchor for each match beyond the reach of the others (an item with several hashes). Queries that do not
//! match count only from the pair's fourth query on, so that few pairs have to be compared with each query.
//! Before that, such queries reveal little: if a caller may have two further matches, each of 2,000 queries
//! can match with a probability of only 0.001, and all of them together reveal about 23 bits of the 95 that
//! separate the hash from a copy 20 bits away.
//!
//! **Answers after the budget is spent.** For the rest of the day, every different query within the reach is
//! answered as a match of the item at the distance of the last answer, whether or not it matches; queries
//! beyond the reach cannot match. So the answer depends only on what the member knows already, and reveals no
//! further bit. A real match is never hidden. The price is false matches: pictures within the reach of a
//! member's own query but not within the radius. With an anchor at distance 4 and the radius 31, these are
//! pictures 32 to 39 bits from the item's hash. The frontend's answer marks a repetition as such, and a
//! search for the anchor shows whether the item still exists.
//!
//! Equal queries get equal answers and count once. A query at distance 0 never counts. After the budget is
//! spent it gets the true answer only if it got it before, since otherwise the answer would confirm a guess.
//!
//! **Bounds.** A process holds at most [`PAIRS_MAX`] pairs, an equal share for each member, and the number of
//! digests that the default budget allows for each pair. A pair keeps its anchors and its first query in
//! memory; of other queries it keeps only keyed digests. All of it is dropped after one day.
//!
//! **Limits.** The budget does not cover several frontends (each counts for itself), several members who
//! cooperate, several items with one hash in banks that a caller searches one by one, radii above 40 (where
//! the cap on the reach is below the sum of the distances), and several days. It makes extraction slow, and
//! the alarms make it visible.
//!
//! Videos are not covered either: only PDQ queries are judged. With lists of frames, a member can probe
//! banked videos, and also the images of a bank whose charter lets images match videos. Canaries are hidden
//! in answers to videos too.

pub mod pdq_bits;
pub mod asked;
pub mod limits;
mod pair;
mod pairs;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use vigie_model::ItemId;

pub use self::asked::{Asked, Seen};
pub use self::limits::{NearLimits, PAIRS_MAX};
pub use self::pdq_bits::PdqBits;

use self::pair::Pair;
use self::pairs::{Pairs, Watched};

const DAY_SECS: u64 = 86_400;

/// An item that must be returned as a match at this distance, whether or not it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// The item.
    pub item: ItemId,
    /// The distance, within the radius.
    pub distance: u16,
    /// The index of the query hash that the answer names.
    pub hash: usize,
    /// A query of the member that matched the item before. If it still matches, the item still exists.
    pub anchor: PdqBits,
    /// The distance of that query from the item's hash.
    pub anchor_distance: u16,
}

/// A sign of extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sign {
    /// The member's near queries for an item differ at more bit positions than recompressions of a picture
    /// do.
    Positions,
    /// The budget of near queries is spent. A widely shared picture can cause this too.
    NearBudget,
    /// A canary matched: an item whose hash no real picture has.
    Canary,
}

impl Sign {
    /// Returns the name of the event in the audit.
    #[must_use]
    pub const fn event(self) -> &'static str {
        match self {
            Self::Positions => "alarm/positions",
            Self::NearBudget => "alarm/near-budget",
            Self::Canary => "alarm/canary",
        }
    }

    /// Returns the sign whose event has this name.
    #[must_use]
    pub fn of_event(name: &str) -> Option<Self> {
        [Self::Positions, Self::NearBudget, Self::Canary].into_iter().find(|sign| sign.event() == name)
    }
}

/// The changes to an answer, and the signs of extraction in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judged {
    /// Items whose answer is a repetition.
    pub repeats: Vec<Repeat>,
    /// Signs of extraction, each once for a pair in a day.
    pub signs: Vec<(ItemId, Sign)>,
}

/// The near queries of one member in one process.
#[derive(Debug, Default)]
pub struct Near {
    pairs: Mutex<Pairs>,
    /// The watched pairs, read for every answer without a lock; empty for most members.
    watched: ArcSwap<Vec<Watched>>,
}

impl Near {
    /// Judges the answer for one content: counts its queries for each item that a PDQ hash found or may have
    /// found, and returns the items whose answer must change. `now` is from a monotonic clock.
    pub fn judge(&self, limits: &NearLimits, asked: &Asked<'_>, seen: &[Seen], now: Duration) -> Judged {
        let watched = self.watched.load();
        let is_reached =
            |one: &&Watched| asked.hashes.iter().any(|hash| one.anchor.reaches(*hash, asked.radius));
        let reached: BTreeSet<ItemId> = watched.iter().filter(is_reached).map(|one| one.item).collect();
        if reached.is_empty() && seen.is_empty() {
            return Judged::default();
        }
        let mut pairs = self.of_day(now);
        let (mut judged, mut has_moved) = (Judged::default(), false);
        let unseen = reached.into_iter().filter(|item| seen.iter().all(|seen| seen.item != *item));
        let unseen: Vec<ItemId> = unseen.collect();
        let of_seen = seen.iter().map(|seen| (seen.item, Some(seen)));
        for (item, seen) in of_seen.chain(unseen.into_iter().map(|item| (item, None))) {
            let first = || {
                let seen = seen.filter(|seen| seen.distance > 0)?;
                Some(Pair::new(asked.hashes[*seen.candidates.first()?], seen.distance))
            };
            let Some(mut pair) = pairs.take(item).or_else(first) else { continue };
            let was_watched = pair.is_watched();
            let outcome = pair.judge(asked, seen, limits.budget(), &pairs.key);
            has_moved |= pair.is_watched() && (!was_watched || outcome.moved);
            has_moved |= pairs.put(item, pair, limits);
            judged.repeats.extend(outcome.spent.map(|repeated| Repeat {
                item,
                distance: repeated.distance,
                hash: repeated.hash,
                anchor: repeated.anchor.query,
                anchor_distance: repeated.anchor.distance,
            }));
            let signs = [(outcome.probed_now, Sign::Positions), (outcome.spent_now, Sign::NearBudget)];
            judged
                .signs
                .extend(signs.into_iter().filter(|(is_now, _)| *is_now).map(|(_, sign)| (item, sign)));
        }
        if has_moved {
            self.watched.store(Arc::new(pairs.watched()));
        }
        judged
    }

    /// Whether an answer without matches needs no judgement, because no pair is watched. This is so for most
    /// members.
    pub fn watches_nothing(&self) -> bool {
        self.watched.load().is_empty()
    }

    /// Records that a canary was matched. Returns whether this is the first time today.
    pub fn canary(&self, item: ItemId, now: Duration) -> bool {
        self.of_day(now).is_first_of_canary(item)
    }

    /// Returns the pairs of today. Pairs of another day are dropped together with the key of their digests.
    fn of_day(&self, now: Duration) -> std::sync::MutexGuard<'_, Pairs> {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let today = now.as_secs() / DAY_SECS;
        if pairs.day != today {
            *pairs = Pairs::of_day(today);
            self.watched.store(Arc::default());
        }
        pairs
    }
}

#[cfg(test)]
mod tests;
