//! The traits that the user of a follower implements: a state, a source, and a companion.

use std::future::Future;
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;

use crate::course::{Proof, Reason};
use crate::place::{Place, Position, Stretch};
use crate::standing::Standing;

/// A contradiction between the log and the state. The state is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text}")]
pub struct Contradiction {
    /// Whether a change or the digest contradicts the state.
    pub reason: Reason,
    /// A description of the contradiction.
    pub text: String,
}

/// The error of loading the source's present state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct NotLoaded(pub String);

/// The progress of loading.
#[derive(Debug)]
pub enum Loaded<L> {
    /// Further parts follow.
    Part {
        /// The state loaded so far.
        loading: L,
        /// The position in the log as of which the parts are.
        through: Position,
    },
    /// The last part was taken, and the state holds all parts.
    Whole,
}

/// A state that follows a log. Its methods run on threads that may block, one at a time; others may read the
/// state meanwhile.
pub trait State: Send + Sync + 'static {
    /// A range of the log.
    type Range: Send + 'static;
    /// A part of the source's present state.
    type Part: Send + 'static;
    /// A state that is being loaded.
    type Loading: Send + 'static;

    /// Returns the [`Standing`] that shows the follower's progress to others.
    fn standing(&self) -> &Standing;

    /// Returns the extent of a range.
    fn stretch(range: &Self::Range) -> Stretch;

    /// Returns the point in the log that the state has reached; `None` while it holds nothing.
    fn place(&self) -> Option<Place>;

    /// Returns the position before which digests prove nothing, because the state was loaded while the source
    /// changed.
    fn settled(&self) -> Position;

    /// Applies a range, which is known to continue the state. After an error or a panic the state is dropped.
    fn apply(&self, range: Self::Range) -> Result<Proof, Contradiction>;

    /// Takes the next part of the source's present state; `loading` is `None` for the first. The state is
    /// replaced by the loaded one when this returns [`Loaded::Whole`], and unchanged before.
    fn load(
        &self,
        loading: Option<Self::Loading>,
        part: Self::Part,
    ) -> Result<Loaded<Self::Loading>, NotLoaded>;

    /// Drops everything, including stored copies of it.
    fn clear(&self);

    /// Completes with a description once the stored state is found damaged; never by default. The state is
    /// then dropped and loaded again, after which this does not complete until the next damage.
    fn damaged(&self) -> impl Future<Output = String> + Send {
        std::future::pending()
    }

    /// Returns the present fault of the state's storage, if there is one. No data is lost by it.
    fn fault(&self) -> Option<String> {
        None
    }
}

/// The errors of a source.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourceError {
    /// The source's log does not continue from the requested place.
    #[error("{0}")]
    OutOfRange(String),
    /// The source's data is damaged, so that its present state cannot be sent.
    #[error("{0}")]
    Damaged(String),
    /// The source could not be reached, was lost or fell silent.
    #[error("{0}")]
    Lost(String),
}

/// The source of ranges of the log and of parts of the present state.
pub trait Source: Send + Sync {
    /// A range of the log.
    type Range: Send;
    /// A part of the present state.
    type Part: Send;
    /// An open feed.
    type Ranges: Stream<Item = Self::Range>;
    /// The parts of a state, as they are sent.
    type Parts: Stream<Item = Self::Part>;

    /// Opens the feed after a place, or from the log's first change. It has to be open by `deadline`, which
    /// does not limit it later.
    fn watch(
        &self,
        from: Option<Place>,
        deadline: Instant,
    ) -> impl Future<Output = Result<Self::Ranges, SourceError>> + Send;

    /// Requests the present state. Its first part has to be available by `deadline`.
    fn load(&self, deadline: Instant) -> impl Future<Output = Result<Self::Parts, SourceError>> + Send;
}

/// A stream of items from a source.
pub trait Stream: Send {
    /// The type of its items.
    type Item;

    /// Returns the next item, or a failure if none arrives within `silence_max`. The end of the stream is a
    /// failure too.
    fn next_within(
        &mut self,
        silence_max: Duration,
    ) -> impl Future<Output = Result<Self::Item, SourceError>> + Send;
}

/// An event in the course of a follower.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The source's state is being loaded, as of a position.
    Loading(Position),
    /// The state has become ready, as of a position.
    Ready(Position),
    /// A range takes long to apply, and the state is not ready. Contains the fault of the state's storage, if
    /// there is one.
    Stalled(Option<String>),
    /// The fault of the state's storage has changed; `None` if it has no fault any longer.
    Fault(Option<String>),
    /// Everything up to a position is applied.
    Applied(Position),
    /// The source was lost, and is tried again after a pause.
    Lost(String),
    /// The source's state could not be loaded, and is requested again after a pause.
    NotLoaded(String),
    /// The state is not ready and is about to be dropped.
    Dropping(Reason, String),
}

/// The user's reactions to a follower. The follower waits for them.
pub trait Companion: Send {
    /// Called when the state holds nothing and is about to be loaded from the source. It may fill the state
    /// from elsewhere.
    fn before_loading(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Called when an event has occurred.
    fn hear(&mut self, event: Event) -> impl Future<Output = ()> + Send;
}
