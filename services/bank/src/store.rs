//! The interface that the bank requires of a database. The rest of the crate knows no SQL.
//!
//! A store keeps the log ([`vigie_log::LogStore`]) and the state that results from it. It decides nothing: a
//! [`Batch`] holds every row in its final form. There is one trait for each family of records that are read.

mod error;
mod records;
pub(crate) mod changes;
pub(crate) mod documents;
pub(crate) mod exchanges;
pub(crate) mod published;
pub(crate) mod touched;
mod directory_rows;
mod sql;
pub(crate) mod memory;
pub(crate) mod sqlite;
pub(crate) mod postgres;

use std::sync::Arc;

use async_trait::async_trait;
use vigie_audit::tree::{NodeHash, StoredIndex};
use vigie_consortium::{ContentDigest, Document, DocumentId, ExchangeId};
use vigie_log::{LogStore, UnixMillis};
use vigie_model::{Bank, BankId, Item, ItemId, Standing};

use self::changes::{ChangesPage, ChangesQuery};
use self::documents::DocumentRange;
use self::exchanges::{KeyDigest, MappedRecord};
use self::postgres::PostgresStore;
use self::published::{ListPage, ListQuery, StoredList};
use self::sqlite::SqliteStore;
use crate::config::{Config, Location};
use crate::plan::digests::PartDigest;

#[cfg(test)]
pub(crate) use self::directory_rows::directory_of;
#[cfg(test)]
pub(crate) use self::error::CommitError;
pub(crate) use self::error::StoreError;
#[cfg(test)]
pub(crate) use self::records::Batch;
pub(crate) use self::records::{
    AsOf, AuditHead, Counts, EntryPage, EntryRange, FoundEntry, FoundPage, HeadRow, HeldRange, ItemPage,
    ItemRange, ItemRows, ItemSearch, KeptUndo, Loaded, Placement, PurgedPage, Rows, StoredEntry, StoredItem,
    StoredRecord, Undo, id_to_model, to_model,
};

/// Opens, for a bank, the store that the settings name. Creates what is missing, and migrates an older
/// schema.
pub(crate) async fn open(location: &Location, config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    let readers = config.read_connections_max;
    Ok(match location {
        Location::File(_) | Location::Memory => Arc::new(SqliteStore::open(location, readers).await?),
        Location::Postgres(url) => Arc::new(PostgresStore::open(url, config.allow_unflushed, readers).await?),
    })
}

/// The source of a bank's store.
#[derive(Debug)]
pub(crate) enum Source {
    /// The store at this location, opened when the bank begins.
    At(Location),
    /// A store that is already open.
    Open(Arc<dyn Store>),
}

impl Source {
    /// Opens the store, on each call.
    pub(crate) async fn open(&self, config: &Config) -> Result<Arc<dyn Store>, StoreError> {
        match self {
            Self::At(location) => open(location, config).await,
            Self::Open(store) => Ok(Arc::clone(store)),
        }
    }
}

/// Opens an existing store for reading only, while a bank may run on it. `None` for a store that ends with
/// its bank.
pub(crate) async fn open_to_read(location: &Location) -> Result<Option<Arc<dyn Store>>, StoreError> {
    Ok(match location {
        Location::File(path) => Some(Arc::new(SqliteStore::open_to_read(path).await?)),
        Location::Memory => None,
        Location::Postgres(url) => Some(Arc::new(PostgresStore::open_to_read(url).await?)),
    })
}

/// A durable store.
#[async_trait]
pub(crate) trait Store:
    LogStore<Rows, Error = StoreError>
    + ReadState
    + ReadBanks
    + ReadItems
    + ReadChanges
    + ReadLists
    + ReadExchanges
    + ReadDocuments
    + ReadHolds
    + ReadDigests
    + ReadAudit
    + Purging
{
    /// Removes at most `rows_max` items of deleted banks, or records of removed exchanges. Returns whether
    /// more may be there.
    async fn sweep_items(&self, rows_max: u32) -> Result<bool, StoreError>;

    /// Runs the database's own check of its structures: indexes, pages, tables. Takes as long as reading
    /// everything.
    async fn integrity(&self) -> Result<Integrity, StoreError> {
        Ok(Integrity::Unchecked("this store has none".to_owned()))
    }
}

