//! The statements that change rows. Each runs inside a transaction that the caller begins and ends.

use sqlx::sqlite::SqliteConnection;
use vigie_log::{Sequence, StoredChange, UnixMillis};
use vigie_model::Partition;

use super::rows::{json, rows, rows_then};
use super::{documents, exchanges, published, purges, touched};
use crate::store::error::{StoreError, failed};
use crate::store::records::{Batch, DirectoryRows, Rows, StoredEntry, StoredItem};
use crate::store::sql::read::{self, integer};
use crate::store::sql::rechain::RechainedBatch;

/// Writes every row of the batch; returns `false` if the head is not the one that the batch expects.
pub(super) async fn batch(connection: &mut SqliteConnection, batch: &Batch) -> Result<bool, StoreError> {
    if !move_head(connection, batch).await? {
        return Ok(false);
    }
    add_changes(connection, &batch.changes).await?;
    let state = &batch.rows;
    let items = "INSERT INTO items (id, partition, bank_id, hash_count, payload) ";
    rows(connection, items, &state.items_added, |mut row, item| {
        row.push_bind(integer(item.placement.item.0))
            .push_bind(Partition::of(item.placement.item).get())
            .push_bind(item.placement.bank.0)
            .push_bind(integer(item.placement.digest.hashes))
            .push_bind(item.payload.clone());
    })
    .await?;
    for StoredItem { placement, payload } in &state.items_relabelled {
        let update = sqlx::query("UPDATE items SET payload = ? WHERE id = ?");
        let update = update.bind(payload.clone()).bind(integer(placement.item.0));
        update.execute(&mut *connection).await.map_err(failed("relabel items"))?;
    }
    let records =
        "INSERT OR REPLACE INTO item_records (item_id, content_key, payload, hold_ends_ms, has_standing) ";
    rows(connection, records, &state.records_set, |mut row, set| {
        row.push_bind(integer(set.item.0))
            .push_bind(integer(set.record.content.key()))
            .push_bind(set.payload())
            .push_bind(set.hold_ends().map(integer))
            .push_bind(set.has_standing().then_some(1));
    })
    .await?;
    touched::set(connection, &state.touched).await?;
    exchanges::set(connection, &state.exchanges).await?;
    documents::set(connection, &state.documents).await?;
    published::set(connection, &state.lists).await?;
    set_undos(connection, state).await?;
    if !state.items_removed.is_empty() {
        let removed = json(state.items_removed.iter().map(|item| item.0));
        for statement in [
            "DELETE FROM items WHERE id IN (SELECT value FROM json_each(?))",
            "DELETE FROM item_records WHERE item_id IN (SELECT value FROM json_each(?))",
        ] {
            let query = sqlx::query(statement).bind(removed.clone());
            query.execute(&mut *connection).await.map_err(failed("remove items"))?;
        }
    }
    set_banks(connection, state).await?;
    add_digests(connection, state).await?;
    set_directory(connection, &state.directory).await?;
    add_entries(connection, &state.audit).await?;
    purges::add(connection, &state.purges).await?;
    let recorded = "INSERT OR REPLACE INTO idempotency (key, request_digest, response, created_at_ms) ";
    rows(connection, recorded, &batch.recorded, |mut row, record| {
        row.push_bind(record.key.clone())
            .push_bind(record.digest.to_vec())
            .push_bind(record.answer.clone())
            .push_bind(integer(record.created_at.0));
    })
    .await?;
    Ok(true)
}

/// Inserts rows of the log.
pub(super) async fn add_changes(
    connection: &mut SqliteConnection,
    changes: &[StoredChange],
) -> Result<(), StoreError> {
    let insert = "INSERT INTO changes (sequence, partition, digest, payload) ";
    rows(connection, insert, changes, |mut row, change| {
        row.push_bind(integer(change.sequence.0))
            .push_bind(change.partition)
            .push_bind(change.digest.0.to_vec())
            .push_bind(change.bytes.clone());
    })
    .await
}

