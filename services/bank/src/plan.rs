//! Decides what a group of writes does to the log and the state. Pure: data in, data out.
//!
//! A [`Planner`] takes writes one after another, each of which sees what those before it did. A write is checked as a
//! whole before it touches anything, so a rejected one leaves no trace. What comes out is a
//! draft of changes and the [`Rows`] that they cause.

pub(crate) mod digests;
pub(crate) mod write;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use vigie_log::{Draft, Planned};
use vigie_model::{
    Bank, BankId, BankName, Change, ChangeKind, Item, ItemContent, ItemId, Partition, Sequence, SetDigest,
    UnixMillis,
};
use vigie_proto::bank::{encode_change, encode_item};

use self::digests::{PartDigest, Parts};
use self::write::{Answer, Write};
use crate::error::Error;
use crate::store::{Counts, Placement, Rows, StoredItem, to_model};

/// The counts and the living banks, as the writer keeps them in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    counts: Counts,
    banks: BTreeMap<BankId, Bank>,
    names: HashMap<BankName, BankId>,
}

impl State {
    /// From the rows of the store.
    pub(crate) fn new(counts: Counts, banks: Vec<Bank>) -> Self {
        let names = banks.iter().map(|bank| (bank.name.clone(), bank.id)).collect();
        Self { counts, banks: banks.into_iter().map(|bank| (bank.id, bank)).collect(), names }
    }

    /// The id of a living bank.
    pub(crate) fn id_of(&self, name: &BankName) -> Option<BankId> {
        self.names.get(name).copied()
    }

    fn bank(&mut self, name: &BankName) -> Result<&mut Bank, Error> {
        let found = self.names.get(name).and_then(|id| self.banks.get_mut(id));
        found.ok_or_else(|| Error::BankNotFound(name.clone()))
    }
}

/// What the store knows of the items and of the deleted bank that a group of writes names.
#[derive(Debug, Default)]
pub(crate) struct Known {
    items: HashMap<ItemId, Placement>,
    /// The digests of banks that are to be deleted.
    digests: Vec<PartDigest>,
}

impl Known {
    /// From the rows of the store.
    pub(crate) fn new(placements: Vec<Placement>, digests: Vec<PartDigest>) -> Self {
        let items = placements.into_iter().map(|placement| (placement.item, placement)).collect();
        Self { items, digests }
    }
}

/// Plans one group of writes.
#[derive(Debug)]
pub(crate) struct Planner<'a> {
    state: &'a mut State,
    known: Known,
    draft: Draft<Change>,
    banks_max: usize,
    touched: BTreeSet<BankId>,
    removed: HashSet<ItemId>,
    items: Vec<StoredItem>,
    /// How the digests of living banks change.
    parts: Parts,
    /// How those of the partitions change, over all banks.
    totals: BTreeMap<u16, SetDigest>,
}

impl<'a> Planner<'a> {
    /// Begins a group on `state`, which is as of the group's end once [`vigie_log::Planner::finish`] has been called; if the
    /// group is not committed, the state has to be loaded again.
    pub(crate) fn new(state: &'a mut State, known: Known, draft: Draft<Change>, banks_max: usize) -> Self {
        Self {
            state,
            known,
            draft,
            banks_max,
            touched: BTreeSet::new(),
            removed: HashSet::new(),
            items: Vec::new(),
            parts: Parts::default(),
            totals: BTreeMap::new(),
        }
    }
}

impl vigie_log::Planner for Planner<'_> {
    type Write = Write;
    type Answer = Answer;
    type Error = Error;
    type Change = Change;
    type Rows = Rows;
    type Delta = Vec<(u16, SetDigest)>;

    fn plan(&mut self, write: &Write) -> Result<Answer, Error> {
        match write {
            Write::CreateBank { name } => self.create_bank(name),
            Write::RenameBank { name, new_name } => self.rename_bank(name, new_name),
            Write::SetBankEnabled { name, enabled } => self.set_bank_enabled(name, *enabled),
            Write::DeleteBank { name } => self.delete_bank(name),
            Write::AddItems { bank, items } => self.add_items(bank, items),
            Write::RemoveItems { items } => self.remove_items(items),
        }
    }

    fn finish(self) -> Planned<Change, Rows, Self::Delta> {
        self.state.counts.banks = self.state.banks.len() as u64;
        let (living, gone): (Vec<_>, Vec<_>) =
            self.touched.iter().map(|id| self.state.banks.get(id).ok_or(*id)).partition(Result::is_ok);
        let rows = Rows {
            counts: self.state.counts,
            banks_set: living.into_iter().filter_map(Result::ok).cloned().collect(),
            banks_deleted: gone.into_iter().filter_map(Result::err).collect(),
            items_added: self.items,
            items_removed: self.removed.into_iter().collect(),
            digests: self.parts.iter().collect(),
        };
        Planned { draft: self.draft, rows, delta: self.totals.into_iter().collect() }
    }
}

