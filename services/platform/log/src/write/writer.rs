//! The writer: collects the writes that wait, and commits them together.
//!
//! The writer takes the writes that queued while it committed the previous group, plans them, commits one
//! transaction, and only then answers. A single write does not wait for others; under load one flush serves
//! many.
//!
//! Always true: an answered write is committed and flushed; a refused write had no effect, unless its error
//! is that the outcome is unknown.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::Shutdown;
use crate::application::{Application, Loaded, Planned, Planner as _, Write as _};
use crate::clock::Clock;
use crate::draft::Draft;
use crate::error::WriteRefused;
use crate::feed::Feed;
use crate::store::{Batch, CommitError, Head, LogStore};
use crate::write::keys::Keys;
use crate::write::queue::{Log, Queued, WriteLimits};
use crate::write::stamps::Stamps;

/// The most attempts to plan a group, if other writers move the head each time.
const ATTEMPTS_MAX: usize = 5;

/// The only task that writes.
pub struct Writer<A: Application> {
    application: Arc<A>,
    store: Arc<dyn LogStore<A::Rows, Error = A::StoreError>>,
    feed: Arc<Feed<A>>,
    sweep: Arc<Notify>,
    clock: Arc<dyn Clock>,
    stamps: Arc<Stamps>,
    changes_max: usize,
    queue: mpsc::Receiver<Queued<A>>,
    /// A write taken from the queue that was too large for the group before.
    held: Option<Queued<A>>,
    /// The head and the state; `None` if they have to be loaded.
    standing: Option<Standing<A>>,
    /// Notified when another writer may have moved the head.
    look: Arc<Notify>,
}

impl<A: Application> fmt::Debug for Writer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("head", &self.standing.as_ref().map(|standing| standing.head)).finish()
    }
}

/// The head and the state on which the writer plans.
struct Standing<A: Application> {
    head: Head,
    state: A::State,
}

/// The reasons why a group was not committed.
enum Setback {
    /// Another writer moved the head first: plan again.
    Stale,
    /// The group cannot be written now.
    Failed(WriteRefused),
}

/// The outcomes of the writes of a group, in its order.
type Outcomes<A> = Vec<Result<<A as Application>::Answer, <A as Application>::Error>>;

impl<A: Application> Writer<A> {
    /// Returns a log, and the writer that has to run for it. `sweep` is notified when a commit leaves
    /// something to sweep.
    pub fn new(
        application: Arc<A>,
        store: Arc<dyn LogStore<A::Rows, Error = A::StoreError>>,
        feed: Arc<Feed<A>>,
        sweep: Arc<Notify>,
        clock: Arc<dyn Clock>,
        limits: WriteLimits,
    ) -> (Log<A>, Self) {
        let stamps = Arc::new(Stamps::new(Arc::clone(&clock)));
        let (log, queue) = Log::new(&limits, Arc::clone(&stamps));
        let (held, standing, look) = (None, None, Arc::default());
        let changes_max = limits.group_changes_max;
        (
            log,
            Self { application, store, feed, sweep, clock, stamps, changes_max, queue, held, standing, look },
        )
    }

    /// Loads the state, so that the first write does not have to.
    pub async fn load(&mut self) -> Result<(), A::StoreError> {
        if self.standing.is_none() {
            let Loaded { head, state, summary } = self.application.load().await?;
            if let Some(committed_at) = self.store.committed_at(head.sequence).await? {
                self.stamps.raise(committed_at);
            }
            tracing::debug!(sequence = head.sequence.0, "the log is loaded");
            self.application.show(&state);
            self.feed.reset(head.sequence, summary);
            self.standing = Some(Standing { head, state });
        }
        Ok(())
    }

    /// Returns the notification that wakes the writer to check whether another writer has moved the head, so
    /// that followers get proofs of the new state.
    #[must_use]
    pub fn look(&self) -> Arc<Notify> {
        Arc::clone(&self.look)
    }

    /// Writes until `stop`, then writes what is still in the queue.
    pub async fn run(mut self, stop: Shutdown) {
        while let Some(first) = self.next(&stop).await {
            let group = self.gather(first);
            self.write(group).await;
        }
        tracing::debug!("the log is closed");
    }

