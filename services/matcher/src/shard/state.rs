//! The state of one shard: banks, items, and the indexes of their hashes.
//!
//! Synchronous and without I/O: [`Shard::apply`] takes a range of the log, `crate::searching::search` reads. There is one
//! caller of `apply`; there may be any number of searches at the same time, and none of them waits.
//!
//! A search works on one [`Moment`]: banks and indexes as they were at one sequence, swapped as a whole once a range is
//! applied. So a hash that was banked at every sequence is always found, even if the item that bore it was replaced by
//! another one, in another bank, while the search went on.
//!
//! Only the records of items are not kept for old moments. A search that finds a hash whose record is gone has been
//! overtaken by a removal, and searches again at the newest moment.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use vigie_follow::Proof;
use vigie_index::{Edit, Entry, EqualitySnapshot};

use vigie_model::{
    BankId, Change, ChangeKind, Cursor, FeedRange, Hash, HashCount, HashType, Item, ItemId, Sequence,
    SetDigest, ShardIdentity,
};

use crate::shard::banks::{BankState, BankTable, Books};
use crate::shard::contradiction::Contradiction;
use crate::shard::pdq::PdqSnapshot;
use crate::shard::records::Record;
use crate::shard::stores::Stores;

/// A shard that nothing is applied to.
pub(crate) struct Still<'a> {
    pub(crate) identity: ShardIdentity,
    pub(crate) stores: &'a Stores,
    pub(crate) moment: Arc<Moment>,
    pub(crate) settled: Sequence,
    pub(crate) books: &'a Books,
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
    stores: Stores,
    /// See [`ShardState::settled`].
    settled: Sequence,
    moment: ArcSwap<Moment>,
    books: Mutex<Books>,
}

/// Where a shard stands that does not begin with the log's first change, beside its indexes and records.
#[derive(Debug)]
pub(crate) struct ShardState {
    pub(crate) cursor: Cursor,
    /// Before this, the shard need not be what the bank was: its state was read while items went.
    pub(crate) settled: Sequence,
    pub(crate) banks: Arc<BankTable>,
    pub(crate) books: Books,
}

