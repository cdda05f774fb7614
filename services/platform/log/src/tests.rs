//! Tests the log with a small application of their own: named counters, in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::*;

/// A request to add to a counter, which must not pass ten.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Add {
    name: String,
    by: u16,
}

impl Write for Add {
    fn change_count(&self) -> usize {
        self.by.into()
    }

    fn weight(&self) -> usize {
        self.name.len()
    }

    fn goes_alone(&self) -> bool {
        self.name == "alone"
    }

    fn digest(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.by.to_be_bytes()).update(self.name.as_bytes());
        hasher.finalize().into()
    }
}

/// The counter after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Count(u64);

impl Answer for Count {
    fn encode(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    fn decode(stored: &[u8]) -> Option<Self> {
        stored.try_into().ok().map(u64::from_be_bytes).map(Self)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Refused {
    Log(WriteRefused),
    TooMany,
}

impl From<WriteRefused> for Refused {
    fn from(refused: WriteRefused) -> Self {
        Self::Log(refused)
    }
}

#[derive(Debug, Error)]
#[error("the store failed")]
struct Failed;

impl StoreFault for Failed {
    fn is_corrupt(&self) -> bool {
        false
    }
}

/// The sum of all counters: the proof for followers.
#[derive(Debug, Clone, Copy, Default)]
struct Sum(u64);

impl Summary for Sum {
    type Delta = u64;
    type Proof = u64;

    fn apply(&mut self, delta: &u64) {
        self.0 += delta;
    }

    fn of(&self, _: Slice) -> u64 {
        self.0
    }
}

type Counters = BTreeMap<String, u64>;

#[derive(Debug)]
struct Counting(Arc<Store>);

struct Plan<'a> {
    counters: &'a mut Counters,
    draft: Draft<String>,
    added: u64,
}

impl Planner for Plan<'_> {
    type Write = Add;
    type Answer = Count;
    type Error = Refused;
    type Change = String;
    type Rows = Counters;
    type Delta = u64;

    fn plan(&mut self, Add { name, by }: &Add) -> Result<Count, Refused> {
        let counter = self.counters.entry(name.clone()).or_default();
        if *counter + u64::from(*by) > 10 {
            return Err(Refused::TooMany);
        }
        *counter += u64::from(*by);
        for _ in 0..*by {
            // The first letter is the partition; `*` concerns all.
            let partition = name.bytes().next().filter(|first| *first != b'*').map(u16::from);
            self.draft.append(partition, name.clone().into_bytes(), |_| name.clone());
        }
        self.added += u64::from(*by);
        Ok(Count(*counter))
    }

    fn finish(self) -> Planned<String, Counters, u64> {
        Planned { draft: self.draft, rows: self.counters.clone(), delta: self.added }
    }
}

impl Application for Counting {
    type Write = Add;
    type Answer = Count;
    type Error = Refused;
    type Change = String;
    type State = Counters;
    type Known = ();
    type Rows = Counters;
    type Summary = Sum;
    type StoreError = Failed;
    type Planner<'a> = Plan<'a>;

    async fn load(&self) -> Result<Loaded<Self>, Failed> {
        let kept = self.0.kept();
        let sum = Sum(kept.counters.values().sum());
        Ok(Loaded { head: kept.log.head(), state: kept.counters.clone(), summary: sum })
    }

    async fn look_up(&self, _: &Counters, _: &[&Add]) -> Result<(), Failed> {
        Ok(())
    }

    fn planner<'a>(&'a self, counters: &'a mut Counters, (): (), draft: Draft<String>) -> Plan<'a> {
        Plan { counters, draft, added: 0 }
    }

    fn read(_: Sequence, _: Option<u16>, bytes: &[u8]) -> Option<String> {
        String::from_utf8(bytes.to_vec()).ok()
    }
}

#[derive(Debug, Default)]
struct Kept {
    log: MemoryLog,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Store(Mutex<Kept>);

impl Store {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap()
    }
}

#[async_trait]
impl LogRead for Store {
    type Error = Failed;

    fn log_id(&self) -> LogId {
        LogId([7; 16])
    }

    async fn head(&self) -> Result<Head, Failed> {
        Ok(self.kept().log.head())
    }

