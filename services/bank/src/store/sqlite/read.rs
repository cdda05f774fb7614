//! The statements that read rows. What belongs together is read in one transaction, hence as of one sequence.

use futures::TryStreamExt as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection as _, QueryBuilder, Row as _};
use vigie_model::change::LogId;
use vigie_model::{
    Bank, BankId, BankName, Item, ItemId, LogHead, Sequence, SetDigest, ShardIdentity, UnixMillis,
};
use vigie_proto::bank::decode_item;

use super::insert::json;
use super::{failed, integer};
use crate::digests::{PartDigest, Totals};
use crate::store::{
    AsOf, ChangePage, ChangeRange, Head, ItemPage, ItemRange, Loaded, Placement, Recorded, StoreError,
    StoredBatch, StoredChange,
};

/// Keys asked for in one statement.
const KEYS: usize = 64;

const BANK_COLUMNS: &str = "SELECT id, name, enabled, created_at_ms, item_count, hash_count FROM banks ";

const DIGEST_COLUMNS: &str =
    "SELECT bank_id, partition, hash_count, sum_0, sum_1, sum_2, sum_3 FROM digests ";

type Read<T> = Result<T, StoreError>;

/// Runs a few reads as of one moment.
macro_rules! snapshot {
    ($connection:expr, |$transaction:ident| $reads:expr) => {{
        let mut begun = $connection.begin().await.map_err(failed("begin to read"))?;
        let $transaction = &mut *begun;
        let value = $reads;
        begun.rollback().await.map_err(failed("end reading"))?;
        Ok(value)
    }};
}

pub(super) async fn load(connection: &mut SqliteConnection) -> Read<Loaded> {
    snapshot!(connection, |transaction| {
        let (head, banks) = head_and_banks(transaction).await?;
        Loaded { head, banks, totals: totals(transaction).await? }
    })
}

pub(super) async fn state(connection: &mut SqliteConnection) -> Read<(Head, Vec<Bank>)> {
    snapshot!(connection, |transaction| head_and_banks(transaction).await?)
}

async fn head_and_banks(transaction: &mut SqliteConnection) -> Read<(Head, Vec<Bank>)> {
    let head = head(transaction).await?;
    let mut query = QueryBuilder::new(BANK_COLUMNS);
    query.push("ORDER BY id");
    let rows = query.build().fetch_all(&mut *transaction).await.map_err(failed("load the banks"))?;
    Ok((head, rows.iter().map(to_bank).collect::<Read<_>>()?))
}

/// What the living hashes come to, by partition.
async fn totals(connection: &mut SqliteConnection) -> Read<Totals> {
    let rows = sqlx::query(
        "SELECT 0, partition, sum(hash_count), sum(sum_0), sum(sum_1), sum(sum_2), sum(sum_3) \
         FROM digests GROUP BY partition",
    )
    .fetch_all(connection)
    .await
    .map_err(failed("sum up the digests"))?;
    let mut totals = Totals::empty();
    for row in &rows {
        let PartDigest { partition, digest, .. } = to_part(row)?;
        *totals.partition_mut(partition).ok_or_else(|| corrupt("a digest"))? = digest;
    }
    Ok(totals)
}

pub(super) async fn bank_digests(connection: &mut SqliteConnection, bank: BankId) -> Read<Vec<PartDigest>> {
    let mut query = QueryBuilder::new(DIGEST_COLUMNS);
    query.push("WHERE bank_id = ").push_bind(bank.0);
    let rows = query.build().fetch_all(connection).await.map_err(failed("read a bank's digests"))?;
    rows.iter().map(to_part).collect()
}

pub(super) async fn digests(
    connection: &mut SqliteConnection,
    (bank, partition): (BankId, u16),
    limit: u16,
) -> Read<Vec<PartDigest>> {
    let mut query = QueryBuilder::new(DIGEST_COLUMNS);
    query.push("WHERE (bank_id, partition) > (").push_bind(bank.0).push(", ").push_bind(partition);
    query.push(") ORDER BY bank_id, partition LIMIT ").push_bind(limit);
    let rows = query.build().fetch_all(connection).await.map_err(failed("read the digests"))?;
    rows.iter().map(to_part).collect()
}

