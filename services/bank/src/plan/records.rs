//! Records of items, and removed items, as a group of writes sees them.

use std::collections::HashMap;

use vigie_consortium::{ContentDigest, ItemRecord};
use vigie_model::{Item, ItemId, MemberId};
use vigie_proto::bank::decode_item;

use crate::logged::{adds, proven_item};
use crate::store::{KeptUndo, Placement, Store, StoreError, StoredRecord};

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

/// A removed item that can be brought back.
#[derive(Debug, Clone)]
pub(crate) struct RemovedItem {
    /// The item as it was when it was removed.
    pub(crate) item: Item,
    /// Its record when it was removed.
    pub(crate) record: Option<ItemRecord>,
    /// The member that removed it.
    pub(crate) removed_by: MemberId,
}

/// Removed items that one write names.
#[derive(Debug, Default)]
pub(crate) struct RemovedItems {
    /// Those that can be brought back.
    pub(crate) items: Vec<RemovedItem>,
    /// They have more bytes than one write brings back, and not all of them were read.
    pub(crate) is_cut: bool,
}

impl RemovedItems {
    /// Bytes of the items of one write: 200 videos at their bounds, and more pictures than a write names.
    pub(crate) const BYTES_MAX: usize = 32 << 20;
}

/// Those of these items that were removed and can be brought back.
pub(crate) async fn removed_items(store: &dyn Store, items: &[ItemId]) -> Result<RemovedItems, StoreError> {
    if items.is_empty() {
        return Ok(RemovedItems::default());
    }
    let (kept, is_cut) = store.undos(items, RemovedItems::BYTES_MAX).await?;
    let items = kept.into_iter().filter_map(|kept| removed_item(kept).transpose());
    Ok(RemovedItems { items: items.collect::<Result<_, _>>()?, is_cut })
}

/// The removed item of a row. An older build kept no bytes in it: those are of the change that added the item, while the log has it.
fn removed_item(KeptUndo { undo, payload, added }: KeptUndo) -> Result<Option<RemovedItem>, StoreError> {
    let Some(payload) = payload else {
        let item = added.as_ref().and_then(proven_item);
        return Ok(item.map(|item| RemovedItem { item, record: undo.record, removed_by: undo.member }));
    };
    let is_removed = |item: &Item| {
        let record = undo.record.as_ref();
        let relabelled = record.and_then(|record| record.labels.as_deref());
        // The log has an item with its first labels, and of the change no bytes were read: the rest is compared with the record.
        let is_added = || added.as_ref().is_none_or(|change| adds(change, item));
        (item.id, item.bank) == (undo.item, undo.bank)
            && relabelled.map_or_else(is_added, |labels| labels == item.content.labels())
            && record.is_none_or(|record| record.content == Placement::of(item).content)
    };
    let item = decode_item(&payload).ok().filter(is_removed);
    let item = item.ok_or_else(|| StoreError::Corrupt { row: format!("removed item {}", undo.item) })?;
    Ok(Some(RemovedItem { item, record: undo.record, removed_by: undo.member }))
}
