//! The state of one shard: banks, items, and the indexes of their hashes.
//!
//! Synchronous and without I/O: [`Shard::apply`] applies a range of the log, and `crate::searching::search`
//! reads. `apply` has one caller. Any number of searches may run at the same time, and none of them waits.
//!
//! A search works on one [`Moment`]: the banks and indexes at one sequence, which is replaced as a whole
//! after each range. So a hash that was banked at every sequence is always found, even if its item was
//! replaced during the search by another one in another bank.
//!
//! Only the records of items are not kept for old moments. If a search finds a hash whose record is gone, the
//! item was removed during the search, and the search starts again at the newest moment.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwap;
use vigie_follow::Proof;
use vigie_index::{Entry, HashEdits, SegmentError, Stored};

use vigie_model::{
    BankId, Change, ChangeKind, Cursor, FeedRange, HashCount, HashType, HashTypeSet, Item, ItemId, MemberId,
    Sequence, SetDigest, ShardIdentity,
};

use crate::shard::banks::{BankState, BankTable, Books, Searched};
use crate::shard::beside::marks::Marks;
use crate::shard::contradiction::Contradiction;
use crate::shard::indexes::{EditsByIndex, IndexKey, IndexPlan, Snapshots};
use crate::shard::records::Record;
use crate::shard::removals::Removals;
use crate::shard::rows;
use crate::shard::selection::{Banks, Moved};
use crate::shard::stores::Stores;

/// A shard to which nothing is applied meanwhile.
pub(crate) struct Still<'a> {
    pub(crate) identity: ShardIdentity,
    pub(crate) stores: &'a Stores,
    pub(crate) moment: Arc<Moment>,
    pub(crate) settled: Sequence,
    pub(crate) books: &'a Books,
    pub(crate) removals: &'a Removals,
}

/// Everything that a search reads, at one sequence.
#[derive(Debug)]
pub(crate) struct Moment {
    pub(crate) sequence: Sequence,
    /// The position in the bank's log; `None` before the first range.
    pub(crate) cursor: Option<Cursor>,
    pub(crate) banks: Arc<Banks>,
    /// The items that are held, and the standings of items among the members.
    pub(crate) marks: Marks,
    /// Whether the deployment has members, so that a search must name its set of banks. This never becomes
    /// false again.
    pub(crate) members_on: bool,
    /// The digest of the living hashes, holds and standings.
    pub(crate) digest: SetDigest,
    /// The digest of what searches of this moment must reach.
    pub(crate) searched: Searched,
    pub(crate) indexes: Snapshots,
}

/// A shard of a replica, which a follower changes while searches read it.
#[derive(Debug)]
pub(crate) struct Shard {
    identity: ShardIdentity,
    stores: Stores,
    /// See [`ShardState::settled`].
    settled: Sequence,
    moment: ArcSwap<Moment>,
    books: Mutex<Books>,
    removals: Removals,
}

/// The state of a shard that does not begin with the log's first change, except its indexes and records.
#[derive(Debug)]
pub(crate) struct ShardState {
    pub(crate) cursor: Cursor,
    /// Before this sequence the shard may differ from the bank, because its state was read while items were
    /// removed.
    pub(crate) settled: Sequence,
    pub(crate) banks: Banks,
    pub(crate) marks: Marks,
    /// See [`Moment::members_on`].
    pub(crate) members_on: bool,
    pub(crate) books: Books,
    pub(crate) removals: Removals,
}

impl Moment {
    /// Returns the member for whom a search is made: the one that it names, or the host if the deployment has
    /// no members.
    pub(crate) fn member(&self, named: Option<MemberId>) -> Option<MemberId> {
        named.or((!self.members_on).then_some(MemberId::HOST))
    }
}

impl Shard {
    /// Returns a shard that holds nothing, before the log's first change.
    pub(crate) fn empty(identity: ShardIdentity, stores: Stores) -> Self {
        let moment = Moment {
            sequence: Sequence::ZERO,
            cursor: None,
            banks: Arc::default(),
            marks: Marks::default(),
            members_on: false,
            digest: SetDigest::EMPTY,
            searched: Searched::default(),
            indexes: stores.indexes.snapshot(),
        };
        Self {
            identity,
            stores,
            settled: Sequence::ZERO,
            moment: ArcSwap::from_pointee(moment),
            books: Mutex::default(),
            removals: Removals::default(),
        }
    }

