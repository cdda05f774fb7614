//! The statements that change rows. Each runs inside a transaction that the caller begins and ends.

use sqlx::postgres::PgConnection;
use vigie_log::{Recorded, Sequence, StoredChange, UnixMillis};
use vigie_model::{Bank, Partition};

use super::{documents, exchanges, published, purges, touched};
use crate::plan::digests::PartDigest;
use crate::store::error::{StoreError, failed};
use crate::store::records::{Batch, DirectoryRows, Rows, StoredEntry, StoredItem, StoredRecord, Undo};
use crate::store::sql::read::integer;
use crate::store::sql::rechain::RechainedBatch;

/// Writes every row of the batch; returns `false` if the head is not the one that the batch expects.
pub(super) async fn batch(connection: &mut PgConnection, batch: &Batch) -> Result<bool, StoreError> {
    // This is first: from here to the end of the transaction nobody else numbers changes.
    if !move_head(connection, batch).await? {
        return Ok(false);
    }
    add_changes(connection, &batch.changes).await?;
    let state = &batch.rows;
    if !state.items_added.is_empty() {
        add_items(connection, &state.items_added).await?;
    }
    if !state.items_relabelled.is_empty() {
        relabel_items(connection, &state.items_relabelled).await?;
    }
    if !state.records_set.is_empty() {
        set_records(connection, &state.records_set).await?;
    }
    touched::set(connection, &state.touched).await?;
    exchanges::set(connection, &state.exchanges).await?;
    documents::set(connection, &state.documents).await?;
    if !published::set(connection, &state.lists).await? {
        return Ok(false);
    }
    set_undos(connection, state).await?;
    if !state.items_removed.is_empty() {
        let removed: Vec<_> = state.items_removed.iter().map(|item| integer(item.0)).collect();
        for statement in
            ["DELETE FROM items WHERE id = ANY($1)", "DELETE FROM item_records WHERE item_id = ANY($1)"]
        {
            let query = sqlx::query(statement).bind(removed.clone());
            query.execute(&mut *connection).await.map_err(failed("remove items"))?;
        }
    }
    set_banks(connection, state).await?;
    if !state.digests.is_empty() {
        add_digests(connection, &state.digests).await?;
    }
    set_directory(connection, &state.directory).await?;
    if !state.audit.is_empty() {
        add_entries(connection, &state.audit).await?;
    }
    purges::add(connection, &state.purges).await?;
    if !batch.recorded.is_empty() {
        record(connection, &batch.recorded).await?;
    }
    Ok(true)
}

/// Moves the head by compare-and-swap, which lets two writers share a store. It waits for an earlier writer,
/// and then sees the head as that writer left it.
async fn move_head(connection: &mut PgConnection, batch: &Batch) -> Result<bool, StoreError> {
    let (from, to, counts) = (&batch.expected, &batch.head, &batch.rows.counts);
    let moved: i64 = sqlx::query_scalar(
        "WITH moved AS (UPDATE head SET sequence = $1, chain = $2, next_bank_id = $3, bank_count = $4, \
         item_count = $5, hash_count = $6, audit_count = $10 \
         WHERE id = 1 AND sequence = $7 AND chain = $8 AND audit_count = $11 RETURNING 1), \
         ended AS (INSERT INTO batches (last_sequence, chain, committed_at_ms) \
         SELECT $1, $2, $9 FROM moved WHERE $12) SELECT count(*) FROM moved",
    )
    .bind(integer(to.sequence.0))
    .bind(to.chain.0)
    .bind(i64::from(counts.next_bank))
    .bind(integer(counts.banks))
    .bind(integer(counts.items))
    .bind(integer(counts.hashes))
    .bind(integer(from.sequence.0))
    .bind(from.chain.0)
    .bind(integer(batch.committed_at.0))
    .bind(integer(counts.audited))
    .bind(integer(batch.rows.audited_before()))
    .bind(!batch.changes.is_empty())
    .fetch_one(&mut *connection)
    .await
    .map_err(failed("move the head"))?;
    Ok(moved == 1)
}

