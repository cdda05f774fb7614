//! The task of a follower: reads from the source, applies ranges on blocking threads, and reports to the
//! course.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use crate::course::{Course, Failure, Proof, Reason};
use crate::pauses::Growth;
use crate::place::Disjoint;
use crate::user::{
    Companion, Contradiction, Event, Loaded, NotLoaded, Source, SourceError, State, Stream as _,
};

/// The limits of a follower.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The time that the source may take to open a feed or a state.
    pub open_max: Duration,
    /// The longest silence of an open feed or state.
    pub silence_max: Duration,
    /// The time that a range may take to apply before the state leaves readiness: it waits for a disk, and
    /// falls behind.
    pub apply_max: Duration,
    /// The pauses after the source was lost.
    pub lost: Growth,
    /// The pauses after the state was dropped or could not be loaded.
    pub rebuilds: Growth,
    /// Draws a random number from 0 to 1, with which a pause is multiplied.
    pub draw: fn() -> f64,
}

impl Limits {
    /// Returns limits with these values and the usual ones otherwise.
    #[must_use]
    pub const fn new(open_max: Duration, silence_max: Duration, draw: fn() -> f64) -> Self {
        let first = Duration::from_millis(50);
        Self {
            open_max,
            silence_max,
            apply_max: Duration::from_secs(30),
            lost: Growth { first, bound_max: Duration::from_secs(2) },
            rebuilds: Growth { first, bound_max: Duration::from_secs(60) },
            draw,
        }
    }
}

/// Follows a source until `stop`. When this returns, no task works on the state any more.
pub async fn follow<S, F, C>(
    state: Arc<S>,
    source: F,
    companion: &mut C,
    limits: Limits,
    stop: impl Future<Output = ()>,
) where
    S: State,
    F: Source<Range = S::Range, Part = S::Part>,
    C: Companion,
{
    let course = Course::new(limits.lost, limits.rebuilds, limits.draw);
    let work = Work { state, turn: Arc::default() };
    let turn = Arc::clone(&work.turn);
    let mut follower = Follower { work, source, companion, limits, course };
    tokio::select! {
        () = stop => {}
        never = follower.attempts() => match never {},
    }
    drop(follower);
    // A range that is being applied is not interrupted: wait for its end.
    let _done = turn.lock().await;
}

/// The reasons for which an attempt ended.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Disjoint(#[from] Disjoint),
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    #[error(transparent)]
    NotLoaded(#[from] NotLoaded),
    #[error("{0}")]
    Damaged(String),
}

impl Broken {
    const fn failure(&self) -> Failure {
        match self {
            Self::Source(SourceError::OutOfRange(_)) => Failure::Unusable(Reason::Log),
            Self::Source(SourceError::Damaged(_)) => Failure::NotLoaded,
            Self::Source(SourceError::Lost(_)) => Failure::Lost,
            Self::Disjoint(disjoint) if disjoint.is_final() => Failure::Unusable(Reason::Log),
            Self::Disjoint(_) => Failure::Lost,
            Self::Contradiction(contradiction) => Failure::Unusable(contradiction.reason),
            Self::NotLoaded(_) => Failure::NotLoaded,
            Self::Damaged(_) => Failure::Unusable(Reason::Damage),
        }
    }
}

/// Runs work on a state. That takes milliseconds at least, so it is done on threads that may block, and not
/// on those that answer calls.
struct Work<S> {
    state: Arc<S>,
    /// Held while a thread works on the state, even if its caller has stopped waiting.
    turn: Arc<Mutex<()>>,
}

impl<S: State> Work<S> {
    async fn start<T: Send + 'static>(&self, work: impl FnOnce(&S) -> T + Send + 'static) -> JoinHandle<T> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let state = Arc::clone(&self.state);
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            // Dropped before the guard, even after a panic.
            let state = state;
            work(&state)
        })
    }
}

struct Follower<'a, S, F, C> {
    work: Work<S>,
    source: F,
    companion: &'a mut C,
    limits: Limits,
    course: Course,
}

