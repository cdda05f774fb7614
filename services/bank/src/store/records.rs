//! The rows of a bank, beside those of its log.

use std::fmt::{self, Debug};

use prost::Message as _;
use vigie_audit::tree::{Appended, Frontier, NodeHash, Size, StoredIndex};
use vigie_consortium::{
    ContentDigest, Details, Directory, Exchange, ItemRecord, ListContent, ListSecret, Origin, Submission,
};
use vigie_log::{Head, LogId, Sequence, StoredChange};
use vigie_model::{Bank, BankId, Item, ItemId, LogHead, MemberId, SetDigest, ShardIdentity, UnixMillis};
use vigie_proto::bank::ItemQuery;
use vigie_proto::pb::bank::v1 as pb;

use crate::plan::digests::{PartDigest, Totals};
use crate::plan::purge::Purge;
pub(crate) use crate::store::directory_rows::{DirectoryKey, DirectoryRow, DirectoryRows};

use crate::store::directory_rows::directory_of;
use crate::store::documents::DocumentRows;
use crate::store::error::StoreError;
use crate::store::exchanges::ExchangeRows;
use crate::store::published::{ListRows, StoredList};
use crate::store::touched::Touched;

/// A batch of the bank's log.
pub(crate) type Batch = vigie_log::Batch<Rows>;

/// What the head row has beside the head of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// The id of the next bank.
    pub(crate) next_bank: u32,
    /// Living banks.
    pub(crate) banks: u64,
    /// Living items.
    pub(crate) items: u64,
    /// Their hashes.
    pub(crate) hashes: u64,
    /// Entries of the audit.
    pub(crate) audited: u64,
}

impl Counts {
    /// The counts of a bank that has just begun.
    pub(crate) const EMPTY: Self = Self { next_bank: 1, banks: 0, items: 0, hashes: 0, audited: 0 };
}

/// The rows that are committed together with changes.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    /// The counts from now on.
    pub(crate) counts: Counts,
    /// Banks as they are from now on.
    pub(crate) banks_set: Vec<Bank>,
    /// Banks that are no longer there.
    pub(crate) banks_deleted: Vec<BankId>,
    /// Items that are there from now on, unless `items_removed` names them too.
    pub(crate) items_added: Vec<StoredItem>,
    /// Rows of items that have other labels from now on, each item once. `items_added` and `items_removed` may name them too.
    pub(crate) items_relabelled: Vec<StoredItem>,
    /// Items that are no longer there, nor are their records.
    pub(crate) items_removed: Vec<ItemId>,
    /// Removed items that can be brought back from now on: `items_removed` names them, and their rows keep the bytes of the items.
    pub(crate) undos: Vec<Undo>,
    /// Removed items that were brought back.
    pub(crate) undone: Vec<ItemId>,
    /// Records of items as they are from now on, unless `items_removed` names the item.
    pub(crate) records_set: Vec<StoredRecord>,
    /// The latest changes of items that were removed, or whose records changed after they were added: each item once.
    pub(crate) touched: Vec<Touched>,
    /// What is to be added to the digests of banks that are there. Those of `banks_deleted` go.
    pub(crate) digests: Vec<PartDigest>,
    /// Exchanges and records of programmes that are new or gone.
    pub(crate) exchanges: ExchangeRows,
    /// Documents that are new or gone.
    pub(crate) documents: DocumentRows,
    /// Published lists, and their new entries.
    pub(crate) lists: ListRows,
    /// Rows of the directory that are new or gone.
    pub(crate) directory: DirectoryRows,
    /// New entries of the audit, by index, the last of them just before `counts.audited`.
    pub(crate) audit: Vec<StoredEntry>,
    /// What was removed, and when its bytes are to go.
    pub(crate) purges: Vec<Purge>,
}

impl Rows {
    /// Entries of the audit before these.
    pub(crate) const fn audited_before(&self) -> u64 {
        self.counts.audited - self.audit.len() as u64
    }
}

/// An entry of the audit as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredEntry {
    /// Its place in the tree.
    pub(crate) index: u64,
    /// For whom it is; 0 for no member.
    pub(crate) member: u32,
    /// The bytes of the leaf: an encoded `vigie.consortium.v1.AuditEntry`.
    pub(crate) payload: Vec<u8>,
    /// The hashes that it adds to the tree.
    pub(crate) tree: Appended,
}

impl StoredEntry {
    /// The hashes that it adds, with their positions.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = (StoredIndex, NodeHash)> {
        (self.tree.first.0..).map(StoredIndex).zip(self.tree.hashes.iter().copied())
    }
}

