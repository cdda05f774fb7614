//! Writes of opinions, disputes, and holds for one member.

use vigie_consortium::{Classification, OpinionWords, Resolution};
use vigie_model::{ItemId, MemberId, OpinionKind};

/// A write of opinions.
#[derive(Debug, Clone)]
pub(crate) struct OpinionWrite {
    /// The requested change.
    pub(crate) action: OpinionAction,
    /// A digest of the request.
    pub(crate) request_digest: [u8; 32],
}

/// The change that a write requests.
#[derive(Debug, Clone)]
pub(crate) enum OpinionAction {
    /// Puts opinions of the caller's member.
    Put(Vec<NewOpinion>),
    /// Withdraws the opinions of the caller's member on these items.
    Withdraw(Vec<ItemId>),
    /// Resolves the dispute about an item.
    Resolve {
        /// The item.
        item: ItemId,
        /// The outcome.
        resolution: Resolution,
        /// The item's new classes, if it is reclassified.
        classification: Option<Classification>,
    },
    /// Holds items for the caller's member, or lifts these holds.
    HoldHere {
        /// The items.
        items: Vec<ItemId>,
        /// Whether they are held from now on.
        held: bool,
    },
    /// Holds items for members at which they match too often.
    Flooded {
        /// The members and the items.
        floods: Vec<(MemberId, ItemId)>,
        /// The window in which their matches were counted, in milliseconds.
        window_ms: u64,
    },
}

/// A new opinion.
#[derive(Debug, Clone)]
pub(crate) struct NewOpinion {
    /// The item.
    pub(crate) item: ItemId,
    /// The index of the hash in the item; `None` for the whole item.
    pub(crate) hash: Option<u8>,
    /// The opinion.
    pub(crate) kind: OpinionKind,
    /// The opinion's texts.
    pub(crate) words: OpinionWords,
}

impl OpinionWrite {
    /// Returns the items whose records are looked up.
    pub(crate) fn items(&self) -> Vec<ItemId> {
        match &self.action {
            OpinionAction::Put(opinions) => opinions.iter().map(|opinion| opinion.item).collect(),
            OpinionAction::Withdraw(items) | OpinionAction::HoldHere { items, .. } => items.clone(),
            OpinionAction::Resolve { item, .. } => vec![*item],
            OpinionAction::Flooded { floods, .. } => floods.iter().map(|(_, item)| *item).collect(),
        }
    }
}
