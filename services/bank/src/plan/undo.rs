//! Removed items that can be brought back, until their bytes are purged.

use vigie_consortium::ItemRecord;
use vigie_model::{Item, ItemId};
use vigie_proto::bank::decode_item;

use crate::logged::{adds, proven_item};
use crate::store::{KeptUndo, Store, StoreError};

/// A removed item that can be brought back.
#[derive(Debug, Clone)]
pub(crate) struct RemovedItem {
    /// The item as it was added.
    pub(crate) item: Item,
    /// Its record when it was removed.
    pub(crate) record: Option<ItemRecord>,
}

/// Those of these items that were removed and can be brought back.
pub(crate) async fn removed_items(
    store: &dyn Store,
    items: &[ItemId],
) -> Result<Vec<RemovedItem>, StoreError> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let kept = store.undos(items).await?.into_iter();
    kept.filter_map(|kept| removed_item(kept).transpose()).collect()
}

/// The removed item of a row. An older build kept no bytes in it: those are of the change that added the item, while the log has it.
fn removed_item(KeptUndo { undo, payload, added }: KeptUndo) -> Result<Option<RemovedItem>, StoreError> {
    let Some(payload) = payload else {
        let item = added.as_ref().and_then(proven_item);
        return Ok(item.map(|item| RemovedItem { item, record: undo.record }));
    };
    let is_removed = |item: &Item| {
        (item.id, item.bank) == (undo.item, undo.bank)
            && added.as_ref().is_none_or(|change| adds(change, item))
    };
    let item = decode_item(&payload).ok().filter(is_removed);
    let item = item.ok_or_else(|| StoreError::Corrupt { row: format!("removed item {}", undo.item) })?;
    Ok(Some(RemovedItem { item, record: undo.record }))
}
