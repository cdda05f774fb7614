//! The members' opinions on an item, in JSON.

use serde::Serialize;
use utoipa::ToSchema;
use vigie_model::{Facts, OpinionKind};

/// The members' opinions on an item, and other facts, as the caller's member sees them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FactsObject {
    /// Members whose newest opinion is positive.
    positives: u32,
    /// Members whose newest opinion is negative.
    negatives: u32,
    /// Members where the item matched and nobody has looked.
    seen: u32,
    /// The caller's own newest opinion, `positive`, `negative` or `seen`; `null` for none.
    mine: Option<&'static str>,
    /// Whether a dispute about the item waits for the answer of its bank's owner.
    dispute_open: bool,
    /// Members whose submissions keep the item in its bank; 0 where the bank does not reveal it.
    contributors: u32,
    /// Whether the item is set aside for the caller's member: in probation there, or held.
    is_aside: bool,
    /// Whether its bank requires more confirmations than the item has; it then matches only for its
    /// contributors.
    probation: bool,
    /// Its classes, as `taxonomy/dimension=value`.
    classes: Vec<String>,
}

impl From<&Facts> for FactsObject {
    fn from(facts: &Facts) -> Self {
        Self {
            positives: facts.positives,
            negatives: facts.negatives,
            seen: facts.seen,
            mine: facts.mine.map(OpinionKind::name),
            dispute_open: facts.dispute_open,
            contributors: facts.contributors,
            is_aside: facts.is_aside,
            probation: facts.probation,
            classes: facts.classes.iter().map(ToString::to_string).collect(),
        }
    }
}
