//! Banks, with their callers' names for them.

use std::fmt;

use vigie_model::{BankId, BankName, BankRef, MatchRatio, MemberName, UnixMillis};
use vigie_proto::Invalid;
use vigie_proto::bank::optional_match_ratio;
use vigie_proto::consortium::{bank_ref, optional_member};
use vigie_proto::pb::bank::v1 as pb;

/// A caller's name for a bank: flat, or with the owner's name.
pub trait BankLabel: fmt::Display + Sync {}

impl BankLabel for BankName {}

impl BankLabel for BankRef {}

/// A bank as its caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankListing {
    /// Its id.
    pub id: BankId,
    /// The caller's name for it: flat for a bank of its own member or an alias; `owner/name` for another
    /// member's bank.
    pub name: BankRef,
    /// The member that owns it; `None` if the bank service's version knows no members.
    pub owner: Option<MemberName>,
    /// Whether its items are searched.
    pub enabled: bool,
    /// When it was created, by the bank's clock.
    pub created_at: UnixMillis,
    /// Number of living items.
    pub item_count: u64,
    /// Number of their hashes.
    pub hash_count: u64,
    /// The share of lookups over the HMA-compatible API in which it takes part.
    pub match_ratio: MatchRatio,
}

impl TryFrom<pb::Bank> for BankListing {
    type Error = Invalid;

    fn try_from(message: pb::Bank) -> Result<Self, Invalid> {
        Ok(Self {
            id: BankId(message.id),
            name: bank_ref("name", &message.name)?,
            owner: optional_member("owner", &message.owner)?,
            enabled: message.enabled,
            created_at: UnixMillis(message.created_at_unix_ms),
            item_count: message.item_count,
            hash_count: message.hash_count,
            match_ratio: optional_match_ratio(message.match_ratio)?,
        })
    }
}
