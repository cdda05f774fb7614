//! A bank and its owner.

use vigie_model::{BankId, BankName};
pub use vigie_model::{BankRef, BankRefError};

use super::charter::Charter;
use crate::members::member::MemberId;

/// A living bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedBank {
    /// Its id.
    pub id: BankId,
    /// The member that it belongs to.
    pub owner: MemberId,
    /// Its name, unique among the owner's banks and aliases.
    pub name: BankName,
    /// Whether its items are searched.
    pub enabled: bool,
    /// Its demands and terms.
    pub charter: Charter,
}
