//! Searches that nobody waits for any more: they stop, soon, and those that wait for a thread are never begun.
//!
//! What is asked would take seconds: the largest batches at the greatest distance, of hashes that agree in nearly
//! all bits, that are all one, or of one digest that every item bears; and answers of as many matches as one call may
//! have, with all that may be said of an item.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;
use vigie_clients::{CallError, Code, MatcherClient, Priority};
use vigie_model::{
    Hash, HashType, ItemContent, ItemDraft, Limit, MaxDistances, Query, SearchOptions, ShardAnswer,
};

use super::loaded::{Loaded, bare, neighbours, query_of};
use crate::config::Config;
use crate::metrics::SearchOutcome;

/// Longer than anything here takes.
const WITHIN: Duration = Duration::from_secs(60);

/// Items of each kind: neighbours of one hash, copies of one, bearers of one digest, and of long names and labels.
fn contents(each: usize) -> impl Iterator<Item = ItemContent> {
    let near = neighbours(1, 60).map(|hash| bare(vec![Hash::pdq(hash)]));
    let one = std::iter::repeat_with(|| bare(vec![Hash::pdq([0x33; 32]), Hash::md5([7; 16])]));
    let long = std::iter::repeat_with(|| {
        let labels = (0..ItemContent::LABELS_MAX).map(|label| format!("{label:030}")).collect();
        let draft =
            ItemDraft { hashes: vec![Hash::sha256([9; 32])], labels, external_reference: "x".repeat(200) };
        draft.try_into().unwrap()
    });
    near.take(each).chain(one.take(each)).chain(long.take(each / 10))
}

/// The kinds of requests.
const KINDS: usize = 4;

fn request(kind: usize) -> (Vec<Query>, SearchOptions) {
    let batch = |queries: u64, hash: fn(u64) -> Vec<Hash>| {
        (0..queries).map(|seed| query_of(hash(seed).into_iter())).collect()
    };
    let full_batch = |hash| batch(Query::BATCH_MAX as u64, hash);
    // As many hashes as one call may look for within the greatest distance.
    let costly_batch = |hash| batch(3, hash);
    let queries: Vec<Query> = match kind {
        0 => costly_batch(|seed| neighbours(seed, 30).take(Query::HASHES_MAX).map(Hash::pdq).collect()),
        1 => costly_batch(|seed| {
            let near = |hash: [u8; 32]| Hash::pdq(hash.map(|byte| byte ^ 0x5a ^ 0x33));
            neighbours(seed, 20).take(Query::HASHES_MAX).map(near).collect()
        }),
        2 => full_batch(|_| vec![Hash::md5([7; 16])]),
        _ => full_batch(|_| vec![Hash::sha256([9; 32])]),
    };
    let max_distances =
        MaxDistances::default().with(HashType::PDQ, HashType::PDQ.distance_max().0.into()).unwrap();
    let limit = i64::try_from(Query::ANSWERS_MAX / queries.len()).unwrap().min(Limit::MAX.into());
    (queries, SearchOptions { max_distances, limit: Limit::new(limit).unwrap(), ..SearchOptions::default() })
}

/// One of each kind, made before any clock is looked at.
static REQUESTS: LazyLock<[(Vec<Query>, SearchOptions); KINDS]> =
    LazyLock::new(|| std::array::from_fn(request));

async fn ask(client: &MatcherClient, kind: usize, patience: Duration) -> Result<ShardAnswer, CallError> {
    let (queries, options) = &REQUESTS[kind];
    client.search(queries, options, Priority::Interactive, Instant::now() + patience).await
}

