//! The check of the server's own structures, by its extension `amcheck`.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::store::error::{StoreError, failed};
use crate::store::{FAULTS_MAX, Integrity};

/// `REINDEX` makes an index anew from its table; a table cannot be made anew.
const WAY_OUT: &str = "stop the bank, run `REINDEX DATABASE` where an index is named and verify again; else restore the newest \
                       backup that `vigie bank verify` accepts";

/// B-tree indexes of the bank's tables, each with whether every row of its table is found in it.
const INDEXES: &str = "SELECT c.relname::text AS name, \
    format('SELECT bt_index_check(index => %s::oid::regclass, heapallindexed => true)', c.oid) AS checking \
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam \
    JOIN pg_class t ON t.oid = i.indrelid \
    WHERE a.amname = 'btree' AND t.relnamespace = current_schema()::regnamespace AND i.indisvalid \
    ORDER BY c.relname";

/// The bank's tables, since PostgreSQL 14.
const TABLES: &str = "SELECT c.relname::text AS name, \
    format('SELECT msg FROM verify_heapam(%s::oid::regclass, on_error_stop => false) LIMIT 1', c.oid) AS checking \
    FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace \
    AND EXISTS (SELECT 1 FROM pg_proc WHERE proname = 'verify_heapam') ORDER BY c.relname";

/// Checks what the extension can.
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
    // A large index takes longer than any other statement may.
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
