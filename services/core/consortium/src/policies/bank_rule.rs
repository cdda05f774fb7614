//! A bank rule: which matches of a bank count for a member.

use vigie_model::MatchRatio;

use crate::BankRef;

/// A member's rule for the matches of one bank. Matches of banks without a rule count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankRule {
    /// The bank: `owner/name`, an alias, or the name of one of the member's own banks.
    pub bank: BankRef,
    /// No match of the bank counts.
    pub ignored: bool,
    /// The largest distance of a match that counts, in bits; `None` for the radius of the search. It does not
    /// apply to vectors.
    pub max_distance: Option<u16>,
    /// Members that must call the item positive before its matches count.
    pub positives_min: u32,
    /// Matches of items with both positive and negative opinions do not count.
    pub ignore_disputed: bool,
    /// The share of queries for which the bank counts, drawn by the query's digest.
    pub ratio: MatchRatio,
    /// Matches of the bank count only for the shadow verdict.
    pub shadow: bool,
}

impl BankRule {
    /// Returns a rule under which every match of the bank counts.
    #[must_use]
    pub const fn of(bank: BankRef) -> Self {
        Self {
            bank,
            ignored: false,
            max_distance: None,
            positives_min: 0,
            ignore_disputed: false,
            ratio: MatchRatio::ALWAYS,
            shadow: false,
        }
    }
}