/// Inserts rows of the log.
pub(super) async fn add_changes(
    connection: &mut PgConnection,
    changes: &[StoredChange],
) -> Result<(), StoreError> {
    let sequences: Vec<_> = changes.iter().map(|change| integer(change.sequence.0)).collect();
    let partitions: Vec<_> = changes.iter().map(|change| change.partition.map(i64::from)).collect();
    let digests: Vec<&[u8]> = changes.iter().map(|change| &change.digest.0[..]).collect();
    let payloads: Vec<Option<&[u8]>> = changes.iter().map(|change| change.bytes.as_deref()).collect();
    sqlx::query(
        "INSERT INTO changes (sequence, partition, digest, payload) \
         SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BYTEA[], $4::BYTEA[])",
    )
    .bind(sequences)
    .bind(partitions)
    .bind(digests)
    .bind(payloads)
    .execute(connection)
    .await
    .map(drop)
    .map_err(failed("insert changes"))
}

/// Inserts batches that have both chains.
pub(super) async fn add_rechained(
    connection: &mut PgConnection,
    batches: &[RechainedBatch],
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO batches (last_sequence, chain, committed_at_ms, former_chain) \
         SELECT * FROM UNNEST($1::BIGINT[], $2::BYTEA[], $3::BIGINT[], $4::BYTEA[])",
    )
    .bind(batches.iter().map(|batch| integer(batch.last.0)).collect::<Vec<_>>())
    .bind(batches.iter().map(|batch| &batch.chain.0[..]).collect::<Vec<_>>())
    .bind(batches.iter().map(|batch| integer(batch.committed_at_ms)).collect::<Vec<_>>())
    .bind(batches.iter().map(|batch| &batch.former.0[..]).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
    .map_err(failed("insert batches"))
}

/// Inserts records of items, or replaces them. Each item is named once.
async fn set_records(connection: &mut PgConnection, records: &[StoredRecord]) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO item_records (item_id, content_key, payload, hold_ends_ms, has_standing) \
         SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BYTEA[], $4::BIGINT[], $5::SMALLINT[]) \
         ON CONFLICT (item_id) DO UPDATE SET content_key = excluded.content_key, payload = excluded.payload, \
         hold_ends_ms = excluded.hold_ends_ms, has_standing = excluded.has_standing",
    )
    .bind(records.iter().map(|set| integer(set.item.0)).collect::<Vec<_>>())
    .bind(records.iter().map(|set| integer(set.record.content.key())).collect::<Vec<_>>())
    .bind(records.iter().map(StoredRecord::payload).collect::<Vec<_>>())
    .bind(records.iter().map(|set| set.hold_ends().map(integer)).collect::<Vec<_>>())
    .bind(records.iter().map(|set| set.has_standing().then_some(1_i16)).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
    .map_err(failed("set records of items"))
}

/// Records removed items that can be restored, with the bytes of their rows, which still exist; deletes the
/// rows of restored items.
async fn set_undos(connection: &mut PgConnection, state: &Rows) -> Result<(), StoreError> {
    if !state.undos.is_empty() {
        let column =
            |value: fn(&Undo) -> u64| state.undos.iter().map(|undo| integer(value(undo))).collect::<Vec<_>>();
        sqlx::query(
            "INSERT INTO undos (item_id, bank_id, member_id, removed_at_ms, until_ms, record, payload) \
             SELECT removed.*, items.payload \
             FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BYTEA[]) \
             AS removed (item_id, bank_id, member_id, removed_at_ms, until_ms, record) \
             LEFT JOIN items ON items.id = removed.item_id",
        )
        .bind(column(|undo| undo.item.0))
        .bind(column(|undo| undo.bank.0.into()))
        .bind(column(|undo| undo.member.0.into()))
        .bind(column(|undo| undo.removed_at.0))
        .bind(column(|undo| undo.until.0))
        .bind(state.undos.iter().map(Undo::payload).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await
        .map_err(failed("record removed items"))?;
    }
    if state.undone.is_empty() {
        return Ok(());
    }
    let undone: Vec<_> = state.undone.iter().map(|item| integer(item.0)).collect();
    let delete = sqlx::query("DELETE FROM undos WHERE item_id = ANY($1)").bind(undone);
    delete.execute(connection).await.map(drop).map_err(failed("forget removed items"))
}

/// Appends entries to the audit, and their hashes to its tree.
async fn add_entries(connection: &mut PgConnection, entries: &[StoredEntry]) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit_entries (entry_index, member_id, payload) \
         SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BYTEA[])",
    )
    .bind(entries.iter().map(|entry| integer(entry.index)).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| i64::from(entry.member)).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| &entry.payload[..]).collect::<Vec<_>>())
    .execute(&mut *connection)
    .await
    .map_err(failed("insert entries of the audit"))?;
    let (positions, hashes): (Vec<_>, Vec<_>) = entries
        .iter()
        .flat_map(StoredEntry::hashes)
        .map(|(at, hash)| (integer(at.0), hash.0.to_vec()))
        .unzip();
    sqlx::query("INSERT INTO audit_hashes (position, hash) SELECT * FROM UNNEST($1::BIGINT[], $2::BYTEA[])")
        .bind(positions)
        .bind(hashes)
        .execute(connection)
        .await
        .map(drop)
        .map_err(failed("insert hashes of the audit"))
}

