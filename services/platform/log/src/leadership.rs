//! Decides which of several processes on one store serves, while the others stand by.
//!
//! A process asks its store at intervals whether it leads. While it does, it has a [`Term`]: a log that takes
//! writes and a feed that has followers, which begin with the contents of the store. When another process
//! leads, the term ends, and its followers' streams with it; the application refuses every call until the
//! next term begins. A process that cannot reach its store keeps its term for a short time: it can neither
//! write nor read, but the store may return and confirm the leader. Then its term ends too, because another
//! process may lead, and followers must not take the silence for the end of the log.
//!
//! A process that has served, and learns that another one leads, ends with [`LeadError::Superseded`]: nothing
//! else makes its clients drop their connections and find the other process. Its supervisor restarts it, as a
//! standby.
//!
//! No invariant of the log depends on leadership. Two processes that both assume that they lead still never
//! give two changes the same number: the store's compare-and-swap of the head prevents it
//! ([`crate::LogStore::commit`]). Leadership adds that followers get every write at once, and that writers do
//! not hinder each other.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Shutdown;
use crate::application::Application;
use crate::clock::Clock;
use crate::error::LeadError;
use crate::feed::{Feed, FeedLimits};
use crate::position::Sequence;
use crate::store::{LogRead, LogStore};
use crate::sweep::{Keep, Sweeper};
use crate::write::{Log, WriteLimits, Writer};

/// The interval at which the store is asked who leads. A standby serves about this long after the leader has
/// gone.
const INTERVAL: Duration = Duration::from_millis(250);

/// The time for which a term continues while the store does not answer who leads: the time for which the
/// store keeps the lock of a process that it does not hear from.
const SIGHT_MAX: Duration = Duration::from_secs(10);

/// A period in which this process serves.
#[derive(Debug)]
pub struct Term<A: Application> {
    /// The user of the log.
    pub application: Arc<A>,
    /// The queue of writes.
    pub log: Log<A>,
    /// The feed of changes.
    pub feed: Arc<Feed<A>>,
    /// Cancelled to end every stream of the term.
    pub ended: Shutdown,
}

/// The current term, if there is one, and whether the store is in reach.
#[derive(Debug)]
pub struct CurrentTerm<A: Application> {
    term: watch::Sender<Option<Arc<Term<A>>>>,
    in_reach: Arc<AtomicBool>,
}

impl<A: Application> Clone for CurrentTerm<A> {
    fn clone(&self) -> Self {
        Self { term: self.term.clone(), in_reach: Arc::clone(&self.in_reach) }
    }
}

impl<A: Application> CurrentTerm<A> {
    /// Returns the state without a term.
    #[must_use]
    pub fn none() -> Self {
        Self { term: watch::Sender::new(None), in_reach: Arc::default() }
    }

    /// Returns the term, for one call; `None` while the process stands by.
    #[must_use]
    pub fn get(&self) -> Option<Arc<Term<A>>> {
        self.term.borrow().clone()
    }

    /// Returns whether the store has answered who leads, and has not been silent since for longer than a term
    /// continues without it.
    #[must_use]
    pub fn is_in_reach(&self) -> bool {
        self.in_reach.load(Ordering::Relaxed)
    }
}

/// Is notified of the beginning and the end of terms.
#[async_trait]
pub trait Announce: fmt::Debug + Send + Sync + 'static {
    /// Called with true after a term has begun, and with false before one ends.
    async fn serves(&self, serves: bool);
}

/// The limits of a term.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The limits of its writes.
    pub write: WriteLimits,
    /// The limits of its feed.
    pub feed: FeedLimits,
    /// The retention that the sweeper keeps to.
    pub keep: Keep,
    /// The most rows in one step of the sweeper.
    pub sweep_rows_max: u32,
}

/// Begins and ends terms.
#[derive(Debug)]
pub struct Leadership<A: Application> {
    /// The user of the log.
    pub application: Arc<A>,
    /// The store, which decides who leads.
    pub store: Arc<dyn LogStore<A::Rows, Error = A::StoreError>>,
    /// The clock that stamps changes.
    pub clock: Arc<dyn Clock>,
    /// The limits of a term.
    pub limits: Limits,
    /// The current term, where calls find it.
    pub current: CurrentTerm<A>,
    /// Notified of terms.
    pub announce: Arc<dyn Announce>,
    /// Cancelled to end the streams of every term.
    pub shutdown: Shutdown,
}

impl<A: Application> Leadership<A> {
    /// Begins the first term, if this process leads already. Fails if the store cannot be read now: nothing
    /// depends on this process yet.
    pub async fn begin(self) -> Result<Leader<A>, LeadError<A::StoreError>> {
        let leads = self.store.lead().await.map_err(LeadError::Store)?.is_some();
        self.current.in_reach.store(true, Ordering::Relaxed);
        let term = if leads { Some(self.begin_term().await.map_err(LeadError::Store)?) } else { None };
        if term.is_none() {
            tracing::info!("standing by: another process serves");
        }
        let has_served = term.is_some();
        Ok(Leader { leadership: self, term, has_served, heard_at: Instant::now(), lost_sight: false })
    }

