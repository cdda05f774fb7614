//! The state of one shard: banks, items, and the indexes of their hashes.
//!
//! Synchronous and without I/O: [`Shard::apply`] takes a range of the log, `crate::search` reads. There is one
//! caller of `apply`; there may be any number of searches at the same time, and none of them waits.
//!
//! What a search sees is as of a sequence that it reads first, or newer: `apply` makes a whole range visible before
//! it moves the sequence. A record is there before its hashes are found, and goes after them, so a hit whose record
//! is missing is one of an item that has just been removed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use vigie_index::{Edit, Entry, EqualityIndex, RadiusIndex};
use vigie_model::{
    BankId, BankName, Change, ChangeKind, FeedRange, Hash, HashCount, HashType, Item, ItemContent, ItemId,
    Sequence, ShardIdentity,
};

use crate::error::Contradiction;

/// One bank as searches need it.
#[derive(Debug, Clone)]
pub(crate) struct BankState {
    pub(crate) name: BankName,
    pub(crate) enabled: bool,
}

/// The living banks.
pub(crate) type BankTable = HashMap<BankId, BankState>;

/// One item as searches need it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) bank: BankId,
    pub(crate) content: ItemContent,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shard {
    identity: ShardIdentity,
    pub(crate) pdq: RadiusIndex<32>,
    pub(crate) md5: EqualityIndex<16>,
    pub(crate) sha256: EqualityIndex<32>,
    pub(crate) items: DashMap<ItemId, Record>,
    pub(crate) banks: ArcSwap<BankTable>,
    applied: AtomicU64,
}

impl Shard {
    pub(crate) fn new(identity: ShardIdentity) -> Self {
        Self {
            identity,
            pdq: RadiusIndex::new(),
            md5: EqualityIndex::new(),
            sha256: EqualityIndex::new(),
            items: DashMap::new(),
            banks: ArcSwap::default(),
            applied: AtomicU64::new(0),
        }
    }

    pub(crate) const fn identity(&self) -> ShardIdentity {
        self.identity
    }

    /// Every change up to this one is visible to a search that starts now.
    pub(crate) fn applied(&self) -> Sequence {
        Sequence(self.applied.load(Ordering::Acquire))
    }

    pub(crate) fn item_count(&self) -> u64 {
        u64::try_from(self.items.len()).unwrap_or(u64::MAX)
    }

    pub(crate) fn hash_counts(&self) -> Vec<HashCount> {
        let count = |hash_type, hashes: usize, exact| HashCount {
            hash_type,
            hashes: u64::try_from(hashes).unwrap_or(u64::MAX),
            exact,
        };
        vec![
            count(HashType::Pdq, self.pdq.len(), self.pdq.is_exact()),
            count(HashType::Md5, self.md5.len(), true),
            count(HashType::Sha256, self.sha256.len(), true),
        ]
    }

    /// Applies a range of the log. After a contradiction the shard is of no more use.
    pub(crate) fn apply(&self, range: FeedRange) -> Result<(), Contradiction> {
        let applied = self.applied();
        if range.after != applied {
            return Err(Contradiction::Gap { after: range.after, applied });
        }
        let mut pending = Pending::default();
        for change in range.changes {
            self.apply_change(change, &mut pending)?;
        }
        self.flush(&mut pending);
        self.applied.store(range.through.0, Ordering::Release);
        Ok(())
    }

