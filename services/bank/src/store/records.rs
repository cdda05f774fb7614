//! The rows of a bank, apart from those of its log.

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

/// The values of the head row, apart from the head of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// The id of the next bank.
    pub(crate) next_bank: u32,
    /// Number of living banks.
    pub(crate) banks: u64,
    /// Number of living items.
    pub(crate) items: u64,
    /// Number of hashes of living items.
    pub(crate) hashes: u64,
    /// Number of entries of the audit.
    pub(crate) audited: u64,
}

impl Counts {
    /// The counts of a new bank.
    pub(crate) const EMPTY: Self = Self { next_bank: 1, banks: 0, items: 0, hashes: 0, audited: 0 };
}

/// The rows that are committed together with changes.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    /// The counts in their new state.
    pub(crate) counts: Counts,
    /// Banks in their new state.
    pub(crate) banks_set: Vec<Bank>,
    /// Deleted banks.
    pub(crate) banks_deleted: Vec<BankId>,
    /// Added items. `items_removed` may name them too: they are then removed.
    pub(crate) items_added: Vec<StoredItem>,
    /// Rows of items with new labels, each item once. `items_added` and `items_removed` may name them too.
    pub(crate) items_relabelled: Vec<StoredItem>,
    /// Removed items; their records go too.
    pub(crate) items_removed: Vec<ItemId>,
    /// Removed items that can be restored from now on: `items_removed` names them, and their rows keep the
    /// items' bytes.
    pub(crate) undos: Vec<Undo>,
    /// Removed items that were restored.
    pub(crate) undone: Vec<ItemId>,
    /// Records of items in their new state, unless `items_removed` names the item.
    pub(crate) records_set: Vec<StoredRecord>,
    /// The latest changes of items that were removed, or whose records changed after the items were added:
    /// each item once.
    pub(crate) touched: Vec<Touched>,
    /// Differences to add to the digests of existing banks. The digests of `banks_deleted` are deleted.
    pub(crate) digests: Vec<PartDigest>,
    /// New and removed exchanges and records of programmes.
    pub(crate) exchanges: ExchangeRows,
    /// New and deleted documents.
    pub(crate) documents: DocumentRows,
    /// Published lists, and their new entries.
    pub(crate) lists: ListRows,
    /// New and deleted rows of the directory.
    pub(crate) directory: DirectoryRows,
    /// New entries of the audit, by index. The last one has the index `counts.audited - 1`.
    pub(crate) audit: Vec<StoredEntry>,
    /// Removed items and banks, and when their bytes are due to be purged.
    pub(crate) purges: Vec<Purge>,
}

impl Rows {
    /// Returns the number of entries of the audit before these.
    pub(crate) const fn audited_before(&self) -> u64 {
        self.counts.audited - self.audit.len() as u64
    }
}

/// An entry of the audit as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredEntry {
    /// The entry's index in the tree.
    pub(crate) index: u64,
    /// The member whose call the entry records; 0 for no member.
    pub(crate) member: u32,
    /// The bytes of the leaf: an encoded `vigie.consortium.v1.AuditEntry`.
    pub(crate) payload: Vec<u8>,
    /// The hashes that the entry adds to the tree.
    pub(crate) tree: Appended,
}

impl StoredEntry {
    /// Returns the hashes that the entry adds, with their positions.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = (StoredIndex, NodeHash)> {
        (self.tree.first.0..).map(StoredIndex).zip(self.tree.hashes.iter().copied())
    }
}

/// The query for entries of the audit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryRange {
    /// The first index.
    pub(crate) from: u64,
    /// The member whose entries are read; `None` for all entries.
    pub(crate) member: Option<MemberId>,
    /// The most entries.
    pub(crate) count_max: usize,
    /// The most bytes of entries together.
    pub(crate) bytes_max: usize,
}

/// An entry of the audit, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundEntry {
    /// The entry's index in the tree.
    pub(crate) index: u64,
    /// The bytes of the leaf.
    pub(crate) payload: Vec<u8>,
}

