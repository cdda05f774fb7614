//! The crash rig: processes of a real cluster are killed at random moments under writers and readers, and nothing that
//! was acknowledged may be lost, done twice, or answered wrongly.
//!
//! Writers send every write with an idempotency key until it is acknowledged, whatever dies meanwhile, and keep a
//! [`Ledger`]. Readers ask for what is in it, all the time: an answer that covers everything has to agree with it; an
//! error is no answer. After some kills the writers pause, and the whole ledger is compared: every item that was added
//! and not removed matches, every removed one does not, and each matcher's digest is that of the ledger.

mod ledger;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::sync::{RwLock, watch};
use tokio::task::JoinSet;
use vigie_clients::{BankClient, CallError, Code, CoordinatorClient, Deadline, IdempotencyKey};
use vigie_model::{
    BankName, Distance, Hash, PdqHash, Query, QueryHash, QueryMatches, SearchOptions, Sequence, Variant,
};

use self::ledger::{Entry, Fate, Ledger};
use crate::fleet::{Fleet, FleetConfig, Role};
use crate::material::{generator, item, random_pdq};

/// One call waits so long for a process that is down; then it is made again.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// A cluster that takes longer than this to be whole again is stuck.
const WHOLE_WITHIN: Duration = Duration::from_secs(120);
/// Queries of one call.
const BATCH: usize = 256;

