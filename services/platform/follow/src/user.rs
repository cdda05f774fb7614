//! What the user of a follower gives: a state, a source, and a companion.

use std::future::Future;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use crate::course::{Proof, Reason};
use crate::place::{Place, Position, Stretch};
use crate::standing::Standing;

/// What the log says contradicts what the state holds. The state is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text}")]
pub struct Contradiction {
    /// Whether a change or the digest does.
    pub reason: Reason,
    /// What the contradiction is.
    pub text: String,
}

/// The source's present state could not be taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NotLoaded(pub String);

/// How far loading has come.
#[derive(Debug)]
pub enum Loaded<L> {
    /// Further parts follow.
    Part {
        /// What has been loaded.
        loading: L,
        /// The position in the log that the parts are of.
        through: Position,
    },
    /// The last part was taken, and the state holds all parts.
    Whole,
}

/// A state that is kept up with a log. Its methods run on threads that may block, one at a time; others may read the state
/// meanwhile.
pub trait State: Send + Sync + 'static {
    /// A range of the log.
    type Range: Send + 'static;
    /// A part of the source's present state.
    type Part: Send + 'static;
    /// A state that is being loaded.
    type Loading: Send + 'static;

    /// Where the follower's progress is shown.
    fn standing(&self) -> &Standing;

    /// What a range covers.
    fn stretch(range: &Self::Range) -> Stretch;

    /// The point in the log that the state has reached; `None` while it holds nothing.
    fn place(&self) -> Option<Place>;

    /// Before this position digests prove nothing, because the state was loaded while the source changed.
    fn settled(&self) -> Position;

    /// Applies a range, of which it is known that it continues the state. After an error or a panic the state is dropped.
    fn apply(&self, range: Self::Range) -> Result<Proof, Contradiction>;

    /// Takes the next part of the source's present state; `loading` is `None` for the first. The state is the loaded one
    /// once this has returned [`Loaded::Whole`], and unchanged before.
    fn load(
        &self,
        loading: Option<Self::Loading>,
        part: Self::Part,
    ) -> Result<Loaded<Self::Loading>, NotLoaded>;

    /// Drops everything, and what was kept of it elsewhere.
    fn clear(&self);

    /// Completes with a description once the state is found damaged where it is kept; never by default. The state is
    /// dropped and loaded anew, after which this does not complete until the next damage.
    fn damaged(&self) -> impl Future<Output = String> + Send {
        std::future::pending()
    }

    /// What last went wrong with the state's storage, as long as it does. Nothing is lost by it.
    fn fault(&self) -> Option<String> {
        None
    }
}

/// A source failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourceError {
    /// Its log does not continue from the place that was asked for.
    #[error("{0}")]
    OutOfRange(String),
    /// What it holds is damaged, so that its present state cannot be had.
    #[error("{0}")]
    Damaged(String),
    /// It could not be reached, was lost or fell silent.
    #[error("{0}")]
    Lost(String),
}

/// Where ranges of the log and the parts of the present state come from.
pub trait Source: Send + Sync {
    /// A range of the log.
    type Range: Send;
    /// A part of the present state.
    type Part: Send;
    /// An open feed.
    type Ranges: Stream<Item = Self::Range>;
    /// A state that is being sent.
    type Parts: Stream<Item = Self::Part>;

    /// Opens the feed after a place, or from the log's first change. It has to be open by `deadline`, and is not limited by
    /// it later.
    fn watch(
        &self,
        from: Option<Place>,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Ranges, SourceError>> + Send;

    /// Asks for the present state, which has to begin by `deadline`.
    fn load(&self, deadline: Instant) -> impl Future<Output = Result<Self::Parts, SourceError>> + Send;
}

/// What comes from a source.
pub trait Stream: Send {
    /// One of it.
    type Item;

    /// The next one, or a failure if none comes within `silence_max`. An end is a failure like any other.
    fn next_within(
        &mut self,
        silence_max: Duration,
    ) -> impl Future<Output = Result<Self::Item, SourceError>> + Send;
}

/// What happened to a follower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The source's state is being loaded, as of a position.
    Loading(Position),
    /// The state has become ready, as of a position.
    Ready(Position),
    /// A range takes long to apply, and the state is not ready: with what is wrong with its storage, if anything is.
    Stalled(Option<String>),
    /// Something is wrong with the state's storage, or nothing any longer.
    Fault(Option<String>),
    /// Everything up to a position is applied.
    Applied(Position),
    /// The source was lost, and is asked again after a pause.
    Lost(String),
    /// The source's state could not be loaded, and is asked for again after a pause.
    NotLoaded(String),
    /// The state is not ready and is about to be dropped.
    Dropping(Reason, String),
}

/// What its user does beside a follower. The follower waits for it.
pub trait Companion: Send {
    /// The state holds nothing and is about to be loaded from the source. It may be begun with something else here.
    fn before_loading(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Something happened.
    fn hear(&mut self, event: Event) -> impl Future<Output = ()> + Send;
}
