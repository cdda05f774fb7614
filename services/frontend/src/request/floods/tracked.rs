//! Matches by member and item within a sliding window, for a bounded number of pairs.
//!
//! A match costs two look-ups and a few words, however many pairs are tracked; the first match of a pair also
//! costs the logarithm of the number of members. The window moves in steps of a tenth: a match counts for at
//! least nine tenths of the window, and for no longer than the window.
//!
//! When no slot is free, the member with the most pairs loses one. So a member can take another member's slot
//! only while that one has more pairs, and the counts of a member with no more than its share do not depend
//! on the queries of others.

use std::collections::{BTreeSet, HashMap};

use vigie_model::{ItemId, MemberId, Sequence};

/// The number of steps of a window.
pub(super) const STEPS: usize = 10;

/// The most pairs that wait to be checked. Pairs beyond it are noted at a later match.
const CANDIDATES_MAX: usize = 10_000;

/// The index that marks the end of a list of pairs.
const NONE: usize = usize::MAX;

/// A member and an item that matched there.
pub(super) type PairKey = (MemberId, ItemId);

/// The number of a step of the window since the process began.
pub(super) type Step = u64;

/// The lists that a pair is in, as indices of its links: all pairs, and those of its member.
const ALL: usize = 0;
const OWN: usize = 1;

/// The pairs of members and items that matched in the window. Beyond `pairs_max` the member with the most
/// pairs loses the pair with the oldest last match. If the member of the new pair has as many pairs as any
/// other, it is this member that loses one.
#[derive(Debug)]
pub(super) struct Tracked {
    /// The number of matches from which a pair is checked for a flood.
    matches_min: u32,
    pairs_max: usize,
    places: HashMap<PairKey, usize>,
    pairs: Vec<Pair>,
    all: Ends,
    members: HashMap<MemberId, Own>,
    /// Members, ordered by their number of pairs.
    by_len: BTreeSet<(usize, MemberId)>,
    candidates: Vec<PairKey>,
    dropped: u64,
}

/// The pairs of a list with the latest and with the earliest last match.
#[derive(Debug, Clone, Copy)]
struct Ends {
    newest: usize,
    oldest: usize,
}

/// The pairs of a member, one or more.
#[derive(Debug)]
struct Own {
    ends: Ends,
    len: usize,
}

/// The neighbours of a pair in a list.
#[derive(Debug, Clone, Copy)]
struct Links {
    newer: usize,
    older: usize,
}

impl Ends {
    const NONE: Self = Self { newest: NONE, oldest: NONE };

