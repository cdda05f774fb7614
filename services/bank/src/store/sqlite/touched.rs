//! The latest changes of items on SQLite.

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;

use super::SqliteStore;
use super::lists;
use super::rows::rows;
use crate::store::ReadChanges;
use crate::store::changes::{ChangesPage, ChangesQuery};
use crate::store::error::{StoreError, failed};
use crate::store::sql::changes;
use crate::store::sql::read::integer;
use crate::store::touched::Touched;

#[async_trait]
impl ReadChanges for SqliteStore {
    async fn bank_changes(&self, query: &ChangesQuery) -> Result<Option<ChangesPage>, StoreError> {
        changes::bank_changes(&mut *self.reader().await?, query, lists::RECORDS).await
    }
}

/// Sets the latest changes of items.
pub(super) async fn set(connection: &mut SqliteConnection, touched: &[Touched]) -> Result<(), StoreError> {
    let insert =
        "INSERT OR REPLACE INTO touched (item_id, bank_id, sequence, changed_at_ms, added_at_ms, kind) ";
    rows(connection, insert, touched, |mut row, touched| {
        row.push_bind(integer(touched.item.0))
            .push_bind(touched.bank.0)
            .push_bind(integer(touched.sequence.0))
            .push_bind(integer(touched.at.0))
            .push_bind(touched.touch.added_at().map(|at| integer(at.0)))
            .push_bind(touched.touch.kind());
    })
    .await
}

/// Deletes rows of a deleted bank; returns the number of deleted rows.
pub(super) async fn sweep(
    connection: &mut SqliteConnection,
    bank: u32,
    rows_max: u32,
) -> Result<u64, StoreError> {
    let delete = "DELETE FROM touched WHERE item_id IN \
                  (SELECT item_id FROM touched WHERE bank_id = ? ORDER BY sequence LIMIT ?)";
    let swept = sqlx::query(delete).bind(bank).bind(rows_max).execute(connection).await;
    Ok(swept.map_err(failed("sweep changes of items"))?.rows_affected())
}