    async fn changes(&self, range: &ChangeRange) -> Result<ChangePage, Failed> {
        Ok(self.kept().log.changes(range))
    }

    async fn batches(&self, after: Sequence, limit: u16) -> Result<Vec<StoredBatch>, Failed> {
        Ok(self.kept().log.batches(after, limit))
    }

    async fn committed_at(&self, last: Sequence) -> Result<Option<UnixMillis>, Failed> {
        Ok(self.kept().log.committed_at(last))
    }

    async fn last_before(&self, time: UnixMillis) -> Result<Option<Sequence>, Failed> {
        Ok(self.kept().log.last_before(time))
    }
}

#[async_trait]
impl LogStore<Counters> for Store {
    async fn lead(&self) -> Result<Option<Sequence>, Failed> {
        Ok(Some(self.kept().log.head().sequence))
    }

    async fn newest(&self) -> Result<Sequence, Failed> {
        Ok(self.kept().log.head().sequence)
    }

    async fn commit(&self, batch: &Batch<Counters>) -> Result<(), CommitError<Failed>> {
        // A flush takes a while, in which other writes queue up.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut kept = self.kept();
        if !kept.log.append(batch) {
            return Err(CommitError::StaleHead);
        }
        kept.counters = batch.rows.clone();
        Ok(())
    }

    async fn outcome(&self, head: &Head) -> Result<Option<bool>, Failed> {
        Ok(Some(self.kept().log.has(head)))
    }

    async fn recorded(&self, keys: &[String]) -> Result<Vec<Recorded>, Failed> {
        Ok(self.kept().log.recorded(keys))
    }

    async fn sweep_keys(&self, before: UnixMillis, _: u32) -> Result<bool, Failed> {
        self.kept().log.sweep_keys(before);
        Ok(false)
    }

    async fn cut(&self, through: Sequence, rows_max: u32) -> Result<bool, Failed> {
        Ok(self.kept().log.cut(through, rows_max))
    }

    async fn purge(&self, sequence: Sequence) -> Result<bool, Failed> {
        Ok(self.kept().log.purge(sequence))
    }

