//! What is known of each item: its bank, and what its contributor says of it.

use std::collections::HashSet;

use dashmap::DashMap;
use vigie_model::{BankId, Hash, ItemContent, ItemId};

/// The records of the living items. There is one writer; readers do not wait for it.
#[derive(Debug, Default)]
pub(crate) struct RecordStore {
    records: DashMap<ItemId, Record>,
}

/// One item as searches need it.
#[derive(Debug)]
pub(crate) struct Record {
    bank: BankId,
    content: ItemContent,
}

impl Record {
    pub(crate) const fn bank(&self) -> BankId {
        self.bank
    }

    pub(crate) fn hashes(&self) -> Vec<Hash> {
        self.content.hashes().to_vec()
    }

    pub(crate) fn labels(&self) -> Box<[Box<str>]> {
        self.content.labels().into()
    }

    pub(crate) fn external_reference(&self) -> Option<Box<str>> {
        self.content.external_reference().map(Into::into)
    }
}

impl RecordStore {
    /// What is known of an item, by `read`; `None` once it has been removed.
    pub(crate) fn read<T>(&self, item: ItemId, read: impl FnOnce(&Record) -> T) -> Option<T> {
        self.records.get(&item).map(|record| read(&record))
    }

    /// Living items.
    pub(crate) fn count(&self) -> u64 {
        u64::try_from(self.records.len()).unwrap_or(u64::MAX)
    }

    /// Adds an item, whose id is greater than every one before.
    pub(crate) fn insert(&self, item: ItemId, bank: BankId, content: ItemContent) {
        self.records.insert(item, Record { bank, content });
    }

    pub(crate) fn remove(&self, item: ItemId) {
        self.records.remove(&item);
    }

    pub(crate) fn remove_banks(&self, banks: &HashSet<BankId>) {
        self.records.retain(|_, record| !banks.contains(&record.bank));
    }
}
