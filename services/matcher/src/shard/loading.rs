//! Builds a shard from the state that the bank streams, instead of from its log.
//!
//! Synchronous: the parts are passed in one by one. Memory is bounded by [`BULK_ROWS`] of each hash type.
//! Further rows go into segments of the indexes as they arrive, and the segments are merged at the end.
//!
//! The state is not of one moment. A shard that was built from it equals the bank from [`Shard::settled`] on.
//! Before that, digests prove nothing, and a removal may be of an item that was not in the state.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;
use vigie_index::{Entry, HashRows, SegmentError};
use vigie_model::change::Cursor;
use vigie_model::{Bank, BankId, Item, ItemId, Sequence, ShardIdentity, Standing};

use crate::shard::banks::{BankState, BankTable, Books};
use crate::shard::beside::marks::Marks;
use crate::shard::indexes::IndexKey;
use crate::shard::removals::Removals;
use crate::shard::rows;
use crate::shard::state::{Shard, ShardState};
use crate::shard::stores::Stores;

/// The number of rows of one index that are collected before they become a segment.
const BULK_ROWS: usize = 1 << 20;
/// The most bytes of the hashes of these rows, which limits long hashes. Rows of the usual lengths take 48
/// MiB with their entries, and up to three times as much while they are sorted.
const BULK_BYTES: usize = 32 << 20;

/// Reasons why a shard cannot be made of a state.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    #[error("the state holds item {item} of bank {bank}, but not that bank")]
    NoSuchBank { item: ItemId, bank: BankId },
    #[error("the state came without its beginning")]
    NoBeginning,
    #[error("cannot write the indexes of the state")]
    Index(#[from] SegmentError),
}

/// A shard that is being loaded.
#[derive(Debug)]
pub(crate) struct Loading {
    identity: ShardIdentity,
    stores: Stores,
    cursor: Cursor,
    banks: BankTable,
    marks: Marks,
    members_on: bool,
    books: Books,
    rows: BTreeMap<IndexKey, HashRows>,
    /// Whether an index has more than one segment.
    is_split: bool,
}

impl Loading {
    /// Starts with empty stores and the bank table as of a cursor. `members_on` is whether the deployment has
    /// members.
    pub(crate) fn begin(
        identity: ShardIdentity,
        stores: Stores,
        cursor: Cursor,
        banks: Vec<Bank>,
        members_on: bool,
    ) -> Self {
        let banks = banks.into_iter().map(|bank| (bank.id, BankState::new(bank.name, bank.enabled)));
        Self {
            identity,
            stores,
            cursor,
            banks: banks.collect(),
            marks: Marks::default(),
            members_on,
            books: Books::default(),
            rows: BTreeMap::new(),
            is_split: false,
        }
    }

    /// Returns the position in the log of the banks and items.
    pub(crate) const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Adds items in ascending order of ids. `held` are the ids of those that are held, in ascending order;
    /// `standings` are those of some of the items, in the same order.
    ///
    /// Errors: the bank of an item does not exist, or a file cannot be written.
    pub(crate) fn take(
        &mut self,
        items: Vec<Item>,
        held: &[ItemId],
        standings: Vec<(ItemId, Arc<Standing>)>,
    ) -> Result<(), LoadError> {
        let mut standings = standings.into_iter().peekable();
        for Item { id, bank, added_at, content, .. } in items {
            let state = self.banks.get(&bank).ok_or(LoadError::NoSuchBank { item: id, bank })?;
            let entry = Entry { item: id, bank };
            for hash in content.hashes() {
                state.count(hash.hash_type(), 1);
            }
            rows::each(content.hashes(), self.stores.indexes.plan(), |key, row| {
                self.rows.entry(key).or_insert_with(|| HashRows::new(key.bytes)).push(row, entry);
            });
            self.books.add(bank, id, content.hashes(), self.stores.indexes.plan());
            self.stores.records.insert(id, bank, added_at, &content);
            self.marks.set_held(id, bank, held.binary_search(&id).is_ok(), &mut self.books);
            if let Some((_, standing)) = standings.next_if(|(item, _)| *item == id) {
                self.marks.set_standing(id, bank, standing, &mut self.books);
            }
        }
        self.stores.records.tend();
        self.is_split |=
            self.spill(|rows| rows.len() >= BULK_ROWS || rows.len() * rows.bytes() >= BULK_BYTES)?;
        Ok(())
    }

    /// Moves the collected rows to each index for which `is_due` returns true. Returns whether there was one.
    fn spill(&mut self, is_due: impl Fn(&HashRows) -> bool) -> Result<bool, SegmentError> {
        let mut has_spilled = false;
        for (key, rows) in &mut self.rows {
            if is_due(rows) {
                let gathered = std::mem::replace(rows, HashRows::new(key.bytes));
                self.stores.indexes.load(*key, gathered)?;
                has_spilled = true;
            }
        }
        Ok(has_spilled)
    }

    /// Completes the indexes and returns the shard as of its cursor. `settled` is the sequence from which it
    /// equals the bank.
    pub(crate) fn finish(mut self, settled: Sequence) -> Result<Shard, LoadError> {
        self.spill(|rows| !rows.is_empty())?;
        if self.is_split {
            self.stores.indexes.merge()?;
        }
        let Self { identity, stores, cursor, banks, marks, members_on, books, .. } = self;
        let removals = Removals::default();
        let state = ShardState { cursor, settled, banks: banks.into(), marks, members_on, books, removals };
        Ok(Shard::of_state(identity, stores, state))
    }
}
