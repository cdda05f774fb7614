//! The store on SQLite: one file, a log written ahead (WAL), every commit flushed (`synchronous = FULL`).
//!
//! One connection writes and a few others read; in WAL mode neither waits for the other. A bank in memory has one
//! connection for both, since SQLite's shared cache would make readers and writers lock each other out.
//!
//! One bank at a time runs on a file: it locks another file beside it. SQLite itself would keep two apart, but neither
//! would tell its followers of what the other writes. Who only reads needs no lock.
//!
//! Transactions are spelled out as statements: SQLite itself rolls back on a full disk or a failed write, of which
//! sqlx's count of open transactions learns nothing.

mod insert;
mod lists;

use std::fmt::{self, Debug};
use std::fs::{File, TryLockError};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, SqlSafeStr as _, Sqlite};
use tokio::sync::{Mutex, MutexGuard};
use vigie_model::change::LogId;
use vigie_model::{Bank, BankId, BankName, Item, ItemId, LogHead, Sequence, UnixMillis};

use crate::config::Location;
use crate::digests::PartDigest;
use crate::store::read::{self, failed};
use crate::store::{
    AsOf, Batch, ChangePage, ChangeRange, CommitError, Head, ItemPage, ItemRange, Loaded, Placement,
    Recorded, Store, StoreError, StoredBatch,
};

/// The schema, step by step. A step that has been released is never edited: the next one changes what it made.
fn migrations() -> Migrator {
    let step = |version, name: &'static str, sql: &'static str| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(vec![step(
        1,
        "log and state",
        include_str!("../../migrations/sqlite/0001_log_and_state.sql"),
    )])
}

/// How long a write waits for another process that has the file.
const BUSY_MAX: std::time::Duration = std::time::Duration::from_secs(5);

/// Pages that the write-ahead log gathers before they are moved to the file. Each move costs a flush of its own, and
/// four times SQLite's default keeps that a small part of the writing.
const CHECKPOINT_PAGES: &str = "4000";

/// See the module.
pub(crate) struct SqliteStore {
    writer: Mutex<Writer>,
    /// `None` where the writer reads: for a bank in memory, and where nothing is written.
    readers: Option<SqlitePool>,
    log_id: LogId,
}

impl Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

read::reader!(SqliteConnection, SqliteRow);

struct Writer {
    connection: SqliteConnection,
    /// A transaction was begun and its end was not seen: the future that ran it was dropped.
    open: bool,
    /// Keeps other banks away until it is dropped.
    lock: Option<File>,
}

fn options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .busy_timeout(BUSY_MAX)
        // The thread of a connection would otherwise hand over row by row.
        .row_buffer_size(256)
        .disable_statement_logging()
}

fn create_folder(database: &Path) -> Result<(), StoreError> {
    let Some(folder) = database.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|source| StoreError::Folder { path: folder.to_owned(), source })
}

/// Locks the file beside the database. It stays there: to remove it would let two banks lock two files of one name.
fn lock(database: &Path) -> Result<File, StoreError> {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let path = PathBuf::from(path);
    let file = match File::options().create(true).write(true).truncate(false).open(&path) {
        Ok(file) => file,
        Err(source) => return Err(StoreError::Lock { path, source }),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { database: database.to_owned(), lock: path }),
        Err(TryLockError::Error(source)) => Err(StoreError::Lock { path, source }),
    }
}

impl SqliteStore {
    /// Opens the store for a bank, which has it for itself until it is closed. Creates what is not there yet.
    pub(crate) async fn open(location: &Location, read_connections_max: u32) -> Result<Self, StoreError> {
        let lock = match location {
            Location::File(path) => {
                create_folder(path)?;
                Some(lock(path)?)
            }
            Location::Memory | Location::Postgres(_) => None,
        };
        let mut store = Self::open_unlocked(location, read_connections_max).await?;
        store.writer.get_mut().lock = lock;
        Ok(store)
    }

