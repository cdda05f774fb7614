use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

const NOW: Sequence = Sequence(9);

fn key(member: u32, item: u64) -> PairKey {
    (MemberId(member), ItemId(item))
}

fn counts(tracked: &Tracked, step: Step) -> Vec<(PairKey, u32)> {
    let mut all = Vec::new();
    let mut from = 0;
    // Parts whose length does not divide the number of pairs.
    while let Some(part) = tracked.counts(from, 3, step) {
        all.extend(part);
        from += 3;
    }
    all.sort_unstable();
    all
}

/// Matches as they were counted, each stored separately.
#[derive(Default)]
struct Naive {
    matches: Vec<(PairKey, Step)>,
    /// The pairs, ordered by their last match.
    order: Vec<Known>,
    dropped: u64,
}

#[derive(Clone, Copy)]
struct Known {
    key: PairKey,
    /// The sequence from which its matches count.
    counts_from: Sequence,
    last: Step,
}

impl Naive {
    fn count(&mut self, key: PairKey, as_of: Sequence, step: Step, pairs_max: usize) {
        let known = self.order.iter().position(|one| one.key == key).map(|at| self.order.remove(at));
        let is_over = |one: &Known| one.last + STEPS as u64 <= step;
        let oldest = match self.order.first() {
            Some(first) if is_over(first) => Some(0),
            Some(_) if self.order.len() == pairs_max => Some(self.first_of_the_most(key.0)),
            Some(_) | None => None,
        };
        if let (None, Some(oldest)) = (known, oldest) {
            let gone = self.order.remove(oldest);
            self.dropped += u64::from(!is_over(&gone));
            self.matches.retain(|(one, _)| *one != gone.key);
        }
        let counts_from = known.map_or(Sequence::default(), |known| known.counts_from);
        self.order.push(Known { key, counts_from, last: step });
        if as_of >= counts_from {
            self.matches.push((key, step));
        }
    }

    /// Returns the index of the first pair of the member with the most pairs: the member that asks, if it has
    /// as many as any, else the one with the highest id.
    fn first_of_the_most(&self, asks: MemberId) -> usize {
        let members = || self.order.iter().map(|one| one.key.0);
        let len = |member| members().filter(|one| *one == member).count();
        let most = members().max_by_key(|member| (len(*member), *member == asks, *member)).unwrap();
        members().position(|member| member == most).unwrap()
    }

    fn begin_anew(&mut self, key: PairKey, counts_from: Sequence) {
        self.matches.retain(|(one, _)| *one != key);
        self.order.iter_mut().filter(|one| one.key == key).for_each(|one| one.counts_from = counts_from);
    }

    fn counts(&self, step: Step) -> Vec<(PairKey, u32)> {
        let of = |key| {
            let is_it = |(one, at): &&(PairKey, Step)| *one == key && at + STEPS as u64 > step;
            (key, u32::try_from(self.matches.iter().filter(is_it).count()).unwrap())
        };
        let mut all: Vec<_> =
            self.order.iter().map(|known| of(known.key)).filter(|(_, count)| *count > 0).collect();
        all.sort_unstable();
        all
    }
}

#[test]
fn counts_are_those_of_each_match_by_itself_in_any_order() {
    for seed in 0..300 {
        let mut random = SmallRng::seed_from_u64(seed);
        let pairs_max = random.random_range(1..12);
        let members = random.random_range(1..5);
        let (mut tracked, mut naive) = (Tracked::new(u32::MAX, pairs_max), Naive::default());
        let mut step = 0;
        for _ in 0..400 {
            let key = key(random.random_range(0..members), random.random_range(1..6));
            match random.random_range(0..20) {
                // Within the window, at its end, and beyond.
                0 => step += random.random_range(1..25),
                1 => {
                    let counts_from = Sequence(random.random_range(0..4));
                    tracked.begin_anew(key, counts_from);
                    naive.begin_anew(key, counts_from);
                }
                _ => {
                    let as_of = Sequence(random.random_range(0..4));
                    tracked.count(key, as_of, step);
                    naive.count(key, as_of, step, pairs_max);
                }
            }
            step += u64::from(random.random_bool(0.1));
            assert_eq!(counts(&tracked, step), naive.counts(step), "seed {seed}, step {step}");
            assert!(tracked.len() <= pairs_max && tracked.places.len() == tracked.len(), "seed {seed}");
            let of_members: usize = tracked.members.values().map(|own| own.len).sum();
            assert_eq!(
                (of_members, tracked.by_len.len()),
                (tracked.len(), tracked.members.len()),
                "seed {seed}"
            );
        }
        assert_eq!(tracked.take_dropped(), naive.dropped, "seed {seed}");
    }
}

