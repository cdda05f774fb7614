//! Tests of searches for which nobody waits any more: running ones stop soon, and those that wait for a
//! thread never start.
//!
//! The requested work would take seconds: the largest batches at the greatest distance, with hashes that
//! agree in nearly all bits, that are all equal, or that are one digest of every item; and answers with as
//! many matches as one call may have, with all possible information about an item.

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

/// A time limit that no step of these tests reaches.
const WITHIN: Duration = Duration::from_secs(60);

/// Returns items of each kind: neighbours of one hash, copies of one hash, items with one common digest, and
/// items with long names and labels.
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

/// The number of kinds of requests.
const KINDS: usize = 4;

fn request(kind: usize) -> (Vec<Query>, SearchOptions) {
    let batch = |queries: u64, hash: fn(u64) -> Vec<Hash>| {
        (0..queries).map(|seed| query_of(hash(seed).into_iter())).collect()
    };
    let full_batch = |hash| batch(Query::BATCH_MAX as u64, hash);
    // As many hashes as one call may search for within the greatest distance.
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
    let max_distances = MaxDistances::default().with(HashType::PDQ, HashType::PDQ.distance_max().0).unwrap();
    let limit = i64::try_from(Query::ANSWERS_MAX / queries.len()).unwrap().min(Limit::MAX.into());
    (queries, SearchOptions { max_distances, limit: Limit::new(limit).unwrap(), ..SearchOptions::default() })
}

/// A request of each kind, made before any time is measured.
static REQUESTS: LazyLock<[(Vec<Query>, SearchOptions); KINDS]> =
    LazyLock::new(|| std::array::from_fn(request));

async fn ask(client: &MatcherClient, kind: usize, patience: Duration) -> Result<ShardAnswer, CallError> {
    let (queries, options) = &REQUESTS[kind];
    client.search(queries, options, Priority::Interactive, Instant::now() + patience).await
}

/// Waits until a condition holds.
async fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + WITHIN;
    while !condition() {
        assert!(Instant::now() < deadline, "it goes on and on");
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

/// Waits until the matcher computes nothing.
async fn until_still(loaded: &Loaded) {
    until(|| loaded.metrics.running() == 0).await;
}

/// The kinds whose work takes longer than any caller waits, on any machine.
const LONG_KINDS: [usize; 2] = [0, 1];

/// Returns the time that the work of a kind takes if nothing stops it.
async fn uncut(client: &MatcherClient, kind: usize) -> Duration {
    let begun = Instant::now();
    ask(client, kind, WITHIN).await.unwrap();
    begun.elapsed()
}

/// The times for which searches of each kind went on after their caller had stopped waiting.
#[derive(Default)]
struct Delays(Vec<(Duration, usize)>);

impl Delays {
    /// Adds the new delays since the last call.
    fn take(&mut self, kind: usize, loaded: &Loaded) {
        let delays = loaded.metrics.stop_delays();
        self.0.extend(delays[self.0.len()..].iter().map(|delay| (*delay, kind)));
    }

    /// Returns the delays of one kind.
    fn of(&self, kind: usize) -> Self {
        Self(self.0.iter().copied().filter(|(_, one)| *one == kind).collect())
    }

    /// Returns the quantile `share` of the delays, 0 to 1.
    fn at(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in the list")]
        let place = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
        sorted.get(place).map_or(Duration::ZERO, |(delay, _)| *delay)
    }

    /// Checks that stopping took a small part of the time of the interrupted work. Both were measured in the
    /// same run, so a busy machine slows down both. But a costly search has lower priority than all other
    /// threads, and its last work has to wait for them.
    fn check(&self, uncut: [Duration; LONG_KINDS.len()], count_min: usize) {
        println!("uncut {uncut:?}; {self}");
        for (kind, uncut) in LONG_KINDS.into_iter().zip(uncut) {
            let delays = self.of(kind);
            assert!(delays.0.len() >= count_min, "kind {kind}: {self}");
            assert!(delays.at(0.5) * 20 <= uncut, "kind {kind} takes {uncut:?} uncut: {self}");
            assert!(delays.at(1.0) * 5 <= uncut, "kind {kind} takes {uncut:?} uncut: {self}");
        }
    }
}

impl std::fmt::Display for Delays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (count, [half, most, all]) = (self.0.len(), [0.5, 0.99, 1.0].map(|share| self.at(share)));
        write!(f, "{count} stopped; p50 {half:?}, p99 {most:?}, max {all:?}; max of each kind")?;
        for kind in 0..KINDS {
            write!(f, " {:?}", self.of(kind).0.into_iter().max().unwrap_or_default().0)?;
        }
        Ok(())
    }
}

/// Makes this number of calls, each cancelled by its caller at most 45 milliseconds after the matcher has
/// started.
async fn cancelled(client: &MatcherClient, loaded: &Loaded, calls: usize) -> Delays {
    LazyLock::force(&REQUESTS);
    let mut delays = Delays::default();
    let mut random = SmallRng::seed_from_u64(5);
    for kind in (0..calls).map(|call| call % KINDS) {
        let (asker, is_long) = (client.clone(), LONG_KINDS.contains(&kind));
        let asking = tokio::spawn(async move { ask(&asker, kind, WITHIN).await });
        until(|| asking.is_finished() || loaded.metrics.running() > 0).await;
        tokio::time::sleep(Duration::from_micros(random.random_range(0..45_000))).await;
        // Only the small ones are answered so soon.
        assert!(!is_long || !asking.is_finished(), "kind {kind} was answered");
        // The future is dropped, which resets the call's stream.
        asking.abort();
        until(|| !is_long || loaded.metrics.stop_delays().len() > delays.0.len()).await;
        until_still(loaded).await;
        delays.take(kind, loaded);
    }
    delays
}

