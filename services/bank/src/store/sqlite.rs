//! The store on SQLite: one file, a log written ahead (WAL), every commit flushed (`synchronous = FULL`).
//!
//! A single connection writes and others read; in WAL mode neither waits for the other. A bank in memory has
//! one connection for both, because SQLite's shared cache would make readers and writers lock each other out.
//!
//! Only one bank at a time runs on a file: it locks another file beside it. SQLite itself would serialize two
//! banks, but neither would notify its followers of the other's writes. A process that only reads needs no
//! lock.
//!
//! Transactions are explicit statements, because SQLite rolls back by itself on a full disk or a failed
//! write, and sqlx's count of open transactions does not notice.

mod connection;
mod holds;
mod exchanges;
mod documents;
mod insert;
mod lists;
mod migrate;
mod purges;
mod rows;
mod published;
mod touched;
#[cfg(test)]
mod tests;

use std::fmt::{self, Debug};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tokio::sync::{Mutex, MutexGuard};
use vigie_audit::tree::{NodeHash, StoredIndex};
use vigie_log::{
    ChangePage, ChangeRange, Head, LogId, LogRead, LogStore, Recorded, Sequence, StoredBatch, UnixMillis,
};
use vigie_model::{Bank, BankId, Item, ItemId};

use self::connection::{Reader, Writer};
use crate::config::Location;
use crate::plan::digests::PartDigest;
use crate::store::error::{CommitError, StoreError, failed};
use crate::store::records::{
    AsOf, AuditHead, Batch, EntryPage, EntryRange, FoundPage, HeadRow, ItemPage, ItemRange, ItemRows,
    ItemSearch, KeptUndo, Loaded, Placement, PurgedPage, Rows, StoredRecord, Undo,
};
use crate::store::sql::audit;
use crate::store::sql::find;
use crate::store::sql::purges::erase_is_due;
use crate::store::sql::read;
use crate::store::sql::rechain;
use crate::store::sql::records;
use crate::store::{
    FAULTS_MAX, Integrity, Purging, ReadAudit, ReadBanks, ReadDigests, ReadItems, ReadState, Store,
};

/// The longest wait of a write for another process that has locked the file.
const BUSY_MAX: std::time::Duration = std::time::Duration::from_secs(5);

/// Pages that the write-ahead log gathers before they are moved to the file. Each move costs a flush; four
/// times SQLite's default keeps that a small part of the writing.
const CHECKPOINT_PAGES: &str = "4000";

/// An index can be rebuilt from its table; a table cannot be rebuilt.
const WAY_OUT: &str = "stop the bank, and where only indexes are named run `sqlite3 FILE REINDEX` and verify again; else restore \
                       the newest backup that `vigie bank verify` accepts";

/// A bank's store in a SQLite database.
pub(crate) struct SqliteStore {
    writer: Mutex<Writer>,
    /// `None` if reads use the writer's connection: for a bank in memory, and for a store opened for reading
    /// only.
    readers: Option<SqlitePool>,
    log_id: LogId,
}

impl Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

read::reader!(SqliteConnection, SqliteRow);

fn options() -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        // Deleted rows are overwritten with zeros at once. `purges` clears what this leaves.
        .pragma("secure_delete", "ON")
        .busy_timeout(BUSY_MAX)
        // By default the thread of a connection hands over one row at a time.
        .row_buffer_size(256)
        .disable_statement_logging()
}

fn create_folder(database: &Path) -> Result<(), StoreError> {
    let Some(folder) = database.parent() else { return Ok(()) };
    std::fs::create_dir_all(folder).map_err(|source| StoreError::Folder { path: folder.to_owned(), source })
}

