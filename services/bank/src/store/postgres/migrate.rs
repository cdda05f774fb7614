//! Creates the schema or migrates it to the present version.

use sqlx::migrate::{Migrate, MigrateError, Migration};
use sqlx::postgres::PgConnection;
use vigie_log::{Chain, StoredChange};

use super::insert;
use crate::store::error::{StoreError, failed};
use crate::store::sql::read::{Read, integer};
use crate::store::sql::rechain::{Rechain, RechainedBatch, Schema, is_due, rechain};

/// The steps of the schema.
const SCHEMA: Schema = Schema {
    log_and_state: include_str!("../../../migrations/postgres/0001_log_and_state.sql"),
    digests_begin: include_str!("../../../migrations/postgres/0002_chain_of_digests_begin.sql"),
    digests_end: include_str!("../../../migrations/postgres/0002_chain_of_digests_end.sql"),
    digests: concat!(
        include_str!("../../../migrations/postgres/0002_chain_of_digests_begin.sql"),
        include_str!("../../../migrations/postgres/0002_chain_of_digests_end.sql"),
    ),
    members: include_str!("../../../migrations/postgres/0003_members.sql"),
    audit: include_str!("../../../migrations/postgres/0004_audit.sql"),
    purges: include_str!("../../../migrations/postgres/0005_purges.sql"),
    item_records: include_str!("../../../migrations/postgres/0006_item_records.sql"),
    undos: include_str!("../../../migrations/postgres/0007_undos.sql"),
    holds: include_str!("../../../migrations/postgres/0008_holds.sql"),
    undo_payloads: include_str!("../../../migrations/postgres/0009_undo_payloads.sql"),
    match_ratios: include_str!("../../../migrations/postgres/0010_match_ratios.sql"),
    touched: include_str!("../../../migrations/postgres/0011_touched.sql"),
    exchanges: include_str!("../../../migrations/postgres/0012_exchanges.sql"),
    lists: include_str!("../../../migrations/postgres/0013_lists.sql"),
    documents: include_str!("../../../migrations/postgres/0014_documents.sql"),
};

/// The statements of a migration have no time limit: they wait for locks, and pause while the bank computes.
const PATIENCE: &str =
    "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0";
/// Each statement sees what others committed before the head's lock was taken.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// The first statement, as in every transaction that writes. A bank of an older build that still runs on the
/// database cannot write afterwards: its inserts name a column that is gone, and its transactions fail as a
/// whole.
const LOCK_HEAD: &str = "SELECT 1 FROM head WHERE id = 1 FOR UPDATE";

/// Migrates the schema from any version, on a connection that is not used for anything else.
pub(super) async fn bring_up_to_date(
    connection: &mut PgConnection,
    location: &str,
) -> Result<(), StoreError> {
    let unmigrated = |source: MigrateError| StoreError::Migrate { location: location.to_owned(), source };
    connection.run(PATIENCE).await?;
    if is_due(connection).await? {
        // Of two banks that start at once, the second waits and finds the migration done.
        connection.lock().await.map_err(unmigrated)?;
        connection.run(BEGIN).await?;
        connection.run(LOCK_HEAD).await?;
        rechain(connection, &SCHEMA, location).await?;
        connection.run("COMMIT").await?;
        connection.unlock().await.map_err(unmigrated)?;
    }
    // Two banks wait for each other here too: sqlx locks the database.
    SCHEMA.migrator().run_direct(None, connection, false).await.map_err(unmigrated)
}

impl Rechain for PgConnection {
    async fn run(&mut self, statements: &'static str) -> Read<()> {
        sqlx::raw_sql(statements).execute(self).await.map(drop).map_err(failed("migrate the log"))
    }

    async fn has_versions(&mut self) -> Read<bool> {
        let select = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
        sqlx::query_scalar(select).fetch_one(self).await.map_err(failed("look for the schema"))
    }

    async fn add_changes(&mut self, changes: &[StoredChange]) -> Read<()> {
        insert::add_changes(self, changes).await
    }

    async fn add_batches(&mut self, batches: &[RechainedBatch]) -> Read<()> {
        insert::add_rechained(self, batches).await
    }

    async fn set_chain(&mut self, chain: &Chain) -> Read<()> {
        let update = sqlx::query("UPDATE head SET chain = $1 WHERE id = 1").bind(chain.0);
        update.execute(self).await.map(drop).map_err(failed("move the head to the new chain"))
    }

    async fn record(&mut self, step: &Migration) -> Read<()> {
        let insert = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                      VALUES ($1, $2, TRUE, $3, 0)";
        let insert = sqlx::query(insert)
            .bind(integer(step.version.unsigned_abs()))
            .bind(step.description.to_string())
            .bind(step.checksum.to_vec());
        insert.execute(self).await.map(drop).map_err(failed("record the migration"))
    }
}
