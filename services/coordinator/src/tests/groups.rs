//! Tests of matchers that serve several shards.

use std::time::Duration;

use vigie_model::{MinCoverage, SearchAnswer, SearchOptions, ShardGroup};

use super::fake_matcher::FakeMatcher;
use super::{assert_exact, is_exact, over, search, search_within, start, until};
use crate::coordinator::Coordinator;
use crate::error::SearchError;

/// The shards 0 and 2 of 4.
fn pair() -> ShardGroup {
    ShardGroup::new(0, 4, 2).unwrap()
}

/// A matcher for the shards 0 and 2, and one for each of the shards 1 and 3.
async fn three_matchers() -> [FakeMatcher; 3] {
    [FakeMatcher::start_for(pair()).await, FakeMatcher::start(1, 4).await, FakeMatcher::start(3, 4).await]
}

async fn of_any_coverage(coordinator: &Coordinator, number: u64) -> SearchAnswer {
    let min_coverage = MinCoverage::new(0.0).unwrap();
    let options = SearchOptions { min_coverage, ..SearchOptions::default() };
    search_within(coordinator, number, options, Duration::from_secs(10)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matcher_of_two_shards_is_asked_once_for_both() {
    let [two, one, three] = three_matchers().await;
    let coordinator = start(over(&[&two, &one, &three])).await;
    for number in 0..40 {
        let answer = search(&coordinator, number).await.unwrap();
        assert!(is_exact(&answer, number), "{answer:?}");
        assert_eq!((answer.coverage.shards_answered, answer.coverage.shards_total), (4, 4));
        assert_eq!(answer.coverage.hashes_searched, 3, "one of each matcher");
    }
    assert_eq!(coordinator.metrics().asks.get(), 120);
    assert_eq!([&two, &one, &three].map(FakeMatcher::calls), [40; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_matcher_of_two_shards_two_shards_are_lost_and_named() {
    let [two, one, three] = three_matchers().await;
    let coordinator = start(over(&[&two, &one, &three])).await;
    assert_exact(&coordinator, 2).await;
    two.stop().await;
    until(|| coordinator.topology().ready_count() == 2).await;
    for number in 0..8 {
        let Err(SearchError::CoverageTooLow(partial)) = search(&coordinator, number).await else {
            panic!("half of the shards are no full answer");
        };
        let coverage = &partial.coverage;
        assert_eq!((coverage.shards_answered, coverage.shards_total), (2, 4));
        let lost: Vec<u16> = coverage.failures.iter().map(|failure| failure.shard.0).collect();
        assert_eq!(lost, [0, 2]);
        assert!(coverage.failures.iter().all(|failure| !failure.reason.is_empty()));
        assert_eq!(partial.results[0].matches.len(), usize::try_from(number % 2).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn matchers_of_single_shards_beside_one_of_both_repeat_no_item_and_take_over() {
    let [two, one, three] = three_matchers().await;
    let singles = [FakeMatcher::start(0, 4).await, FakeMatcher::start(2, 4).await];
    let coordinator = start(over(&[&two, &one, &three, &singles[0], &singles[1]])).await;
    until(|| coordinator.topology().ready_count() == 5).await;
    for number in 0..20 {
        assert_exact(&coordinator, number).await;
    }
    assert_eq!((two.calls(), singles[0].calls() + singles[1].calls()), (20, 0), "the largest group is asked");

    // The matcher of both shards drains: it is not ready, but still answers, so no search is incomplete.
    two.behave(|manner| manner.unready = Some("draining"));
    let mut number = 0;
    while singles.iter().any(|single| single.calls() == 0) {
        assert!(number < 100_000, "nobody took over");
        assert_exact(&coordinator, number).await;
        number += 1;
    }
    two.stop().await;
    for number in 0..20 {
        assert_exact(&coordinator, number).await;
    }

    // A part alone does not cover the group.
    let [zero, _two] = singles;
    zero.stop().await;
    until(|| coordinator.topology().ready_count() == 3).await;
    let coverage = of_any_coverage(&coordinator, 2).await.coverage;
    assert_eq!((coverage.shards_answered, coverage.failures[0].shard.0), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_for_other_shards_than_reported_does_not_count() {
    let [two, one, three] = three_matchers().await;
    let coordinator = start(over(&[&two, &one, &three])).await;
    // The matcher was started again for its first shard only, before the coordinator heard of it.
    two.behave(|manner| manner.answers_for = Some(ShardGroup::new(0, 4, 1).unwrap()));
    let answer = of_any_coverage(&coordinator, 4).await;
    assert_eq!((answer.coverage.shards_answered, answer.coverage.shards_total), (2, 4));
    let reason = &answer.coverage.failures[0].reason;
    assert!(reason.contains("as shard 0 of 4"), "{reason}");
    two.behave(|manner| manner.shards = ShardGroup::new(0, 4, 1).unwrap());
    until(|| coordinator.topology().replicas[0].shards.is_some_and(|shards| shards.size() == 1)).await;
    let coverage = of_any_coverage(&coordinator, 4).await.coverage;
    assert_eq!((coverage.shards_answered, coverage.failures[0].shard.0), (3, 2));
    assert_eq!(coverage.failures[0].reason, "no matcher serves it");
}
