//! The times of a write: when it was sent, and when it was acknowledged.

use std::time::Duration;

use vigie_model::Sequence;

/// A write's time, and its acknowledgement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) at: Duration,
    /// Time and sequence of the acknowledgement; `None` while it is under way.
    pub(super) done: Option<(Duration, Sequence)>,
}

impl Sent {
    pub(super) const fn now(at: Duration) -> Self {
        Self { at, done: None }
    }

    /// Returns whether an answer as of `sequence`, which arrived at `answered`, includes it. `None`: it may
    /// or may not.
    pub(super) fn is_in(self, sequence: Sequence, answered: Duration) -> Option<bool> {
        match self.done {
            Some((_, own)) if own <= sequence => Some(true),
            _ if self.at > answered => Some(false),
            _ => None,
        }
    }
}
