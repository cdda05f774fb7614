//! A store in memory, for simulated banks: committed data survives the bank as long as its [`Disk`] is kept.
//!
//! All operations are immediate and run in one thread, so that a run is reproducible. Commits can be made
//! slow, or can be made to fail with or without effect.

mod audit;
mod changes;
mod documents;
mod exchanges;
mod holds;
mod items;
mod published;
mod purges;
mod undos;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound::{Excluded, Included};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use vigie_audit::tree::{Frontier, NodeHash, Size, StoredIndex};
use vigie_consortium::{Document, DocumentId, Exchange, ExchangeId};
use vigie_log::{
    ChangePage, ChangeRange, Head, LogId, LogRead, LogStore, MemoryLog, Recorded, Sequence, StoredBatch,
    UnixMillis,
};
use vigie_model::{Bank, BankId, Item, ItemId, Partition, SetDigest};
use vigie_proto::bank::decode_item;

use crate::plan::digests::{PartDigest, Parts, Totals, slice_of};
use crate::plan::purge::{Purge, PurgeTimes, Removed};
use crate::store::error::{CommitError, StoreError, corrupt};
use crate::store::exchanges::{KeyDigest, MappedRecord};
use crate::store::published::{ListEntry, StoredList};
use crate::store::records::{
    AsOf, Batch, Counts, DirectoryKey, DirectoryRow, FoundPage, HeadRow, ItemPage, ItemRange, ItemRows,
    ItemSearch, KeptUndo, Loaded, Placement, Rows, StoredEntry, StoredRecord, Undo,
};
use crate::store::touched::Touched;
use crate::store::{ReadBanks, ReadDigests, ReadItems, ReadState, Store};

/// The outcome of a simulated commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFate {
    /// The commit succeeds after this time.
    Done(Duration),
    /// The commit fails before anything is written.
    Refused,
    /// The commit succeeds, and its acknowledgement is lost.
    DoneUnseen,
    /// The commit does not happen, and the writer cannot know that.
    NotDoneUnseen,
}

/// Draws the outcome of the next commit.
pub type DrawFate = dyn FnMut() -> CommitFate + Send;

/// The data of a simulated bank, which outlives the bank.
#[derive(Clone)]
pub struct Disk {
    contents: Arc<Mutex<Contents>>,
    fates: Arc<Mutex<Box<DrawFate>>>,
}

impl Disk {
    /// Returns an empty disk for a log with this id.
    pub fn new(log_id: [u8; 16], fates: Box<DrawFate>) -> Self {
        let contents = Contents {
            log_id: LogId(log_id),
            log: MemoryLog::default(),
            counts: Counts::EMPTY,
            banks: BTreeMap::new(),
            items: BTreeMap::new(),
            records: BTreeMap::new(),
            undos: BTreeMap::new(),
            touched: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            exchange_records: BTreeMap::new(),
            documents: BTreeMap::new(),
            lists: BTreeMap::new(),
            list_entries: BTreeMap::new(),
            parts: Parts::default(),
            directory: BTreeMap::new(),
            entries: Vec::new(),
            nodes: Vec::new(),
            purges: BTreeMap::new(),
            bank_purges: BTreeMap::new(),
        };
        Self { contents: Arc::new(Mutex::new(contents)), fates: Arc::new(Mutex::new(fates)) }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Nothing that holds this lock panics halfway.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self) -> CommitFate {
        (self.fates.lock().unwrap_or_else(PoisonError::into_inner))()
    }
}

/// Shows the sequence of the log's head.
impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disk(at {})", self.contents().log.head().sequence)
    }
}

struct Contents {
    log_id: LogId,
    log: MemoryLog,
    counts: Counts,
    banks: BTreeMap<BankId, Bank>,
    items: BTreeMap<ItemId, Vec<u8>>,
    records: BTreeMap<ItemId, StoredRecord>,
    undos: BTreeMap<ItemId, (Undo, Option<Vec<u8>>)>,
    touched: BTreeMap<ItemId, Touched>,
    exchanges: BTreeMap<ExchangeId, Exchange>,
    exchange_records: BTreeMap<(ExchangeId, KeyDigest), MappedRecord>,
    documents: BTreeMap<DocumentId, Document>,
    lists: BTreeMap<BankId, StoredList>,
    /// Entries of the lists, by bank and number.
    list_entries: BTreeMap<(BankId, u64), ListEntry>,
    parts: Parts,
    directory: BTreeMap<DirectoryKey, DirectoryRow>,
    /// Entries of the audit, by index.
    entries: Vec<StoredEntry>,
    /// Hashes of the audit's tree, by position.
    nodes: Vec<NodeHash>,
    purges: BTreeMap<ItemId, PurgeTimes>,
    bank_purges: BTreeMap<BankId, PurgeTimes>,
}