/// Inserts batches that have both chains.
pub(super) async fn add_rechained(
    connection: &mut SqliteConnection,
    batches: &[RechainedBatch],
) -> Result<(), StoreError> {
    let insert = "INSERT INTO batches (last_sequence, chain, committed_at_ms, former_chain) ";
    rows(connection, insert, batches, |mut row, batch| {
        row.push_bind(integer(batch.last.0))
            .push_bind(batch.chain.0.to_vec())
            .push_bind(integer(batch.committed_at_ms))
            .push_bind(batch.former.0.to_vec());
    })
    .await
}

/// Removes the bytes of a change; returns whether it had any.
pub(super) async fn purge(connection: &mut SqliteConnection, sequence: Sequence) -> Result<bool, StoreError> {
    let purge = "UPDATE changes SET payload = NULL WHERE sequence = ? AND payload IS NOT NULL";
    let purged = sqlx::query(purge).bind(integer(sequence.0)).execute(connection).await;
    Ok(purged.map_err(failed("purge a change"))?.rows_affected() == 1)
}

/// Moves the head by compare-and-swap, which lets two writers share a store.
async fn move_head(connection: &mut SqliteConnection, batch: &Batch) -> Result<bool, StoreError> {
    let (from, to, counts) = (&batch.expected, &batch.head, &batch.rows.counts);
    let moved = sqlx::query(
        "UPDATE head SET sequence = ?, chain = ?, next_bank_id = ?, bank_count = ?, item_count = ?, \
         hash_count = ?, audit_count = ? WHERE id = 1 AND sequence = ? AND chain = ? AND audit_count = ?",
    )
    .bind(integer(to.sequence.0))
    .bind(to.chain.0.to_vec())
    .bind(counts.next_bank)
    .bind(integer(counts.banks))
    .bind(integer(counts.items))
    .bind(integer(counts.hashes))
    .bind(integer(counts.audited))
    .bind(integer(from.sequence.0))
    .bind(from.chain.0.to_vec())
    .bind(integer(batch.rows.audited_before()))
    .execute(&mut *connection)
    .await
    .map_err(failed("move the head"))?;
    if moved.rows_affected() != 1 {
        return Ok(false);
    }
    if batch.changes.is_empty() {
        return Ok(true);
    }
    sqlx::query("INSERT INTO batches (last_sequence, chain, committed_at_ms) VALUES (?, ?, ?)")
        .bind(integer(to.sequence.0))
        .bind(to.chain.0.to_vec())
        .bind(integer(batch.committed_at.0))
        .execute(&mut *connection)
        .await
        .map_err(failed("record the batch"))?;
    Ok(true)
}

/// Replaces the rows of changed banks. All old rows are deleted before any new row is inserted, because two
/// banks may have swapped names.
async fn set_banks(connection: &mut SqliteConnection, state: &Rows) -> Result<(), StoreError> {
    let set = state.banks_set.iter().map(|bank| bank.id);
    let touched = json(set.chain(state.banks_deleted.iter().copied()).map(|bank| bank.0));
    sqlx::query("DELETE FROM banks WHERE id IN (SELECT value FROM json_each(?))")
        .bind(touched)
        .execute(&mut *connection)
        .await
        .map_err(failed("replace banks"))?;
    let banks = "INSERT INTO banks (id, owner_id, name, enabled, created_at_ms, item_count, hash_count, match_ratio) ";
    rows(connection, banks, &state.banks_set, |mut row, bank| {
        row.push_bind(bank.id.0)
            .push_bind(bank.owner.0)
            .push_bind(bank.name.to_string())
            .push_bind(bank.enabled)
            .push_bind(integer(bank.created_at.0))
            .push_bind(integer(bank.item_count))
            .push_bind(integer(bank.hash_count))
            .push_bind(bank.match_ratio.get());
    })
    .await?;
    rows(connection, "INSERT INTO sweeps (bank_id) ", &state.banks_deleted, |mut row, bank| {
        row.push_bind(bank.0);
    })
    .await
}

