use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use vigie_model::{
    BankId, Coverage, Distance, HashType, Match, Matched, Quality, QueryMatches, Rendition, Source, Variant,
};

use super::*;
use crate::matching::SearchedQueries;

const LIMITS: FloodLimits =
    FloodLimits { matches_min: 20, median_factor: 5, window: Duration::from_secs(10), pairs_max: 1_000 };
const ONE: MemberId = MemberId(2);
const OTHER: MemberId = MemberId(3);

/// Returns an answer to contents with these items each, as of a sequence.
fn answer(contents: &[&[u64]], as_of: u64) -> Answer {
    let found = |item: &u64| Match {
        video: None,
        item_time_ms: None,
        item: ItemId(*item),
        bank: BankId(1),
        bank_name: "list".parse().unwrap(),
        external_reference: None,
        labels: Box::default(),
        hash_type: HashType::PDQ,
        distance: Distance(0),
        variant: Variant::Original,
        exact: true,
        other_matches: 3,
        rendition: Rendition::default(),
        added_at: None,
        facts: None,
    };
    let matched = |items: &&[u64]| {
        Ok(Matched {
            found: QueryMatches { matches: items.iter().map(found).collect(), ..QueryMatches::default() },
            searches: Vec::new(),
            pdq_quality: None,
            quality_floor: Quality::FLOOR_DEFAULT,
            source: Source::Hashed,
            near_budget_spent: false,
            decision: None,
            classifications: Vec::new(),
        })
    };
    Answer {
        results: contents.iter().map(matched).collect(),
        coverage: Coverage { sequence_min: Sequence(as_of), ..Coverage::default() },
        results_omitted: false,
        queries: SearchedQueries::new(&[]),
        said: Vec::new(),
    }
}

fn floods() -> Floods {
    Floods::new(Some(LIMITS))
}

impl Floods {
    fn count_times(&self, times: u32, member: MemberId, item: u64) {
        (0..times).for_each(|_| self.count(member, &answer(&[&[item]], 9)));
    }

    fn take(&self) -> Vec<Flood> {
        let mut floods = self.0.as_ref().unwrap().take_floods(100);
        floods.sort_by_key(|flood| (flood.member, flood.item));
        floods
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_floods_at_one_member_by_its_count_and_by_the_others() {
    let floods = floods();
    for item in 1..=5 {
        floods.count_times(4, ONE, item);
        floods.count_times(5, OTHER, item);
    }
    floods.count_times(19, ONE, 9);
    floods.count_times(24, OTHER, 9);
    assert_eq!(floods.take(), []);
    floods.count_times(1, ONE, 9);
    assert_eq!(floods.take(), [Flood { member: ONE, item: ItemId(9), count: 20, median: 4 }]);
    assert_eq!(floods.take(), []);
    // 24 matches reach the minimum, but are less than five times the median.
    floods.count_times(1, OTHER, 9);
    assert_eq!(floods.take(), [Flood { member: OTHER, item: ItemId(9), count: 25, median: 5 }]);
    // An item without others at its member is compared with a median of 1.
    let alone = self::floods();
    alone.count_times(20, ONE, 9);
    assert_eq!(alone.take(), [Flood { member: ONE, item: ItemId(9), count: 20, median: 0 }]);
}

#[tokio::test(start_paused = true)]
async fn each_content_counts_an_item_once_and_answers_without_matches_count_nothing() {
    let floods = floods();
    floods.count(ONE, &answer(&[&[1, 2], &[], &[1], &[3, 1]], 9));
    floods.count(ONE, &answer(&[], 9));
    floods.count(ONE, &answer(&[&[]], 9));
    let counted = floods.0.as_ref().unwrap();
    let mut counts: Vec<_> = counted.tracked().counts(0, 100, 0).unwrap().collect();
    counts.sort_unstable();
    let expected = [(1, 3), (2, 1), (3, 1)].map(|(item, count)| ((ONE, ItemId(item)), count));
    assert_eq!(counts, expected);
    Floods::new(None).count(ONE, &answer(&[&[1]], 9));
}

#[tokio::test(start_paused = true)]
async fn a_member_that_looks_up_more_than_is_tracked_causes_no_flood_at_another() {
    let floods = floods();
    // One member matches ordinary items, and one item often, but less than five times the median.
    for item in 1..=9 {
        floods.count_times(10, ONE, item);
    }
    floods.count_times(49, ONE, 99);
    for item in 0..3_000 {
        floods.count_times(1, OTHER, 1_000 + item);
    }
    floods.count_times(19, OTHER, 5);
    assert_eq!(floods.take(), []);
    floods.count_times(1, ONE, 99);
    assert_eq!(floods.take(), [Flood { member: ONE, item: ItemId(99), count: 50, median: 10 }]);
    let mut tracked = floods.0.as_ref().unwrap().tracked();
    assert_eq!((tracked.len(), tracked.take_dropped()), (1_000, 2_011));
}

#[tokio::test(start_paused = true)]
async fn matches_of_another_window_are_no_flood() {
    let floods = floods();
    floods.count_times(19, ONE, 9);
    tokio::time::advance(LIMITS.window).await;
    floods.count_times(19, ONE, 9);
    assert_eq!(floods.take(), []);
    tokio::time::advance(LIMITS.window * 8 / 10).await;
    floods.count_times(1, ONE, 9);
    assert_eq!(floods.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn after_a_report_the_count_begins_with_the_first_answer_that_knows_of_the_hold() {
    let floods = floods();
    let counted = floods.0.as_ref().unwrap();
    floods.count_times(20, ONE, 9);
    assert_eq!(floods.take().len(), 1);
    // Matches do not count while the bank is asked, nor until the shards include the hold.
    floods.count_times(100, ONE, 9);
    counted.begin_anew((ONE, ItemId(9)), Sequence(30));
    (0..100).for_each(|_| floods.count(ONE, &answer(&[&[9]], 29)));
    assert_eq!(floods.take(), []);
    // The hold was lifted.
    (0..19).for_each(|_| floods.count(ONE, &answer(&[&[9]], 31)));
    assert_eq!(floods.take(), []);
    floods.count(ONE, &answer(&[&[9]], 31));
    assert_eq!(floods.take().len(), 1);
    // After a refusal by the bank, matches count at once.
    counted.begin_anew((ONE, ItemId(9)), Sequence::default());
    floods.count_times(20, ONE, 9);
    assert_eq!(floods.take().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn floods_beyond_a_report_are_judged_later() {
    let floods = floods();
    for item in 1..=5 {
        // At different members, so that they do not form each other's median.
        floods.count_times(20, MemberId(10 + item), item.into());
    }
    let counted = floods.0.as_ref().unwrap();
    assert_eq!((counted.take_floods(2).len(), counted.take_floods(9).len()), (2, 0));
    for item in 1..=5 {
        floods.count_times(1, MemberId(10 + item), item.into());
    }
    assert_eq!(counted.take_floods(9).len(), 3);
}

#[test]
fn the_median_is_that_of_the_others() {
    let mut random = SmallRng::seed_from_u64(3);
    for len in 1..40 {
        for _ in 0..50 {
            let mut counts: Vec<u32> = (0..len).map(|_| random.random_range(1..10)).collect();
            counts.sort_unstable();
            let at = random.random_range(0..len);
            let mut others = counts.clone();
            let own = others.remove(at);
            let expected = others.get(others.len().saturating_sub(1) / 2).copied().unwrap_or(0);
            assert_eq!(median_without(&counts, own), expected, "{own} of {counts:?}");
        }
    }
    assert_eq!(median_without(&[], 3), 0);
}
