//! The statements that read which items are held.

use vigie_log::UnixMillis;
use vigie_model::ItemId;

use crate::store::error::corrupt;
use crate::store::records::HeldRange;
use crate::store::sql::read::{Read, Reader, Value, all};
use crate::store::sql::rows::StoredRow;

/// The held items of a range, by id.
pub(in crate::store) async fn held_items<C: Reader>(
    connection: &mut C,
    range: HeldRange,
) -> Read<Vec<ItemId>> {
    let select = "SELECT item_id FROM item_records \
                  WHERE item_id > $1 AND item_id <= $2 AND hold_ends_ms IS NOT NULL ORDER BY item_id LIMIT $3";
    let values = [range.after.0, range.through.0, range.count_max.into()].map(Value::Number);
    all(connection, "read held items", select, &values, to_id).await
}

/// Items of which a hold has ended.
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
