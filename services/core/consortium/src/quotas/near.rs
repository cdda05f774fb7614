//! The budget of near queries: how much a member may learn in a day of one item's hash.
//!
//! Whoever may search can reconstruct a hash that it is near to, by altering a query and watching the
//! answers. From a copy 20 bits away single bits take 257 queries by exact distances and 271 by "match or no
//! match"; exchanged pairs, which pass the check of weights, take 168 and 192; and groups of exchanged pairs
//! 84 by exact distances. The budget bounds the answers that a caller can learn from.
//!
//! **What counts.** A pair is a member and an item that it has matched at a distance above 0. Each matching
//! query is an *anchor*: by the triangle inequality a search of radius `r` cannot match the same hash farther
//! than `r` plus the anchor's distance from the anchor. So "no match" beyond that reach says nothing that the
//! member does not know, and each different query within it counts, **whether or not it matches**: counting
//! matches alone would let a caller walk along the outside of the boundary for nothing. A pair has as its
//! anchor the nearest of its queries, so that the reach is small, and one more for each match beyond the
//! reach of the others (an item with several hashes). Queries that do not match count from the pair's fourth
//! query on, so that few pairs have to be compared with each query. Before that they are of little use: of a
//! caller who may have two further matches each of 2,000 queries has to match with a probability of 0.001,
//! and all of them together have about 23 bits, of the 95 that are between the hash and a copy 20 bits away.
//!
//! **What is answered once the budget is spent.** Every different query within the reach is answered as a
//! match of the item at the distance of the last answer, whether or not it matches, and nothing beyond the
//! reach can match. So the answer is a function of what the member knows already and has no further bit, for
//! the rest of the day. A real match is never hidden. The price is a false match: a picture within the reach
//! of a member's own query that is not within the radius. With an anchor at distance 4 and the radius 31 that
//! is one of between 32 and 39 bits from the item's hash. The frontend's answer shows that it is a
//! repetition, and a search for the anchor shows that the item is still there.
//!
//! Equal queries have equal answers and count once. A query of distance 0 never counts; after the budget is
//! spent it is answered truly only if it was so before, since it would otherwise confirm a guess.
//!
//! **Bounds.** A process holds at most [`PAIRS_MAX`] pairs, an equal share for each member, and as many
//! digests as the default budget has for each pair. A pair holds its anchors and its first query in memory,
//! no other query but keyed digests, and all of it for one day.
//!
//! Not covered: several frontends (each counts for itself), several members who work together, several items
//! of one hash that a caller searches one by one by their banks, radii above 40 (where the reach ends before
//! the sum does), and several days: the budget makes extraction slow, and the alarms make it visible.
//!
//! Nor are videos covered: only PDQ queries are judged. A member can probe banked videos by lists of frames,
//! and by the same lists the images of a bank whose charter lets images answer videos. Canaries are hidden
//! from the answers to videos too.

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

/// An item that is to be answered as a match at this distance, whether or not it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeat {
    /// The item.
    pub item: ItemId,
    /// The distance, within the radius.
    pub distance: u16,
    /// The index of the hash that the answer names.
    pub hash: usize,
    /// A query of the member that is known to match the item: whether it still does says whether the item is
    /// still there.
    pub anchor: PdqBits,
    /// The distance of that query.
    pub anchor_distance: u16,
}

/// A sign of extraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sign {
    /// The member's near queries of an item differ at more bit positions than recompressions of a picture do.
    Positions,
    /// The budget of near queries is spent, which a picture that many people share may do as well.
    NearBudget,
    /// An item was matched whose hash no picture has.
    Canary,
}

impl Sign {
    /// The name of the event in the audit.
    #[must_use]
    pub const fn event(self) -> &'static str {
        match self {
            Self::Positions => "alarm/positions",
            Self::NearBudget => "alarm/near-budget",
            Self::Canary => "alarm/canary",
        }
    }

    /// The sign whose event has this name.
    #[must_use]
    pub fn of_event(name: &str) -> Option<Self> {
        [Self::Positions, Self::NearBudget, Self::Canary].into_iter().find(|sign| sign.event() == name)
    }
}

/// What is to be done about an answer.
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
    /// Read by every answer, without a lock; empty for most members.
    watched: ArcSwap<Vec<Watched>>,
}

impl Near {
    /// Judges the answer for one content: counts its queries for each item that was found by a PDQ hash or
    /// may have been, and returns what is to be answered otherwise. `now` is that of a clock that does not go
    /// back.
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

    /// Whether a content of which no item was found needs no judgement: so it is for most members.
    pub fn watches_nothing(&self) -> bool {
        self.watched.load().is_empty()
    }

    /// Notes that a canary was matched. Returns whether that is the first time today.
    pub fn canary(&self, item: ItemId, now: Duration) -> bool {
        self.of_day(now).is_first_of_canary(item)
    }

    /// The pairs of today: those of another day are forgotten, and so is the key of their digests.
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
