//! Writers and readers, and the comparison of everything while they pause.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use rand::RngExt as _;
use rand::rngs::SmallRng;
use tokio::sync::{RwLock, RwLockWriteGuard, watch};
use vigie_clients::{BankClient, CallError, Code, CoordinatorClient, Deadline, IdempotencyKey, Priority};
use vigie_model::{
    BankName, Distance, Hash, LogHead, PdqHash, Query, QueryHash, QueryMatches, ReplicaDescription,
    SearchOptions, Sequence, Variant,
};

use crate::material::{item, random_pdq};
use crate::workload::ledger::{Entry, Fate, Ledger};

/// The deadline of one call; a call that fails because a process is down is then made again.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// Queries in one call.
const BATCH: usize = 256;
/// A writer removes items only while it has more than this many.
const LIVING_MIN: usize = 20;

/// Writers and readers of one cluster, with the ledger of acknowledged writes.
#[derive(Debug)]
pub struct Workload {
    pub(super) ledger: Ledger,
    /// Held for reading during each write, so that `pause` can exclude writes.
    writing: RwLock<()>,
    pub(super) stop: watch::Sender<bool>,
    /// The time after which an outage counts as permanent.
    whole_within: Duration,
    /// The pause of each writer and reader between two calls.
    pub(super) rest: Duration,
    answers: AtomicU64,
    unanswered: AtomicU64,
}

/// Counts of acknowledged writes and of answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Items whose addition was acknowledged.
    pub added: u64,
    /// Removals that were acknowledged.
    pub removed: u64,
    /// Complete answers that were checked against the ledger.
    pub answers: u64,
    /// Searches that failed.
    pub unanswered: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, removed, answers, unanswered } = self;
        write!(f, "{added} added, {removed} removed, {answers} answers, {unanswered} unanswered")
    }
}

/// Returns the name of the bank that the workload writes to.
fn bank_name() -> anyhow::Result<BankName> {
    Ok("known".parse()?)
}

impl Workload {
    /// Makes a workload. An outage longer than `whole_within` is a failure.
    #[must_use]
    pub fn new(whole_within: Duration, rest: Duration) -> Self {
        Self {
            ledger: Ledger::default(),
            writing: RwLock::new(()),
            stop: watch::Sender::new(false),
            whole_within,
            rest,
            answers: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
        }
    }

    /// Asks writers and readers to end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Returns the counts so far.
    pub fn tally(&self) -> Tally {
        let entries = self.ledger.all();
        let gone = entries.iter().filter(|entry| entry.fate != Fate::Living).count();
        Tally {
            added: entries.len() as u64,
            removed: gone as u64,
            answers: self.answers.load(Ordering::Relaxed),
            unanswered: self.unanswered.load(Ordering::Relaxed),
        }
    }

    /// Creates the bank to write to.
    pub async fn prepare(&self, bank: &BankClient) -> anyhow::Result<()> {
        let name = bank_name()?;
        let key = IdempotencyKey::named("prepare");
        self.until_answered(|deadline| bank.create_bank(&name, key.clone(), deadline)).await.map(drop)
    }

    /// Adds and removes items until it is stopped.
    pub async fn write(&self, bank: &BankClient, mut rng: SmallRng) -> anyhow::Result<()> {
        let name = bank_name()?;
        let mut living: Vec<usize> = Vec::new();
        while !*self.stop.borrow() {
            let writing = self.writing.read().await;
            let key = IdempotencyKey::named(format_args!("{:032x}", rng.random::<u128>()));
            if living.len() > LIVING_MIN && rng.random_bool(0.4) {
                let mut draw = || living.swap_remove(rng.random_range(0..living.len()));
                let places = [draw(), draw(), draw()];
                self.ledger.set(&places, Fate::Going);
                let items = self.ledger.items(&places);
                let removed =
                    self.until_answered(|deadline| bank.remove_items(&items, key.clone(), deadline));
                self.ledger.set(&places, Fate::Removed(removed.await?.sequence));
            } else {
                let count = rng.random_range(1..9);
                let hashes: Vec<PdqHash> = (0..count).map(|_| random_pdq(&mut rng)).collect();
                let items =
                    hashes.iter().map(|hash| item([Hash::pdq(*hash)])).collect::<anyhow::Result<Vec<_>>>()?;
                let added = self
                    .until_answered(|deadline| bank.add_items(&name, items.clone(), key.clone(), deadline))
                    .await?;
                ensure!(added.value.len() == hashes.len(), "an answer names other items than were sent");
                living.extend(self.ledger.added(&added.value, &hashes, added.sequence));
            }
            drop(writing);
            tokio::time::sleep(self.rest).await;
        }
        Ok(())
    }

