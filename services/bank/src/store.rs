//! What the bank asks of a database. The rest of the crate knows no SQL.
//!
//! A store keeps the log, the state that it comes to, and the answers to writes with a key. It decides nothing: a
//! [`Batch`] holds every row as it is to be. Two writers never number the same changes, since [`Store::commit`] moves
//! the head only from where the batch expects it.

pub(crate) mod sqlite;
pub(crate) mod memory;
pub(crate) mod postgres;
mod read;
mod rows;

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use thiserror::Error;
use vigie_model::change::LogId;
use vigie_model::{
    Bank, BankId, BankName, Change, ChangeKind, Item, ItemId, LogHead, Partition, Sequence, SetDigest,
    ShardIdentity, UnixMillis,
};
use vigie_proto::bank::{decode_change, encode_item};

use self::postgres::PostgresStore;
use self::sqlite::SqliteStore;
use crate::chain::checksum;
use crate::config::{Config, Location};
use crate::digests::{PartDigest, Totals};

/// Opens the store that the settings name, for a bank. Creates what is not there yet, and brings it up to date.
pub(crate) async fn open(location: &Location, config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    let readers = config.read_connections_max;
    Ok(match location {
        Location::File(_) | Location::Memory => Arc::new(SqliteStore::open(location, readers).await?),
        Location::Postgres(url) => Arc::new(PostgresStore::open(url, config.allow_unflushed, readers).await?),
    })
}

/// Opens a store that is there, only to read it; a bank may run on it. `None` for one that ends with its bank.
pub(crate) async fn open_to_read(location: &Location) -> Result<Option<Arc<dyn Store>>, StoreError> {
    Ok(match location {
        Location::File(path) => Some(Arc::new(SqliteStore::open_to_read(path).await?)),
        Location::Memory => None,
        Location::Postgres(url) => Some(Arc::new(PostgresStore::open_to_read(url).await?)),
    })
}

/// A durable store.
#[async_trait]
pub(crate) trait Store: Debug + Send + Sync + 'static {
    /// Which log it keeps.
    fn log_id(&self) -> LogId;

    /// Tries to become the one bank that serves on the store, or to stay it: answers `None` where another one is, and
    /// else up to where the log has come at least. Asked again and again. An error tells nothing: the store is not
    /// reachable.
    ///
    /// It keeps two banks from getting in each other's way, and no more: that no change is lost or numbered twice is
    /// up to [`Self::commit`].
    async fn lead(&self) -> Result<Option<Sequence>, StoreError> {
        // Who has opened it has it alone.
        Ok(Some(Sequence::ZERO))
    }

    // What the writer asks. None of it waits for those who read, however many they are.

    /// Reads everything that the writer keeps in memory, as of one moment.
    async fn load(&self) -> Result<Loaded, StoreError>;

    /// Writes the batch in one transaction and flushes it, or leaves everything as it was.
    async fn commit(&self, batch: &Batch) -> Result<(), CommitError>;

    /// Whether a batch is there whose commit failed; `None` where that cannot be told for certain yet.
    async fn outcome(&self, batch: &Batch) -> Result<Option<bool>, StoreError>;

    /// The newest change.
    async fn newest(&self) -> Result<Sequence, StoreError>;

    /// Where those of these items are that have a row, be their bank living or not.
    async fn placements(&self, items: &[ItemId]) -> Result<Vec<Placement>, StoreError>;

    /// What a bank's hashes come to, by partition.
    async fn bank_digests(&self, bank: BankId) -> Result<Vec<PartDigest>, StoreError>;

    /// What is recorded under those of these keys that are known.
    async fn recorded(&self, keys: &[String]) -> Result<Vec<Recorded>, StoreError>;

    // What everybody else asks.

    /// Reads the head.
    async fn head(&self) -> Result<LogHead, StoreError>;

    /// Reads a living bank.
    async fn bank(&self, name: &BankName) -> Result<AsOf<Option<Bank>>, StoreError>;

    /// Reads living banks after an id, at most `limit`, by id.
    async fn banks(&self, after: BankId, limit: u16) -> Result<AsOf<Vec<Bank>>, StoreError>;

    /// Reads an item of a living bank, and the bank's name.
    async fn item(&self, item: ItemId) -> Result<AsOf<Option<(Item, BankName)>>, StoreError>;

    /// Reads the items of a living bank after an id, at most `limit`, by id. `None`: there is no such bank.
    async fn items(
        &self,
        bank: &BankName,
        after: ItemId,
        limit: u16,
    ) -> Result<AsOf<Option<Vec<Item>>>, StoreError>;

    /// Reads the head and all living banks, as of one moment.
    async fn state(&self) -> Result<(Head, Vec<Bank>), StoreError>;

    /// Reads items by id, be their bank living or not.
    async fn item_page(&self, range: &ItemRange) -> Result<ItemPage, StoreError>;

    /// Reads what the hashes of living banks come to after a bank and partition, at most `limit`, by both.
    async fn digests(&self, after: (BankId, u16), limit: u16) -> Result<Vec<PartDigest>, StoreError>;

    /// Reads changes, by sequence.
    async fn changes(&self, range: &ChangeRange) -> Result<ChangePage, StoreError>;

    /// Reads batches that ended after a sequence, at most `limit`, by sequence. The one that ended at the floor is
    /// kept.
    async fn batches(&self, after: Sequence, limit: u16) -> Result<Vec<StoredBatch>, StoreError>;

    /// Takes away at most `rows_max` items of deleted banks. Tells whether more may be there.
    async fn sweep_items(&self, rows_max: u32) -> Result<bool, StoreError>;

    /// Forgets at most `rows_max` keys from before a time. Tells whether more may be there.
    async fn sweep_keys(&self, before: UnixMillis, rows_max: u32) -> Result<bool, StoreError>;

    /// The last batch that was committed before a time, as the bank's clock had it.
    async fn last_before(&self, time: UnixMillis) -> Result<Option<Sequence>, StoreError>;

    /// Forgets the oldest changes and moves the floor behind them, up to the last batch that ended at or before
    /// `through`; about `rows_max` of them, though one batch at least. Tells whether there are more to forget.
    async fn cut(&self, through: Sequence, rows_max: u32) -> Result<bool, StoreError>;

    /// Writes out what is pending and closes. Nothing may be asked afterwards.
    async fn close(&self);
}