/// Which entries of the audit to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryRange {
    /// From this one on,
    pub(crate) from: u64,
    /// those of this member, or all,
    pub(crate) member: Option<MemberId>,
    /// at most this many,
    pub(crate) count_max: usize,
    /// and no more once they have this many bytes together.
    pub(crate) bytes_max: usize,
}

/// An entry of the audit that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundEntry {
    /// Its place in the tree.
    pub(crate) index: u64,
    /// The bytes of the leaf.
    pub(crate) payload: Vec<u8>,
}

/// Entries of the audit that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryPage {
    /// By index.
    pub(crate) entries: Vec<FoundEntry>,
    /// A bound was reached: there may be more.
    pub(crate) cut: bool,
    /// Entries of the tree, as of the same moment.
    pub(crate) size: Size,
}

/// The tree of the audit, and the log of the bank, as of one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuditHead {
    /// The tree.
    pub(crate) tree: Frontier,
    /// The head of the log.
    pub(crate) log: Head,
}

/// What the writer keeps in memory.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The head of the log.
    pub(crate) head: Head,
    /// The counts.
    pub(crate) counts: Counts,
    /// All living banks.
    pub(crate) banks: Vec<Bank>,
    /// The digests of their hashes, by partition.
    pub(crate) totals: Totals,
    /// The rows of the directory, without those of banks as such.
    pub(crate) directory: Vec<DirectoryRow>,
    /// The tree of the audit.
    pub(crate) audit: Frontier,
    /// All exchanges.
    pub(crate) exchanges: Vec<Exchange>,
    /// The published lists of living banks.
    pub(crate) lists: Vec<StoredList>,
    /// From which the keys of their items are made.
    pub(crate) list_secret: ListSecret,
}

impl Loaded {
    /// The directory of these rows.
    pub(crate) fn directory(&self) -> Directory {
        directory_of(&self.directory, &self.banks, self.counts.next_bank, to_model(self.head.sequence))
    }
}

/// A page of the log that was purged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PurgedPage {
    /// The last change whose bytes are gone, if there is one.
    pub(crate) through: Option<Sequence>,
    /// Whether more may be due.
    pub(crate) more: bool,
}

/// The head row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeadRow {
    /// The head of the log.
    pub(crate) head: Head,
    /// The counts.
    pub(crate) counts: Counts,
}

impl From<HeadRow> for LogHead {
    fn from(HeadRow { head, counts }: HeadRow) -> Self {
        Self {
            sequence: to_model(head.sequence),
            chain: head.chain.0,
            banks: counts.banks,
            items: counts.items,
            hashes: counts.hashes,
            floor: to_model(head.floor),
        }
    }
}

/// The model's type of a sequence.
pub(crate) const fn to_model(sequence: Sequence) -> vigie_model::Sequence {
    vigie_model::Sequence(sequence.0)
}

/// The model's type of a log's id.
pub(crate) const fn id_to_model(log: LogId) -> vigie_model::change::LogId {
    vigie_model::change::LogId(log.0)
}

/// A value, and the sequence up to which it holds every change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AsOf<T> {
    /// The value.
    pub(crate) value: T,
    /// It holds every change up to this one, and none after it.
    pub(crate) sequence: Sequence,
}

/// The row of one item.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoredItem {
    /// Where it is.
    pub(crate) placement: Placement,
    /// What [`vigie_proto::bank::encode_item`] made.
    pub(crate) payload: Vec<u8>,
}

/// Does not show the payload, which holds hashes.
impl Debug for StoredItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredItem({:?}, {} bytes)", self.placement, self.payload.len())
    }
}

/// A removed item that can be brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undo {
    /// The item.
    pub(crate) item: ItemId,
    /// The bank that held it.
    pub(crate) bank: BankId,
    /// The member that removed it.
    pub(crate) member: MemberId,
    /// When.
    pub(crate) removed_at: UnixMillis,
    /// When its bytes are purged.
    pub(crate) until: UnixMillis,
    /// Its record, if it had one.
    pub(crate) record: Option<ItemRecord>,
}

impl Undo {
    /// The bytes of the record.
    pub(crate) fn payload(&self) -> Option<Vec<u8>> {
        let record = self.record.clone()?;
        Some(StoredRecord { item: self.item, record }.payload())
    }
}

/// The row of a removed item that can be brought back, with what it can be brought back from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeptUndo {
    /// What was removed, when and by whom.
    pub(crate) undo: Undo,
    /// The bytes of the item, as [`StoredItem`] has them; `None` where an older build removed it.
    pub(crate) payload: Option<Vec<u8>>,
    /// The change that added it, where the log still has it: without bytes where `payload` is there.
    pub(crate) added: Option<StoredChange>,
}

