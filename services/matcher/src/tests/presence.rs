//! Tests of the descriptions of a replica, and of their times.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{CallError, Code, DescriptionStream, MatcherClient, Priority};
use vigie_follow::{Position, Progress, State as _};
use vigie_model::{
    Partition, ReplicaDescription, SearchOptions, Sequence, ShardAnswer, ShardCount, ShardGroup, ShardId,
};
use vigie_serving::{ServingConfig, Shutdown};

use super::fake_bank::FakeBank;
use super::follow::{some_steps, whole};
use super::service::{Service, WITHIN};
use super::{Step, options, query};
use crate::config::Config;
use crate::following::presence::{Presence, Watcher};
use crate::following::replica::Replica;
use crate::metrics::MatcherMetrics;
use crate::saving::plan::StorePlan;
use crate::shard::indexes::IndexPlan;

async fn search(
    client: &MatcherClient,
    options: SearchOptions,
    within: Duration,
) -> Result<ShardAnswer, CallError> {
    client.search(&[query(&[2])], &options, Priority::Interactive, Instant::now() + within).await
}

/// Returns a replica that nothing follows, a watcher of it, and the paused time of the beginning.
fn watched(shutdown: &Shutdown) -> (Arc<Replica>, Watcher, Instant) {
    let plan = StorePlan::new(IndexPlan::default(), None).unwrap();
    let replica = Arc::new(Replica::new(whole().into(), plan, MatcherMetrics::default()));
    let presence = Presence::new(Arc::clone(&replica), 1, shutdown.clone());
    let watcher = presence.watch().unwrap();
    assert!(presence.watch().is_none(), "the place is taken as long as the watcher lives");
    (replica, watcher, Instant::now())
}

async fn described(watcher: &mut Watcher, begun: Instant) -> (u128, Sequence, bool) {
    let description = watcher.next().await.unwrap();
    (begun.elapsed().as_millis(), description.head, description.unready_reason.is_none())
}

#[tokio::test(start_paused = true)]
async fn a_watcher_is_notified_of_readiness_at_once_and_of_changes_now_and_then() {
    let shutdown = Shutdown::new();
    let (replica, mut watcher, begun) = watched(&shutdown);
    assert_eq!(described(&mut watcher, begun).await, (0, Sequence(0), false));
    // Nothing changes.
    assert_eq!(described(&mut watcher, begun).await, (1_000, Sequence(0), false));
    // A change arrives every 10 milliseconds, and the replica becomes ready in between.
    let moving = Arc::clone(&replica);
    tokio::spawn(async move {
        for change in 1..=50 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let at = Progress::ready_at(Position(change));
            moving.standing().show(Progress { ready: change >= 25, ..at });
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        let last = moving.standing().now();
        moving.standing().show(Progress { ready: false, level: false, ..last });
    });
    assert_eq!(described(&mut watcher, begun).await, (1_100, Sequence(9), false), "just before the tenth");
    assert_eq!(described(&mut watcher, begun).await, (1_200, Sequence(19), false));
    assert_eq!(described(&mut watcher, begun).await, (1_250, Sequence(25), true));
    assert_eq!(described(&mut watcher, begun).await, (1_350, Sequence(34), true));
    assert_eq!(described(&mut watcher, begun).await, (1_450, Sequence(44), true));
    assert_eq!(described(&mut watcher, begun).await, (1_505, Sequence(50), false));
    assert_eq!(described(&mut watcher, begun).await, (2_505, Sequence(50), false));
}

#[tokio::test(start_paused = true)]
async fn a_watchers_last_word_is_that_the_replica_is_draining() {
    let shutdown = Shutdown::new();
    let (replica, mut watcher, begun) = watched(&shutdown);
    replica.standing().show(Progress::ready_at(Position(3)));
    assert_eq!(described(&mut watcher, begun).await, (0, Sequence(3), true));
    let stopping = shutdown.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(7)).await;
        stopping.cancel();
    });
    let last = watcher.next().await.unwrap();
    assert_eq!((begun.elapsed().as_millis(), last.unready_reason.as_deref()), (7, Some("draining")));
    assert_eq!(watcher.next().await, None);
    // A watcher that comes too late gets the same description.
    let late = Presence::new(replica, 1, shutdown);
    let mut watcher = late.watch().unwrap();
    assert_eq!(watcher.next().await.unwrap().unready_reason.as_deref(), Some("draining"));
    assert_eq!(watcher.next().await, None);
}

