//! Purges on PostgreSQL: the rows that record what is due, and the rewriting of the tables.
//!
//! A deleted row stays in its page until `VACUUM`, which only marks its bytes as free: they stay in the file
//! until a new row overwrites them. `VACUUM FULL` writes a table again, and truncates its old files at its
//! end. It locks the table meanwhile, so the bank's writes wait for it, and reads wait at most the lock
//! timeout of a statement. Rows that an older transaction still sees are copied too; such a transaction must
//! end within a quarter of `purge_hours`.
//!
//! The server's own write-ahead log is not cleared: the server recycles it by its settings, and archives of
//! it are the operator's responsibility.

use sqlx::postgres::PgConnection;

use crate::plan::purge::{Purge, PurgeTimes, by_kind};
use crate::store::error::{StoreError, failed};
use crate::store::sql::purges::{Due, erase_at_ms, last_erasure};
use crate::store::sql::read::integer;

/// A rewrite has no time limit, but waits only briefly for its lock: later statements queue behind it.
const PATIENCE: &str = "SET statement_timeout = 0; SET lock_timeout = 5000";

/// The tables whose rows hold hashes, and the two statements for each: without and with a rewrite.
const TABLES: [(&str, &str, &str); 4] = [
    ("items", "VACUUM items", "VACUUM (FULL) items"),
    ("undos", "VACUUM undos", "VACUUM (FULL) undos"),
    ("changes", "VACUUM changes", "VACUUM (FULL) changes"),
    ("exchange_records", "VACUUM exchange_records", "VACUUM (FULL) exchange_records"),
];

/// Records removed items and banks.
pub(super) async fn add(connection: &mut PgConnection, purges: &[Purge]) -> Result<(), StoreError> {
    let (items, banks) = by_kind(purges);
    let column = |rows: &[(u64, PurgeTimes)], value: fn(&(u64, PurgeTimes)) -> u64| {
        rows.iter().map(|row| integer(value(row))).collect::<Vec<_>>()
    };
    for (statement, rows) in [
        (
            "INSERT INTO purges (item_id, purge_at_ms, erase_at_ms) \
             SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[])",
            items,
        ),
        (
            "INSERT INTO bank_purges (bank_id, purge_at_ms, erase_at_ms) \
             SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[])",
            banks,
        ),
    ] {
        if rows.is_empty() {
            continue;
        }
        let insert = sqlx::query(statement)
            .bind(column(&rows, |row| row.0))
            .bind(column(&rows, |row| row.1.purge_at.0))
            .bind(column(&rows, |row| row.1.erase_at.0));
        insert.execute(&mut *connection).await.map_err(failed("record purges"))?;
    }
    Ok(())
}

/// Records the items of a deleted bank that the next step of the sweep removes.
pub(super) async fn add_swept(
    connection: &mut PgConnection,
    bank: i64,
    rows_max: u32,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO purges (item_id, purge_at_ms, erase_at_ms) \
                  SELECT id, purge_at_ms, erase_at_ms FROM items JOIN bank_purges USING (bank_id) \
                  WHERE bank_id = $1 ORDER BY id LIMIT $2";
    let insert = sqlx::query(insert).bind(bank).bind(i64::from(rows_max)).execute(connection).await;
    insert.map(drop).map_err(failed("record purges"))
}

/// Deletes the purge times of a bank that has been swept.
pub(super) async fn end_bank(connection: &mut PgConnection, bank: i64) -> Result<(), StoreError> {
    let delete = sqlx::query("DELETE FROM bank_purges WHERE bank_id = $1").bind(bank);
    delete.execute(connection).await.map(drop).map_err(failed("end a sweep"))
}

/// Removes due bytes from the log, and the rows that keep the bytes of removed items, in a transaction.
pub(super) async fn purge_items(connection: &mut PgConnection, due: &[Due]) -> Result<(), StoreError> {
    let list: Vec<i64> = due.iter().map(|one| integer(one.item)).collect();
    for statement in [
        "UPDATE changes SET payload = NULL WHERE sequence = ANY($1) AND payload IS NOT NULL",
        "DELETE FROM purges WHERE item_id = ANY($1)",
        "DELETE FROM undos WHERE item_id = ANY($1)",
    ] {
        let done = sqlx::query(statement).bind(&list).execute(&mut *connection).await;
        done.map_err(failed("purge changes"))?;
    }
    let record = "INSERT INTO erasures (erase_at_ms) VALUES ($1) ON CONFLICT DO NOTHING";
    let record = sqlx::query(record).bind(integer(erase_at_ms(due))).execute(&mut *connection).await;
    record.map(drop).map_err(failed("record an erasure"))
}

/// Clears the free space of the tables, on a connection that is not used for anything else.
pub(super) async fn erase(connection: &mut PgConnection, rewrite: bool) -> Result<(), StoreError> {
    let patient = sqlx::raw_sql(PATIENCE).execute(&mut *connection).await;
    patient.map_err(failed("prepare to rewrite tables"))?;
    let last = last_erasure(connection).await?;
    for (table, vacuum, vacuum_full) in TABLES {
        let before = file_of(connection, table).await?;
        let statement = if rewrite { vacuum_full } else { vacuum };
        let done = sqlx::raw_sql(statement).execute(&mut *connection).await;
        done.map_err(failed("rewrite a table"))?;
        // A role that does not own the table gets a warning instead of an error.
        if rewrite && file_of(connection, table).await? == before {
            let refused = format!("the bank's role may not rewrite the table {table}");
            return Err(failed("rewrite a table")(sqlx::Error::Protocol(refused)));
        }
    }
    let done = sqlx::query("DELETE FROM erasures WHERE erase_at_ms <= $1").bind(integer(last));
    done.execute(connection).await.map(drop).map_err(failed("end an erasure"))
}

/// Returns the number of a table's file.
async fn file_of(connection: &mut PgConnection, table: &str) -> Result<i64, StoreError> {
    let file = sqlx::query_scalar("SELECT pg_relation_filenode($1::regclass)::BIGINT").bind(table);
    file.fetch_one(connection).await.map_err(failed("look at a table's file"))
}