impl Planner<'_> {
    fn create_bank(&mut self, name: &BankName) -> Result<Answer, Error> {
        if self.state.names.contains_key(name) {
            return Err(Error::NameTaken(name.clone()));
        }
        if self.state.banks.len() >= self.banks_max {
            return Err(Error::TooManyBanks(self.banks_max));
        }
        let id = BankId(self.state.counts.next_bank);
        let bank = Bank {
            id,
            name: name.clone(),
            enabled: true,
            created_at: self.now(),
            item_count: 0,
            hash_count: 0,
        };
        // 4,294,967,295 banks in a lifetime: one each second for 136 years.
        self.state.counts.next_bank = id.0.checked_add(1).ok_or(Error::Broken)?;
        self.state.names.insert(name.clone(), id);
        self.state.banks.insert(id, bank.clone());
        self.touched.insert(id);
        let sequence =
            self.log(ChangeKind::BankCreated { bank: id, name: name.clone(), created_at: bank.created_at });
        Ok(Answer::Bank { bank, sequence })
    }

    fn rename_bank(&mut self, name: &BankName, new_name: &BankName) -> Result<Answer, Error> {
        let id = self.state.bank(name)?.id;
        if self.state.names.get(new_name).is_some_and(|holder| *holder != id) {
            return Err(Error::NameTaken(new_name.clone()));
        }
        self.state.names.remove(name);
        self.state.names.insert(new_name.clone(), id);
        let bank = self.touch(id, |bank| bank.name = new_name.clone())?;
        let sequence = self.log(ChangeKind::BankRenamed { bank: id, name: new_name.clone() });
        Ok(Answer::Bank { bank, sequence })
    }

    fn set_bank_enabled(&mut self, name: &BankName, enabled: bool) -> Result<Answer, Error> {
        let id = self.state.bank(name)?.id;
        let bank = self.touch(id, |bank| bank.enabled = enabled)?;
        let sequence = self.log(ChangeKind::BankEnabledSet { bank: id, enabled });
        Ok(Answer::Bank { bank, sequence })
    }

    fn delete_bank(&mut self, name: &BankName) -> Result<Answer, Error> {
        let bank = self.state.bank(name)?.clone();
        self.forget_digests(&bank)?;
        self.state.names.remove(name);
        self.state.banks.remove(&bank.id);
        self.state.counts.items -= bank.item_count;
        self.state.counts.hashes -= bank.hash_count;
        self.touched.insert(bank.id);
        let sequence = self.log(ChangeKind::BankDeleted { bank: bank.id });
        Ok(Answer::BankDeleted { sequence, item_count: bank.item_count })
    }

    fn add_items(&mut self, bank: &BankName, contents: &[ItemContent]) -> Result<Answer, Error> {
        let bank = self.state.bank(bank)?.id;
        let first = ItemId(self.draft.last().next().0);
        let mut hashes = 0;
        for content in contents {
            let id = ItemId(self.draft.last().next().0);
            let item = Item { id, bank, added_at: self.now(), content: content.clone() };
            let digest = SetDigest::of_item(id, content.hashes());
            let placement = Placement { item: id, bank, digest };
            hashes += digest.hashes;
            self.count(&placement, |sum, digest| *sum += digest);
            self.known.items.insert(id, placement);
            self.items.push(StoredItem { placement, payload: encode_item(item.clone()) });
            self.log(ChangeKind::ItemAdded(item));
        }
        let items = contents.len() as u64;
        self.touch(bank, |bank| {
            bank.item_count += items;
            bank.hash_count += hashes;
        })?;
        self.state.counts.items += items;
        self.state.counts.hashes += hashes;
        Ok(Answer::ItemsAdded { first, last: ItemId(self.draft.last().0) })
    }

    fn remove_items(&mut self, items: &[ItemId]) -> Result<Answer, Error> {
        let living = |item: &ItemId| {
            let placement = self.known.items.get(item).copied();
            let found = placement.filter(|placement| self.state.banks.contains_key(&placement.bank));
            found.ok_or(Error::ItemNotFound(*item))
        };
        let placements = items.iter().map(living).collect::<Result<Vec<_>, _>>()?;
        for placement in placements {
            let Placement { item, bank, digest } = placement;
            self.count(&placement, |sum, digest| *sum -= digest);
            self.known.items.remove(&item);
            self.removed.insert(item);
            self.touch(bank, |bank| {
                bank.item_count -= 1;
                bank.hash_count -= digest.hashes;
            })?;
            self.state.counts.items -= 1;
            self.state.counts.hashes -= digest.hashes;
            self.log(ChangeKind::ItemRemoved { item, bank });
        }
        Ok(Answer::ItemsRemoved { sequence: to_model(self.draft.last()) })
    }

    /// Takes an item's hashes into the digests, or out of them.
    fn count(&mut self, placement: &Placement, change: impl Fn(&mut SetDigest, SetDigest)) {
        let partition = Partition::of(placement.item).get();
        change(self.parts.part(placement.bank, partition), placement.digest);
        change(self.totals.entry(partition).or_default(), placement.digest);
    }

    /// Takes a bank that is about to go out of the digests.
    fn forget_digests(&mut self, bank: &Bank) -> Result<(), Error> {
        let stored = || self.known.digests.iter().filter(|part| part.bank == bank.id).copied();
        let parts: Vec<PartDigest> = stored().chain(self.parts.of(bank.id)).collect();
        let hashes = parts.iter().fold(0_u64, |sum, part| sum.wrapping_add(part.digest.hashes));
        if hashes != bank.hash_count {
            return Err(Error::Broken);
        }
        self.parts.remove(bank.id);
        for part in parts {
            *self.totals.entry(part.partition).or_default() -= part.digest;
        }
        Ok(())
    }

    /// Changes a living bank, and gives it as it is now.
    fn touch(&mut self, id: BankId, change: impl FnOnce(&mut Bank)) -> Result<Bank, Error> {
        let bank = self.state.banks.get_mut(&id).ok_or(Error::Broken)?;
        change(bank);
        self.touched.insert(id);
        Ok(bank.clone())
    }

    fn now(&self) -> UnixMillis {
        UnixMillis(self.draft.now().0)
    }

    /// Numbers a change and takes it into the group.
    fn log(&mut self, kind: ChangeKind) -> Sequence {
        let bytes = encode_change(kind.clone());
        let partition = kind.partition().map(Partition::get);
        let change = |sequence| Change { sequence: to_model(sequence), kind };
        to_model(self.draft.append(partition, bytes, change))
    }
}

#[cfg(test)]
mod tests;