pub(super) async fn item_page(connection: &mut SqliteConnection, range: &ItemRange) -> Read<ItemPage> {
    let mut query = QueryBuilder::new("SELECT id, payload FROM items WHERE id > ");
    query.push_bind(integer(range.after.0)).push(" AND id <= ").push_bind(integer(range.through.0));
    push_shard(&mut query, range.shard, "FALSE");
    query.push(" ORDER BY id LIMIT ").push_bind(integer(range.count_max as u64));
    let mut rows = query.build().fetch(connection);
    let (mut items, mut bytes, mut cut) = (Vec::new(), 0, false);
    while let Some(row) = rows.try_next().await.map_err(failed("read items"))? {
        bytes += row.try_get::<&[u8], _>(1).map_or(0, <[u8]>::len);
        if bytes > range.bytes_max && !items.is_empty() {
            cut = true;
            break;
        }
        items.push(to_item(&row)?);
    }
    cut |= items.len() >= range.count_max;
    let last = items.last().map(|item: &Item| item.id);
    Ok(ItemPage { through: last.filter(|_| cut).unwrap_or(range.through), items })
}

/// Leaves those rows only that fall to a shard, as [`vigie_model::ShardCount::shard_of`] has it, or for which `or`
/// holds.
fn push_shard(query: &mut QueryBuilder<sqlx::Sqlite>, shard: Option<ShardIdentity>, or: &'static str) {
    let Some(shard) = shard else { return };
    query.push(" AND (").push(or).push(" OR partition % ").push_bind(shard.shard_count().get());
    query.push(" = ").push_bind(shard.shard().0).push(")");
}

pub(super) async fn head(connection: &mut SqliteConnection) -> Read<Head> {
    let row = sqlx::query(
        "SELECT sequence, chain, next_bank_id, bank_count, item_count, hash_count, floor FROM head WHERE id = 1",
    )
    .fetch_one(connection)
    .await
    .map_err(failed("read the head"))?;
    let read = || -> Result<Head, sqlx::Error> {
        Ok(Head {
            log: LogHead {
                sequence: Sequence(row.try_get(0)?),
                chain: to_array(&row, 1)?,
                banks: row.try_get(3)?,
                items: row.try_get(4)?,
                hashes: row.try_get(5)?,
                floor: Sequence(row.try_get(6)?),
            },
            next_bank: row.try_get(2)?,
        })
    };
    read().map_err(|_| corrupt("the head"))
}

pub(super) async fn bank(connection: &mut SqliteConnection, name: &BankName) -> Read<AsOf<Option<Bank>>> {
    snapshot!(connection, |transaction| {
        let sequence = sequence(transaction).await?;
        let mut query = QueryBuilder::new(BANK_COLUMNS);
        query.push("WHERE name = ").push_bind(name.to_string());
        let row = query.build().fetch_optional(&mut *transaction).await.map_err(failed("read a bank"))?;
        AsOf { value: row.as_ref().map(to_bank).transpose()?, sequence }
    })
}

pub(super) async fn banks(
    connection: &mut SqliteConnection,
    after: BankId,
    limit: u16,
) -> Read<AsOf<Vec<Bank>>> {
    snapshot!(connection, |transaction| {
        let sequence = sequence(transaction).await?;
        let mut query = QueryBuilder::new(BANK_COLUMNS);
        query.push("WHERE id > ").push_bind(after.0).push(" ORDER BY id LIMIT ").push_bind(limit);
        let rows = query.build().fetch_all(&mut *transaction).await.map_err(failed("list banks"))?;
        AsOf { value: rows.iter().map(to_bank).collect::<Read<_>>()?, sequence }
    })
}

pub(super) async fn item(
    connection: &mut SqliteConnection,
    id: ItemId,
) -> Read<AsOf<Option<(Item, BankName)>>> {
    snapshot!(connection, |transaction| {
        let sequence = sequence(transaction).await?;
        let row = sqlx::query(
            "SELECT items.id, items.payload, banks.name FROM items JOIN banks ON banks.id = items.bank_id \
             WHERE items.id = ?",
        )
        .bind(integer(id.0))
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed("read an item"))?;
        AsOf { value: row.as_ref().map(to_item_and_bank).transpose()?, sequence }
    })
}

