//! Proves the contents of a store: runs the database's own check of its structures, recomputes the chain of
//! the log and the digests of the items, and names the first record at fault.
//!
//! The log is proven from its floor on ([`vigie_log::prove`]). A change whose bytes were purged is proven by
//! its digest, and counted. Entries of the audit are compared with the hashes of their tree, and the hashes
//! with each other. An item is compared with the change that added it, while the log keeps that change. All
//! items of a bank and partition are compared with their digest. If an item's labels were replaced, they are
//! compared with the labels of its record, which the digest covers.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;

use futures::future::BoxFuture;
use prost::Message as _;
use thiserror::Error;
use vigie_audit::tree::{Frontier, NodeHash, StoredIndex};
use vigie_consortium::ItemRecord;
use vigie_log::{Application as _, ProofError, Purged, Slice, StoredChange, prove};
use vigie_model::{BankId, Item, ItemId, LogHead, Sequence};
use vigie_proto::pb::consortium::v1::AuditEntry;

use super::lists::Lists;
use crate::config::{Config, Location};
use crate::error::RESTORE;
use crate::failure::StoreFailure;
use crate::log::BankLog;
use crate::logged::altered;
use crate::plan::digests::{PartDigest, Parts};
use crate::store::{
    self, EntryRange, FoundEntry, HeadRow, HeldRange, Integrity, ItemRange, Placement, Store, StoreError,
    StoredRecord, to_model,
};

/// The most attempts to read a store that is being written.
const ATTEMPTS: usize = 3;
/// The most batches or digests of one read.
const ROWS: u16 = 1_000;
/// The most items of one read, and the most bytes of them.
const PAGE: (usize, usize) = (2_000, 4 << 20);

/// The reasons why a store is not proven.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The setting names no store that outlives its bank.
    #[error("store: must be sqlite:<path> or postgres://<user>@<host>/<database>")]
    Location,
    /// The store cannot be read.
    #[error("cannot read the store")]
    Store(#[source] StoreFailure),
    /// The bank wrote during every attempt.
    #[error(
        "the bank writes meanwhile, so nothing is proven: try again when it is quieter, or prove a backup"
    )]
    Busy,
    /// A change is missing.
    #[error("change {0} is missing")]
    Missing(Sequence),
    /// A change is stored twice.
    #[error("change {0} is there twice")]
    Doubled(Sequence),
    /// A change differs from what was written.
    #[error("change {0} is not what was written")]
    Altered(Sequence),
    /// Changes were replaced together with their checksums.
    #[error("the changes {first} to {last} are not those that were committed")]
    BatchAltered {
        /// The first change of the batch.
        first: Sequence,
        /// The last.
        last: Sequence,
    },
    /// The last batch does not end at the head.
    #[error("the log ends at {end}, and its head says {head}")]
    HeadAltered {
        /// The sequence at the end of the last batch.
        end: Sequence,
        /// The sequence of the head.
        head: Sequence,
    },
    /// The database's own check found its structures broken.
    #[error("the database is damaged: {}; {}", faults.join("; "), way_out)]
    Damaged {
        /// The faults that the check reported, the first of them if there are many.
        faults: Vec<String>,
        /// The recommended repair.
        way_out: &'static str,
    },
    /// A record cannot be read back.
    #[error("{row} cannot be decoded: it is damaged; {RESTORE}")]
    Unreadable {
        /// The row: its table and its key.
        row: String,
    },
    /// An item differs from what its change added.
    #[error("item {0} is not what was added: its row is damaged; {RESTORE}")]
    ItemAltered(ItemId),
    /// The record of an item belongs to another item.
    #[error("the record of item {0} is not of its hashes, labels or holds: its row is damaged; {RESTORE}")]
    RecordAltered(ItemId),
    /// The items of a bank and partition do not match their digest.
    #[error(
        "the items of bank {} in partition {partition} are not those that were added and not removed, so their shard \
         cannot become ready; {RESTORE}",
        bank.0
    )]
    DigestAltered {
        /// The bank.
        bank: BankId,
        /// The partition.
        partition: u16,
    },
    /// The published list of a bank does not match its entries or its items.
    #[error("the published list of bank {} is not the one of its entries and its items; {RESTORE}", .0.0)]
    ListAltered(BankId),
    /// An entry of the audit is missing.
    #[error("entry {0} of the audit is missing; {RESTORE}")]
    EntryMissing(u64),
    /// An entry of the audit differs from what was recorded.
    #[error("entry {0} of the audit is not what was recorded; {RESTORE}")]
    EntryAltered(u64),
    /// An entry of the audit is stored at the index of another entry.
    #[error("entry {entry} of the audit is at the position of entry {place}; {RESTORE}")]
    EntryMoved {
        /// The index in the entry.
        entry: u64,
        /// The index at which it is stored.
        place: u64,
    },
    /// A hash of the audit's tree does not match the hashes below it.
    #[error("hash {0} of the audit's tree does not match the hashes below it; {RESTORE}")]
    AuditTree(u64),
    /// The audit has entries after its end.
    #[error("the audit has more than the {0} entries that its head says; {RESTORE}")]
    AuditCount(u64),
    /// The counts of the head differ from those of the items.
    #[error("there are {items} items with {hashes} hashes, and the head has other numbers")]
    CountsAltered {
        /// Number of items.
        items: u64,
        /// Number of their hashes.
        hashes: u64,
    },
}

