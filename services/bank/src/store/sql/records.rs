//! The statements that read records of items, and removed items.

use vigie_model::{BankId, ItemId};

use crate::store::records::{StoredRecord, Undo};
use crate::store::sql::read::{Read, Reader, Value, all, number_list};
use crate::store::sql::rows::{to_record, to_undo};

/// The removed items with these ids that can be brought back. `statement` reads them, in the words of the database.
pub(in crate::store) async fn undos<C: Reader>(
    connection: &mut C,
    statement: &'static str,
    items: &[ItemId],
) -> Read<Vec<Undo>> {
    let list = number_list(items.iter().map(|item| item.0));
    all(connection, "read removed items", statement, &[Value::Text(&list)], to_undo).await
}

/// The removed items of a bank that can be brought back.
pub(in crate::store) async fn undos_of<C: Reader>(
    connection: &mut C,
    bank: BankId,
    after: ItemId,
    limit: u16,
) -> Read<Vec<Undo>> {
    let select = "SELECT item_id, bank_id, member_id, removed_at_ms, until_ms, record FROM undos \
                  WHERE bank_id = $1 AND item_id > $2 ORDER BY item_id LIMIT $3";
    let values = [bank.0.into(), after.0, limit.into()].map(Value::Number);
    all(connection, "read removed items", select, &values, to_undo).await
}

/// The statements that read records by a list of items, and by a list of keys, in the words of a database.
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
