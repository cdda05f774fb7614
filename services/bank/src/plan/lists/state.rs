//! The published lists of banks, as the writer keeps them in memory.

use std::collections::BTreeMap;

use vigie_consortium::{EntryDigest, ListSecret};
use vigie_model::BankId;

use crate::store::published::StoredList;

/// The lists of all banks, as the writer keeps them in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lists {
    pub(crate) secret: ListSecret,
    /// A bank without any is a new one.
    pub(crate) of: BTreeMap<BankId, StoredList>,
}

impl Lists {
    /// The list of a bank.
    pub(crate) fn of(&self, bank: BankId) -> StoredList {
        self.of.get(&bank).copied().unwrap_or_else(|| StoredList::new(bank))
    }
}

/// By which entry an item was in the list of its bank before the group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    pub(crate) bank: BankId,
    pub(crate) entry: Option<EntryDigest>,
}
