//! The published lists of banks in memory.

use async_trait::async_trait;
use vigie_consortium::{ListChain, ListSecret};

use super::{Contents, MemoryStore};
use crate::store::ReadLists;
use crate::store::error::StoreError;
use crate::store::published::{FoundListed, ListEntry, ListPage, ListQuery, ListRows, StoredList};

#[async_trait]
impl ReadLists for MemoryStore {
    async fn list_page(&self, query: &ListQuery) -> Result<Option<ListPage>, StoreError> {
        let contents = self.disk.contents();
        let ListQuery { bank, after, count_max, .. } = *query;
        if !contents.banks.contains_key(&bank) {
            return Ok(None);
        }
        let list = contents.lists.get(&bank).copied().unwrap_or_else(|| StoredList::new(bank));
        let entries = contents.list_entries.range((bank, 1)..=(bank, u64::MAX)).map(|(_, entry)| entry);
        let before = entries.clone().take_while(|entry| entry.number <= after);
        let chain =
            before.fold(ListChain::default(), |chain, entry| chain.after(entry.number, &entry.digest));
        let found = |entry: &ListEntry| {
            let record = contents.records.get(&entry.item).map(|stored| stored.record.clone());
            Ok(FoundListed { entry: *entry, item: contents.item(entry.item)?, record })
        };
        let page = entries.filter(|entry| entry.number > after).take(count_max.into()).map(found);
        let entries = page.collect::<Result<_, StoreError>>()?;
        Ok(Some(ListPage { list, secret: contents.list_secret(), chain, entries }))
    }

    async fn lists(&self) -> Result<Vec<StoredList>, StoreError> {
        Ok(self.disk.contents().lists.values().copied().collect())
    }
}

impl Contents {
    /// Returns the secret from which keys are made: a simulated one.
    pub(super) fn list_secret(&self) -> ListSecret {
        ListSecret(blake3::hash(&self.log_id.0).into())
    }

    /// Sets lists, and appends entries.
    pub(super) fn set_lists(&mut self, rows: &ListRows) {
        self.lists.extend(rows.heads.iter().map(|list| (list.bank, *list)));
        self.list_entries.extend(rows.entries.iter().map(|entry| ((entry.bank, entry.number), *entry)));
    }

    /// Deletes the lists of deleted banks.
    pub(super) fn sweep_lists(&mut self) {
        let Self { banks, lists, list_entries, .. } = self;
        lists.retain(|bank, _| banks.contains_key(bank));
        list_entries.retain(|(bank, _), _| banks.contains_key(bank));
    }
}
