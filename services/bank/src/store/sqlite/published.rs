//! The published lists of banks on SQLite.

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;

use super::SqliteStore;
use super::rows::rows;
use crate::store::ReadLists;
use crate::store::error::{StoreError, failed};
use crate::store::published::{ListPage, ListQuery, ListRows, StoredList};
use crate::store::sql::published;
use crate::store::sql::read::integer;

#[async_trait]
impl ReadLists for SqliteStore {
    async fn list_page(&self, query: &ListQuery) -> Result<Option<ListPage>, StoreError> {
        published::list_page(&mut *self.reader().await?, query).await
    }

    async fn lists(&self) -> Result<Vec<StoredList>, StoreError> {
        published::lists(&mut *self.reader().await?).await
    }
}

/// Sets lists, and appends entries.
pub(super) async fn set(connection: &mut SqliteConnection, state: &ListRows) -> Result<(), StoreError> {
    let lists = "INSERT OR REPLACE INTO lists (bank_id, number, chain, item_count, sum_0, sum_1, sum_2, sum_3, \
                 listed_through, unlisted_through) ";
    rows(connection, lists, &state.heads, |mut row, list| {
        row.push_bind(list.bank.0)
            .push_bind(integer(list.head.number))
            .push_bind(list.head.chain.0.to_vec())
            .push_bind(integer(list.head.set.hashes));
        for sum in list.head.set.sums {
            row.push_bind(integer(sum));
        }
        row.push_bind(integer(list.listed_through.0)).push_bind(integer(list.unlisted_through.0));
    })
    .await?;
    let entries = "INSERT INTO list_entries (bank_id, number, item_id, digest, chain) ";
    rows(connection, entries, &state.entries, |mut row, entry| {
        row.push_bind(entry.bank.0)
            .push_bind(integer(entry.number))
            .push_bind(integer(entry.item.0))
            .push_bind(entry.digest.0.to_vec())
            .push_bind(entry.chain.map(|chain| chain.0.to_vec()));
    })
    .await
}

/// Deletes entries of a deleted bank, and then its list; returns the number of deleted entries.
pub(super) async fn sweep(
    connection: &mut SqliteConnection,
    bank: u32,
    rows_max: u32,
) -> Result<u64, StoreError> {
    let delete = "DELETE FROM list_entries WHERE bank_id = ?1 AND number IN \
                  (SELECT number FROM list_entries WHERE bank_id = ?1 ORDER BY number LIMIT ?2)";
    let swept = sqlx::query(delete).bind(bank).bind(rows_max).execute(&mut *connection).await;
    let swept = swept.map_err(failed("sweep entries of lists"))?.rows_affected();
    let delete = sqlx::query("DELETE FROM lists WHERE bank_id = ?").bind(bank).execute(connection).await;
    delete.map_err(failed("sweep a list"))?;
    Ok(swept)
}
