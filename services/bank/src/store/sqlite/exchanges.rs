//! Exchanges and the records of programmes on SQLite.

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;
use vigie_consortium::{ContentDigest, ExchangeId};

use super::SqliteStore;
use super::rows::{json, rows};
use crate::store::ReadExchanges;
use crate::store::error::{StoreError, failed};
use crate::store::exchanges::{ExchangeRows, KeyDigest, MappedRecord, payload};
use crate::store::sql::exchanges;
use crate::store::sql::read::integer;

#[async_trait]
impl ReadExchanges for SqliteStore {
    async fn exchange_records(
        &self,
        exchange: ExchangeId,
        keys: &[KeyDigest],
    ) -> Result<Vec<MappedRecord>, StoreError> {
        exchanges::records(&mut self.writer().await?.connection, exchange, keys).await
    }

    async fn exchange_records_after(
        &self,
        exchange: ExchangeId,
        after: Option<KeyDigest>,
        limit: u16,
    ) -> Result<Vec<MappedRecord>, StoreError> {
        exchanges::records_after(&mut self.writer().await?.connection, exchange, after, limit).await
    }

    async fn exchange_records_of(
        &self,
        content: ContentDigest,
        limit: u16,
    ) -> Result<Vec<MappedRecord>, StoreError> {
        exchanges::records_of(&mut self.writer().await?.connection, content, limit).await
    }
}

/// Sets and deletes exchanges and records.
pub(super) async fn set(connection: &mut SqliteConnection, state: &ExchangeRows) -> Result<(), StoreError> {
    rows(connection, "INSERT OR REPLACE INTO exchanges (id, payload) ", &state.set, |mut row, exchange| {
        row.push_bind(integer(exchange.id.0)).push_bind(payload(exchange));
    })
    .await?;
    if !state.removed.is_empty() {
        let delete = sqlx::query("DELETE FROM exchanges WHERE id IN (SELECT value FROM json_each(?))");
        let delete = delete.bind(json(state.removed.iter().map(|id| id.0))).execute(&mut *connection);
        delete.await.map_err(failed("remove exchanges"))?;
        let sweeps = "INSERT OR IGNORE INTO exchange_sweeps (exchange_id) ";
        rows(connection, sweeps, &state.removed, |mut row, id| {
            row.push_bind(integer(id.0));
        })
        .await?;
    }
    for (exchange, key) in &state.records_removed {
        let delete = sqlx::query("DELETE FROM exchange_records WHERE exchange_id = ? AND key_digest = ?");
        let delete = delete.bind(integer(exchange.0)).bind(key.0.to_vec()).execute(&mut *connection);
        delete.await.map_err(failed("remove records of exchanges"))?;
    }
    let insert =
        "INSERT OR REPLACE INTO exchange_records (exchange_id, key_digest, content_key, item_id, payload) ";
    rows(connection, insert, &state.records_set, |mut row, set| {
        row.push_bind(integer(set.exchange.0))
            .push_bind(set.key_digest.0.to_vec())
            .push_bind(integer(set.content.key()))
            .push_bind(integer(set.item.0))
            .push_bind(set.payload());
    })
    .await
}

/// Deletes records of the first removed exchange that has any left; returns `false` when no exchange is left
/// to sweep.
pub(super) async fn sweep(connection: &mut SqliteConnection, rows_max: u32) -> Result<bool, StoreError> {
    let select = "SELECT exchange_id FROM exchange_sweeps ORDER BY exchange_id LIMIT 1";
    let exchange: Option<i64> = sqlx::query_scalar(select)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed("find a removed exchange"))?;
    let Some(exchange) = exchange else { return Ok(false) };
    let delete = "DELETE FROM exchange_records WHERE (exchange_id, key_digest) IN \
                  (SELECT exchange_id, key_digest FROM exchange_records WHERE exchange_id = ? LIMIT ?)";
    let swept = sqlx::query(delete).bind(exchange).bind(rows_max).execute(&mut *connection).await;
    if swept.map_err(failed("sweep records of exchanges"))?.rows_affected() < u64::from(rows_max) {
        let end = sqlx::query("DELETE FROM exchange_sweeps WHERE exchange_id = ?").bind(exchange);
        end.execute(connection).await.map_err(failed("end a sweep"))?;
    }
    Ok(true)
}
