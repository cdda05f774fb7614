//! Creates the schema or migrates it to the present version.

use sqlx::migrate::Migration;
use sqlx::sqlite::SqliteConnection;
use vigie_log::{Chain, StoredChange};

use super::insert;
use crate::store::error::{StoreError, failed};
use crate::store::sql::read::{Read, integer};
use crate::store::sql::rechain::{Rechain, RechainedBatch, Schema, is_due, rechain};

/// The steps of the schema.
const SCHEMA: Schema = Schema {
    log_and_state: include_str!("../../../migrations/sqlite/0001_log_and_state.sql"),
    digests_begin: include_str!("../../../migrations/sqlite/0002_chain_of_digests_begin.sql"),
    digests_end: include_str!("../../../migrations/sqlite/0002_chain_of_digests_end.sql"),
    digests: concat!(
        include_str!("../../../migrations/sqlite/0002_chain_of_digests_begin.sql"),
        include_str!("../../../migrations/sqlite/0002_chain_of_digests_end.sql"),
    ),
    members: include_str!("../../../migrations/sqlite/0003_members.sql"),
    audit: include_str!("../../../migrations/sqlite/0004_audit.sql"),
    purges: include_str!("../../../migrations/sqlite/0005_purges.sql"),
    item_records: include_str!("../../../migrations/sqlite/0006_item_records.sql"),
    undos: include_str!("../../../migrations/sqlite/0007_undos.sql"),
    holds: include_str!("../../../migrations/sqlite/0008_holds.sql"),
    undo_payloads: include_str!("../../../migrations/sqlite/0009_undo_payloads.sql"),
    match_ratios: include_str!("../../../migrations/sqlite/0010_match_ratios.sql"),
    touched: include_str!("../../../migrations/sqlite/0011_touched.sql"),
    exchanges: include_str!("../../../migrations/sqlite/0012_exchanges.sql"),
    lists: include_str!("../../../migrations/sqlite/0013_lists.sql"),
    documents: include_str!("../../../migrations/sqlite/0014_documents.sql"),
};

/// Migrates the schema from any version. A connection on which this fails must not be used again.
pub(super) async fn bring_up_to_date(
    connection: &mut SqliteConnection,
    location: &str,
) -> Result<(), StoreError> {
    if is_due(connection).await? {
        // Takes the write lock at once; `rechain` then checks again, and nobody else writes until the end.
        connection.run("BEGIN IMMEDIATE").await?;
        rechain(connection, &SCHEMA, location).await?;
        connection.run("COMMIT").await?;
    }
    // `run` does the same, but its future cannot be proven to be `Send`, so that no caller could spawn it.
    let migrated = SCHEMA.migrator().run_direct(None, connection, false).await;
    migrated.map_err(|source| StoreError::Migrate { location: location.to_owned(), source })
}

impl Rechain for SqliteConnection {
    async fn run(&mut self, statements: &'static str) -> Read<()> {
        sqlx::raw_sql(statements).execute(self).await.map(drop).map_err(failed("migrate the log"))
    }

    async fn has_versions(&mut self) -> Read<bool> {
        let select = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '_sqlx_migrations'";
        let count: i64 =
            sqlx::query_scalar(select).fetch_one(self).await.map_err(failed("look for the schema"))?;
        Ok(count > 0)
    }

    async fn add_changes(&mut self, changes: &[StoredChange]) -> Read<()> {
        insert::add_changes(self, changes).await
    }

    async fn add_batches(&mut self, batches: &[RechainedBatch]) -> Read<()> {
        insert::add_rechained(self, batches).await
    }

    async fn set_chain(&mut self, chain: &Chain) -> Read<()> {
        let update = sqlx::query("UPDATE head SET chain = ? WHERE id = 1").bind(chain.0.to_vec());
        update.execute(self).await.map(drop).map_err(failed("move the head to the new chain"))
    }

    async fn record(&mut self, step: &Migration) -> Read<()> {
        let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                      VALUES (?, ?, TRUE, ?, 0)";
        let insert = sqlx::query(insert)
            .bind(integer(step.version.unsigned_abs()))
            .bind(step.description.to_string())
            .bind(step.checksum.to_vec());
        insert.execute(self).await.map(drop).map_err(failed("record the migration"))
    }
}
