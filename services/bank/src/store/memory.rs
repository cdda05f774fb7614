//! A store in memory, for simulated banks: what is committed survives the bank, as long as its [`Disk`] is kept.
//!
//! Everything happens at once and in one thread, so that a run can be had again, and its commits can be made slow, or
//! to fail with or without having been done.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use vigie_model::change::LogId;
use vigie_model::{
    Bank, BankId, BankName, Item, ItemId, LogHead, Partition, Sequence, SetDigest, ShardIdentity, UnixMillis,
};
use vigie_proto::bank::decode_item;

use crate::chain::GENESIS;
use crate::digests::{PartDigest, Parts, Totals};
use crate::store::{
    AsOf, Batch, ChangePage, ChangeRange, CommitError, Head, ItemPage, ItemRange, Loaded, Placement,
    Recorded, Store, StoreError, StoredBatch, StoredChange,
};

/// What befalls a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFate {
    /// It is done after a while.
    Done(Duration),
    /// It fails before anything is written.
    Refused,
    /// It is done, and the news of it is lost.
    DoneUnseen,
    /// It is not done, and nobody can tell.
    NotDoneUnseen,
}

/// Draws what befalls the next commit.
pub type DrawFate = dyn FnMut() -> CommitFate + Send;

/// What outlives a bank.
#[derive(Clone)]
pub struct Disk {
    contents: Arc<Mutex<Contents>>,
    fates: Arc<Mutex<Box<DrawFate>>>,
}

impl Disk {
    /// An empty disk, whose log has this id.
    pub fn new(log_id: [u8; 16], fates: Box<DrawFate>) -> Self {
        let log = LogHead {
            sequence: Sequence::ZERO,
            chain: GENESIS,
            banks: 0,
            items: 0,
            hashes: 0,
            floor: Sequence::ZERO,
        };
        let contents = Contents {
            log_id: LogId(log_id),
            head: Head { log, next_bank: 1 },
            banks: BTreeMap::new(),
            items: BTreeMap::new(),
            parts: Parts::default(),
            changes: BTreeMap::new(),
            batches: BTreeMap::new(),
            recorded: HashMap::new(),
        };
        Self { contents: Arc::new(Mutex::new(contents)), fates: Arc::new(Mutex::new(fates)) }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Nothing in there panics half way.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self) -> CommitFate {
        (self.fates.lock().unwrap_or_else(PoisonError::into_inner))()
    }
}

/// Shows how far the log has come.
impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disk(at {})", self.contents().head.log.sequence)
    }
}

struct Contents {
    log_id: LogId,
    head: Head,
    banks: BTreeMap<BankId, Bank>,
    items: BTreeMap<ItemId, Vec<u8>>,
    parts: Parts,
    changes: BTreeMap<Sequence, StoredChange>,
    batches: BTreeMap<Sequence, (StoredBatch, UnixMillis)>,
    recorded: HashMap<String, Recorded>,
}

impl Contents {
    fn write(&mut self, batch: &Batch) -> bool {
        let (known, expected) = (&self.head.log, &batch.expected.log);
        if (known.sequence, known.chain) != (expected.sequence, expected.chain) {
            return false;
        }
        let floor = self.head.log.floor;
        self.head = batch.head;
        self.head.log.floor = floor;
        let LogHead { sequence, chain, .. } = self.head.log;
        self.batches.insert(sequence, (StoredBatch { last: sequence, chain }, batch.committed_at));
        self.changes.extend(batch.changes.iter().map(|change| (change.sequence, change.clone())));
        self.items.extend(batch.items_added.iter().map(|item| (item.placement.item, item.payload.clone())));
        batch.items_removed.iter().for_each(|item| drop(self.items.remove(item)));
        self.banks.extend(batch.banks_set.iter().map(|bank| (bank.id, bank.clone())));
        for bank in &batch.banks_deleted {
            self.banks.remove(bank);
            self.parts.remove(*bank);
        }
        for PartDigest { bank, partition, digest } in &batch.digests {
            *self.parts.part(*bank, *partition) += *digest;
        }
        self.recorded.extend(batch.recorded.iter().map(|record| (record.key.clone(), record.clone())));
        true
    }

    fn item(&self, id: ItemId) -> Result<Option<Item>, StoreError> {
        self.items.get(&id).map(|payload| read(id, payload)).transpose()
    }

