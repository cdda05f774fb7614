//! The progress of a follower.

use crate::place::Position;

/// The progress of a follower, and whether its state may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The last change that was applied since the feed was first opened.
    pub applied: Position,
    /// The newest change that the source is known to have.
    pub head: Position,
    /// Whether the state has been proven equal to the source's, and not doubted since.
    pub ready: bool,
    /// Whether the state is known to hold everything that the source has.
    pub level: bool,
}

/// The reasons for which a state is not ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unready {
    /// Nothing has been received from the source.
    Unheard,
    /// Changes are missing.
    Behind {
        /// The last change that was applied.
        applied: Position,
        /// The newest change that the source is known to have.
        head: Position,
    },
    /// No digest has been compared.
    Unproven,
}

impl Progress {
    /// Returns the progress of a state that is ready and holds everything up to a position.
    #[must_use]
    pub const fn ready_at(position: Position) -> Self {
        Self { applied: position, head: position, ready: true, level: true }
    }

    /// Returns why the state is not ready; `None` if it is.
    #[must_use]
    pub fn unready(&self) -> Option<Unready> {
        let Self { applied, head, ready, .. } = *self;
        match head {
            _ if ready => None,
            Position::ZERO => Some(Unready::Unheard),
            head if applied < head => Some(Unready::Behind { applied, head }),
            _ => Some(Unready::Unproven),
        }
    }
}