#[test]
fn a_match_counts_for_the_window_and_no_longer() {
    let mut tracked = Tracked::new(1_000, 10);
    let one = key(2, 7);
    (0..3).for_each(|_| tracked.count(one, NOW, 5));
    tracked.count(one, NOW, 14);
    assert_eq!(counts(&tracked, 14), [(one, 4)]);
    assert_eq!(counts(&tracked, 15), [(one, 1)]);
    assert_eq!(counts(&tracked, 23), [(one, 1)]);
    assert_eq!(counts(&tracked, 24), []);
    // Long afterwards, in the same slots.
    tracked.count(one, NOW, 1_000_014);
    assert_eq!(counts(&tracked, 1_000_014), [(one, 1)]);
}

#[test]
fn a_pair_is_noted_once_until_it_is_taken() {
    let mut tracked = Tracked::new(3, 10);
    let (one, other) = (key(2, 7), key(3, 7));
    (0..2).for_each(|_| tracked.count(one, NOW, 0));
    (0..2).for_each(|_| tracked.count(other, NOW, 0));
    assert_eq!(tracked.take_candidates(), []);
    (0..5).for_each(|_| tracked.count(one, NOW, 1));
    assert_eq!(tracked.take_candidates(), [one]);
    assert_eq!(tracked.take_candidates(), []);
    tracked.count(one, NOW, 1);
    assert_eq!(tracked.take_candidates(), [one]);
}

#[test]
fn matches_from_before_a_hold_do_not_count() {
    let mut tracked = Tracked::new(3, 10);
    let one = key(2, 7);
    (0..5).for_each(|_| tracked.count(one, Sequence(20), 0));
    assert_eq!(tracked.take_candidates(), [one]);
    tracked.begin_anew(one, Sequence(u64::MAX));
    (0..5).for_each(|_| tracked.count(one, Sequence(21), 0));
    tracked.begin_anew(one, Sequence(22));
    (0..5).for_each(|_| tracked.count(one, Sequence(21), 0));
    assert_eq!((counts(&tracked, 0), tracked.take_candidates()), (vec![], vec![]));
    (0..2).for_each(|_| tracked.count(one, Sequence(22), 0));
    assert_eq!((counts(&tracked, 0), tracked.take_candidates()), (vec![(one, 2)], vec![]));
}

#[test]
fn the_pair_that_matched_least_recently_is_dropped_and_one_that_is_over_makes_way_uncounted() {
    let mut tracked = Tracked::new(1_000, 3);
    for item in [1, 2, 3, 1, 4] {
        tracked.count(key(2, item), NOW, 0);
    }
    let kept = [(key(2, 1), 2), (key(2, 3), 1), (key(2, 4), 1)];
    assert_eq!((counts(&tracked, 0), tracked.take_dropped()), (kept.to_vec(), 1));
    tracked.count(key(2, 5), NOW, STEPS as u64);
    assert_eq!((tracked.len(), tracked.take_dropped()), (3, 0));
    assert_eq!(counts(&tracked, STEPS as u64), [(key(2, 5), 1)]);
    // A slot is not reused before the others are needed.
    let mut roomy = Tracked::new(1_000, 100);
    for step in 0..1_000 {
        roomy.count(key(2, step), NOW, step);
    }
    assert_eq!((roomy.len(), roomy.take_dropped()), (STEPS, 0));
}
