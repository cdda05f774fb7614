//! The published lists of banks, as they are stored.

use vigie_consortium::{EntryDigest, ItemRecord, ListChain, ListHead, ListSecret};
use vigie_model::{BankId, Item, ItemId};

/// The published list of a bank, and how much of the bank is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredList {
    /// The bank.
    pub(crate) bank: BankId,
    /// The head of the list: its last number and chain.
    pub(crate) head: ListHead,
    /// Items up to and including this one are listed.
    pub(crate) listed_through: ItemId,
    /// Items after this one are listed. An earlier version added the items in between.
    pub(crate) unlisted_through: ItemId,
}

impl StoredList {
    /// Returns the list of a new bank.
    pub(crate) fn new(bank: BankId) -> Self {
        Self { bank, head: ListHead::default(), listed_through: ItemId(0), unlisted_through: ItemId(0) }
    }

    /// Returns whether the list covers an item.
    pub(crate) fn lists(&self, item: ItemId) -> bool {
        item <= self.listed_through || item > self.unlisted_through
    }

    /// Returns whether the list covers all items.
    pub(crate) fn is_whole(&self) -> bool {
        self.listed_through >= self.unlisted_through
    }
}

/// An entry of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListEntry {
    /// The bank.
    pub(crate) bank: BankId,
    /// The entry's number in the list of that bank.
    pub(crate) number: u64,
    /// The item.
    pub(crate) item: ItemId,
    /// The digest of the entry.
    pub(crate) digest: EntryDigest,
    /// The chain after this entry, stored only for the last entry of a commit.
    pub(crate) chain: Option<ListChain>,
}

/// The rows of lists that one commit sets.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListRows {
    /// Lists in their new state.
    pub(crate) heads: Vec<StoredList>,
    /// New entries.
    pub(crate) entries: Vec<ListEntry>,
}

/// The query for a part of a list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListQuery {
    /// The bank.
    pub(crate) bank: BankId,
    /// The number after which the part begins.
    pub(crate) after: u64,
    /// The most entries.
    pub(crate) count_max: u16,
    /// The most bytes of the items' payloads, approximately: no further entry is read after that.
    pub(crate) bytes_max: usize,
}

/// An entry, and its item in its present state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundListed {
    /// The entry.
    pub(crate) entry: ListEntry,
    /// The item, if it exists.
    pub(crate) item: Option<Item>,
    /// Its record, if it has one.
    pub(crate) record: Option<ItemRecord>,
}

/// A part of a list, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListPage {
    /// The list.
    pub(crate) list: StoredList,
    /// The secret from which the keys of entries are made.
    pub(crate) secret: ListSecret,
    /// The chain as of the entry before the page; zeros if the page begins after the end of the list.
    pub(crate) chain: ListChain,
    /// The entries, by number.
    pub(crate) entries: Vec<FoundListed>,
}
