//! The statements that read the changes of a bank.

use vigie_log::{Sequence, UnixMillis};
use vigie_model::{BankId, ItemId};

use crate::store::changes::{ChangedItem, ChangesPage, ChangesQuery, Halves, Rows, Start};
use crate::store::error::corrupt;
use crate::store::records::HeadRow;
use crate::store::sql::read::{Read, Reader, Value, first, head_row, is_living, last_before, page, snapshot};
use crate::store::sql::records::{ByLists, of_items};
use crate::store::sql::rows::{Column, StoredRow, to_item};
use crate::store::touched::{Touch, Touched};

/// Reads a page of changes; `None`: there is no such bank. `records` is the statement that reads records of
/// items, in the database's SQL.
pub(in crate::store) async fn bank_changes<C: Reader>(
    connection: &mut C,
    query: &ChangesQuery,
    records: ByLists,
) -> Read<Option<ChangesPage>> {
    snapshot!(connection, |transaction| {
        if is_living(transaction, query.bank).await? {
            let mut page = read_page(transaction, query).await?;
            page.records = of_items(transaction, records, &page.living()).await?;
            Some(page)
        } else {
            None
        }
    })
}

async fn read_page<C: Reader>(connection: &mut C, query: &ChangesQuery) -> Read<ChangesPage> {
    let head = head_row(connection).await?;
    let after = match query.start {
        Start::After(sequence) => sequence,
        Start::AfterTime(time) => last_until(connection, query.bank, time, &head).await?,
    };
    let head_sequence = head.head.sequence;
    let through = match query.through {
        Some(time) => last_until(connection, query.bank, time, &head).await?.min(head_sequence),
        None => head_sequence,
    };
    if after >= through {
        return Ok(ChangesPage::empty(after, head_sequence));
    }
    let bounds = (usize::from(query.count_max), query.bytes_max);
    let values = [query.bank.0.into(), after.0, through.0, query.count_max.into()].map(Value::Number);
    let select = "SELECT items.id, CASE WHEN touched.item_id IS NULL THEN items.payload END FROM items \
                  LEFT JOIN touched ON touched.item_id = items.id \
                  WHERE items.bank_id = $1 AND items.id > $2 AND items.id <= $3 ORDER BY items.id LIMIT $4";
    let (rows, is_cut) = page(connection, "read added items", select, &values, bounds, 1, to_added).await?;
    let cut_at = rows.last().filter(|_| is_cut).map(|(id, _)| Sequence(id.0));
    let added = Rows { rows: rows.into_iter().map(|(_, added)| added).collect(), cut_at };
    let select = "SELECT touched.item_id, touched.bank_id, touched.sequence, touched.changed_at_ms, touched.added_at_ms, \
                  touched.kind, coalesce(items.payload, undos.payload) FROM touched \
                  LEFT JOIN items ON items.id = touched.item_id LEFT JOIN undos ON undos.item_id = touched.item_id \
                  WHERE touched.bank_id = $1 AND touched.sequence > $2 AND touched.sequence <= $3 \
                  ORDER BY touched.sequence LIMIT $4";
    let (rows, is_cut) =
        page(connection, "read changed items", select, &values, bounds, 6, to_changed).await?;
    let cut_at = rows.last().filter(|_| is_cut).map(|changed: &ChangedItem| changed.sequence);
    let touched = Rows { rows, cut_at };
    Ok(ChangesPage::merged(added, touched, (after, through), usize::from(query.count_max), head_sequence))
}

/// Returns the last change with a time up to this one, at least among the bank's changes.
async fn last_until<C: Reader>(
    connection: &mut C,
    bank: BankId,
    time: UnixMillis,
    head: &HeadRow,
) -> Read<Sequence> {
    if let Some(last) = last_before(connection, UnixMillis(time.0.saturating_add(1))).await? {
        return Ok(last);
    }
    // Before the log's floor, the times come from the bank's own rows.
    let added =
        "SELECT id, payload FROM items WHERE bank_id = $1 AND id > $2 AND id <= $3 ORDER BY id LIMIT 1";
    let touched = "SELECT sequence, changed_at_ms FROM touched \
                   WHERE bank_id = $1 AND sequence > $2 AND sequence <= $3 ORDER BY sequence LIMIT 1";
    let of_added = last_of(connection, bank, time, head, added, to_time_of_item).await?;
    let of_touched = last_of(connection, bank, time, head, touched, to_time).await?;
    Ok(of_added.max(of_touched))
}

async fn last_of<C: Reader>(
    connection: &mut C,
    bank: BankId,
    time: UnixMillis,
    head: &HeadRow,
    statement: &'static str,
    read: fn(&C::Row) -> Read<(Sequence, UnixMillis)>,
) -> Read<Sequence> {
    let mut halves = Halves::up_to(head.head.floor);
    while let Some((after, through)) = halves.next() {
        let values = [bank.0.into(), after.0, through.0].map(Value::Number);
        let found = first(connection, "find changes by time", statement, &values, read).await?;
        halves.take(found.map(|(sequence, at)| (sequence, at <= time)));
    }
    Ok(halves.found())
}

fn to_time_of_item(row: &impl StoredRow) -> Read<(Sequence, UnixMillis)> {
    let item = to_item(row)?;
    Ok((Sequence(item.id.0), UnixMillis(item.added_at.0)))
}

fn to_time(row: &impl StoredRow) -> Read<(Sequence, UnixMillis)> {
    let read = || -> Column<_> { Ok((Sequence(row.number(0)?), UnixMillis(row.number(1)?))) };
    read().map_err(|_| corrupt("a change of an item"))
}

/// Decodes `id, payload`; the payload is NULL for an item with a row in `touched`.
fn to_added(row: &impl StoredRow) -> Read<(ItemId, Option<ChangedItem>)> {
    let id = row.number(0).map(ItemId).map_err(|_| corrupt("an item"))?;
    let has_payload = row.bytes_if_any(1).map_err(|_| corrupt("an item"))?.is_some();
    let added = has_payload.then(|| to_item(row).map(ChangedItem::added)).transpose()?;
    Ok((id, added))
}

/// Decodes `item_id, bank_id, sequence, changed_at_ms, added_at_ms, kind, payload`.
fn to_changed(row: &impl StoredRow) -> Read<ChangedItem> {
    let read = || -> Column<Option<Touched>> {
        let has_added_at = row.number_if_any(4)?.is_some();
        let added_at = has_added_at.then(|| row.number(4).map(UnixMillis)).transpose()?;
        let touch = Touch::read(row.number(5)?, added_at);
        let (item, bank) = (ItemId(row.number(0)?), BankId(row.number(1)?));
        let (sequence, at) = (Sequence(row.number(2)?), UnixMillis(row.number(3)?));
        Ok(touch.map(|touch| Touched { item, bank, sequence, at, touch }))
    };
    let fault = || corrupt("a change of an item");
    let touched = read().ok().flatten().ok_or_else(fault)?;
    let payload = row.bytes_if_any(6).map_err(|_| fault())?;
    let item = payload.map(vigie_proto::bank::decode_item).transpose().map_err(|_| fault())?;
    let item = item.filter(|item| item.id == touched.item);
    ChangedItem::touched(&touched, item).ok_or_else(fault)
}
