use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::quotas::quota::Quota;

const ITEM: ItemId = ItemId(7);
const RADIUS: u16 = 31;
const DAY: Duration = Duration::from_secs(DAY_SECS);

/// Returns a hash in which half of the bits of every byte are set.
fn base() -> PdqBits {
    PdqBits::from_bytes(&[0x0f; 32]).unwrap()
}

/// Returns the base with these bit positions flipped.
fn flipped(positions: impl IntoIterator<Item = u8>) -> PdqBits {
    let mut bytes = base().to_bytes();
    positions.into_iter().for_each(|at| bytes[usize::from(at / 8)] ^= 0x80 >> (at % 8));
    PdqBits::from_bytes(&bytes).unwrap()
}

fn limits(budget: u16) -> NearLimits {
    NearLimits::new(&Quota { near_queries_per_item_day: budget, ..Quota::default() }, 1)
}

/// A world with one item that has one hash, searched by linear scan.
struct World {
    near: Near,
    limits: NearLimits,
    hash: PdqBits,
}

/// The answer for an item: its distance, and whether it is a repetition.
type Answer = (Option<u16>, bool);

impl World {
    fn new(hash: PdqBits, budget: u16) -> Self {
        Self { near: Near::default(), limits: limits(budget), hash }
    }

    fn true_distance(&self, query: PdqBits, radius: u16) -> Option<u16> {
        u16::try_from(self.hash.distance(query)).ok().filter(|distance| *distance <= radius)
    }

    fn ask(&self, query: PdqBits, radius: u16, now: Duration) -> (Answer, Judged) {
        let truth = self.true_distance(query, radius);
        let seen = truth.map(|distance| Seen { item: ITEM, distance, candidates: vec![0] });
        let asked = Asked { hashes: &[query], is_chosen: true, radius };
        let judged = self.near.judge(&self.limits, &asked, seen.as_slice(), now);
        let answer = match judged.repeats.first() {
            Some(repeat) => (Some(repeat.distance), true),
            None => (truth, false),
        };
        (answer, judged)
    }

    fn answer(&self, query: PdqBits) -> Answer {
        self.ask(query, RADIUS, Duration::ZERO).0
    }
}

#[test]
fn bits_and_bytes_are_the_same() {
    let bytes: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 7 % 256).unwrap());
    let bits = PdqBits::from_bytes(&bytes).unwrap();
    assert_eq!(bits.to_bytes(), bytes);
    assert_eq!(bits.count(), bytes.iter().map(|byte| byte.count_ones()).sum::<u32>());
    assert_eq!(flipped([0, 9, 255]).distance(base()), 3);
    assert!(PdqBits::from_bytes(&bytes[1..]).is_none());
    assert!(!format!("{bits:?}").contains("15"));
}

#[test]
fn a_spent_budget_repeats_the_last_answer_and_hides_nothing() {
    let world = World::new(base(), 5);
    for positions in 1..=5 {
        assert_eq!(world.answer(flipped(0..positions)), (Some(positions.into()), false));
    }
    // An equal query gets the same answer and does not count again.
    assert_eq!(world.answer(flipped(0..2)), (Some(2), false));
    let (answer, judged) = world.ask(flipped(0..9), RADIUS, Duration::ZERO);
    assert_eq!(answer, (Some(5), true));
    assert_eq!(judged.signs, [(ITEM, Sign::NearBudget)]);
    // Its anchor is the nearest answered query.
    assert_eq!((judged.repeats[0].anchor, judged.repeats[0].anchor_distance), (flipped(0..1), 1));
    // The alarm is raised once a day, and equal queries still get their own answers.
    assert_eq!(world.ask(flipped(0..10), RADIUS, Duration::ZERO).1.signs, []);
    assert_eq!(world.answer(flipped(0..2)), (Some(2), false));
    // All queries within the reach of the nearest anchor (32) match; beyond it none can.
    assert_eq!(world.answer(flipped(0..31)), (Some(5), true));
    assert_eq!(world.answer(flipped(0..33)), (Some(5), true));
    assert_eq!(world.answer(flipped(0..34)), (None, false));
    // With a smaller radius, the repeated distance is at most that radius.
    assert_eq!(world.ask(flipped(0..6), 3, Duration::ZERO).0, (None, false));
    assert_eq!(world.ask(flipped([0, 90, 91]), 3, Duration::ZERO).0, (Some(3), true));
    // A guess is not confirmed.
    assert_eq!(world.answer(base()), (Some(5), true));
    // On the next day the budget is full again.
    assert_eq!(world.ask(flipped(0..9), RADIUS, DAY).0, (Some(9), false));
    assert_eq!(world.ask(flipped(0..33), RADIUS, DAY).0, (None, false));
}