impl Contents {
    fn write(&mut self, batch: &Batch) -> bool {
        if batch.rows.audited_before() != self.counts.audited || !self.log.append(batch) {
            return false;
        }
        let rows = &batch.rows;
        self.counts = rows.counts;
        let written = rows.items_added.iter().chain(&rows.items_relabelled);
        self.items.extend(written.map(|item| (item.placement.item, item.payload.clone())));
        self.set_undos(rows);
        self.set_exchanges(&rows.exchanges);
        self.set_documents(&rows.documents);
        self.set_lists(&rows.lists);
        self.touched.extend(rows.touched.iter().map(|touched| (touched.item, *touched)));
        self.records.extend(rows.records_set.iter().map(|set| (set.item, set.clone())));
        for item in &rows.items_removed {
            self.items.remove(item);
            self.records.remove(item);
        }
        self.banks.extend(rows.banks_set.iter().map(|bank| (bank.id, bank.clone())));
        for bank in &rows.banks_deleted {
            self.banks.remove(bank);
            self.parts.remove(*bank);
        }
        for PartDigest { bank, partition, digest } in &rows.digests {
            *self.parts.part(*bank, *partition) += *digest;
        }
        rows.directory.gone.iter().for_each(|key| drop(self.directory.remove(key)));
        self.directory.extend(rows.directory.set.iter().map(|row| (row.key, row.clone())));
        self.nodes.extend(rows.audit.iter().flat_map(StoredEntry::hashes).map(|(_, hash)| hash));
        self.entries.extend(rows.audit.iter().cloned());
        for Purge { of, times } in &rows.purges {
            match of {
                Removed::Item(item) => drop(self.purges.insert(*item, *times)),
                Removed::Bank(bank) => drop(self.bank_purges.insert(*bank, *times)),
            }
        }
        true
    }

    fn item(&self, id: ItemId) -> Result<Option<Item>, StoreError> {
        self.items.get(&id).map(|payload| read(id, payload)).transpose()
    }

    fn is_living(&self, item: &Item) -> bool {
        self.banks.contains_key(&item.bank)
    }

    fn head_row(&self) -> HeadRow {
        HeadRow { head: self.log.head(), counts: self.counts }
    }

    fn sequence(&self) -> Sequence {
        self.log.head().sequence
    }

    /// Returns the hashes of the audit's tree at these positions.
    fn nodes(&self, positions: &[StoredIndex]) -> Result<Vec<NodeHash>, StoreError> {
        let node = |position: &StoredIndex| {
            let at = usize::try_from(position.0).ok();
            at.and_then(|at| self.nodes.get(at)).copied().ok_or_else(|| corrupt("a hash of the audit"))
        };
        positions.iter().map(node).collect()
    }

    fn audit_size(&self) -> Result<Size, StoreError> {
        Size::new(self.counts.audited).ok_or_else(|| corrupt("the head"))
    }

    fn frontier(&self) -> Result<Frontier, StoreError> {
        let query = Frontier::query(self.audit_size()?);
        let hashes = self.nodes(query.positions())?;
        query.answer(&hashes).map_err(|_| corrupt("a hash of the audit"))
    }
}

fn read(id: ItemId, payload: &[u8]) -> Result<Item, StoreError> {
    decode_item(payload).map_err(|_| StoreError::Corrupt { row: format!("item {id}") })
}

/// Takes entries until one of the bounds is reached; returns them and whether that happened.
fn page<T>(
    entries: impl Iterator<Item = T>,
    count_max: usize,
    bytes_max: usize,
    size: impl Fn(&T) -> usize,
) -> (Vec<T>, bool) {
    let (mut taken, mut bytes) = (Vec::new(), 0);
    for entry in entries {
        bytes += size(&entry);
        if !taken.is_empty() && (bytes > bytes_max || taken.len() >= count_max) {
            return (taken, true);
        }
        taken.push(entry);
    }
    (taken, false)
}

/// The store of a simulated bank, in memory.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    disk: Disk,
    log_id: LogId,
}

impl MemoryStore {
    /// Opens the store on a disk.
    pub(crate) fn open(disk: Disk) -> Self {
        let log_id = disk.contents().log_id;
        Self { disk, log_id }
    }
}

#[async_trait]
impl LogRead for MemoryStore {
    type Error = StoreError;