/// Purges removed data.
#[async_trait]
pub(crate) trait Purging {
    /// Removes the bytes of at most `rows_max` changes of the log that are due at `now`.
    async fn purge_due(&self, now: UnixMillis, rows_max: u32) -> Result<PurgedPage, StoreError>;

    /// Returns whether free space of the files must be cleared at `now`.
    async fn erase_is_due(&self, now: UnixMillis) -> Result<bool, StoreError>;

    /// Clears purged data from the free space of the files: completely if `rewrite` is set, which blocks
    /// writes meanwhile; otherwise as far as the database does by itself.
    async fn erase(&self, rewrite: bool) -> Result<(), StoreError>;
}

/// The result of a database's check of its own structures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Integrity {
    /// The structures are sound.
    Whole,
    /// The structures are damaged.
    Damaged {
        /// The faults, at most [`FAULTS_MAX`] of them, without any content.
        faults: Vec<String>,
        /// The recommended repair.
        way_out: &'static str,
    },
    /// The structures were not checked, for this reason.
    Unchecked(String),
}

/// The most faults that are reported of one database.
pub(crate) const FAULTS_MAX: usize = 10;

/// Reads the state of the whole bank.
#[async_trait]
pub(crate) trait ReadState {
    /// Reads everything that the writer keeps in memory, as of one moment. Does not wait for other readers.
    async fn load(&self) -> Result<Loaded, StoreError>;

    /// Reads the head and the counts.
    async fn head_row(&self) -> Result<HeadRow, StoreError>;

    /// Reads the head, the counts and all living banks, as of one moment.
    async fn head_and_banks(&self) -> Result<(HeadRow, Vec<Bank>), StoreError>;
}

/// Reads banks.
#[async_trait]
pub(crate) trait ReadBanks {
    /// Reads the living ones of these banks, by id.
    async fn banks(&self, ids: &[BankId]) -> Result<AsOf<Vec<Bank>>, StoreError>;
}

/// Reads items.
#[async_trait]
pub(crate) trait ReadItems {
    /// Reads the placements of those of these items that have a row, even if their bank is deleted. Does not
    /// wait for other readers.
    async fn placements(&self, items: &[ItemId]) -> Result<Vec<Placement>, StoreError>;

    /// Reads those of these items that have a row, even if their bank is deleted. Does not wait for other
    /// readers.
    async fn contents(&self, items: &[ItemId]) -> Result<Vec<Item>, StoreError>;

    /// Reads the records of these items, and of the items whose content has one of these keys. Items without
    /// a record are left out. Does not wait for other readers.
    async fn known_records(&self, items: &[ItemId], content: &[u64])
    -> Result<Vec<StoredRecord>, StoreError>;

    /// Reads the rows of these removed items in one query, by id. Purged and restored items are left out.
    /// Stops once the rows have `bytes_max` bytes together, though it returns at least one. Returns the rows,
    /// and whether the bound was reached.
    async fn undos(&self, items: &[ItemId], bytes_max: usize) -> Result<(Vec<KeptUndo>, bool), StoreError>;

    /// Reads the restorable removed items of a bank after an id, at most `limit`, by id: items whose rows
    /// have their bytes, and items whose changes the log still has.
    async fn undos_of(&self, bank: BankId, after: ItemId, limit: u16) -> Result<Vec<Undo>, StoreError>;

    /// Reads the records of these items, by item. Items without a record are left out.
    async fn records(&self, items: &[ItemId]) -> Result<Vec<StoredRecord>, StoreError>;

    /// Reads an item of a living bank.
    async fn item(&self, item: ItemId) -> Result<AsOf<Option<Item>>, StoreError>;

    /// Reads the items of a living bank after an id, by id. `bounds` are the most items and the most bytes of
    /// their payloads, though it returns at least one item. `None`: there is no such bank.
    async fn items(
        &self,
        bank: BankId,
        after: ItemId,
        bounds: (u16, usize),
    ) -> Result<AsOf<Option<ItemRows>>, StoreError>;

    /// Finds items of living banks, by id.
    async fn find_items(&self, search: &ItemSearch) -> Result<AsOf<FoundPage>, StoreError>;

    /// Reads items by id, even if their bank is deleted.
    async fn item_page(&self, range: &ItemRange) -> Result<ItemPage, StoreError>;
}