/// Removes the bytes of a change; returns whether it had any.
pub(super) async fn purge(connection: &mut PgConnection, sequence: Sequence) -> Result<bool, StoreError> {
    let purge = "UPDATE changes SET payload = NULL WHERE sequence = $1 AND payload IS NOT NULL";
    let purged = sqlx::query(purge).bind(integer(sequence.0)).execute(connection).await;
    Ok(purged.map_err(failed("purge a change"))?.rows_affected() == 1)
}

async fn add_items(connection: &mut PgConnection, items: &[StoredItem]) -> Result<(), StoreError> {
    let column = |value: fn(&StoredItem) -> i64| items.iter().map(value).collect::<Vec<_>>();
    let payloads: Vec<&[u8]> = items.iter().map(|item| &item.payload[..]).collect();
    sqlx::query(
        "INSERT INTO items (id, partition, bank_id, hash_count, payload) \
         SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BYTEA[])",
    )
    .bind(column(|item| integer(item.placement.item.0)))
    .bind(column(|item| Partition::of(item.placement.item).get().into()))
    .bind(column(|item| item.placement.bank.0.into()))
    .bind(column(|item| integer(item.placement.digest.hashes)))
    .bind(payloads)
    .execute(connection)
    .await
    .map(drop)
    .map_err(failed("insert items"))
}

/// Replaces the payloads of existing items.
async fn relabel_items(connection: &mut PgConnection, items: &[StoredItem]) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE items SET payload = relabelled.payload \
         FROM UNNEST($1::BIGINT[], $2::BYTEA[]) AS relabelled (id, payload) WHERE items.id = relabelled.id",
    )
    .bind(items.iter().map(|item| integer(item.placement.item.0)).collect::<Vec<_>>())
    .bind(items.iter().map(|item| &item.payload[..]).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
    .map_err(failed("relabel items"))
}

/// Replaces the rows of changed banks. If one of them may have taken another's name, all old rows are deleted
/// before any new row is inserted.
async fn set_banks(connection: &mut PgConnection, state: &Rows) -> Result<(), StoreError> {
    let (set, deleted) = (&state.banks_set, &state.banks_deleted);
    let touched: Vec<i64> =
        set.iter().map(|bank| bank.id).chain(deleted.iter().copied()).map(|id| id.0.into()).collect();
    sqlx::query("DELETE FROM banks WHERE id = ANY($1)")
        .bind(touched)
        .execute(&mut *connection)
        .await
        .map_err(failed("replace banks"))?;
    if !set.is_empty() {
        let column = |value: fn(&Bank) -> i64| set.iter().map(value).collect::<Vec<_>>();
        sqlx::query(
            "INSERT INTO banks (id, owner_id, name, enabled, created_at_ms, item_count, hash_count, match_ratio) \
             SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::TEXT[], $4::BOOLEAN[], $5::BIGINT[], \
             $6::BIGINT[], $7::BIGINT[], $8::DOUBLE PRECISION[])",
        )
        .bind(column(|bank| bank.id.0.into()))
        .bind(column(|bank| bank.owner.0.into()))
        .bind(set.iter().map(|bank| bank.name.as_str()).collect::<Vec<_>>())
        .bind(set.iter().map(|bank| bank.enabled).collect::<Vec<_>>())
        .bind(column(|bank| integer(bank.created_at.0)))
        .bind(column(|bank| integer(bank.item_count)))
        .bind(column(|bank| integer(bank.hash_count)))
        .bind(set.iter().map(|bank| bank.match_ratio.get()).collect::<Vec<_>>())
        .execute(&mut *connection)
        .await
        .map_err(failed("insert banks"))?;
    }
    if deleted.is_empty() {
        return Ok(());
    }
    let deleted: Vec<i64> = deleted.iter().map(|bank| bank.0.into()).collect();
    for statement in [
        "INSERT INTO sweeps (bank_id) SELECT * FROM UNNEST($1::BIGINT[])",
        "DELETE FROM digests WHERE bank_id = ANY($1::BIGINT[])",
    ] {
        let done = sqlx::query(statement).bind(&deleted).execute(&mut *connection).await;
        done.map_err(failed("delete banks"))?;
    }
    Ok(())
}

