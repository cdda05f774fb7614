//! A pair of a member and an item: the member's near queries for the item today, and its remaining budget.

use std::hash::{BuildHasher, RandomState};

use smallvec::SmallVec;

use super::asked::{Asked, Seen};
use super::pdq_bits::PdqBits;

/// The largest number of differing bits between two queries of one picture: PDQ's default distance.
const ONE_PICTURE: u32 = 31;

/// The largest reach of an anchor. Unrelated pictures differ in about 128 bits with a standard deviation of
/// 8, so fewer than one in a hundred million is within 80.
const REACH_MAX: u32 = 80;

/// The largest number of bit positions at which the near queries of one item may differ without an alarm.
/// Recompressions of a picture differ in the same few unstable bits; probes differ at all positions.
const POSITIONS_MAX: u32 = 96;

/// The same limit once the budget is spent. A caller who knows the budget and stops there covers fewer
/// positions, but still more than copies of a picture do.
const POSITIONS_SPENT_MAX: u32 = 36;

/// The largest number of anchors of one pair: a content has at most this number of hashes.
const ANCHORS_MAX: usize = 64;

/// The number of counted queries from which a pair is watched. A smaller number would add nearly all items
/// that a member matches to the list with which its other queries are compared.
const WATCHED_FROM: usize = 4;

/// A query that matched the item. A search can match the same hash only within the sum of its radius and the
/// anchor's distance, measured from the anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) query: PdqBits,
    /// The distance from the item's hash.
    pub(super) distance: u16,
}

impl Anchor {
    /// Whether a search for the query may match the item's hash, according to this anchor.
    pub(super) fn reaches(self, query: PdqBits, radius: u16) -> bool {
        let reach = (u32::from(self.distance) + u32::from(radius)).min(REACH_MAX);
        self.query.distance(query) <= reach
    }
}

/// The result of judging the queries of a content.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The repeated answer for the item, if the budget is spent.
    pub(super) spent: Option<Repeated>,
    /// Whether this query spent the budget.
    pub(super) spent_now: bool,
    /// Whether this query reached the number of positions that raises an alarm.
    pub(super) probed_now: bool,
    /// Whether the anchors have changed.
    pub(super) moved: bool,
}

/// An answer that replaces the true one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repeated {
    /// The index of the query hash that it is for.
    pub(super) hash: usize,
    /// The distance of the last answer.
    pub(super) distance: u16,
    pub(super) anchor: Anchor,
}

#[derive(Debug)]
pub(super) struct Pair {
    /// The pair's first near query.
    origin: PdqBits,
    /// Positions at which counted queries differ from `origin`.
    covered: PdqBits,
    anchors: SmallVec<[Anchor; 1]>,
    /// Keyed digests of the counted queries, ascending.
    known: SmallVec<[u64; 4]>,
    /// The digest of a query at distance 0 that got the true answer.
    exact: Option<u64>,
    /// The distance of the last true answer.
    last: u16,
    is_spent: bool,
    is_probed: bool,
}

impl Pair {
    /// Returns the pair of a first near match.
    pub(super) fn new(origin: PdqBits, distance: u16) -> Self {
        let (covered, anchors, known) = (PdqBits::default(), SmallVec::new(), SmallVec::new());
        Self {
            origin,
            covered,
            anchors,
            known,
            exact: None,
            last: distance,
            is_spent: false,
            is_probed: false,
        }
    }

    pub(super) fn anchors(&self) -> &[Anchor] {
        &self.anchors
    }

    /// Returns the number of counted queries.
    pub(super) fn counted(&self) -> usize {
        self.known.len()
    }

    /// Whether the budget is spent.
    pub(super) const fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// Whether queries that do not match are counted as well.
    pub(super) fn is_watched(&self) -> bool {
        self.is_spent || self.counted() >= WATCHED_FROM
    }

