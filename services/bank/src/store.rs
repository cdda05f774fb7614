//! What the bank asks of a database. The rest of the crate knows no SQL.
//!
//! A store keeps the log ([`vigie_log::LogStore`]) and the state that follows from it. It decides nothing: a [`Batch`]
//! holds every row as it is to be. There is one trait for each family of records that are read.

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

/// Opens the store that the settings name, for a bank. Creates what is not there yet, and brings it up to date.
pub(crate) async fn open(location: &Location, config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    let readers = config.read_connections_max;
    Ok(match location {
        Location::File(_) | Location::Memory => Arc::new(SqliteStore::open(location, readers).await?),
        Location::Postgres(url) => Arc::new(PostgresStore::open(url, config.allow_unflushed, readers).await?),
    })
}

/// Where a bank gets its store.
#[derive(Debug)]
pub(crate) enum Source {
    /// The settings name it.
    At(Location),
    /// It is open.
    Open(Arc<dyn Store>),
}

impl Source {
    /// Opens it, as often as it is asked.
    pub(crate) async fn open(&self, config: &Config) -> Result<Arc<dyn Store>, StoreError> {
        match self {
            Self::At(location) => open(location, config).await,
            Self::Open(store) => Ok(Arc::clone(store)),
        }
    }
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
    /// Removes at most `rows_max` items of deleted banks, or records of removed exchanges. Returns whether more may be there.
    async fn sweep_items(&self, rows_max: u32) -> Result<bool, StoreError>;

    /// Has the database check its own structures: indexes, pages, tables. Takes as long as reading everything.
    async fn integrity(&self) -> Result<Integrity, StoreError> {
        Ok(Integrity::Unchecked("this store has none".to_owned()))
    }
}

/// Purges what was removed.
#[async_trait]
pub(crate) trait Purging {
    /// Removes the bytes of at most `rows_max` changes of the log that are due by now.
    async fn purge_due(&self, now: UnixMillis, rows_max: u32) -> Result<PurgedPage, StoreError>;

    /// Whether free space of the files is to be cleared by now.
    async fn erase_is_due(&self, now: UnixMillis) -> Result<bool, StoreError>;

    /// Clears the free space of the files of what was purged: completely where it may rewrite them, which writes wait for, and
    /// as far as the database does by itself otherwise.
    async fn erase(&self, rewrite: bool) -> Result<(), StoreError>;
}

/// What a database says of its own structures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Integrity {
    /// They are whole.
    Whole,
    /// They are broken.
    Damaged {
        /// How, at most [`FAULTS_MAX`] of it, without any content.
        faults: Vec<String>,
        /// What to do about it.
        way_out: &'static str,
    },
    /// They were not checked.
    Unchecked(String),
}

/// Faults that are told of one database.
pub(crate) const FAULTS_MAX: usize = 10;

/// Reads what belongs to the whole bank.
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
    /// Reads those of these banks that are living, by id.
    async fn banks(&self, ids: &[BankId]) -> Result<AsOf<Vec<Bank>>, StoreError>;
}

/// Reads items.
#[async_trait]
pub(crate) trait ReadItems {
    /// Reads where those of these items are that have a row, be their bank living or not. Does not wait for other readers.
    async fn placements(&self, items: &[ItemId]) -> Result<Vec<Placement>, StoreError>;

    /// Reads those of these items that have a row, be their bank living or not. Does not wait for other readers.
    async fn contents(&self, items: &[ItemId]) -> Result<Vec<Item>, StoreError>;

    /// Reads the records of those of these items that have one, and of items whose content has one of these keys. Does not wait for
    /// other readers.
    async fn known_records(&self, items: &[ItemId], content: &[u64])
    -> Result<Vec<StoredRecord>, StoreError>;

    /// Reads the rows of those of these removed items that were not purged and not brought back, in one query, by id; no more once they have
    /// so many bytes together, though always one. Tells whether that bound was reached.
    async fn undos(&self, items: &[ItemId], bytes_max: usize) -> Result<(Vec<KeptUndo>, bool), StoreError>;

