//! The connection that writes: transactions in bounded time, repeated if nothing was written.

use std::time::Duration;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnection, PgDatabaseError, PgQueryResult, PgSeverity};
use tokio::time::{Instant, timeout};
use vigie_log::{Sequence, UnixMillis};

use super::connect::{CONNECT_MAX, Connector};
use super::{insert, purges};
use crate::store::error::{CommitError, StoreError, failed};
use crate::store::records::Batch;
use crate::store::sql::purges::Due;

/// The most time of a transaction as seen by the bank: longer than the server allows any of its statements.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(30);
/// The most attempts of a transaction that wrote nothing because its connection was lost or another
/// transaction interfered.
const ATTEMPTS_MAX: u32 = 3;
/// A connection that has been idle for longer is checked before it is used.
const TRUSTED: Duration = Duration::from_millis(500);

pub(super) async fn run(
    connection: &mut PgConnection,
    statement: &'static str,
) -> Result<PgQueryResult, sqlx::Error> {
    sqlx::query(statement).execute(connection).await
}

/// Begins a transaction in which each statement sees everything committed so far, as the wait for the head
/// requires.
pub(super) async fn begin(connection: &mut PgConnection) -> Result<(), StoreError> {
    run(connection, "BEGIN ISOLATION LEVEL READ COMMITTED").await.map(drop).map_err(failed("begin"))
}

pub(super) async fn roll_back(connection: &mut PgConnection) -> Result<(), StoreError> {
    run(connection, "ROLLBACK").await.map(drop).map_err(failed("roll back"))
}

/// The connection that writes. It is opened when it is needed, and dropped if its state may be anything but
/// between two transactions.
pub(super) struct Writer {
    connector: Connector,
    pub(super) connection: Option<(PgConnection, Instant)>,
}

impl Writer {
    pub(super) const fn new(connector: Connector) -> Self {
        Self { connector, connection: None }
    }

    /// Takes the connection, which the caller puts back on success. The server ends a dropped connection and
    /// its transaction.
    async fn take(&mut self) -> Result<PgConnection, StoreError> {
        if let Some((mut connection, used_at)) = self.connection.take() {
            let lives = used_at.elapsed() < TRUSTED
                || timeout(CONNECT_MAX, connection.ping()).await.is_ok_and(|pinged| pinged.is_ok());
            if lives {
                return Ok(connection);
            }
        }
        self.connector.connect().await
    }

    fn put_back(&mut self, connection: PgConnection) {
        self.connection = Some((connection, Instant::now()));
    }

    /// Reads on the writer's connection.
    pub(super) async fn read<T>(
        &mut self,
        read: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = self.take().await?;
        let value = in_time(read(&mut connection)).await?;
        self.put_back(connection);
        Ok(value)
    }

    /// Writes in one transaction, and commits if there is something to commit.
    async fn write_once(&mut self, work: Work<'_>) -> Result<Option<bool>, CommitError> {
        let mut connection = self.take().await.map_err(CommitError::Refused)?;
        let written = in_time(async {
            begin(&mut connection).await?;
            match work.run(&mut connection).await {
                Ok(Some(done)) => Ok(Some(done)),
                Ok(None) => roll_back(&mut connection).await.map(|()| None),
                Err(error) => {
                    // The first error is reported; a connection that does not roll back is dropped.
                    roll_back(&mut connection).await.ok();
                    Err(error)
                }
            }
        });
        let written = written.await.map_err(CommitError::Refused)?;
        if written.is_some() {
            let committed = timeout(ANSWER_MAX, run(&mut connection, "COMMIT")).await;
            match committed {
                Ok(Ok(_)) => {}
                Ok(Err(source)) if is_refusal(&source) => {
                    return Err(CommitError::Refused(failed("commit")(source)));
                }
                Ok(Err(source)) => return Err(CommitError::Unknown(failed("commit")(source))),
                Err(_) => return Err(CommitError::Unknown(failed("commit")(sqlx::Error::PoolTimedOut))),
            }
        }
        self.put_back(connection);
        Ok(written)
    }

    /// Writes, and repeats the attempt if nothing was written and another attempt may succeed.
    pub(super) async fn write(&mut self, work: Work<'_>) -> Result<Option<bool>, CommitError> {
        for _ in 1..ATTEMPTS_MAX {
            match self.write_once(work).await {
                Err(CommitError::Refused(error)) if is_passing(&error) => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "a transaction is tried again");
                }
                outcome => return outcome,
            }
        }
        self.write_once(work).await
    }

    /// Sweeps in one transaction; returns whether more may be left. A repeated call finds the rest, so the
    /// outcome of the previous step need not be known.
    pub(super) async fn sweep(&mut self, work: Work<'_>) -> Result<bool, StoreError> {
        match self.write(work).await {
            Ok(more) => Ok(more.unwrap_or_default()),
            Err(CommitError::StaleHead) => Ok(true),
            Err(CommitError::Refused(error) | CommitError::Unknown(error)) => Err(error),
        }
    }
}

/// The work of one transaction.
#[derive(Debug, Clone, Copy)]
pub(super) enum Work<'a> {
    Batch(&'a Batch),
    SweepItems { rows_max: u32 },
    SweepKeys { before: UnixMillis, rows_max: u32 },
    Cut { through: Sequence, rows_max: u32 },
    Purge { sequence: Sequence },
    PurgeItems { due: &'a [Due] },
}

impl Work<'_> {
    /// Does the work; returns whether more may be left, or `None` if there is nothing to commit.
    async fn run(self, connection: &mut PgConnection) -> Result<Option<bool>, StoreError> {
        match self {
            Self::Batch(batch) => Ok(insert::batch(connection, batch).await?.then_some(false)),
            Self::SweepItems { rows_max } => insert::sweep_items(connection, rows_max).await.map(Some),
            Self::SweepKeys { before, rows_max } => {
                insert::sweep_keys(connection, before, rows_max).await.map(Some)
            }
            Self::Cut { through, rows_max } => insert::cut(connection, through, rows_max).await.map(Some),
            Self::Purge { sequence } => insert::purge(connection, sequence).await.map(Some),
            Self::PurgeItems { due } => purges::purge_items(connection, due).await.map(|()| Some(true)),
        }
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(ANSWER_MAX, work).await.unwrap_or_else(|_| Err(late()))
}

pub(super) fn late() -> StoreError {
    failed("answer in time")(sqlx::Error::PoolTimedOut)
}

/// Returns whether the server itself reports that it did not commit, and keeps the connection. An error that
/// ends the connection says nothing about the commit.
fn is_refusal(error: &sqlx::Error) -> bool {
    let database = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    database.is_some_and(|error| matches!(error.severity(), PgSeverity::Error))
}

/// Returns whether nothing was written for a temporary reason: a lost connection, or another transaction.
fn is_passing(error: &StoreError) -> bool {
    let StoreError::Database { source, .. } = error else { return false };
    match source.as_database_error().and_then(|error| error.code()) {
        // Serialization failure, deadlock, a connection ended by an administrator or by a crash.
        Some(code) => ["40001", "40P01", "57P01", "57P02", "25P03"].contains(&&*code),
        None => matches!(source, sqlx::Error::Io(_)),
    }
}
