//! The statements that read records of items, held items, standings and removed items.

use std::sync::Arc;

use futures::TryStreamExt as _;
use vigie_log::UnixMillis;
use vigie_model::{BankId, ItemId, Standing};

use crate::store::error::{corrupt, failed};
use crate::store::records::{HeldRange, KeptUndo, StoredRecord, Undo};
use crate::store::sql::read::{Read, Reader, Value, all, number_list};
use crate::store::sql::rows::{StoredRow, to_kept_undo, to_record, to_undo};

/// Makes the statement of [`undos`] from the database's expression for: `undos.item_id` is in the list of
/// parameter `$1`. The bytes of a change are read only if the row needs them.
macro_rules! undos_by_list {
    ($listed:literal) => {
        concat!(
            "SELECT undos.item_id, undos.bank_id, undos.member_id, undos.removed_at_ms, undos.until_ms, undos.record, \
             undos.payload, changes.sequence, changes.partition, changes.digest, \
             CASE WHEN undos.payload IS NULL THEN changes.payload END \
             FROM undos LEFT JOIN changes ON changes.sequence = undos.item_id WHERE ",
            $listed,
            " ORDER BY undos.item_id"
        )
    };
}
pub(in crate::store) use undos_by_list;

/// Reads the rows of removed items with these ids, up to a number of bytes, though at least one; returns them
/// and whether the bound was reached. `statement` is in the database's SQL.
pub(in crate::store) async fn undos<C: Reader>(
    connection: &mut C,
    statement: &'static str,
    items: &[ItemId],
    bytes_max: usize,
) -> Read<(Vec<KeptUndo>, bool)> {
    let list = number_list(items.iter().map(|item| item.0));
    let values = [Value::Text(&list)];
    let mut rows = connection.stream(statement, &values);
    let (mut kept, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await.map_err(failed("read removed items"))? {
        let undo = to_kept_undo(&row)?;
        bytes += undo.bytes();
        if bytes > bytes_max && !kept.is_empty() {
            return Ok((kept, true));
        }
        kept.push(undo);
    }
    Ok((kept, false))
}

/// Reads the removed items of a bank that can be restored.
pub(in crate::store) async fn undos_of<C: Reader>(
    connection: &mut C,
    bank: BankId,
    after: ItemId,
    limit: u16,
) -> Read<Vec<Undo>> {
    let select = "SELECT item_id, bank_id, member_id, removed_at_ms, until_ms, record FROM undos \
                  WHERE bank_id = $1 AND item_id > $2 \
                  AND (payload IS NOT NULL OR item_id > (SELECT floor FROM head WHERE id = 1)) \
                  ORDER BY item_id LIMIT $3";
    let values = [bank.0.into(), after.0, limit.into()].map(Value::Number);
    all(connection, "read removed items", select, &values, to_undo).await
}

/// The statements that read records by a list of items and by a list of content keys, in the database's SQL.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct ByLists {
    pub(in crate::store) items: &'static str,
    pub(in crate::store) content: &'static str,
}

pub(in crate::store) async fn of_items<C: Reader>(
    connection: &mut C,
    statements: ByLists,
    items: &[ItemId],
) -> Read<Vec<StoredRecord>> {
    by_list(connection, statements.items, items.iter().map(|item| item.0)).await
}

pub(in crate::store) async fn of_content<C: Reader>(
    connection: &mut C,
    statements: ByLists,
    keys: &[u64],
) -> Read<Vec<StoredRecord>> {
    by_list(connection, statements.content, keys.iter().copied()).await
}

async fn by_list<C: Reader>(
    connection: &mut C,
    statement: &'static str,
    numbers: impl ExactSizeIterator<Item = u64>,
) -> Read<Vec<StoredRecord>> {
    if numbers.len() == 0 {
        return Ok(Vec::new());
    }
    let list = number_list(numbers);
    all(connection, "read records of items", statement, &[Value::Text(&list)], to_record).await
}

/// Reads the held items of a range, by id.
pub(in crate::store) async fn held_items<C: Reader>(
    connection: &mut C,
    range: HeldRange,
) -> Read<Vec<ItemId>> {
    let select = "SELECT item_id FROM item_records \
                  WHERE item_id > $1 AND item_id <= $2 AND hold_ends_ms IS NOT NULL ORDER BY item_id LIMIT $3";
    let values = [range.after.0, range.through.0, range.count_max.into()].map(Value::Number);
    all(connection, "read held items", select, &values, to_id).await
}

/// Reads the standings of a range of items, by id.
pub(in crate::store) async fn standings<C: Reader>(
    connection: &mut C,
    range: HeldRange,
) -> Read<Vec<(ItemId, Arc<Standing>)>> {
    let select = "SELECT item_id, payload FROM item_records \
                  WHERE item_id > $1 AND item_id <= $2 AND has_standing IS NOT NULL ORDER BY item_id LIMIT $3";
    let values = [range.after.0, range.through.0, range.count_max.into()].map(Value::Number);
    let stored = all(connection, "read standings", select, &values, to_record).await?;
    Ok(stored.into_iter().map(|StoredRecord { item, record }| (item, record.standing)).collect())
}

/// Reads items with an expired hold.
pub(in crate::store) async fn ended_holds<C: Reader>(
    connection: &mut C,
    now: UnixMillis,
    count_max: u32,
) -> Read<Vec<ItemId>> {
    let select = "SELECT item_id FROM item_records \
                  WHERE hold_ends_ms IS NOT NULL AND hold_ends_ms <= $1 ORDER BY hold_ends_ms LIMIT $2";
    let values = [now.0, count_max.into()].map(Value::Number);
    all(connection, "read ended holds", select, &values, to_id).await
}

fn to_id(row: &impl StoredRow) -> Read<ItemId> {
    row.number(0).map(ItemId).map_err(|_| corrupt("the record of an item"))
}