pub(super) async fn items(
    connection: &mut SqliteConnection,
    bank: &BankName,
    after: ItemId,
    limit: u16,
) -> Read<AsOf<Option<Vec<Item>>>> {
    snapshot!(connection, |transaction| {
        let sequence = sequence(transaction).await?;
        let bank: Option<u32> = sqlx::query_scalar("SELECT id FROM banks WHERE name = ?")
            .bind(bank.to_string())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(failed("find a bank"))?;
        let value = match bank {
            None => None,
            Some(bank) => {
                let rows = sqlx::query(
                    "SELECT id, payload FROM items WHERE bank_id = ? AND id > ? ORDER BY id LIMIT ?",
                )
                .bind(bank)
                .bind(integer(after.0))
                .bind(limit)
                .fetch_all(&mut *transaction)
                .await
                .map_err(failed("list items"))?;
                Some(rows.iter().map(to_item).collect::<Read<_>>()?)
            }
        };
        AsOf { value, sequence }
    })
}

pub(super) async fn changes(connection: &mut SqliteConnection, range: &ChangeRange) -> Read<ChangePage> {
    snapshot!(connection, |transaction| {
        let floor = head(transaction).await?.log.floor;
        let (changes, through) = changes_of(transaction, range).await?;
        ChangePage { changes, through, floor }
    })
}

async fn changes_of(
    connection: &mut SqliteConnection,
    range: &ChangeRange,
) -> Read<(Vec<StoredChange>, Sequence)> {
    let select = "SELECT sequence, partition, checksum, payload FROM changes WHERE sequence > ";
    let mut query = QueryBuilder::new(select);
    query.push_bind(integer(range.after.0));
    query.push(" AND sequence <= ").push_bind(integer(range.through.0));
    push_shard(&mut query, range.shard, "partition IS NULL");
    query.push(" ORDER BY sequence LIMIT ").push_bind(integer(range.count_max as u64));

    let mut rows = query.build().fetch(connection);
    let (mut changes, mut bytes, mut cut) = (Vec::new(), 0, false);
    while let Some(row) = rows.try_next().await.map_err(failed("read the log"))? {
        let change = to_change(&row).map_err(|_| corrupt("a change"))?;
        bytes += change.payload.len();
        if bytes > range.bytes_max && !changes.is_empty() {
            cut = true;
            break;
        }
        changes.push(change);
    }
    cut |= changes.len() >= range.count_max;
    let last = changes.last().map(|change: &StoredChange| change.sequence);
    Ok((changes, last.filter(|_| cut).unwrap_or(range.through)))
}

pub(super) async fn batches(
    connection: &mut SqliteConnection,
    after: Sequence,
    limit: u16,
) -> Read<Vec<StoredBatch>> {
    let rows = sqlx::query(
        "SELECT last_sequence, chain FROM batches WHERE last_sequence > ? ORDER BY last_sequence LIMIT ?",
    )
    .bind(integer(after.0))
    .bind(limit)
    .fetch_all(connection)
    .await
    .map_err(failed("read the batches"))?;
    let to_batch = |row: &SqliteRow| -> Result<StoredBatch, sqlx::Error> {
        Ok(StoredBatch { last: Sequence(row.try_get(0)?), chain: to_array(row, 1)? })
    };
    rows.iter().map(|row| to_batch(row).map_err(|_| corrupt("a batch"))).collect()
}

pub(super) async fn placements(connection: &mut SqliteConnection, items: &[ItemId]) -> Read<Vec<Placement>> {
    let rows = sqlx::query("SELECT id, payload FROM items WHERE id IN (SELECT value FROM json_each(?))")
        .bind(json(items.iter().map(|item| item.0)))
        .fetch_all(connection)
        .await
        .map_err(failed("find items"))?;
    rows.iter().map(|row| to_item(row).map(|item| Placement::of(&item))).collect()
}

/// The last batch that was committed before a time.
pub(super) async fn last_before(
    connection: &mut SqliteConnection,
    time: UnixMillis,
) -> Read<Option<Sequence>> {
    let last: Option<u64> =
        sqlx::query_scalar("SELECT max(last_sequence) FROM batches WHERE committed_at_ms < ?")
            .bind(integer(time.0))
            .fetch_one(connection)
            .await
            .map_err(failed("find old batches"))?;
    Ok(last.map(Sequence))
}