#[test]
fn exact_queries_do_not_count_and_keep_their_answer() {
    let world = World::new(base(), 4);
    for _ in 0..200 {
        assert_eq!(world.answer(base()), (Some(0), false));
    }
    assert_eq!(world.near.pairs.lock().unwrap().len(), 0);
    for at in 0..3 {
        assert_eq!(world.answer(flipped([at])), (Some(1), false));
    }
    assert_eq!(world.answer(base()), (Some(0), false));
    assert_eq!(world.answer(flipped([3])), (Some(1), false));
    assert_eq!(world.answer(flipped([4, 5])), (Some(1), true));
    assert_eq!(world.answer(base()), (Some(0), false));
}

#[test]
fn a_picture_is_one_query_and_chosen_hashes_are_several() {
    let hashes = [flipped([1]), flipped([2]), flipped([3])];
    let seen = Seen { item: ITEM, distance: 1, candidates: vec![0] };
    let judge = |near: &Near, is_chosen| {
        let asked = Asked { hashes: &hashes, is_chosen, radius: RADIUS };
        near.judge(&limits(64), &asked, std::slice::from_ref(&seen), Duration::ZERO);
        let pairs = near.pairs.lock().unwrap();
        pairs.len();
        drop(pairs);
    };
    for (is_chosen, counted) in [(false, 1), (true, 3)] {
        let near = Near::default();
        judge(&near, is_chosen);
        judge(&near, is_chosen);
        assert_eq!(near.pairs.lock().unwrap().take(ITEM).unwrap().counted(), counted);
    }
}

#[test]
fn another_hash_of_the_item_has_an_anchor_of_its_own() {
    let near = Near::default();
    let (first, second) = (base(), flipped(0..=255));
    let ask = |query: PdqBits| {
        let distance = first.distance(query).min(second.distance(query));
        let seen = (distance <= 31).then(|| Seen {
            item: ITEM,
            distance: distance.try_into().unwrap(),
            candidates: vec![0],
        });
        let asked = Asked { hashes: &[query], is_chosen: true, radius: RADIUS };
        let judged = near.judge(&limits(6), &asked, seen.as_slice(), Duration::ZERO);
        judged.repeats.first().map(|repeat| repeat.distance)
    };
    for at in 0..6 {
        assert_eq!(ask(flipped([at])), None);
    }
    // The budget is spent at the first hash, and applies to the second too.
    assert_eq!(ask(flipped(9..=255)), Some(1));
    assert_eq!(ask(flipped(29..=255)), Some(1));
    // Its distance was not returned, so the reach is that of the largest possible distance.
    assert_eq!(ask(flipped(60..=255)), Some(1));
    assert_eq!(ask(flipped(100..=255)), None);
    assert_eq!(ask(flipped([8, 9, 10])), Some(1));
}

#[test]
fn memory_is_bounded_and_pairs_of_many_queries_stay() {
    let near = Near::default();
    let few = NearLimits { budget: Quota::NEAR_QUERIES_DEFAULT, pairs_max: 10 };
    let ask = |item: u64, at: u8, budget: u16| {
        let limits = NearLimits { budget: budget.try_into().unwrap(), ..few };
        let query = flipped([at]);
        let seen = Seen { item: ItemId(item), distance: 1, candidates: vec![0] };
        let asked = Asked { hashes: &[query], is_chosen: true, radius: RADIUS };
        near.judge(&limits, &asked, &[seen], Duration::ZERO).repeats.len()
    };
    for at in 0..6 {
        ask(1, at, 6);
    }
    for item in 2..1_000 {
        ask(item, 0, 6);
        assert!(near.pairs.lock().unwrap().len() <= 10);
    }
    // Only one item matches here; the other items are within reach of the same queries.
    assert!(ask(1, 200, 6) >= 1, "the spent pair was pushed out");
    // A larger budget has no more memory than the default one.
    for item in 2_000..2_020 {
        for at in 0..=255 {
            ask(item, at, u16::MAX);
        }
        assert!(near.pairs.lock().unwrap().len() <= 10);
        assert!(near.pairs.lock().unwrap().digests() <= 320);
    }
}

#[test]
fn a_members_share_of_the_memory_is_that_of_the_others() {
    assert_eq!(NearLimits::new(&Quota::default(), 200).pairs_max, 500);
    assert_eq!(NearLimits::new(&Quota::default(), 0).pairs_max, PAIRS_MAX);
    assert_eq!(NearLimits::new(&Quota::default(), PAIRS_MAX + 1).pairs_max, 1);
}

#[test]
fn positions_raise_an_alarm_once() {
    let world = World::new(base(), 64);
    let mut signs = Vec::new();
    for at in (0..240).step_by(4) {
        signs.extend(world.ask(flipped(at..at + 4), RADIUS, Duration::ZERO).1.signs);
    }
    assert_eq!(signs, [(ITEM, Sign::Positions)]);
    // Simulates a caller who stops as soon as its budget is spent.
    let world = World::new(base(), 20);
    let signs: Vec<_> = (0..21)
        .flat_map(|at| world.ask(flipped(3 * at..3 * at + 3), RADIUS, Duration::ZERO).1.signs)
        .collect();
    assert_eq!(signs, [(ITEM, Sign::Positions), (ITEM, Sign::NearBudget)]);
    // Queries the same twelve bits in all their combinations.
    let world = World::new(base(), 64);
    for bits in 1..4_096_u16 {
        let query = flipped((0..12).filter(|at| bits >> at & 1 == 1));
        let (answer, judged) = world.ask(query, RADIUS, Duration::ZERO);
        assert!(answer.0.is_some());
        assert!(judged.signs.iter().all(|(_, sign)| *sign == Sign::NearBudget), "{:?}", judged.signs);
    }
}

