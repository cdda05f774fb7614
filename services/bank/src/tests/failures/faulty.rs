//! A store that fails on demand, with a gate before its commits.

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock, watch};
use vigie_audit::tree::{NodeHash, StoredIndex};
use vigie_consortium::{ContentDigest, Document, DocumentId, ExchangeId};
use vigie_log::{ChangePage, ChangeRange, Head, LogId, LogRead, LogStore, Recorded, Sequence, StoredBatch};
use vigie_model::{Bank, BankId, Item, ItemId, Standing};

use crate::plan::digests::PartDigest;
use crate::store::changes::{ChangesPage, ChangesQuery};
use crate::store::documents::DocumentRange;
use crate::store::exchanges::{KeyDigest, MappedRecord};
use crate::store::published::{ListPage, ListQuery, StoredList};
use crate::store::{
    AsOf, AuditHead, Batch, CommitError, EntryPage, EntryRange, FoundPage, HeadRow, HeldRange, ItemPage,
    ItemRange, ItemRows, ItemSearch, KeptUndo, Loaded, Placement, PurgedPage, Purging, ReadAudit, ReadBanks,
    ReadChanges, ReadDigests, ReadDocuments, ReadExchanges, ReadHolds, ReadItems, ReadLists, ReadState, Rows,
    StoredRecord, Undo,
};
use crate::tests::*;

/// The fault of the next commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tests) enum Fault {
    /// No fault.
    None,
    /// Commits fail before they begin.
    Refused,
    /// Commits fail while they run, and write nothing.
    UnknownNotDone,
    /// Commits succeed, and their acknowledgement is lost.
    UnknownDone,
    /// Commits succeed, their acknowledgement is lost, and reads fail.
    Unreadable,
    /// The sweeper panics.
    SweepPanics,
    /// Followers that read from the store wait until another fault is set.
    SlowReads,
}

#[derive(Debug)]
pub(in crate::tests) struct Faulty {
    inner: Arc<dyn Store>,
    gate: Arc<RwLock<()>>,
    commits: watch::Sender<u32>,
    fault: watch::Sender<Fault>,
    lookups: Mutex<Vec<usize>>,
    closed: AtomicBool,
}

/// Blocks commits.
pub(in crate::tests) struct Gate(Arc<Faulty>);

impl Gate {
    /// Blocks commits until the guard is dropped.
    pub(in crate::tests) async fn close(&self) -> OwnedRwLockWriteGuard<()> {
        self.0.commits.send_replace(0);
        Arc::clone(&self.0.gate).write_owned().await
    }

    /// Waits until a commit has reached the closed gate.
    pub(in crate::tests) async fn commit_waits(&self) {
        self.0.commits.subscribe().wait_for(|commits| *commits > 0).await.unwrap();
    }

    pub(in crate::tests) fn set(&self, fault: Fault) {
        self.0.fault.send_replace(fault);
    }
}

impl Gate {
    /// Returns the number of keys that were looked up for each group.
    pub(in crate::tests) fn lookups(&self) -> Vec<usize> {
        self.0.lookups.lock().unwrap().clone()
    }

    pub(in crate::tests) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Relaxed)
    }
}

impl Faulty {
    pub(in crate::tests) async fn open(config: &Config) -> (Arc<dyn Store>, Gate) {
        let inner = open(config).await;
        let (gate, commits) = (Arc::default(), watch::Sender::new(0));
        let (fault, lookups, closed) =
            (watch::Sender::new(Fault::None), Mutex::default(), AtomicBool::new(false));
        let store = Arc::new(Self { inner, gate, commits, fault, lookups, closed });
        (Arc::clone(&store) as Arc<dyn Store>, Gate(store))
    }

    fn fault(&self) -> Fault {
        *self.fault.borrow()
    }

    fn readable(&self) -> Result<(), StoreError> {
        if self.fault() == Fault::Unreadable { Err(StoreError::Injected) } else { Ok(()) }
    }
}

#[async_trait]
impl LogRead for Faulty {
    type Error = StoreError;

    fn log_id(&self) -> LogId {
        self.inner.log_id()
    }

    async fn head(&self) -> Result<Head, StoreError> {
        self.readable()?;
        self.inner.head().await
    }

    async fn changes(&self, range: &ChangeRange) -> Result<ChangePage, StoreError> {
        self.readable()?;
        self.fault.subscribe().wait_for(|fault| *fault != Fault::SlowReads).await.unwrap();
        self.inner.changes(range).await
    }

    async fn batches(&self, after: Sequence, limit: u16) -> Result<Vec<StoredBatch>, StoreError> {
        self.inner.batches(after, limit).await
    }

