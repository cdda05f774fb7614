//! The state of one shard: banks, items, and the indexes of their hashes.
//!
//! Synchronous and without I/O: [`Shard::apply`] takes a range of the log, `crate::search` reads. There is one
//! caller of `apply`; there may be any number of searches at the same time, and none of them waits.
//!
//! A search works on one [`Moment`]: banks and indexes as they were at one sequence, swapped as a whole once a range is
//! applied. So a hash that was banked at every sequence is always found, even if the item that bore it was replaced by
//! another one, in another bank, while the search went on.
//!
//! Only the records of items are not kept for old moments. A search that finds a hash whose record is gone has been
//! overtaken by a removal, and searches again at the newest moment.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use vigie_index::{Edit, Entry, EqualitySnapshot};

use vigie_model::{
    BankId, BankName, Change, ChangeKind, Cursor, FeedRange, Hash, HashCount, HashType, Item, ItemContent,
    ItemId, Sequence, SetDigest, ShardIdentity,
};

use crate::error::Contradiction;
use crate::indexes::Indexes;
use crate::pdq::PdqSnapshot;

/// One bank as searches need it.
#[derive(Debug, Clone)]
pub(crate) struct BankState {
    pub(crate) name: BankName,
    pub(crate) enabled: bool,
    /// Its living hashes on this shard, shared by all moments: a count to tell, not one to decide by.
    counts: Arc<HashCounts>,
}

/// A count for each of [`HashType::ALL`].
#[derive(Debug, Default)]
struct HashCounts([AtomicU64; HashType::ALL.len()]);

impl HashCounts {
    fn of(&self, hash_type: HashType) -> &AtomicU64 {
        match hash_type {
            HashType::Pdq => &self.0[0],
            HashType::Md5 => &self.0[1],
            HashType::Sha256 => &self.0[2],
        }
    }
}

impl BankState {
    /// Its living hashes of a type.
    pub(crate) fn hashes(&self, hash_type: HashType) -> u64 {
        self.counts.of(hash_type).load(Ordering::Relaxed)
    }
}

/// What a range of the log said of the shard's whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Nothing.
    None,
    /// That it is equal to the bank's.
    Equal,
}

/// The living banks.
pub(crate) type BankTable = HashMap<BankId, BankState>;

/// One item as searches need it.
#[derive(Debug)]
pub(crate) struct Record {
    bank: BankId,
    pub(crate) content: ItemContent,
}

/// Everything that a search reads, as of one sequence.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) sequence: Sequence,
    /// The place in the bank's log; `None` before the first range.
    pub(crate) cursor: Option<Cursor>,
    pub(crate) banks: Arc<BankTable>,
    /// What the living hashes come to.
    pub(crate) digest: SetDigest,
    pub(crate) pdq: PdqSnapshot,
    pub(crate) md5: EqualitySnapshot<16>,
    pub(crate) sha256: EqualitySnapshot<32>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shard {
    identity: ShardIdentity,
    indexes: Indexes,
    items: DashMap<ItemId, Record>,
    moment: ArcSwap<Moment>,
    books: Mutex<Books>,
}

/// What only the one who applies needs to know.
#[derive(Debug, Default)]
struct Books {
    /// Of each bank its living hashes, so that those of a deleted bank go at once.
    digests: HashMap<BankId, SetDigest>,
    /// Of all banks.
    whole: SetDigest,
}

impl Books {
    fn add(&mut self, bank: BankId, part: SetDigest) {
        *self.digests.entry(bank).or_default() += part;
        self.whole += part;
    }

    fn take(&mut self, bank: BankId, part: SetDigest) {
        *self.digests.entry(bank).or_default() -= part;
        self.whole -= part;
    }

    fn take_bank(&mut self, bank: BankId) {
        self.whole -= self.digests.remove(&bank).unwrap_or_default();
    }
}

impl Shard {
    pub(crate) fn new(identity: ShardIdentity, indexes: Indexes) -> Self {
        let moment = Moment {
            sequence: Sequence::ZERO,
            cursor: None,
            banks: Arc::default(),
            digest: SetDigest::EMPTY,
            pdq: indexes.pdq.snapshot(),
            md5: indexes.md5.snapshot(),
            sha256: indexes.sha256.snapshot(),
        };
        Self {
            identity,
            indexes,
            items: DashMap::new(),
            moment: ArcSwap::from_pointee(moment),
            books: Mutex::default(),
        }
    }