/// Replaces rows of the directory, and deletes those that are gone.
async fn set_directory(connection: &mut PgConnection, state: &DirectoryRows) -> Result<(), StoreError> {
    for key in &state.gone {
        sqlx::query("DELETE FROM directory WHERE kind = $1 AND first_id = $2 AND second_id = $3")
            .bind(i64::from(key.kind))
            .bind(integer(key.first))
            .bind(integer(key.second))
            .execute(&mut *connection)
            .await
            .map_err(failed("take out rows of the directory"))?;
    }
    if state.set.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO directory (kind, first_id, second_id, payload) \
         SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BYTEA[]) \
         ON CONFLICT (kind, first_id, second_id) DO UPDATE SET payload = excluded.payload",
    )
    .bind(state.set.iter().map(|row| i64::from(row.key.kind)).collect::<Vec<_>>())
    .bind(state.set.iter().map(|row| integer(row.key.first)).collect::<Vec<_>>())
    .bind(state.set.iter().map(|row| integer(row.key.second)).collect::<Vec<_>>())
    .bind(state.set.iter().map(|row| row.payload()).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
    .map_err(failed("set rows of the directory"))
}

/// Adds to the digests of existing banks.
async fn add_digests(connection: &mut PgConnection, parts: &[PartDigest]) -> Result<(), StoreError> {
    let column = |value: &dyn Fn(&PartDigest) -> i64| parts.iter().map(value).collect::<Vec<_>>();
    let mut insert = sqlx::query(
        "INSERT INTO digests AS kept (bank_id, partition, hash_count, sum_0, sum_1, sum_2, sum_3) \
         SELECT * FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], \
         $6::BIGINT[], $7::BIGINT[]) \
         ON CONFLICT (bank_id, partition) DO UPDATE SET hash_count = kept.hash_count + excluded.hash_count, \
         sum_0 = kept.sum_0 + excluded.sum_0, sum_1 = kept.sum_1 + excluded.sum_1, \
         sum_2 = kept.sum_2 + excluded.sum_2, sum_3 = kept.sum_3 + excluded.sum_3",
    )
    .bind(column(&|part| part.bank.0.into()))
    .bind(column(&|part| part.partition.into()))
    // Differences of wrapping numbers, which may be negative.
    .bind(column(&|part| part.digest.hashes.cast_signed()));
    for index in 0..4 {
        insert = insert.bind(column(&|part| part.digest.sums[index].cast_signed()));
    }
    insert.execute(connection).await.map(drop).map_err(failed("add to the digests"))
}

