//! The statements that read rows, in the SQL that both databases support.
//!
//! Reads that belong together run in one transaction, and so return the state at one sequence.

use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::Database;
use vigie_log::{ChangePage, ChangeRange, LogId, Sequence, Slice, StoredBatch, StoredChange, UnixMillis};
use vigie_model::{Bank, BankId, Item, ItemId};

use crate::plan::digests::{PartDigest, Totals, slice_of};
use crate::store::error::{StoreError, corrupt, failed};
use crate::store::records::{AsOf, DirectoryRow, HeadRow, ItemPage, ItemRange, ItemRows, Loaded};
use crate::store::sql::audit;
use crate::store::sql::exchanges;
use crate::store::sql::published;
use crate::store::sql::rows::{
    StoredRow, to_bank, to_batch, to_change, to_directory_row, to_head, to_item, to_part,
};

pub(in crate::store) type Read<T> = Result<T, StoreError>;

/// Converts to the databases' signed integers. A value that does not fit is greater than any stored value.
pub(in crate::store) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A parameter of a statement: `$1`, `$2` and so on.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) enum Value<'a> {
    Number(u64),
    Text(&'a str),
    /// Bytes; `None` for NULL.
    Bytes(Option<&'a [u8]>),
}

/// A connection to either database. Its transactions read one snapshot unless they choose another isolation
/// level.
pub(in crate::store) trait Reader:
    sqlx::Connection<Database: Database<Connection = Self>> + Sized
{
    /// The type of the rows.
    type Row: StoredRow;

    /// Returns a stream of the rows of a statement.
    fn stream(
        &mut self,
        statement: &'static str,
        values: &[Value<'_>],
    ) -> BoxStream<'_, Result<Self::Row, sqlx::Error>>;
}

macro_rules! reader {
    ($connection:ty, $row:ty) => {
        impl $crate::store::sql::read::Reader for $connection {
            type Row = $row;

            fn stream(
                &mut self,
                statement: &'static str,
                values: &[$crate::store::sql::read::Value<'_>],
            ) -> futures::stream::BoxStream<'_, Result<$row, sqlx::Error>> {
                let mut query = sqlx::query(statement);
                for value in values {
                    query = match *value {
                        $crate::store::sql::read::Value::Number(number) => {
                            query.bind($crate::store::sql::read::integer(number))
                        }
                        $crate::store::sql::read::Value::Text(text) => query.bind(text.to_owned()),
                        $crate::store::sql::read::Value::Bytes(bytes) => {
                            query.bind(bytes.map(<[u8]>::to_vec))
                        }
                    };
                }
                query.fetch(self)
            }
        }
    };
}
pub(in crate::store) use reader;

/// Runs several reads in one snapshot.
macro_rules! snapshot {
    ($connection:expr, |$transaction:ident| $reads:expr) => {{
        let mut begun = $connection.begin().await.map_err($crate::store::error::failed("begin to read"))?;
        let $transaction = &mut *begun;
        let value = $reads;
        begun.rollback().await.map_err($crate::store::error::failed("end reading"))?;
        Ok(value)
    }};
}
pub(in crate::store) use snapshot;

pub(super) async fn all<C: Reader, T>(
    connection: &mut C,
    attempt: &'static str,
    statement: &'static str,
    values: &[Value<'_>],
    read: fn(&C::Row) -> Read<T>,
) -> Read<Vec<T>> {
    let rows: Vec<C::Row> =
        connection.stream(statement, values).try_collect().await.map_err(failed(attempt))?;
    rows.iter().map(read).collect()
}

pub(super) async fn first<C: Reader, T>(
    connection: &mut C,
    attempt: &'static str,
    statement: &'static str,
    values: &[Value<'_>],
    read: impl FnOnce(&C::Row) -> Read<T>,
) -> Read<Option<T>> {
    let mut rows = connection.stream(statement, values);
    let row = rows.try_next().await.map_err(failed(attempt))?;
    // Read to the end, so that no row is left for the next user of the connection.
    while rows.next().await.is_some() {}
    row.as_ref().map(read).transpose()
}

/// Reads rows up to a number of rows and of bytes, though at least one; returns them and whether a bound was
/// reached.
pub(super) async fn page<C: Reader, T>(
    connection: &mut C,
    attempt: &'static str,
    statement: &'static str,
    values: &[Value<'_>],
    (count_max, bytes_max): (usize, usize),
    payload: usize,
    read: fn(&C::Row) -> Read<T>,
) -> Read<(Vec<T>, bool)> {
    let mut rows = connection.stream(statement, values);
    let (mut page, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await.map_err(failed(attempt))? {
        bytes += row.bytes(payload).map_or(0, <[u8]>::len);
        if bytes > bytes_max && !page.is_empty() {
            return Ok((page, true));
        }
        page.push(read(&row)?);
    }
    let full = page.len() >= count_max;
    Ok((page, full))
}

/// Returns the divisor, and the remainder of the partitions of a slice.
fn modulus(slice: Slice) -> (Value<'static>, Value<'static>) {
    (Value::Number(slice.count().into()), Value::Number(slice.number().into()))
}

/// Reads the state that the writer keeps in memory. `nodes` is the statement that reads hashes of the audit
/// by position, in the database's SQL.
pub(in crate::store) async fn load<C: Reader>(connection: &mut C, nodes: &'static str) -> Read<Loaded> {
    snapshot!(connection, |transaction| {
        let (HeadRow { head, counts }, banks) = rows_of_head_and_banks(transaction).await?;
        let (totals, directory) = (totals(transaction).await?, directory(transaction).await?);
        let audit = audit::frontier(transaction, nodes, counts).await?;
        let exchanges = exchanges::all_exchanges(transaction).await?;
        let (lists, list_secret) =
            (published::lists(transaction).await?, published::secret(transaction).await?);
        Loaded { head, counts, banks, totals, directory, audit, exchanges, lists, list_secret }
    })
}

pub(in crate::store) async fn head_and_banks<C: Reader>(connection: &mut C) -> Read<(HeadRow, Vec<Bank>)> {
    snapshot!(connection, |transaction| rows_of_head_and_banks(transaction).await?)
}

async fn rows_of_head_and_banks<C: Reader>(transaction: &mut C) -> Read<(HeadRow, Vec<Bank>)> {
    let head = head_row(transaction).await?;
    let select = "SELECT id, owner_id, name, enabled, created_at_ms, item_count, hash_count, match_ratio FROM banks ORDER BY id";
    Ok((head, all(transaction, "load the banks", select, &[], to_bank).await?))
}

/// Reads the rows of the directory, by key.
async fn directory<C: Reader>(connection: &mut C) -> Read<Vec<DirectoryRow>> {
    let select =
        "SELECT kind, first_id, second_id, payload FROM directory ORDER BY kind, first_id, second_id";
    all(connection, "load the directory", select, &[], to_directory_row).await
}

/// Reads the totals of the living hashes, by partition.
async fn totals<C: Reader>(connection: &mut C) -> Read<Totals> {
    let select = "SELECT CAST(0 AS BIGINT), partition, CAST(sum(hash_count) AS BIGINT), \
                  CAST(sum(sum_0) AS BIGINT), CAST(sum(sum_1) AS BIGINT), \
                  CAST(sum(sum_2) AS BIGINT), CAST(sum(sum_3) AS BIGINT) FROM digests GROUP BY partition";
    let mut totals = Totals::empty();
    for part in all(connection, "sum up the digests", select, &[], to_part).await? {
        let PartDigest { partition, digest, .. } = part;
        *totals.partition_mut(partition).ok_or_else(|| corrupt("a digest"))? = digest;
    }
    Ok(totals)
}

pub(in crate::store) async fn bank_digests<C: Reader>(
    connection: &mut C,
    bank: BankId,
) -> Read<Vec<PartDigest>> {
    let select = "SELECT bank_id, partition, hash_count, sum_0, sum_1, sum_2, sum_3 FROM digests \
                  WHERE bank_id = $1";
    all(connection, "read a bank's digests", select, &[Value::Number(bank.0.into())], to_part).await
}

pub(in crate::store) async fn digests<C: Reader>(
    connection: &mut C,
    (bank, partition): (BankId, u16),
    limit: u16,
) -> Read<Vec<PartDigest>> {
    let select = "SELECT bank_id, partition, hash_count, sum_0, sum_1, sum_2, sum_3 FROM digests \
                  WHERE (bank_id, partition) > ($1, $2) ORDER BY bank_id, partition LIMIT $3";
    let values = [bank.0.into(), partition.into(), limit.into()].map(Value::Number);
    all(connection, "read the digests", select, &values, to_part).await
}

pub(in crate::store) async fn head_row<C: Reader>(connection: &mut C) -> Read<HeadRow> {
    let select = "SELECT sequence, chain, next_bank_id, bank_count, item_count, hash_count, floor, audit_count \
                  FROM head WHERE id = 1";
    let head = first(connection, "read the head", select, &[], to_head).await?;
    head.ok_or_else(|| corrupt("the head"))
}

/// Reads the log's id.
pub(in crate::store) async fn log_id<C: Reader>(connection: &mut C) -> Read<LogId> {
    let read = |row: &C::Row| {
        let id = row.bytes(0).ok().and_then(|id| id.try_into().ok());
        id.map(LogId).ok_or_else(|| corrupt("the head"))
    };
    let id = first(connection, "read the head", "SELECT log_id FROM head WHERE id = 1", &[], read).await?;
    id.ok_or_else(|| corrupt("the head"))
}

pub(in crate::store) async fn sequence<C: Reader>(connection: &mut C) -> Read<Sequence> {
    let read = |row: &C::Row| row.number(0).map(Sequence).map_err(|_| corrupt("the head"));
    let select = "SELECT sequence FROM head WHERE id = 1";
    let sequence = first(connection, "read the head", select, &[], read).await?;
    sequence.ok_or_else(|| corrupt("the head"))
}

/// Reads the banks with these ids, by id. `statement` is in the database's SQL.
pub(in crate::store) async fn banks<C: Reader>(
    connection: &mut C,
    statement: &'static str,
    ids: &[BankId],
) -> Read<AsOf<Vec<Bank>>> {
    let ids = id_list(ids);
    snapshot!(connection, |transaction| {
        let sequence = sequence(transaction).await?;
        let value = all(transaction, "read banks", statement, &[Value::Text(&ids)], to_bank).await?;
        AsOf { value, sequence }
    })
}

/// Encodes ids of banks as one value of a statement: a JSON array.
pub(super) fn id_list(ids: &[BankId]) -> String {
    number_list(ids.iter().map(|id| id.0.into()))
}

/// Encodes numbers as one value of a statement: a JSON array.
pub(in crate::store) fn number_list(numbers: impl Iterator<Item = u64>) -> String {
    let numbers: Vec<_> = numbers.map(|number| integer(number).to_string()).collect();
    format!("[{}]", numbers.join(","))
}

pub(in crate::store) async fn item<C: Reader>(connection: &mut C, id: ItemId) -> Read<AsOf<Option<Item>>> {
    snapshot!(connection, |transaction| {
        let sequence = sequence(transaction).await?;
        let select = "SELECT items.id, items.payload FROM items \
                      JOIN banks ON banks.id = items.bank_id WHERE items.id = $1";
        let id = [Value::Number(id.0)];
        AsOf { value: first(transaction, "read an item", select, &id, to_item).await?, sequence }
    })
}

/// Returns whether a bank is living.
pub(super) async fn is_living<C: Reader>(connection: &mut C, bank: BankId) -> Read<bool> {
    let read = |row: &C::Row| row.number::<u32>(0).map_err(|_| corrupt("a bank"));
    let select = "SELECT id FROM banks WHERE id = $1";
    Ok(first(connection, "find a bank", select, &[Value::Number(bank.0.into())], read).await?.is_some())
}

/// Reads a page of a bank's items, bounded by number and bytes, though at least one item; returns it and
/// whether a bound was reached.
pub(in crate::store) async fn items<C: Reader>(
    connection: &mut C,
    bank: BankId,
    after: ItemId,
    bounds: (u16, usize),
) -> Read<AsOf<Option<ItemRows>>> {
    snapshot!(connection, |transaction| {
        let sequence = sequence(transaction).await?;
        let value = if is_living(transaction, bank).await? {
            let select = "SELECT id, payload FROM items WHERE bank_id = $1 AND id > $2 ORDER BY id LIMIT $3";
            let (count_max, bytes_max) = bounds;
            let values = [bank.0.into(), after.0, count_max.into()].map(Value::Number);
            let bounds = (usize::from(count_max), bytes_max);
            let read = page(transaction, "list items", select, &values, bounds, 1, to_item).await?;
            let (items, is_cut) = read;
            Some(ItemRows { items, is_cut })
        } else {
            None
        };
        AsOf { value, sequence }
    })
}

pub(in crate::store) async fn item_page<C: Reader>(connection: &mut C, range: &ItemRange) -> Read<ItemPage> {
    let select = "SELECT id, payload FROM items WHERE id > $1 AND id <= $2 AND partition % $3 = $4 \
                  ORDER BY id LIMIT $5";
    let (count, shard) = modulus(range.shard.map_or(Slice::ALL, slice_of));
    let [after, through, limit] = [range.after.0, range.through.0, range.count_max as u64].map(Value::Number);
    let bounds = (range.count_max, range.bytes_max);
    let values = [after, through, count, shard, limit];
    let (items, cut) = page(connection, "read items", select, &values, bounds, 1, to_item).await?;
    let last = items.last().map(|item: &Item| item.id);
    Ok(ItemPage { through: last.filter(|_| cut).unwrap_or(range.through), items })
}

pub(in crate::store) async fn changes<C: Reader>(
    connection: &mut C,
    range: &ChangeRange,
) -> Read<ChangePage> {
    snapshot!(connection, |transaction| {
        let floor = head_row(transaction).await?.head.floor;
        let select = "SELECT sequence, partition, digest, payload FROM changes \
                      WHERE sequence > $1 AND sequence <= $2 AND (partition IS NULL OR partition % $3 = $4) \
                      ORDER BY sequence LIMIT $5";
        let (count, remainder) = modulus(range.slice);
        let [after, through, limit] =
            [range.after.0, range.through.0, range.count_max as u64].map(Value::Number);
        let bounds = (range.count_max, range.bytes_max);
        let values = [after, through, count, remainder, limit];
        let (changes, cut) = page(transaction, "read the log", select, &values, bounds, 3, to_change).await?;
        let last = changes.last().map(|change: &StoredChange| change.sequence);
        ChangePage { changes, through: last.filter(|_| cut).unwrap_or(range.through), floor }
    })
}

pub(in crate::store) async fn batches<C: Reader>(
    connection: &mut C,
    after: Sequence,
    limit: u16,
) -> Read<Vec<StoredBatch>> {
    let select = "SELECT last_sequence, chain, former_chain FROM batches WHERE last_sequence > $1 ORDER BY last_sequence LIMIT $2";
    let values = [after.0, limit.into()].map(Value::Number);
    all(connection, "read the batches", select, &values, to_batch).await
}

/// Reads the time at which the batch that ends with a change was committed; 0 is a time that an older build
/// did not store.
pub(in crate::store) async fn committed_at<C: Reader>(
    connection: &mut C,
    last: Sequence,
) -> Read<Option<UnixMillis>> {
    let select = "SELECT committed_at_ms FROM batches WHERE last_sequence = $1 AND committed_at_ms > 0";
    let read = |row: &C::Row| row.number(0).map(UnixMillis).map_err(|_| corrupt("a batch"));
    first(connection, "find a batch", select, &[Value::Number(last.0)], read).await
}

/// Returns a batch that was committed before a time, such that all batches before it were too, as far as the
/// clock never went back.
pub(in crate::store) async fn last_before<C: Reader>(
    connection: &mut C,
    time: UnixMillis,
) -> Read<Option<Sequence>> {
    // Reads the index of times backwards from `$1`, so that the many newer batches are not read.
    let select = "SELECT last_sequence FROM batches WHERE committed_at_ms < $1 \
                  ORDER BY committed_at_ms DESC, last_sequence DESC LIMIT 1";
    let read = |row: &C::Row| row.number(0).map(Sequence).map_err(|_| corrupt("a batch"));
    first(connection, "find old batches", select, &[Value::Number(time.0)], read).await
}
