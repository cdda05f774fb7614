//! What a policy may know of a query and its matches.

use std::sync::Arc;

use vigie_consortium::BankRef;

/// One match of a query, as a policy sees it.
#[derive(Debug, Clone)]
pub struct MatchFacts {
    /// The bank, as `owner/name`.
    pub bank: Box<str>,
    /// The bank's id, by which other banks name it in [`Self::suppresses`].
    pub bank_id: u32,
    /// The bank under the name that the member uses.
    pub bank_ref: BankRef,
    /// The flat name that a grant gives the bank; empty for none.
    pub alias: Box<str>,
    /// The name of the bank's owner.
    pub owner: Box<str>,
    /// The distance, in the unit of the hash type: differing bits, or of a vector millionths of its metric.
    pub distance: u32,
    /// The distance is in bits. Only then a bank rule's largest distance is compared with it.
    pub is_in_bits: bool,
    /// The name of the hash type that matched.
    pub hash_type: &'static str,
    /// The hashes are equal, vectors to the millionth. Of videos that is not said.
    pub exact: bool,
    /// How much of the query's time matches, in percent, rounded down; 100 for anything but a video.
    pub query_share: u32,
    /// How much of the item's time matches, in the same way.
    pub item_share: u32,
    /// The rendition of the query that matched.
    pub variant: Box<str>,
    /// The item's labels.
    pub labels: Vec<Box<str>>,
    /// The item's classes.
    pub classification: Vec<Box<str>>,
    /// Days since the item was added.
    pub age_days: u64,
    /// Members whose newest opinion is positive.
    pub positives: u32,
    /// Members whose newest opinion is negative.
    pub negatives: u32,
    /// Members that have seen the item match.
    pub seen: u32,
    /// Both positive and negative opinions exist.
    pub disputed: bool,
    /// The member's own opinion: "", "positive", "negative" or "seen".
    pub mine: &'static str,
    /// The item is held.
    pub held: bool,
    /// The item has fewer confirmations than its bank asks for.
    pub probation: bool,
    /// Members that contributed the item.
    pub contributors: u32,
    /// The match counts for the shadow verdict alone: its bank's charter says so, or its item is in
    /// probation.
    pub shadow: bool,
    /// Ids of the banks whose matches this match takes away; empty for every bank that is no allow-list.
    pub suppresses: Arc<[u32]>,
}

impl MatchFacts {
    /// Returns the order of matches by distance: bits beside thousandths of vectors, as in an answer.
    pub(crate) const fn nearness(&self) -> (u32, u32) {
        if self.is_in_bits { (self.distance, 0) } else { (self.distance / 1_000, self.distance % 1_000) }
    }

    /// Returns a match of a bank at a distance, with nothing else known of it.
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

/// A query, as a policy sees it.
#[derive(Debug, Clone, Default)]
pub struct QueryFacts {
    /// The quality of the query's hash, 0 to 100; `None` where the query brought no image.
    pub quality: Option<u32>,
    /// What the query brought: "image", "video", "hashes", or "undecoded".
    pub kind: &'static str,
    /// The word that the caller sent for where the content appears, such as "avatar"; may be empty.
    pub surface: Box<str>,
    /// The size of what the query brought, in bytes.
    pub size: u64,
    /// A digest of the content, from which shares of queries are drawn: the same picture fares alike.
    pub digest: u64,
    /// The matches given are not all: a shard did not answer, or a limit cut them off.
    pub is_cut: bool,
}