impl KeptUndo {
    /// The bytes of the item that were read.
    pub(crate) fn bytes(&self) -> usize {
        let added = self.added.as_ref().and_then(|change| change.bytes.as_ref()).map_or(0, Vec::len);
        self.payload.as_ref().map_or(0, Vec::len) + added
    }
}

/// Does not show the payload, which holds hashes.
impl Debug for KeptUndo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptUndo").field("undo", &self.undo).finish_non_exhaustive()
    }
}

/// The record of an item, with its item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    /// The item.
    pub(crate) item: ItemId,
    /// The record.
    pub(crate) record: ItemRecord,
}

impl StoredRecord {
    /// The bytes to store.
    pub(crate) fn payload(&self) -> Vec<u8> {
        pb::ItemRecord::from(self.record.clone()).encode_to_vec()
    }

    /// When the first hold of the item ends, the largest number where none ends by itself; `None` where the item is not held.
    pub(crate) fn hold_ends(&self) -> Option<u64> {
        let holds = &self.record.holds;
        (!holds.is_empty()).then(|| holds.first_end().moment().map_or(u64::MAX, |end| end.0))
    }

    /// Whether the item has a standing among the members.
    pub(crate) fn has_standing(&self) -> bool {
        !self.record.standing.is_none()
    }

    /// Reads a stored record.
    pub(crate) fn read(item: ItemId, payload: &[u8]) -> Result<Self, StoreError> {
        let record = pb::ItemRecord::decode(payload).ok().and_then(|record| record.try_into().ok());
        let fault = || StoreError::Corrupt { row: format!("record of item {item}") };
        Ok(Self { item, record: record.ok_or_else(fault)? })
    }
}

/// Which held items to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeldRange {
    /// After this one,
    pub(crate) after: ItemId,
    /// up to and with this one,
    pub(crate) through: ItemId,
    /// at most this many.
    pub(crate) count_max: u32,
}

/// The bank that holds an item, and the digest of the item's hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The item.
    pub(crate) item: ItemId,
    /// Its bank.
    pub(crate) bank: BankId,
    /// The member that added it.
    pub(crate) contributor: MemberId,
    /// When.
    pub(crate) added_at: UnixMillis,
    /// The digest of its hashes.
    pub(crate) digest: SetDigest,
    /// The digest of its bank and its hashes, without its id.
    pub(crate) content: ContentDigest,
    /// The digest of its hashes and labels, for the published list of its bank; `None` for a canary.
    pub(crate) listed: Option<ListContent>,
}

impl Placement {
    /// The placement of an item.
    pub(crate) fn of(item: &Item) -> Self {
        let digest = SetDigest::of_item(item.id, item.content.hashes());
        let content = ContentDigest::of(item.bank, item.content.hashes());
        let listed = ListContent::of(&item.content);
        let Item { id, bank, added_at, contributor, .. } = *item;
        Self { item: id, bank, contributor, added_at, digest, content, listed }
    }

    /// The record of an item that has none: what is known of it without one.
    pub(crate) fn record(&self) -> ItemRecord {
        let (member, at) = (self.contributor, self.added_at);
        let first = Submission { member, origin: Origin::default(), at, foreign: None };
        ItemRecord::new(self.content, Details::default(), first)
    }
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

/// Items of one bank that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemRows {
    /// By id.
    pub(crate) items: Vec<Item>,
    /// A bound was reached: the bank may have more.
    pub(crate) is_cut: bool,
}

/// Which items to find, and how much to read for that.
#[derive(Debug, Clone)]
pub(crate) struct ItemSearch {
    /// What they have.
    pub(crate) query: ItemQuery,
    /// The banks that are looked through; `None` for all.
    pub(crate) banks: Option<Vec<BankId>>,
    /// Items after this one,
    pub(crate) after: ItemId,
    /// at most this many that are found,
    pub(crate) found_max: u16,
    /// and no more that are found once their payloads have this many bytes together,
    pub(crate) found_bytes_max: usize,
    /// at most this many that are read,
    pub(crate) read_max: u32,
    /// and no more that are read once their payloads have this many bytes together.
    pub(crate) read_bytes_max: u64,
}

/// Items that were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundPage {
    /// By id.
    pub(crate) items: Vec<Item>,
    /// Where to go on; `None` where all items have been read.
    pub(crate) next_after: Option<ItemId>,
    /// Items that were read.
    pub(crate) read: u64,
}