    fn log_id(&self) -> LogId {
        self.log_id
    }

    async fn head(&self) -> Result<Head, StoreError> {
        Ok(self.disk.contents().log.head())
    }

    async fn changes(&self, range: &ChangeRange) -> Result<ChangePage, StoreError> {
        Ok(self.disk.contents().log.changes(range))
    }

    async fn batches(&self, after: Sequence, limit: u16) -> Result<Vec<StoredBatch>, StoreError> {
        Ok(self.disk.contents().log.batches(after, limit))
    }

    async fn committed_at(&self, last: Sequence) -> Result<Option<UnixMillis>, StoreError> {
        Ok(self.disk.contents().log.committed_at(last))
    }

    async fn last_before(&self, time: UnixMillis) -> Result<Option<Sequence>, StoreError> {
        Ok(self.disk.contents().log.last_before(time))
    }
}

#[async_trait]
impl LogStore<Rows> for MemoryStore {
    async fn lead(&self) -> Result<Option<Sequence>, StoreError> {
        Ok(Some(Sequence::ZERO))
    }

    async fn newest(&self) -> Result<Sequence, StoreError> {
        Ok(self.disk.contents().sequence())
    }

    async fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let unseen = || CommitError::Unknown(StoreError::Simulated);
        match self.disk.draw() {
            CommitFate::Done(after) => {
                tokio::time::sleep(after).await;
                if self.disk.contents().write(batch) { Ok(()) } else { Err(CommitError::StaleHead) }
            }
            CommitFate::Refused => Err(CommitError::Refused(StoreError::Simulated)),
            CommitFate::DoneUnseen => {
                if self.disk.contents().write(batch) {
                    Err(unseen())
                } else {
                    Err(CommitError::StaleHead)
                }
            }
            CommitFate::NotDoneUnseen => Err(unseen()),
        }
    }

    async fn outcome(&self, head: &Head) -> Result<Option<bool>, StoreError> {
        Ok(self.disk.contents().log.has(head).then_some(true))
    }

    async fn recorded(&self, keys: &[String]) -> Result<Vec<Recorded>, StoreError> {
        Ok(self.disk.contents().log.recorded(keys))
    }

    async fn sweep_keys(&self, before: UnixMillis, _rows_max: u32) -> Result<bool, StoreError> {
        self.disk.contents().log.sweep_keys(before);
        Ok(false)
    }

    async fn cut(&self, through: Sequence, rows_max: u32) -> Result<bool, StoreError> {
        Ok(self.disk.contents().log.cut(through, rows_max))
    }

    async fn purge(&self, sequence: Sequence) -> Result<bool, StoreError> {
        Ok(self.disk.contents().log.purge(sequence))
    }

    async fn close(&self) {}
}

#[async_trait]
impl Store for MemoryStore {
    async fn sweep_items(&self, rows_max: u32) -> Result<bool, StoreError> {
        let mut contents = self.disk.contents();
        let mut gone = Vec::new();
        for (id, payload) in &contents.items {
            let item = read(*id, payload)?;
            if !contents.is_living(&item) && gone.len() < rows_max as usize {
                gone.push((*id, item.bank));
            }
        }
        for (id, bank) in &gone {
            contents.items.remove(id);
            contents.records.remove(id);
            let times = contents.bank_purges.get(bank).copied();
            contents.purges.extend(times.map(|times| (*id, times)));
        }
        let Contents { banks, touched, .. } = &mut *contents;
        touched.retain(|_, touched| banks.contains_key(&touched.bank));
        contents.sweep_exchanges();
        contents.sweep_lists();
        Ok(gone.len() == rows_max as usize)
    }
}

#[async_trait]
impl ReadState for MemoryStore {
    async fn load(&self) -> Result<Loaded, StoreError> {
        let contents = self.disk.contents();
        let HeadRow { head, counts } = contents.head_row();
        let mut totals = Totals::empty();
        let parts: Vec<(u16, SetDigest)> =
            contents.parts.iter().map(|part| (part.partition, part.digest)).collect();
        totals.add(&parts);
        let banks = contents.banks.values().cloned().collect();
        let directory = contents.directory.values().cloned().collect();
        let audit = contents.frontier()?;
        let exchanges = contents.exchanges.values().cloned().collect();
        let lists = contents.lists.values().copied().collect();
        let list_secret = contents.list_secret();
        Ok(Loaded { head, counts, banks, totals, directory, audit, exchanges, lists, list_secret })
    }

    async fn head_row(&self) -> Result<HeadRow, StoreError> {
        Ok(self.disk.contents().head_row())
    }

