//! The writes of this run, and which of them an answer has to contain.
//!
//! Each added item has a random hash of a picture, which is near no other hash, so each item can be checked
//! on its own: an answer that includes its addition has to contain it, and one that includes its removal must
//! not.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use vigie_model::{ItemId, Sequence};

use crate::Hash;
use crate::data::draw::{Draw, Stream};
use crate::judge::oracle::{Identity, Presence};

/// The number of removed items that requests still ask for.
const GONE_KEPT: usize = 1_000;

/// An item that the run has added.
#[derive(Debug)]
pub(crate) struct LiveItem {
    number: u64,
    pub(crate) id: ItemId,
    added: Sequence,
    removal_begun: AtomicBool,
    /// The sequence of the acknowledged removal; 0 while there is none.
    removed: AtomicU64,
}

impl LiveItem {
    pub(crate) const fn new(number: u64, id: ItemId, added: Sequence) -> Self {
        Self { number, id, added, removal_begun: AtomicBool::new(false), removed: AtomicU64::new(0) }
    }

    pub(crate) const fn identity(&self) -> Identity {
        Identity::Live(self.number)
    }

    /// Returns the hash under which the item with this number is banked.
    pub(crate) fn hash_of(seed: u64, number: u64) -> Hash {
        Draw::new(seed, Stream::Update, number).hash_of_a_picture()
    }

    pub(crate) fn hash(&self, seed: u64) -> Hash {
        Self::hash_of(seed, self.number)
    }

    /// Returns whether an answer that includes the log up to `sequence`, and has arrived by now, has to
    /// contain the item.
    pub(crate) fn presence(&self, sequence: Sequence) -> Presence {
        let removed = self.removed.load(Ordering::Acquire);
        if removed > 0 && sequence.0 >= removed {
            Presence::MustNot
        } else if self.removal_begun.load(Ordering::Acquire) || sequence < self.added {
            Presence::May
        } else {
            Presence::Must
        }
    }
}

/// The items that a generator process has added and removed, and the sequences of its acknowledged writes.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    state: Mutex<State>,
    acknowledged: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    living: VecDeque<Arc<LiveItem>>,
    gone: VecDeque<Arc<LiveItem>>,
    /// Times and sequences of acknowledged writes, oldest first, each sequence higher than the one before.
    acknowledgements: VecDeque<(Instant, Sequence)>,
}

impl Ledger {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // A panic elsewhere leaves no half-changed item.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the sequence that the bank had acknowledged before the run.
    pub(crate) fn begin(&self, sequence: Sequence, now: Instant) {
        self.acknowledge(&mut self.state(), sequence, now);
    }

    pub(crate) fn added(&self, number: u64, id: ItemId, sequence: Sequence, now: Instant) -> Arc<LiveItem> {
        let item = Arc::new(LiveItem::new(number, id, sequence));
        let mut state = self.state();
        state.living.push_back(Arc::clone(&item));
        self.acknowledge(&mut state, sequence, now);
        item
    }

    /// Returns the oldest live item. From now on an answer may contain it or not.
    pub(crate) fn begin_removal(&self) -> Option<Arc<LiveItem>> {
        let item = self.state().living.pop_front()?;
        item.removal_begun.store(true, Ordering::Release);
        Some(item)
    }

    pub(crate) fn removed(&self, item: Arc<LiveItem>, sequence: Sequence, now: Instant) {
        item.removed.store(sequence.0, Ordering::Release);
        let mut state = self.state();
        state.gone.push_back(item);
        if state.gone.len() > GONE_KEPT {
            state.gone.pop_front();
        }
        self.acknowledge(&mut state, sequence, now);
    }

    fn acknowledge(&self, state: &mut State, sequence: Sequence, now: Instant) {
        let newest = state.acknowledgements.back().map_or(0, |newest| newest.1.0);
        if sequence.0 > newest {
            state.acknowledgements.push_back((now, sequence));
            self.acknowledged.store(sequence.0, Ordering::Release);
        }
    }

    /// Picks an item to ask for: three in four are live and one in four is removed, where there are such
    /// items.
    pub(crate) fn pick(&self, draw: &mut Draw) -> Option<Arc<LiveItem>> {
        let state = self.state();
        let gone = draw.below(4) == 0;
        let items = if (gone && !state.gone.is_empty()) || state.living.is_empty() {
            &state.gone
        } else {
            &state.living
        };
        let at = draw.below(items.len().max(1) as u64);
        items.get(usize::try_from(at).expect("below a length")).cloned()
    }

    /// Returns the highest acknowledged sequence.
    pub(crate) fn newest(&self) -> Sequence {
        Sequence(self.acknowledged.load(Ordering::Acquire))
    }

    /// Returns the highest sequence that was acknowledged at least `age` before `now`. The answer to a
    /// question that is sent at `now` has to include it.
    pub(crate) fn newest_before(&self, now: Instant, age: Duration) -> Sequence {
        let mut state = self.state();
        let mut found = Sequence(0);
        // Only the newest of the acknowledgements that are old enough is needed.
        while let Some(&(at, sequence)) = state.acknowledgements.front() {
            if now.saturating_duration_since(at) < age {
                return found;
            }
            found = sequence;
            match state.acknowledgements.get(1) {
                Some(&(next, _)) if now.saturating_duration_since(next) >= age => {
                    state.acknowledgements.pop_front();
                }
                _ => return found,
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_has_to_be_found_between_its_addition_and_its_removal() {
        let ledger = Ledger::default();
        let now = Instant::now();
        let item = ledger.added(7, ItemId(1), Sequence(10), now);
        assert_eq!(item.presence(Sequence(9)), Presence::May);
        assert_eq!(item.presence(Sequence(10)), Presence::Must);
        let same = ledger.begin_removal().unwrap();
        assert_eq!(item.presence(Sequence(50)), Presence::May);
        ledger.removed(same, Sequence(12), now);
        assert_eq!(item.presence(Sequence(11)), Presence::May);
        assert_eq!(item.presence(Sequence(12)), Presence::MustNot);
        assert!(ledger.begin_removal().is_none());
    }

    #[test]
    fn a_write_is_demanded_when_it_is_old_enough() {
        let ledger = Ledger::default();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let age = Duration::from_secs(5);
        assert_eq!(ledger.newest_before(at(100), age), Sequence(0));
        ledger.begin(Sequence(3), at(0));
        ledger.added(1, ItemId(1), Sequence(4), at(2));
        ledger.added(2, ItemId(2), Sequence(6), at(3));
        ledger.added(3, ItemId(3), Sequence(5), at(4));
        assert_eq!(ledger.newest(), Sequence(6));
        let demanded: Vec<u64> = [4, 5, 6, 7, 8, 100].map(|now| ledger.newest_before(at(now), age).0).into();
        assert_eq!(demanded, [0, 3, 3, 4, 6, 6]);
    }

    #[test]
    fn both_living_and_removed_items_are_asked_for() {
        let ledger = Ledger::default();
        let now = Instant::now();
        let mut draw = Draw::new(1, Stream::Request, 1);
        assert!(ledger.pick(&mut draw).is_none());
        (0..10).for_each(|number| drop(ledger.added(number, ItemId(number), Sequence(number + 1), now)));
        let item = ledger.begin_removal().unwrap();
        ledger.removed(item, Sequence(11), now);
        let picked: Vec<u64> = (0..400).map(|_| ledger.pick(&mut draw).unwrap().number).collect();
        let gone = picked.iter().filter(|&&number| number == 0).count();
        assert!((50..150).contains(&gone), "{gone}");
        assert!((1..10).all(|number| picked.contains(&number)));
    }
}
