//! A change is one step of the bank's log. This module also has the identity of a log, and of a position in
//! it.

use std::fmt;
use std::sync::Arc;

use vigie_hashes::hex;

use crate::bank::{Bank, BankId, BankName};
use crate::digest::SetDigest;
use crate::item::{Item, ItemId};
use crate::member::MemberId;
use crate::sequence::{Sequence, UnixMillis};
use crate::shard::Partition;
use crate::standing::Standing;

/// A numbered step of the bank's log. The changes, applied in order, give the bank's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The position of the change in the log.
    pub sequence: Sequence,
    /// The effect of the change.
    pub kind: ChangeKind,
}

/// The identity of a log: random bytes drawn when the log begins, so that a follower never mistakes another
/// log for its own.
///
/// Sequences cannot distinguish logs, because a new log reaches every number that an old one had.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub [u8; 16]);

/// Writes hexadecimal digits.
impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex::write(f, &self.0)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogId({self})")
    }
}

/// A position in a log: after every change up to `sequence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The log.
    pub log: LogId,
    /// The last change before the position.
    pub sequence: Sequence,
    /// The log's chain at the position, if it is known: it exists only at the ends of batches. It
    /// distinguishes a log from one that was restored from its backup and has had other changes since.
    pub chain: Option<[u8; 32]>,
}

/// A range of the log as one shard sees it, which proves that no change of the range is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRange {
    /// The log.
    pub log: LogId,
    /// The sequence after which the range begins, where the previous range ended.
    pub after: Sequence,
    /// The last sequence of the range.
    pub through: Sequence,
    /// The newest change of the whole log when the range was sent.
    pub head: Sequence,
    /// The time at which `head` was committed, by the bank's clock; `None` if the bank does not know or does
    /// not send it.
    pub head_committed: Option<UnixMillis>,
    /// The log's chain at `through`, if that is the end of a batch.
    pub chain: Option<[u8; 32]>,
    /// The shard's changes in the range, in order.
    pub changes: Vec<Change>,
    /// The time at which the first of these changes was committed, by the bank's clock; `None` if there are
    /// no changes, or the bank does not know it.
    pub first_committed: Option<UnixMillis>,
    /// The digest of the shard's live hashes as of `through`, if the bank sends it: with every heartbeat to a
    /// follower that has caught up, and about as often during a series of changes.
    pub digest: Option<SetDigest>,
    /// Whether the deployment has members, so that every search must name its set of banks. This never
    /// becomes false again.
    pub members_on: bool,
}

impl FeedRange {
    /// Returns the position in the log that a follower has reached with this range, and from which it
    /// continues.
    #[must_use]
    pub const fn end(&self) -> Cursor {
        Cursor { log: self.log, sequence: self.through, chain: self.chain }
    }
}

/// A part of a shard's present state, for a follower that does not begin with the log's first change.
///
/// The parts come in order: one [`Begin`](Self::Begin), any number of [`Items`](Self::Items), one
/// [`End`](Self::End). The state is not that of a single moment. It becomes exact when the log's changes
/// after the cursor of `Begin` are applied to it, from the sequence of `End` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatePart {
    /// The banks as of a position in the log, from which to follow the log later.
    Begin {
        /// The position in the log.
        cursor: Cursor,
        /// All existing banks.
        banks: Vec<Bank>,
        /// Whether the deployment has members: see [`FeedRange::members_on`].
        members_on: bool,
    },
    /// Items of the shard that were added up to the cursor, in ascending order of id. Each existed when it
    /// was read.
    Items {
        /// The items.
        items: Vec<Item>,
        /// The ids of those items that were held when they were read, ascending.
        held: Vec<ItemId>,
        /// The standings of those items that had one, in ascending order of id.
        standings: Vec<(ItemId, Arc<Standing>)>,
    },
    /// The end of the state.
    End {
        /// Removals up to this sequence may be of items that were already removed when they would have been
        /// read.
        settled: Sequence,
    },
}

/// The effect of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// A bank was created, enabled and empty.
    BankCreated {
        /// The bank's id.
        bank: BankId,
        /// The member that owns the bank.
        owner: MemberId,
        /// The bank's name.
        name: BankName,
        /// The time of creation.
        created_at: UnixMillis,
    },
    /// A bank was renamed.
    BankRenamed {
        /// The bank's id.
        bank: BankId,
        /// The bank's new name.
        name: BankName,
    },
    /// A bank was enabled or disabled for searches.
    BankEnabledSet {
        /// The bank's id.
        bank: BankId,
        /// Whether the bank is searched from now on.
        enabled: bool,
    },
    /// A bank was deleted, with every item in it.
    BankDeleted {
        /// The bank's id.
        bank: BankId,
    },
    /// An item was added. Its id is the change's sequence.
    ItemAdded(Item),
    /// An item was removed.
    ItemRemoved {
        /// The item's id.
        item: ItemId,
        /// The bank that contained the item.
        bank: BankId,
    },
    /// An item was held, so that it matches for nobody, or released.
    ItemHeldSet {
        /// The item's id.
        item: ItemId,
        /// The bank that contains the item.
        bank: BankId,
        /// Whether the item is held from now on.
        held: bool,
    },
    /// The standing of an item among the members changed.
    ItemStandingSet {
        /// The item's id.
        item: ItemId,
        /// The bank that contains the item.
        bank: BankId,
        /// The new standing; the default one means none.
        standing: Arc<Standing>,
    },
}

impl ChangeKind {
    /// Returns the partition whose shard must apply the change; `None` if every shard must.
    #[must_use]
    pub const fn partition(&self) -> Option<Partition> {
        match self {
            Self::ItemAdded(item) => Some(Partition::of(item.id)),
            Self::ItemRemoved { item, .. }
            | Self::ItemHeldSet { item, .. }
            | Self::ItemStandingSet { item, .. } => Some(Partition::of(*item)),
            Self::BankCreated { .. }
            | Self::BankRenamed { .. }
            | Self::BankEnabledSet { .. }
            | Self::BankDeleted { .. } => None,
        }
    }
}