    /// Counts the queries of a content that may match the item, and decides how the item is answered.
    pub(super) fn judge(
        &mut self,
        asked: &Asked<'_>,
        seen: Option<&Seen>,
        budget: usize,
        key: &RandomState,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let candidates: &[usize] = seen.map_or(&[], |seen| &seen.candidates);
        let added = seen.map_or(0, |seen| self.add_anchors(asked, seen));
        outcome.moved = added > 0;
        let Some(nearest) = self.nearest(asked) else { return outcome };
        let is_exact = seen.is_some_and(|seen| seen.distance == 0);
        // "No match" within a smaller radius does not settle a larger one, but a distance is valid for all
        // radii.
        let salt = seen.map_or(u32::from(asked.radius) + 1, |_| 0);
        let digest = |at: usize| key.hash_one((asked.hashes[at], salt));
        let counts = |at: &usize| !(is_exact && candidates.contains(at));
        let counted: Vec<usize> = if asked.is_chosen {
            let may_match = |at: &usize| self.reaches(asked.hashes[*at], asked.radius);
            (0..asked.hashes.len()).filter(may_match).filter(counts).collect()
        } else {
            // A picture is one query, whatever the number of its hashes.
            candidates.first().copied().or(Some(nearest.0)).into_iter().filter(counts).collect()
        };
        let mut fresh: Vec<u64> = counted.iter().map(|at| digest(*at)).collect();
        fresh.sort_unstable();
        fresh.dedup();
        fresh.retain(|one| self.known.binary_search(one).is_err());
        let exact = candidates.first().filter(|_| is_exact).map(|at| digest(*at));
        let has_spent = self.is_spent || self.counted() + fresh.len() > budget;
        if !fresh.is_empty() {
            let positions_max = if has_spent { POSITIONS_SPENT_MAX } else { POSITIONS_MAX };
            self.cover(counted.iter().map(|at| asked.hashes[*at]));
            let is_probed = self.covered.count() > positions_max;
            outcome.probed_now = is_probed && !std::mem::replace(&mut self.is_probed, true);
        }
        let is_known = fresh.is_empty() && (exact.is_none() || exact == self.exact);
        if !has_spent || is_known {
            // Equal queries get equal answers, before and after the budget is spent.
            if !has_spent {
                if let Some(seen) = seen.filter(|_| !fresh.is_empty() && !is_exact) {
                    self.last = seen.distance;
                }
                self.known.extend(fresh);
                self.known.sort_unstable();
                self.exact = exact.or(self.exact);
                outcome.moved |= seen.is_some_and(|seen| self.improve_anchor(asked, seen));
            }
            return outcome;
        }
        // The reach must not depend on a distance that is not returned.
        self.anchors.iter_mut().rev().take(added).for_each(|anchor| anchor.distance = asked.radius);
        outcome.spent_now = !std::mem::replace(&mut self.is_spent, true);
        let (hash, anchor) = nearest;
        outcome.spent = Some(Repeated { hash, distance: self.last.min(asked.radius), anchor });
        outcome
    }

    /// Adds anchors for a match beyond the reach of all anchors, which belongs to another hash of the item.
    /// Returns the number of added anchors.
    fn add_anchors(&mut self, asked: &Asked<'_>, seen: &Seen) -> usize {
        let queries = || seen.candidates.iter().map(|at| asked.hashes[*at]);
        if queries().any(|query| self.reaches(query, asked.radius)) {
            return 0;
        }
        let room = ANCHORS_MAX.saturating_sub(seen.candidates.len());
        self.anchors.drain(..self.anchors.len().saturating_sub(room));
        self.anchors.extend(queries().map(|query| Anchor { query, distance: seen.distance }));
        seen.candidates.len()
    }

    /// Replaces an anchor that reaches the match and is farther from the item by the match. Returns whether
    /// there was such an anchor.
    fn improve_anchor(&mut self, asked: &Asked<'_>, seen: &Seen) -> bool {
        let [candidate] = *seen.candidates else { return false };
        let query = asked.hashes[candidate];
        let reaching = self.anchors.iter_mut().filter(|anchor| anchor.reaches(query, asked.radius));
        match reaching.min_by_key(|anchor| anchor.distance).filter(|anchor| seen.distance < anchor.distance) {
            None => false,
            Some(anchor) => {
                *anchor = Anchor { query, distance: seen.distance };
                true
            }
        }
    }

    fn reaches(&self, query: PdqBits, radius: u16) -> bool {
        self.anchors.iter().any(|anchor| anchor.reaches(query, radius))
    }

    /// Returns the index of the content's hash that is nearest to an anchor that reaches it, and the anchor.
    fn nearest(&self, asked: &Asked<'_>) -> Option<(usize, Anchor)> {
        let of_hash = |(at, query): (usize, &PdqBits)| {
            let reaching = self.anchors.iter().filter(|anchor| anchor.reaches(*query, asked.radius));
            reaching.map(|anchor| (anchor.query.distance(*query), at, *anchor)).min_by_key(|(far, ..)| *far)
        };
        let nearest = asked.hashes.iter().enumerate().filter_map(of_hash);
        nearest.min_by_key(|(far, at, _)| (*far, *at)).map(|(_, at, anchor)| (at, anchor))
    }

    /// Adds the bit positions at which these queries differ from the first query.
    fn cover(&mut self, queries: impl Iterator<Item = PdqBits>) {
        for query in queries.filter(|query| query.distance(self.origin) <= ONE_PICTURE) {
            self.covered = self.covered | (query ^ self.origin);
        }
    }
}