async fn until(
    stream: &mut DescriptionStream,
    is_so: impl Fn(&ReplicaDescription) -> bool,
) -> ReplicaDescription {
    let deadline = Instant::now() + WITHIN;
    loop {
        let said = stream.next(WITHIN).await.unwrap().expect("the stream goes on");
        if is_so(&said) {
            return said;
        }
        assert!(Instant::now() < deadline, "{said:?}");
    }
}

#[tokio::test]
async fn a_matcher_reports_its_state_over_the_wire() {
    let bank = FakeBank::start(some_steps()).await;
    bank.held().sends_digests = false;
    let service = Service::start(&bank, Config::default()).await;
    let mut stream = service.client.watch(WITHIN).await.unwrap();
    let head = Sequence(bank.held().replay.sequence);
    let behind = until(&mut stream, |one| one.sequence == head).await;
    assert_eq!(behind.unready_reason.as_deref(), Some("waiting for the bank's digest"));
    bank.held().sends_digests = true;
    until(&mut stream, |one| one.unready_reason.is_none()).await;
    bank.take([Step::Add(0, vec![2, 3])]);
    let moved = until(&mut stream, |one| one.sequence > head).await;
    assert_eq!(moved.digest, bank.held().replay.digest());
    #[cfg(target_os = "linux")]
    assert!(moved.memory_bytes > 1 << 20, "{}", moved.memory_bytes);

    let silence = stream.next(Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(silence.code(), Code::DeadlineExceeded);
    service.stop().await;
}

#[tokio::test]
async fn a_draining_matcher_says_so_and_answers_until_it_stops_listening() {
    let bank = FakeBank::start(some_steps()).await;
    let serving = ServingConfig { lame_duck_ms: 1_000, ..ServingConfig::default() };
    let service = Service::start(&bank, Config { serving, ..Config::default() }).await;
    let ready = service.until_ready().await;
    let mut stream = service.client.watch(WITHIN).await.unwrap();
    until(&mut stream, |one| one.unready_reason.is_none()).await;

    let waits_for = |min_sequence| {
        let options = SearchOptions { min_sequence, ..SearchOptions::default() };
        let client = service.client.clone();
        async move { search(&client, options, WITHIN).await }
    };
    let waiting = waits_for(Sequence(ready.sequence.0 + 1));
    let stopping = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        service.shutdown.cancel();
        until(&mut stream, |one| one.unready_reason.as_deref() == Some("draining")).await;
        assert!(stream.next(WITHIN).await.unwrap().is_none(), "nothing follows the last word");
        let described = service.client.describe(Instant::now() + WITHIN).await.unwrap();
        assert_eq!(described.unready_reason.as_deref(), Some("draining"));
        waits_for(ready.sequence).await.unwrap();
    };
    let begun = Instant::now();
    let (waited, ()) = tokio::join!(waiting, stopping);
    let refused = waited.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "another replica may get there: {refused}");
    assert!(begun.elapsed() < WITHIN / 2, "it was not answered before its deadline");
    service.ended().await;
}

