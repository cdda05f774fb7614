//! Writes of opinions, disputes, and holds for one member.

use vigie_consortium::{Classification, OpinionWords, Resolution};
use vigie_model::{ItemId, MemberId, OpinionKind};

/// A write of opinions.
#[derive(Debug, Clone)]
pub(crate) struct OpinionWrite {
    /// The change that is asked for.
    pub(crate) action: OpinionAction,
    /// A digest of the request.
    pub(crate) request_digest: [u8; 32],
}

/// The change that a write asks for.
#[derive(Debug, Clone)]
pub(crate) enum OpinionAction {
    /// Opinions of the caller's member.
    Put(Vec<NewOpinion>),
    /// The opinions of the caller's member on items to be taken back.
    Withdraw(Vec<ItemId>),
    /// The dispute about an item to be resolved.
    Resolve {
        /// The item.
        item: ItemId,
        /// The outcome.
        resolution: Resolution,
        /// Its classes from now on, where it is reclassified.
        classification: Option<Classification>,
    },
    /// Items to be held for the caller's member, or no longer.
    HoldHere {
        /// The items.
        items: Vec<ItemId>,
        /// Whether.
        held: bool,
    },
    /// Items to be held for members at which they match too often.
    Flooded {
        /// The members and the items.
        floods: Vec<(MemberId, ItemId)>,
        /// The window in which their matches were counted, in milliseconds.
        window_ms: u64,
    },
}

/// An opinion that is put.
#[derive(Debug, Clone)]
pub(crate) struct NewOpinion {
    /// The item.
    pub(crate) item: ItemId,
    /// The place of the hash among the item's; `None` for the item.
    pub(crate) hash: Option<u8>,
    /// The opinion.
    pub(crate) kind: OpinionKind,
    /// What is said beside it.
    pub(crate) words: OpinionWords,
}

impl OpinionWrite {
    /// The items whose records are looked up.
    pub(crate) fn items(&self) -> Vec<ItemId> {
        match &self.action {
            OpinionAction::Put(opinions) => opinions.iter().map(|opinion| opinion.item).collect(),
            OpinionAction::Withdraw(items) | OpinionAction::HoldHere { items, .. } => items.clone(),
            OpinionAction::Resolve { item, .. } => vec![*item],
            OpinionAction::Flooded { floods, .. } => floods.iter().map(|(_, item)| *item).collect(),
        }
    }
}
