//! Exchanges and the records of programmes in memory.

use async_trait::async_trait;
use vigie_consortium::{ContentDigest, ExchangeId};

use super::{Contents, MemoryStore};
use crate::store::ReadExchanges;
use crate::store::error::StoreError;
use crate::store::exchanges::{ExchangeRows, KeyDigest, MappedRecord};

#[async_trait]
impl ReadExchanges for MemoryStore {
    async fn exchange_records(
        &self,
        exchange: ExchangeId,
        keys: &[KeyDigest],
    ) -> Result<Vec<MappedRecord>, StoreError> {
        let contents = self.disk.contents();
        Ok(keys.iter().filter_map(|key| contents.exchange_records.get(&(exchange, *key)).cloned()).collect())
    }

    async fn exchange_records_after(
        &self,
        exchange: ExchangeId,
        after: Option<KeyDigest>,
        limit: u16,
    ) -> Result<Vec<MappedRecord>, StoreError> {
        let contents = self.disk.contents();
        let records = contents.exchange_records.iter();
        let of_exchange = records.filter(|((id, key), _)| *id == exchange && Some(*key) > after);
        let mut found: Vec<MappedRecord> = of_exchange.map(|(_, record)| record.clone()).collect();
        found.sort_by_key(|record| record.key_digest);
        found.truncate(limit.into());
        Ok(found)
    }

    async fn exchange_records_of(
        &self,
        content: ContentDigest,
        limit: u16,
    ) -> Result<Vec<MappedRecord>, StoreError> {
        let contents = self.disk.contents();
        let of_content = contents.exchange_records.values().filter(|record| record.content == content);
        Ok(of_content.take(limit.into()).cloned().collect())
    }
}

impl Contents {
    /// Sets and deletes exchanges and records.
    pub(super) fn set_exchanges(&mut self, rows: &ExchangeRows) {
        self.exchanges.extend(rows.set.iter().map(|exchange| (exchange.id, exchange.clone())));
        rows.removed.iter().for_each(|id| drop(self.exchanges.remove(id)));
        rows.records_removed.iter().for_each(|key| drop(self.exchange_records.remove(key)));
        let set = rows.records_set.iter().map(|set| ((set.exchange, set.key_digest), set.clone()));
        self.exchange_records.extend(set);
    }

    /// Deletes the records of removed exchanges.
    pub(super) fn sweep_exchanges(&mut self) {
        let Self { exchanges, exchange_records, .. } = self;
        exchange_records.retain(|(exchange, _), _| exchanges.contains_key(exchange));
    }
}