    fn is_living(&self, item: &Item) -> bool {
        self.banks.contains_key(&item.bank)
    }

    fn state(&self) -> (Head, Vec<Bank>) {
        (self.head, self.banks.values().cloned().collect())
    }
}

fn read(id: ItemId, payload: &[u8]) -> Result<Item, StoreError> {
    decode_item(payload).map_err(|_| StoreError::Corrupt { row: format!("item {id}") })
}

fn falls_to(shard: Option<ShardIdentity>, partition: u16) -> bool {
    shard.is_none_or(|shard| partition % shard.shard_count().get() == shard.shard().0)
}

/// Takes entries until one of the bounds is reached; tells whether it was.
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

/// See the module.
#[derive(Debug)]
pub(crate) struct MemoryStore {
    disk: Disk,
    log_id: LogId,
}

impl MemoryStore {
    /// What is on a disk.
    pub(crate) fn open(disk: Disk) -> Self {
        let log_id = disk.contents().log_id;
        Self { disk, log_id }
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn log_id(&self) -> LogId {
        self.log_id
    }

    async fn load(&self) -> Result<Loaded, StoreError> {
        let contents = self.disk.contents();
        let (head, banks) = contents.state();
        let mut totals = Totals::empty();
        let parts: Vec<(u16, SetDigest)> =
            contents.parts.iter().map(|part| (part.partition, part.digest)).collect();
        totals.apply(&parts);
        Ok(Loaded { head, banks, totals })
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

    async fn outcome(&self, batch: &Batch) -> Result<Option<bool>, StoreError> {
        let LogHead { sequence, chain, .. } = batch.head.log;
        let contents = self.disk.contents();
        let there = contents.batches.get(&sequence).is_some_and(|(found, _)| found.chain == chain);
        Ok(there.then_some(true))
    }

    async fn newest(&self) -> Result<Sequence, StoreError> {
        Ok(self.disk.contents().head.log.sequence)
    }

    async fn placements(&self, items: &[ItemId]) -> Result<Vec<Placement>, StoreError> {
        let contents = self.disk.contents();
        let found = items.iter().filter_map(|item| contents.item(*item).transpose());
        found.map(|item| item.map(|item| Placement::of(&item))).collect()
    }

    async fn bank_digests(&self, bank: BankId) -> Result<Vec<PartDigest>, StoreError> {
        Ok(self.disk.contents().parts.of(bank).collect())
    }

    async fn recorded(&self, keys: &[String]) -> Result<Vec<Recorded>, StoreError> {
        let contents = self.disk.contents();
        Ok(keys.iter().filter_map(|key| contents.recorded.get(key).cloned()).collect())
    }

    async fn head(&self) -> Result<LogHead, StoreError> {
        Ok(self.disk.contents().head.log)
    }

    async fn bank(&self, name: &BankName) -> Result<AsOf<Option<Bank>>, StoreError> {
        let contents = self.disk.contents();
        let value = contents.banks.values().find(|bank| bank.name == *name).cloned();
        Ok(AsOf { value, sequence: contents.head.log.sequence })
    }

    async fn banks(&self, after: BankId, limit: u16) -> Result<AsOf<Vec<Bank>>, StoreError> {
        let contents = self.disk.contents();
        let banks = contents.banks.range((Excluded(after), Unbounded)).map(|(_, bank)| bank.clone());
        Ok(AsOf { value: banks.take(limit.into()).collect(), sequence: contents.head.log.sequence })
    }

    async fn item(&self, item: ItemId) -> Result<AsOf<Option<(Item, BankName)>>, StoreError> {
        let contents = self.disk.contents();
        let found = contents.item(item)?;
        let named = found.and_then(|item| {
            let name = contents.banks.get(&item.bank)?.name.clone();
            Some((item, name))
        });
        Ok(AsOf { value: named, sequence: contents.head.log.sequence })
    }

    async fn items(
        &self,
        bank: &BankName,
        after: ItemId,
        limit: u16,
    ) -> Result<AsOf<Option<Vec<Item>>>, StoreError> {
        let contents = self.disk.contents();
        let sequence = contents.head.log.sequence;
        let Some(bank) = contents.banks.values().find(|known| known.name == *bank).map(|bank| bank.id) else {
            return Ok(AsOf { value: None, sequence });
        };
        let items =
            contents.items.range((Excluded(after), Unbounded)).map(|(id, payload)| read(*id, payload));
        let own = items.filter(|item| item.as_ref().map_or(true, |item| item.bank == bank));
        Ok(AsOf { value: Some(own.take(limit.into()).collect::<Result<_, _>>()?), sequence })
    }

    async fn state(&self) -> Result<(Head, Vec<Bank>), StoreError> {
        Ok(self.disk.contents().state())
    }

    async fn item_page(&self, range: &ItemRange) -> Result<ItemPage, StoreError> {
        let contents = self.disk.contents();
        if range.after >= range.through {
            return Ok(ItemPage { items: Vec::new(), through: range.through });
        }
        let rows = contents
            .items
            .range((Excluded(range.after), std::ops::Bound::Included(range.through)))
            .filter(|(id, _)| falls_to(range.shard, Partition::of(**id).get()));
        let (rows, cut) = page(rows, range.count_max, range.bytes_max, |(_, payload)| payload.len());
        let last = rows.last().map(|(id, _)| **id);
        let items = rows.into_iter().map(|(id, payload)| read(*id, payload)).collect::<Result<_, _>>()?;
        Ok(ItemPage { items, through: last.filter(|_| cut).unwrap_or(range.through) })
    }

    async fn digests(&self, after: (BankId, u16), limit: u16) -> Result<Vec<PartDigest>, StoreError> {
        let contents = self.disk.contents();
        let beyond = contents.parts.iter().filter(|part| (part.bank, part.partition) > after);
        Ok(beyond.take(limit.into()).collect())
    }

    async fn changes(&self, range: &ChangeRange) -> Result<ChangePage, StoreError> {
        let contents = self.disk.contents();
        let floor = contents.head.log.floor;
        if range.after >= range.through {
            return Ok(ChangePage { changes: Vec::new(), through: range.through, floor });
        }
        let rows = contents
            .changes
            .range((Excluded(range.after), std::ops::Bound::Included(range.through)))
            .map(|(_, change)| change)
            .filter(|change| change.partition.is_none_or(|partition| falls_to(range.shard, partition)));
        let (rows, cut) = page(rows, range.count_max, range.bytes_max, |change| change.payload.len());
        let last = rows.last().map(|change| change.sequence);
        let through = last.filter(|_| cut).unwrap_or(range.through);
        Ok(ChangePage { changes: rows.into_iter().cloned().collect(), through, floor })
    }

    async fn batches(&self, after: Sequence, limit: u16) -> Result<Vec<StoredBatch>, StoreError> {
        let contents = self.disk.contents();
        let beyond = contents.batches.range((Excluded(after), Unbounded)).map(|(_, (batch, _))| *batch);
        Ok(beyond.take(limit.into()).collect())
    }

    async fn sweep_items(&self, rows_max: u32) -> Result<bool, StoreError> {
        let mut contents = self.disk.contents();
        let mut gone = Vec::new();
        for (id, payload) in &contents.items {
            if !contents.is_living(&read(*id, payload)?) && gone.len() < rows_max as usize {
                gone.push(*id);
            }
        }
        gone.iter().for_each(|id| drop(contents.items.remove(id)));
        Ok(gone.len() == rows_max as usize)
    }

    async fn sweep_keys(&self, before: UnixMillis, _rows_max: u32) -> Result<bool, StoreError> {
        self.disk.contents().recorded.retain(|_, record| record.created_at >= before);
        Ok(false)
    }

    async fn last_before(&self, time: UnixMillis) -> Result<Option<Sequence>, StoreError> {
        let contents = self.disk.contents();
        let old = contents.batches.values().filter(|(_, committed_at)| *committed_at < time);
        Ok(old.map(|(batch, _)| batch.last).max())
    }

    async fn cut(&self, through: Sequence, rows_max: u32) -> Result<bool, StoreError> {
        let mut contents = self.disk.contents();
        let floor = contents.head.log.floor;
        let beyond = || contents.batches.keys().copied().filter(|last| *last > floor && *last <= through);
        let step = Sequence(floor.0 + u64::from(rows_max));
        let Some(end) = beyond().filter(|last| *last <= step).max().or_else(|| beyond().min()) else {
            return Ok(false);
        };
        contents.head.log.floor = end;
        contents.changes.retain(|sequence, _| *sequence > end);
        contents.batches.retain(|last, _| *last >= end);
        Ok(true)
    }

    async fn close(&self) {}
}
