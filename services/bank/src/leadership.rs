//! Who serves: of the banks on one store one leads, and the others stand by.
//!
//! A bank asks its store again and again whether it leads. While it does, a [`Term`] is under way: a log that takes
//! writes and a feed that has followers, begun with what the store holds then. When another bank leads, the term ends,
//! its followers' streams with it, and every call is refused until the next one begins. A bank that cannot reach its
//! store goes on for a little: it can neither write nor read, and the store may be back and say who leads. Then its term
//! ends too, for another bank may lead, and followers must not take the silence for the end of the log.
//!
//! A bank that has served, and learns that another one does, ends itself: nothing else makes its clients let go of their
//! connections and find the other one. Who runs it starts it again, to stand by.
//!
//! Nothing that is always true of the log depends on this. Two banks that both take themselves for the leader still
//! never number two changes alike: the store's compare-and-swap of the head sees to it ([`Store::commit`]). What the
//! lead adds is that followers are told of every write at once, and that writers do not get in each other's way.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use vigie_model::Sequence;
use vigie_serving::{Health, Shutdown};
use vigie_telemetry::Condition;

use crate::change_log::{self, ChangeLog};
use crate::clock::Clock;
use crate::error::Error;
use crate::feed::{self, Feed};
use crate::store::{Store, StoreError};
use crate::sweep::{Keep, Sweeper};
use crate::{RunError, StoreFailure};

/// How often the store is asked who leads: a bank that stands by serves about so long after the other has gone.
const INTERVAL: Duration = Duration::from_millis(250);

/// How long a term goes on while the store does not say who leads: as long as the store keeps the lock of a bank that
/// it does not hear of.
const SIGHT_MAX: Duration = Duration::from_secs(10);

/// A time during which this bank serves.
#[derive(Debug)]
pub(crate) struct Term {
    /// Where writes go.
    pub(crate) log: ChangeLog,
    /// What is streamed.
    pub(crate) feed: Arc<Feed>,
    /// Where reads go.
    pub(crate) store: Arc<dyn Store>,
    /// Ends every stream.
    pub(crate) ended: Shutdown,
}

/// The term that is under way, if one is.
#[derive(Debug, Clone)]
pub(crate) struct CurrentTerm(watch::Sender<Option<Arc<Term>>>);

impl CurrentTerm {
    /// None is.
    pub(crate) fn none() -> Self {
        Self(watch::Sender::new(None))
    }

    /// The term, for one call.
    pub(crate) fn get(&self) -> Result<Arc<Term>, Error> {
        self.0.borrow().clone().ok_or(Error::Standby)
    }

    /// How the bank is: it serves, or it waits for its turn.
    pub(crate) fn condition(&self) -> Condition {
        if self.0.borrow().is_some() {
            return Condition::Ready;
        }
        Condition::Unready("standing by: another bank serves, or the store is out of reach".into())
    }
}

/// What a term is made with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Of the log.
    pub(crate) log: change_log::Limits,
    /// Of the feed.
    pub(crate) feed: feed::Limits,
    /// What the sweeper keeps.
    pub(crate) keep: Keep,
    /// See [`crate::Config::sweep_rows_max`].
    pub(crate) sweep_rows_max: u32,
}

/// Begins and ends terms.
#[derive(Debug)]
pub(crate) struct Leadership {
    /// Knows who leads.
    pub(crate) store: Arc<dyn Store>,
    /// Tells the time of changes.
    pub(crate) clock: Arc<dyn Clock>,
    /// What a term is made with.
    pub(crate) limits: Limits,
    /// Where calls find the term.
    pub(crate) current: CurrentTerm,
    /// Told when a term begins and ends.
    pub(crate) health: Health,
    /// Ends the streams of every term.
    pub(crate) shutdown: Shutdown,
}

impl Leadership {
    /// Begins the first term, if this bank leads already. A store that cannot be read now stops the bank: it has not
    /// promised anything to anybody yet.
    pub(crate) async fn begin(self) -> Result<Led, RunError> {
        let leads = self.store.lead().await.map_err(StoreFailure::from)?.is_some();
        let term = if leads { Some(self.begin_term().await.map_err(StoreFailure::from)?) } else { None };
        if term.is_none() {
            tracing::info!("the bank stands by: another one serves");
        }
        let has_served = term.is_some();
        Ok(Led { leadership: self, term, has_served, told_at: Instant::now(), lost_sight: false })
    }

