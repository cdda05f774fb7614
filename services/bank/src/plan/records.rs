//! Records of items, as a group of writes sees them.

use std::collections::HashMap;

use vigie_consortium::{ContentDigest, ItemRecord};
use vigie_model::ItemId;

use crate::store::StoredRecord;

/// Records that a group of writes may need, as of the moment.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) by_item: HashMap<ItemId, ItemRecord>,
    /// In order.
    pub(super) by_content: HashMap<ContentDigest, Vec<ItemId>>,
}

impl Records {
    /// From the rows of the store.
    pub(super) fn new(stored: Vec<StoredRecord>) -> Self {
        let mut records = Self::default();
        stored.into_iter().for_each(|StoredRecord { item, record }| records.set(item, record));
        records
    }

    /// The items of some content that have an origin, in order. Of the others nobody can say the same again.
    pub(super) fn with_origin(&self, content: &ContentDigest) -> Vec<ItemId> {
        let items = self.by_content.get(content).map_or(&[][..], Vec::as_slice);
        let has_origin = |item: &&ItemId| self.by_item.get(item).is_some_and(ItemRecord::has_origin);
        items.iter().filter(has_origin).copied().collect()
    }

    /// Sets the record of an item.
    pub(super) fn set(&mut self, item: ItemId, record: ItemRecord) {
        let items = self.by_content.entry(record.content).or_default();
        // In order, so that it does not matter in which groups the records came.
        if let Err(at) = items.binary_search(&item) {
            items.insert(at, item);
        }
        self.by_item.insert(item, record);
    }

    /// Forgets the record of an item.
    pub(super) fn remove(&mut self, item: ItemId) -> Option<ItemRecord> {
        let record = self.by_item.remove(&item)?;
        if let Some(items) = self.by_content.get_mut(&record.content) {
            items.retain(|other| *other != item);
        }
        Some(record)
    }
}
