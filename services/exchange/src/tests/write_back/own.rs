//! A bank's own items in memory, as write-back reads them.

use std::collections::{BTreeMap, BTreeSet};

use vigie_model::{Hash, ItemId, Sequence, UnixMillis};

use crate::bank::{ChangePage, ItemChange, ItemState};
use crate::tests::model::Model;

/// The present and former items of a bank.
#[derive(Debug, Default)]
pub(crate) struct OwnItems {
    /// The newest change of the log.
    pub(crate) head: u64,
    items: BTreeMap<u64, Item>,
}

#[derive(Debug, Clone)]
struct Item {
    numbers: Vec<u8>,
    is_own: bool,
    was_own: bool,
    is_held: bool,
    is_canary: bool,
    is_removed: bool,
    is_purged: bool,
    is_back: bool,
    sequence: u64,
    changed_at: u64,
}

/// A change of a bank. Items are named by their index among the present ones.
#[derive(Debug, Clone)]
pub(crate) enum OwnChange {
    /// Adds an own item with the hashes of these numbers.
    Add(Vec<u8>),
    /// Adds an item that came from a programme.
    AddOfProgramme(u8),
    AddCanary(u8),
    Remove(usize),
    /// Brings back the removed item with this index, as another item.
    Restore(usize),
    Hold(usize),
    Lift(usize),
    /// Adds a submission of the item without a programme, or withdraws it.
    Claim(usize, bool),
    /// Adds a change that leaves the item unchanged.
    Touch(usize),
}

impl OwnItems {
    /// Applies a change at a time in seconds.
    pub(crate) fn change(&mut self, change: &OwnChange, now: u64) {
        self.head += 1;
        let (sequence, changed_at) = (self.head, now * 1_000);
        let mut add = |numbers: Vec<u8>, is_own, is_canary| {
            let item = Item {
                numbers,
                is_own,
                was_own: is_own,
                is_canary,
                is_held: false,
                is_removed: false,
                is_purged: false,
                is_back: false,
                sequence,
                changed_at,
            };
            self.items.insert(sequence, item);
        };
        match change {
            OwnChange::Add(numbers) => return add(numbers.clone(), true, false),
            OwnChange::AddOfProgramme(number) => return add(vec![*number], false, false),
            OwnChange::AddCanary(number) => return add(vec![*number], true, true),
            OwnChange::Restore(at) => return self.restore(*at, sequence, changed_at),
            OwnChange::Remove(_)
            | OwnChange::Hold(_)
            | OwnChange::Lift(_)
            | OwnChange::Claim(..)
            | OwnChange::Touch(_) => {}
        }
        let (OwnChange::Remove(at)
        | OwnChange::Hold(at)
        | OwnChange::Lift(at)
        | OwnChange::Claim(at, _)
        | OwnChange::Touch(at)) = change
        else {
            return;
        };
        let living = self.items.values_mut().filter(|item| !item.is_removed);
        let mut living: Vec<&mut Item> = living.collect();
        let count = living.len().max(1);
        let Some(item) = living.get_mut(at % count) else { return };
        (item.sequence, item.changed_at) = (sequence, changed_at);
        match change {
            OwnChange::Remove(_) => item.is_removed = true,
            OwnChange::Hold(_) => item.is_held = true,
            OwnChange::Lift(_) => item.is_held = false,
            OwnChange::Claim(_, is_own) => (item.is_own, item.was_own) = (*is_own, item.was_own || *is_own),
            OwnChange::Add(_)
            | OwnChange::AddOfProgramme(_)
            | OwnChange::AddCanary(_)
            | OwnChange::Restore(_)
            | OwnChange::Touch(_) => {}
        }
    }

    fn restore(&mut self, at: usize, sequence: u64, changed_at: u64) {
        let gone = self.items.values_mut().filter(|item| item.is_removed && !item.is_purged && !item.is_back);
        let mut gone: Vec<&mut Item> = gone.collect();
        let count = gone.len().max(1);
        let Some(item) = gone.get_mut(at % count) else { return };
        let back = Item { is_removed: false, sequence, changed_at, ..item.clone() };
        // The change of the former item comes after that of the new one.
        (item.is_back, item.sequence, item.changed_at) = (true, sequence + 1, changed_at);
        self.head += 1;
        self.items.insert(sequence, back);
    }

    /// Purges the hashes of removed items.
    pub(crate) fn purge(&mut self) {
        self.items.values_mut().filter(|item| item.is_removed).for_each(|item| item.is_purged = true);
    }

    /// Returns the numbers of the hashes that the programme must have.
    pub(crate) fn shared(&self) -> BTreeSet<u8> {
        self.items.values().filter(|item| item.is_shared()).flat_map(|item| item.numbers.clone()).collect()
    }

    pub(crate) fn page(&self, after: Sequence, count_max: u16) -> ChangePage {
        let mut changes: Vec<ItemChange> = self
            .items
            .iter()
            .filter(|(_, item)| item.sequence > after.0)
            .map(|(id, item)| ItemChange {
                item: ItemId(*id),
                sequence: Sequence(item.sequence),
                changed_at: UnixMillis(item.changed_at),
                state: item.state(),
            })
            .collect();
        changes.sort_by_key(|change| change.sequence);
        let has_more = changes.len() > usize::from(count_max);
        changes.truncate(count_max.into());
        let last = changes.last().map_or(self.head, |change| change.sequence.0);
        let next_after = Sequence(if has_more { last } else { self.head });
        ChangePage { changes, head: Sequence(self.head), next_after, has_more }
    }

    pub(crate) fn item(&self, item: ItemId) -> Option<Vec<Hash>> {
        self.items.get(&item.0).filter(|item| item.is_shared()).map(Item::hashes)
    }
}

impl Item {
    fn is_shared(&self) -> bool {
        self.is_own && !self.is_held && !self.is_canary && !self.is_removed
    }

    fn hashes(&self) -> Vec<Hash> {
        self.numbers.iter().map(|number| Model::hash(*number)).collect()
    }

    fn state(&self) -> ItemState {
        if self.is_canary || !self.was_own {
            return ItemState::NotOwn;
        }
        if self.is_back {
            return ItemState::BroughtBack;
        }
        if self.is_removed {
            return ItemState::Removed((!self.is_purged).then(|| self.hashes()));
        }
        match (self.is_own, self.is_held) {
            (false, _) => ItemState::FormerlyOwn(self.hashes()),
            (_, true) => ItemState::Held(self.hashes()),
            (..) => ItemState::Own(self.hashes()),
        }
    }
}
