//! The writer of the log: collects the writes that wait, and commits them as one.
//!
//! The queue in front of it is bounded. The writer takes what has queued up while it committed the group before,
//! plans it ([`crate::plan`]), commits one transaction, and only then answers. A lone write waits for nobody; under
//! load one flush serves many.
//!
//! Always true: an answered write is committed and flushed; a write that was refused left nothing behind, unless its
//! error says that the outcome is unknown.

use std::sync::Arc;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use vigie_model::BankId;
use vigie_serving::Shutdown;

use crate::clock::Clock;
use crate::error::Error;
use crate::feed::Feed;
use crate::plan::{Key, Known, Planned, Planner, State};
use crate::store::{Batch, CommitError, Loaded, Store, StoreError};
use crate::write::{Answer, Write};

/// How often a group is planned anew because another writer was quicker.
const ATTEMPTS_MAX: usize = 5;

/// The limits of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// See [`crate::Config::group_changes_max`].
    pub(crate) group_changes_max: usize,
    /// See [`crate::Config::write_queue_max`].
    pub(crate) write_queue_max: usize,
    /// See [`crate::Config::write_queue_bytes_max`].
    pub(crate) write_queue_bytes_max: usize,
    /// See [`crate::Config::banks_max`].
    pub(crate) banks_max: usize,
}

/// Where writes are handed in.
#[derive(Debug, Clone)]
pub(crate) struct ChangeLog {
    queue: mpsc::Sender<Queued>,
    bytes: Arc<Semaphore>,
    bytes_max: usize,
}

impl ChangeLog {
    /// Writes that wait to be committed.
    pub(crate) fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// The log, and the writer that has to run for it.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        feed: Arc<Feed>,
        sweep: Arc<Notify>,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> (Self, Writer) {
        let (sender, receiver) = mpsc::channel(limits.write_queue_max);
        let bytes_max = limits.write_queue_bytes_max.min(Semaphore::MAX_PERMITS);
        let log = Self { queue: sender, bytes: Arc::new(Semaphore::new(bytes_max)), bytes_max };
        let writer = Writer {
            store,
            feed,
            sweep,
            clock,
            limits,
            queue: receiver,
            held: None,
            state: None,
            look: Arc::default(),
        };
        (log, writer)
    }

    /// Writes, and answers once it is committed and flushed. Refuses at once where too many writes wait.
    pub(crate) async fn write(
        &self,
        write: Write,
        key: Option<String>,
        deadline: Instant,
    ) -> Result<Answer, Error> {
        // One write larger than the whole bound is let through when it is alone.
        let weight = u32::try_from(write.weight().min(self.bytes_max)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.bytes).try_acquire_many_owned(weight).map_err(|_| Error::QueueFull)?;
        let key = key.map(|text| Key { text, digest: write.digest() });
        let (sender, receiver) = oneshot::channel();
        let queued = Queued { write, key, deadline, answer: sender, _permit: permit };
        self.queue.try_send(queued).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Error::QueueFull,
            mpsc::error::TrySendError::Closed(_) => Error::Stopping,
        })?;
        receiver.await.unwrap_or(Err(Error::Broken))
    }
}

/// A write that waits.
#[derive(Debug)]
struct Queued {
    write: Write,
    key: Option<Key>,
    deadline: Instant,
    answer: oneshot::Sender<Result<Answer, Error>>,
    /// Its share of the queue's bytes, given back when it is answered.
    _permit: OwnedSemaphorePermit,
}

/// The one task that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    store: Arc<dyn Store>,
    feed: Arc<Feed>,
    sweep: Arc<Notify>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    queue: mpsc::Receiver<Queued>,
    /// Taken from the queue, but too large for the group before.
    held: Option<Queued>,
    /// `None` where it has to be loaded.
    state: Option<State>,
    /// Tells that another writer may have moved the head.
    look: Arc<Notify>,
}

/// Why a group was not committed.
enum Setback {
    /// Another writer was quicker: plan anew.
    Stale,
    /// It cannot be done now.
    Failed(Error),
}