/// Records removed items that can be restored, with the bytes of their rows, which still exist; deletes the
/// rows of restored items.
async fn set_undos(connection: &mut SqliteConnection, state: &Rows) -> Result<(), StoreError> {
    let insert = "INSERT INTO undos (item_id, bank_id, member_id, removed_at_ms, until_ms, record, payload) ";
    rows(connection, insert, &state.undos, |mut row, undo| {
        row.push_bind(integer(undo.item.0))
            .push_bind(undo.bank.0)
            .push_bind(undo.member.0)
            .push_bind(integer(undo.removed_at.0))
            .push_bind(integer(undo.until.0))
            .push_bind(undo.payload())
            .push("(SELECT payload FROM items WHERE id = ")
            .push_bind_unseparated(integer(undo.item.0))
            .push_unseparated(")");
    })
    .await?;
    if state.undone.is_empty() {
        return Ok(());
    }
    let delete = sqlx::query("DELETE FROM undos WHERE item_id IN (SELECT value FROM json_each(?))");
    let delete = delete.bind(json(state.undone.iter().map(|item| item.0)));
    delete.execute(connection).await.map(drop).map_err(failed("forget removed items"))
}

/// Appends entries to the audit, and their hashes to its tree.
async fn add_entries(connection: &mut SqliteConnection, entries: &[StoredEntry]) -> Result<(), StoreError> {
    let insert = "INSERT INTO audit_entries (entry_index, member_id, payload) ";
    rows(connection, insert, entries, |mut row, entry| {
        row.push_bind(integer(entry.index)).push_bind(entry.member).push_bind(entry.payload.clone());
    })
    .await?;
    let hashes: Vec<_> = entries.iter().flat_map(StoredEntry::hashes).collect();
    rows(connection, "INSERT INTO audit_hashes (position, hash) ", &hashes, |mut row, (position, hash)| {
        row.push_bind(integer(position.0)).push_bind(hash.0.to_vec());
    })
    .await
}

/// Replaces rows of the directory, and deletes those that are gone.
async fn set_directory(connection: &mut SqliteConnection, state: &DirectoryRows) -> Result<(), StoreError> {
    for key in &state.gone {
        sqlx::query("DELETE FROM directory WHERE kind = ? AND first_id = ? AND second_id = ?")
            .bind(key.kind)
            .bind(integer(key.first))
            .bind(integer(key.second))
            .execute(&mut *connection)
            .await
            .map_err(failed("take out rows of the directory"))?;
    }
    let insert = "INSERT OR REPLACE INTO directory (kind, first_id, second_id, payload) ";
    rows(connection, insert, &state.set, |mut row, set| {
        row.push_bind(set.key.kind)
            .push_bind(integer(set.key.first))
            .push_bind(integer(set.key.second))
            .push_bind(set.payload());
    })
    .await
}

/// Adds to the digests of existing banks, and deletes those of deleted banks.
async fn add_digests(connection: &mut SqliteConnection, state: &Rows) -> Result<(), StoreError> {
    if !state.banks_deleted.is_empty() {
        sqlx::query("DELETE FROM digests WHERE bank_id IN (SELECT value FROM json_each(?))")
            .bind(json(state.banks_deleted.iter().map(|bank| bank.0)))
            .execute(&mut *connection)
            .await
            .map_err(failed("forget digests"))?;
    }
    let insert = "INSERT INTO digests (bank_id, partition, hash_count, sum_0, sum_1, sum_2, sum_3) ";
    let add = " ON CONFLICT (bank_id, partition) DO UPDATE SET hash_count = hash_count + excluded.hash_count, \
               sum_0 = sum_0 + excluded.sum_0, sum_1 = sum_1 + excluded.sum_1, \
               sum_2 = sum_2 + excluded.sum_2, sum_3 = sum_3 + excluded.sum_3";
    rows_then(connection, insert, add, &state.digests, |mut row, part| {
        row.push_bind(part.bank.0).push_bind(part.partition).push_bind(difference(part.digest.hashes));
        for sum in part.digest.sums {
            row.push_bind(difference(sum));
        }
    })
    .await
}

