//! Exchanges and the records of programmes on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgConnection;
use vigie_consortium::{ContentDigest, ExchangeId};

use crate::store::error::{StoreError, failed};
use crate::store::exchanges::{ExchangeRows, MappedRecord, payload};
use crate::store::postgres::PostgresStore;
use crate::store::sql::exchanges as sql_exchanges;
use crate::store::sql::read::integer;
use crate::store::{KeyDigest, ReadExchanges};

/// Sets and deletes exchanges and records.
pub(super) async fn set(connection: &mut PgConnection, state: &ExchangeRows) -> Result<(), StoreError> {
    if !state.set.is_empty() {
        sqlx::query(
            "INSERT INTO exchanges (id, payload) SELECT * FROM UNNEST($1::BIGINT[], $2::BYTEA[]) \
             ON CONFLICT (id) DO UPDATE SET payload = excluded.payload",
        )
        .bind(state.set.iter().map(|exchange| integer(exchange.id.0)).collect::<Vec<_>>())
        .bind(state.set.iter().map(payload).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await
        .map_err(failed("set exchanges"))?;
    }
    if !state.removed.is_empty() {
        let removed: Vec<i64> = state.removed.iter().map(|id| integer(id.0)).collect();
        for statement in [
            "DELETE FROM exchanges WHERE id = ANY($1::BIGINT[])",
            "INSERT INTO exchange_sweeps (exchange_id) SELECT * FROM UNNEST($1::BIGINT[]) ON CONFLICT DO NOTHING",
        ] {
            let done = sqlx::query(statement).bind(&removed).execute(&mut *connection).await;
            done.map_err(failed("remove exchanges"))?;
        }
    }
    if !state.records_removed.is_empty() {
        let (exchanges, keys): (Vec<_>, Vec<_>) =
            state.records_removed.iter().map(|(id, key)| (integer(id.0), key.0.to_vec())).unzip();
        sqlx::query(
            "DELETE FROM exchange_records USING UNNEST($1::BIGINT[], $2::BYTEA[]) AS gone (exchange_id, key_digest) \
             WHERE exchange_records.exchange_id = gone.exchange_id AND exchange_records.key_digest = gone.key_digest",
        )
        .bind(exchanges)
        .bind(keys)
        .execute(&mut *connection)
        .await
        .map_err(failed("remove records of exchanges"))?;
    }
    if state.records_set.is_empty() {
        return Ok(());
    }
    let column = |value: fn(&MappedRecord) -> u64| {
        state.records_set.iter().map(|set| integer(value(set))).collect::<Vec<_>>()
    };
    sqlx::query(
        "INSERT INTO exchange_records (exchange_id, key_digest, content_key, item_id, payload) \
         SELECT * FROM UNNEST($1::BIGINT[], $2::BYTEA[], $3::BIGINT[], $4::BIGINT[], $5::BYTEA[]) \
         ON CONFLICT (exchange_id, key_digest) DO UPDATE SET content_key = excluded.content_key, \
         item_id = excluded.item_id, payload = excluded.payload",
    )
    .bind(column(|set| set.exchange.0))
    .bind(state.records_set.iter().map(|set| set.key_digest.0.to_vec()).collect::<Vec<_>>())
    .bind(column(|set| set.content.key()))
    .bind(column(|set| set.item.0))
    .bind(state.records_set.iter().map(MappedRecord::payload).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
    .map_err(failed("set records of exchanges"))
}

/// Deletes records of the first removed exchange that has any left; returns `false` when no exchange is left
/// to sweep.
pub(super) async fn sweep(connection: &mut PgConnection, rows_max: u32) -> Result<bool, StoreError> {
    let select = "SELECT exchange_id FROM exchange_sweeps ORDER BY exchange_id LIMIT 1";
    let exchange: Option<i64> = sqlx::query_scalar(select)
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed("find a removed exchange"))?;
    let Some(exchange) = exchange else { return Ok(false) };
    let delete = "DELETE FROM exchange_records WHERE (exchange_id, key_digest) IN \
                  (SELECT exchange_id, key_digest FROM exchange_records WHERE exchange_id = $1 LIMIT $2)";
    let swept = sqlx::query(delete).bind(exchange).bind(i64::from(rows_max)).execute(&mut *connection).await;
    if swept.map_err(failed("sweep records of exchanges"))?.rows_affected() < u64::from(rows_max) {
        let end = sqlx::query("DELETE FROM exchange_sweeps WHERE exchange_id = $1").bind(exchange);
        end.execute(connection).await.map_err(failed("end a sweep"))?;
    }
    Ok(true)
}

#[async_trait]
impl ReadExchanges for PostgresStore {
    async fn exchange_records(
        &self,
        exchange: ExchangeId,
        keys: &[KeyDigest],
    ) -> Result<Vec<MappedRecord>, StoreError> {
        let read =
            async |connection: &mut PgConnection| sql_exchanges::records(connection, exchange, keys).await;
        self.writer().await.read(read).await
    }

    async fn exchange_records_after(
        &self,
        exchange: ExchangeId,
        after: Option<KeyDigest>,
        limit: u16,
    ) -> Result<Vec<MappedRecord>, StoreError> {
        let read = async |connection: &mut PgConnection| {
            sql_exchanges::records_after(connection, exchange, after, limit).await
        };
        self.writer().await.read(read).await
    }

    async fn exchange_records_of(
        &self,
        content: ContentDigest,
        limit: u16,
    ) -> Result<Vec<MappedRecord>, StoreError> {
        let read =
            async |connection: &mut PgConnection| sql_exchanges::records_of(connection, content, limit).await;
        self.writer().await.read(read).await
    }
}