impl<S, F, C> Follower<'_, S, F, C>
where
    S: State,
    F: Source<Range = S::Range, Part = S::Part>,
    C: Companion,
{
    fn state(&self) -> &S {
        &self.work.state
    }

    fn show(&self) {
        self.state().standing().show(self.course.progress());
    }

    /// Makes attempts for ever.
    async fn attempts(&mut self) -> Infallible {
        loop {
            let Err(broken) = self.attempt().await;
            let decision = self.course.failed(broken.failure());
            let text = broken.to_string();
            match (decision.drops, broken) {
                (Some(reason), _) => {
                    self.show();
                    self.companion.hear(Event::Dropping(reason, text)).await;
                    let cleared = self.work.start(S::clear).await.await;
                    // A state that cannot be cleared must not be used.
                    if let Some(panic) = cleared.err().and_then(|error| error.try_into_panic().ok()) {
                        std::panic::resume_unwind(panic);
                    }
                }
                (None, Broken::NotLoaded(_) | Broken::Source(SourceError::Damaged(_))) => {
                    self.companion.hear(Event::NotLoaded(text)).await
                }
                (
                    None,
                    Broken::Source(_) | Broken::Disjoint(_) | Broken::Contradiction(_) | Broken::Damaged(_),
                ) => {
                    self.companion.hear(Event::Lost(text)).await;
                }
            }
            tokio::time::sleep(decision.pause).await;
        }
    }

    /// Follows until an error occurs.
    async fn attempt(&mut self) -> Result<Infallible, Broken> {
        self.course.begin(self.state().place());
        if self.state().place().is_none() {
            self.companion.before_loading().await;
        }
        if self.state().place().is_none() {
            self.load().await?;
        }
        let from = self.state().place();
        self.course.loaded(from);
        self.show();
        let mut ranges = self.source.watch(from, Instant::now() + self.limits.open_max).await?;
        let settled = self.state().settled();
        self.course.opened(from, settled);
        let mut reported_fault = None;
        loop {
            let range = tokio::select! {
                biased;
                damage = self.state().damaged() => return Err(Broken::Damaged(damage)),
                range = ranges.next_within(self.limits.silence_max) => range?,
            };
            let stretch = S::stretch(&range);
            self.course.received(&stretch)?;
            let proof = self.apply(range).await?;
            let fault = self.state().fault();
            if fault != reported_fault {
                self.companion.hear(Event::Fault(fault.clone())).await;
                reported_fault = fault;
            }
            let became_ready = self.course.applied(&stretch, proof);
            self.show();
            if became_ready {
                self.companion.hear(Event::Ready(stretch.through)).await;
            }
            self.companion.hear(Event::Applied(stretch.through)).await;
        }
    }

    async fn apply(&mut self, range: S::Range) -> Result<Proof, Broken> {
        let mut applying = self.work.start(move |state| state.apply(range)).await;
        let applied = match tokio::time::timeout(self.limits.apply_max, &mut applying).await {
            Ok(applied) => applied,
            Err(_) => {
                self.course.stalled();
                self.show();
                let fault = self.state().fault();
                self.companion.hear(Event::Stalled(fault)).await;
                applying.await
            }
        };
        let panicked = |panic: JoinError| {
            let text = format!("applying a change failed: {panic}");
            Contradiction { reason: Reason::Change, text }
        };
        Ok(applied.map_err(panicked)??)
    }

    /// Builds the state from the source's present state.
    async fn load(&mut self) -> Result<(), Broken> {
        let mut parts = self.source.load(Instant::now() + self.limits.open_max).await?;
        let mut loading = None;
        let mut reported = None;
        loop {
            let part = parts.next_within(self.limits.silence_max).await?;
            let begun = loading.take();
            let loaded = self.work.start(move |state| state.load(begun, part)).await.await;
            let loaded = loaded.map_err(|panic| NotLoaded(format!("loading it failed: {panic}")))?;
            match loaded? {
                Loaded::Part { loading: begun, through } => {
                    loading = Some(begun);
                    if reported.replace(through) != Some(through) {
                        self.course.loading(through);
                        self.show();
                        self.companion.hear(Event::Loading(through)).await;
                    }
                }
                Loaded::Whole => return Ok(()),
            }
        }
    }
}