    fn unlink(&mut self, list: usize, pairs: &mut [Pair], place: usize) {
        let Links { newer, older } = pairs[place].links[list];
        match pairs.get_mut(newer) {
            Some(pair) => pair.links[list].older = older,
            None => self.newest = older,
        }
        match pairs.get_mut(older) {
            Some(pair) => pair.links[list].newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_newest(&mut self, list: usize, pairs: &mut [Pair], place: usize) {
        let before = std::mem::replace(&mut self.newest, place);
        match pairs.get_mut(before) {
            Some(pair) => pair.links[list].newer = place,
            None => self.oldest = place,
        }
        pairs[place].links[list] = Links { newer: NONE, older: before };
    }
}

#[derive(Debug)]
struct Pair {
    key: PairKey,
    /// The matches of each step; the index is the step's number modulo [`STEPS`].
    counts: [u32; STEPS],
    /// The step of the last match.
    last: Step,
    /// The sequence from which answers count: earlier ones precede a hold.
    counts_from: Sequence,
    is_candidate: bool,
    /// The neighbours of the pair in each list that it is in.
    links: [Links; 2],
}

impl Pair {
    fn new(key: PairKey, step: Step) -> Self {
        let counts_from = Sequence::default();
        Self {
            key,
            counts: [0; STEPS],
            last: step,
            counts_from,
            is_candidate: false,
            links: [Links { newer: NONE, older: NONE }; 2],
        }
    }

    /// Sets the counts of the steps after the last match, up to this one, to zero.
    fn move_to(&mut self, step: Step) {
        let passed = usize::try_from(step.saturating_sub(self.last)).unwrap_or(STEPS).min(STEPS);
        for back in 0..passed as u64 {
            self.counts[at(step - back)] = 0;
        }
        self.last = self.last.max(step);
    }

    /// Returns the number of matches within the window that ends with this step.
    fn count(&self, step: Step) -> u32 {
        let passed = usize::try_from(step.saturating_sub(self.last)).unwrap_or(STEPS).min(STEPS);
        let kept = (STEPS - passed) as u64;
        let steps = (0..kept).filter_map(|back| self.last.checked_sub(back));
        steps.fold(0, |sum, step| sum.saturating_add(self.counts[at(step)]))
    }
}

/// Returns the index of a step in the counts.
fn at(step: Step) -> usize {
    usize::try_from(step % STEPS as u64).unwrap_or_default()
}

impl Tracked {
    pub(super) fn new(matches_min: u32, pairs_max: usize) -> Self {
        Self {
            matches_min,
            pairs_max: pairs_max.max(1),
            places: HashMap::new(),
            pairs: Vec::new(),
            all: Ends::NONE,
            members: HashMap::new(),
            by_len: BTreeSet::new(),
            candidates: Vec::new(),
            dropped: 0,
        }
    }

    /// Counts one match of a pair, in an answer with every change up to `as_of`. Steps never decrease.
    pub(super) fn count(&mut self, key: PairKey, as_of: Sequence, step: Step) {
        let place = self.place_of(key, step);
        self.set_newest(place);
        let pair = &mut self.pairs[place];
        pair.move_to(step);
        if as_of < pair.counts_from {
            return;
        }
        let count = &mut pair.counts[at(step)];
        *count = count.saturating_add(1);
        if !pair.is_candidate
            && self.candidates.len() < CANDIDATES_MAX
            && pair.count(step) >= self.matches_min
        {
            pair.is_candidate = true;
            self.candidates.push(key);
        }
    }

    /// Takes the pairs that have matched often enough to be checked. Each is noted again at its next match.
    pub(super) fn take_candidates(&mut self) -> Vec<PairKey> {
        let taken = std::mem::take(&mut self.candidates);
        for key in &taken {
            if let Some(pair) = self.pair_mut(*key) {
                pair.is_candidate = false;
            }
        }
        taken
    }

    /// Sets the count of a pair to zero. Afterwards only matches in answers from `counts_from` on count.
    pub(super) fn begin_anew(&mut self, key: PairKey, counts_from: Sequence) {
        if let Some(pair) = self.pair_mut(key) {
            pair.counts = [0; STEPS];
            pair.counts_from = counts_from;
        }
    }

    /// Returns the counts in the window of `len` pairs, from a slot on; `None` after the last slot.
    pub(super) fn counts(
        &self,
        from: usize,
        len: usize,
        step: Step,
    ) -> Option<impl Iterator<Item = (PairKey, u32)> + '_> {
        let to = from.saturating_add(len).min(self.pairs.len());
        let pairs = self.pairs.get(from..to).filter(|pairs| !pairs.is_empty())?;
        Some(pairs.iter().map(move |pair| (pair.key, pair.count(step))).filter(|(_, count)| *count > 0))
    }

    /// Returns the number of pairs for which memory is used.
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Returns how many pairs were dropped within their window since the last call.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn pair_mut(&mut self, key: PairKey) -> Option<&mut Pair> {
        self.places.get(&key).and_then(|place| self.pairs.get_mut(*place))
    }

    /// Returns the slot of a pair. A new pair reuses the slot of an expired pair, or that of another pair if
    /// no slot is free.
    fn place_of(&mut self, key: PairKey, step: Step) -> usize {
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = match self.place_to_take(key.0, step) {
            Some((place, is_over)) => {
                self.dropped += u64::from(!is_over);
                self.places.remove(&self.pairs[place].key);
                self.unlink(place);
                self.pairs[place] = Pair::new(key, step);
                place
            }
            None => {
                self.pairs.push(Pair::new(key, step));
                self.pairs.len() - 1
            }
        };
        self.places.insert(key, place);
        self.link_newest(place);
        place
    }

    /// Returns the slot that a new pair of a member reuses, and whether the pair in it has expired; `None` if
    /// the new pair gets a new slot.
    fn place_to_take(&self, member: MemberId, step: Step) -> Option<(usize, bool)> {
        let oldest = self.pairs.get(self.all.oldest)?;
        if step >= oldest.last + STEPS as u64 {
            return Some((self.all.oldest, true));
        }
        if self.pairs.len() < self.pairs_max {
            return None;
        }
        let (most, with_most) = self.by_len.last()?;
        let own = self.members.get(&member).filter(|own| own.len >= *most);
        own.or_else(|| self.members.get(with_most)).map(|own| (own.ends.oldest, false))
    }

    fn set_newest(&mut self, place: usize) {
        // The newest pair of all is also the newest pair of its member.
        if self.all.newest == place {
            return;
        }
        self.all.unlink(ALL, &mut self.pairs, place);
        self.all.link_newest(ALL, &mut self.pairs, place);
        let member = self.pairs[place].key.0;
        if let Some(own) = self.members.get_mut(&member).filter(|own| own.ends.newest != place) {
            own.ends.unlink(OWN, &mut self.pairs, place);
            own.ends.link_newest(OWN, &mut self.pairs, place);
        }
    }

    fn unlink(&mut self, place: usize) {
        self.all.unlink(ALL, &mut self.pairs, place);
        let member = self.pairs[place].key.0;
        let Some(own) = self.members.get_mut(&member) else { return };
        own.ends.unlink(OWN, &mut self.pairs, place);
        self.by_len.remove(&(own.len, member));
        own.len -= 1;
        if own.len == 0 {
            self.members.remove(&member);
        } else {
            self.by_len.insert((own.len, member));
        }
    }

    fn link_newest(&mut self, place: usize) {
        self.all.link_newest(ALL, &mut self.pairs, place);
        let member = self.pairs[place].key.0;
        let own = self.members.entry(member).or_insert(Own { ends: Ends::NONE, len: 0 });
        own.ends.link_newest(OWN, &mut self.pairs, place);
        self.by_len.remove(&(own.len, member));
        own.len += 1;
        self.by_len.insert((own.len, member));
    }
}

#[cfg(test)]
mod tests;
