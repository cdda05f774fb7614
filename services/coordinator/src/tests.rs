//! Tests of a coordinator over fake matchers.

pub(crate) mod descriptions;
pub(crate) mod fake_matcher;
mod groups;
mod videos;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use vigie_clients::{Code, Network};
use vigie_model::{
    BankId, BankSet, Hash, HashCount, HashType, MaxDistances, MemberId, MinCoverage, Query, QueryHash,
    SearchAnswer, SearchOptions, Sequence, UnixMillis, Variant,
};
use vigie_net::{Connect, Connection};
use vigie_rpc::Priority;

use self::fake_matcher::{FakeMatcher, query};
use crate::config::Config;
use crate::coordinator::Coordinator;
use crate::error::SearchError;

const MS: Duration = Duration::from_millis(1);

async fn start(config: Config) -> Arc<Coordinator> {
    start_on(config, &Network::tcp()).await
}

async fn start_on(config: Config, network: &Network) -> Arc<Coordinator> {
    let coordinator = Coordinator::start(&config, network, &mut Registry::default()).unwrap();
    until(|| coordinator.has_looked_around()).await;
    Arc::new(coordinator)
}

fn over(matchers: &[&FakeMatcher]) -> Config {
    Config { matchers: matchers.iter().map(|one| one.url()).collect(), ..Config::default() }
}

#[track_caller]
fn until(condition: impl Fn() -> bool) -> impl Future<Output = ()> {
    until_at(condition, std::panic::Location::caller())
}

async fn until_at(condition: impl Fn() -> bool, at: &std::panic::Location<'_>) {
    let give_up = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < give_up, "it never came to be: {at}");
        tokio::time::sleep(MS).await;
    }
}

async fn search_within(
    coordinator: &Coordinator,
    number: u64,
    options: SearchOptions,
    within: Duration,
) -> Result<SearchAnswer, SearchError> {
    let deadline = Instant::now() + within;
    coordinator.search(vec![query(number)], options, Priority::Interactive, deadline).await
}

async fn search(coordinator: &Coordinator, number: u64) -> Result<SearchAnswer, SearchError> {
    search_within(coordinator, number, SearchOptions::default(), Duration::from_secs(10)).await
}

fn is_exact(answer: &SearchAnswer, number: u64) -> bool {
    let [result] = &*answer.results else { return false };
    let items: Vec<u64> = result.matches.iter().map(|found| found.item.0).collect();
    items == [number] && answer.coverage.is_full()
}

async fn assert_exact(coordinator: &Coordinator, number: u64) {
    let answer = search(coordinator, number).await.unwrap();
    assert!(is_exact(&answer, number), "{answer:?}");
}