    async fn next(&mut self, stop: &Shutdown) -> Option<Queued<A>> {
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

    /// Adds the writes that have queued to the first one.
    fn gather(&mut self, first: Queued<A>) -> Vec<Queued<A>> {
        let mut changes = first.write.change_count();
        let mut alone = first.write.goes_alone();
        let mut group = vec![first];
        while changes < self.changes_max && !alone {
            let Ok(next) = self.queue.try_recv() else { break };
            changes += next.write.change_count();
            alone = next.write.goes_alone();
            if changes > self.changes_max || alone {
                self.held = Some(next);
                break;
            }
            group.push(next);
        }
        group
    }

    async fn write(&mut self, mut group: Vec<Queued<A>>) {
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
                Err(Setback::Failed(refusal)) => return refuse(group, refusal),
            }
        }
        refuse(group, WriteRefused::Contended);
    }

    /// Plans the group and commits it.
    async fn attempt(&mut self, group: &[Queued<A>]) -> Result<Outcomes<A>, Setback> {
        // The state first: if another writer commits in between, the commit finds the head moved.
        self.load().await.map_err(unprepared)?;
        // Held until this attempt is over.
        let stamps = Arc::clone(&self.stamps);
        let stamp = stamps.next();
        let now = self.clock.now();
        let keys: Vec<String> =
            group.iter().filter_map(|queued| queued.key.as_ref()).map(|key| key.text.clone()).collect();
        let recorded = if keys.is_empty() {
            Vec::new()
        } else {
            self.store.recorded(&keys).await.map_err(unprepared)?
        };
        let Some(mut keys) = Keys::new(recorded, now) else {
            tracing::error!("a recorded answer does not read back");
            return Err(Setback::Failed(WriteRefused::NotWritten));
        };
        // Loaded above.
        let Some(Standing { head, state }) = &mut self.standing else {
            return Err(Setback::Failed(WriteRefused::Broken));
        };
        let writes: Vec<&A::Write> = group.iter().map(|queued| &queued.write).collect();
        let known = self.application.look_up(state, &writes).await.map_err(unprepared)?;
        let (outcomes, Planned { draft, rows, delta }) = {
            let mut planner =
                self.application.planner(state, known, Draft::new(*head, now).stamped(stamp.at));
            let plan = |queued: &Queued<A>| {
                if let Some(answer) = keys.answer(queued.key.as_ref()) {
                    return answer.map_err(A::Error::from);
                }
                let answer = planner.plan(&queued.write)?;
                keys.record(queued.key.as_ref(), &answer);
                Ok(answer)
            };
            let outcomes: Outcomes<A> = group.iter().map(plan).collect();
            (outcomes, planner.finish())
        };
        if draft.is_empty() && !A::stand_alone(&rows) {
            return match self.confirm().await {
                Ok(()) => Ok(outcomes),
                Err(setback) => {
                    self.reload().await;
                    Err(setback)
                }
            };
        }
        let (batch, logged) = draft.seal_logged(rows, keys.into_new());
        if let Err(setback) = self.commit(&batch).await {
            // The state in memory is ahead of what is stored.
            self.reload().await;
            return Err(setback);
        }
        if let Some(standing) = &mut self.standing {
            standing.head = batch.head;
            self.application.show(&standing.state);
        }
        if !logged.is_empty() {
            self.feed.publish(logged, batch.committed_at, &delta);
        }
        if A::needs_sweep(&batch.rows) {
            self.sweep.notify_one();
        }
        Ok(outcomes)
    }

    async fn reload(&mut self) {
        self.standing = None;
        if let Err(error) = self.load().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot load the state yet");
        }
    }

    /// Checks that a group without changes was planned on the present state, as a commit would have checked.
    async fn confirm(&self) -> Result<(), Setback> {
        let newest = self.store.newest().await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "cannot confirm the head");
            Setback::Failed(WriteRefused::NotWritten)
        })?;
        let known = self.standing.as_ref().map(|standing| standing.head.sequence);
        if known == Some(newest) { Ok(()) } else { Err(Setback::Stale) }
    }

    async fn commit(&self, batch: &Batch<A::Rows>) -> Result<(), Setback> {
        match self.store.commit(batch).await {
            Ok(()) => Ok(()),
            Err(CommitError::StaleHead) => Err(Setback::Stale),
            Err(CommitError::Refused(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the store refused a group of writes"
                );
                Err(Setback::Failed(WriteRefused::NotWritten))
            }
            Err(CommitError::Unknown(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "the store failed in a commit");
                if batch.changes.is_empty() {
                    return Err(Setback::Failed(WriteRefused::OutcomeUnknown));
                }
                // If the chain is stored, so is everything that it covers.
                match self.store.outcome(&batch.head).await {
                    Ok(Some(true)) => Ok(()),
                    Ok(Some(false)) => Err(Setback::Failed(WriteRefused::NotWritten)),
                    Ok(None) | Err(_) => Err(Setback::Failed(WriteRefused::OutcomeUnknown)),
                }
            }
        }
    }
}

fn unprepared(error: impl std::error::Error + 'static) -> Setback {
    tracing::error!(error = &error as &dyn std::error::Error, "cannot prepare a write");
    Setback::Failed(WriteRefused::NotWritten)
}

/// Refuses the writes whose deadline has passed or whose caller has gone, and returns the others.
fn still_wanted<A: Application>(group: Vec<Queued<A>>) -> Vec<Queued<A>> {
    let now = Instant::now();
    let (late, wanted): (Vec<_>, Vec<_>) = group.into_iter().partition(|queued| queued.is_late(now));
    refuse(late, WriteRefused::TooLate);
    wanted
}

fn refuse<A: Application>(group: Vec<Queued<A>>, refusal: WriteRefused) {
    for queued in group {
        queued.give(Err(refusal.into()));
    }
}