/// Converts a difference of wrapping numbers to a signed number.
const fn difference(value: u64) -> i64 {
    value.cast_signed()
}

/// Deletes items of the first deleted bank that has any left, and then records of removed exchanges; returns
/// `false` when nothing is left to sweep.
pub(super) async fn sweep_items(
    connection: &mut SqliteConnection,
    rows_max: u32,
) -> Result<bool, StoreError> {
    let bank: Option<u32> = sqlx::query_scalar("SELECT bank_id FROM sweeps ORDER BY bank_id LIMIT 1")
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed("find a deleted bank"))?;
    let Some(bank) = bank else { return exchanges::sweep(connection, rows_max).await };
    purges::add_swept(connection, bank, rows_max).await?;
    sqlx::query(
        "DELETE FROM item_records WHERE item_id IN (SELECT id FROM items WHERE bank_id = ? ORDER BY id LIMIT ?)",
    )
    .bind(bank)
    .bind(rows_max)
    .execute(&mut *connection)
    .await
    .map_err(failed("sweep records of items"))?;
    let swept = sqlx::query(
        "DELETE FROM items WHERE id IN (SELECT id FROM items WHERE bank_id = ? ORDER BY id LIMIT ?)",
    )
    .bind(bank)
    .bind(rows_max)
    .execute(&mut *connection)
    .await
    .map_err(failed("sweep items"))?;
    let swept = swept.rows_affected().max(touched::sweep(connection, bank, rows_max).await?);
    let swept = swept.max(published::sweep(connection, bank, rows_max).await?);
    if swept < u64::from(rows_max) {
        sqlx::query("DELETE FROM sweeps WHERE bank_id = ?")
            .bind(bank)
            .execute(&mut *connection)
            .await
            .map_err(failed("end a sweep"))?;
        purges::end_bank(connection, bank).await?;
    }
    Ok(true)
}

/// Deletes old idempotency keys; returns `false` when none is left to delete.
pub(super) async fn sweep_keys(
    connection: &mut SqliteConnection,
    before: UnixMillis,
    rows_max: u32,
) -> Result<bool, StoreError> {
    let swept = sqlx::query(
        "DELETE FROM idempotency WHERE key IN \
         (SELECT key FROM idempotency WHERE created_at_ms < ? ORDER BY created_at_ms LIMIT ?)",
    )
    .bind(integer(before.0))
    .bind(rows_max)
    .execute(&mut *connection)
    .await
    .map_err(failed("forget keys"))?;
    Ok(swept.rows_affected() == u64::from(rows_max))
}

/// Deletes the oldest changes; returns `false` when none is left to delete.
pub(super) async fn cut(
    connection: &mut SqliteConnection,
    through: Sequence,
    rows_max: u32,
) -> Result<bool, StoreError> {
    let floor = read::head_row(connection).await?.head.floor;
    // The last batch within the bounds; otherwise the next one, which may be larger than a step.
    let end: Option<i64> = sqlx::query_scalar(
        "SELECT coalesce( \
         (SELECT max(last_sequence) FROM batches WHERE last_sequence > ?1 AND last_sequence <= min(?2, ?1 + ?3)), \
         (SELECT min(last_sequence) FROM batches WHERE last_sequence > ?1 AND last_sequence <= ?2))",
    )
    .bind(integer(floor.0))
    .bind(integer(through.0))
    .bind(rows_max)
    .fetch_one(&mut *connection)
    .await
    .map_err(failed("find the log's oldest batches"))?;
    let Some(end) = end else { return Ok(false) };
    let statements = [
        "UPDATE head SET floor = ? WHERE id = 1",
        "DELETE FROM changes WHERE sequence <= ?",
        // The batch that ends at the floor is kept: the chain continues from it.
        "DELETE FROM batches WHERE last_sequence < ?",
    ];
    for statement in statements {
        let cut = sqlx::query(statement).bind(end).execute(&mut *connection).await;
        cut.map_err(failed("cut the log"))?;
    }
    Ok(true)
}