/// Reads the changes of one bank.
#[async_trait]
pub(crate) trait ReadChanges {
    /// Reads a part of the changes of a living bank. `None`: there is no such bank.
    async fn bank_changes(&self, query: &ChangesQuery) -> Result<Option<ChangesPage>, StoreError>;
}

/// Reads the published lists of banks.
#[async_trait]
pub(crate) trait ReadLists {
    /// Reads a part of the list of a living bank. `None`: there is no such bank.
    async fn list_page(&self, query: &ListQuery) -> Result<Option<ListPage>, StoreError>;

    /// Reads the lists of all living banks that have a row.
    async fn lists(&self) -> Result<Vec<StoredList>, StoreError>;
}

/// Reads the records of programmes. Does not wait for other readers.
#[async_trait]
pub(crate) trait ReadExchanges {
    /// Reads these records of an exchange. Missing ones are left out.
    async fn exchange_records(
        &self,
        exchange: ExchangeId,
        keys: &[KeyDigest],
    ) -> Result<Vec<MappedRecord>, StoreError>;

    /// Reads records of an exchange after a key, at most `limit`, by the digests of their keys.
    async fn exchange_records_after(
        &self,
        exchange: ExchangeId,
        after: Option<KeyDigest>,
        limit: u16,
    ) -> Result<Vec<MappedRecord>, StoreError>;

    /// Reads the records of all exchanges with this content, at most `limit`.
    async fn exchange_records_of(
        &self,
        content: ContentDigest,
        limit: u16,
    ) -> Result<Vec<MappedRecord>, StoreError>;
}

/// Reads documents.
#[async_trait]
pub(crate) trait ReadDocuments {
    /// Reads these documents. Missing ones are left out. Does not wait for other readers.
    async fn documents(&self, ids: &[DocumentId]) -> Result<Vec<Document>, StoreError>;

    /// Reads these documents on a reader's connection: waits for other readers, but for no writer.
    async fn documents_seen(&self, ids: &[DocumentId]) -> Result<Vec<Document>, StoreError> {
        self.documents(ids).await
    }

    /// Reads documents of a range, by key.
    async fn document_range(&self, range: &DocumentRange) -> Result<Vec<Document>, StoreError>;
}

/// Reads which items are held, and their standings.
#[async_trait]
pub(crate) trait ReadHolds {
    /// Reads the held items of a range, by id, even if their bank is deleted.
    async fn held_items(&self, range: HeldRange) -> Result<Vec<ItemId>, StoreError>;

    /// Reads the standings in a range of items, by id, even if their bank is deleted. Items without a
    /// standing are left out.
    async fn standings(&self, range: HeldRange) -> Result<Vec<(ItemId, Arc<Standing>)>, StoreError>;

    /// Reads items with a hold that has expired, at most `count_max`.
    async fn ended_holds(&self, now: UnixMillis, count_max: u32) -> Result<Vec<ItemId>, StoreError>;
}

/// Reads the digests of the hashes of banks.
#[async_trait]
pub(crate) trait ReadDigests {
    /// Reads a bank's digests, by partition. Does not wait for other readers.
    async fn bank_digests(&self, bank: BankId) -> Result<Vec<PartDigest>, StoreError>;

    /// Reads the digests of living banks after a bank and partition, at most `limit`, ordered by bank and
    /// partition.
    async fn digests(&self, after: (BankId, u16), limit: u16) -> Result<Vec<PartDigest>, StoreError>;
}

/// Reads the audit.
#[async_trait]
pub(crate) trait ReadAudit {
    /// Reads the tree, and the head of the log, as of one moment.
    async fn audit_head(&self) -> Result<AuditHead, StoreError>;

    /// Reads entries, by index.
    async fn audit_entries(&self, range: &EntryRange) -> Result<EntryPage, StoreError>;

    /// Reads the hashes at these positions, at most 128, in the order of `positions`.
    async fn audit_hashes(&self, positions: &[StoredIndex]) -> Result<Vec<NodeHash>, StoreError>;

    /// Reads the hashes from a position on, at most `limit`, with their positions.
    async fn audit_hashes_from(
        &self,
        from: StoredIndex,
        limit: u16,
    ) -> Result<Vec<(StoredIndex, NodeHash)>, StoreError>;
}
