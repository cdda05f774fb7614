//! A change: one step of the bank's log.

use crate::bank::{BankId, BankName};
use crate::item::{Item, ItemId};
use crate::sequence::{Sequence, UnixMillis};
use crate::shard::Partition;

/// One numbered step of the bank's log. Applied in order, the changes are the bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its position.
    pub sequence: Sequence,
    /// What happened.
    pub kind: ChangeKind,
}

/// A stretch of the log as one shard sees it: proof that nothing of it is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRange {
    /// The range begins after this sequence, where the one before it ended.
    pub after: Sequence,
    /// The range ends with this sequence.
    pub through: Sequence,
    /// The newest change of the whole log when the range was sent.
    pub head: Sequence,
    /// The shard's changes in the range, in order.
    pub changes: Vec<Change>,
}

/// What a change does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// A bank began, enabled and empty.
    BankCreated {
        /// Its id.
        bank: BankId,
        /// Its name.
        name: BankName,
        /// When.
        created_at: UnixMillis,
    },
    /// A bank has another name.
    BankRenamed {
        /// Its id.
        bank: BankId,
        /// Its new name.
        name: BankName,
    },
    /// A bank is searched from now on, or no longer.
    BankEnabledSet {
        /// Its id.
        bank: BankId,
        /// Whether it is searched.
        enabled: bool,
    },
    /// A bank is gone, and with it every item that it held.
    BankDeleted {
        /// Its id.
        bank: BankId,
    },
    /// An item is known from now on. Its id is the change's sequence.
    ItemAdded(Item),
    /// An item is no longer known.
    ItemRemoved {
        /// Its id.
        item: ItemId,
        /// The bank that held it.
        bank: BankId,
    },
}

impl ChangeKind {
    /// The partition whose shard must apply the change; `None` where every shard must.
    #[must_use]
    pub const fn partition(&self) -> Option<Partition> {
        match self {
            Self::ItemAdded(item) => Some(Partition::of(item.id)),
            Self::ItemRemoved { item, .. } => Some(Partition::of(*item)),
            Self::BankCreated { .. }
            | Self::BankRenamed { .. }
            | Self::BankEnabledSet { .. }
            | Self::BankDeleted { .. } => None,
        }
    }
}
