//! Checks the server's own structures with its extension `amcheck`.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::store::error::{StoreError, failed};
use crate::store::{FAULTS_MAX, Integrity};

/// `REINDEX` rebuilds an index from its table; a table cannot be rebuilt.
const WAY_OUT: &str = "stop the bank, run `REINDEX DATABASE` where an index is named and verify again; else restore the newest \
                       backup that `vigie bank verify` accepts";

/// Lists the B-tree indexes of the bank's tables, each with the statement that checks it and that every row
/// of its table is in it.
const INDEXES: &str = "SELECT c.relname::text AS name, \
    format('SELECT bt_index_check(index => %s::oid::regclass, heapallindexed => true)', c.oid) AS checking \
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam \
    JOIN pg_class t ON t.oid = i.indrelid \
    WHERE a.amname = 'btree' AND t.relnamespace = current_schema()::regnamespace AND i.indisvalid \
    ORDER BY c.relname";

/// Lists the bank's tables, each with the statement that checks it (PostgreSQL 14 and later).
const TABLES: &str = "SELECT c.relname::text AS name, \
    format('SELECT msg FROM verify_heapam(%s::oid::regclass, on_error_stop => false) LIMIT 1', c.oid) AS checking \
    FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace \
    AND EXISTS (SELECT 1 FROM pg_proc WHERE proname = 'verify_heapam') ORDER BY c.relname";

/// Runs the checks that the extension offers.
pub(super) async fn check(connection: &mut PgConnection) -> Result<Integrity, StoreError> {
    const ATTEMPT: &str = "check its structures";
    let has: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'amcheck')")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(ATTEMPT))?;
    if !has {
        let reason =
            "the database has no extension amcheck; a superuser adds it by `CREATE EXTENSION amcheck`";
        return Ok(Integrity::Unchecked(reason.to_owned()));
    }
    // The check of a large index exceeds the usual limit of a statement.
    sqlx::query("SET statement_timeout = 0").execute(&mut *connection).await.map_err(failed(ATTEMPT))?;
    let mut faults = Vec::new();
    for list in [INDEXES, TABLES] {
        let listed = sqlx::query(list).fetch_all(&mut *connection).await.map_err(failed(ATTEMPT))?;
        for row in listed {
            let name: String = row.try_get("name").map_err(failed(ATTEMPT))?;
            let checking: String = row.try_get("checking").map_err(failed(ATTEMPT))?;
            let checked = sqlx::query(AssertSqlSafe(checking)).fetch_optional(&mut *connection).await;
            let fault = match checked {
                // An index is checked by a function that returns nothing, a table by one that returns faults.
                Ok(found) if list == TABLES => {
                    let found = found.map(|row| row.try_get("msg")).transpose();
                    found.map_err(failed(ATTEMPT))?
                }
                Ok(_) => None,
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42501") => {
                    let reason = format!("this role may not use amcheck: {}", error.message());
                    return Ok(Integrity::Unchecked(reason));
                }
                // XX001 data_corrupted, XX002 index_corrupted.
                Err(sqlx::Error::Database(error))
                    if error.code().is_some_and(|code| matches!(&*code, "XX001" | "XX002")) =>
                {
                    Some(error.message().to_owned())
                }
                Err(source) => return Err(failed(ATTEMPT)(source)),
            };
            faults.extend(fault.map(|fault| format!("{name}: {fault}")));
            if faults.len() >= FAULTS_MAX {
                break;
            }
        }
    }
    let is_whole = faults.is_empty();
    Ok(if is_whole { Integrity::Whole } else { Integrity::Damaged { faults, way_out: WAY_OUT } })
}
