//! Builds a shard from the state that the bank streams, instead of from its log.
//!
//! Synchronous: the parts are handed in one by one. Memory is bounded by [`BULK_ROWS`] of each hash type; what is more
//! goes into segments of the indexes as it comes, which are made into one at the end.
//!
//! The state is not of one moment. A shard that was built from it holds what the bank held, and no more, from
//! [`Shard::settled`] on; until then digests prove nothing, and removals may be of items that were not in the state.

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

/// Rows of one index that are gathered before they are made into a segment.
const BULK_ROWS: usize = 1 << 20;
/// Bytes of their hashes, where these are long. With their entries, rows of the usual lengths take 48 MiB; up to three times as
/// much while they are sorted.
const BULK_BYTES: usize = 32 << 20;

/// Why a state is no shard.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    #[error("the state holds item {item} of bank {bank}, and no such bank")]
    NoSuchBank { item: ItemId, bank: BankId },
    #[error("it has no beginning")]
    NoBeginning,
    #[error("cannot write what it holds")]
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
    /// Whether an index has got more than one segment.
    is_split: bool,
}

impl Loading {
    /// Begins with the banks as of a cursor, whether there are members, and empty stores.
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

    /// The place in the log that the banks and items are of.
    pub(crate) const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Takes items, which come by ascending id, some of them held, and some with a standing.
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

    /// Gives the gathered rows to each index for which `is_due` says so, and returns whether there was one.
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

    /// The shard, as of its cursor.
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