    /// Reads the removed items of a bank after an id that can be brought back, at most `limit`, by id: those whose rows have their bytes, and
    /// those whose changes the log still has.
    async fn undos_of(&self, bank: BankId, after: ItemId, limit: u16) -> Result<Vec<Undo>, StoreError>;

    /// Reads the records of those of these items that have one, by item.
    async fn records(&self, items: &[ItemId]) -> Result<Vec<StoredRecord>, StoreError>;

    /// Reads an item of a living bank.
    async fn item(&self, item: ItemId) -> Result<AsOf<Option<Item>>, StoreError>;

    /// Reads the items of a living bank after an id, by id: at most so many of them and of bytes of their payloads, though always one. `None`:
    /// there is no such bank.
    async fn items(
        &self,
        bank: BankId,
        after: ItemId,
        bounds: (u16, usize),
    ) -> Result<AsOf<Option<ItemRows>>, StoreError>;

    /// Finds items of living banks, by id.
    async fn find_items(&self, search: &ItemSearch) -> Result<AsOf<FoundPage>, StoreError>;

    /// Reads items by id, be their bank living or not.
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
    /// Reads those of these records of an exchange that are there.
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

    /// Reads records of all exchanges that have some content, at most `limit`.
    async fn exchange_records_of(
        &self,
        content: ContentDigest,
        limit: u16,
    ) -> Result<Vec<MappedRecord>, StoreError>;
}

/// Reads documents.
#[async_trait]
pub(crate) trait ReadDocuments {
    /// Reads those of these documents that are there. Does not wait for other readers.
    async fn documents(&self, ids: &[DocumentId]) -> Result<Vec<Document>, StoreError>;

    /// The same as readers see it: waits for other readers, and for no writer.
    async fn documents_seen(&self, ids: &[DocumentId]) -> Result<Vec<Document>, StoreError> {
        self.documents(ids).await
    }

    /// Reads documents of a range, by key.
    async fn document_range(&self, range: &DocumentRange) -> Result<Vec<Document>, StoreError>;
}

/// Reads which items are held, and their standings.
#[async_trait]
pub(crate) trait ReadHolds {
    /// Reads the held items of a range, by id, be their bank living or not.
    async fn held_items(&self, range: HeldRange) -> Result<Vec<ItemId>, StoreError>;

    /// Reads the standings of items of a range that have one, by id, be their bank living or not.
    async fn standings(&self, range: HeldRange) -> Result<Vec<(ItemId, Arc<Standing>)>, StoreError>;

    /// Reads items of which a hold has ended by itself, at most `count_max`.
    async fn ended_holds(&self, now: UnixMillis, count_max: u32) -> Result<Vec<ItemId>, StoreError>;
}

/// Reads the digests of the hashes of banks.
#[async_trait]
pub(crate) trait ReadDigests {
    /// Reads a bank's digests, by partition. Does not wait for other readers.
    async fn bank_digests(&self, bank: BankId) -> Result<Vec<PartDigest>, StoreError>;

    /// Reads the digests of living banks after a bank and partition, at most `limit`, by both.
    async fn digests(&self, after: (BankId, u16), limit: u16) -> Result<Vec<PartDigest>, StoreError>;
}

/// Reads the audit.
#[async_trait]
pub(crate) trait ReadAudit {
    /// Reads the tree, and the head of the log as of the same moment.
    async fn audit_head(&self) -> Result<AuditHead, StoreError>;

    /// Reads entries, by index.
    async fn audit_entries(&self, range: &EntryRange) -> Result<EntryPage, StoreError>;

    /// Reads the hashes at these positions, at most 128, in their order.
    async fn audit_hashes(&self, positions: &[StoredIndex]) -> Result<Vec<NodeHash>, StoreError>;

    /// Reads the hashes from a position on, at most `limit`, with their positions.
    async fn audit_hashes_from(
        &self,
        from: StoredIndex,
        limit: u16,
    ) -> Result<Vec<(StoredIndex, NodeHash)>, StoreError>;
}
