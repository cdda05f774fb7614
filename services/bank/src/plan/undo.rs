//! Removed items that can be brought back: the log still has the bytes that added them.

use vigie_consortium::ItemRecord;
use vigie_log::{ChangeRange, Sequence, Slice, StoredChange};
use vigie_model::{ChangeKind, Item, ItemId};
use vigie_proto::bank::{LogChange, decode_log_change};

use crate::store::{Store, StoreError, Undo};

/// A removed item that can be brought back.
#[derive(Debug)]
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
    let mut removed = Vec::new();
    if items.is_empty() {
        return Ok(removed);
    }
    for Undo { item, record, .. } in store.undos(items).await? {
        let through = Sequence(item.0);
        let (after, slice) = (through.before(), Slice::ALL);
        let range = ChangeRange { after, through, slice, count_max: 1, bytes_max: usize::MAX };
        let page = store.changes(&range).await?;
        removed.extend(page.changes.first().and_then(added_by).map(|item| RemovedItem { item, record }));
    }
    Ok(removed)
}

/// The item that a change added, by bytes that are those of its digest.
fn added_by(change: &StoredChange) -> Option<Item> {
    match decode_log_change(change.proven_bytes()?).ok()? {
        LogChange::Shard(ChangeKind::ItemAdded(item)) => Some(item),
        LogChange::Shard(_) | LogChange::Directory(_) | LogChange::Record(..) => None,
    }
}