/// Entries of the audit, as they were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryPage {
    /// The entries, by index.
    pub(crate) entries: Vec<FoundEntry>,
    /// True if a bound was reached: there may be more.
    pub(crate) cut: bool,
    /// The size of the tree, as of the same moment.
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

/// The state that the writer keeps in memory.
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
    /// The rows of the directory, without the banks themselves.
    pub(crate) directory: Vec<DirectoryRow>,
    /// The tree of the audit.
    pub(crate) audit: Frontier,
    /// All exchanges.
    pub(crate) exchanges: Vec<Exchange>,
    /// The published lists of living banks.
    pub(crate) lists: Vec<StoredList>,
    /// The secret from which the keys of their items are made.
    pub(crate) list_secret: ListSecret,
}

impl Loaded {
    /// Returns the directory of these rows.
    pub(crate) fn directory(&self) -> Directory {
        directory_of(&self.directory, &self.banks, self.counts.next_bank, to_model(self.head.sequence))
    }
}

/// The result of purging a page of the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PurgedPage {
    /// The last change whose bytes were removed, if there is one.
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

/// Converts a sequence of the log to the model's type.
pub(crate) const fn to_model(sequence: Sequence) -> vigie_model::Sequence {
    vigie_model::Sequence(sequence.0)
}

/// Converts a log's id to the model's type.
pub(crate) const fn id_to_model(log: LogId) -> vigie_model::change::LogId {
    vigie_model::change::LogId(log.0)
}

/// A value, and the sequence as of which it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AsOf<T> {
    /// The value.
    pub(crate) value: T,
    /// The value includes every change up to this sequence, and none after it.
    pub(crate) sequence: Sequence,
}

/// The row of one item.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct StoredItem {
    /// The item's bank, digests and contributor.
    pub(crate) placement: Placement,
    /// The bytes of [`vigie_proto::bank::encode_item`].
    pub(crate) payload: Vec<u8>,
}

/// Hides the payload, which holds hashes.
impl Debug for StoredItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredItem({:?}, {} bytes)", self.placement, self.payload.len())
    }
}

/// A removed item that can be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Undo {
    /// The item.
    pub(crate) item: ItemId,
    /// The bank that held it.
    pub(crate) bank: BankId,
    /// The member that removed it.
    pub(crate) member: MemberId,
    /// The time of the removal.
    pub(crate) removed_at: UnixMillis,
    /// The time at which its bytes are purged.
    pub(crate) until: UnixMillis,
    /// Its record, if it had one.
    pub(crate) record: Option<ItemRecord>,
}

impl Undo {
    /// Returns the bytes of the record.
    pub(crate) fn payload(&self) -> Option<Vec<u8>> {
        let record = self.record.clone()?;
        Some(StoredRecord { item: self.item, record }.payload())
    }
}

/// The row of a removed item that can be restored, with the data to restore it from.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct KeptUndo {
    /// The removal: the item, its time and the member.
    pub(crate) undo: Undo,
    /// The bytes of the item, as in [`StoredItem`]; `None` if an older build removed it.
    pub(crate) payload: Option<Vec<u8>>,
    /// The change that added the item, if the log still has it. Its bytes are left out if `payload` is there.
    pub(crate) added: Option<StoredChange>,
}

impl KeptUndo {
    /// Returns the number of bytes of the item that were read.
    pub(crate) fn bytes(&self) -> usize {
        let added = self.added.as_ref().and_then(|change| change.bytes.as_ref()).map_or(0, Vec::len);
        self.payload.as_ref().map_or(0, Vec::len) + added
    }
}

/// Hides the payload, which holds hashes.
impl Debug for KeptUndo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptUndo").field("undo", &self.undo).finish_non_exhaustive()
    }
}

/// The record of an item, with the item's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredRecord {
    /// The item.
    pub(crate) item: ItemId,
    /// The record.
    pub(crate) record: ItemRecord,
}

impl StoredRecord {
    /// Returns the bytes to store.
    pub(crate) fn payload(&self) -> Vec<u8> {
        pb::ItemRecord::from(self.record.clone()).encode_to_vec()
    }

