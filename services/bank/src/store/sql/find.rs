//! Finds items by their encoded content. There is no index of hashes, references or labels: a search reads a
//! bounded number of rows and bytes, and the database returns those that contain the searched bytes.

use vigie_model::{Item, ItemId};
use vigie_proto::bank::FIND_HASHES_MAX;

use crate::store::error::{StoreError, corrupt};
use crate::store::records::{AsOf, FoundPage, ItemSearch};
use crate::store::sql::read::{Read, Reader, Value, first, id_list, page as rows_of, sequence, snapshot};
use crate::store::sql::rows::{StoredRow as _, to_item};

/// Number of searched byte strings that a statement has parameters for; a row matches if it holds one of
/// them.
const NEEDLES: usize = FIND_HASHES_MAX + 1;

/// The statements that find items and those that bound the search, each for all banks and for some. The
/// parameters of a search are the bounds of the ids, a limit, the needles, and the banks. The parameters of a
/// bound are an id, a limit of rows, a limit of bytes, and the banks.
#[derive(Debug)]
pub(in crate::store) struct Statements {
    pub(in crate::store) in_all: &'static str,
    pub(in crate::store) in_banks: &'static str,
    pub(in crate::store) bound_in_all: &'static str,
    pub(in crate::store) bound_in_banks: &'static str,
}

/// Makes [`Statements`] from the database's expressions for: `items.bank_id` is in the list of parameter `$9`
/// (or `$4` in a bound), and a payload holds the parameter of each number.
macro_rules! statements {
    ($of_banks:literal, $of_bound:literal, $($holds:literal),*) => {
        $crate::store::sql::find::Statements {
            in_all: concat!(
                "SELECT items.id, items.payload FROM items JOIN banks ON banks.id = items.bank_id \
                 WHERE items.id > $1 AND items.id <= $2 AND (1 = 0",
                $(" OR ", $holds),*,
                ") ORDER BY items.id LIMIT $3"
            ),
            in_banks: concat!(
                "SELECT items.id, items.payload FROM items JOIN banks ON banks.id = items.bank_id \
                 WHERE items.id > $1 AND items.id <= $2 AND (1 = 0",
                $(" OR ", $holds),*,
                ") AND ", $of_banks, " ORDER BY items.id LIMIT $3"
            ),
            bound_in_all: $crate::store::sql::find::bound_statement!("1 = 1"),
            bound_in_banks: $crate::store::sql::find::bound_statement!($of_bound),
        }
    };
}
pub(in crate::store) use statements;

/// Makes the statement that returns the last item of a search's reads and their number, up to a number of
/// rows and of payload bytes, though at least one row. Neither database reads a payload to get its length.
macro_rules! bound_statement {
    ($of_bound:literal) => {
        concat!(
            "SELECT max(id), count(*) FROM (SELECT id, bytes, sum(bytes) OVER (ORDER BY id) AS summed FROM \
             (SELECT id, length(payload) AS bytes FROM items WHERE ",
            $of_bound,
            " AND id > $1 ORDER BY id LIMIT $2) AS part) AS parts WHERE summed <= $3 OR summed = bytes"
        )
    };
}
pub(in crate::store) use bound_statement;

pub(in crate::store) async fn find<C: Reader>(
    connection: &mut C,
    statements: &Statements,
    search: &ItemSearch,
) -> Read<AsOf<FoundPage>> {
    let banks = search.banks.as_ref().map(|banks| id_list(banks));
    snapshot!(connection, |transaction| {
        let sequence = sequence(transaction).await?;
        AsOf { value: page(transaction, statements, search, banks.as_deref()).await?, sequence }
    })
}

async fn page<C: Reader>(
    connection: &mut C,
    statements: &Statements,
    search: &ItemSearch,
    banks: Option<&str>,
) -> Read<FoundPage> {
    let Some((through, read)) = bound(connection, statements, search, banks).await? else {
        return Ok(FoundPage { items: Vec::new(), next_after: None, read: 0 });
    };
    let limit = search.found_max;
    let mut values =
        vec![Value::Number(search.after.0), Value::Number(through.0), Value::Number(limit.into())];
    // Unused parameters are NULL, which no payload holds. Hashes of several types may have the same bytes.
    let mut needles: Vec<&[u8]> = search.query.needles().collect();
    needles.sort_unstable();
    needles.dedup();
    values.extend((0..NEEDLES).map(|index| Value::Bytes(needles.get(index).copied())));
    values.extend(banks.map(Value::Text));
    let statement = if banks.is_some() { statements.in_banks } else { statements.in_all };
    let bounds = (usize::from(limit), search.found_bytes_max);
    let (held, is_cut): (Vec<Item>, bool) =
        rows_of(connection, "find items", statement, &values, bounds, 1, to_item).await?;
    let last = held.last().map(|item| item.id).filter(|_| is_cut);
    // The bytes may be in another field.
    let items = held.into_iter().filter(|item| search.query.asks_for(&item.content)).collect();
    let may_end = last.is_none() && read < u64::from(search.read_max);
    let is_end = may_end && is_last(connection, statements, search, banks, through).await?;
    Ok(FoundPage { items, next_after: (!is_end).then_some(last.unwrap_or(through)), read })
}

/// Returns whether no item follows those that were read.
async fn is_last<C: Reader>(
    connection: &mut C,
    statements: &Statements,
    search: &ItemSearch,
    banks: Option<&str>,
    through: ItemId,
) -> Read<bool> {
    let next = ItemSearch { after: through, read_max: 1, ..search.clone() };
    Ok(bound(connection, statements, &next, banks).await?.is_none())
}

/// Returns the last of the rows that one call reads, and their number; `None` if there are none.
async fn bound<C: Reader>(
    connection: &mut C,
    statements: &Statements,
    search: &ItemSearch,
    banks: Option<&str>,
) -> Read<Option<(ItemId, u64)>> {
    let numbers = [search.after.0, search.read_max.into(), search.read_bytes_max];
    let mut values = numbers.map(Value::Number).to_vec();
    values.extend(banks.map(Value::Text));
    let read = |row: &C::Row| -> Result<Option<(ItemId, u64)>, StoreError> {
        let read = || Ok::<_, sqlx::Error>((row.number(0)?, row.number(1)?));
        if row.number_if_any(0).is_ok_and(|last| last.is_none()) {
            return Ok(None);
        }
        read().map(|(last, count)| Some((ItemId(last), count))).map_err(|_| corrupt("an item"))
    };
    let statement = if banks.is_some() { statements.bound_in_banks } else { statements.bound_in_all };
    Ok(first(connection, "find items", statement, &values, read).await?.flatten())
}