/// Locks the file beside the database. The file is never deleted: two banks could otherwise lock two files of
/// one name.
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
    /// Opens the store for a bank, exclusively until it is closed. Creates what is missing.
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

    /// Opens the store without locking it.
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
        migrate::bring_up_to_date(&mut connection, &location.to_string()).await?;
        let readers = match location {
            Location::File(_) => {
                let readers = SqlitePoolOptions::new().max_connections(read_connections_max);
                // They close only with the pool: opening one again costs more than keeping it.
                let readers = readers.idle_timeout(None).max_lifetime(None).test_before_acquire(false);
                Some(readers.connect_with(options.read_only(true)).await.map_err(failed_to_open)?)
            }
            Location::Memory | Location::Postgres(_) => None,
        };
        let log_id = read::log_id(&mut connection).await?;
        let writer = Writer { connection, open: false, lock: None };
        Ok(Self { writer: Mutex::new(writer), readers, log_id })
    }

    /// Opens an existing store for reading only, while a bank may run on it.
    pub(crate) async fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let failed_to_open = |source| StoreError::Open { location: path.display().to_string(), source };
        // The journal mode is left unchanged: a copy of a store has no journal.
        let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(BUSY_MAX);
        let mut connection = options.connect().await.map_err(failed_to_open)?;
        if rechain::is_outdated(&mut connection).await? {
            return Err(StoreError::Outdated { location: path.display().to_string() });
        }
        let log_id = read::log_id(&mut connection).await?;
        let writer = Writer { connection, open: false, lock: None };
        Ok(Self { writer: Mutex::new(writer), readers: None, log_id })
    }

    /// Migrates a copy of a store, on which no bank runs. Its journal mode is unchanged: a finished copy is
    /// one file.
    pub(crate) async fn bring_copy_up_to_date(path: &Path) -> Result<(), StoreError> {
        let failed_to_open = |source| StoreError::Open { location: path.display().to_string(), source };
        let options = SqliteConnectOptions::new().filename(path).disable_statement_logging();
        let mut connection = options.connect().await.map_err(failed_to_open)?;
        let brought = migrate::bring_up_to_date(&mut connection, &path.display().to_string()).await;
        // Closed after a failure too: until then its journal is beside the copy.
        let closed = connection.close().await.map_err(failed("close the copy"));
        brought?;
        closed
    }

    /// Returns a connection for reading.
    async fn reader(&self) -> Result<Reader<'_>, StoreError> {
        match &self.readers {
            Some(pool) => Ok(Reader::Pooled(pool.acquire().await.map_err(failed("take a connection"))?)),
            None => Ok(Reader::Writer(self.writer().await?)),
        }
    }

    /// Returns the connection for writing, outside any transaction.
    async fn writer(&self) -> Result<MutexGuard<'_, Writer>, StoreError> {
        let mut writer = self.writer.lock().await;
        writer.roll_back_if_open().await;
        Ok(writer)
    }
}

#[async_trait]
impl LogRead for SqliteStore {
    type Error = StoreError;

    fn log_id(&self) -> LogId {
        self.log_id
    }

    async fn head(&self) -> Result<Head, StoreError> {
        Ok(self.head_row().await?.head)
    }

    async fn changes(&self, range: &ChangeRange) -> Result<ChangePage, StoreError> {
        read::changes(&mut *self.reader().await?, range).await
    }

    async fn batches(&self, after: Sequence, limit: u16) -> Result<Vec<StoredBatch>, StoreError> {
        read::batches(&mut *self.reader().await?, after, limit).await
    }

    async fn committed_at(&self, last: Sequence) -> Result<Option<UnixMillis>, StoreError> {
        read::committed_at(&mut *self.reader().await?, last).await
    }

    async fn last_before(&self, time: UnixMillis) -> Result<Option<Sequence>, StoreError> {
        read::last_before(&mut *self.reader().await?, time).await
    }
}

#[async_trait]
impl LogStore<Rows> for SqliteStore {
    async fn lead(&self) -> Result<Option<Sequence>, StoreError> {
        // A bank that has opened the file has it exclusively.
        Ok(Some(Sequence::ZERO))
    }

