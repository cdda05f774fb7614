//! The facts about a query and its matches that a policy can use.

use std::sync::Arc;

use thiserror::Error;
use vigie_consortium::BankRef;

/// The facts about one match of a query, as a policy sees them.
#[derive(Debug, Clone)]
pub struct MatchFacts {
    /// The bank, as `owner/name`.
    pub bank: Box<str>,
    /// The bank's id, which [`Self::suppresses`] of other banks contains.
    pub bank_id: u32,
    /// The name that the member uses for the bank.
    pub bank_ref: BankRef,
    /// The member's alias for the bank; empty for none.
    pub alias: Box<str>,
    /// The name of the bank's owner.
    pub owner: Box<str>,
    /// The distance, in the unit of the hash type: differing bits, or millionths of the metric for vectors.
    pub distance: u32,
    /// Whether the distance is in bits. Only then does a bank rule's largest distance apply.
    pub is_in_bits: bool,
    /// The name of the hash type that matched.
    pub hash_type: &'static str,
    /// Whether the hashes are equal; vectors to the millionth. Never set for videos.
    pub exact: bool,
    /// The share of the query's duration that matches, in percent, rounded down; 100 for anything but a
    /// video.
    pub query_share: u32,
    /// The share of the item's duration that matches, in the same form.
    pub item_share: u32,
    /// The rendition of the query that matched.
    pub variant: Box<str>,
    /// The item's labels.
    pub labels: Vec<Box<str>>,
    /// The item's classes.
    pub classification: Vec<Box<str>>,
    /// Days since the item was added.
    pub age_days: u64,
    /// The number of members whose newest opinion is positive.
    pub positives: u32,
    /// The number of members whose newest opinion is negative.
    pub negatives: u32,
    /// The number of members that have seen the item match.
    pub seen: u32,
    /// Whether both positive and negative opinions exist.
    pub disputed: bool,
    /// The member's own opinion: "", "positive", "negative" or "seen".
    pub mine: &'static str,
    /// Whether the item is held.
    pub held: bool,
    /// Whether the item has fewer confirmations than its bank requires.
    pub probation: bool,
    /// The number of members that contributed the item.
    pub contributors: u32,
    /// Whether the match counts only for the shadow verdict: its bank is in shadow, or its item is in
    /// probation.
    pub shadow: bool,
    /// Ids of the banks whose matches this match suppresses; empty for a bank that is not an allow-list.
    pub suppresses: Arc<[u32]>,
}

impl MatchFacts {
    /// Returns the sort key of matches by distance: a bit counts as much as a thousandth of a vector's
    /// metric, as in an answer.
    pub(crate) const fn nearness(&self) -> (u32, u32) {
        if self.is_in_bits { (self.distance, 0) } else { (self.distance / 1_000, self.distance % 1_000) }
    }

    /// Returns a match of a bank at a distance, with default values for all other facts.
    #[must_use]
    pub fn of(bank_ref: BankRef, bank_id: u32, distance: u32) -> Self {
        Self {
            bank: bank_ref.to_string().into(),
            bank_id,
            alias: Box::default(),
            owner: bank_ref.owner.as_ref().map(|owner| owner.as_str().into()).unwrap_or_default(),
            bank_ref,
            distance,
            is_in_bits: true,
            hash_type: "pdq",
            exact: distance == 0,
            query_share: 100,
            item_share: 100,
            variant: Box::default(),
            labels: Vec::new(),
            classification: Vec::new(),
            age_days: 0,
            positives: 0,
            negatives: 0,
            seen: 0,
            disputed: false,
            mine: "",
            held: false,
            probation: false,
            contributors: 0,
            shadow: false,
            suppresses: Arc::default(),
        }
    }
}

/// The facts about a query, as a policy sees them.
#[derive(Debug, Clone, Default)]
pub struct QueryFacts {
    /// The quality of the query's hash, 0 to 100; `None` if the query is not an image.
    pub quality: Option<u32>,
    /// The kind of the query: "image", "video", "hashes", or "undecoded".
    pub kind: &'static str,
    /// The caller's word for the place where the content appears, such as "avatar"; may be empty.
    pub surface: Box<str>,
    /// The size of the query's content, in bytes.
    pub size: u64,
    /// A digest of the content. Shares of queries are drawn from it, so that equal pictures get equal
    /// decisions.
    pub digest: u64,
    /// Whether the given matches are incomplete: a shard did not answer, or a limit was reached.
    pub is_cut: bool,
}

/// The facts about one score that a rule uses. [`apply_scores`](crate::apply_scores) gets them for each rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreFacts {
    /// The score of the rule's class.
    pub score: f32,
    /// The rule's threshold by the card of the model; `None` if there is none.
    pub threshold: Option<f32>,
    /// Whether the model is in shadow.
    pub in_shadow: bool,
}

/// The reason why a rule has no score to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoScore {
    /// The model gave no score for the class.
    #[error("there is no score")]
    Missing,
    /// No card describes the model.
    #[error("the model has no card")]
    NoCard,
    /// The model is not run any more.
    #[error("the model is retired")]
    Retired,
    /// The model or the content is of another kind than images.
    #[error("scores are used of images only")]
    NoImage,
    /// The score is of another version of the model than the card that has the threshold.
    #[error("the score is of version {score}, and the card of version {card}")]
    OtherVersion {
        /// The version of the score.
        score: u32,
        /// The version of the card.
        card: u32,
    },
}
