//! A bank's items and their changes, in the form that write-back reads.

use vigie_model::{BankName, Hash, ItemId, Sequence, UnixMillis};

use crate::secret::Secret;

/// A bank, and the credential to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// The bank.
    pub bank: BankName,
    /// The API key of a principal of the bank's owner; empty in a deployment without members.
    pub key: Secret,
}

/// A page of a bank's changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangePage {
    /// The changes by sequence: each item once, at its latest change.
    pub changes: Vec<ItemChange>,
    /// The newest change of the log.
    pub head: Sequence,
    /// The sequence after which the next page begins.
    pub next_after: Sequence,
    /// Whether there is a next page.
    pub has_more: bool,
}

/// An item at its latest change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemChange {
    /// The item. Its id is the sequence of the change that added it.
    pub item: ItemId,
    /// Its latest change.
    pub sequence: Sequence,
    /// The time of that change.
    pub changed_at: UnixMillis,
    /// The state since that change.
    pub state: ItemState,
}

/// The state of an item, for write-back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemState {
    /// The item exists, and one of its submissions names no programme: it is the bank's own.
    Own(Vec<Hash>),
    /// The item is the bank's own, and is held.
    Held(Vec<Hash>),
    /// The item exists, held or not, and is no longer the bank's own.
    FormerlyOwn(Vec<Hash>),
    /// The item was removed, and was the bank's own then or earlier. With its hashes, as long as the bank has
    /// them.
    Removed(Option<Vec<Hash>>),
    /// The item was removed and brought back as another item, which has its own change.
    BroughtBack,
    /// The item must not be disclosed through this bank: it came only from programmes, or it is a canary.
    NotOwn,
}