    async fn begin_term(&self) -> Result<Tasks, StoreError> {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let feed = Arc::new(Feed::new(Arc::clone(&store), self.limits.feed));
        let sweep = Arc::new(Notify::new());
        let (log, mut writer) = ChangeLog::new(
            Arc::clone(&store),
            Arc::clone(&feed),
            Arc::clone(&sweep),
            Arc::clone(&clock),
            self.limits.log,
        );
        writer.load().await?;
        let sweeper = Sweeper {
            store: Arc::clone(&store),
            feed: Arc::clone(&feed),
            wake: sweep,
            clock,
            keep: self.limits.keep,
            // Those who followed the bank before come back first.
            cut_from: Instant::now() + self.limits.feed.place_kept,
            rows_max: self.limits.sweep_rows_max,
        };
        let (stop, look) = (Shutdown::new(), writer.look());
        let writer = JoinSet::from_iter([writer.run(stop.clone())]);
        let sweeper = JoinSet::from_iter([sweeper.run(stop.clone())]);
        let term = Arc::new(Term { log, feed, store, ended: self.shutdown.child_token() });
        self.current.0.send_replace(Some(Arc::clone(&term)));
        self.health.set(true).await;
        tracing::info!(sequence = term.feed.head().0, "the bank serves");
        Ok(Tasks { term, stop, look, writer, sweeper })
    }
}

/// A bank that knows whether it leads.
#[derive(Debug)]
pub(crate) struct Led {
    leadership: Leadership,
    term: Option<Tasks>,
    /// It has had a term.
    has_served: bool,
    /// When the store last said who leads.
    told_at: Instant,
    /// The store did not say it when it was last asked.
    lost_sight: bool,
}

impl Led {
    /// Leads or stands by until `stop`, then ends the term: what its log has accepted is written and answered.
    pub(crate) async fn run(mut self, stop: Shutdown) -> Result<(), RunError> {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(INTERVAL) => {}
                // Each ends only when it is told to, or by a fault of its own.
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

    async fn look(&mut self, leads: Result<Option<Sequence>, StoreError>) -> Result<(), RunError> {
        let lost_sight = leads.is_err();
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
                tracing::warn!("another bank serves: this one ends");
                self.end_term().await?;
                return Err(RunError::Superseded);
            }
            (Ok(None), _) => {}
            (Err(error), term) => {
                if !self.lost_sight {
                    tracing::warn!(error = &error as &dyn std::error::Error, "cannot tell who leads");
                }
                if term.is_some() && self.told_at.elapsed() >= SIGHT_MAX {
                    tracing::warn!("the store is out of reach: this bank stands by");
                    self.end_term().await?;
                }
            }
        }
        if !lost_sight {
            self.told_at = Instant::now();
        }
        self.lost_sight = lost_sight;
        Ok(())
    }

    async fn end_term(&mut self) -> Result<(), RunError> {
        let Some(Tasks { term, stop, mut writer, mut sweeper, .. }) = self.term.take() else { return Ok(()) };
        self.leadership.health.set(false).await;
        self.leadership.current.0.send_replace(None);
        term.ended.cancel();
        stop.cancel();
        let (wrote, swept) = tokio::join!(writer.join_next(), sweeper.join_next());
        wrote.and_then(Result::ok).ok_or(RunError::Writer)?;
        swept.and_then(Result::ok).ok_or(RunError::Sweeper)
    }
}

/// What runs during a term.
#[derive(Debug)]
struct Tasks {
    term: Arc<Term>,
    stop: Shutdown,
    look: Arc<Notify>,
    /// One task each, which does not outlive this.
    writer: JoinSet<()>,
    sweeper: JoinSet<()>,
}

impl Tasks {
    /// Tells of changes that a bank has written that no longer leads, or does not know it yet.
    fn look(&self, newest: Sequence) {
        if newest > self.term.feed.head() {
            self.term.feed.advance(newest);
            self.look.notify_one();
        }
    }

    /// Which of them has ended, though nobody told it to.
    async fn fault(tasks: Option<&mut Self>) -> RunError {
        let Some(Self { writer, sweeper, .. }) = tasks else { return std::future::pending().await };
        tokio::select! {
            _ = writer.join_next() => RunError::Writer,
            _ = sweeper.join_next() => RunError::Sweeper,
        }
    }
}