    fn apply_change(&self, change: Change, pending: &mut Pending) -> Result<(), Contradiction> {
        let Change { sequence, kind } = change;
        match kind {
            ChangeKind::BankCreated { bank, name, .. } => self.edit_banks(|banks| {
                let state = BankState { name, enabled: true };
                banks.insert(bank, state).is_none().then_some(()).ok_or(Contradiction::BankTwice(sequence))
            }),
            ChangeKind::BankRenamed { bank, name } => {
                self.edit_bank(bank, sequence, |state| state.name = name)
            }
            ChangeKind::BankEnabledSet { bank, enabled } => {
                self.edit_bank(bank, sequence, |state| state.enabled = enabled)
            }
            ChangeKind::BankDeleted { bank } => {
                self.flush(pending);
                self.edit_banks(|banks| {
                    banks.remove(&bank).map(|_| ()).ok_or(Contradiction::NoSuchBank(sequence))
                })?;
                self.pdq.remove_bank(bank);
                self.md5.remove_bank(bank);
                self.sha256.remove_bank(bank);
                self.items.retain(|_, record| record.bank != bank);
                Ok(())
            }
            ChangeKind::ItemAdded(item) => self.add_item(item, sequence, pending),
            ChangeKind::ItemRemoved { item, .. } => self.remove_item(item, sequence, pending),
        }
    }

    fn add_item(&self, item: Item, sequence: Sequence, pending: &mut Pending) -> Result<(), Contradiction> {
        let Item { id, bank, content, .. } = item;
        if !self.identity.holds(id) {
            return Err(Contradiction::OtherShard(sequence));
        }
        if !self.banks.load().contains_key(&bank) {
            return Err(Contradiction::NoSuchBank(sequence));
        }
        let entry = Entry { item: id, bank };
        for hash in content.hashes() {
            match *hash {
                Hash::Pdq(bytes) => pending.pdq.push(Edit::Insert(bytes, entry)),
                Hash::Md5(bytes) => pending.md5.push(Edit::Insert(bytes, entry)),
                Hash::Sha256(bytes) => pending.sha256.push(Edit::Insert(bytes, entry)),
            }
        }
        match self.items.insert(id, Record { bank, content }) {
            None => Ok(()),
            Some(_) => Err(Contradiction::ItemTwice(sequence)),
        }
    }

    fn remove_item(
        &self,
        id: ItemId,
        sequence: Sequence,
        pending: &mut Pending,
    ) -> Result<(), Contradiction> {
        let record = self.items.get(&id).ok_or(Contradiction::NoSuchItem(sequence))?;
        if pending.gone.contains(&id) {
            return Err(Contradiction::NoSuchItem(sequence));
        }
        for hash in record.content.hashes() {
            match *hash {
                Hash::Pdq(bytes) => pending.pdq.push(Edit::Remove(bytes, id)),
                Hash::Md5(bytes) => pending.md5.push(Edit::Remove(bytes, id)),
                Hash::Sha256(bytes) => pending.sha256.push(Edit::Remove(bytes, id)),
            }
        }
        drop(record);
        pending.gone.insert(id);
        Ok(())
    }

    /// Makes the pending edits visible, then lets go of the records that nothing leads to any more.
    fn flush(&self, pending: &mut Pending) {
        self.pdq.apply(&pending.pdq);
        self.md5.apply(&pending.md5);
        self.sha256.apply(&pending.sha256);
        for item in &pending.gone {
            self.items.remove(item);
        }
        *pending = Pending::default();
    }

    fn edit_bank(
        &self,
        bank: BankId,
        sequence: Sequence,
        edit: impl FnOnce(&mut BankState),
    ) -> Result<(), Contradiction> {
        self.edit_banks(|banks| banks.get_mut(&bank).map(edit).ok_or(Contradiction::NoSuchBank(sequence)))
    }

    fn edit_banks(
        &self,
        edit: impl FnOnce(&mut BankTable) -> Result<(), Contradiction>,
    ) -> Result<(), Contradiction> {
        let mut banks = BankTable::clone(&self.banks.load());
        edit(&mut banks)?;
        self.banks.store(Arc::new(banks));
        Ok(())
    }
}

/// Edits of a range that searches do not see yet.
#[derive(Debug, Default)]
struct Pending {
    pdq: Vec<Edit<32>>,
    md5: Vec<Edit<16>>,
    sha256: Vec<Edit<32>>,
    gone: std::collections::HashSet<ItemId>,
}