#[tokio::test]
async fn watchers_are_bounded_and_no_load_keeps_one_out() {
    let bank = FakeBank::start(some_steps()).await;
    let serving =
        ServingConfig { calls_in_flight_min: 1, calls_in_flight_max: 1, ..ServingConfig::default() };
    let service = Service::start(&bank, Config { serving, watchers_max: 2, ..Config::default() }).await;
    let ready = service.until_ready().await;
    // The only slot is used by a call that waits for a change that never comes.
    let options = SearchOptions { min_sequence: Sequence(ready.head.0 + 1), ..SearchOptions::default() };
    let client = service.client.clone();
    let waiting = tokio::spawn(async move {
        // The call is repeated, because another call may still have the slot.
        while search(&client, options.clone(), 2 * WITHIN)
            .await
            .is_err_and(|error| error.code() == Code::ResourceExhausted)
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let full = async || search(&service.client, SearchOptions::default(), WITHIN).await;
    let deadline = Instant::now() + WITHIN;
    while full().await.map_err(|error| error.code()) != Err(Code::ResourceExhausted) {
        assert!(Instant::now() < deadline, "the place is still free");
    }

    let one = service.client.watch(WITHIN).await.unwrap();
    let _other = service.client.watch(WITHIN).await.unwrap();
    let refused = service.client.watch(WITHIN).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.retry_after().is_some());
    drop(one);
    while service.client.watch(WITHIN).await.is_err() {
        assert!(Instant::now() < deadline, "the place was not given back");
    }
    waiting.abort();
    service.stop().await;
}

#[tokio::test]
async fn an_answer_says_how_old_it_is_in_time() {
    let bank = FakeBank::start(some_steps()).await;
    let service = Service::start(&bank, Config::default()).await;
    service.until_ready().await;
    let begun = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap();
    let ask = || search(&service.client, SearchOptions::default(), WITHIN);
    let answer = ask().await.unwrap();
    let (committed, heard) = (answer.as_of.committed.unwrap(), answer.as_of.heard.unwrap());
    assert_eq!(committed.0, 1_000 * answer.sequence.0, "the newest change that it holds");
    // A heartbeat arrived a moment ago.
    assert!(heard.0.abs_diff(u64::try_from(begun.as_millis()).unwrap()) < 5_000, "{heard:?}");
    bank.take([Step::Add(0, vec![3])]);
    let wanted = Sequence(answer.sequence.0 + 1);
    let options = SearchOptions { min_sequence: wanted, ..SearchOptions::default() };
    let newer = search(&service.client, options, WITHIN).await.unwrap().as_of;
    assert_eq!(newer.committed.unwrap().0, 1_000 * wanted.0);
    assert!(newer.heard.unwrap() >= heard);
    service.stop().await;
}

#[tokio::test]
async fn a_matcher_of_several_shards_reports_them_and_answers_for_all_of_them() {
    let bank = FakeBank::start(some_steps()).await;
    let config = Config { shard: 1, shard_count: 4, shards_served: 2, ..Config::default() };
    let service = Service::start(&bank, config).await;
    let shards = ShardGroup::new(1, 4, 2).unwrap();
    assert_eq!(service.until_ready().await.shards, shards);
    let of_shard = |shard: u16| {
        let shard_of = |item| ShardCount::new(4).unwrap().shard_of(Partition::of(item));
        move |item| shard_of(item) == ShardId(shard)
    };
    let mut found_on = [0, 0];
    for number in 0..30 {
        let asked = query(&[number * 8 + 2]);
        let deadline = Instant::now() + WITHIN;
        let options = options(vec![], 8, 100);
        let searched = service.client.search([&asked], &options, Priority::Interactive, deadline);
        let answer = searched.await.unwrap();
        assert_eq!(answer.shards, shards);
        let found: Vec<_> = answer.results[0].matches.iter().map(|one| one.item).collect();
        let expected = bank.held().replay.search(&asked, &[], 8);
        let mut expected: Vec<_> = expected.into_iter().map(|(item, ..)| item).collect();
        expected.retain(|item| of_shard(1)(*item) || of_shard(3)(*item));
        assert_eq!(found, expected);
        for (count, shard) in found_on.iter_mut().zip([1, 3]) {
            *count += found.iter().filter(|item| of_shard(shard)(**item)).count();
        }
    }
    assert!(found_on.iter().all(|count| *count > 0), "{found_on:?}");
    service.stop().await;
}
