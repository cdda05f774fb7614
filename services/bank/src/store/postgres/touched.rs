//! The latest changes of items on PostgreSQL.

use sqlx::postgres::PgConnection;

use crate::store::error::{StoreError, failed};
use crate::store::sql::read::integer;
use crate::store::touched::Touched;

/// Sets the latest changes of items. Each item is named once.
pub(super) async fn set(connection: &mut PgConnection, touched: &[Touched]) -> Result<(), StoreError> {
    if touched.is_empty() {
        return Ok(());
    }
    let column =
        |value: fn(&Touched) -> u64| touched.iter().map(|row| integer(value(row))).collect::<Vec<_>>();
    let added_at = touched.iter().map(|row| row.touch.added_at().map(|at| integer(at.0)));
    sqlx::query(
        "INSERT INTO touched (item_id, bank_id, sequence, changed_at_ms, added_at_ms, kind) \
         SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[]) \
         ON CONFLICT (item_id) DO UPDATE SET bank_id = excluded.bank_id, sequence = excluded.sequence, \
         changed_at_ms = excluded.changed_at_ms, added_at_ms = excluded.added_at_ms, kind = excluded.kind",
    )
    .bind(column(|row| row.item.0))
    .bind(column(|row| row.bank.0.into()))
    .bind(column(|row| row.sequence.0))
    .bind(column(|row| row.at.0))
    .bind(added_at.collect::<Vec<_>>())
    .bind(column(|row| row.touch.kind().into()))
    .execute(connection)
    .await
    .map(drop)
    .map_err(failed("set changes of items"))
}

/// Deletes rows of a deleted bank; returns the number of deleted rows.
pub(super) async fn sweep(
    connection: &mut PgConnection,
    bank: i64,
    rows_max: u32,
) -> Result<u64, StoreError> {
    let delete = "DELETE FROM touched WHERE item_id = ANY(ARRAY( \
                  SELECT item_id FROM touched WHERE bank_id = $1 ORDER BY sequence LIMIT $2))";
    let swept = sqlx::query(delete).bind(bank).bind(i64::from(rows_max)).execute(connection).await;
    Ok(swept.map_err(failed("sweep changes of items"))?.rows_affected())
}
