//! The follower's side of a numbered, chained log: keeps a state equal to the state of the log's owner.
//!
//! This crate knows neither what the changes are nor how they travel. Its user implements a [`State`]
//! (applies a range of the log, loads the owner's present state, drops everything), a [`Source`] of ranges
//! and of the parts of a state, and a [`Companion`] that is notified of events. [`follow`] does the rest.
//!
//! Always true:
//!
//! - A gap in the feed is never skipped: the feed is opened again after the last change that was applied.
//! - A state becomes ready only after two conditions: it has held everything that the source had when the
//!   feed opened, and at or after that point a digest of the source was equal to its own. It stays ready
//!   while the source is away, and its age is known.
//! - A state leaves readiness, is dropped and loaded again if the log does not continue it, if a change
//!   contradicts it, if its digest differs, or if it is found damaged.
//! - Every wait has a limit, and the pauses between attempts grow at random up to a bound.
//!
//! Reading order: `place` (points and stretches of a log, and how they join), `pauses`, `progress`, `course`
//! (decides the next step: pure), `standing` (the progress, for those who wait for it), `user` (the traits of
//! the user), `run` (the task).

mod place;
mod pauses;
mod progress;
mod course;
mod standing;
mod user;
mod run;

pub use course::{Course, Decision, Failure, Proof, Reason};
pub use pauses::Growth;
pub use place::{Disjoint, LogId, Place, Position, Reached, Stretch};
pub use progress::{Progress, Unready};
pub use run::{Limits, follow};
pub use standing::{Lag, NotThere, Standing};
pub use user::{Companion, Contradiction, Event, Loaded, NotLoaded, Source, SourceError, State, Stream};

#[cfg(test)]
mod tests;