/// Why the store did not do what it was asked. Nothing was changed.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// The database failed.
    #[error("the database failed while it was asked to {attempt}")]
    Database {
        /// What it was asked for.
        attempt: &'static str,
        /// What it said.
        source: sqlx::Error,
    },
    /// The folder of the database is not there and cannot be made.
    #[error("cannot create the folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another bank runs on the database.
    #[error("another bank runs on {database}: it holds {lock}")]
    InUse {
        /// The database.
        database: PathBuf,
        /// The file that it has locked.
        lock: PathBuf,
    },
    /// The file that keeps other banks away cannot be locked.
    #[error("cannot lock {path}")]
    Lock {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("cannot open the database {location}")]
    Open {
        /// Its path, or its URL without the password.
        location: String,
        /// What it said.
        source: sqlx::Error,
    },
    /// The server would acknowledge commits before they are flushed.
    #[error(
        "{location} has {setting} = off and could lose what it has acknowledged: a bank does not run on it"
    )]
    Unflushed {
        /// The database.
        location: String,
        /// The setting.
        setting: &'static str,
    },
    /// The server takes no writes.
    #[error("{location} is a replica and takes no writes")]
    ReadOnly {
        /// The database.
        location: String,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring the schema of {location} up to date")]
    Migrate {
        /// The database's path, or its URL without the password.
        location: String,
        /// Why not.
        source: sqlx::migrate::MigrateError,
    },
    /// What was stored does not read back.
    #[error("{row} does not read back")]
    Corrupt {
        /// Which row: its table and its key, and nothing of its content.
        row: String,
    },
    /// A simulation made it fail.
    #[error("simulated")]
    Simulated,
    /// A test made it fail.
    #[cfg(test)]
    #[error("injected")]
    Injected,
}

/// Why a batch was not committed.
#[derive(Debug, Error)]
pub(crate) enum CommitError {
    /// Another writer has moved the head. Nothing was written.
    #[error("another writer moved the head")]
    StaleHead,
    /// It failed before the commit. Nothing was written.
    #[error("nothing was written")]
    Refused(#[source] StoreError),
    /// It failed in the commit: the batch may be there or not.
    #[error("the outcome is unknown")]
    Unknown(#[source] StoreError),
}

/// The one row that every writer moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// How far the log has come, and what it comes to.
    pub(crate) log: LogHead,
    /// The id of the next bank.
    pub(crate) next_bank: u32,
}

/// What the writer keeps in memory.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The head.
    pub(crate) head: Head,
    /// All living banks.
    pub(crate) banks: Vec<Bank>,
    /// What their hashes come to.
    pub(crate) totals: Totals,
}

/// A value, and the sequence up to which it holds every change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AsOf<T> {
    /// The value.
    pub(crate) value: T,
    /// It holds every change up to this one, and none after it.
    pub(crate) sequence: Sequence,
}

/// What one transaction writes.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    /// Where the head has to be.
    pub(crate) expected: Head,
    /// Where it goes.
    pub(crate) head: Head,
    /// When.
    pub(crate) committed_at: UnixMillis,
    /// The log's new rows, dense from `expected.sequence + 1` to `head.sequence`.
    pub(crate) changes: Vec<StoredChange>,
    /// Banks as they are from now on.
    pub(crate) banks_set: Vec<Bank>,
    /// Banks that are no longer there.
    pub(crate) banks_deleted: Vec<BankId>,
    /// Items that are there from now on, unless `items_removed` names them too.
    pub(crate) items_added: Vec<StoredItem>,
    /// Items that are no longer there.
    pub(crate) items_removed: Vec<ItemId>,
    /// What is to be added to the digests of banks that are there. Those of `banks_deleted` go.
    pub(crate) digests: Vec<PartDigest>,
    /// Answers to writes with a key.
    pub(crate) recorded: Vec<Recorded>,
}

