use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinHandle;
use vigie_rpc::Priority;
use vigie_telemetry::trace::Context;

use super::*;

/// The kind of costly searches.
const COSTLY: u8 = 99;

/// A search for one byte.
#[derive(Debug, Clone)]
struct Ask {
    byte: u8,
    /// The kind of search: only searches of one kind are alike.
    kind: u8,
    priority: Priority,
    deadline: Instant,
}

impl Search for Ask {
    fn priority(&self) -> Priority {
        self.priority
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn context(&self) -> Option<&Context> {
        None
    }

    fn query_count(&self) -> usize {
        1
    }

    fn shared_queries_max(&self) -> usize {
        256
    }

    fn waits_for_change(&self) -> bool {
        false
    }

    fn is_costly(&self) -> bool {
        self.kind == COSTLY
    }

    fn is_alike(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// A service that answers each search with its byte, once the gate lets the call through.
#[derive(Debug)]
struct Gated {
    gate: Semaphore,
    /// The number of searches in each call.
    calls: Mutex<Vec<usize>>,
    /// The deadline of each call.
    deadlines: Mutex<Vec<Instant>>,
    under_way: AtomicUsize,
    /// Calls that include this byte fail.
    breaks_at: Option<u8>,
}

/// Counts a call while it is in flight.
struct UnderWay<'a>(&'a AtomicUsize);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Carry for Gated {
    type Search = Ask;
    type Answer = Vec<u8>;
    type Error = Code;

    async fn carry(&self, asks: &[Ask], deadline: Instant) -> Result<Vec<u8>, Code> {
        self.calls.lock().unwrap().push(asks.len());
        self.deadlines.lock().unwrap().push(deadline);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        let _under_way = UnderWay(&self.under_way);
        self.gate.acquire().await.unwrap().forget();
        let bytes: Vec<u8> = asks.iter().map(|ask| ask.byte).collect();
        if self.breaks_at.is_some_and(|byte| bytes.contains(&byte)) { Err(Code::Internal) } else { Ok(bytes) }
    }

    fn share_out(
        &self,
        outcome: Result<Vec<u8>, Code>,
        query_counts: &[usize],
    ) -> Vec<Result<Vec<u8>, Code>> {
        let mut bytes = outcome.clone().unwrap_or_default().into_iter();
        let mut part = |count: &usize| outcome.as_ref().map(|_| bytes.by_ref().take(*count).collect());
        query_counts.iter().map(|count| part(count).map_err(|code| *code)).collect()
    }

    fn may_be_of_one(&self, error: &Code) -> bool {
        *error == Code::Internal
    }

    fn refused(&self, code: Code, _: &str) -> Code {
        code
    }
}

fn lane(calls: usize, breaks_at: Option<u8>) -> Lane<Gated> {
    Lane::new(gated(breaks_at), LaneLimits { calls, queries: 64, gathers: false })
}

fn gated(breaks_at: Option<u8>) -> Gated {
    Gated {
        gate: Semaphore::new(0),
        calls: Mutex::default(),
        deadlines: Mutex::default(),
        under_way: AtomicUsize::new(0),
        breaks_at,
    }
}

fn ask(byte: u8) -> Ask {
    let deadline = Instant::now() + Duration::from_secs(10);
    Ask { byte, kind: 0, priority: Priority::Interactive, deadline }
}

fn search(lane: &Lane<Gated>, ask: Ask) -> JoinHandle<Result<Vec<u8>, Code>> {
    let lane = lane.clone();
    tokio::spawn(async move { lane.search(ask).await })
}

/// Runs all tasks that are ready, without advancing time.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn calls(lane: &Lane<Gated>) -> Vec<usize> {
    lane.carrier().calls.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn what_queues_shares_the_next_call_and_each_gets_its_own_part() {
    let lane = lane(1, None);
    let searches: Vec<_> = (0..6).map(|byte| search(&lane, ask(byte))).collect();
    settle().await;
    assert_eq!(calls(&lane), [1], "there is room for one call");
    lane.carrier().gate.add_permits(2);
    for (byte, search) in (0..).zip(searches) {
        assert_eq!(search.await.unwrap().unwrap(), [byte]);
    }
    assert_eq!(calls(&lane), [1, 5]);
    lane.carrier().gate.add_permits(1);
    assert_eq!(lane.search(ask(9)).await.unwrap(), [9], "the place was given back");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_gathers_makes_one_call_for_what_is_ready() {
    let lane = Lane::new(gated(None), LaneLimits { calls: 2, queries: 4, gathers: true });
    lane.carrier().gate.add_permits(100);
    let searches: Vec<_> = (0..6).map(|byte| search(&lane, ask(byte))).collect();
    for (byte, search) in (0..).zip(searches) {
        assert_eq!(search.await.unwrap().unwrap(), [byte]);
    }
    assert_eq!(calls(&lane), [4, 2], "though a call of its own was free for the first");
    assert_eq!(lane.search(ask(9)).await.unwrap(), [9]);
    settle().await;
    assert_eq!((calls(&lane), lane.0.queue().out), (vec![4, 2, 1], 0));
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_gathers_goes_on_while_a_call_is_stuck() {
    let lane = Lane::new(gated(None), LaneLimits { calls: 2, queries: 4, gathers: true });
    let stuck = search(&lane, ask(0));
    settle().await;
    let others: Vec<_> = (1..4).map(|byte| search(&lane, ask(byte))).collect();
    settle().await;
    assert_eq!(calls(&lane), [1, 3]);
    lane.carrier().gate.add_permits(2);
    for search in others.into_iter().chain([stuck]) {
        search.await.unwrap().unwrap();
    }
    settle().await;
    assert_eq!(lane.0.queue().out, 0);
}

#[tokio::test(start_paused = true)]
async fn what_has_queued_for_some_time_goes_out_of_turn() {
    let lane = lane(1, None);
    let stuck = search(&lane, ask(0));
    settle().await;
    let others: Vec<_> = (1..4).map(|byte| search(&lane, ask(byte))).collect();
    settle().await;
    tokio::time::sleep(PATIENCE + Duration::from_millis(1)).await;
    assert_eq!(calls(&lane), [1, 3], "beside the one that is stuck");
    lane.carrier().gate.add_permits(2);
    for search in others.into_iter().chain([stuck]) {
        search.await.unwrap().unwrap();
    }
    assert_eq!(lane.0.queue().out, 0);
}

#[tokio::test(start_paused = true)]
async fn what_others_overtook_goes_out_of_turn_all_the_same() {
    let lane = lane(1, None);
    let _stuck = search(&lane, ask(0));
    settle().await;
    let bulk = search(&lane, Ask { priority: Priority::Bulk, ..ask(1) });
    tokio::time::sleep(PATIENCE - Duration::from_micros(100)).await;
    let other = search(&lane, ask(2));
    settle().await;
    tokio::time::sleep(4 * PATIENCE).await;
    assert_eq!(calls(&lane), [1, 1, 1], "each in a call of its own priority");
    lane.carrier().gate.add_permits(3);
    assert_eq!((bulk.await.unwrap(), other.await.unwrap()), (Ok(vec![1]), Ok(vec![2])));
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_for_a_call_that_is_out_send_nothing_out_of_turn() {
    let lane = lane(1, None);
    let first = search(&lane, ask(0));
    settle().await;
    let second: Vec<_> = (1..3).map(|byte| search(&lane, ask(byte))).collect();
    settle().await;
    lane.carrier().gate.add_permits(1);
    settle().await;
    tokio::time::sleep(3 * PATIENCE).await;
    let late = search(&lane, ask(9));
    tokio::time::sleep(PATIENCE / 2).await;
    assert_eq!(calls(&lane), [1, 2], "what came last has not waited for long");
    lane.carrier().gate.add_permits(2);
    for search in second.into_iter().chain([first, late]) {
        search.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_search_with_little_time_shares_no_call_with_one_that_has_much() {
    let lane = lane(1, None);
    let first = search(&lane, ask(0));
    settle().await;
    let now = Instant::now();
    let within = |byte, ms| Ask { deadline: now + Duration::from_millis(ms), ..ask(byte) };
    let asks = [within(1, 200), within(2, 10_000), within(3, 190), within(4, 9_000)];
    let searches: Vec<_> = asks.into_iter().map(|ask| search(&lane, ask)).collect();
    settle().await;
    lane.carrier().gate.add_permits(3);
    for search in searches.into_iter().chain([first]) {
        search.await.unwrap().unwrap();
    }
    assert_eq!(calls(&lane), [1, 2, 2]);
    let deadlines = lane.carrier().deadlines.lock().unwrap().clone();
    let left: Vec<_> = deadlines[1..].iter().map(|deadline| (*deadline - now).as_millis()).collect();
    assert_eq!(left, [190, 9_000], "each call has the time of the one that has least");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_does_not_keep_others_from_queueing() {
    let lane = lane(1, None);
    let _stuck = search(&lane, ask(0));
    settle().await;
    for part in 0..4 {
        let soon = Instant::now() + Duration::from_millis(1);
        let searches: Vec<_> =
            (0..QUEUED_MAX / 4).map(|_| search(&lane, Ask { deadline: soon, ..ask(1) })).collect();
        for search in searches {
            assert_eq!(search.await.unwrap(), Err(Code::DeadlineExceeded), "part {part}");
        }
    }
    let wanted = search(&lane, ask(7));
    settle().await;
    lane.carrier().gate.add_permits(2);
    assert_eq!(wanted.await.unwrap(), Ok(vec![7]));
}

#[tokio::test(start_paused = true)]
async fn only_what_is_alike_shares_a_call() {
    let lane = lane(1, None);
    let first = search(&lane, ask(0));
    settle().await;
    let of_kind = |byte, kind| Ask { kind, ..ask(byte) };
    let asks = [ask(1), of_kind(2, 1), ask(3), of_kind(5, 2)];
    let searches: Vec<_> = asks.into_iter().map(|ask| search(&lane, ask)).collect();
    settle().await;
    lane.carrier().gate.add_permits(4);
    for search in searches.into_iter().chain([first]) {
        search.await.unwrap().unwrap();
    }
    assert_eq!(calls(&lane), [1, 2, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_query_that_breaks_its_call_breaks_no_other() {
    let lane = lane(1, Some(2));
    let searches: Vec<_> = (0..4).map(|byte| search(&lane, ask(byte))).collect();
    lane.carrier().gate.add_permits(10);
    let ended: Vec<_> = futures::future::join_all(searches).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(ended, [Ok(vec![0]), Ok(vec![1]), Err(Code::Internal), Ok(vec![3])]);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_waits_for_is_withdrawn() {
    let lane = lane(1, None);
    let searches: Vec<_> = (0..3).map(|byte| search(&lane, ask(byte))).collect();
    settle().await;
    lane.carrier().gate.add_permits(1);
    settle().await;
    assert_eq!(calls(&lane), [1, 2]);
    searches.iter().for_each(JoinHandle::abort);
    settle().await;
    assert_eq!(lane.carrier().under_way.load(Ordering::Relaxed), 0);
    assert_eq!(lane.0.queue().out, 0);
}

#[tokio::test(start_paused = true)]
async fn bulk_waits_for_interactive_searches_but_not_for_ever() {
    let lane = lane(1, None);
    let first = search(&lane, ask(0));
    settle().await;
    let bulk = search(&lane, Ask { priority: Priority::Bulk, ..ask(200) });
    // Each search goes alone, because no two are alike.
    let others: Vec<_> = (1..12).map(|kind| search(&lane, Ask { kind, ..ask(1) })).collect();
    settle().await;
    lane.carrier().gate.add_permits(2);
    settle().await;
    assert!(!bulk.is_finished());
    lane.carrier().gate.add_permits(8);
    settle().await;
    assert!(bulk.is_finished() && others.iter().any(|one| !one.is_finished()));
    lane.carrier().gate.add_permits(10);
    for search in others.into_iter().chain([first]) {
        search.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn too_late_is_said_in_time() {
    let lane = lane(1, None);
    let _stuck = search(&lane, ask(0));
    settle().await;
    let begun = Instant::now();
    let soon = Ask { deadline: begun + Duration::from_millis(3), ..ask(1) };
    assert_eq!(lane.search(soon).await, Err(Code::DeadlineExceeded));
    assert!(begun.elapsed() < Duration::from_millis(6));
    assert_eq!(calls(&lane), [1], "it was never sent");
}

#[tokio::test(start_paused = true)]
async fn a_costly_search_has_a_call_of_its_own_and_keeps_none_from_others() {
    let lane = lane(2, None);
    let costly = |byte| Ask { kind: COSTLY, ..ask(byte) };
    let stuck: Vec<_> = (0..3).map(|byte| search(&lane, costly(byte))).collect();
    settle().await;
    assert_eq!(calls(&lane), [1], "half as many as there are calls");
    let others: Vec<_> = (3..5).map(|byte| search(&lane, ask(byte))).collect();
    settle().await;
    assert_eq!(calls(&lane), [1, 1, 1]);
    lane.carrier().gate.add_permits(5);
    for search in others.into_iter().chain(stuck) {
        search.await.unwrap().unwrap();
    }
    let late = search(&lane, costly(0));
    settle().await;
    assert_eq!(search(&lane, costly(1)).await.unwrap(), Err(Code::DeadlineExceeded), "behind another one");
    late.abort();
}
