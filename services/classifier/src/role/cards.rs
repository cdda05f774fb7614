//! Where the cards come from.

use std::fmt;
use std::sync::Arc;

use vigie_access::{Directories, FollowedDirectory};
use vigie_consortium::CardVersion;

/// The source of the present cards.
pub(crate) trait Cards: fmt::Debug + Send + Sync {
    /// The newest version of each card, also of those that are retired, by ascending name. `None` where they
    /// are not known now; those that were known before stay in use then.
    fn now(&self) -> Option<Vec<Arc<CardVersion>>>;
}

impl Cards for Arc<FollowedDirectory> {
    fn now(&self) -> Option<Vec<Arc<CardVersion>>> {
        Some(self.view().ok()?.directory().model_cards().to_vec())
    }
}

/// Whether both are the same versions.
pub(crate) fn are_same(one: &[Arc<CardVersion>], other: &[Arc<CardVersion>]) -> bool {
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
}

/// Whether both are the same version. Nearly always the first comparison decides.
pub(crate) fn is_same(one: &Arc<CardVersion>, other: &Arc<CardVersion>) -> bool {
    Arc::ptr_eq(one, other) || one == other
}