impl Shard {
    /// A shard that holds nothing, and stands before the log's first change.
    pub(crate) fn empty(identity: ShardIdentity, stores: Stores) -> Self {
        let indexes = &stores.indexes;
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
            stores,
            settled: Sequence::ZERO,
            moment: ArcSwap::from_pointee(moment),
            books: Mutex::default(),
        }
    }

    /// A shard that holds these hashes and records.
    pub(crate) fn of_state(identity: ShardIdentity, stores: Stores, state: ShardState) -> Self {
        let indexes = &stores.indexes;
        let ShardState { cursor, settled, banks, books } = state;
        let moment = Moment {
            sequence: cursor.sequence,
            cursor: Some(cursor),
            banks,
            digest: books.whole,
            pdq: indexes.pdq.snapshot(),
            md5: indexes.md5.snapshot(),
            sha256: indexes.sha256.snapshot(),
        };
        let (moment, books) = (ArcSwap::from_pointee(moment), Mutex::new(books));
        Self { identity, stores, settled, moment, books }
    }

    pub(crate) const fn identity(&self) -> ShardIdentity {
        self.identity
    }

    #[cfg(test)]
    pub(crate) const fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Before this, digests prove nothing: the state that the shard began with was read while items went.
    pub(crate) const fn settled(&self) -> Sequence {
        self.settled
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
    pub(crate) fn item<T>(&self, item: ItemId, read: impl FnOnce(&Record<'_>) -> T) -> Option<T> {
        self.stores.records.read(item, read)
    }

    pub(crate) fn item_count(&self) -> u64 {
        self.stores.records.count()
    }

    /// What last went wrong with the files of the shard. Nothing is lost by it.
    pub(crate) fn fault(&self) -> Option<String> {
        self.stores.indexes.fault().or_else(|| self.stores.records.fault())
    }

    pub(crate) fn hash_counts(&self) -> Vec<HashCount> {
        let exact = |hash_type, hashes: usize| HashCount {
            hash_type,
            hashes: u64::try_from(hashes).unwrap_or(u64::MAX),
            is_searched: true,
            exact: true,
            recall: None,
        };
        let pdq = exact(HashType::PDQ, self.stores.indexes.pdq.len());
        vec![
            HashCount {
                exact: self.stores.indexes.pdq.is_exact(),
                recall: self.stores.indexes.pdq.recall(),
                ..pdq
            },
            exact(HashType::MD5, self.stores.indexes.md5.len()),
            exact(HashType::SHA256, self.stores.indexes.sha256.len()),
        ]
    }

    /// Lets nothing be applied while `read` looks at the shard; `None` if it was left half changed.
    pub(crate) fn hold_still<T>(&self, read: impl FnOnce(Still<'_>) -> T) -> Option<T> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let Self { identity, stores, settled, .. } = self;
        let (identity, settled, moment) = (*identity, *settled, self.moment());
        (!books.is_broken).then(|| read(Still { identity, stores, moment, settled, books: &books }))
    }

    /// Applies a range of the log and shows it to searches as a whole. Says whether the bank's digest came with it and
    /// was equal to the shard's own: then the shard holds what the bank holds. After a contradiction the shard is of no
    /// more use.
    pub(crate) fn apply(&self, range: FeedRange) -> Result<Proof, Contradiction> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.is_broken = true;
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
        let has_changes = !range.changes.is_empty();
        let mut work = Work { banks: Arc::clone(&before.banks), ..Work::default() };
        for change in range.changes {
            self.apply_change(change, &mut work, &mut books)?;
        }
        let proof = match range.digest {
            None => Proof::None,
            Some(_) if range.through < self.settled => Proof::None,
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
            pdq: self.stores.indexes.pdq.snapshot(),
            md5: self.stores.indexes.md5.snapshot(),
            sha256: self.stores.indexes.sha256.snapshot(),
        }));
        // Nothing that a new search sees leads to these any more.
        for item in &work.gone {
            self.stores.records.remove(*item);
        }
        if !work.gone_banks.is_empty() {
            self.stores.records.remove_banks(&work.gone_banks);
        }
        if has_changes {
            self.stores.records.tend();
        }
        books.is_broken = false;
        Ok(proof)
    }

    fn apply_change(&self, change: Change, work: &mut Work, books: &mut Books) -> Result<(), Contradiction> {
        let Change { sequence, kind } = change;
        match kind {
            ChangeKind::BankCreated { bank, name, .. } => {
                let state = BankState::new(name, true);
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
                self.stores.indexes.pdq.remove_bank(bank);
                self.stores.indexes.md5.remove_bank(bank);
                self.stores.indexes.sha256.remove_bank(bank);
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
        // So ids ascend, and none comes twice.
        if id.0 != sequence.0 {
            return Err(Contradiction::OtherId(sequence));
        }
        if !self.identity.holds(id) {
            return Err(Contradiction::OtherShard(sequence));
        }
        let state = work.banks.get(&bank).ok_or(Contradiction::NoSuchBank(sequence))?;
        let entry = Entry { item: id, bank };
        books.add(bank, SetDigest::of_item(id, content.hashes()));
        for hash in content.hashes() {
            state.count(hash.hash_type());
            match hash.hash_type() {
                HashType::PDQ => work.pdq.push(Edit::Insert(bytes_of(hash), entry)),
                HashType::MD5 => work.md5.push(Edit::Insert(bytes_of(hash), entry)),
                HashType::SHA256 => work.sha256.push(Edit::Insert(bytes_of(hash), entry)),
                _ => {}
            }
        }
        self.stores.records.insert(id, bank, &content);
        Ok(())
    }

    fn remove_item(
        &self,
        id: ItemId,
        sequence: Sequence,
        work: &mut Work,
        books: &mut Books,
    ) -> Result<(), Contradiction> {
        let Some((bank, hashes)) = self.stores.records.read(id, |record| (record.bank(), record.hashes()))
        else {
            // It was gone when the state that the shard began with was read.
            let may_be_missing = sequence <= self.settled;
            return if may_be_missing { Ok(()) } else { Err(Contradiction::NoSuchItem(sequence)) };
        };
        let state = work.banks.get(&bank).ok_or(Contradiction::NoSuchItem(sequence))?;
        if !work.gone.insert(id) {
            return Err(Contradiction::NoSuchItem(sequence));
        }
        books.take(bank, SetDigest::of_item(id, &hashes));
        for hash in hashes {
            state.discount(hash.hash_type());
            match hash.hash_type() {
                HashType::PDQ => work.pdq.push(Edit::Remove(bytes_of(&hash), id)),
                HashType::MD5 => work.md5.push(Edit::Remove(bytes_of(&hash), id)),
                HashType::SHA256 => work.sha256.push(Edit::Remove(bytes_of(&hash), id)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the gathered edits. Searches do not see them before the next moment.
    fn flush(&self, work: &mut Work) {
        self.stores.indexes.pdq.apply(&std::mem::take(&mut work.pdq));
        self.stores.indexes.md5.apply(&std::mem::take(&mut work.md5));
        self.stores.indexes.sha256.apply(&std::mem::take(&mut work.sha256));
    }
}

/// The bytes of a hash whose type has this length.
pub(crate) fn bytes_of<const BYTES: usize>(hash: &Hash) -> [u8; BYTES] {
    hash.as_bytes().try_into().expect("a hash has a length of its row")
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
