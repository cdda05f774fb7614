//! Rows of INSERT statements, and lists of numbers as values.

use sqlx::query_builder::Separated;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Sqlite};

use crate::store::error::{StoreError, failed};
use crate::store::sql::read::integer;

/// Numbers of rows of one INSERT. A few fixed sizes make a few statements, which stay prepared. SQLite takes
/// 32,766 values in a statement, and more than some hundred rows gain nothing.
const ROWS: [usize; 5] = [256, 64, 16, 4, 1];

/// Inserts rows, many to a statement.
pub(super) async fn rows<T>(
    connection: &mut SqliteConnection,
    insert: &'static str,
    rows: &[T],
    bind: impl Fn(Separated<'_, Sqlite, &'static str>, &T),
) -> Result<(), StoreError> {
    rows_then(connection, insert, "", rows, bind).await
}

/// Inserts rows, many in one statement; `then` is the clause for rows that exist already.
pub(super) async fn rows_then<T>(
    connection: &mut SqliteConnection,
    insert: &'static str,
    then: &'static str,
    mut rows: &[T],
    bind: impl Fn(Separated<'_, Sqlite, &'static str>, &T),
) -> Result<(), StoreError> {
    while !rows.is_empty() {
        let size = ROWS.into_iter().find(|size| *size <= rows.len()).unwrap_or(1);
        let (chunk, rest) = rows.split_at(size);
        let mut query = QueryBuilder::new(insert);
        query.push_values(chunk, &bind).push(then);
        query.build().execute(&mut *connection).await.map_err(failed("insert rows"))?;
        rows = rest;
    }
    Ok(())
}

/// Encodes numbers as one value of a statement, whatever their number: a JSON array.
pub(super) fn json(numbers: impl Iterator<Item = impl Into<u64>>) -> String {
    let numbers: Vec<_> = numbers.map(|number| integer(number.into()).to_string()).collect();
    format!("[{}]", numbers.join(","))
}