/// Waits until the matcher computes nothing.
async fn until_still(loaded: &Loaded) {
    let deadline = Instant::now() + WITHIN;
    while loaded.metrics.running() > 0 {
        assert!(Instant::now() < deadline, "it goes on and on");
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

/// How long searches of each kind were worked on for nobody.
#[derive(Default)]
struct Delays(Vec<(Duration, usize)>);

impl Delays {
    /// Takes in what has come since the last time.
    fn take(&mut self, kind: usize, loaded: &Loaded) {
        let delays = loaded.metrics.stop_delays();
        self.0.extend(delays[self.0.len()..].iter().map(|delay| (*delay, kind)));
    }

    /// Those of searches that are not costly. A costly one gives way to all other threads of the machine, and its last work
    /// may wait for them as long as they like.
    fn of_quick_kinds(&self) -> Self {
        Self(self.0.iter().filter(|(_, kind)| *kind >= 2).copied().collect())
    }

    /// That of rank `share`, 0 to 1; zero if nothing had to be stopped.
    fn at(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
        let place = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
        sorted.get(place).map_or(Duration::ZERO, |(delay, _)| *delay)
    }
}

impl std::fmt::Display for Delays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (count, [half, most, all]) = (self.0.len(), [0.5, 0.99, 1.0].map(|share| self.at(share)));
        write!(f, "{count} stopped; p50 {half:?}, p99 {most:?}, max {all:?}; max of each kind")?;
        for kind in 0..KINDS {
            let of_kind = self.0.iter().filter(|(_, one)| *one == kind).map(|(delay, _)| *delay);
            write!(f, " {:?}", of_kind.max().unwrap_or_default())?;
        }
        Ok(())
    }
}

/// So many calls whose caller goes away after 5 to 50 milliseconds.
async fn cancelled(loaded: &Loaded, calls: usize) -> Delays {
    let client = loaded.serve(Config::default()).await;
    LazyLock::force(&REQUESTS);
    let mut delays = Delays::default();
    let mut random = SmallRng::seed_from_u64(5);
    for call in 0..calls {
        let patience = Duration::from_micros(random.random_range(5_000..50_000));
        // Dropped, which resets the call's stream.
        let given_up = tokio::time::timeout(patience, ask(&client, call % KINDS, WITHIN)).await;
        if let Ok(answered) = given_up {
            // Only the small ones have an answer so soon.
            assert!(call % KINDS >= 2, "{answered:?}");
        }
        until_still(loaded).await;
        delays.take(call % KINDS, loaded);
    }
    delays
}

/// So many calls with a deadline of 5 to 50 milliseconds.
async fn out_of_time(loaded: &Loaded, calls: usize) -> Delays {
    let client = loaded.serve(Config::default()).await;
    LazyLock::force(&REQUESTS);
    let mut delays = Delays::default();
    let mut random = SmallRng::seed_from_u64(6);
    for call in 0..calls {
        let patience = Duration::from_micros(random.random_range(5_000..50_000));
        if let Err(error) = ask(&client, call % KINDS, patience).await {
            assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
        } else {
            assert!(call % KINDS >= 2);
        }
        until_still(loaded).await;
        delays.take(call % KINDS, loaded);
    }
    delays
}

/// Calls that have ended without an answer that anybody waited for.
fn ended_for_nobody(loaded: &Loaded) -> u64 {
    [SearchOutcome::Cancelled, SearchOutcome::OutOfTime].map(|one| loaded.metrics.searches(one)).iter().sum()
}

