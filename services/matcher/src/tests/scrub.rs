//! Flips bits under running matchers: in their files, and in the memory that they search.
//!
//! Many matchers follow one bank, each on its own port. Bits are flipped at each of them, one at a time,
//! while searches for items of the bank run. An answer without such an item is a fault only if it comes later
//! than one period of the scrub after the flip. By then the matcher has been rebuilt, or no search reads the
//! bit.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::Instant;
use vigie_clients::{CallError, Code, MatcherClient, Priority};
use vigie_index::measuring::leave_memory_writable;
use vigie_model::{
    BankId, Frame, Hash, HashType, ItemContent, ItemDraft, ItemId, Query, QueryHash, SearchOptions, Variant,
};
use vigie_serving::Shutdown;

use super::fake_bank::FakeBank;
use super::snapshot::files_below;
use super::{Step, identity};
use crate::config::Config;
use crate::following::follow::{Patience, follow};
use crate::following::keeping::{Schedule, Sharing};
use crate::following::replica::Replica;
use crate::following::scrub::scrub;
use crate::metrics::{Damage, MatcherMetrics};
use crate::saving::plan::StorePlan;
use crate::server::{MESSAGE_BYTES_MAX, here, routes};
use crate::shard::indexes::IndexPlan;

/// A time limit that no step reaches, with fifty matchers on a busy machine.
const WITHIN: Duration = Duration::from_secs(180);
/// The time limit of one search.
const PATIENCE: Duration = Duration::from_secs(60);

/// The number of items: enough PDQ hashes for tables.
const ITEMS: u64 = 4_000;

/// The number of items that are searched after the period of a flip.
const CHECKED: u64 = 400;

/// Returns a bank of items with random hashes. It keeps only the state, not the log.
async fn bank() -> FakeBank {
    let bank = FakeBank::start([Step::Create]).await;
    let mut held = bank.held();
    let holder = *held.replay.banks.keys().next().unwrap();
    for item in 2..2 + ITEMS {
        held.replay.items.insert(ItemId(item), (holder, content(item)));
    }
    held.replay.sequence = 1 + ITEMS;
    held.floor = vigie_model::Sequence(1 + ITEMS);
    drop(held);
    bank
}

fn content(item: u64) -> ItemContent {
    let mut random = SmallRng::seed_from_u64(item);
    let mut hashes = vec![Hash::pdq(random.random()), Hash::md5(random.random())];
    if item.is_multiple_of(4) {
        hashes.push(Hash::from_peer(HashType::SHA1, &random.random::<[u8; 20]>()).unwrap());
    }
    if item.is_multiple_of(8) {
        let frame = |at: u32| Frame { pdq: random.random(), quality: 90, time_ms: 1_000 * at };
        hashes.push(Hash::of_frames(&(0..6).map(frame).collect::<Vec<_>>()).unwrap());
    }
    ItemDraft { hashes, labels: vec![format!("label-{item}")], external_reference: format!("case-{item}") }
        .try_into()
        .unwrap()
}