impl Writer {
    /// Loads the state, so that the first write need not.
    pub(crate) async fn load(&mut self) -> Result<(), StoreError> {
        self.loaded().await.map(drop)
    }

    /// Wakes the writer to look whether another one has moved the head, so that followers get proofs of the new state.
    pub(crate) fn look(&self) -> Arc<Notify> {
        Arc::clone(&self.look)
    }

    /// Writes until `stop`, then what is still in the queue.
    pub(crate) async fn run(mut self, stop: Shutdown) {
        while let Some(first) = self.next(&stop).await {
            let group = self.gather(first);
            self.write(group).await;
        }
        tracing::debug!("the log is closed");
    }

    async fn next(&mut self, stop: &Shutdown) -> Option<Queued> {
        if let Some(held) = self.held.take() {
            return Some(held);
        }
        loop {
            tokio::select! {
                biased;
                next = self.queue.recv() => return next,
                () = stop.cancelled() => break,
                () = self.look.notified() => {}
            }
            if self.confirm().await.is_err() {
                self.reload().await;
            }
        }
        self.queue.close();
        self.queue.recv().await
    }

    /// Adds to the first write what else has queued up. The deletion of a bank goes alone: what is looked up for it is
    /// of the bank as it was before the group.
    fn gather(&mut self, first: Queued) -> Vec<Queued> {
        let mut changes = first.write.change_count();
        let mut alone = first.write.deletes_bank();
        let mut group = vec![first];
        while changes < self.limits.group_changes_max && !alone {
            let Ok(next) = self.queue.try_recv() else { break };
            changes += next.write.change_count();
            alone = next.write.deletes_bank();
            if changes > self.limits.group_changes_max || alone {
                self.held = Some(next);
                break;
            }
            group.push(next);
        }
        group
    }

    async fn write(&mut self, mut group: Vec<Queued>) {
        for _ in 0..ATTEMPTS_MAX {
            group = still_wanted(group);
            if group.is_empty() {
                return;
            }
            match self.attempt(&group).await {
                Ok(outcomes) => {
                    for (queued, outcome) in group.into_iter().zip(outcomes) {
                        queued.give(outcome);
                    }
                    return;
                }
                Err(Setback::Stale) => tracing::debug!("another writer moved the head; planning anew"),
                Err(Setback::Failed(error)) => return refuse(group, &error),
            }
        }
        refuse(group, &Error::Contended);
    }

    /// Plans the group and commits it.
    async fn attempt(&mut self, group: &[Queued]) -> Result<Vec<Result<Answer, Error>>, Setback> {
        let not_written = |error: StoreError| {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot prepare a write");
            Setback::Failed(Error::NotWritten)
        };
        // The state first: if another writer comes in between, the commit finds the head moved.
        self.load().await.map_err(not_written)?;
        let deleted = self.deleted(group);
        let known = look_up(&*self.store, group, deleted).await.map_err(not_written)?;
        let (now, banks_max) = (self.clock.now(), self.limits.banks_max);
        let state = self.loaded().await.map_err(not_written)?;
        let mut planner = Planner::new(state, known, now, banks_max);
        let outcomes = group.iter().map(|queued| planner.plan(&queued.write, queued.key.as_ref())).collect();
        let (planned, confirmed) = match planner.finish() {
            Some(planned) => {
                let committed = self.commit(&planned.batch).await;
                (Some(planned), committed)
            }
            None => (None, self.confirm().await),
        };
        if let Err(setback) = confirmed {
            // The state in memory has run ahead of what is stored.
            self.reload().await;
            return Err(setback);
        }
        if let Some(Planned { batch, logged, totals }) = planned {
            self.feed.publish(logged, &totals);
            if !batch.banks_deleted.is_empty() {
                self.sweep.notify_one();
            }
        }
        Ok(outcomes)
    }

