//! Purges on SQLite: the rows that record what is due, and the rewriting of the file.
//!
//! With `secure_delete` SQLite overwrites a deleted row with zeros. That is not enough: when SQLite moves
//! rows between pages, it may leave copies of living rows behind, and nothing overwrites the copies when the
//! rows are deleted later. `VACUUM` writes every page again through the write-ahead log, which is then moved
//! to the file and truncated.

use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;
use vigie_log::UnixMillis;

use crate::plan::purge::{Purge, PurgeTimes, by_kind};
use crate::store::error::{StoreError, failed};
use crate::store::records::PurgedPage;
use crate::store::sql::purges::{due, erase_at_ms, last_erasure, page_of};
use crate::store::sql::read::{integer, number_list};

/// Records removed items and banks.
pub(super) async fn add(connection: &mut SqliteConnection, purges: &[Purge]) -> Result<(), StoreError> {
    let (items, banks) = by_kind(purges);
    for (statement, rows) in [
        ("INSERT INTO purges (item_id, purge_at_ms, erase_at_ms) VALUES (?, ?, ?)", items),
        ("INSERT INTO bank_purges (bank_id, purge_at_ms, erase_at_ms) VALUES (?, ?, ?)", banks),
    ] {
        for (id, PurgeTimes { purge_at, erase_at }) in rows {
            let insert =
                sqlx::query(statement).bind(integer(id)).bind(integer(purge_at.0)).bind(integer(erase_at.0));
            insert.execute(&mut *connection).await.map_err(failed("record a purge"))?;
        }
    }
    Ok(())
}

/// Records the items of a deleted bank that the next step of the sweep removes.
pub(super) async fn add_swept(
    connection: &mut SqliteConnection,
    bank: u32,
    rows_max: u32,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO purges (item_id, purge_at_ms, erase_at_ms) \
                  SELECT id, purge_at_ms, erase_at_ms FROM items JOIN bank_purges USING (bank_id) \
                  WHERE bank_id = ? ORDER BY id LIMIT ?";
    let insert = sqlx::query(insert).bind(bank).bind(rows_max).execute(connection).await;
    insert.map(drop).map_err(failed("record purges"))
}

/// Deletes the purge times of a bank that has been swept.
pub(super) async fn end_bank(connection: &mut SqliteConnection, bank: u32) -> Result<(), StoreError> {
    let delete = sqlx::query("DELETE FROM bank_purges WHERE bank_id = ?").bind(bank);
    delete.execute(connection).await.map(drop).map_err(failed("end a sweep"))
}

/// Removes due bytes from the log, and the rows that keep the bytes of removed items, in a transaction.
pub(super) async fn purge_due(
    connection: &mut SqliteConnection,
    now: UnixMillis,
    rows_max: u32,
) -> Result<PurgedPage, StoreError> {
    let due = due(connection, now, rows_max).await?;
    if due.is_empty() {
        return Ok(PurgedPage::default());
    }
    let list = number_list(due.iter().map(|one| one.item));
    for statement in [
        "UPDATE changes SET payload = NULL \
         WHERE sequence IN (SELECT value FROM json_each(?)) AND payload IS NOT NULL",
        "DELETE FROM purges WHERE item_id IN (SELECT value FROM json_each(?))",
        "DELETE FROM undos WHERE item_id IN (SELECT value FROM json_each(?))",
    ] {
        let done = sqlx::query(statement).bind(&list).execute(&mut *connection).await;
        done.map_err(failed("purge changes"))?;
    }
    let record = sqlx::query("INSERT OR IGNORE INTO erasures (erase_at_ms) VALUES (?)");
    let record = record.bind(integer(erase_at_ms(&due)));
    record.execute(&mut *connection).await.map_err(failed("record an erasure"))?;
    Ok(page_of(&due, rows_max))
}

/// Clears the free space of the file, outside any transaction.
pub(super) async fn erase(connection: &mut SqliteConnection, rewrite: bool) -> Result<(), StoreError> {
    let last = last_erasure(connection).await?;
    if rewrite {
        let rewritten = sqlx::query("VACUUM").execute(&mut *connection).await;
        rewritten.map_err(failed("rewrite the file"))?;
    }
    let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await;
    let is_busy: i64 =
        checkpoint.and_then(|row| row.try_get(0)).map_err(failed("move the write-ahead log"))?;
    if is_busy != 0 {
        // A reader still uses an older state of the file.
        return Err(failed("move the write-ahead log")(sqlx::Error::PoolTimedOut));
    }
    let done = sqlx::query("DELETE FROM erasures WHERE erase_at_ms <= ?").bind(integer(last));
    done.execute(connection).await.map(drop).map_err(failed("end an erasure"))
}