    async fn head_and_banks(&self) -> Result<(HeadRow, Vec<Bank>), StoreError> {
        let contents = self.disk.contents();
        Ok((contents.head_row(), contents.banks.values().cloned().collect()))
    }
}

#[async_trait]
impl ReadBanks for MemoryStore {
    async fn banks(&self, ids: &[BankId]) -> Result<AsOf<Vec<Bank>>, StoreError> {
        let contents = self.disk.contents();
        let mut banks: Vec<Bank> = ids.iter().filter_map(|id| contents.banks.get(id).cloned()).collect();
        banks.sort_unstable_by_key(|bank| bank.id);
        Ok(AsOf { value: banks, sequence: contents.sequence() })
    }
}

#[async_trait]
impl ReadItems for MemoryStore {
    async fn placements(&self, items: &[ItemId]) -> Result<Vec<Placement>, StoreError> {
        let contents = self.disk.contents();
        let found = items.iter().filter_map(|item| contents.item(*item).transpose());
        found.map(|item| item.map(|item| Placement::of(&item))).collect()
    }

    async fn contents(&self, items: &[ItemId]) -> Result<Vec<Item>, StoreError> {
        let contents = self.disk.contents();
        items.iter().filter_map(|item| contents.item(*item).transpose()).collect()
    }

    async fn known_records(
        &self,
        items: &[ItemId],
        content: &[u64],
    ) -> Result<Vec<StoredRecord>, StoreError> {
        let contents = self.disk.contents();
        let is_asked =
            |set: &&StoredRecord| items.contains(&set.item) || content.contains(&set.record.content.key());
        Ok(contents.records.values().filter(is_asked).cloned().collect())
    }

    async fn undos(&self, items: &[ItemId], bytes_max: usize) -> Result<(Vec<KeptUndo>, bool), StoreError> {
        let kept = self.disk.contents().kept_undos(items).into_iter();
        Ok(page(kept, usize::MAX, bytes_max, KeptUndo::bytes))
    }

    async fn undos_of(&self, bank: BankId, after: ItemId, limit: u16) -> Result<Vec<Undo>, StoreError> {
        Ok(self.disk.contents().undos_of(bank, after).take(limit.into()).collect())
    }

    async fn records(&self, items: &[ItemId]) -> Result<Vec<StoredRecord>, StoreError> {
        self.known_records(items, &[]).await
    }

    async fn item(&self, item: ItemId) -> Result<AsOf<Option<Item>>, StoreError> {
        let contents = self.disk.contents();
        let found = contents.item(item)?.filter(|item| contents.is_living(item));
        Ok(AsOf { value: found, sequence: contents.sequence() })
    }

    async fn items(
        &self,
        bank: BankId,
        after: ItemId,
        bounds: (u16, usize),
    ) -> Result<AsOf<Option<ItemRows>>, StoreError> {
        self.disk.contents().items_of(bank, after, bounds)
    }

    async fn find_items(&self, search: &ItemSearch) -> Result<AsOf<FoundPage>, StoreError> {
        self.disk.contents().found(search)
    }

    async fn item_page(&self, range: &ItemRange) -> Result<ItemPage, StoreError> {
        let contents = self.disk.contents();
        if range.after >= range.through {
            return Ok(ItemPage { items: Vec::new(), through: range.through });
        }
        let falls_to =
            |id: ItemId| range.shard.is_none_or(|shard| slice_of(shard).has(Some(Partition::of(id).get())));
        let rows = contents
            .items
            .range((Excluded(range.after), Included(range.through)))
            .filter(|(id, _)| falls_to(**id));
        let (rows, cut) = page(rows, range.count_max, range.bytes_max, |(_, payload)| payload.len());
        let last = rows.last().map(|(id, _)| **id);
        let items = rows.into_iter().map(|(id, payload)| read(*id, payload)).collect::<Result<_, _>>()?;
        Ok(ItemPage { items, through: last.filter(|_| cut).unwrap_or(range.through) })
    }
}

#[async_trait]
impl ReadDigests for MemoryStore {
    async fn bank_digests(&self, bank: BankId) -> Result<Vec<PartDigest>, StoreError> {
        Ok(self.disk.contents().parts.of(bank).collect())
    }

    async fn digests(&self, after: (BankId, u16), limit: u16) -> Result<Vec<PartDigest>, StoreError> {
        let contents = self.disk.contents();
        let beyond = contents.parts.iter().filter(|part| (part.bank, part.partition) > after);
        Ok(beyond.take(limit.into()).collect())
    }
}