    /// Opens the store, whoever else has it.
    pub(crate) async fn open_unlocked(
        location: &Location,
        read_connections_max: u32,
    ) -> Result<Self, StoreError> {
        let failed_to_open = |source| StoreError::Open { location: location.to_string(), source };
        let options = match location {
            Location::File(path) => options().filename(path).create_if_missing(true),
            Location::Memory => options().in_memory(true),
            Location::Postgres(_) => {
                return Err(failed_to_open(sqlx::Error::Configuration("not a file".into())));
            }
        };
        let mut connection = options.connect().await.map_err(failed_to_open)?;
        // `run` does the same, but its future cannot be proven to be `Send`, so that no caller could spawn it.
        migrations()
            .run_direct(None, &mut connection, false)
            .await
            .map_err(|source| StoreError::Migrate { location: location.to_string(), source })?;
        let readers = match location {
            Location::File(_) => {
                let readers = SqlitePoolOptions::new().max_connections(read_connections_max);
                // They close with the pool only: to open one anew costs more than to keep it.
                let readers = readers.idle_timeout(None).max_lifetime(None).test_before_acquire(false);
                Some(readers.connect_with(options.read_only(true)).await.map_err(failed_to_open)?)
            }
            Location::Memory | Location::Postgres(_) => None,
        };
        let log_id = read::log_id(&mut connection).await?;
        let writer = Writer { connection, open: false, lock: None };
        Ok(Self { writer: Mutex::new(writer), readers, log_id })
    }

    /// Opens a store that is there, only to read it; a bank may run on it.
    pub(crate) async fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let failed_to_open = |source| StoreError::Open { location: path.display().to_string(), source };
        // Its journal is as it is: a copy of a store has none.
        let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_MAX);
        let mut connection = options.connect().await.map_err(failed_to_open)?;
        let log_id = read::log_id(&mut connection).await?;
        let writer = Writer { connection, open: false, lock: None };
        Ok(Self { writer: Mutex::new(writer), readers: None, log_id })
    }

    /// A connection to read with.
    async fn reader(&self) -> Result<Reader<'_>, StoreError> {
        match &self.readers {
            Some(pool) => Ok(Reader::Pooled(pool.acquire().await.map_err(failed("take a connection"))?)),
            None => Ok(Reader::Writer(self.writer().await?)),
        }
    }

    /// The connection to write with, outside of any transaction.
    async fn writer(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        let mut writer = self.writer.lock().await;
        writer.roll_back_if_open().await;
        Ok(writer)
    }
}

impl Writer {
    async fn begin(&mut self) -> Result<(), StoreError> {
        self.open = true;
        // Takes the write lock at once: a transaction that read first could find it taken when it comes to write.
        let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut self.connection).await;
        if begun.is_err() {
            self.open = false;
        }
        begun.map(drop).map_err(failed("begin"))
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
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
    async fn end<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        match outcome {
            Ok(value) => self.commit().await.map(|()| value),
            Err(error) => {
                self.roll_back().await;
                Err(error)
            }
        }
    }

    /// Ends what was begun by a future that was then dropped.
    async fn roll_back_if_open(&mut self) {
        if self.open {
            self.roll_back().await;
        }
    }

    async fn roll_back(&mut self) {
        // Fails where SQLite has rolled back by itself, and that is as good.
        let rolled_back = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
        if let Err(error) = rolled_back {
            tracing::debug!(%error, "no transaction was left to roll back");
        }
        self.open = false;
    }
}

enum Reader<'a> {
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

#[async_trait]
impl Store for SqliteStore {
    fn log_id(&self) -> LogId {
        self.log_id
    }

    async fn load(&self) -> Result<Loaded, StoreError> {
        read::load(&mut self.writer().await?.connection).await
    }