    async fn newest(&self) -> Result<Sequence, StoreError> {
        read::sequence(&mut self.writer().await?.connection).await
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

    async fn outcome(&self, head: &Head) -> Result<Option<bool>, StoreError> {
        let Head { sequence, chain, .. } = *head;
        let batches = read::batches(&mut self.writer().await?.connection, sequence.before(), 1).await?;
        let there = batches.first().is_some_and(|found| (found.last, found.chain) == (sequence, chain));
        // If it is not stored now, a crash can still bring back what a failed flush left.
        Ok(there.then_some(true))
    }

    async fn recorded(&self, keys: &[String]) -> Result<Vec<Recorded>, StoreError> {
        lists::recorded(&mut self.writer().await?.connection, keys).await
    }

    async fn sweep_keys(&self, before: UnixMillis, rows_max: u32) -> Result<bool, StoreError> {
        let mut writer = self.writer().await?;
        insert::sweep_keys(&mut writer.connection, before, rows_max).await
    }

    async fn cut(&self, through: Sequence, rows_max: u32) -> Result<bool, StoreError> {
        let mut writer = self.writer().await?;
        writer.begin().await?;
        let cut = insert::cut(&mut writer.connection, through, rows_max).await;
        writer.end(cut).await
    }

    async fn purge(&self, sequence: Sequence) -> Result<bool, StoreError> {
        insert::purge(&mut self.writer().await?.connection, sequence).await
    }

    async fn close(&self) {
        let mut writer = self.writer.lock().await;
        if let Some(readers) = &self.readers {
            readers.close().await;
        }
        if writer.lock.is_some() {
            // The one file then holds everything, for users who copy it.
            writer.roll_back_if_open().await;
            let moved = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut writer.connection).await;
            if let Err(error) = moved {
                tracing::warn!(%error, "the write-ahead log stays as it is");
            }
        }
        // Now the next bank may open the file.
        writer.lock = None;
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn sweep_items(&self, rows_max: u32) -> Result<bool, StoreError> {
        let mut writer = self.writer().await?;
        writer.begin().await?;
        let swept = insert::sweep_items(&mut writer.connection, rows_max).await;
        writer.end(swept).await
    }

    /// Runs `PRAGMA integrity_check`: pages, the order of tables and indexes, and whether each index holds
    /// the rows of its table.
    async fn integrity(&self) -> Result<Integrity, StoreError> {
        let mut reader = self.reader().await?;
        let check = format!("PRAGMA integrity_check({FAULTS_MAX})");
        let checked: Result<Vec<String>, _> =
            sqlx::query_scalar(AssertSqlSafe(check)).fetch_all(&mut *reader).await;
        let faults = match checked {
            Ok(faults) if matches!(&faults[..], [one] if one == "ok") => return Ok(Integrity::Whole),
            Ok(faults) => faults,
            // A page that cannot be read at all ends the check with SQLITE_CORRUPT or SQLITE_NOTADB.
            Err(sqlx::Error::Database(error))
                if error.code().is_some_and(|code| matches!(&*code, "11" | "26")) =>
            {
                vec![error.message().to_owned()]
            }
            Err(source) => return Err(failed("check its structures")(source)),
        };
        Ok(Integrity::Damaged { faults, way_out: WAY_OUT })
    }
}

#[async_trait]
impl Purging for SqliteStore {
    async fn purge_due(&self, now: UnixMillis, rows_max: u32) -> Result<PurgedPage, StoreError> {
        let mut writer = self.writer().await?;
        writer.begin().await?;
        let purged = purges::purge_due(&mut writer.connection, now, rows_max).await;
        writer.end(purged).await
    }

    async fn erase_is_due(&self, now: UnixMillis) -> Result<bool, StoreError> {
        erase_is_due(&mut *self.reader().await?, now).await
    }

    async fn erase(&self, rewrite: bool) -> Result<(), StoreError> {
        purges::erase(&mut self.writer().await?.connection, rewrite).await
    }
}

#[async_trait]
impl ReadState for SqliteStore {
    async fn load(&self) -> Result<Loaded, StoreError> {
        read::load(&mut self.writer().await?.connection, lists::NODES).await
    }

