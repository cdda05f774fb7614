//! Finds items by what their encodings hold. There is no index of hashes, references or labels: a bounded number of rows is read,
//! of which the database passes on those that hold the bytes looked for.

use vigie_model::{BankName, Item, ItemId};
use vigie_proto::bank::FIND_HASHES_MAX;

use crate::store::error::{StoreError, corrupt};
use crate::store::records::{AsOf, FoundPage, ItemSearch};
use crate::store::sql::read::{Read, Reader, Value, all, bank_id, first, sequence, snapshot};
use crate::store::sql::rows::{StoredRow as _, to_item_and_bank};

/// Byte strings of which a row holds one: those that a statement has parameters for.
const NEEDLES: usize = FIND_HASHES_MAX + 1;

/// The statements that find items, of all banks and of one. Their parameters are the bounds of the ids, a limit, the needles, and
/// the bank.
#[derive(Debug)]
pub(in crate::store) struct Statements {
    pub(in crate::store) in_all: &'static str,
    pub(in crate::store) in_bank: &'static str,
}

/// Makes [`Statements`] of the condition under which a payload holds the parameter of each number.
macro_rules! statements {
    ($($holds:literal),*) => {
        $crate::store::sql::find::Statements {
            in_all: concat!(
                "SELECT items.id, items.payload, banks.name FROM items JOIN banks ON banks.id = items.bank_id \
                 WHERE items.id > $1 AND items.id <= $2 AND (1 = 0",
                $(" OR ", $holds),*,
                ") ORDER BY items.id LIMIT $3"
            ),
            in_bank: concat!(
                "SELECT items.id, items.payload, banks.name FROM items JOIN banks ON banks.id = items.bank_id \
                 WHERE items.id > $1 AND items.id <= $2 AND (1 = 0",
                $(" OR ", $holds),*,
                ") AND items.bank_id = $9 ORDER BY items.id LIMIT $3"
            ),
        }
    };
}
pub(in crate::store) use statements;

pub(in crate::store) async fn find<C: Reader>(
    connection: &mut C,
    statements: &Statements,
    search: &ItemSearch,
) -> Read<AsOf<Option<FoundPage>>> {
    snapshot!(connection, |transaction| {
        let sequence = sequence(transaction).await?;
        let bank = match &search.query.bank {
            None => Some(None),
            Some(name) => bank_id(transaction, name).await?.map(Some),
        };
        let value = match bank {
            None => None,
            Some(bank) => Some(page(transaction, statements, search, bank).await?),
        };
        AsOf { value, sequence }
    })
}

async fn page<C: Reader>(
    connection: &mut C,
    statements: &Statements,
    search: &ItemSearch,
    bank: Option<u32>,
) -> Read<FoundPage> {
    let Some((through, read)) = bound(connection, search, bank).await? else {
        return Ok(FoundPage { items: Vec::new(), next_after: None, read: 0 });
    };
    let limit = search.found_max;
    let mut values =
        vec![Value::Number(search.after.0), Value::Number(through.0), Value::Number(limit.into())];
    // NULL, which no payload holds, fills up what the statement asks for. Hashes of several types may have the same bytes.
    let mut needles: Vec<&[u8]> = search.query.needles().collect();
    needles.sort_unstable();
    needles.dedup();
    values.extend((0..NEEDLES).map(|index| Value::Bytes(needles.get(index).copied())));
    values.extend(bank.map(|bank| Value::Number(bank.into())));
    let statement = if bank.is_some() { statements.in_bank } else { statements.in_all };
    let held: Vec<(Item, BankName)> =
        all(connection, "find items", statement, &values, to_item_and_bank).await?;
    let is_cut = held.len() == usize::from(limit);
    let last = held.last().map(|(item, _)| item.id).filter(|_| is_cut);
    // The bytes may lie in another field.
    let items = held.into_iter().filter(|(item, _)| search.query.asks_for(&item.content)).collect();
    let is_end = last.is_none() && read < u64::from(search.read_max);
    Ok(FoundPage { items, next_after: (!is_end).then_some(last.unwrap_or(through)), read })
}

/// The last of the rows that one call reads, and how many they are; `None` for none.
async fn bound<C: Reader>(
    connection: &mut C,
    search: &ItemSearch,
    bank: Option<u32>,
) -> Read<Option<(ItemId, u64)>> {
    let in_all =
        "SELECT max(id), count(*) FROM (SELECT id FROM items WHERE id > $1 ORDER BY id LIMIT $2) AS part";
    let in_bank = "SELECT max(id), count(*) FROM \
                   (SELECT id FROM items WHERE bank_id = $3 AND id > $1 ORDER BY id LIMIT $2) AS part";
    let mut values = vec![Value::Number(search.after.0), Value::Number(search.read_max.into())];
    values.extend(bank.map(|bank| Value::Number(bank.into())));
    let read = |row: &C::Row| -> Result<Option<(ItemId, u64)>, StoreError> {
        let read = || Ok::<_, sqlx::Error>((row.number(0)?, row.number(1)?));
        if row.number_if_any(0).is_ok_and(|last| last.is_none()) {
            return Ok(None);
        }
        read().map(|(last, count)| Some((ItemId(last), count))).map_err(|_| corrupt("an item"))
    };
    let statement = if bank.is_some() { in_bank } else { in_all };
    Ok(first(connection, "find items", statement, &values, read).await?.flatten())
}
