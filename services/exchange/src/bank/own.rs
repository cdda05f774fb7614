//! A bank's items and their changes, as write-back reads them.

use vigie_model::{BankName, Hash, ItemId, Sequence, UnixMillis};

use crate::secret::Secret;

/// Who reads which bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The bank.
    pub bank: BankName,
    /// The API key of a principal of its owner; empty where there are no members.
    pub key: Secret,
}

/// A page of a bank's changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangePage {
    /// By sequence, each item once, at its latest change.
    pub changes: Vec<ItemChange>,
    /// The newest change of the log.
    pub head: Sequence,
    /// Where the next page begins.
    pub next_after: Sequence,
    /// Whether there is one.
    pub has_more: bool,
}

/// An item at its latest change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemChange {
    /// The item. Its id is the sequence of the change that added it.
    pub item: ItemId,
    /// Its latest change.
    pub sequence: Sequence,
    /// When that was.
    pub changed_at: UnixMillis,
    /// What it is since.
    pub state: ItemState,
}

/// The state of an item, for write-back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemState {
    /// It is there by the word of somebody who names no programme: the bank's own.
    Own(Vec<Hash>),
    /// The same, and it is held.
    Held(Vec<Hash>),
    /// It is there, held or not, and no longer the bank's own.
    FormerlyOwn(Vec<Hash>),
    /// It was removed, and was the bank's own, then or earlier. Its hashes, while the bank has them.
    Removed(Option<Vec<Hash>>),
    /// It was removed and brought back as another item, which has a change of its own.
    BroughtBack,
    /// Nobody else is to know of it by this bank: it came by programmes alone, or is a canary.
    NotOwn,
}
