//! The source of the cards.

use std::fmt;
use std::sync::Arc;

use vigie_access::{Directories, FollowedDirectory};
use vigie_consortium::CardVersion;

/// The source of the current cards.
pub(crate) trait Cards: fmt::Debug + Send + Sync {
    /// Returns the newest version of each card, including retired ones, by ascending name. `None` if they are
    /// not known now; the cards that were known before stay in use then.
    fn now(&self) -> Option<Vec<Arc<CardVersion>>>;
}

impl Cards for Arc<FollowedDirectory> {
    fn now(&self) -> Option<Vec<Arc<CardVersion>>> {
        Some(self.view().ok()?.directory().model_cards().to_vec())
    }
}

/// Returns whether both lists hold the same versions.
pub(crate) fn are_same(one: &[Arc<CardVersion>], other: &[Arc<CardVersion>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
}

/// Returns whether both are the same version. The first comparison nearly always decides.
pub(crate) fn is_same(one: &Arc<CardVersion>, other: &Arc<CardVersion>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}