    async fn close(&self) {}
}

#[derive(Debug, Default)]
struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> UnixMillis {
        UnixMillis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

const FEED: FeedLimits = FeedLimits {
    followers_max: 4,
    heartbeat: Duration::from_millis(50),
    changes_max: 3,
    bytes_max: 1 << 20,
    recent_changes_max: 4,
    recent_bytes_max: 1 << 20,
    claim_kept: Duration::from_secs(60),
    lifetime: Duration::from_secs(3_600),
    readers_max: 1,
};

struct Running {
    store: Arc<Store>,
    log: Log<Counting>,
    feed: Arc<Feed<Counting>>,
    stop: Shutdown,
    writer: JoinHandle<()>,
}

impl Running {
    fn on(store: Arc<Store>) -> Self {
        Self::on_clock(store, Arc::new(Ticks::default()))
    }

    fn on_clock(store: Arc<Store>, clock: Arc<dyn Clock>) -> Self {
        let limits = WriteLimits { group_changes_max: 100, queue_max: 100, queue_bytes_max: 1 << 20 };
        let feed = Arc::new(Feed::new(Arc::clone(&store) as _, FEED));
        let application = Arc::new(Counting(Arc::clone(&store)));
        let (log, writer) = Writer::new(
            application,
            Arc::clone(&store) as _,
            Arc::clone(&feed),
            Arc::new(Notify::new()),
            clock,
            limits,
        );
        let stop = Shutdown::new();
        let writer = tokio::spawn(writer.run(stop.clone()));
        Self { store, log, feed, stop, writer }
    }

    async fn add(&self, name: &str, by: u16) -> Result<Count, Refused> {
        self.add_with_key(name, by, None).await
    }

    async fn add_with_key(&self, name: &str, by: u16, key: Option<&str>) -> Result<Count, Refused> {
        let deadline = Instant::now() + Duration::from_secs(60);
        self.log.write(Add { name: name.into(), by }, key.map(str::to_owned), deadline).await
    }

    /// Returns all changes that a follower gets from a cursor to the head, and its cursor there.
    async fn follow(&self, from: Option<Cursor>, slice: Slice) -> Result<(Vec<String>, Cursor), FollowError> {
        let mut follower = self.feed.watch(from, slice, Shutdown::new()).await?;
        let head = self.store.kept().log.head().sequence;
        let mut changes = Vec::new();
        loop {
            let range = follower.next().await?.unwrap();
            changes.extend(range.changes.iter().map(|change| String::clone(change)));
            if range.through == head {
                let cursor = Cursor { log: range.log, sequence: range.through, chain: range.chain };
                return Ok((changes, cursor));
            }
        }
    }

    async fn end(self) -> Arc<Store> {
        self.stop.cancel();
        self.writer.await.unwrap();
        self.store
    }
}

#[tokio::test(start_paused = true)]
async fn writes_are_numbered_in_groups_and_every_answer_is_committed() {
    let running = Running::on(Arc::default());
    let names: Vec<String> = (0..20).map(|number| format!("{}", char::from(b'a' + number))).collect();
    let outcomes = futures::future::join_all(names.iter().map(|name| running.add(name, 3))).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Ok(Count(3))));
    assert_eq!(running.add("a", 8).await, Err(Refused::TooMany));
    let store = running.end().await;
    let head = store.kept().log.head();
    assert_eq!((head.sequence, store.kept().counters.len()), (Sequence(60), 20));
    let batches = store.batches(Sequence::ZERO, 100).await.unwrap();
    assert!(batches.len() < 20, "{} commits", batches.len());
    assert_eq!(prove(&*store, |_| true).await.unwrap().head, head);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_done_once_even_after_a_restart() {
    let running = Running::on(Arc::default());
    assert_eq!(running.add_with_key("a", 2, Some("k")).await, Ok(Count(2)));
    assert_eq!(running.add("a", 2).await, Ok(Count(4)));
    let again = Running::on(running.end().await);
    assert_eq!(again.add_with_key("a", 2, Some("k")).await, Ok(Count(2)));
    let reused = again.add_with_key("a", 3, Some("k")).await;
    assert_eq!(reused, Err(Refused::Log(WriteRefused::KeyReused)));
    assert_eq!(again.end().await.kept().counters["a"], 4);
}

#[tokio::test(start_paused = true)]
async fn two_writers_on_one_store_never_number_two_changes_alike() {
    let store: Arc<Store> = Arc::default();
    let (one, other) = (Running::on(Arc::clone(&store)), Running::on(Arc::clone(&store)));
    for round in 0..5_u64 {
        let (first, second) = tokio::join!(one.add("a", 1), other.add("b", 1));
        assert_eq!((first, second), (Ok(Count(round + 1)), Ok(Count(round + 1))));
    }
    one.end().await;
    other.end().await;
    assert_eq!(prove(&*store, |_| true).await.unwrap().head.sequence, Sequence(10));
}

#[tokio::test(start_paused = true)]
async fn a_follower_gets_its_slice_from_memory_or_from_the_store_and_a_proof() {
    let running = Running::on(Arc::default());
    for name in ["a", "b", "*", "a", "b", "c", "a"] {
        running.add(name, 1).await.unwrap();
    }
    let odd = Slice::new(1, 2).unwrap();
    // `a` and `c` are odd, and `*` is for all. The first three changes are only in the store.
    let (changes, cursor) = running.follow(None, odd).await.unwrap();
    assert_eq!(changes, ["a", "*", "a", "c", "a"]);
    running.add("b", 1).await.unwrap();
    assert_eq!(running.follow(Some(cursor), odd).await.unwrap().0, Vec::<String>::new());
    assert_eq!(running.follow(Some(cursor), Slice::ALL).await.unwrap().0, ["b"]);

    let mut follower = running.feed.watch(Some(cursor), odd, Shutdown::new()).await.unwrap();
    let proof = loop {
        let range = follower.next().await.unwrap().unwrap();
        if let Some(proof) = range.proof.filter(|_| range.through == range.head) {
            break proof;
        }
    };
    assert_eq!(proof, 8);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_range_says_when_its_first_change_was_committed_wherever_it_comes_from() {
    let running = Running::on(Arc::default());
    for name in ["a", "b", "a", "b", "a", "b", "a"] {
        running.add(name, 1).await.unwrap();
    }
    // The first three changes are only in the store.
    let mut follower = running.feed.watch(None, Slice::ALL, Shutdown::new()).await.unwrap();
    let mut firsts = Vec::new();
    while firsts.last() < Some(&Sequence(4)) {
        let range = follower.next().await.unwrap().unwrap();
        let first = Some(range.after.next()).filter(|_| !range.changes.is_empty());
        let committed = first.map(|first| running.store.kept().log.committed_at(first).unwrap());
        assert_eq!(range.first_committed_at, committed);
        firsts.extend(first);
    }
    assert_eq!(firsts.first(), Some(&Sequence(1)));
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_cursor_of_another_log_or_of_another_past_is_refused() {
    let running = Running::on(Arc::default());
    for _ in 0..4 {
        running.add("a", 1).await.unwrap();
    }
    let (_, cursor) = running.follow(None, Slice::ALL).await.unwrap();
    let refused = async |cursor| running.follow(Some(cursor), Slice::ALL).await.map(drop).unwrap_err();
    let other = LogId([8; 16]);
    assert_eq!(
        refused(Cursor { log: other, ..cursor }).await,
        FollowError::AnotherLog { cursor: other, own: cursor.log }
    );
    let beyond = Sequence(5);
    assert_eq!(
        refused(Cursor { sequence: beyond, ..cursor }).await,
        FollowError::CursorBeyondHead { cursor: beyond, head: Sequence(4) }
    );
    let chain = Some(Chain([1; 32]));
    assert_eq!(refused(Cursor { chain, ..cursor }).await, FollowError::Diverged { cursor: Sequence(4) });
    assert!(running.store.cut(Sequence(2), 10).await.unwrap());
    let before = Cursor { sequence: Sequence(1), chain: None, ..cursor };
    assert_eq!(
        refused(before).await,
        FollowError::CursorBeforeFloor { cursor: Sequence(1), floor: Sequence(2) }
    );
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_purged_change_is_proven_and_sends_only_those_away_who_need_it() {
    let running = Running::on(Arc::default());
    for name in ["a", "b", "c", "b", "b", "b", "b", "b"] {
        running.add(name, 1).await.unwrap();
    }
    assert!(running.store.purge(Sequence(3)).await.unwrap());
    let proof = prove(&*running.store, |_| true).await.unwrap();
    assert_eq!((proof.purged.count(), proof.purged.to_string().as_str()), (1, "3"));
    let (even, odd) = (Slice::new(0, 2).unwrap(), Slice::new(1, 2).unwrap());
    assert_eq!(running.follow(None, even).await.unwrap().0.len(), 6);
    let refusal = running.follow(None, odd).await.map(drop);
    assert_eq!(refusal, Err(FollowError::Purged { cursor: Sequence(0), purged: Sequence(3) }));
    running.end().await;
}

/// A clock that jumps forward and back.
#[derive(Debug, Default)]
struct Restless(AtomicU64);

impl Clock for Restless {
    fn now(&self) -> UnixMillis {
        UnixMillis(
            [50, 20, 80, 10, 90, 30][self.0.fetch_add(1, Ordering::Relaxed).to_le_bytes()[0] as usize % 6],
        )
    }
}

#[tokio::test(start_paused = true)]
async fn times_of_commits_never_go_back_even_after_a_restart() {
    let mut store = Arc::<Store>::default();
    for round in 0..4 {
        let running = Running::on_clock(store, Arc::new(Restless(AtomicU64::new(round))));
        for write in 0..2 {
            let before = running.log.settled();
            running.add(&format!("{round}-{write}"), 1).await.unwrap();
            let head = running.store.kept().log.head().sequence;
            assert!(running.store.kept().log.committed_at(head).unwrap() > before);
        }
        store = running.end().await;
    }
    let kept = store.kept();
    let times = (1..=8).map(|sequence| kept.log.committed_at(Sequence(sequence)).unwrap());
    let times: Vec<_> = times.collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(times.last(), Some(&UnixMillis(90)));
}
