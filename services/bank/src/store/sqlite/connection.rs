//! The connection that writes, with its transactions, and what reads.

use std::fs::File;
use std::ops::{Deref, DerefMut};

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::MutexGuard;

use crate::store::error::{StoreError, failed};

pub(super) struct Writer {
    pub(super) connection: SqliteConnection,
    /// A transaction was begun and its end was not seen: the future that ran it was dropped.
    pub(super) open: bool,
    /// Keeps other banks away until it is dropped.
    pub(super) lock: Option<File>,
}

impl Writer {
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.open = true;
        // Takes the write lock at once: a transaction that read first could find it taken when it comes to write.
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

    /// Commits what succeeded, and leaves no trace of what did not.
    pub(super) async fn end<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        match outcome {
            Ok(value) => self.commit().await.map(|()| value),
            Err(error) => {
                self.roll_back().await;
                Err(error)
            }
        }
    }

    /// Ends what was begun by a future that was then dropped.
    pub(super) async fn roll_back_if_open(&mut self) {
        if self.open {
            self.roll_back().await;
        }
    }

    pub(super) async fn roll_back(&mut self) {
        // Fails where SQLite has rolled back by itself, and that is as good.
        let rolled_back = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
        if let Err(error) = rolled_back {
            tracing::debug!(%error, "no transaction was left to roll back");
        }
        self.open = false;
    }
}

pub(super) enum Reader<'a> {
    Pooled(PoolConnection<Sqlite>),
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
