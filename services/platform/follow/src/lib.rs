//! The follower's side of a numbered, chained log: keeps a state equal to what the log's owner holds.
//!
//! Knows neither what the changes are nor how they travel. Its user gives a [`State`] (apply a range of the log, load the
//! owner's present state, drop everything), a [`Source`] of ranges and of the parts of a state, and a [`Companion`] that
//! hears what happens. [`follow`] does the rest.
//!
//! Always true:
//!
//! - A gap in the feed is never stepped over: the feed is opened again after the last change that was applied.
//! - A state is ready only after it has held everything that the source had when the feed opened and, at or after that, a
//!   digest of the source was equal to its own. It stays ready while the source is away, and its age is known.
//! - A state that the log does not continue, that a change contradicts, whose digest differs or that is found damaged leaves
//!   readiness, is dropped and loaded anew.
//! - Every wait has a limit, and the pauses between attempts grow at random up to a bound.
//!
//! Reading order: `place` (points and stretches of a log, and how they join), `pauses`, `progress`, `course` (what a follower does
//! next: pure), `standing` (how far it is, for those who wait for it), `user` (what the user gives), `run` (the task).

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