    /// Returns the end of the item's first hold to expire, in milliseconds since 1970; `u64::MAX` if no hold
    /// expires; `None` if the item is not held.
    pub(crate) fn hold_ends(&self) -> Option<u64> {
        let holds = &self.record.holds;
        (!holds.is_empty()).then(|| holds.first_end().moment().map_or(u64::MAX, |end| end.0))
    }

    /// Returns whether members' opinions have given the item a standing.
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

/// The query for held items.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeldRange {
    /// The item after which the range begins.
    pub(crate) after: ItemId,
    /// The last item of the range.
    pub(crate) through: ItemId,
    /// The most items.
    pub(crate) count_max: u32,
}

/// The placement of an item: its bank and the digests of its hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The item.
    pub(crate) item: ItemId,
    /// Its bank.
    pub(crate) bank: BankId,
    /// The member that added it.
    pub(crate) contributor: MemberId,
    /// The time at which it was added.
    pub(crate) added_at: UnixMillis,
    /// The digest of its hashes.
    pub(crate) digest: SetDigest,
    /// The digest of its bank and its hashes, without its id.
    pub(crate) content: ContentDigest,
    /// The digest of its hashes and labels, for the published list of its bank; `None` for a canary.
    pub(crate) listed: Option<ListContent>,
}

impl Placement {
    /// Returns the placement of an item.
    pub(crate) fn of(item: &Item) -> Self {
        let digest = SetDigest::of_item(item.id, item.content.hashes());
        let content = ContentDigest::of(item.bank, item.content.hashes());
        let listed = ListContent::of(&item.content);
        let Item { id, bank, added_at, contributor, .. } = *item;
        Self { item: id, bank, contributor, added_at, digest, content, listed }
    }

    /// Returns the record of an item that has no stored one, made from its placement.
    pub(crate) fn record(&self) -> ItemRecord {
        let (member, at) = (self.contributor, self.added_at);
        let first = Submission { member, origin: Origin::default(), at, foreign: None };
        ItemRecord::new(self.content, Details::default(), first)
    }
}

/// The query for items by id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ItemRange {
    /// The item after which the range begins.
    pub(crate) after: ItemId,
    /// The last item of the range.
    pub(crate) through: ItemId,
    /// The shard whose items are read; `None` for all items.
    pub(crate) shard: Option<ShardIdentity>,
    /// The most items.
    pub(crate) count_max: usize,
    /// The most bytes of payloads together.
    pub(crate) bytes_max: usize,
}

/// A page of items.
#[derive(Debug)]
pub(crate) struct ItemPage {
    /// The items, by id.
    pub(crate) items: Vec<Item>,
    /// The page covers the range up to and including this item. It is the end of the range unless a bound was
    /// reached.
    pub(crate) through: ItemId,
}

/// A page of the items of one bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemRows {
    /// The items, by id.
    pub(crate) items: Vec<Item>,
    /// True if a bound was reached: the bank may have more.
    pub(crate) is_cut: bool,
}

/// A search for items, and the bounds of its reads.
#[derive(Debug, Clone)]
pub(crate) struct ItemSearch {
    /// The properties to search for.
    pub(crate) query: ItemQuery,
    /// The banks to search; `None` for all.
    pub(crate) banks: Option<Vec<BankId>>,
    /// The item after which the search begins.
    pub(crate) after: ItemId,
    /// The most items found.
    pub(crate) found_max: u16,
    /// The most bytes of payloads of the items found.
    pub(crate) found_bytes_max: usize,
    /// The most items read.
    pub(crate) read_max: u32,
    /// The most bytes of payloads of the items read.
    pub(crate) read_bytes_max: u64,
}

/// A page of the items found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundPage {
    /// The items, by id.
    pub(crate) items: Vec<Item>,
    /// The item after which the next page begins; `None` if all items have been read.
    pub(crate) next_after: Option<ItemId>,
    /// Number of items that were read.
    pub(crate) read: u64,
}
