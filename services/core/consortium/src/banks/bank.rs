//! A bank and its owner.

use vigie_model::{BankId, BankName};
pub use vigie_model::{BankRef, BankRefError};

use super::charter::Charter;
use crate::members::member::MemberId;

/// A bank that has not been deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedBank {
    /// The bank's id.
    pub id: BankId,
    /// The member that owns the bank.
    pub owner: MemberId,
    /// The bank's name, unique among the owner's banks and aliases.
    pub name: BankName,
    /// Whether its items are searched.
    pub enabled: bool,
    /// The bank's demands on contributors and its terms.
    pub charter: Charter,
}