impl From<StoreError> for VerifyError {
    fn from(error: StoreError) -> Self {
        if let StoreError::Corrupt { row } = error {
            Self::Unreadable { row }
        } else {
            Self::Store(error.into())
        }
    }
}

impl From<ProofError<StoreError>> for VerifyError {
    fn from(error: ProofError<StoreError>) -> Self {
        match error {
            ProofError::Store(error) => error.into(),
            ProofError::Missing(sequence) => Self::Missing(to_model(sequence)),
            ProofError::Doubled(sequence) => Self::Doubled(to_model(sequence)),
            ProofError::Altered(sequence) => Self::Altered(to_model(sequence)),
            ProofError::BatchAltered { first, last } => {
                Self::BatchAltered { first: to_model(first), last: to_model(last) }
            }
            ProofError::HeadAltered { end, head } => {
                Self::HeadAltered { end: to_model(end), head: to_model(head) }
            }
        }
    }
}

/// The result for a store that holds what its head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The proven head. A reader that has kept an older chain compares it with the chain at that sequence.
    pub head: LogHead,
    /// The changes whose bytes were removed. Their digests are proven.
    pub purged: Purged,
    /// Number of entries of the audit. They are proven against the hashes of their tree, and not against a
    /// checkpoint, which is kept elsewhere.
    pub audited: u64,
    /// The reason why the database's own check of its structures was not made, if it was not.
    pub structure_unchecked: Option<String>,
}

/// Reads the whole store of a bank, and recomputes the log's chain and the items' digests. Changes nothing.
///
/// The bank may run meanwhile. If it writes during every attempt, nothing is proven, and the error is
/// [`VerifyError::Busy`].
pub fn verify(config: &Config) -> BoxFuture<'_, Result<Verified, VerifyError>> {
    Box::pin(verify_store(config))
}

async fn verify_store(config: &Config) -> Result<Verified, VerifyError> {
    let location = Location::parse(&config.store).ok_or(VerifyError::Location)?;
    let store = store::open_to_read(&location).await?.ok_or(VerifyError::Location)?;
    let verified = structure_and_all(&*store).await;
    store.close().await;
    verified
}

/// Runs the database's own check first: data that is read through a broken structure may differ from the
/// stored data.
async fn structure_and_all(store: &dyn Store) -> Result<Verified, VerifyError> {
    let structure_unchecked = match store.integrity().await? {
        Integrity::Whole => None,
        Integrity::Unchecked(reason) => Some(reason),
        Integrity::Damaged { faults, way_out } => return Err(VerifyError::Damaged { faults, way_out }),
    };
    Ok(Verified { structure_unchecked, ..all(store).await? })
}

async fn all(store: &dyn Store) -> Result<Verified, VerifyError> {
    for _ in 0..ATTEMPTS {
        // Completing a list (items of an earlier version) does not move the head.
        let before = (store.head_row().await?, store.lists().await?);
        let proven = once(store).await;
        // The result holds only if all reads are of one state.
        if before == (store.head_row().await?, store.lists().await?) {
            return proven;
        }
    }
    Err(VerifyError::Busy)
}