/// What the tests that run beside this one, in a debug build, may add to what is promised.
const SLACK: Duration = Duration::from_millis(250);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_stops_when_its_caller_goes() {
    let loaded = Loaded::new(contents(40_000));
    let delays = cancelled(&loaded, 40).await;
    assert!(delays.0.len() >= 20, "half of the calls take longer than anybody waits: {delays}");
    assert!(loaded.metrics.searches(SearchOutcome::Cancelled) >= 20, "{delays}");
    let quick = delays.of_quick_kinds();
    assert!(quick.at(0.5) <= Duration::from_millis(5), "{delays}");
    assert!(quick.at(1.0) <= Duration::from_millis(5) + SLACK, "{delays}");
    assert!(delays.at(1.0) <= 4 * SLACK, "{delays}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_stops_at_its_deadline() {
    let loaded = Loaded::new(contents(40_000));
    let delays = out_of_time(&loaded, 40).await;
    assert!(delays.0.len() >= 20, "half of the calls take longer than they may: {delays}");
    // A large request takes some of its time to arrive, and then the transport's own clock may be first.
    assert!(ended_for_nobody(&loaded) >= 20, "{delays}");
    let quick = delays.of_quick_kinds();
    assert!(quick.at(0.5) <= Duration::from_millis(10), "{delays}");
    assert!(quick.at(1.0) <= Duration::from_millis(10) + SLACK, "{delays}");
    assert!(delays.at(1.0) <= 4 * SLACK, "{delays}");
}

/// The promise itself, on a machine that has nothing else to do:
/// `cargo test --release -p vigie-matcher -- --ignored --nocapture stops_within`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, for a release build and an idle machine"]
async fn a_search_for_nobody_stops_within_five_milliseconds() {
    let when_gone = cancelled(&Loaded::new(contents(400_000)), 200).await;
    let when_late = out_of_time(&Loaded::new(contents(400_000)), 200).await;
    let text = format!("cancelled: {when_gone}\nout of time: {when_late}");
    println!("{text}");
    assert!(when_gone.0.len() >= 100 && when_gone.at(1.0) <= Duration::from_millis(5), "{text}");
    assert!(when_late.0.len() >= 100 && when_late.at(1.0) <= Duration::from_millis(10), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_thread_is_never_begun_for_nobody() {
    let loaded = Loaded::new(contents(40_000));
    let config = Config { searches_at_once_max: 1, search_inline_us_max: 0, ..Config::default() };
    let client = loaded.serve(config).await;
    let holder = client.clone();
    let holding = tokio::spawn(async move { ask(&holder, 0, WITHIN).await });
    let deadline = Instant::now() + WITHIN;
    while loaded.metrics.running() == 0 {
        assert!(Instant::now() < deadline, "it does not begin");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // They wait behind it: some are given up, and some run out of time.
    let most = AtomicUsize::new(0);
    let waiting = futures::future::join_all((0..20).map(|number| {
        let (client, most, loaded) = (&client, &most, &loaded);
        async move {
            let patience = Duration::from_millis(50 + 5 * number);
            let ended = if number % 2 == 0 {
                ask(client, 1, patience).await.map_err(|error| error.code())
            } else {
                tokio::time::timeout(patience, ask(client, 1, WITHIN))
                    .await
                    .map_or(Err(Code::DeadlineExceeded), |answered| answered.map_err(|error| error.code()))
            };
            most.fetch_max(usize::try_from(loaded.metrics.running()).unwrap(), Ordering::Relaxed);
            assert_eq!(ended.map(|_| ()), Err(Code::DeadlineExceeded));
        }
    }));
    waiting.await;
    assert_eq!(most.into_inner(), 1, "one at a time");
    // The matcher hears of those that were given up, or of their deadlines, a moment after their callers.
    while ended_for_nobody(&loaded) < 20 {
        assert!(Instant::now() < deadline, "those that wait do not end");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(loaded.metrics.stop_delays().is_empty(), "nothing that was begun has been stopped yet");
    holding.abort();
    assert!(holding.await.unwrap_err().is_cancelled());
    while ended_for_nobody(&loaded) < 21 {
        assert!(Instant::now() < deadline, "the calls do not end");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    until_still(&loaded).await;
    assert_eq!(loaded.metrics.stop_delays().len(), 1, "only the first was ever begun");
    // And the thread is free again.
    let (mut queries, options) = REQUESTS[2].clone();
    queries.truncate(1);
    let answer =
        client.search(&queries, &options, Priority::Interactive, Instant::now() + WITHIN).await.unwrap();
    assert!(answer.results[0].limit_reached);
    assert_eq!(loaded.metrics.searches(SearchOutcome::Answered), 1);
}