    /// Returns a shard with these stores and this state.
    pub(crate) fn of_state(identity: ShardIdentity, stores: Stores, state: ShardState) -> Self {
        let ShardState { cursor, settled, banks, marks, members_on, books, removals } = state;
        let moment = Moment {
            sequence: cursor.sequence,
            cursor: Some(cursor),
            banks: Arc::new(banks),
            marks,
            members_on,
            digest: books.whole,
            searched: books.searched,
            indexes: stores.indexes.snapshot(),
        };
        let (moment, books) = (ArcSwap::from_pointee(moment), Mutex::new(books));
        Self { identity, stores, settled, moment, books, removals }
    }

    pub(crate) const fn identity(&self) -> ShardIdentity {
        self.identity
    }

    #[cfg(test)]
    pub(crate) const fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Returns the sequence before which digests prove nothing, because the shard's first state was read
    /// while items were removed.
    pub(crate) const fn settled(&self) -> Sequence {
        self.settled
    }

    /// Returns the moment that a search which starts now uses.
    pub(crate) fn moment(&self) -> Arc<Moment> {
        self.moment.load_full()
    }

    /// Returns the last change that searches see.
    pub(crate) fn applied(&self) -> Sequence {
        self.moment.load().sequence
    }

    /// Passes the record of an item to `read`, and returns its result. Returns `None` if the item has been
    /// removed or never existed.
    pub(crate) fn item<T>(&self, item: ItemId, read: impl FnOnce(&Record<'_>) -> T) -> Option<T> {
        self.stores.records.read(item, read)
    }

    pub(crate) fn item_count(&self) -> u64 {
        self.stores.records.count()
    }

    /// Returns the last error with the files of the shard. No data is lost by it.
    pub(crate) fn fault(&self) -> Option<String> {
        self.stores.indexes.fault().or_else(|| self.stores.records.fault())
    }

    /// Returns the parts of the shard that have their own checksums, as weak references.
    pub(crate) fn stored(&self) -> Vec<Weak<dyn Stored>> {
        let mut stored = self.stores.records.stored();
        stored.extend(self.moment().indexes.all().flat_map(|(_, index)| index.stored()));
        stored
    }

    /// Returns the memory ranges of the searched data, for tests that damage it.
    #[cfg(test)]
    pub(crate) fn memory(&self) -> Vec<std::ops::Range<usize>> {
        let moment = self.moment();
        let tails = moment.indexes.all().flat_map(|(_, index)| index.tail_memory());
        let stored = self.stored().into_iter().filter_map(|one| one.upgrade());
        tails.chain(stored.flat_map(|one| one.memory())).collect()
    }

    /// Returns the settings of the indexes, which determine the types that can be searched.
    pub(crate) const fn plan(&self) -> &IndexPlan {
        self.stores.indexes.plan()
    }

    /// Returns the number of living hashes of every type that this build knows, and of every other type that
    /// the shard holds. A video counts as one.
    pub(crate) fn hash_counts(&self) -> Vec<HashCount> {
        let mut counts = self.stores.indexes.counts();
        let moment = self.moment();
        for count in counts.iter_mut().filter(|count| count.hash_type == HashType::VPDQ) {
            count.hashes = moment.banks.values().map(|bank| bank.hashes(HashType::VPDQ)).sum();
        }
        let lacking = HashType::of_table().filter(|hash_type| !self.plan().searches(*hash_type));
        let unknown = moment.banks.values().flat_map(BankState::unknown_types);
        let not_searched: HashTypeSet = lacking.chain(unknown).collect();
        counts.extend(not_searched.iter().map(|hash_type| HashCount {
            hash_type,
            hashes: moment.banks.values().map(|bank| bank.hashes(hash_type)).sum(),
            is_searched: false,
            exact: true,
            recall: None,
        }));
        counts.sort_unstable_by_key(|count| count.hash_type);
        counts
    }

    /// Passes the shard to `read`, and applies nothing meanwhile. Returns `None` if an earlier change was
    /// applied only in part.
    pub(crate) fn hold_still<T>(&self, read: impl FnOnce(Still<'_>) -> T) -> Option<T> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let Self { identity, stores, settled, removals, .. } = self;
        let (identity, settled, moment) = (*identity, *settled, self.moment());
        (!books.is_broken).then(|| read(Still { identity, stores, moment, settled, books: &books, removals }))
    }

    /// Returns the time since which files of the shard may hold removed items.
    pub(crate) const fn removals(&self) -> &Removals {
        &self.removals
    }

    /// Rewrites every file that holds items removed before now, until `stop` is set. The old files are
    /// deleted with the snapshots that name them. Changes are still applied meanwhile, except while one file
    /// of records is rewritten. Returns whether it was completed.
    pub(crate) fn clear_removed(&self, stop: &AtomicBool) -> Result<bool, SegmentError> {
        let begun = self.removals.begin_clearing();
        let is_stopped = || stop.load(Ordering::Relaxed);
        self.stores.indexes.clear_dead(&is_stopped)?;
        let before = self.stores.records.next_number();
        loop {
            if is_stopped() {
                return Ok(false);
            }
            match self.hold_still(|still| still.stores.records.clear_dead(before)).transpose()? {
                Some(true) => {}
                Some(false) => break,
                // A change was applied only in part, and the shard will be dropped.
                None => return Ok(false),
            }
        }
        self.removals.end_clearing(begun);
        Ok(true)
    }

    /// Applies a range of the log, and shows it to searches as a whole. Returns whether the range had a
    /// digest of the bank that equals the shard's own, which proves that the shard holds what the bank holds.
    /// After a contradiction the shard is useless.
    pub(crate) fn apply(&self, range: FeedRange) -> Result<Proof, Contradiction> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.is_broken = true;
        let before = self.moment();
        if range.after != before.sequence {
            return Err(Contradiction::Gap { after: range.after, applied: before.sequence });
        }
        if before.cursor.is_some_and(|cursor| cursor.log != range.log) {
            return Err(Contradiction::OtherLog { named: range.log });
        }
        let mut cursor = range.end();
        if range.through == before.sequence {
            // A heartbeat may omit the chain that is already known.
            cursor.chain = cursor.chain.or(before.cursor.and_then(|cursor| cursor.chain));
        }
        let has_changes = !range.changes.is_empty();
        let (banks, marks) = (Arc::clone(&before.banks), before.marks.clone());
        let mut work = Work { banks, marks, ..Work::default() };
        for change in range.changes {
            self.apply_change(change, &mut work, &mut books)?;
        }
        let proof = match range.digest {
            None => Proof::None,
            Some(_) if range.through < self.settled => Proof::None,
            Some(bank) if bank == books.whole => Proof::Equal,
            Some(bank) => {
                return Err(Contradiction::Digest { sequence: range.through, own: books.whole, bank });
            }
        };
        self.flush(&mut work);
        work.banks.count(&work.moved);
        self.moment.store(Arc::new(Moment {
            sequence: range.through,
            cursor: Some(cursor),
            banks: work.banks,
            marks: work.marks,
            members_on: before.members_on || range.members_on,
            digest: books.whole,
            searched: books.searched,
            indexes: self.stores.indexes.snapshot(),
        }));
        // No new search can reach these records any more.
        for item in &work.gone {
            self.stores.records.remove(*item);
        }
        if !work.gone_banks.is_empty() {
            self.stores.records.remove_banks(&work.gone_banks);
        }
        if !work.gone.is_empty() || !work.gone_banks.is_empty() {
            self.removals.note();
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
                self.stores.indexes.remove_bank(bank);
                work.gone_banks.insert(bank);
                work.marks.remove_bank(bank);
                Ok(())
            }
            ChangeKind::ItemAdded(item) => self.add_item(item, sequence, work, books),
            ChangeKind::ItemRemoved { item, .. } => self.remove_item(item, sequence, work, books),
            ChangeKind::ItemHeldSet { item, held, .. } => {
                if let Some(bank) = self.bank_of(item, sequence, work)? {
                    work.marks.set_held(item, bank, held, books);
                }
                Ok(())
            }
            ChangeKind::ItemStandingSet { item, standing, .. } => {
                if let Some(bank) = self.bank_of(item, sequence, work)? {
                    work.marks.set_standing(item, bank, standing, books);
                }
                Ok(())
            }
        }
    }

