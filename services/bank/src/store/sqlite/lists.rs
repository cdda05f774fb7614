//! The statements that read rows by lists of keys: SQLite has no arrays.

use futures::TryStreamExt as _;
use sqlx::QueryBuilder;
use sqlx::sqlite::SqliteConnection;
use vigie_log::Recorded;
use vigie_model::{Item, ItemId};

use super::rows::json;
use crate::store::error::failed;
use crate::store::sql::find::{Statements, statements};
use crate::store::sql::read::Read;
use crate::store::sql::records::{ByLists, undos_by_list};
use crate::store::sql::rows::{to_item, to_recorded};

/// The most keys of one statement.
const KEYS: usize = 64;

/// Reads banks by their ids.
pub(super) const BANKS: &str = "SELECT id, owner_id, name, enabled, created_at_ms, item_count, hash_count, match_ratio FROM banks \
                                WHERE id IN (SELECT value FROM json_each($1)) ORDER BY id";

/// Reads records of items.
pub(super) const RECORDS: ByLists = ByLists {
    items: "SELECT item_id, payload FROM item_records \
            WHERE item_id IN (SELECT value FROM json_each($1)) ORDER BY item_id",
    content: "SELECT item_id, payload FROM item_records \
              WHERE content_key IN (SELECT value FROM json_each($1)) ORDER BY item_id",
};

/// Reads removed items.
pub(super) const UNDOS: &str = undos_by_list!("undos.item_id IN (SELECT value FROM json_each($1))");

/// Reads hashes of the audit by their positions.
pub(super) const NODES: &str = "SELECT position, hash FROM audit_hashes \
                                WHERE position IN (SELECT value FROM json_each($1)) ORDER BY position";

/// Finds items whose encodings contain given bytes.
pub(super) const FIND: Statements = statements!(
    "items.bank_id IN (SELECT value FROM json_each($9))",
    "bank_id IN (SELECT value FROM json_each($4))",
    "instr(items.payload, $4) > 0",
    "instr(items.payload, $5) > 0",
    "instr(items.payload, $6) > 0",
    "instr(items.payload, $7) > 0",
    "instr(items.payload, $8) > 0"
);

/// Reads these items and maps each with `kept`; items without a row are left out.
pub(super) async fn each_item<T>(
    connection: &mut SqliteConnection,
    items: &[ItemId],
    kept: impl Fn(Item) -> T,
) -> Read<Vec<T>> {
    let query = sqlx::query("SELECT id, payload FROM items WHERE id IN (SELECT value FROM json_each(?))");
    // One at a time: the rows of many videos are large.
    let mut rows = query.bind(json(items.iter().map(|item| item.0))).fetch(connection);
    let mut found = Vec::with_capacity(items.len());
    while let Some(row) = rows.try_next().await.map_err(failed("find items"))? {
        found.push(kept(to_item(&row)?));
    }
    Ok(found)
}

pub(super) async fn recorded(connection: &mut SqliteConnection, keys: &[String]) -> Read<Vec<Recorded>> {
    let select = "SELECT key, request_digest, response, created_at_ms FROM idempotency WHERE key IN (";
    let mut recorded = Vec::new();
    for keys in keys.chunks(KEYS) {
        let mut query = QueryBuilder::new(select);
        let mut list = query.separated(", ");
        for index in 0..KEYS {
            // The statement always has the same text and stays prepared: the last key fills the unused
            // parameters.
            list.push_bind(keys.get(index).or(keys.last()).cloned());
        }
        query.push(")");
        let rows = query.build().fetch_all(&mut *connection).await.map_err(failed("find keys"))?;
        for row in &rows {
            recorded.push(to_recorded(row)?);
        }
    }
    Ok(recorded)
}
