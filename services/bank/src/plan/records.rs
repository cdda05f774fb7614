//! Records of items, and removed items, as a group of writes sees them.

use std::collections::HashMap;

use vigie_consortium::{ContentDigest, ItemRecord};
use vigie_model::{Item, ItemId, MemberId};
use vigie_proto::bank::decode_item;

use crate::logged::{adds, proven_item};
use crate::store::{KeptUndo, Placement, Store, StoreError, StoredRecord};

/// The records that a group of writes may need, in their present state.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) by_item: HashMap<ItemId, ItemRecord>,
    /// Items by content, in order of id.
    pub(super) by_content: HashMap<ContentDigest, Vec<ItemId>>,
}

impl Records {
    /// Makes the records from rows of the store.
    pub(super) fn new(stored: Vec<StoredRecord>) -> Self {
        let mut records = Self::default();
        stored.into_iter().for_each(|StoredRecord { item, record }| records.set(item, record));
        records
    }

    /// Returns the items of some content that have an origin, in order. Items without an origin never merge.
    pub(super) fn with_origin(&self, content: &ContentDigest) -> Vec<ItemId> {
        let items = self.by_content.get(content).map_or(&[][..], Vec::as_slice);
        let has_origin = |item: &&ItemId| self.by_item.get(item).is_some_and(ItemRecord::has_origin);
        items.iter().filter(has_origin).copied().collect()
    }

    /// Sets the record of an item.
    pub(super) fn set(&mut self, item: ItemId, record: ItemRecord) {
        let items = self.by_content.entry(record.content).or_default();
        // In order, so that the result does not depend on how the records were grouped.
        if let Err(at) = items.binary_search(&item) {
            items.insert(at, item);
        }
        self.by_item.insert(item, record);
    }

    /// Removes the record of an item, and returns it.
    pub(super) fn remove(&mut self, item: ItemId) -> Option<ItemRecord> {
        let record = self.by_item.remove(&item)?;
        if let Some(items) = self.by_content.get_mut(&record.content) {
            items.retain(|other| *other != item);
        }
        Some(record)
    }
}

/// A removed item that can be restored.
#[derive(Debug, Clone)]
pub(crate) struct RemovedItem {
    /// The item in its state at the removal.
    pub(crate) item: Item,
    /// Its record at the removal.
    pub(crate) record: Option<ItemRecord>,
    /// The member that removed it.
    pub(crate) removed_by: MemberId,
}

/// Removed items that one write names.
#[derive(Debug, Default)]
pub(crate) struct RemovedItems {
    /// The items that can be restored.
    pub(crate) items: Vec<RemovedItem>,
    /// True if they have more bytes than one write restores, so that not all were read.
    pub(crate) is_cut: bool,
}

impl RemovedItems {
    /// The most bytes of the items of one write: 200 videos at their bounds, and more pictures than a write
    /// may name.
    pub(crate) const BYTES_MAX: usize = 32 << 20;
}

/// Reads the restorable ones of these removed items.
pub(crate) async fn removed_items(store: &dyn Store, items: &[ItemId]) -> Result<RemovedItems, StoreError> {
    if items.is_empty() {
        return Ok(RemovedItems::default());
    }
    let (kept, is_cut) = store.undos(items, RemovedItems::BYTES_MAX).await?;
    let items = kept.into_iter().filter_map(|kept| removed_item(kept).transpose());
    Ok(RemovedItems { items: items.collect::<Result<_, _>>()?, is_cut })
}

/// Decodes the removed item of a row. An older build stored no bytes in the row: they are then read from the
/// change that added the item, while the log has it.
fn removed_item(KeptUndo { undo, payload, added }: KeptUndo) -> Result<Option<RemovedItem>, StoreError> {
    let Some(payload) = payload else {
        let item = added.as_ref().and_then(proven_item);
        return Ok(item.map(|item| RemovedItem { item, record: undo.record, removed_by: undo.member }));
    };
    let is_removed = |item: &Item| {
        let record = undo.record.as_ref();
        let relabelled = record.and_then(|record| record.labels.as_deref());
        // The log has an item with its first labels, and the bytes of the change were not read: the rest is
        // compared with the record.
        let is_added = || added.as_ref().is_none_or(|change| adds(change, item));
        (item.id, item.bank) == (undo.item, undo.bank)
            && relabelled.map_or_else(is_added, |labels| labels == item.content.labels())
            && record.is_none_or(|record| record.content == Placement::of(item).content)
    };
    let item = decode_item(&payload).ok().filter(is_removed);
    let item = item.ok_or_else(|| StoreError::Corrupt { row: format!("removed item {}", undo.item) })?;
    Ok(Some(RemovedItem { item, record: undo.record, removed_by: undo.member }))
}