/// Returns the number of extra calls that the coordinator has made, and of searches of one shard.
fn calls(coordinator: &Coordinator) -> (u64, u64) {
    let metrics = coordinator.metrics();
    (metrics.hedges.get() + metrics.retries.get(), metrics.asks.get())
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_that_wait_for_a_matcher_share_its_next_call_and_each_has_its_own_answer() {
    let matcher = FakeMatcher::start(0, 1).await;
    let config = Config { calls_per_matcher_max: 1, extra_calls_share: 0.0, ..over(&[&matcher]) };
    let coordinator = start(config).await;
    matcher.behave(|manner| manner.delay = Some(50 * MS));
    let searches = (0..60).map(|number| assert_exact_later(&coordinator, number));
    join_all(searches).await;
    assert!(matcher.calls() <= 4, "{} calls", matcher.calls());
    assert_eq!(matcher.asked.queries.load(std::sync::atomic::Ordering::Relaxed), 60);

    // A call never has more queries than `queries_per_call_max`.
    let before = matcher.calls();
    join_all((0..200).map(|number| assert_exact_later(&coordinator, number))).await;
    assert!(matcher.calls() - before >= 4, "{} calls", matcher.calls() - before);
}

async fn assert_exact_later(coordinator: &Coordinator, number: u64) {
    assert_exact(coordinator, number).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_that_differ_in_what_they_ask_share_no_call() {
    let matcher = FakeMatcher::start(0, 1).await;
    let coordinator = start(Config { calls_per_matcher_max: 1, ..over(&[&matcher]) }).await;
    matcher.behave(|manner| manner.delay = Some(20 * MS));
    let searches = (0..10).map(|distance| {
        let max_distances = MaxDistances::default().with(HashType::PDQ, distance).unwrap();
        let options = SearchOptions { max_distances, ..SearchOptions::default() };
        search_within(&coordinator, 7, options, Duration::from_secs(10))
    });
    assert!(join_all(searches).await.iter().all(Result::is_ok));
    assert_eq!(matcher.calls(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_for_different_members_share_no_call_and_each_has_its_own_facts() {
    let (one, other) = (FakeMatcher::start(0, 2).await, FakeMatcher::start(1, 2).await);
    let coordinator = start(Config { calls_per_matcher_max: 1, ..over(&[&one, &other]) }).await;
    [&one, &other].into_iter().for_each(|matcher| matcher.behave(|manner| manner.delay = Some(20 * MS)));
    let check = async |number: u32| {
        let (member, with_aside) = (1 + number % 4, number % 8 < 4);
        let options =
            SearchOptions { member: Some(MemberId(member)), with_aside, ..SearchOptions::default() };
        let answer = search_within(&coordinator, number.into(), options, Duration::from_secs(10)).await;
        let found = &answer.unwrap().results[0].matches[0];
        let facts = found.facts.as_ref().unwrap();
        assert_eq!((facts.contributors, facts.is_aside), (member, with_aside));
        assert_eq!(*facts.classes[0], *format!("class/of/{number}"));
        assert_eq!(found.added_at, Some(UnixMillis(1_000 * u64::from(number) + 1)));
    };
    join_all((0..40).map(check)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_breaks_its_call_harms_no_other() {
    let matcher = FakeMatcher::start(0, 1).await;
    let coordinator = start(Config { calls_per_matcher_max: 1, ..over(&[&matcher]) }).await;
    matcher
        .behave(|manner| (manner.delay, manner.refusal) = (Some(50 * MS), Some((Code::Internal, "broke"))));
    let all = join_all((0..10).map(|number| search(&coordinator, number)));
    let mend = async {
        until(|| matcher.calls() == 2).await;
        matcher.behave(|manner| (manner.delay, manner.refusal) = (Some(MS), None));
    };
    let (answers, ()) = tokio::join!(all, mend);
    // The first search had a call of its own. The shared call of the others failed, so each of them was made
    // again alone.
    assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1, "{answers:?}");
    assert!(matcher.calls() >= 2 + 9, "{}", matcher.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_replica_is_hedged_within_the_budget_and_then_avoided() {
    let (slow, quick) = (FakeMatcher::start(0, 1).await, FakeMatcher::start(0, 1).await);
    let coordinator = start(Config { hedge_after_ms_first: 20, ..over(&[&slow, &quick]) }).await;
    for number in 0..100 {
        assert_exact(&coordinator, number).await;
    }
    slow.behave(|manner| manner.delay = Some(300 * MS));
    let mut took = Vec::new();
    for number in 0..2_000 {
        let begun = Instant::now();
        assert_exact(&coordinator, number).await;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    assert!(took[1_999] < 250 * MS, "the slow one was waited for: {:?}", took[1_999]);
    let (extra, all) = calls(&coordinator);
    assert!(extra >= 1 && extra * 100 <= all * 6, "{extra} extra calls of {all}");
    until(|| slow.cancelled() >= 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_hangs_costs_no_answer() {
    let (hangs, lives) = (FakeMatcher::start(0, 1).await, FakeMatcher::start(0, 1).await);
    let coordinator = start(over(&[&hangs, &lives])).await;
    hangs.behave(|manner| manner.delay = None);
    for _ in 0..20 {
        join_all((0..20).map(|number| assert_exact_later(&coordinator, number))).await;
    }
    until(|| hangs.cancelled() == hangs.calls()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn extra_calls_stay_within_their_budget_however_slow_everything_is() {
    let replicas = [FakeMatcher::start(0, 1).await, FakeMatcher::start(0, 1).await];
    let coordinator = start(Config { hedge_after_ms_min: 0, ..over(&[&replicas[0], &replicas[1]]) }).await;
    // On a busy machine timers fire late, and fewer searches are hedged in a round.
    for round in 0..200 {
        // Each round is slower, so every search lasts longer than the known percentile.
        replicas.iter().for_each(|one| one.behave(|manner| manner.delay = Some((2 + round) * MS)));
        join_all((0..50).map(|number| assert_exact_later(&coordinator, number))).await;
        if round >= 39 && calls(&coordinator).0 >= 16 {
            break;
        }
    }
    let (extra, all) = calls(&coordinator);
    assert!(extra <= 64 + all / 20, "{extra} extra calls of {all}");
    // With fewer extra calls, the test would prove nothing about the budget.
    assert!(extra >= 16, "{extra} extra calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_dies_is_replaced_and_its_return_is_noticed() {
    let (dies, lives) = (FakeMatcher::start(0, 1).await, FakeMatcher::start(0, 1).await);
    let coordinator = start(over(&[&dies, &lives])).await;
    let address = dies.address;
    let stopping = async {
        tokio::time::sleep(20 * MS).await;
        dies.stop().await;
    };
    let searching = async {
        for number in 0..500 {
            assert_exact(&coordinator, number).await;
        }
    };
    tokio::join!(searching, stopping);
    until(|| coordinator.topology().ready_count() == 1).await;
    let _again = FakeMatcher::start_at(address, 0, 1).await;
    until(|| coordinator.topology().ready_count() == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_tried_elsewhere_once() {
    let (busy, free) = (FakeMatcher::start(0, 1).await, FakeMatcher::start(0, 1).await);
    let coordinator = start(over(&[&busy, &free])).await;
    busy.behave(|manner| manner.refusal = Some((Code::ResourceExhausted, "busy")));
    for number in 0..50 {
        assert_exact(&coordinator, number).await;
    }
    free.behave(|manner| manner.refusal = Some((Code::ResourceExhausted, "busy too")));
    let error = search(&coordinator, 1).await.unwrap_err();
    assert!(error.to_string().starts_with("0 of 1 shards answered; shard 0: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_caller_goes_the_call_is_cancelled_on_the_wire() {
    let matcher = FakeMatcher::start(0, 1).await;
    let coordinator = start(Config { calls_per_matcher_max: 2, ..over(&[&matcher]) }).await;
    matcher.behave(|manner| manner.delay = None);
    // The first two searches have calls of their own. The others queue, and a search that is cancelled in the
    // queue is never sent.
    let searches: Vec<_> = (0..10)
        .map(|number| {
            let coordinator = Arc::clone(&coordinator);
            tokio::spawn(async move { search(&coordinator, number).await })
        })
        .collect();
    // There are more than two calls if other searches have queued so long that they were sent beyond the
    // limit.
    until(|| matcher.calls() >= 2).await;
    tokio::time::sleep(20 * MS).await;
    searches.iter().for_each(tokio::task::JoinHandle::abort);
    // The searches end one after the other, so another call may be sent for those that have not ended yet.
    until(|| matcher.cancelled() >= 2 && matcher.cancelled() == matcher.calls()).await;
    tokio::time::sleep(20 * MS).await;
    let before = matcher.calls();
    assert!(before <= 6, "{before} calls");

    // A shared call continues while at least one search waits for it.
    let first = search_within(&coordinator, 0, SearchOptions::default(), 100 * MS);
    let second = search_within(&coordinator, 1, SearchOptions::default(), 100 * MS);
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_err() && second.is_err());
    until(|| matcher.calls() > before && matcher.cancelled() == matcher.calls()).await;
    matcher.behave(|manner| manner.delay = Some(10 * MS));
    join_all((0..50).map(|number| assert_exact_later(&coordinator, number))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_shard_is_reported_in_time_and_the_others_are_answered() {
    let (lost, lives) = (FakeMatcher::start(0, 2).await, FakeMatcher::start(1, 2).await);
    let coordinator = start(over(&[&lost, &lives])).await;
    assert_exact(&coordinator, 4).await;
    lost.behave(|manner| manner.delay = None);
    for number in 0..4 {
        let begun = Instant::now();
        let options =
            SearchOptions { min_coverage: MinCoverage::new(0.5).unwrap(), ..SearchOptions::default() };
        let answer = search_within(&coordinator, number, options, 200 * MS).await.unwrap();
        assert!(begun.elapsed() < 400 * MS, "{:?}", begun.elapsed());
        assert_eq!((answer.coverage.shards_answered, answer.coverage.shards_total), (1, 2));
        assert_eq!(answer.results[0].matches.len(), usize::try_from(number % 2).unwrap());
    }
    let full = search_within(&coordinator, 0, SearchOptions::default(), 200 * MS).await;
    assert!(matches!(full, Err(SearchError::CoverageTooLow(_))), "{full:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_replica_is_the_last_resort_and_is_not_waited_for_long() {
    let matcher = FakeMatcher::start(0, 1).await;
    let coordinator = start(over(&[&matcher])).await;
    assert_exact(&coordinator, 0).await;
    let address = matcher.address;
    matcher.stop().await;
    // The port neither accepts nor refuses connections.
    let mute = std::net::TcpListener::bind(address).unwrap();
    until(|| coordinator.topology().ready_count() == 0).await;
    let begun = Instant::now();
    assert!(search(&coordinator, 0).await.is_err());
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    drop(mute);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_old_is_none() {
    let (behind, ahead) = (FakeMatcher::start(0, 1).await, FakeMatcher::start(0, 1).await);
    ahead.behave(|manner| (manner.says, manner.answers_as_of) = (Sequence(9), Sequence(9)));
    // On a busy machine, a hedge to the other replica would otherwise be possible.
    let patient = Config { hedge_after_ms_min: 10_000, ..over(&[&behind, &ahead]) };
    let coordinator = start(patient).await;
    let as_of = |sequence| SearchOptions { min_sequence: Sequence(sequence), ..SearchOptions::default() };
    for number in 0..50 {
        let answer = search_within(&coordinator, number, as_of(9), Duration::from_secs(5)).await.unwrap();
        assert!(answer.coverage.sequence_min >= Sequence(9));
    }
    assert_eq!(behind.calls(), 0, "the one that had not come so far was asked");

    // The replica reports a later sequence than it has.
    behind.behave(|manner| manner.says = Sequence(9));
    until(|| coordinator.topology().replicas.iter().all(|one| one.sequence == Sequence(9))).await;
    for number in 0..50 {
        let answer = search_within(&coordinator, number, as_of(9), Duration::from_secs(5)).await.unwrap();
        assert!(answer.coverage.sequence_min >= Sequence(9));
    }
    assert!(behind.calls() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_shard_count_takes_over_without_an_incomplete_answer() {
    let old = [FakeMatcher::start(0, 2).await, FakeMatcher::start(1, 2).await];
    let new =
        [FakeMatcher::start(0, 3).await, FakeMatcher::start(1, 3).await, FakeMatcher::start(2, 3).await];
    new.iter().for_each(|one| one.behave(|manner| manner.unready = Some("loading")));
    let all: Vec<_> = old.iter().chain(&new).collect();
    let coordinator = start(over(&all)).await;
    let totals = Mutex::new(BTreeSet::new());
    let searching = async {
        for number in 0..2_000 {
            let answer = search(&coordinator, number).await.unwrap();
            assert!(is_exact(&answer, number), "{answer:?}");
            totals.lock().unwrap().insert(answer.coverage.shards_total);
            tokio::time::sleep(MS / 10).await;
        }
    };
    let switching = async {
        tokio::time::sleep(50 * MS).await;
        for one in &new {
            one.behave(|manner| manner.unready = None);
            tokio::time::sleep(20 * MS).await;
        }
        // An old matcher reports that it drains and still answers, like a matcher that is about to stop.
        old[0].behave(|manner| manner.unready = Some("draining"));
    };
    tokio::join!(searching, switching);
    assert_eq!(*totals.lock().unwrap(), [2, 3].into());
}

/// A network on which every name resolves to the addresses that the test sets.
#[derive(Debug, Default)]
struct Names(Arc<Mutex<Vec<SocketAddr>>>);

impl Connect for Names {
    fn connect(&self, host: &str, port: u16) -> BoxFuture<'static, std::io::Result<Box<dyn Connection>>> {
        let address = (host.to_owned(), port);
        Box::pin(async move { Ok(Box::new(tokio::net::TcpStream::connect(address).await?) as _) })
    }

    fn resolve(&self, _: &str, _: u16) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
        let known = self.0.lock().unwrap().clone();
        let none = || std::io::Error::from(std::io::ErrorKind::NotFound);
        Box::pin(std::future::ready(if known.is_empty() { Err(none()) } else { Ok(known) }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn matchers_come_and_go_with_the_addresses_of_their_name() {
    let (first, second) = (FakeMatcher::start(0, 1).await, FakeMatcher::start(0, 1).await);
    let names = Names(Arc::new(Mutex::new(vec![first.address])));
    let known = Arc::clone(&names.0);
    let matchers = vec!["dns+http://matchers:7750".to_owned()];
    let config = Config { matchers, resolve_interval_ms: 100, ..Config::default() };
    let coordinator = start_on(config, &Network::of(names)).await;
    let endpoints = || {
        let replicas = coordinator.topology().replicas.into_iter();
        replicas.map(|replica| replica.endpoint).collect::<BTreeSet<_>>()
    };
    assert_eq!(endpoints(), [first.url()].into());
    assert_exact(&coordinator, 1).await;

    known.lock().unwrap().push(second.address);
    until(|| coordinator.topology().ready_count() == 2).await;
    known.lock().unwrap().remove(0);
    until(|| endpoints() == [second.url()].into()).await;
    known.lock().unwrap().clear();
    tokio::time::sleep(300 * MS).await;
    assert_eq!(endpoints(), [second.url()].into(), "a name that cannot be looked up keeps its endpoints");
    assert_exact(&coordinator, 1).await;
}

/// The hash counts of a matcher that searches these types.
fn counts(hash_types: &[HashType]) -> Vec<HashCount> {
    let count = |&hash_type| HashCount { hash_type, hashes: 1, is_searched: true, exact: true, recall: None };
    hash_types.iter().map(count).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_does_not_know_a_hash_type_is_not_asked_for_it() {
    let newest = HashType::from_number(4_321).unwrap();
    let (old, new) = (FakeMatcher::start(0, 1).await, FakeMatcher::start(0, 1).await);
    old.behave(|manner| manner.counts = counts(&[HashType::PDQ]));
    new.behave(|manner| manner.counts = counts(&[HashType::PDQ, newest]));
    let coordinator = start(over(&[&old, &new])).await;
    let number = 8_u64;
    let hash = Hash::from_peer(newest, &number.to_be_bytes()).unwrap();
    let query = Query { hashes: vec![QueryHash { hash, variant: Variant::Original }] };
    let search_newest = || {
        let deadline = Instant::now() + Duration::from_secs(10);
        coordinator.search(vec![query.clone()], SearchOptions::default(), Priority::Interactive, deadline)
    };
    until(|| coordinator.topology().ready_count() == 2).await;
    for _ in 0..40 {
        let answer = search_newest().await.unwrap();
        assert!(is_exact(&answer, number), "{answer:?}");
    }
    assert_eq!(old.calls(), 0);

    // If no replica knows the type, the shard is reported as missing. Other types are still searched.
    new.behave(|manner| manner.unready = Some("draining"));
    until(|| coordinator.topology().ready_count() == 1).await;
    let Err(SearchError::CoverageTooLow(partial)) = search_newest().await else {
        panic!("a shard that cannot be searched is no full answer");
    };
    assert_eq!(partial.coverage.shards_answered, 0);
    let reason = &partial.coverage.failures[0].reason;
    assert!(reason.contains("hashes of type 4321"), "{reason}");
    assert_exact(&coordinator, 8).await;
    assert_eq!(old.calls(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_replica_says_too_late_that_it_does_not_know_a_type_another_one_is_asked() {
    let (old, new) = (FakeMatcher::start(0, 1).await, FakeMatcher::start(0, 1).await);
    let coordinator = start(Config { extra_calls_share: 1.0, ..over(&[&old, &new]) }).await;
    until(|| coordinator.topology().ready_count() == 2).await;
    old.behave(|manner| manner.refusal = Some((Code::Unimplemented, "cannot search hashes of type 4321")));
    for number in 0..40 {
        assert_exact(&coordinator, number).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_matcher_that_knows_no_packed_queries_is_asked_in_plain() {
    let (old, new) = (FakeMatcher::start(0, 2).await, FakeMatcher::start(1, 2).await);
    old.behave(|manner| manner.knows_packed = false);
    let coordinator = start(over(&[&old, &new])).await;
    until(|| coordinator.topology().ready_count() == 2).await;
    for number in 0..40 {
        assert_exact(&coordinator, number).await;
    }
    let in_vain =
        |matcher: &FakeMatcher| matcher.asked.packed_in_vain.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(in_vain(&new), 0);
    assert!((1..5).contains(&in_vain(&old)), "{}: it is not tried for each search", in_vain(&old));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_of_a_matcher_that_does_not_know_sets_of_banks_is_never_used_for_one() {
    let (old, new) = (FakeMatcher::start(0, 1).await, FakeMatcher::start(0, 1).await);
    old.behave(|manner| manner.knows_bank_sets = false);
    let coordinator = start(Config { extra_calls_share: 1.0, ..over(&[&old, &new]) }).await;
    until(|| coordinator.topology().ready_count() == 2).await;
    let bank_set = Some(Arc::new([BankId(1)].into_iter().collect::<BankSet>()));
    let options = SearchOptions { bank_set, ..SearchOptions::default() };
    let of_set = |number| search_within(&coordinator, number, options.clone(), Duration::from_secs(10));
    for number in 0..40 {
        let answer = of_set(number).await.unwrap();
        assert!(is_exact(&answer, number), "{answer:?}");
    }
    assert!(old.calls() > 0, "it was never asked");

    new.behave(|manner| manner.unready = Some("draining"));
    until(|| coordinator.topology().ready_count() == 1).await;
    let Err(SearchError::CoverageTooLow(partial)) = of_set(3).await else {
        panic!("a search of all banks is no answer to one of a set");
    };
    assert!(partial.results[0].matches.is_empty());
    let reason = &partial.coverage.failures[0].reason;
    assert!(reason.contains("does not know sets of banks"), "{reason}");
    assert_exact(&coordinator, 3).await;
}