/// What a run does.
#[derive(Debug, Clone)]
pub struct CrashPlan {
    /// The binary.
    pub vigie: PathBuf,
    /// Where the processes keep their data and logs.
    pub folder: PathBuf,
    /// The bank's store.
    pub store: String,
    /// Shards.
    pub shard_count: u16,
    /// Tasks that write.
    pub writers: u64,
    /// Tasks that read.
    pub readers: u64,
    /// Kills in all.
    pub kills: u64,
    /// Kills between two comparisons of everything.
    pub kills_between_checks: u64,
    /// The longest pause between two kills.
    pub pause_max: Duration,
    /// Draws victims, moments and hashes.
    pub seed: u64,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct CrashReport {
    /// Kills of the bank.
    pub bank_kills: u64,
    /// Kills of matchers.
    pub matcher_kills: u64,
    /// Items that were acknowledged.
    pub added: u64,
    /// Removals that were acknowledged.
    pub removed: u64,
    /// Complete answers that were held against the ledger while processes died.
    pub answers: u64,
    /// Calls for an answer that failed meanwhile.
    pub unanswered: u64,
    /// Comparisons of everything.
    pub checks: u64,
    /// The longest time until the cluster was whole again.
    pub whole_after_max: Duration,
    /// How long it took.
    pub took: Duration,
}

/// What tasks share.
#[derive(Debug)]
struct Shared {
    bank: BankClient,
    coordinator: CoordinatorClient,
    ledger: Ledger,
    /// Held for reading during each write.
    writing: RwLock<()>,
    stop: watch::Sender<bool>,
    answers: AtomicU64,
    unanswered: AtomicU64,
}

/// Runs a plan to its end; an error is a broken promise.
pub async fn run(plan: &CrashPlan, tell: impl Fn(&str)) -> anyhow::Result<CrashReport> {
    let began = Instant::now();
    let mut rng = generator(plan.seed);
    let mut fleet = Fleet::start(&FleetConfig {
        vigie: plan.vigie.clone(),
        folder: plan.folder.clone(),
        store: plan.store.clone(),
        shard_count: plan.shard_count,
        matcher: Vec::new(),
    })?;
    let shared = Arc::new(Shared {
        bank: fleet.bank_client()?,
        coordinator: fleet.coordinator_client()?,
        ledger: Ledger::default(),
        writing: RwLock::new(()),
        stop: watch::Sender::new(false),
        answers: AtomicU64::new(0),
        unanswered: AtomicU64::new(0),
    });
    fleet.wait_ready(Sequence::ZERO, WHOLE_WITHIN).await?;
    shared.bank.create_bank(&bank_name(), IdempotencyKey::random(), Deadline::now() + CALL_WITHIN).await?;

    let mut tasks = JoinSet::new();
    for _ in 0..plan.writers {
        tasks.spawn(write(Arc::clone(&shared), generator(rng.random())));
    }
    for _ in 0..plan.readers {
        tasks.spawn(read(Arc::clone(&shared), generator(rng.random())));
    }
    let mut report = CrashReport::default();
    for kill in 1..=plan.kills {
        let victim = draw_victim(plan.shard_count, &mut rng);
        pause(plan.pause_max, &mut rng).await;
        fail_if_one_failed(&mut tasks).await?;
        fleet.check_running()?;
        fleet.kill(victim)?;
        // A process that comes back at once, and one that stays away for a while.
        pause(plan.pause_max / 3, &mut rng).await;
        fleet.revive(victim)?;
        match victim {
            Role::Bank => report.bank_kills += 1,
            Role::Matcher(_) => report.matcher_kills += 1,
        }
        if kill % plan.kills_between_checks == 0 || kill == plan.kills {
            let whole_after =
                check(&mut fleet, &shared).await.with_context(|| format!("after kill {kill}"))?;
            report.whole_after_max = report.whole_after_max.max(whole_after);
            report.checks += 1;
            tell(&format!("{kill} kills: all agrees, whole again after {whole_after:.1?}"));
        }
    }
    shared.stop.send_replace(true);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    // Writers went on after the last comparison.
    check(&mut fleet, &shared).await.context("at the end")?;
    drop(fleet);
    let store = vigie_bank::Config { store: plan.store.clone(), ..vigie_bank::Config::default() };
    vigie_bank::verify(&store).await.context("the store is not proven")?;
    let entries = shared.ledger.all();
    report.added = entries.len() as u64;
    report.removed = entries.iter().filter(|entry| entry.fate != Fate::Living).count() as u64;
    report.answers = shared.answers.load(Ordering::Relaxed);
    report.unanswered = shared.unanswered.load(Ordering::Relaxed);
    report.took = began.elapsed();
    Ok(report)
}

fn bank_name() -> BankName {
    "known".parse().expect("a valid name")
}

/// The bank as often as all matchers together: it is the one that must not lose anything.
fn draw_victim(shard_count: u16, rng: &mut SmallRng) -> Role {
    if rng.random() { Role::Bank } else { Role::Matcher(rng.random_range(0..shard_count)) }
}

/// The moment of a kill is what the rig draws; this waits for nothing.
async fn pause(max: Duration, rng: &mut SmallRng) {
    tokio::time::sleep(max.mul_f64(rng.random_range(0.0..1.0))).await;
}

async fn fail_if_one_failed(tasks: &mut JoinSet<anyhow::Result<()>>) -> anyhow::Result<()> {
    match tasks.try_join_next() {
        None => Ok(()),
        Some(ended) => {
            ended??;
            bail!("a task ended before its time");
        }
    }
}

/// Adds and removes items until it is told to stop.
async fn write(shared: Arc<Shared>, mut rng: SmallRng) -> anyhow::Result<()> {
    let mut living: Vec<usize> = Vec::new();
    while !*shared.stop.borrow() {
        let _writing = shared.writing.read().await;
        if living.len() > 20 && rng.random_bool(0.4) {
            let count = rng.random_range(1..5);
            let places: Vec<_> =
                (0..count).map(|_| living.swap_remove(rng.random_range(0..living.len()))).collect();
            shared.ledger.set(&places, Fate::Going);
            let items = shared.ledger.items(&places);
            let key = IdempotencyKey::random();
            let removed = until_answered(|deadline| shared.bank.remove_items(&items, key.clone(), deadline));
            shared.ledger.set(&places, Fate::Removed(removed.await?.sequence));
        } else {
            let count = rng.random_range(1..9);
            let hashes: Vec<PdqHash> = (0..count).map(|_| random_pdq(&mut rng)).collect();
            let items =
                hashes.iter().map(|hash| item([Hash::Pdq(*hash)])).collect::<anyhow::Result<Vec<_>>>()?;
            let key = IdempotencyKey::random();
            let bank = bank_name();
            let added =
                until_answered(|deadline| shared.bank.add_items(&bank, items.clone(), key.clone(), deadline));
            let added = added.await?;
            ensure!(added.value.len() == hashes.len(), "an answer names other items than were sent");
            living.extend(shared.ledger.added(&added.value, &hashes, added.sequence));
        }
    }
    Ok(())
}

/// Makes a call until it is answered. Only what a dead process explains is tried again.
async fn until_answered<T, F>(mut call: impl FnMut(Deadline) -> F) -> anyhow::Result<T>
where
    F: Future<Output = Result<T, CallError>>,
{
    let give_up = Instant::now() + WHOLE_WITHIN;
    loop {
        match call(Deadline::now() + CALL_WITHIN).await {
            Ok(answer) => return Ok(answer),
            Err(error) if may_be_a_dead_process(&error) && Instant::now() < give_up => {}
            Err(error) => return Err(error).context("a write was refused"),
        }
    }
}

fn may_be_a_dead_process(error: &CallError) -> bool {
    matches!(
        error.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Cancelled
    )
}

/// Asks for what is in the ledger until it is told to stop.
async fn read(shared: Arc<Shared>, mut rng: SmallRng) -> anyhow::Result<()> {
    while !*shared.stop.borrow() {
        let Some(place) = shared.ledger.draw(&mut rng) else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let before = shared.ledger.entry(place);
        match ask(&shared.coordinator, &[before], as_of(&before)).await {
            Ok(results) => {
                // It may have begun to go while it was asked for.
                let after = shared.ledger.entry(place);
                if before.fate == after.fate {
                    agrees(&before, &results[0]).context("while processes die")?;
                }
                shared.answers.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) if may_be_a_dead_process(&error) => {
                shared.unanswered.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => return Err(error).context("a search was refused"),
        }
    }
    Ok(())
}

/// The sequence from which on an answer has to know what the entry says.
fn as_of(entry: &Entry) -> Sequence {
    match entry.fate {
        Fate::Living | Fate::Going => entry.added,
        Fate::Removed(sequence) => sequence,
    }
}

/// Looks for the hashes of entries, and takes a complete answer only.
async fn ask(
    coordinator: &CoordinatorClient,
    entries: &[Entry],
    min_sequence: Sequence,
) -> Result<Vec<QueryMatches>, CallError> {
    let query = |entry: &Entry| Query {
        hashes: vec![QueryHash { hash: Hash::Pdq(entry.hash), variant: Variant::Original }],
    };
    let queries = entries.iter().map(query).collect();
    let options = SearchOptions { min_sequence, ..SearchOptions::default() };
    Ok(coordinator.search(queries, options, Deadline::now() + CALL_WITHIN).await?.results)
}

/// Whether an answer says what the ledger does.
fn agrees(entry: &Entry, found: &QueryMatches) -> anyhow::Result<()> {
    let itself = found.matches.iter().find(|found| found.item == entry.item);
    match entry.fate {
        Fate::Living => {
            let itself = itself.with_context(|| format!("MISSED: item {} was acknowledged", entry.item))?;
            ensure!(itself.distance == Distance(0), "WRONG DISTANCE: item {}", entry.item);
        }
        Fate::Removed(_) => {
            ensure!(itself.is_none(), "FALSE: the removal of item {} was acknowledged", entry.item)
        }
        Fate::Going => {}
    }
    ensure!(found.matches.iter().all(|found| found.item == entry.item), "FALSE: something else matches");
    Ok(())
}

/// Lets the writers pause, and compares everything; tells how long the cluster took to be whole.
async fn check(fleet: &mut Fleet, shared: &Shared) -> anyhow::Result<Duration> {
    let _paused = shared.writing.write().await;
    let began = Instant::now();
    let head = until_answered(|deadline| shared.bank.log_head(deadline)).await?;
    let replicas = fleet.wait_ready(head.sequence, WHOLE_WITHIN).await?;
    let whole_after = began.elapsed();
    for replica in &replicas {
        let expected = shared.ledger.digest(replica.identity);
        ensure!(
            replica.digest == expected,
            "shard {} holds {}, and {expected} was acknowledged",
            replica.identity,
            replica.digest
        );
    }
    let entries = shared.ledger.all();
    let living = entries.iter().filter(|entry| entry.fate == Fate::Living).count() as u64;
    ensure!(
        (head.items, head.hashes) == (living, living),
        "the bank counts {} items, and {living} were acknowledged and not removed",
        head.items
    );
    for batch in entries.chunks(BATCH) {
        let found =
            ask(&shared.coordinator, batch, head.sequence).await.context("a whole cluster refused")?;
        for (entry, found) in batch.iter().zip(&found) {
            agrees(entry, found)?;
        }
    }
    Ok(whole_after)
}