    /// Searches for entries of the ledger until it is stopped.
    pub async fn read(&self, coordinator: &CoordinatorClient, mut rng: SmallRng) -> anyhow::Result<()> {
        while !*self.stop.borrow() {
            tokio::time::sleep(self.rest).await;
            let Some(place) = self.ledger.draw(&mut rng) else { continue };
            let before = self.ledger.entry(place);
            match ask(coordinator, &[before], before.as_of()).await {
                Ok(results) => {
                    // Skipped if a removal began during the search.
                    if before.fate == self.ledger.entry(place).fate {
                        agrees(&before, &results[0]).context("while something was down")?;
                    }
                    self.answers.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) if may_be_an_outage(error.code()) => {
                    self.unanswered.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => return Err(error).context("a search was refused"),
            }
        }
        Ok(())
    }

    /// Waits for the writes that are under way, and prevents new ones.
    pub async fn pause(&self) -> RwLockWriteGuard<'_, ()> {
        self.writing.write().await
    }

    /// Requests the head of the log until it is answered.
    pub async fn head(&self, bank: &BankClient) -> anyhow::Result<LogHead> {
        self.until_answered(|deadline| bank.log_head(deadline)).await
    }

    /// Compares everything while the writers pause. The cluster has to be complete and to have applied the
    /// log up to `head`.
    pub async fn compare(
        &self,
        coordinator: &CoordinatorClient,
        head: &LogHead,
        replicas: &[ReplicaDescription],
    ) -> anyhow::Result<()> {
        for replica in replicas {
            let expected = self.ledger.digest(replica.shards.whole());
            ensure!(
                replica.digest == expected,
                "shard {} holds {}, and {expected} was acknowledged",
                replica.shards,
                replica.digest
            );
        }
        let entries = self.ledger.all();
        let living = entries.iter().filter(|entry| entry.fate == Fate::Living).count() as u64;
        ensure!(
            (head.items, head.hashes) == (living, living),
            "the bank counts {} items, and {living} were acknowledged and not removed",
            head.items
        );
        for batch in entries.chunks(BATCH) {
            let found = ask(coordinator, batch, head.sequence).await.context("a whole cluster refused")?;
            for (entry, found) in batch.iter().zip(&found) {
                agrees(entry, found)?;
            }
        }
        Ok(())
    }

    /// Makes a call until it is answered. Only failures that an outage explains are retried.
    async fn until_answered<T, F>(&self, mut call: impl FnMut(Deadline) -> F) -> anyhow::Result<T>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let give_up = Deadline::now() + self.whole_within;
        loop {
            match call(Deadline::now() + CALL_WITHIN).await {
                Ok(answer) => return Ok(answer),
                Err(error) if may_be_an_outage(error.code()) && Deadline::now() < give_up => {}
                Err(error) => return Err(error).context("a call to the bank failed"),
            }
        }
    }
}

/// Returns whether an outage explains that a call failed with this code.
pub fn may_be_an_outage(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Cancelled
    )
}

/// Searches for the hashes of entries; only a complete answer is accepted.
async fn ask(
    coordinator: &CoordinatorClient,
    entries: &[Entry],
    min_sequence: Sequence,
) -> Result<Vec<QueryMatches>, CallError> {
    let queries: Vec<Query> = entries.iter().map(query).collect();
    let options = SearchOptions { min_sequence, ..SearchOptions::default() };
    Ok(coordinator
        .search(&queries, &options, Priority::Interactive, Deadline::now() + CALL_WITHIN)
        .await?
        .results)
}

/// Returns a query for the entry's hash.
pub(super) fn query(entry: &Entry) -> Query {
    question(Hash::pdq(entry.hash))
}

/// Returns a query for one hash.
pub(super) fn question(hash: Hash) -> Query {
    Query { hashes: vec![QueryHash { hash, variant: Variant::Original }] }
}

/// Checks that an answer agrees with the entry of the ledger.
pub(super) fn agrees(entry: &Entry, found: &QueryMatches) -> anyhow::Result<()> {
    let itself = found.matches.iter().find(|found| found.item == entry.item);
    match entry.fate {
        Fate::Living => {
            let itself = itself.with_context(|| format!("MISSED: item {} was acknowledged", entry.item))?;
            ensure!(itself.distance == Distance(0), "WRONG DISTANCE: item {}", entry.item);
        }
        Fate::Removed(_) => {
            ensure!(itself.is_none(), "FALSE: the removal of item {} was acknowledged", entry.item);
        }
        Fate::Going => {}
    }
    ensure!(found.matches.iter().all(|found| found.item == entry.item), "FALSE: something else matches");
    Ok(())
}