    async fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let mut writer = self.writer().await.map_err(CommitError::Refused)?;
        writer.begin().await.map_err(CommitError::Refused)?;
        match insert::batch(&mut writer.connection, batch).await {
            Ok(true) => writer.commit().await.map_err(CommitError::Unknown),
            Ok(false) => {
                writer.roll_back().await;
                Err(CommitError::StaleHead)
            }
            Err(error) => {
                writer.roll_back().await;
                Err(CommitError::Refused(error))
            }
        }
    }

    async fn newest(&self) -> Result<Sequence, StoreError> {
        read::sequence(&mut self.writer().await?.connection).await
    }

    async fn outcome(&self, batch: &Batch) -> Result<Option<bool>, StoreError> {
        let LogHead { sequence, chain, .. } = batch.head.log;
        let before = Sequence(sequence.0.saturating_sub(1));
        let batches = read::batches(&mut self.writer().await?.connection, before, 1).await?;
        let there = batches.first().is_some_and(|found| (found.last, found.chain) == (sequence, chain));
        // If it is not there, a crash can still bring back what a failed flush left.
        Ok(there.then_some(true))
    }

    async fn placements(&self, items: &[ItemId]) -> Result<Vec<Placement>, StoreError> {
        lists::placements(&mut self.writer().await?.connection, items).await
    }

    async fn recorded(&self, keys: &[String]) -> Result<Vec<Recorded>, StoreError> {
        lists::recorded(&mut self.writer().await?.connection, keys).await
    }

    async fn bank_digests(&self, bank: BankId) -> Result<Vec<PartDigest>, StoreError> {
        read::bank_digests(&mut self.writer().await?.connection, bank).await
    }

    async fn head(&self) -> Result<LogHead, StoreError> {
        Ok(read::head(&mut *self.reader().await?).await?.log)
    }

    async fn bank(&self, name: &BankName) -> Result<AsOf<Option<Bank>>, StoreError> {
        read::bank(&mut *self.reader().await?, name).await
    }

    async fn banks(&self, after: BankId, limit: u16) -> Result<AsOf<Vec<Bank>>, StoreError> {
        read::banks(&mut *self.reader().await?, after, limit).await
    }

    async fn item(&self, item: ItemId) -> Result<AsOf<Option<(Item, BankName)>>, StoreError> {
        read::item(&mut *self.reader().await?, item).await
    }

    async fn items(
        &self,
        bank: &BankName,
        after: ItemId,
        limit: u16,
    ) -> Result<AsOf<Option<Vec<Item>>>, StoreError> {
        read::items(&mut *self.reader().await?, bank, after, limit).await
    }

    async fn state(&self) -> Result<(Head, Vec<Bank>), StoreError> {
        read::state(&mut *self.reader().await?).await
    }

    async fn item_page(&self, range: &ItemRange) -> Result<ItemPage, StoreError> {
        read::item_page(&mut *self.reader().await?, range).await
    }

    async fn digests(&self, after: (BankId, u16), limit: u16) -> Result<Vec<PartDigest>, StoreError> {
        read::digests(&mut *self.reader().await?, after, limit).await
    }

    async fn changes(&self, range: &ChangeRange) -> Result<ChangePage, StoreError> {
        read::changes(&mut *self.reader().await?, range).await
    }

    async fn batches(&self, after: Sequence, limit: u16) -> Result<Vec<StoredBatch>, StoreError> {
        read::batches(&mut *self.reader().await?, after, limit).await
    }

    async fn sweep_items(&self, rows_max: u32) -> Result<bool, StoreError> {
        let mut writer = self.writer().await?;
        writer.begin().await?;
        let swept = insert::sweep_items(&mut writer.connection, rows_max).await;
        writer.end(swept).await
    }

    async fn sweep_keys(&self, before: UnixMillis, rows_max: u32) -> Result<bool, StoreError> {
        let mut writer = self.writer().await?;
        insert::sweep_keys(&mut writer.connection, before, rows_max).await
    }

    async fn last_before(&self, time: UnixMillis) -> Result<Option<Sequence>, StoreError> {
        read::last_before(&mut *self.reader().await?, time).await
    }

    async fn cut(&self, through: Sequence, rows_max: u32) -> Result<bool, StoreError> {
        let mut writer = self.writer().await?;
        writer.begin().await?;
        let cut = insert::cut(&mut writer.connection, through, rows_max).await;
        writer.end(cut).await
    }

    async fn close(&self) {
        let mut writer = self.writer.lock().await;
        if let Some(readers) = &self.readers {
            readers.close().await;
        }
        if writer.lock.is_some() {
            // So that the one file holds everything, for those who copy it.
            writer.roll_back_if_open().await;
            let moved = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut writer.connection).await;
            if let Err(error) = moved {
                tracing::warn!(%error, "the write-ahead log stays as it is");
            }
        }
        // The next bank may come.
        writer.lock = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Known, Planner, State};
    use crate::write::Write;
    use vigie_model::{Hash, ItemDraft};

    /// A batch that adds a bank and `count` items to it.
    fn batch(head: Head, count: u8) -> Batch {
        let mut state = State::new(head, Vec::new());
        let mut planner = Planner::new(&mut state, Known::default(), UnixMillis(1), 10);
        let name: BankName = format!("bank-{}", head.next_bank).parse().unwrap();
        planner.plan(&Write::CreateBank { name: name.clone() }, None).unwrap();
        let draft = |byte| ItemDraft { hashes: vec![Hash::md5([byte; 16])], ..ItemDraft::default() };
        let items = (0..count).map(|byte| draft(byte).try_into().unwrap()).collect();
        planner.plan(&Write::AddItems { bank: name, items }, None).unwrap();
        planner.finish().unwrap().batch
    }

    async fn pages_max(store: &SqliteStore, pages: u32) {
        let mut writer = store.writer().await.unwrap();
        let pragma = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(pragma).execute(&mut writer.connection).await.unwrap();
    }

    #[tokio::test]
    async fn every_commit_is_flushed() {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::File(directory.path().join("bank.db"));
        let store = SqliteStore::open(&location, 1).await.unwrap();
        let mut writer = store.writer().await.unwrap();
        let mode: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut writer.connection).await.unwrap();
        let synchronous: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut writer.connection).await.unwrap();
        // 2 is FULL: the log is flushed by each commit, and not only when it is moved to the file.
        assert_eq!((mode.as_str(), synchronous), ("wal", 2));
    }

    #[tokio::test]
    async fn a_full_disk_refuses_the_batch_and_the_next_one_goes_through() {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::File(directory.path().join("bank.db"));
        let store = SqliteStore::open(&location, 1).await.unwrap();
        // No page beyond those that there are.
        pages_max(&store, 1).await;
        let Loaded { mut head, banks, .. } = store.load().await.unwrap();
        assert!(banks.is_empty());
        let refused = loop {
            match store.commit(&batch(head, 250)).await {
                Ok(()) => head = store.load().await.unwrap().head,
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, CommitError::Refused(StoreError::Database { .. })), "{refused:?}");
        assert_eq!(store.load().await.unwrap().head, head);

        pages_max(&store, 10_000).await;
        store.commit(&batch(head, 250)).await.unwrap();
        assert_eq!(store.load().await.unwrap().head.log.items, head.log.items + 250);
    }

    #[tokio::test]
    async fn an_abandoned_transaction_is_rolled_back_before_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::File(directory.path().join("bank.db"));
        let store = SqliteStore::open(&location, 1).await.unwrap();
        let head = store.load().await.unwrap().head;
        {
            let mut writer = store.writer().await.unwrap();
            writer.begin().await.unwrap();
            assert!(insert::batch(&mut writer.connection, &batch(head, 3)).await.unwrap());
        }
        store.commit(&batch(head, 5)).await.unwrap();
        assert_eq!(store.load().await.unwrap().head.log.items, 5);
    }

    #[tokio::test]
    async fn the_writer_does_not_wait_for_those_who_read() {
        let directory = tempfile::tempdir().unwrap();
        let location = Location::File(directory.path().join("bank.db"));
        let store = SqliteStore::open(&location, 1).await.unwrap();
        let _only_reader = store.reader().await.unwrap();
        let work = async {
            let head = store.load().await.unwrap().head;
            store.placements(&[ItemId(1)]).await.unwrap();
            store.recorded(&["k".to_owned()]).await.unwrap();
            store.commit(&batch(head, 3)).await.unwrap();
            assert_eq!(store.newest().await.unwrap(), Sequence(4));
            assert_eq!(store.outcome(&batch(head, 3)).await.unwrap(), Some(true));
        };
        // Less than a read waits for a connection before it gives up.
        tokio::time::timeout(BUSY_MAX, work).await.unwrap();
    }

    #[tokio::test]
    async fn the_folder_of_a_new_database_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("var/lib/bank.db");
        SqliteStore::open(&Location::File(path.clone()), 1).await.unwrap().close().await;
        assert!(path.exists());
    }

    #[tokio::test]
    async fn what_cannot_be_opened_is_named_by_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "no database, and longer than the header of one".repeat(9)).unwrap();
        for path in [file.clone(), file.join("below/bank.db"), directory.path().to_owned()] {
            let error = SqliteStore::open(&Location::File(path), 1).await.unwrap_err().to_string();
            assert!(error.contains(&directory.path().display().to_string()), "{error}");
        }
        let error = SqliteStore::open_to_read(&directory.path().join("none.db")).await.unwrap_err();
        assert!(error.to_string().contains("none.db"), "{error}");
    }
}
