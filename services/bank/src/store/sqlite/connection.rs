//! The connection that writes, with its transactions, and the connections that read.

use std::fs::File;
use std::ops::{Deref, DerefMut};

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::MutexGuard;

use crate::store::error::{StoreError, failed};

pub(super) struct Writer {
    pub(super) connection: SqliteConnection,
    /// True from the begin of a transaction to its end. If it is true when the next writer locks the
    /// connection, the future of a transaction was dropped.
    pub(super) open: bool,
    /// Locks out other banks until it is dropped.
    pub(super) lock: Option<File>,
}

impl Writer {
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.open = true;
        // Takes the write lock at once: a transaction that reads first could fail to get the lock at its
        // first write.
        let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut self.connection).await;
        if begun.is_err() {
            self.open = false;
        }
        begun.map(drop).map_err(failed("begin"))
    }

    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        let committed = sqlx::query("COMMIT").execute(&mut self.connection).await;
        match committed {
            Ok(_) => {
                self.open = false;
                Ok(())
            }
            Err(source) => {
                self.roll_back().await;
                Err(failed("commit")(source))
            }
        }
    }

    /// Commits on success, and rolls back on failure.
    pub(super) async fn end<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        match outcome {
            Ok(value) => self.commit().await.map(|()| value),
            Err(error) => {
                self.roll_back().await;
                Err(error)
            }
        }
    }

    /// Rolls back the transaction of a future that was dropped.
    pub(super) async fn roll_back_if_open(&mut self) {
        if self.open {
            self.roll_back().await;
        }
    }

    pub(super) async fn roll_back(&mut self) {
        // Fails if SQLite has rolled back by itself, which has the same effect.
        let rolled_back = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
        if let Err(error) = rolled_back {
            tracing::debug!(%error, "no transaction was left to roll back");
        }
        self.open = false;
    }
}

/// A connection for reading.
pub(super) enum Reader<'a> {
    /// A connection of the pool.
    Pooled(PoolConnection<Sqlite>),
    /// The writer's own, if the store has no pool.
    Writer(MutexGuard<'a, Writer>),
}

impl Deref for Reader<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Writer(writer) => &writer.connection,
        }
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Writer(writer) => &mut writer.connection,
        }
    }
}