async fn once(store: &dyn Store) -> Result<Verified, VerifyError> {
    let proof = prove(store, reads).await?;
    let head = items(store).await?;
    let audited = audit(store).await?;
    Ok(Verified { head, purged: proof.purged, audited, structure_unchecked: None })
}

/// Compares every entry of the audit with the hash of its leaf, and each hash of the tree with those below
/// it; returns the number of entries.
async fn audit(store: &dyn Store) -> Result<u64, VerifyError> {
    let counted = store.head_row().await?.counts.audited;
    let (mut tree, mut hashes) = (Frontier::empty(), Hashes { store, read: VecDeque::new(), next: 0 });
    loop {
        let from = tree.size().get();
        let range = EntryRange { from, member: None, count_max: PAGE.0, bytes_max: PAGE.1 };
        let page = store.audit_entries(&range).await?;
        for FoundEntry { index, payload } in &page.entries {
            let place = tree.size().get();
            if *index != place {
                return Err(VerifyError::EntryMissing(place));
            }
            let leaf = NodeHash::of_entry(payload);
            let appended = tree.append_leaf(leaf).map_err(|_| VerifyError::AuditCount(counted))?;
            for (position, computed) in (appended.first.0..).zip(appended.hashes) {
                match hashes.next().await? {
                    Some((at, hash)) if at.0 == position && hash == computed => {}
                    // The hash of the leaf, with which the entry is compared.
                    Some((at, _)) if at.0 == position && computed == leaf => {
                        return Err(misplaced(place, payload));
                    }
                    _ => return Err(VerifyError::AuditTree(position)),
                }
            }
        }
        if !page.cut {
            break;
        }
    }
    if tree.size().get() < counted {
        return Err(VerifyError::EntryMissing(tree.size().get()));
    }
    if tree.size().get() > counted || hashes.next().await?.is_some() {
        return Err(VerifyError::AuditCount(counted));
    }
    Ok(counted)
}

/// Returns the fault of an entry that is not the one recorded at its index.
fn misplaced(place: u64, payload: &[u8]) -> VerifyError {
    match AuditEntry::decode(payload) {
        Ok(entry) if entry.index != place => VerifyError::EntryMoved { entry: entry.index, place },
        _ => VerifyError::EntryAltered(place),
    }
}

/// Reads the stored hashes of the audit's tree, by position.
struct Hashes<'a> {
    store: &'a dyn Store,
    read: VecDeque<(StoredIndex, NodeHash)>,
    /// The first position that was not read yet.
    next: u64,
}

impl Hashes<'_> {
    async fn next(&mut self) -> Result<Option<(StoredIndex, NodeHash)>, StoreError> {
        if self.read.is_empty() {
            self.read = self.store.audit_hashes_from(StoredIndex(self.next), ROWS).await?.into();
            self.next = self.read.back().map_or(self.next, |(last, _)| last.0 + 1);
        }
        Ok(self.read.pop_front())
    }
}

/// Returns whether a change can be decoded, if its bytes are there.
fn reads(change: &StoredChange) -> bool {
    change
        .bytes
        .as_ref()
        .is_none_or(|bytes| BankLog::read(change.sequence, change.partition, bytes).is_some())
}

