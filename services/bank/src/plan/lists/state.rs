//! The published lists of banks, in the writer's memory.

use std::collections::BTreeMap;

use vigie_consortium::{EntryDigest, ListSecret};
use vigie_model::BankId;

use crate::store::published::StoredList;

/// The lists of all banks, in the writer's memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lists {
    pub(crate) secret: ListSecret,
    /// Lists by bank. A bank without a list is new.
    pub(crate) of: BTreeMap<BankId, StoredList>,
}

impl Lists {
    /// The list of a bank.
    pub(crate) fn of(&self, bank: BankId) -> StoredList {
        self.of.get(&bank).copied().unwrap_or_else(|| StoredList::new(bank))
    }
}

/// The entry that an item had in the list of its bank before the group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Before {
    pub(crate) bank: BankId,
    pub(crate) entry: Option<EntryDigest>,
}
