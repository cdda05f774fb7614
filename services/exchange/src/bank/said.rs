//! The opinions of an exchange's owner on its items, as they are sent to the programme.

use vigie_consortium::OpinionReason;
use vigie_model::{Hash, ItemId, OpinionKind, Sequence};

/// A page of opinions of a member on the items of an exchange's bank.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SaidPage {
    /// Items on which the member's own people have opinions, each once, by their latest changes.
    pub items: Vec<SaidOfItem>,
    /// The newest change of the log.
    pub head: Sequence,
    /// The sequence after which the next page begins.
    pub next_after: Sequence,
    /// Whether there is a next page.
    pub has_more: bool,
}

/// All opinions of a member's own people on an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidOfItem {
    /// The item.
    pub item: ItemId,
    /// Their opinions, at least one: at most one on the item, and at most one on each of its hashes.
    pub words: Vec<OwnWord>,
}

/// An opinion of a member's own people on an item or on one of its hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnWord {
    /// The index of the hash among the item's; `None` for the item itself.
    pub hash: Option<u32>,
    /// The opinion; `None` if it was withdrawn.
    pub kind: Option<OpinionKind>,
    /// The reason.
    pub reason: Option<OpinionReason>,
    /// The word that they gave for it in a programme's vocabulary; empty for none.
    pub word: String,
    /// The change that set the opinion.
    pub sequence: Sequence,
}

/// The records of an exchange that are one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordsOfItem {
    /// The records' keys, at least one.
    pub keys: Vec<String>,
    /// The hashes of the item, in order.
    pub hashes: Vec<Hash>,
}