    fn add_item(
        &self,
        item: Item,
        sequence: Sequence,
        work: &mut Work,
        books: &mut Books,
    ) -> Result<(), Contradiction> {
        let Item { id, bank, added_at, content, .. } = item;
        // This makes ids ascend, without duplicates.
        if id.0 != sequence.0 {
            return Err(Contradiction::OtherId(sequence));
        }
        if !self.identity.holds(id) {
            return Err(Contradiction::OtherShard(sequence));
        }
        if !work.banks.contains_key(&bank) {
            return Err(Contradiction::NoSuchBank(sequence));
        }
        let entry = Entry { item: id, bank };
        books.add(bank, id, content.hashes(), self.plan());
        for hash in content.hashes() {
            *work.moved.entry((bank, hash.hash_type())).or_default() += 1;
        }
        rows::each(content.hashes(), self.plan(), |key, row| {
            edits_of(&mut work.edits, key).insert(row, entry)
        });
        self.stores.records.insert(id, bank, added_at, &content);
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
            // The item was already removed when the shard's first state was read.
            let may_be_missing = sequence <= self.settled;
            return if may_be_missing { Ok(()) } else { Err(Contradiction::NoSuchItem(sequence)) };
        };
        if !work.banks.contains_key(&bank) || !work.gone.insert(id) {
            return Err(Contradiction::NoSuchItem(sequence));
        }
        books.take(bank, id, &hashes, self.plan());
        work.marks.remove(id, bank, books);
        for hash in &hashes {
            *work.moved.entry((bank, hash.hash_type())).or_default() -= 1;
        }
        rows::each(&hashes, self.plan(), |key, row| edits_of(&mut work.edits, key).remove(row, id));
        Ok(())
    }

    /// Returns the bank of an item that a change marks. Returns `None` for an item that was already removed
    /// when the shard's first state was read. Before the shard is settled, that state may already have this
    /// mark or a later one.
    fn bank_of(&self, id: ItemId, sequence: Sequence, work: &Work) -> Result<Option<BankId>, Contradiction> {
        let bank = self.stores.records.read(id, |record| record.bank()).filter(|_| !work.gone.contains(&id));
        let bank = bank.filter(|bank| work.banks.contains_key(bank));
        if bank.is_none() && sequence > self.settled {
            return Err(Contradiction::NoSuchItem(sequence));
        }
        Ok(bank)
    }

    /// Applies the collected edits. Searches see them only in the next moment.
    fn flush(&self, work: &mut Work) {
        self.stores.indexes.apply(&std::mem::take(&mut work.edits));
    }
}

/// The collected work of a range that is being applied.
#[derive(Debug, Default)]
struct Work {
    banks: Arc<Banks>,
    marks: Marks,
    edits: EditsByIndex,
    /// The hashes to add to the counts.
    moved: Moved,
    /// The items and banks whose records are removed once no new search can reach them.
    gone: HashSet<ItemId>,
    gone_banks: HashSet<BankId>,
}

impl Work {
    /// Returns the banks of the next moment. They are copied from the last moment's on the first change.
    fn banks_mut(&mut self) -> &mut BankTable {
        Arc::make_mut(&mut self.banks).table_mut()
    }

    fn bank_mut(&mut self, bank: BankId, sequence: Sequence) -> Result<&mut BankState, Contradiction> {
        self.banks_mut().get_mut(&bank).ok_or(Contradiction::NoSuchBank(sequence))
    }
}

/// Returns the edits of an index.
fn edits_of(edits: &mut EditsByIndex, key: IndexKey) -> &mut HashEdits {
    edits.entry(key).or_insert_with(|| HashEdits::new(key.bytes))
}
