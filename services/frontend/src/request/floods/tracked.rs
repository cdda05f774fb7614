//! Matches by member and item within a sliding window, of as many pairs as fit.
//!
//! A match costs a look-up and a few words, whatever is tracked. The window moves in steps of a tenth: a match counts for at least nine tenths
//! of it, and for no longer than the window.

use std::collections::HashMap;

use vigie_model::{ItemId, MemberId, Sequence};

/// The steps of a window.
pub(super) const STEPS: usize = 10;

/// Items that wait to be judged. Where there are more, a later match notes them.
const CANDIDATES_MAX: usize = 10_000;

/// The end of the list of pairs.
const NONE: usize = usize::MAX;

/// A member and an item that matched there.
pub(super) type PairKey = (MemberId, ItemId);

/// The number of a step of the window since the process began.
pub(super) type Step = u64;

/// The pairs of members and items that matched in the window. Beyond `pairs_max` the pair whose last match is the oldest is dropped.
#[derive(Debug)]
pub(super) struct Tracked {
    /// The matches of a pair from which on it is judged.
    matches_min: u32,
    pairs_max: usize,
    places: HashMap<PairKey, usize>,
    pairs: Vec<Pair>,
    /// The pairs with the latest and with the earliest last match.
    newest: usize,
    oldest: usize,
    candidates: Vec<PairKey>,
    dropped: u64,
}

#[derive(Debug)]
struct Pair {
    key: PairKey,
    /// Matches of each step, by the step's number modulo their count.
    counts: [u32; STEPS],
    /// The step of the last match.
    last: Step,
    /// The first state of the list whose matches count: earlier ones are from before a hold.
    counts_from: Sequence,
    is_candidate: bool,
    newer: usize,
    older: usize,
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
            newer: NONE,
            older: NONE,
        }
    }

    /// Sets the steps between the last match and this one to nothing.
    fn move_to(&mut self, step: Step) {
        let passed = usize::try_from(step.saturating_sub(self.last)).unwrap_or(STEPS).min(STEPS);
        for back in 0..passed as u64 {
            self.counts[at(step - back)] = 0;
        }
        self.last = self.last.max(step);
    }

    /// The matches within the window that ends with this step.
    fn count(&self, step: Step) -> u32 {
        let passed = usize::try_from(step.saturating_sub(self.last)).unwrap_or(STEPS).min(STEPS);
        let kept = (STEPS - passed) as u64;
        let steps = (0..kept).filter_map(|back| self.last.checked_sub(back));
        steps.fold(0, |sum, step| sum.saturating_add(self.counts[at(step)]))
    }
}

/// The place of a step.
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
            newest: NONE,
            oldest: NONE,
            candidates: Vec::new(),
            dropped: 0,
        }
    }

    /// Counts one match of a pair, in an answer that has every change up to `as_of`. Steps do not go back.
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

    /// Takes the pairs that have matched often enough to be judged. Each is noted again at its next match.
    pub(super) fn take_candidates(&mut self) -> Vec<PairKey> {
        let taken = std::mem::take(&mut self.candidates);
        for key in &taken {
            if let Some(pair) = self.pair_mut(*key) {
                pair.is_candidate = false;
            }
        }
        taken
    }

    /// Sets the count of a pair to nothing. Only matches in answers from `counts_from` on count further.
    pub(super) fn begin_anew(&mut self, key: PairKey, counts_from: Sequence) {
        if let Some(pair) = self.pair_mut(key) {
            pair.counts = [0; STEPS];
            pair.counts_from = counts_from;
        }
    }

    /// The matches in the window of `len` pairs, from a place on; no more after the last place.
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

    /// Pairs for which memory is taken.
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Takes how many pairs were dropped within their window since the last call.
    pub(super) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }

    fn pair_mut(&mut self, key: PairKey) -> Option<&mut Pair> {
        self.places.get(&key).and_then(|place| self.pairs.get_mut(*place))
    }

    /// The place of a pair, which is one of another pair where that is over or no place is left.
    fn place_of(&mut self, key: PairKey, step: Step) -> usize {
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let is_full = self.pairs.len() >= self.pairs_max;
        let oldest = self.pairs.get(self.oldest).map(|pair| (pair.key, step >= pair.last + STEPS as u64));
        let place = match oldest {
            Some((oldest, is_over)) if is_over || is_full => {
                self.dropped += u64::from(!is_over);
                self.places.remove(&oldest);
                let place = self.oldest;
                self.unlink(place);
                self.pairs[place] = Pair::new(key, step);
                place
            }
            Some(_) | None => {
                self.pairs.push(Pair::new(key, step));
                self.pairs.len() - 1
            }
        };
        self.places.insert(key, place);
        self.link_newest(place);
        place
    }

    fn set_newest(&mut self, place: usize) {
        if self.newest != place {
            self.unlink(place);
            self.link_newest(place);
        }
    }

    fn unlink(&mut self, place: usize) {
        let (newer, older) = (self.pairs[place].newer, self.pairs[place].older);
        match self.pairs.get_mut(newer) {
            Some(pair) => pair.older = older,
            None => self.newest = older,
        }
        match self.pairs.get_mut(older) {
            Some(pair) => pair.newer = newer,
            None => self.oldest = newer,
        }
    }

    fn link_newest(&mut self, place: usize) {
        let before = std::mem::replace(&mut self.newest, place);
        match self.pairs.get_mut(before) {
            Some(pair) => pair.newer = place,
            None => self.oldest = place,
        }
        let pair = &mut self.pairs[place];
        (pair.newer, pair.older) = (NONE, before);
    }
}

#[cfg(test)]
mod tests;