    async fn head_row(&self) -> Result<HeadRow, StoreError> {
        read::head_row(&mut *self.reader().await?).await
    }

    async fn head_and_banks(&self) -> Result<(HeadRow, Vec<Bank>), StoreError> {
        read::head_and_banks(&mut *self.reader().await?).await
    }
}

#[async_trait]
impl ReadBanks for SqliteStore {
    async fn banks(&self, ids: &[BankId]) -> Result<AsOf<Vec<Bank>>, StoreError> {
        read::banks(&mut *self.reader().await?, lists::BANKS, ids).await
    }
}

#[async_trait]
impl ReadItems for SqliteStore {
    async fn placements(&self, items: &[ItemId]) -> Result<Vec<Placement>, StoreError> {
        lists::each_item(&mut self.writer().await?.connection, items, |item| Placement::of(&item)).await
    }

    async fn contents(&self, items: &[ItemId]) -> Result<Vec<Item>, StoreError> {
        lists::each_item(&mut self.writer().await?.connection, items, |item| item).await
    }

    async fn known_records(
        &self,
        items: &[ItemId],
        content: &[u64],
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let mut writer = self.writer().await?;
        let mut found = records::of_items(&mut writer.connection, lists::RECORDS, items).await?;
        found.extend(records::of_content(&mut writer.connection, lists::RECORDS, content).await?);
        Ok(found)
    }

    async fn undos(&self, items: &[ItemId], bytes_max: usize) -> Result<(Vec<KeptUndo>, bool), StoreError> {
        records::undos(&mut self.writer().await?.connection, lists::UNDOS, items, bytes_max).await
    }

    async fn undos_of(&self, bank: BankId, after: ItemId, limit: u16) -> Result<Vec<Undo>, StoreError> {
        records::undos_of(&mut *self.reader().await?, bank, after, limit).await
    }

    async fn records(&self, items: &[ItemId]) -> Result<Vec<StoredRecord>, StoreError> {
        records::of_items(&mut *self.reader().await?, lists::RECORDS, items).await
    }

    async fn item(&self, item: ItemId) -> Result<AsOf<Option<Item>>, StoreError> {
        read::item(&mut *self.reader().await?, item).await
    }

    async fn items(
        &self,
        bank: BankId,
        after: ItemId,
        bounds: (u16, usize),
    ) -> Result<AsOf<Option<ItemRows>>, StoreError> {
        read::items(&mut *self.reader().await?, bank, after, bounds).await
    }

    async fn find_items(&self, search: &ItemSearch) -> Result<AsOf<FoundPage>, StoreError> {
        find::find(&mut *self.reader().await?, &lists::FIND, search).await
    }

    async fn item_page(&self, range: &ItemRange) -> Result<ItemPage, StoreError> {
        read::item_page(&mut *self.reader().await?, range).await
    }
}

#[async_trait]
impl ReadDigests for SqliteStore {
    async fn bank_digests(&self, bank: BankId) -> Result<Vec<PartDigest>, StoreError> {
        read::bank_digests(&mut self.writer().await?.connection, bank).await
    }

    async fn digests(&self, after: (BankId, u16), limit: u16) -> Result<Vec<PartDigest>, StoreError> {
        read::digests(&mut *self.reader().await?, after, limit).await
    }
}

#[async_trait]
impl ReadAudit for SqliteStore {
    async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        audit::head(&mut *self.reader().await?, lists::NODES).await
    }

    async fn audit_entries(&self, range: &EntryRange) -> Result<EntryPage, StoreError> {
        audit::entries(&mut *self.reader().await?, range).await
    }

    async fn audit_hashes(&self, positions: &[StoredIndex]) -> Result<Vec<NodeHash>, StoreError> {
        audit::hashes(&mut *self.reader().await?, lists::NODES, positions).await
    }

    async fn audit_hashes_from(
        &self,
        from: StoredIndex,
        limit: u16,
    ) -> Result<Vec<(StoredIndex, NodeHash)>, StoreError> {
        audit::hashes_from(&mut *self.reader().await?, from, limit).await
    }
}
