//! The latest changes of items, as rows.

use vigie_consortium::Whose;
use vigie_log::{Sequence, UnixMillis};
use vigie_model::{BankId, ItemId};

/// The latest change of an item, other than the change that added it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Touched {
    /// The item.
    pub(crate) item: ItemId,
    /// Its bank.
    pub(crate) bank: BankId,
    /// The change.
    pub(crate) sequence: Sequence,
    /// The time of the change.
    pub(crate) at: UnixMillis,
    /// The change's kind.
    pub(crate) touch: Touch,
}

/// The kinds of changes of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touch {
    /// The item's record changed.
    Changed,
    /// The item was removed.
    Removed {
        /// The time at which it had been added.
        added_at: UnixMillis,
        /// The owner class of the item: own, of programmes, or a canary.
        whose: Whose,
    },
    /// The item was removed, and restored as another item.
    BroughtBack {
        /// The time at which it had been added.
        added_at: UnixMillis,
    },
}

impl Touch {
    /// Returns the number that is stored for this kind.
    pub(crate) const fn kind(self) -> u8 {
        match self {
            Self::Changed => 1,
            Self::Removed { whose: Whose::Own, .. } => 2,
            Self::Removed { whose: Whose::FormerlyOwn, .. } => 3,
            Self::Removed { whose: Whose::Programmes, .. } => 4,
            Self::Removed { whose: Whose::Canary, .. } => 5,
            Self::BroughtBack { .. } => 6,
        }
    }

    /// Returns the time at which the item had been added, if it is stored.
    pub(crate) const fn added_at(self) -> Option<UnixMillis> {
        match self {
            Self::Changed => None,
            Self::Removed { added_at, .. } | Self::BroughtBack { added_at } => Some(added_at),
        }
    }

    /// Reads the values that [`Self::kind`] and [`Self::added_at`] returned; `None` for any others.
    pub(crate) const fn read(kind: u8, added_at: Option<UnixMillis>) -> Option<Self> {
        match (kind, added_at) {
            (1, None) => Some(Self::Changed),
            (6, Some(added_at)) => Some(Self::BroughtBack { added_at }),
            (_, Some(added_at)) => {
                let whose = match kind {
                    2 => Whose::Own,
                    3 => Whose::FormerlyOwn,
                    4 => Whose::Programmes,
                    5 => Whose::Canary,
                    _ => return None,
                };
                Some(Self::Removed { added_at, whose })
            }
            _ => None,
        }
    }
}