    pub(crate) const fn identity(&self) -> ShardIdentity {
        self.identity
    }

    /// What a search that starts now sees.
    pub(crate) fn moment(&self) -> Arc<Moment> {
        self.moment.load_full()
    }

    /// The last change that searches see.
    pub(crate) fn applied(&self) -> Sequence {
        self.moment.load().sequence
    }

    /// What is known of an item, by `read`; `None` once it has been removed.
    pub(crate) fn item<T>(&self, item: ItemId, read: impl FnOnce(&Record) -> T) -> Option<T> {
        self.items.get(&item).map(|record| read(&record))
    }

    pub(crate) fn item_count(&self) -> u64 {
        u64::try_from(self.items.len()).unwrap_or(u64::MAX)
    }

    /// What last went wrong with the files of the indexes. Nothing is lost by it.
    pub(crate) fn index_fault(&self) -> Option<String> {
        self.indexes.fault()
    }

    pub(crate) fn hash_counts(&self) -> Vec<HashCount> {
        let exact = |hash_type, hashes: usize| HashCount {
            hash_type,
            hashes: u64::try_from(hashes).unwrap_or(u64::MAX),
            exact: true,
            recall: None,
        };
        let pdq = exact(HashType::Pdq, self.indexes.pdq.len());
        vec![
            HashCount { exact: self.indexes.pdq.is_exact(), recall: self.indexes.pdq.recall(), ..pdq },
            exact(HashType::Md5, self.indexes.md5.len()),
            exact(HashType::Sha256, self.indexes.sha256.len()),
        ]
    }