/// Compares every living item with the log and the digests; returns the head.
async fn items(store: &dyn Store) -> Result<LogHead, VerifyError> {
    let (count_max, bytes_max) = PAGE;
    let (row, banks): (HeadRow, _) = store.head_and_banks().await?;
    let head = LogHead::from(row);
    let living = |bank: BankId| banks.binary_search_by_key(&bank, |bank| bank.id).is_ok();
    let (mut after, through) = (ItemId(0), ItemId(head.sequence.0));
    let (mut parts, mut count) = (Parts::default(), 0);
    let mut lists = Lists::read(store, &banks).await?;
    while after < through {
        let range = ItemRange { after, through, shard: None, count_max, bytes_max };
        let page = store.item_page(&range).await?;
        let items: Vec<_> = page.items.into_iter().filter(|item| living(item.bank)).collect();
        if let Some(altered) = altered(store, Slice::ALL, &items).await?.first() {
            return Err(VerifyError::ItemAltered(altered.item));
        }
        let records = check_records(store, &items).await?;
        check_held(store, (after, page.through), &items, &records).await?;
        for item in &items {
            let record = records.get(&item.id);
            if record.is_some_and(|record| !record.holds.is_empty()) {
                parts.hold(item.bank, item.id);
            }
            if let Some(record) = record {
                parts.stand(item.bank, item.id, &record.standing);
            }
            parts.add(item);
            lists.add(item, record);
        }
        count += items.len() as u64;
        after = page.through;
    }
    check_digests(store, parts).await?;
    if let Some(bank) = lists.fault(store).await? {
        return Err(VerifyError::ListAltered(bank));
    }
    let hashes = banks.iter().map(|bank| bank.hash_count).sum::<u64>();
    let items = banks.iter().map(|bank| bank.item_count).sum::<u64>();
    if (items, hashes, count) != (head.items, head.hashes, head.items) {
        return Err(VerifyError::CountsAltered { items: count, hashes });
    }
    Ok(head)
}

/// Compares the records of items with the hashes of the items, and with the labels of items whose labels were
/// replaced; returns the records.
async fn check_records(
    store: &dyn Store,
    items: &[Item],
) -> Result<BTreeMap<ItemId, ItemRecord>, VerifyError> {
    let mut records = BTreeMap::new();
    let ids: Vec<ItemId> = items.iter().map(|item| item.id).collect();
    for StoredRecord { item: id, record } in store.records(&ids).await? {
        let item = items.iter().find(|item| item.id == id);
        match item {
            Some(item) if Placement::of(item).content == record.content && has_labels(item, &record) => {
                records.insert(id, record);
            }
            Some(_) | None => return Err(VerifyError::RecordAltered(id)),
        }
    }
    Ok(records)
}

/// Returns whether an item has the labels of its record. Labels that never changed are proven by the log.
fn has_labels(item: &Item, record: &ItemRecord) -> bool {
    let is_of_shard = record.labels == record.standing.labels;
    is_of_shard && record.labels.as_deref().is_none_or(|labels| labels == item.content.labels())
}

/// Compares the items that the store lists as held, or as having a standing, with the items whose records say
/// so.
async fn check_held(
    store: &dyn Store,
    (after, through): (ItemId, ItemId),
    items: &[Item],
    records: &BTreeMap<ItemId, ItemRecord>,
) -> Result<(), VerifyError> {
    let stored = store.held_items(HeldRange { after, through, count_max: u32::MAX }).await?;
    let is_stored = |item: ItemId| stored.binary_search(&item).is_ok();
    let is_held = |item: ItemId| records.get(&item).is_some_and(|record| !record.holds.is_empty());
    let standings = store.standings(HeldRange { after, through, count_max: u32::MAX }).await?;
    let stands = |item: ItemId| records.get(&item).is_some_and(|record| !record.standing.is_none());
    let is_standing = |item: ItemId| standings.binary_search_by_key(&item, |(one, _)| *one).is_ok();
    let differs =
        |item: &&Item| is_stored(item.id) != is_held(item.id) || is_standing(item.id) != stands(item.id);
    items.iter().find(differs).map_or(Ok(()), |item| Err(VerifyError::RecordAltered(item.id)))
}

async fn check_digests(store: &dyn Store, mut parts: Parts) -> Result<(), VerifyError> {
    let mut after = (BankId(0), 0);
    loop {
        let page = store.digests(after, ROWS).await?;
        let Some(last) = page.last() else { break };
        after = (last.bank, last.partition);
        for PartDigest { bank, partition, digest } in page {
            let part = parts.part(bank, partition);
            if *part != digest {
                return Err(VerifyError::DigestAltered { bank, partition });
            }
            *part -= digest;
        }
    }
    match parts.iter().next() {
        None => Ok(()),
        Some(PartDigest { bank, partition, .. }) => Err(VerifyError::DigestAltered { bank, partition }),
    }
}
