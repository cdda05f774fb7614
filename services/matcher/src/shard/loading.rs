//! Builds a shard from the state that the bank streams, instead of from its log.
//!
//! Synchronous: the parts are handed in one by one. Memory is bounded by [`BULK_ROWS`] of each hash type; what is more
//! goes into segments of the indexes as it comes, which are made into one at the end.
//!
//! The state is not of one moment. A shard that was built from it holds what the bank held, and no more, from
//! [`Shard::settled`] on; until then digests prove nothing, and removals may be of items that were not in the state.

use std::sync::Arc;

use thiserror::Error;
use vigie_index::{Entry, SegmentError};
use vigie_model::change::Cursor;
use vigie_model::{Bank, BankId, HashType, Item, ItemId, Sequence, SetDigest, ShardIdentity};

use crate::shard::banks::{BankState, BankTable, Books};
use crate::shard::state::{Shard, ShardState, bytes_of};
use crate::shard::stores::Stores;

/// Rows that are gathered before they are made into a segment: 48 MiB of the longest hashes, as much again while they
/// are sorted.
const BULK_ROWS: usize = 1 << 20;

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
    books: Books,
    pdq: Vec<([u8; 32], Entry)>,
    md5: Vec<([u8; 16], Entry)>,
    sha256: Vec<([u8; 32], Entry)>,
    /// Whether an index has got more than one segment.
    is_split: bool,
}

impl Loading {
    /// Begins with the banks as of a cursor, and empty stores.
    pub(crate) fn begin(identity: ShardIdentity, stores: Stores, cursor: Cursor, banks: Vec<Bank>) -> Self {
        let banks = banks.into_iter().map(|bank| (bank.id, BankState::new(bank.name, bank.enabled)));
        Self {
            identity,
            stores,
            cursor,
            banks: banks.collect(),
            books: Books::default(),
            pdq: Vec::new(),
            md5: Vec::new(),
            sha256: Vec::new(),
            is_split: false,
        }
    }

    /// The place in the log that the banks and items are of.
    pub(crate) const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Takes items, which come by ascending id.
    pub(crate) fn take(&mut self, items: Vec<Item>) -> Result<(), LoadError> {
        for Item { id, bank, content, .. } in items {
            let state = self.banks.get(&bank).ok_or(LoadError::NoSuchBank { item: id, bank })?;
            let entry = Entry { item: id, bank };
            for hash in content.hashes() {
                state.count(hash.hash_type());
                match hash.hash_type() {
                    HashType::PDQ => self.pdq.push((bytes_of(hash), entry)),
                    HashType::MD5 => self.md5.push((bytes_of(hash), entry)),
                    HashType::SHA256 => self.sha256.push((bytes_of(hash), entry)),
                    _ => {}
                }
            }
            self.books.add(bank, SetDigest::of_item(id, content.hashes()));
            self.stores.records.insert(id, bank, &content);
        }
        self.stores.records.tend();
        self.is_split |= self.spill(BULK_ROWS)?;
        Ok(())
    }

    /// Gives what has gathered to the indexes, of each type that has at least `rows_min` rows.
    fn spill(&mut self, rows_min: usize) -> Result<bool, SegmentError> {
        let mut has_spilled = false;
        if self.pdq.len() >= rows_min {
            self.stores.indexes.pdq.load(std::mem::take(&mut self.pdq))?;
            has_spilled = true;
        }
        if self.md5.len() >= rows_min {
            self.stores.indexes.md5.load(std::mem::take(&mut self.md5))?;
            has_spilled = true;
        }
        if self.sha256.len() >= rows_min {
            self.stores.indexes.sha256.load(std::mem::take(&mut self.sha256))?;
            has_spilled = true;
        }
        Ok(has_spilled)
    }

    /// The shard, as of its cursor.
    pub(crate) fn finish(mut self, settled: Sequence) -> Result<Shard, LoadError> {
        self.spill(1)?;
        if self.is_split {
            self.stores.indexes.merge()?;
        }
        let Self { identity, stores, cursor, banks, books, .. } = self;
        let state = ShardState { cursor, settled, banks: Arc::new(banks), books };
        Ok(Shard::of_state(identity, stores, state))
    }
}