/// One row of the log.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoredChange {
    /// Its position.
    pub(crate) sequence: Sequence,
    /// The partition that it concerns; `None` for all.
    pub(crate) partition: Option<u16>,
    /// See [`crate::chain::checksum`].
    pub(crate) checksum: i64,
    /// What [`vigie_proto::bank::encode_change`] made.
    pub(crate) payload: Vec<u8>,
}

/// The payload holds hashes and is not shown.
impl Debug for StoredChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredChange({}, {} bytes)", self.sequence, self.payload.len())
    }
}

impl StoredChange {
    /// Reads the change; `None` where the row is not what was written.
    pub(crate) fn read(&self) -> Option<Change> {
        if checksum(self.sequence, &self.payload) != self.checksum {
            return None;
        }
        let change = decode_change(self.sequence, &self.payload).ok()?;
        (change.kind.partition().map(Partition::get) == self.partition).then_some(change)
    }

    /// Whether it adds an item, in the form in which the store keeps the item itself.
    pub(crate) fn adds(&self, item: &[u8]) -> bool {
        self.read().is_some_and(|change| match change.kind {
            ChangeKind::ItemAdded(added) => encode_item(added) == item,
            ChangeKind::BankCreated { .. }
            | ChangeKind::BankRenamed { .. }
            | ChangeKind::BankEnabledSet { .. }
            | ChangeKind::BankDeleted { .. }
            | ChangeKind::ItemRemoved { .. } => false,
        })
    }

    /// Reads the change, or says which row is at fault.
    pub(crate) fn read_or_corrupt(&self) -> Result<Change, StoreError> {
        self.read().ok_or_else(|| StoreError::Corrupt { row: format!("change {}", self.sequence) })
    }
}

/// The row of one item.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoredItem {
    /// Where it is.
    pub(crate) placement: Placement,
    /// What [`vigie_proto::bank::encode_item`] made.
    pub(crate) payload: Vec<u8>,
}

/// The payload holds hashes and is not shown.
impl Debug for StoredItem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredItem({:?}, {} bytes)", self.placement, self.payload.len())
    }
}

/// Which bank holds an item, and what its hashes come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The item.
    pub(crate) item: ItemId,
    /// Its bank.
    pub(crate) bank: BankId,
    /// Its hashes.
    pub(crate) digest: SetDigest,
}

impl Placement {
    /// That of an item.
    pub(crate) fn of(item: &Item) -> Self {
        Self { item: item.id, bank: item.bank, digest: SetDigest::of_item(item.id, item.content.hashes()) }
    }
}

/// The answer to a write that carried a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// The key.
    pub(crate) key: String,
    /// BLAKE3 of the request.
    pub(crate) digest: [u8; 32],
    /// What [`crate::write::Answer::encode`] made.
    pub(crate) response: Vec<u8>,
    /// When.
    pub(crate) created_at: UnixMillis,
}

/// One row of the table of batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredBatch {
    /// Its last change.
    pub(crate) last: Sequence,
    /// The chain as of it.
    pub(crate) chain: [u8; 32],
}

/// Which changes to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChangeRange {
    /// After this one,
    pub(crate) after: Sequence,
    /// up to and with this one,
    pub(crate) through: Sequence,
    /// those that this shard must apply, or all,
    pub(crate) shard: Option<ShardIdentity>,
    /// at most this many,
    pub(crate) count_max: usize,
    /// and no more once their payloads have this many bytes together.
    pub(crate) bytes_max: usize,
}

/// Changes that were read.
#[derive(Debug)]
pub(crate) struct ChangePage {
    /// By sequence.
    pub(crate) changes: Vec<StoredChange>,
    /// Every change of the range up to this one is among them; the end of the range unless a bound was reached.
    pub(crate) through: Sequence,
    /// Changes up to this one were no longer kept when they were read. A range that begins before it has a gap.
    pub(crate) floor: Sequence,
}

/// Which items to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ItemRange {
    /// After this one,
    pub(crate) after: ItemId,
    /// up to and with this one,
    pub(crate) through: ItemId,
    /// those of this shard, or all,
    pub(crate) shard: Option<ShardIdentity>,
    /// at most this many,
    pub(crate) count_max: usize,
    /// and no more once their payloads have this many bytes together.
    pub(crate) bytes_max: usize,
}

/// Items that were read.
#[derive(Debug)]
pub(crate) struct ItemPage {
    /// By id.
    pub(crate) items: Vec<Item>,
    /// Every item of the range up to this one is among them; the end of the range unless a bound was reached.
    pub(crate) through: ItemId,
}
