//! The published lists of banks on PostgreSQL.

use sqlx::postgres::PgConnection;

use crate::store::error::{StoreError, failed};
use crate::store::published::{ListEntry, ListRows, StoredList};
use crate::store::sql::read::integer;

/// Sets lists, and appends entries; returns `false` if a stored list is ahead of the batch. The head of the
/// log does not show that: a batch that only lists items of an earlier version does not move the head.
pub(super) async fn set(connection: &mut PgConnection, state: &ListRows) -> Result<bool, StoreError> {
    if !state.heads.is_empty() && !set_heads(connection, &state.heads).await? {
        return Ok(false);
    }
    if state.entries.is_empty() {
        return Ok(true);
    }
    let column = |value: fn(&ListEntry) -> u64| {
        state.entries.iter().map(|entry| integer(value(entry))).collect::<Vec<_>>()
    };
    let chains = state.entries.iter().map(|entry| entry.chain.map(|chain| chain.0.to_vec()));
    sqlx::query(
        "INSERT INTO list_entries (bank_id, number, item_id, digest, chain) \
         SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BYTEA[], $5::BYTEA[])",
    )
    .bind(column(|entry| entry.bank.0.into()))
    .bind(column(|entry| entry.number))
    .bind(column(|entry| entry.item.0))
    .bind(state.entries.iter().map(|entry| entry.digest.0.to_vec()).collect::<Vec<_>>())
    .bind(chains.collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(|_| true)
    .map_err(failed("add entries of lists"))
}

async fn set_heads(connection: &mut PgConnection, heads: &[StoredList]) -> Result<bool, StoreError> {
    let column =
        |value: fn(&StoredList) -> u64| heads.iter().map(|list| integer(value(list))).collect::<Vec<_>>();
    let chains: Vec<_> = heads.iter().map(|list| list.head.chain.0.to_vec()).collect();
    sqlx::query(
        "INSERT INTO lists (bank_id, number, chain, item_count, sum_0, sum_1, sum_2, sum_3, listed_through, \
         unlisted_through) SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BYTEA[], $4::BIGINT[], $5::BIGINT[], \
         $6::BIGINT[], $7::BIGINT[], $8::BIGINT[], $9::BIGINT[], $10::BIGINT[]) \
         ON CONFLICT (bank_id) DO UPDATE SET number = excluded.number, chain = excluded.chain, \
         item_count = excluded.item_count, sum_0 = excluded.sum_0, sum_1 = excluded.sum_1, sum_2 = excluded.sum_2, \
         sum_3 = excluded.sum_3, listed_through = excluded.listed_through, \
         unlisted_through = excluded.unlisted_through \
         WHERE lists.number <= excluded.number AND lists.listed_through <= excluded.listed_through",
    )
    .bind(column(|list| list.bank.0.into()))
    .bind(column(|list| list.head.number))
    .bind(chains)
    .bind(column(|list| list.head.set.hashes))
    .bind(column(|list| list.head.set.sums[0]))
    .bind(column(|list| list.head.set.sums[1]))
    .bind(column(|list| list.head.set.sums[2]))
    .bind(column(|list| list.head.set.sums[3]))
    .bind(column(|list| list.listed_through.0))
    .bind(column(|list| list.unlisted_through.0))
    .execute(connection)
    .await
    .map(|set| set.rows_affected() == heads.len() as u64)
    .map_err(failed("set lists"))
}

/// Deletes entries of a deleted bank, and then its list; returns the number of deleted entries.
pub(super) async fn sweep(
    connection: &mut PgConnection,
    bank: i64,
    rows_max: u32,
) -> Result<u64, StoreError> {
    let delete = "DELETE FROM list_entries WHERE bank_id = $1 AND number = ANY(ARRAY( \
                  SELECT number FROM list_entries WHERE bank_id = $1 ORDER BY number LIMIT $2))";
    let swept = sqlx::query(delete).bind(bank).bind(i64::from(rows_max)).execute(&mut *connection).await;
    let swept = swept.map_err(failed("sweep entries of lists"))?.rows_affected();
    let delete = sqlx::query("DELETE FROM lists WHERE bank_id = $1").bind(bank).execute(connection).await;
    delete.map_err(failed("sweep a list"))?;
    Ok(swept)
}
