//! The statements that read rows by lists of keys, which are arrays on PostgreSQL.

use futures::TryStreamExt as _;
use sqlx::postgres::PgConnection;
use vigie_log::Recorded;
use vigie_model::{Item, ItemId};

use crate::store::error::failed;
use crate::store::sql::find::{Statements, statements};
use crate::store::sql::read::{Read, integer};
use crate::store::sql::records::{ByLists, undos_by_list};
use crate::store::sql::rows::{to_item, to_recorded};

/// Reads banks by their ids.
pub(super) const BANKS: &str = "SELECT id, owner_id, name, enabled, created_at_ms, item_count, hash_count, match_ratio FROM banks \
                                WHERE id = ANY(string_to_array(trim(BOTH '[]' FROM $1), ',')::BIGINT[]) ORDER BY id";

/// Reads records of items.
pub(super) const RECORDS: ByLists = ByLists {
    items: "SELECT item_id, payload FROM item_records \
            WHERE item_id = ANY(string_to_array(trim(BOTH '[]' FROM $1), ',')::BIGINT[]) ORDER BY item_id",
    content: "SELECT item_id, payload FROM item_records \
              WHERE content_key = ANY(string_to_array(trim(BOTH '[]' FROM $1), ',')::BIGINT[]) ORDER BY item_id",
};

/// Reads removed items.
pub(super) const UNDOS: &str =
    undos_by_list!("undos.item_id = ANY(string_to_array(trim(BOTH '[]' FROM $1), ',')::BIGINT[])");

/// Reads hashes of the audit by their positions.
pub(super) const NODES: &str = "SELECT position, hash FROM audit_hashes \
                                WHERE position = ANY(string_to_array(trim(BOTH '[]' FROM $1), ',')::BIGINT[]) ORDER BY position";

/// Finds items whose encodings contain given bytes.
pub(super) const FIND: Statements = statements!(
    "items.bank_id = ANY(string_to_array(trim(BOTH '[]' FROM $9), ',')::BIGINT[])",
    "bank_id = ANY(string_to_array(trim(BOTH '[]' FROM $4), ',')::BIGINT[])",
    "position($4 IN items.payload) > 0",
    "position($5 IN items.payload) > 0",
    "position($6 IN items.payload) > 0",
    "position($7 IN items.payload) > 0",
    "position($8 IN items.payload) > 0"
);

/// Reads these items and maps each with `kept`; items without a row are left out.
pub(super) async fn each_item<T>(
    connection: &mut PgConnection,
    items: &[ItemId],
    kept: impl Fn(Item) -> T,
) -> Read<Vec<T>> {
    let query = sqlx::query("SELECT id, payload FROM items WHERE id = ANY($1)");
    let ids: Vec<i64> = items.iter().map(|item| integer(item.0)).collect();
    // One at a time: the rows of many videos are large.
    let mut rows = query.bind(ids).fetch(connection);
    let mut found = Vec::with_capacity(items.len());
    while let Some(row) = rows.try_next().await.map_err(failed("find items"))? {
        found.push(kept(to_item(&row)?));
    }
    Ok(found)
}

pub(super) async fn recorded(connection: &mut PgConnection, keys: &[String]) -> Read<Vec<Recorded>> {
    let select = "SELECT key, request_digest, response, created_at_ms FROM idempotency WHERE key = ANY($1)";
    let rows = sqlx::query(select).bind(keys).fetch_all(connection).await.map_err(failed("find keys"))?;
    rows.iter().map(to_recorded).collect()
}
