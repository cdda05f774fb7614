//! The statements that read the published lists of banks.

use vigie_consortium::{EntryDigest, ItemRecord, ListChain, ListHead, ListSecret};
use vigie_model::{BankId, Item, ItemId, SetDigest};

use crate::store::error::corrupt;
use crate::store::published::{FoundListed, ListEntry, ListPage, ListQuery, StoredList};
use crate::store::records::StoredRecord;
use crate::store::sql::read::{Read, Reader, Value, all, first, is_living, page, snapshot};
use crate::store::sql::rows::{Column, StoredRow};

/// Reads a page of a list; `None`: there is no such bank.
pub(in crate::store) async fn list_page<C: Reader>(
    connection: &mut C,
    query: &ListQuery,
) -> Read<Option<ListPage>> {
    snapshot!(connection, |transaction| {
        if is_living(transaction, query.bank).await? {
            Some(read_page(transaction, query).await?)
        } else {
            None
        }
    })
}

async fn read_page<C: Reader>(connection: &mut C, query: &ListQuery) -> Read<ListPage> {
    let ListQuery { bank, after, count_max, bytes_max } = *query;
    let secret = secret(connection).await?;
    let select = "SELECT bank_id, number, chain, item_count, sum_0, sum_1, sum_2, sum_3, listed_through, \
                  unlisted_through FROM lists WHERE bank_id = $1";
    let list = first(connection, "read a list", select, &[Value::Number(bank.0.into())], to_list).await?;
    let list = list.unwrap_or_else(|| StoredList::new(bank));
    if after > list.head.number {
        return Ok(ListPage { list, secret, chain: ListChain::default(), entries: Vec::new() });
    }
    let chain = chain_as_of(connection, bank, after).await?;
    let select = "SELECT list_entries.number, list_entries.item_id, list_entries.digest, items.payload, \
                  item_records.payload FROM list_entries \
                  LEFT JOIN items ON items.id = list_entries.item_id \
                  LEFT JOIN item_records ON item_records.item_id = list_entries.item_id \
                  WHERE list_entries.bank_id = $1 AND list_entries.number > $2 ORDER BY list_entries.number LIMIT $3";
    let values = [bank.0.into(), after, count_max.into()].map(Value::Number);
    let bounds = (usize::from(count_max), bytes_max);
    let (rows, _) = page(connection, "read entries of a list", select, &values, bounds, 3, to_found).await?;
    let entries = rows.into_iter().map(|found| found.of(bank)).collect();
    Ok(ListPage { list, secret, chain, entries })
}

/// Computes the chain as of an entry: from the last stored chain at or before it, and the digests since.
async fn chain_as_of<C: Reader>(connection: &mut C, bank: BankId, number: u64) -> Read<ListChain> {
    let select = "SELECT number, chain FROM list_entries \
                  WHERE bank_id = $1 AND number <= $2 AND chain IS NOT NULL ORDER BY number DESC LIMIT 1";
    let values = [bank.0.into(), number].map(Value::Number);
    let read = |row: &C::Row| {
        let read = || -> Column<(u64, [u8; 32])> { Ok((row.number(0)?, row.array(1)?)) };
        read().map_err(|_| corrupt("an entry of a list"))
    };
    let stored = first(connection, "read the chain of a list", select, &values, read).await?;
    let (at, chain) = stored.unwrap_or_default();
    let select = "SELECT number, digest FROM list_entries \
                  WHERE bank_id = $1 AND number > $2 AND number <= $3 ORDER BY number";
    let values = [bank.0.into(), at, number].map(Value::Number);
    let since = all(connection, "read the chain of a list", select, &values, read).await?;
    Ok(since
        .into_iter()
        .fold(ListChain(chain), |chain, (number, digest)| chain.after(number, &EntryDigest(digest))))
}

/// Reads the lists of living banks that have a row.
pub(in crate::store) async fn lists<C: Reader>(connection: &mut C) -> Read<Vec<StoredList>> {
    let select = "SELECT bank_id, number, chain, item_count, sum_0, sum_1, sum_2, sum_3, listed_through, \
                  unlisted_through FROM lists ORDER BY bank_id";
    all(connection, "load the lists", select, &[], to_list).await
}

/// Reads the secret from which keys are made.
pub(in crate::store) async fn secret<C: Reader>(connection: &mut C) -> Read<ListSecret> {
    let read = |row: &C::Row| row.array(0).map(ListSecret).map_err(|_| corrupt("the secret of lists"));
    let select = "SELECT secret FROM list_secret WHERE id = 1";
    let secret = first(connection, "read the secret of lists", select, &[], read).await?;
    secret.ok_or_else(|| corrupt("the secret of lists"))
}

/// Decodes `bank_id, number, chain, item_count, sum_0, sum_1, sum_2, sum_3, listed_through,
/// unlisted_through`.
fn to_list(row: &impl StoredRow) -> Read<StoredList> {
    let read = || -> Column<StoredList> {
        let sums = [row.number(4)?, row.number(5)?, row.number(6)?, row.number(7)?];
        let set = SetDigest { sums, hashes: row.number(3)? };
        Ok(StoredList {
            bank: BankId(row.number(0)?),
            head: ListHead { number: row.number(1)?, chain: ListChain(row.array(2)?), set },
            listed_through: ItemId(row.number(8)?),
            unlisted_through: ItemId(row.number(9)?),
        })
    };
    read().map_err(|_| corrupt("a list"))
}

/// A [`FoundListed`] without its bank.
struct Found {
    number: u64,
    id: ItemId,
    digest: EntryDigest,
    item: Option<Item>,
    record: Option<ItemRecord>,
}

impl Found {
    fn of(self, bank: BankId) -> FoundListed {
        let Self { number, id, digest, item, record } = self;
        FoundListed { entry: ListEntry { bank, number, item: id, digest, chain: None }, item, record }
    }
}

/// Decodes `number, item_id, digest, payload, payload`: an entry, its item, and the item's record.
fn to_found(row: &impl StoredRow) -> Read<Found> {
    let keys = || -> Column<_> { Ok((row.number(0)?, ItemId(row.number(1)?), EntryDigest(row.array(2)?))) };
    let fault = |_| corrupt("an entry of a list");
    let (number, id, digest) = keys().map_err(fault)?;
    let item = row.bytes_if_any(3).map_err(fault)?.map(vigie_proto::bank::decode_item);
    let item = item.transpose().map_err(|_| corrupt("an item"))?;
    let record = row.bytes_if_any(4).map_err(fault)?.map(|payload| StoredRecord::read(id, payload));
    let record = record.transpose()?.map(|stored| stored.record);
    Ok(Found { number, id, digest, item, record })
}
