//! The statements that read records of items.

use vigie_model::ItemId;

use crate::store::records::StoredRecord;
use crate::store::sql::read::{Read, Reader, Value, all, number_list};
use crate::store::sql::rows::to_record;

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