    async fn committed_at(&self, last: Sequence) -> Result<Option<UnixMillis>, StoreError> {
        self.inner.committed_at(last).await
    }

    async fn last_before(&self, time: UnixMillis) -> Result<Option<Sequence>, StoreError> {
        self.inner.last_before(time).await
    }
}

#[async_trait]
impl LogStore<Rows> for Faulty {
    async fn lead(&self) -> Result<Option<Sequence>, StoreError> {
        self.readable()?;
        self.inner.lead().await
    }

    async fn newest(&self) -> Result<Sequence, StoreError> {
        self.readable()?;
        self.inner.newest().await
    }

    async fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        self.commits.send_modify(|commits| *commits += 1);
        let _open = self.gate.read().await;
        match self.fault() {
            Fault::None | Fault::SweepPanics | Fault::SlowReads => self.inner.commit(batch).await,
            Fault::Refused => Err(CommitError::Refused(StoreError::Injected)),
            Fault::UnknownNotDone => Err(CommitError::Unknown(StoreError::Injected)),
            Fault::UnknownDone | Fault::Unreadable => {
                self.inner.commit(batch).await?;
                Err(CommitError::Unknown(StoreError::Injected))
            }
        }
    }

    async fn outcome(&self, head: &Head) -> Result<Option<bool>, StoreError> {
        self.readable()?;
        self.inner.outcome(head).await
    }

    async fn recorded(&self, keys: &[String]) -> Result<Vec<Recorded>, StoreError> {
        self.readable()?;
        self.lookups.lock().unwrap().push(keys.len());
        self.inner.recorded(keys).await
    }

    async fn sweep_keys(&self, before: UnixMillis, rows_max: u32) -> Result<bool, StoreError> {
        self.inner.sweep_keys(before, rows_max).await
    }

    async fn cut(&self, through: Sequence, rows_max: u32) -> Result<bool, StoreError> {
        self.inner.cut(through, rows_max).await
    }

    async fn purge(&self, sequence: Sequence) -> Result<bool, StoreError> {
        self.inner.purge(sequence).await
    }

    async fn close(&self) {
        self.inner.close().await;
        self.closed.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Store for Faulty {
    async fn sweep_items(&self, rows_max: u32) -> Result<bool, StoreError> {
        assert_ne!(self.fault(), Fault::SweepPanics);
        self.inner.sweep_items(rows_max).await
    }
}

#[async_trait]
impl Purging for Faulty {
    async fn purge_due(&self, now: UnixMillis, rows_max: u32) -> Result<PurgedPage, StoreError> {
        self.inner.purge_due(now, rows_max).await
    }

    async fn erase_is_due(&self, now: UnixMillis) -> Result<bool, StoreError> {
        self.inner.erase_is_due(now).await
    }

    async fn erase(&self, rewrite: bool) -> Result<(), StoreError> {
        self.inner.erase(rewrite).await
    }
}

#[async_trait]
impl ReadState for Faulty {
    async fn load(&self) -> Result<Loaded, StoreError> {
        self.readable()?;
        self.inner.load().await
    }

    async fn head_row(&self) -> Result<HeadRow, StoreError> {
        self.readable()?;
        self.inner.head_row().await
    }

    async fn head_and_banks(&self) -> Result<(HeadRow, Vec<Bank>), StoreError> {
        self.inner.head_and_banks().await
    }
}

#[async_trait]
impl ReadBanks for Faulty {
    async fn banks(&self, ids: &[BankId]) -> Result<AsOf<Vec<Bank>>, StoreError> {
        self.inner.banks(ids).await
    }
}

#[async_trait]
impl ReadChanges for Faulty {
    async fn bank_changes(&self, query: &ChangesQuery) -> Result<Option<ChangesPage>, StoreError> {
        self.readable()?;
        self.inner.bank_changes(query).await
    }
}

#[async_trait]
impl ReadLists for Faulty {
    async fn list_page(&self, query: &ListQuery) -> Result<Option<ListPage>, StoreError> {
        self.readable()?;
        self.inner.list_page(query).await
    }

    async fn lists(&self) -> Result<Vec<StoredList>, StoreError> {
        self.readable()?;
        self.inner.lists().await
    }
}

#[async_trait]
impl ReadExchanges for Faulty {
    async fn exchange_records(
        &self,
        exchange: ExchangeId,
        keys: &[KeyDigest],
    ) -> Result<Vec<MappedRecord>, StoreError> {
        self.readable()?;
        self.inner.exchange_records(exchange, keys).await
    }

    async fn exchange_records_after(
        &self,
        exchange: ExchangeId,
        after: Option<KeyDigest>,
        limit: u16,
    ) -> Result<Vec<MappedRecord>, StoreError> {
        self.readable()?;
        self.inner.exchange_records_after(exchange, after, limit).await
    }

    async fn exchange_records_of(
        &self,
        content: ContentDigest,
        limit: u16,
    ) -> Result<Vec<MappedRecord>, StoreError> {
        self.readable()?;
        self.inner.exchange_records_of(content, limit).await
    }
}

#[async_trait]
impl ReadDocuments for Faulty {
    async fn documents(&self, ids: &[DocumentId]) -> Result<Vec<Document>, StoreError> {
        self.readable()?;
        self.inner.documents(ids).await
    }

    async fn document_range(&self, range: &DocumentRange) -> Result<Vec<Document>, StoreError> {
        self.readable()?;
        self.inner.document_range(range).await
    }
}

#[async_trait]
impl ReadHolds for Faulty {
    async fn held_items(&self, range: HeldRange) -> Result<Vec<ItemId>, StoreError> {
        self.readable()?;
        self.inner.held_items(range).await
    }

    async fn standings(&self, range: HeldRange) -> Result<Vec<(ItemId, Arc<Standing>)>, StoreError> {
        self.readable()?;
        self.inner.standings(range).await
    }

    async fn ended_holds(&self, now: UnixMillis, count_max: u32) -> Result<Vec<ItemId>, StoreError> {
        self.inner.ended_holds(now, count_max).await
    }
}

#[async_trait]
impl ReadItems for Faulty {
    async fn placements(&self, items: &[ItemId]) -> Result<Vec<Placement>, StoreError> {
        self.readable()?;
        self.inner.placements(items).await
    }

    async fn contents(&self, items: &[ItemId]) -> Result<Vec<Item>, StoreError> {
        self.readable()?;
        self.inner.contents(items).await
    }

    async fn known_records(
        &self,
        items: &[ItemId],
        content: &[u64],
    ) -> Result<Vec<StoredRecord>, StoreError> {
        self.readable()?;
        self.inner.known_records(items, content).await
    }

    async fn undos(&self, items: &[ItemId], bytes_max: usize) -> Result<(Vec<KeptUndo>, bool), StoreError> {
        self.readable()?;
        self.inner.undos(items, bytes_max).await
    }

    async fn undos_of(&self, bank: BankId, after: ItemId, limit: u16) -> Result<Vec<Undo>, StoreError> {
        self.inner.undos_of(bank, after, limit).await
    }

    async fn records(&self, items: &[ItemId]) -> Result<Vec<StoredRecord>, StoreError> {
        self.readable()?;
        self.inner.records(items).await
    }

    async fn item(&self, item: ItemId) -> Result<AsOf<Option<Item>>, StoreError> {
        self.readable()?;
        self.inner.item(item).await
    }

    async fn items(
        &self,
        bank: BankId,
        after: ItemId,
        bounds: (u16, usize),
    ) -> Result<AsOf<Option<ItemRows>>, StoreError> {
        self.inner.items(bank, after, bounds).await
    }

    async fn find_items(&self, search: &ItemSearch) -> Result<AsOf<FoundPage>, StoreError> {
        self.readable()?;
        self.inner.find_items(search).await
    }

    async fn item_page(&self, range: &ItemRange) -> Result<ItemPage, StoreError> {
        self.inner.item_page(range).await
    }
}

#[async_trait]
impl ReadDigests for Faulty {
    async fn bank_digests(&self, bank: BankId) -> Result<Vec<PartDigest>, StoreError> {
        self.inner.bank_digests(bank).await
    }

    async fn digests(&self, after: (BankId, u16), limit: u16) -> Result<Vec<PartDigest>, StoreError> {
        self.inner.digests(after, limit).await
    }
}

#[async_trait]
impl ReadAudit for Faulty {
    async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        self.readable()?;
        self.inner.audit_head().await
    }

    async fn audit_entries(&self, range: &EntryRange) -> Result<EntryPage, StoreError> {
        self.readable()?;
        self.inner.audit_entries(range).await
    }

    async fn audit_hashes(&self, positions: &[StoredIndex]) -> Result<Vec<NodeHash>, StoreError> {
        self.inner.audit_hashes(positions).await
    }

    async fn audit_hashes_from(
        &self,
        from: StoredIndex,
        limit: u16,
    ) -> Result<Vec<(StoredIndex, NodeHash)>, StoreError> {
        self.inner.audit_hashes_from(from, limit).await
    }
}