    async fn reload(&mut self) {
        self.state = None;
        if let Err(error) = self.load().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot load the state yet");
        }
    }

    /// The bank that the group deletes.
    fn deleted(&self, group: &[Queued]) -> Option<BankId> {
        let state = self.state.as_ref()?;
        group.iter().find_map(|queued| match &queued.write {
            Write::DeleteBank { name } => state.id_of(name),
            Write::CreateBank { .. }
            | Write::RenameBank { .. }
            | Write::SetBankEnabled { .. }
            | Write::AddItems { .. }
            | Write::RemoveItems { .. } => None,
        })
    }

    /// Makes sure that a group without a change was judged by the present state: a commit would have told.
    async fn confirm(&self) -> Result<(), Setback> {
        let newest = self.store.newest().await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot confirm the head");
            Setback::Failed(Error::NotWritten)
        })?;
        let known = self.state.as_ref().map(State::sequence);
        if known == Some(newest) { Ok(()) } else { Err(Setback::Stale) }
    }

    async fn commit(&self, batch: &Batch) -> Result<(), Setback> {
        match self.store.commit(batch).await {
            Ok(()) => Ok(()),
            Err(CommitError::StaleHead) => Err(Setback::Stale),
            Err(CommitError::Refused(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the store refused a group of writes"
                );
                Err(Setback::Failed(Error::NotWritten))
            }
            Err(CommitError::Unknown(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store failed in a commit");
                // If the chain is there, so is all that it covers.
                match self.store.outcome(batch).await {
                    Ok(Some(true)) => Ok(()),
                    Ok(Some(false)) => Err(Setback::Failed(Error::NotWritten)),
                    Ok(None) | Err(_) => Err(Setback::Failed(Error::OutcomeUnknown)),
                }
            }
        }
    }

    async fn loaded(&mut self) -> Result<&mut State, StoreError> {
        if self.state.is_none() {
            let Loaded { head, banks, totals } = self.store.load().await?;
            tracing::debug!(sequence = head.log.sequence.0, banks = banks.len(), "the log is loaded");
            self.feed.reset(head.log.sequence, totals);
            self.state = Some(State::new(head, banks));
        }
        // Just filled; an empty state could only follow from an empty store.
        self.state.as_mut().ok_or_else(|| StoreError::Corrupt { row: "the head".to_owned() })
    }
}

impl Queued {
    fn give(self, outcome: Result<Answer, Error>) {
        // Nobody takes it where the caller has gone; the write stands all the same.
        self.answer.send(outcome).ok();
    }
}

/// Lets go of the writes whose time is over or whose caller has gone.
fn still_wanted(group: Vec<Queued>) -> Vec<Queued> {
    let now = Instant::now();
    let (late, wanted): (Vec<_>, Vec<_>) =
        group.into_iter().partition(|queued| queued.deadline <= now || queued.answer.is_closed());
    refuse(late, &Error::TooLate);
    wanted
}

fn refuse(group: Vec<Queued>, error: &Error) {
    for queued in group {
        queued.give(Err(error.clone()));
    }
}

/// What the store knows of the items and keys that the group names, and of the bank that it deletes.
async fn look_up(store: &dyn Store, group: &[Queued], deleted: Option<BankId>) -> Result<Known, StoreError> {
    let mut items = Vec::new();
    for queued in group {
        if let Write::RemoveItems { items: removed } = &queued.write {
            items.extend_from_slice(removed);
        }
    }
    let keys: Vec<String> =
        group.iter().filter_map(|queued| queued.key.as_ref()).map(|key| key.text.clone()).collect();
    let placements = if items.is_empty() { Vec::new() } else { store.placements(&items).await? };
    let recorded = if keys.is_empty() { Vec::new() } else { store.recorded(&keys).await? };
    let digests = match deleted {
        Some(bank) => store.bank_digests(bank).await?,
        None => Vec::new(),
    };
    Known::new(placements, recorded, digests)
        .ok_or_else(|| StoreError::Corrupt { row: "a recorded answer".to_owned() })
}