pub(super) async fn recorded(connection: &mut SqliteConnection, keys: &[String]) -> Read<Vec<Recorded>> {
    let select = "SELECT key, request_digest, response, created_at_ms FROM idempotency WHERE key IN (";
    let to_recorded = |row: &SqliteRow| -> Result<Recorded, sqlx::Error> {
        Ok(Recorded {
            key: row.try_get(0)?,
            digest: to_array(row, 1)?,
            response: row.try_get(2)?,
            created_at: UnixMillis(row.try_get(3)?),
        })
    };
    let mut recorded = Vec::new();
    for keys in keys.chunks(KEYS) {
        let mut query = QueryBuilder::new(select);
        let mut list = query.separated(", ");
        for index in 0..KEYS {
            // The statement is always the same and stays prepared: the last key fills it up.
            list.push_bind(keys.get(index).or(keys.last()).cloned());
        }
        query.push(")");
        let rows = query.build().fetch_all(&mut *connection).await.map_err(failed("find keys"))?;
        for row in &rows {
            recorded.push(to_recorded(row).map_err(|_| corrupt("a key"))?);
        }
    }
    Ok(recorded)
}

/// Which log it is.
pub(super) async fn log_id(connection: &mut SqliteConnection) -> Read<LogId> {
    let id: Vec<u8> = sqlx::query_scalar("SELECT log_id FROM head WHERE id = 1")
        .fetch_one(connection)
        .await
        .map_err(failed("read the head"))?;
    id.try_into().map(LogId).map_err(|_| corrupt("the head"))
}

pub(super) async fn sequence(connection: &mut SqliteConnection) -> Read<Sequence> {
    sqlx::query_scalar("SELECT sequence FROM head WHERE id = 1")
        .fetch_one(connection)
        .await
        .map(Sequence)
        .map_err(failed("read the head"))
}

fn corrupt(row: &str) -> StoreError {
    StoreError::Corrupt { row: row.to_owned() }
}

/// Reads a chain or a digest.
fn to_array(row: &SqliteRow, column: usize) -> Result<[u8; 32], sqlx::Error> {
    let bytes: &[u8] = row.try_get(column)?;
    bytes.try_into().map_err(|source| sqlx::Error::Decode(Box::new(source)))
}

/// From [`BANK_COLUMNS`].
fn to_bank(row: &SqliteRow) -> Read<Bank> {
    let read = || -> Result<Bank, sqlx::Error> {
        let name: &str = row.try_get(1)?;
        Ok(Bank {
            id: BankId(row.try_get(0)?),
            name: name.parse().map_err(|source| sqlx::Error::Decode(Box::new(source)))?,
            enabled: row.try_get(2)?,
            created_at: UnixMillis(row.try_get(3)?),
            item_count: row.try_get(4)?,
            hash_count: row.try_get(5)?,
        })
    };
    read().map_err(|_| corrupt("a bank"))
}

/// From [`DIGEST_COLUMNS`].
fn to_part(row: &SqliteRow) -> Read<PartDigest> {
    let read = || -> Result<PartDigest, sqlx::Error> {
        let sums = [row.try_get(3)?, row.try_get(4)?, row.try_get(5)?, row.try_get(6)?];
        let digest = SetDigest { sums, hashes: row.try_get(2)? };
        Ok(PartDigest { bank: BankId(row.try_get(0)?), partition: row.try_get(1)?, digest })
    };
    read().map_err(|_| corrupt("a digest"))
}

/// From the columns `id` and `payload`.
fn to_item(row: &SqliteRow) -> Read<Item> {
    let id: Option<u64> = row.try_get(0).ok();
    let payload: Option<&[u8]> = row.try_get(1).ok();
    let item = payload.and_then(|payload| decode_item(payload).ok());
    item.filter(|item| Some(item.id.0) == id)
        .ok_or_else(|| StoreError::Corrupt { row: format!("item {}", id.unwrap_or_default()) })
}

/// From the columns `id`, `payload` and the bank's `name`.
fn to_item_and_bank(row: &SqliteRow) -> Read<(Item, BankName)> {
    let name = row.try_get::<&str, _>(2).ok().and_then(|name| name.parse().ok());
    Ok((to_item(row)?, name.ok_or_else(|| corrupt("the name of a bank"))?))
}

fn to_change(row: &SqliteRow) -> Result<StoredChange, sqlx::Error> {
    Ok(StoredChange {
        sequence: Sequence(row.try_get(0)?),
        partition: row.try_get(1)?,
        checksum: row.try_get(2)?,
        payload: row.try_get(3)?,
    })
}