    async fn begin_term(&self) -> Result<Tasks<A>, A::StoreError> {
        let (application, store, clock) =
            (Arc::clone(&self.application), Arc::clone(&self.store), Arc::clone(&self.clock));
        let read: Arc<dyn LogRead<Error = A::StoreError>> = Arc::clone(&self.store) as _;
        let feed = Arc::new(Feed::new(read, self.limits.feed));
        let sweep = Arc::new(Notify::new());
        let (log, mut writer) = Writer::new(
            Arc::clone(&application),
            Arc::clone(&store),
            Arc::clone(&feed),
            Arc::clone(&sweep),
            Arc::clone(&clock),
            self.limits.write,
        );
        writer.load().await?;
        let head = feed.head();
        if let Some(committed_at) = self.store.committed_at(head).await? {
            feed.note_commit(head, committed_at);
        }
        let sweeper = Sweeper {
            application,
            store,
            feed: Arc::clone(&feed),
            wake: sweep,
            clock,
            keep: self.limits.keep,
            // The followers of the term before get time to return first.
            cut_from: Instant::now() + self.limits.feed.claim_kept,
            rows_max: self.limits.sweep_rows_max,
        };
        let (stop, look) = (Shutdown::new(), writer.look());
        let writer = JoinSet::from_iter([writer.run(stop.clone())]);
        let sweeper = JoinSet::from_iter([sweeper.run(stop.clone())]);
        let term = Arc::new(Term {
            application: Arc::clone(&self.application),
            log,
            feed,
            ended: self.shutdown.child_token(),
        });
        self.current.term.send_replace(Some(Arc::clone(&term)));
        self.announce.serves(true).await;
        tracing::info!(sequence = term.feed.head().0, "the log is served");
        Ok(Tasks { term, stop, look, writer, sweeper })
    }
}

/// A process that leads or stands by.
#[derive(Debug)]
pub struct Leader<A: Application> {
    leadership: Leadership<A>,
    term: Option<Tasks<A>>,
    /// Whether it has had a term.
    has_served: bool,
    /// The last time at which the store answered who leads.
    heard_at: Instant,
    /// Whether the store failed to answer when it was last asked.
    lost_sight: bool,
}

impl<A: Application> Leader<A> {
    /// Leads or stands by until `stop`, then ends the term: the writes that its log has accepted are
    /// committed and answered.
    pub async fn run(mut self, stop: Shutdown) -> Result<(), LeadError<A::StoreError>> {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(INTERVAL) => {}
                // Each task ends only when it is stopped, or because of a fault of its own.
                fault = Tasks::fault(self.term.as_mut()) => {
                    self.end_term().await.ok();
                    return Err(fault);
                }
            }
            let leads = tokio::select! {
                () = stop.cancelled() => break,
                leads = self.leadership.store.lead() => leads,
            };
            self.look(leads).await?;
        }
        self.end_term().await
    }

    async fn look(
        &mut self,
        leads: Result<Option<Sequence>, A::StoreError>,
    ) -> Result<(), LeadError<A::StoreError>> {
        let lost_sight = leads.is_err();
        if !lost_sight {
            self.heard_at = Instant::now();
        }
        // Set before a term is ended, which takes as long as the writer waits for the store.
        let in_reach = self.heard_at.elapsed() < SIGHT_MAX;
        self.leadership.current.in_reach.store(in_reach, Ordering::Relaxed);
        match (leads, &self.term) {
            (Ok(Some(newest)), Some(term)) => term.look(newest),
            (Ok(Some(_)), None) => match self.leadership.begin_term().await {
                Ok(term) => {
                    self.has_served = true;
                    self.term = Some(term);
                }
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot begin to serve yet");
                }
            },
            (Ok(None), _) if self.has_served => {
                tracing::warn!("another process serves: this one ends");
                self.end_term().await?;
                return Err(LeadError::Superseded);
            }
            (Ok(None), _) => {}
            (Err(error), term) => {
                if !self.lost_sight {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot find the leader");
                }
                if term.is_some() && !in_reach {
                    tracing::warn!("the store is out of reach: standing by");
                    self.end_term().await?;
                }
            }
        }
        self.lost_sight = lost_sight;
        Ok(())
    }

    async fn end_term(&mut self) -> Result<(), LeadError<A::StoreError>> {
        let Some(Tasks { term, stop, mut writer, mut sweeper, .. }) = self.term.take() else { return Ok(()) };
        self.leadership.announce.serves(false).await;
        self.leadership.current.term.send_replace(None);
        term.ended.cancel();
        stop.cancel();
        let (wrote, swept) = tokio::join!(writer.join_next(), sweeper.join_next());
        wrote.and_then(Result::ok).ok_or(LeadError::Writer)?;
        swept.and_then(Result::ok).ok_or(LeadError::Sweeper)
    }
}

/// The tasks of a term.
#[derive(Debug)]
struct Tasks<A: Application> {
    term: Arc<Term<A>>,
    stop: Shutdown,
    look: Arc<Notify>,
    /// The task that writes. Dropping the set aborts it.
    writer: JoinSet<()>,
    /// The task that sweeps. Dropping the set aborts it.
    sweeper: JoinSet<()>,
}

impl<A: Application> Tasks<A> {
    /// Passes on changes that were written by a process that no longer leads, or has not learned it yet.
    fn look(&self, newest: Sequence) {
        if newest > self.term.feed.head() {
            self.term.feed.advance(newest);
            self.look.notify_one();
        }
    }

    /// Waits until a task has ended that was not stopped, and returns the fault.
    async fn fault(tasks: Option<&mut Self>) -> LeadError<A::StoreError> {
        let Some(Self { writer, sweeper, .. }) = tasks else { return std::future::pending().await };
        tokio::select! {
            _ = writer.join_next() => LeadError::Writer,
            _ = sweeper.join_next() => LeadError::Sweeper,
        }
    }
}