/// A matcher whose state the tests can read.
struct Matcher {
    replica: Arc<Replica>,
    metrics: MatcherMetrics,
    client: MatcherClient,
    folder: TempDir,
    shutdown: Shutdown,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Matcher {
    async fn start(bank: &FakeBank, scrub_seconds: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { scrub_seconds, ..Config::default() };
        let plan = StorePlan::new(IndexPlan::default(), Some(folder.path())).unwrap();
        let metrics = MatcherMetrics::default();
        let replica = Arc::new(Replica::new(identity().into(), plan, metrics.clone()));
        let shutdown = Shutdown::new();
        let routes = routes(&here(&replica, &config, &shutdown), &config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = MatcherClient::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let patience = Patience { open: WITHIN, silence: WITHIN };
        // The shard is never saved, because a snapshot would only be used at the next start.
        let hour = Duration::from_secs(3_600);
        let schedule = Schedule { changes: u64::MAX, every: hour, purge_after: hour };
        let (health, ends) = (routes.health(), shutdown.clone());
        let following = follow(
            Arc::clone(&replica),
            bank.client(),
            patience,
            schedule,
            Sharing::default(),
            health,
            shutdown.clone(),
        );
        let serving = async move {
            vigie_serving::serve(listener, routes, MESSAGE_BYTES_MAX, &config.serving, ends).await.unwrap();
        };
        let scrubbing = scrub(Arc::clone(&replica), config.scrubbing());
        let tasks = vec![tokio::spawn(following), tokio::spawn(serving), tokio::spawn(scrubbing)];
        let matcher = Self { replica, metrics, client, folder, shutdown, tasks };
        matcher.until_ready().await;
        matcher
    }

    async fn until_ready(&self) {
        let begun = Instant::now();
        while !self.replica.is_ready() {
            assert!(begun.elapsed() < WITHIN, "still not ready: {:?}", self.replica.unready_reason());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Returns whether all these items are found by each of their hashes. An error is not an answer.
    async fn finds(&self, items: &[u64]) -> Result<bool, CallError> {
        let queries: Vec<Query> = items
            .iter()
            .flat_map(|item| content(*item).hashes().to_vec())
            .map(|hash| Query { hashes: vec![QueryHash { hash, variant: Variant::ALL[0] }] })
            .collect();
        let mut results = Vec::new();
        for queries in queries.chunks(Query::BATCH_MAX) {
            let deadline = Instant::now() + PATIENCE;
            let options = SearchOptions::default();
            let answer = self.client.search(queries, &options, Priority::Interactive, deadline).await?;
            results.extend(answer.results);
        }
        let mut results = results.into_iter();
        let found = items.iter().all(|item| {
            let of_item: Vec<_> = results.by_ref().take(content(*item).hashes().len()).collect();
            of_item.iter().all(|result| {
                result.matches.iter().any(|one| {
                    let named = one.external_reference.as_deref() == Some(&*format!("case-{item}"));
                    one.item == ItemId(*item) && named && one.bank == BankId(1)
                })
            })
        });
        Ok(found)
    }

    fn damages(&self) -> u64 {
        [Damage::Memory, Damage::File, Damage::Index, Damage::Search]
            .map(|damage| self.metrics.damages(damage))
            .iter()
            .sum()
    }

    async fn stop(mut self) {
        self.shutdown.cancel();
        // The scrubbing task never ends by itself.
        self.tasks.pop().unwrap().abort();
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
    }
}

fn flip(path: &Path, at: u64, bit: u8) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1 << bit], at).unwrap();
}

/// Flips a bit in a file of the matcher or in its memory. Returns whether there was one.
fn flip_somewhere(matcher: &Matcher, in_memory: bool, random: &mut SmallRng) -> bool {
    let bit = random.random_range(0..8);
    if in_memory {
        let shard = matcher.replica.shard();
        // Prevents the flipped memory from being freed meanwhile.
        let _moment = shard.moment();
        let memory: Vec<_> = shard.memory().into_iter().filter(|range| !range.is_empty()).collect();
        let Some(range) = memory.get(random.random_range(0..memory.len().max(1))) else { return false };
        flip(Path::new("/proc/self/mem"), random.random_range(range.clone()) as u64, bit);
        return true;
    }
    let files: Vec<PathBuf> = files_below(matcher.folder.path()).into_iter().collect();
    let Some(path) = files.get(random.random_range(0..files.len().max(1))) else { return false };
    let Ok(bytes) = fs::metadata(path).map(|metadata| metadata.len()) else { return false };
    if bytes > 0 {
        flip(path, random.random_range(0..bytes), bit);
    }
    bytes > 0
}

/// The counts of all flips.
#[derive(Debug, Default)]
struct Tally {
    flips: AtomicU64,
    /// Flips after which the matcher was rebuilt.
    noticed: AtomicU64,
    /// Wrong answers that claimed to be complete, before the period had passed.
    wrong_in_time: AtomicU64,
}

/// Flips bits at one matcher, one after the other, and searches for items meanwhile.
async fn flip_at(matcher: &Matcher, flips: usize, period: Duration, seed: u64, tally: &Tally) {
    let mut random = SmallRng::seed_from_u64(seed);
    for number in 0..flips {
        matcher.until_ready().await;
        let before = matcher.damages();
        if !flip_somewhere(matcher, number % 2 == 1, &mut random) {
            continue;
        }
        tally.flips.fetch_add(1, Ordering::Relaxed);
        let flipped = Instant::now();
        while flipped.elapsed() < period && matcher.damages() == before {
            let items: Vec<u64> = (0..20).map(|_| random.random_range(2..2 + ITEMS)).collect();
            match matcher.finds(&items).await {
                Ok(true) => {}
                Ok(false) => drop(tally.wrong_in_time.fetch_add(1, Ordering::Relaxed)),
                Err(error) => {
                    // A search without an answer is allowed, and its error must report that it failed.
                    let fails =
                        matches!(error.code(), Code::Unavailable | Code::Internal | Code::DeadlineExceeded);
                    assert!(fails, "seed {seed}, flip {number}: {error}");
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if matcher.damages() > before {
            tally.noticed.fetch_add(1, Ordering::Relaxed);
            matcher.until_ready().await;
        }
        // The period has passed: from now on, every answer must be right.
        let first = random.random_range(2..2 + ITEMS - CHECKED);
        let some: Vec<u64> = (first..first + CHECKED).collect();
        let found = matcher.finds(&some).await;
        assert!(matches!(found, Ok(true)), "seed {seed}, flip {number}: {found:?} after the period");
    }
}

async fn check_flips(matchers: usize, flips: usize, period: Duration) -> Tally {
    leave_memory_writable();
    let (bank, tally) = (bank().await, Arc::new(Tally::default()));
    let mut running = Vec::new();
    for seed in 0..matchers as u64 {
        let matcher = Matcher::start(&bank, period.as_secs()).await;
        let tally = Arc::clone(&tally);
        running.push(tokio::spawn(async move {
            flip_at(&matcher, flips, period, seed, &tally).await;
            matcher.stop().await;
        }));
    }
    for one in running {
        one.await.unwrap();
    }
    Arc::into_inner(tally).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_wrong_for_longer_than_a_period_of_the_scrub() {
    let tally = check_flips(4, 4, Duration::from_secs(2)).await;
    println!("{tally:?}");
    let (flips, noticed) = (tally.flips.into_inner(), tally.noticed.into_inner());
    assert!(flips >= 14 && noticed * 2 > flips, "{noticed} of {flips} flips were noticed");
}

/// The long form: 1,000 flips with a period of five seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "some minutes"]
async fn a_thousand_flips_and_no_answer_is_wrong_for_longer_than_a_period() {
    let tally = check_flips(50, 20, Duration::from_secs(5)).await;
    println!("{tally:?}");
    assert_eq!(tally.flips.into_inner(), 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_cut_harm_no_search_and_the_shard_is_rebuilt() {
    let bank = bank().await;
    let matcher = Matcher::start(&bank, 1).await;
    let loads = bank.held().loads;
    for path in files_below(matcher.folder.path()) {
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    }
    let all: Vec<u64> = (2..2 + ITEMS).collect();
    let begun = Instant::now();
    while matcher.metrics.damages(Damage::File) == 0 {
        if let Ok(found) = matcher.finds(&all).await {
            assert!(found, "what is searched is in memory");
        }
        assert!(begun.elapsed() < WITHIN);
    }
    matcher.until_ready().await;
    assert!(matcher.finds(&all).await.unwrap());
    assert_eq!(bank.held().loads, loads + 1);
    let rebuilds = matcher.metrics.rebuilds(vigie_follow::Reason::Damage);
    assert_eq!((matcher.metrics.damages(Damage::File), rebuilds), (1, 1));
    matcher.stop().await;
}

/// Without this check, an index entry of an item without a record would make searches repeat until their
/// deadline.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_of_an_item_without_a_record_ends_and_has_the_shard_rebuilt() {
    let bank = bank().await;
    // The shard is never scrubbed, so the search has to find the fault.
    let matcher = Matcher::start(&bank, 0).await;
    matcher.replica.shard().stores().records.remove(ItemId(77));
    let begun = Instant::now();
    let error = matcher.finds(&[77]).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{error} after {:?}", begun.elapsed());
    assert_eq!(matcher.metrics.damages(Damage::Search), 1);
    matcher.until_ready().await;
    assert!(matcher.finds(&[76, 77, 78]).await.unwrap());
    matcher.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_is_whole_is_scrubbed_again_and_again() {
    let bank = bank().await;
    let matcher = Matcher::start(&bank, 1).await;
    let begun = Instant::now();
    while matcher.metrics.scrubs() < 2 {
        bank.take([Step::Add(0, vec![3, 7]), Step::Add(0, vec![4]), Step::Remove(9)]);
        assert!(begun.elapsed() < WITHIN);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((matcher.damages(), bank.held().loads), (0, 1));
    matcher.stop().await;
}

#[test]
fn an_audit_follows_banks_and_types_that_are_not_searched() {
    use super::snapshot::Log;
    use crate::shard::audit::{AuditFault, Audited, audit};
    use crate::shard::state::Shard;
    let lacks = [HashType::SHA256].into_iter().collect();
    let plan = StorePlan::new(IndexPlan { lacks, ..IndexPlan::default() }, None).unwrap();
    for plan in [plan, StorePlan::new(IndexPlan::default(), None).unwrap()] {
        let (shard, mut log) = (Shard::empty(identity(), plan.in_memory()), Log::default());
        for seed in 0..5 {
            log.take_some(seed * 7);
            log.apply_to(&shard);
            assert_eq!(audit(&shard, &mut |_| true), Ok(Audited::Whole));
        }
        let (_, index) = shard.stores().indexes.all().remove(0);
        let mut edits = vigie_index::HashEdits::new(index.shape().bytes());
        let bytes = vec![9; index.shape().bytes()];
        edits.insert(&bytes, vigie_index::Entry { item: ItemId(3), bank: BankId(1) });
        index.apply(&edits);
        // The present moment is unchanged; the next one shows the fault.
        assert_eq!(audit(&shard, &mut |_| true), Ok(Audited::Whole));
        log.take_some(90);
        log.apply_to(&shard);
        assert!(matches!(audit(&shard, &mut |_| true), Err(AuditFault::Digest { .. })));
    }
}
