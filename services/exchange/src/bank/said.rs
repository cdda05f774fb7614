//! What the owner of an exchange says of its items, as it is told to the programme.

use vigie_consortium::OpinionReason;
use vigie_model::{Hash, ItemId, OpinionKind, Sequence};

/// A page of what the member of a reader says of the items of an exchange's bank.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SaidPage {
    /// Items with words of the member's own people, each once, by their latest changes.
    pub items: Vec<SaidOfItem>,
    /// The newest change of the log.
    pub head: Sequence,
    /// Where the next page begins.
    pub next_after: Sequence,
    /// Whether there is one.
    pub has_more: bool,
}

/// Everything that a member's own people say of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidOfItem {
    /// The item.
    pub item: ItemId,
    /// Their words: on the item, and on each of its hashes, one at most. At least one.
    pub words: Vec<OwnWord>,
}

/// What a member's own people say of an item, or of one of its hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnWord {
    /// The hash, by its place among the item's; `None` for the item.
    pub hash: Option<u32>,
    /// The opinion; `None` for one that was taken back.
    pub kind: Option<OpinionKind>,
    /// Why.
    pub reason: Option<OpinionReason>,
    /// The word that they gave for it in the words of a programme; empty for none.
    pub word: String,
    /// The change by which the item has it.
    pub sequence: Sequence,
}

/// The records of an exchange that are one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordsOfItem {
    /// Their keys, at least one.
    pub keys: Vec<String>,
    /// The hashes, in order.
    pub hashes: Vec<Hash>,
}