    /// Applies a range of the log and shows it to searches as a whole. Says whether the bank's digest came with it and
    /// was equal to the shard's own: then the shard holds what the bank holds. After a contradiction the shard is of no
    /// more use.
    pub(crate) fn apply(&self, range: FeedRange) -> Result<Proof, Contradiction> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.moment();
        if range.after != before.sequence {
            return Err(Contradiction::Gap { after: range.after, applied: before.sequence });
        }
        if before.cursor.is_some_and(|cursor| cursor.log != range.log) {
            return Err(Contradiction::OtherLog { told: range.log });
        }
        let mut cursor = range.end();
        if range.through == before.sequence {
            // A sign of life may not repeat the chain that is known already.
            cursor.chain = cursor.chain.or(before.cursor.and_then(|cursor| cursor.chain));
        }
        let mut work = Work { banks: Arc::clone(&before.banks), ..Work::default() };
        for change in range.changes {
            self.apply_change(change, &mut work, &mut books)?;
        }
        let proof = match range.digest {
            None => Proof::None,
            Some(told) if told == books.whole => Proof::Equal,
            Some(told) => {
                return Err(Contradiction::Digest { sequence: range.through, own: books.whole, told });
            }
        };
        self.flush(&mut work);
        self.moment.store(Arc::new(Moment {
            sequence: range.through,
            cursor: Some(cursor),
            banks: work.banks,
            digest: books.whole,
            pdq: self.indexes.pdq.snapshot(),
            md5: self.indexes.md5.snapshot(),
            sha256: self.indexes.sha256.snapshot(),
        }));
        // Nothing that a new search sees leads to these any more.
        for item in &work.gone {
            self.items.remove(item);
        }
        if !work.gone_banks.is_empty() {
            self.items.retain(|_, record| !work.gone_banks.contains(&record.bank));
        }
        Ok(proof)
    }

    fn apply_change(&self, change: Change, work: &mut Work, books: &mut Books) -> Result<(), Contradiction> {
        let Change { sequence, kind } = change;
        match kind {
            ChangeKind::BankCreated { bank, name, .. } => {
                let state = BankState { name, enabled: true, counts: Arc::default() };
                match work.banks_mut().insert(bank, state) {
                    None => Ok(()),
                    Some(_) => Err(Contradiction::BankTwice(sequence)),
                }
            }
            ChangeKind::BankRenamed { bank, name } => {
                work.bank_mut(bank, sequence).map(|state| state.name = name)
            }
            ChangeKind::BankEnabledSet { bank, enabled } => {
                work.bank_mut(bank, sequence).map(|state| state.enabled = enabled)
            }
            ChangeKind::BankDeleted { bank } => {
                work.banks_mut().remove(&bank).ok_or(Contradiction::NoSuchBank(sequence))?;
                books.take_bank(bank);
                self.flush(work);
                self.indexes.pdq.remove_bank(bank);
                self.indexes.md5.remove_bank(bank);
                self.indexes.sha256.remove_bank(bank);
                work.gone_banks.insert(bank);
                Ok(())
            }
            ChangeKind::ItemAdded(item) => self.add_item(item, sequence, work, books),
            ChangeKind::ItemRemoved { item, .. } => self.remove_item(item, sequence, work, books),
        }
    }

    fn add_item(
        &self,
        item: Item,
        sequence: Sequence,
        work: &mut Work,
        books: &mut Books,
    ) -> Result<(), Contradiction> {
        let Item { id, bank, content, .. } = item;
        if !self.identity.holds(id) {
            return Err(Contradiction::OtherShard(sequence));
        }
        let state = work.banks.get(&bank).ok_or(Contradiction::NoSuchBank(sequence))?;
        let entry = Entry { item: id, bank };
        books.add(bank, SetDigest::of_item(id, content.hashes()));
        for hash in content.hashes() {
            state.counts.of(hash.hash_type()).fetch_add(1, Ordering::Relaxed);
            match *hash {
                Hash::Pdq(bytes) => work.pdq.push(Edit::Insert(bytes, entry)),
                Hash::Md5(bytes) => work.md5.push(Edit::Insert(bytes, entry)),
                Hash::Sha256(bytes) => work.sha256.push(Edit::Insert(bytes, entry)),
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
        work: &mut Work,
        books: &mut Books,
    ) -> Result<(), Contradiction> {
        let record = self.items.get(&id).ok_or(Contradiction::NoSuchItem(sequence))?;
        let state = work.banks.get(&record.bank).ok_or(Contradiction::NoSuchItem(sequence))?;
        for hash in record.content.hashes() {
            state.counts.of(hash.hash_type()).fetch_sub(1, Ordering::Relaxed);
            match *hash {
                Hash::Pdq(bytes) => work.pdq.push(Edit::Remove(bytes, id)),
                Hash::Md5(bytes) => work.md5.push(Edit::Remove(bytes, id)),
                Hash::Sha256(bytes) => work.sha256.push(Edit::Remove(bytes, id)),
            }
        }
        books.take(record.bank, SetDigest::of_item(id, record.content.hashes()));
        let first = work.gone.insert(id);
        if first { Ok(()) } else { Err(Contradiction::NoSuchItem(sequence)) }
    }

    /// Makes the gathered edits. Searches do not see them before the next moment.
    fn flush(&self, work: &mut Work) {
        self.indexes.pdq.apply(&std::mem::take(&mut work.pdq));
        self.indexes.md5.apply(&std::mem::take(&mut work.md5));
        self.indexes.sha256.apply(&std::mem::take(&mut work.sha256));
    }
}

/// A range that is being applied.
#[derive(Debug, Default)]
struct Work {
    banks: Arc<BankTable>,
    pdq: Vec<Edit<32>>,
    md5: Vec<Edit<16>>,
    sha256: Vec<Edit<32>>,
    /// Items and banks whose records go once no new search leads to them.
    gone: HashSet<ItemId>,
    gone_banks: HashSet<BankId>,
}

impl Work {
    /// The banks of the next moment: copied from those of the last when they first change.
    fn banks_mut(&mut self) -> &mut BankTable {
        Arc::make_mut(&mut self.banks)
    }

    fn bank_mut(&mut self, bank: BankId, sequence: Sequence) -> Result<&mut BankState, Contradiction> {
        self.banks_mut().get_mut(&bank).ok_or(Contradiction::NoSuchBank(sequence))
    }
}
