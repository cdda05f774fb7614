//! Decides the next step of a follower. Pure: it is driven by events, and knows neither time nor tasks.

use std::time::Duration;

use crate::pauses::{Growth, Pauses};
use crate::place::{Disjoint, Place, Position, Reached, Stretch};
use crate::progress::Progress;

/// The evidence in a range of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// No evidence.
    None,
    /// The state is equal to the source's as of the end of the range.
    Equal,
}

/// The reasons for which a state is dropped and loaded again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The source's log does not continue the state.
    Log,
    /// A change contradicts the state.
    Change,
    /// The state's digest differs from the source's.
    Digest,
    /// The stored state was found damaged.
    Damage,
}

/// The outcomes of an attempt to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The source was lost. The state is intact.
    Lost,
    /// The state cannot be continued.
    Unusable(Reason),
    /// The source's present state could not be loaded.
    NotLoaded,
}

/// The decision after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The reason to drop the state, if it must be dropped.
    pub drops: Option<Reason>,
    /// The pause before the next attempt.
    pub pause: Duration,
}

/// The course of one follower, over all its attempts.
///
/// For each attempt: [`begin`](Self::begin), then [`loading`](Self::loading) and [`loaded`](Self::loaded) if
/// the state held nothing, then [`opened`](Self::opened), then [`received`](Self::received) and
/// [`applied`](Self::applied) for each range, and at the end [`failed`](Self::failed).
#[derive(Debug)]
pub struct Course {
    progress: Progress,
    /// The position at which the attempt began; `at` is the position that it has reached.
    began_at: Position,
    at: Position,
    /// Whether the state was ready at any time of the attempt.
    was_ready: bool,
    feed: Feed,
    lost: Pauses,
    /// Loading is work for the source: a state that is dropped repeatedly requests it at growing intervals,
    /// until the state has been ready once.
    rebuilds: Pauses,
}

/// The state of an open feed.
#[derive(Debug, Default)]
struct Feed {
    reached: Reached,
    /// The position before which digests prove nothing.
    settled: Position,
    /// The position from which on an equal digest makes the state ready; the first stretch sets it.
    ready_from: Option<Position>,
    is_proven: bool,
}

impl Course {
    /// Returns a course that has not begun. `draw` returns random numbers from 0 to 1.
    #[must_use]
    pub fn new(lost: Growth, rebuilds: Growth, draw: fn() -> f64) -> Self {
        Self {
            progress: Progress::default(),
            began_at: Position::ZERO,
            at: Position::ZERO,
            was_ready: false,
            feed: Feed::default(),
            lost: Pauses::new(lost, draw),
            rebuilds: Pauses::new(rebuilds, draw),
        }
    }

    /// Returns the progress of the state.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        self.progress
    }

    /// Begins an attempt with the state at `place`.
    pub fn begin(&mut self, place: Option<Place>) {
        self.at = position(place);
        self.began_at = self.at;
        self.was_ready = self.progress.ready;
        // Unknown until a range of this attempt confirms it.
        self.progress.level = false;
    }

    /// Notes that the source's state is being loaded, as of a position.
    pub const fn loading(&mut self, through: Position) {
        self.progress = Progress { applied: Position::ZERO, head: through, ready: false, level: false };
    }

    /// Notes that the state now has contents as of `place`: the source's state, or one that was kept.
    pub fn loaded(&mut self, place: Option<Place>) {
        self.at = position(place);
        if !self.progress.ready && self.progress.head > Position::ZERO {
            self.progress.applied = self.at;
            self.progress.head = self.progress.head.max(self.at);
        }
    }

    /// Notes that the feed is open from a place. Before `settled`, digests prove nothing.
    pub fn opened(&mut self, from: Option<Place>, settled: Position) {
        self.feed = Feed { reached: from.into(), settled, ..Feed::default() };
    }

    /// Notes a range before it is applied. Refuses it if it does not continue the one before.
    pub fn received(&mut self, stretch: &Stretch) -> Result<(), Disjoint> {
        self.feed.reached.take(stretch)?;
        self.feed.ready_from.get_or_insert(stretch.head.max(self.feed.settled));
        Ok(())
    }

    /// Notes that a range takes too long to apply: the state is behind, and must not answer as if it were
    /// not.
    pub const fn stalled(&mut self) {
        self.progress.ready = false;
        self.progress.level = false;
    }

    /// Notes that a range was applied. Returns whether the state became ready.
    pub fn applied(&mut self, stretch: &Stretch, proof: Proof) -> bool {
        let (applied, head) = (stretch.through, stretch.head);
        let is_from = self.feed.ready_from.is_some_and(|ready_from| applied >= ready_from);
        self.feed.is_proven |= proof == Proof::Equal && is_from;
        self.at = applied;
        let became_ready = !self.progress.ready && self.feed.is_proven;
        let ready = self.progress.ready || became_ready;
        self.was_ready |= ready;
        self.progress = Progress { applied, head: head.max(applied), ready, level: applied >= head };
        became_ready
    }

    /// Notes that the attempt ended. Returns the decision about the state and the next attempt.
    pub fn failed(&mut self, failure: Failure) -> Decision {
        if self.was_ready {
            self.rebuilds.reset();
        }
        if self.at > self.began_at {
            self.lost.reset();
        }
        self.feed = Feed::default();
        match failure {
            Failure::Lost => Decision { drops: None, pause: self.lost.next() },
            Failure::NotLoaded => Decision { drops: None, pause: self.rebuilds.next() },
            Failure::Unusable(reason) => {
                self.progress = Progress::default();
                Decision { drops: Some(reason), pause: self.rebuilds.next() }
            }
        }
    }
}

fn position(place: Option<Place>) -> Position {
    place.map_or(Position::ZERO, |place| place.position)
}
