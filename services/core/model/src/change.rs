//! A change: one step of the bank's log. And what tells one log, and one place in it, from any other.

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

/// One numbered step of the bank's log. Applied in order, the changes are the bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its position.
    pub sequence: Sequence,
    /// What happened.
    pub kind: ChangeKind,
}

/// Which log it is: drawn at random when a log begins, so that a follower never mistakes another log for its own.
///
/// Sequences cannot tell: a new log passes every number that an old one had.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub [u8; 16]);

/// As hexadecimal digits.
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

/// A place in a log: every change up to it, and none after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The log.
    pub log: LogId,
    /// The last change.
    pub sequence: Sequence,
    /// The log's chain as of it, where it is known: it is for the ends of batches. It tells a log from one that was
    /// restored from a backup of it and has gone another way since.
    pub chain: Option<[u8; 32]>,
}

/// A stretch of the log as one shard sees it: proof that nothing of it is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedRange {
    /// The log.
    pub log: LogId,
    /// The range begins after this sequence, where the one before it ended.
    pub after: Sequence,
    /// The range ends with this sequence.
    pub through: Sequence,
    /// The newest change of the whole log when the range was sent.
    pub head: Sequence,
    /// When that change was committed, by the bank's clock; `None` where the bank does not know, or does not say.
    pub head_committed: Option<UnixMillis>,
    /// The log's chain as of `through`, where that is the end of a batch.
    pub chain: Option<[u8; 32]>,
    /// The shard's changes in the range, in order.
    pub changes: Vec<Change>,
    /// When the first of these was committed, by the bank's clock; `None` where there is none, and where the bank does not know.
    pub first_committed: Option<UnixMillis>,
    /// What the shard's living hashes come to as of `through`, where the bank tells it: in every sign of life to a
    /// follower that has caught up, and in the course of changes about as often.
    pub digest: Option<SetDigest>,
    /// Whether the deployment has members, so that every search has to name its set of banks. Once it has, it always has.
    pub members_on: bool,
}

impl FeedRange {
    /// The place in the log that a follower has come to with this range, and goes on from.
    #[must_use]
    pub const fn end(&self) -> Cursor {
        Cursor { log: self.log, sequence: self.through, chain: self.chain }
    }
}

/// A part of a shard's present state, for a follower that does not begin with the log's first change.
///
/// The parts come in order: one [`Begin`](Self::Begin), any number of [`Items`](Self::Items), one [`End`](Self::End).
/// The state is not of one moment. With the log's changes after the cursor of `Begin` applied to it, it is, from the
/// sequence of `End` on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatePart {
    /// The banks as of a place in the log, from which to follow the log later.
    Begin {
        /// The place.
        cursor: Cursor,
        /// All living banks.
        banks: Vec<Bank>,
        /// See [`FeedRange::members_on`].
        members_on: bool,
    },
    /// Items of the shard that were added up to the cursor, by ascending id. Each was living when it was read.
    Items {
        /// The items.
        items: Vec<Item>,
        /// Those of them that were held when they were read, by ascending id.
        held: Vec<ItemId>,
        /// The standings of those of them that had one, by ascending id.
        standings: Vec<(ItemId, Arc<Standing>)>,
    },
    /// That was all.
    End {
        /// Removals up to this one may be of items that were gone when they would have been read.
        settled: Sequence,
    },
}

/// What a change does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// A bank began, enabled and empty.
    BankCreated {
        /// Its id.
        bank: BankId,
        /// The member that it belongs to.
        owner: MemberId,
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
    /// An item matches for nobody from now on, or matches again.
    ItemHeldSet {
        /// Its id.
        item: ItemId,
        /// The bank that has it.
        bank: BankId,
        /// Whether it is held.
        held: bool,
    },
    /// An item has another standing among the members.
    ItemStandingSet {
        /// Its id.
        item: ItemId,
        /// The bank that has it.
        bank: BankId,
        /// Its standing from now on; the default one for none.
        standing: Arc<Standing>,
    },
}

impl ChangeKind {
    /// The partition whose shard must apply the change; `None` where every shard must.
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