async fn record(connection: &mut PgConnection, recorded: &[Recorded]) -> Result<(), StoreError> {
    let bytes = |value: fn(&Recorded) -> &[u8]| recorded.iter().map(value).collect::<Vec<_>>();
    sqlx::query(
        "INSERT INTO idempotency (key, request_digest, response, created_at_ms) \
         SELECT * FROM UNNEST($1::TEXT[], $2::BYTEA[], $3::BYTEA[], $4::BIGINT[]) \
         ON CONFLICT (key) DO UPDATE SET request_digest = excluded.request_digest, \
         response = excluded.response, created_at_ms = excluded.created_at_ms",
    )
    .bind(recorded.iter().map(|record| record.key.as_str()).collect::<Vec<_>>())
    .bind(bytes(|record| &record.digest))
    .bind(bytes(|record| &record.answer))
    .bind(recorded.iter().map(|record| integer(record.created_at.0)).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
    .map_err(failed("record answers"))
}

/// Deletes items of the first deleted bank that has any left, and then records of removed exchanges; returns
/// `false` when nothing is left to sweep.
pub(super) async fn sweep_items(connection: &mut PgConnection, rows_max: u32) -> Result<bool, StoreError> {
    let bank: Option<i64> = sqlx::query_scalar("SELECT bank_id FROM sweeps ORDER BY bank_id LIMIT 1")
        .fetch_optional(&mut *connection)
        .await
        .map_err(failed("find a deleted bank"))?;
    let Some(bank) = bank else { return exchanges::sweep(connection, rows_max).await };
    purges::add_swept(connection, bank, rows_max).await?;
    sqlx::query(
        "DELETE FROM item_records WHERE item_id = ANY(ARRAY(SELECT id FROM items WHERE bank_id = $1 ORDER BY id LIMIT $2))",
    )
    .bind(bank)
    .bind(i64::from(rows_max))
    .execute(&mut *connection)
    .await
    .map_err(failed("sweep records of items"))?;
    let swept = sqlx::query(
        "DELETE FROM items WHERE id = ANY(ARRAY(SELECT id FROM items WHERE bank_id = $1 ORDER BY id LIMIT $2))",
    )
    .bind(bank)
    .bind(i64::from(rows_max))
    .execute(&mut *connection)
    .await
    .map_err(failed("sweep items"))?;
    let swept = swept.rows_affected().max(touched::sweep(connection, bank, rows_max).await?);
    let swept = swept.max(published::sweep(connection, bank, rows_max).await?);
    if swept < u64::from(rows_max) {
        sqlx::query("DELETE FROM sweeps WHERE bank_id = $1")
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
    connection: &mut PgConnection,
    before: UnixMillis,
    rows_max: u32,
) -> Result<bool, StoreError> {
    let swept = sqlx::query(
        "DELETE FROM idempotency WHERE key = ANY(ARRAY( \
         SELECT key FROM idempotency WHERE created_at_ms < $1 ORDER BY created_at_ms LIMIT $2))",
    )
    .bind(integer(before.0))
    .bind(i64::from(rows_max))
    .execute(&mut *connection)
    .await
    .map_err(failed("forget keys"))?;
    Ok(swept.rows_affected() == u64::from(rows_max))
}

/// Deletes the oldest changes; returns `false` when none is left to delete.
pub(super) async fn cut(
    connection: &mut PgConnection,
    through: Sequence,
    rows_max: u32,
) -> Result<bool, StoreError> {
    let floor: i64 = sqlx::query_scalar("SELECT floor FROM head WHERE id = 1 FOR UPDATE")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed("lock the head"))?;
    // The last batch within the bounds; otherwise the next one, which may be larger than a step.
    let end: Option<i64> = sqlx::query_scalar(
        "SELECT coalesce( \
         (SELECT max(last_sequence) FROM batches WHERE last_sequence > $1 AND last_sequence <= least($2, $1 + $3)), \
         (SELECT min(last_sequence) FROM batches WHERE last_sequence > $1 AND last_sequence <= $2))",
    )
    .bind(floor)
    .bind(integer(through.0))
    .bind(i64::from(rows_max))
    .fetch_one(&mut *connection)
    .await
    .map_err(failed("find the log's oldest batches"))?;
    let Some(end) = end else { return Ok(false) };
    let statements = [
        "UPDATE head SET floor = $1 WHERE id = 1",
        "DELETE FROM changes WHERE sequence <= $1",
        // The batch that ends at the floor is kept: the chain continues from it.
        "DELETE FROM batches WHERE last_sequence < $1",
    ];
    for statement in statements {
        let cut = sqlx::query(statement).bind(end).execute(&mut *connection).await;
        cut.map_err(failed("cut the log"))?;
    }
    Ok(true)
}
