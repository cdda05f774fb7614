//! When something was sent, and when it was acknowledged.

use std::time::Duration;

use vigie_model::Sequence;

/// What was sent, and what was told of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) at: Duration,
    /// When it was acknowledged, and its sequence; `None` while it is under way.
    pub(super) done: Option<(Duration, Sequence)>,
}

impl Sent {
    pub(super) const fn now(at: Duration) -> Self {
        Self { at, done: None }
    }

    /// Whether an answer as of `sequence`, which came at `answered`, has it. `None`: it may or may not.
    pub(super) fn is_in(self, sequence: Sequence, answered: Duration) -> Option<bool> {
        match self.done {
            Some((_, own)) if own <= sequence => Some(true),
            _ if self.at > answered => Some(false),
            _ => None,
        }
    }
}