/// Makes this number of calls with a deadline, which is `patience` of the call's kind.
async fn out_of_time(
    client: &MatcherClient,
    loaded: &Loaded,
    calls: usize,
    mut patience: impl FnMut(usize) -> Duration,
) -> Delays {
    LazyLock::force(&REQUESTS);
    let mut delays = Delays::default();
    for kind in (0..calls).map(|call| call % KINDS) {
        if let Err(error) = ask(client, kind, patience(kind)).await {
            assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
        } else {
            assert!(!LONG_KINDS.contains(&kind), "kind {kind} was answered");
        }
        until_still(loaded).await;
        delays.take(kind, loaded);
    }
    delays
}

/// Returns the number of calls that have ended without an answer that anybody waited for.
fn ended_for_nobody(loaded: &Loaded) -> u64 {
    [SearchOutcome::Cancelled, SearchOutcome::OutOfTime].map(|one| loaded.metrics.searches(one)).iter().sum()
}

/// Returns the times that the long kinds take if nothing stops them.
async fn uncut_each(client: &MatcherClient) -> [Duration; LONG_KINDS.len()] {
    let [first, second] = LONG_KINDS;
    [uncut(client, first).await, uncut(client, second).await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_stops_when_its_caller_goes() {
    let loaded = Loaded::new(contents(40_000));
    let client = loaded.serve(Config::default()).await;
    let uncut = uncut_each(&client).await;
    let delays = cancelled(&client, &loaded, 40).await;
    delays.check(uncut, 10);
    assert!(loaded.metrics.searches(SearchOutcome::Cancelled) >= 20, "{delays}");
}

/// Makes calls of a kind with a deadline, until `count` of them were running when it passed. The time of the
/// work depends on the load of the machine, so the deadline is extended if the work had not started, and
/// shortened if it was done.
async fn late(client: &MatcherClient, loaded: &Loaded, kind: usize, count: usize, delays: &mut Delays) {
    let mut patience = Duration::from_millis(20);
    let begun = Instant::now();
    let wanted = delays.0.len() + count;
    while delays.0.len() < wanted {
        assert!(begun.elapsed() < WITHIN, "kind {kind} is never worked on at its deadline: {delays}");
        let known = delays.0.len();
        let answered = ask(client, kind, patience).await;
        until_still(loaded).await;
        delays.take(kind, loaded);
        match answered {
            Ok(_) => patience = patience / 2 + Duration::from_millis(1),
            Err(error) => {
                assert_eq!(error.code(), Code::DeadlineExceeded, "{error}");
                if delays.0.len() == known {
                    patience = patience * 3 / 2;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_stops_at_its_deadline() {
    LazyLock::force(&REQUESTS);
    let loaded = Loaded::new(contents(40_000));
    let client = loaded.serve(Config::default()).await;
    let uncut = uncut_each(&client).await;
    let mut delays = Delays::default();
    for kind in LONG_KINDS {
        late(&client, &loaded, kind, 4, &mut delays).await;
    }
    delays.check(uncut, 4);
    // A large request needs some of its time to arrive, and then the transport's own clock may be the first
    // to stop it.
    assert!(ended_for_nobody(&loaded) >= 4, "{delays}");
}

/// Checks the documented bound itself, on a machine without other load: `cargo test --release -p
/// vigie-matcher -- --ignored --nocapture stops_within`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, for a release build and an idle machine"]
async fn a_search_for_nobody_stops_within_five_milliseconds() {
    let loaded = Loaded::new(contents(400_000));
    let client = loaded.serve(Config::default()).await;
    let when_gone = cancelled(&client, &loaded, 200).await;
    let loaded = Loaded::new(contents(400_000));
    let client = loaded.serve(Config::default()).await;
    let mut random = SmallRng::seed_from_u64(6);
    let patience = |_| Duration::from_micros(random.random_range(5_000..50_000));
    let when_late = out_of_time(&client, &loaded, 200, patience).await;
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
    until(|| loaded.metrics.running() > 0).await;
    // The other calls wait for the first: some are cancelled, and some run out of time.
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
    // The matcher learns of cancelled calls and passed deadlines a moment later than their callers.
    until(|| ended_for_nobody(&loaded) >= 20).await;
    assert!(loaded.metrics.stop_delays().is_empty(), "nothing that was begun has been stopped yet");
    holding.abort();
    assert!(holding.await.unwrap_err().is_cancelled());
    until(|| ended_for_nobody(&loaded) >= 21).await;
    until_still(&loaded).await;
    assert_eq!(loaded.metrics.stop_delays().len(), 1, "only the first was ever begun");
    // The thread is free again.
    let (mut queries, options) = REQUESTS[2].clone();
    queries.truncate(1);
    let answer =
        client.search(&queries, &options, Priority::Interactive, Instant::now() + WITHIN).await.unwrap();
    assert!(answer.results[0].limit_reached);
    assert_eq!(loaded.metrics.searches(SearchOutcome::Answered), 1);
}

#[test]
fn a_cancelled_search_gives_no_answer() {
    let shard = super::empty_shard();
    shard.apply(super::range(0, vec![super::created(1), super::added(2)])).unwrap();
    let past = vigie_index::Cancellation::at(std::time::Instant::now());
    let answer = crate::searching::search::search(
        &shard,
        &[super::query(&[2])],
        &super::options(vec![], 31, 1),
        vigie_model::ANSWER_BYTES_MAX,
        &past,
    );
    assert_eq!(answer.unwrap_err(), crate::error::SearchError::OutOfTime);
}