#[test]
fn a_canary_is_noted_once_a_day() {
    let near = Near::default();
    assert!(near.canary(ITEM, Duration::ZERO));
    assert!(!near.canary(ITEM, Duration::ZERO));
    assert!(near.canary(ItemId(8), Duration::ZERO));
    assert!(near.canary(ITEM, DAY));
}

/// The complete rule, written naively: it keeps every query and every answer.
#[derive(Default)]
struct Naive {
    known: BTreeSet<(Vec<u8>, u16)>,
    /// The anchor: the query with the smallest distance that was returned.
    anchor: Option<(PdqBits, u16)>,
    counted: usize,
    exact_was_returned: bool,
    last: u16,
    spent: bool,
}

impl Naive {
    fn answer(&mut self, truth: Option<u16>, query: PdqBits, radius: u16, budget: usize) -> Answer {
        let is_watched = self.spent || self.counted >= WATCHED_FROM;
        let (anchor, distance) = match (self.anchor, truth) {
            (Some(anchor), _) => anchor,
            (None, Some(distance)) if distance > 0 => {
                self.last = distance;
                *self.anchor.insert((query, distance))
            }
            (None, _) => return (truth, false),
        };
        let is_reached = anchor.distance(query) <= u32::from(distance + radius);
        assert!(is_reached || truth.is_none(), "the triangle inequality");
        if !is_reached || (truth.is_none() && !is_watched) {
            return (truth, false);
        }
        let key = (query.to_bytes().to_vec(), truth.map_or(radius + 1, |_| 0));
        let is_known = if truth == Some(0) { self.exact_was_returned } else { self.known.contains(&key) };
        let counts = usize::from(!is_known && truth != Some(0));
        self.spent |= self.counted + counts > budget;
        if self.spent {
            return if is_known { (truth, false) } else { (Some(self.last.min(radius)), true) };
        }
        self.counted += counts;
        match truth {
            Some(0) => self.exact_was_returned = true,
            Some(returned) => {
                if self.known.insert(key) {
                    self.last = returned;
                }
            }
            None => drop(self.known.insert(key)),
        }
        if let Some(returned) = truth.filter(|returned| *returned < distance) {
            self.anchor = Some((query, returned));
        }
        (truth, false)
    }
}

const WATCHED_FROM: usize = 4;

fn queries() -> impl Strategy<Value = Vec<(Vec<u8>, u16)>> {
    let positions = prop::collection::vec(0_u8..48, 0..44);
    let radius = prop_oneof![4 => Just(RADIUS), 1 => 1_u16..40];
    prop::collection::vec((positions, radius), 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_answers_are_those_of_the_naive_model(asked in queries(), budget in 1_u16..40) {
        let (world, mut naive) = (World::new(base(), budget), Naive::default());
        for (positions, radius) in asked {
            let query = flipped(positions.into_iter().collect::<BTreeSet<u8>>());
            let truth = world.true_distance(query, radius);
            let (answer, _) = world.ask(query, radius, Duration::ZERO);
            prop_assert_eq!(answer, naive.answer(truth, query, radius, budget.into()));
            prop_assert!(truth.is_none() || answer.0.is_some(), "a match is never hidden");
        }
    }

    /// Two hashes that the member could not distinguish before its budget was spent stay indistinguishable
    /// after.
    #[test]
    fn nothing_is_learned_after_the_budget_is_spent(
        before in prop::collection::vec(prop::collection::vec(0_u8..64, 0..20), 8),
        unknown in (0_u8..64, 0_u8..64),
        after in prop::collection::vec(prop::collection::vec(0_u8..=255, 0..60), 1..200),
    ) {
        // The earlier queries differ in the first 64 positions, the hashes in the others.
        let hash = |at: u8| flipped([128 + at]);
        let (one, other) = (World::new(hash(unknown.0), 4), World::new(hash(unknown.1), 4));
        for positions in before {
            let query = flipped(positions.into_iter().collect::<BTreeSet<u8>>());
            prop_assert_eq!(one.answer(query), other.answer(query));
        }
        let is_spent = |world: &World| world.answer(flipped(64..68)).1;
        // There may be fewer than five different queries.
        prop_assume!(is_spent(&one) && is_spent(&other));
        for positions in after {
            let query = flipped(positions.into_iter().collect::<BTreeSet<u8>>());
            prop_assert_eq!(one.answer(query), other.answer(query));
        }
    }
}
