//! The published lists of banks, as they are stored.

use vigie_consortium::{EntryDigest, ItemRecord, ListChain, ListHead, ListSecret};
use vigie_model::{BankId, Item, ItemId};

/// The list of a bank, and how much of the bank is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredList {
    /// The bank.
    pub(crate) bank: BankId,
    /// How far the list has come.
    pub(crate) head: ListHead,
    /// Items up to this one are listed,
    pub(crate) listed_through: ItemId,
    /// and those after this one: an earlier version added what is between.
    pub(crate) unlisted_through: ItemId,
}

impl StoredList {
    /// The list of a bank that begins.
    pub(crate) fn new(bank: BankId) -> Self {
        Self { bank, head: ListHead::default(), listed_through: ItemId(0), unlisted_through: ItemId(0) }
    }

    /// Whether it has come to an item.
    pub(crate) fn lists(&self, item: ItemId) -> bool {
        item <= self.listed_through || item > self.unlisted_through
    }

    /// Whether it has come to all items.
    pub(crate) fn is_whole(&self) -> bool {
        self.listed_through >= self.unlisted_through
    }
}

/// An entry of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListEntry {
    /// The bank.
    pub(crate) bank: BankId,
    /// Its number in the list of that bank.
    pub(crate) number: u64,
    /// The item.
    pub(crate) item: ItemId,
    /// The digest.
    pub(crate) digest: EntryDigest,
    /// The chain after it, where it is stored: for the last entry of a commit.
    pub(crate) chain: Option<ListChain>,
}

/// The rows of lists that one commit sets.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListRows {
    /// Lists as they are from now on.
    pub(crate) heads: Vec<StoredList>,
    /// New entries.
    pub(crate) entries: Vec<ListEntry>,
}

/// Which entries to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListQuery {
    /// Rows of this bank,
    pub(crate) bank: BankId,
    /// after this number,
    pub(crate) after: u64,
    /// at most this many,
    pub(crate) count_max: u16,
    /// and no more once the payloads of their items have about this many bytes together.
    pub(crate) bytes_max: usize,
}

/// An entry, and its item as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundListed {
    /// The entry.
    pub(crate) entry: ListEntry,
    /// The item, where it is there.
    pub(crate) item: Option<Item>,
    /// Its record, if it has one.
    pub(crate) record: Option<ItemRecord>,
}

/// A part of a list, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListPage {
    /// The list.
    pub(crate) list: StoredList,
    /// See [`ListSecret`].
    pub(crate) secret: ListSecret,
    /// The chain as of the entry after which the page begins; zeros where that lies beyond the list.
    pub(crate) chain: ListChain,
    /// By number.
    pub(crate) entries: Vec<FoundListed>,
}
