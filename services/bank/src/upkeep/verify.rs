//! Proves what a store holds: recomputes the chain of its log and the digests of its items, and names the first record
//! at fault.
//!
//! The log is proven from its floor on ([`vigie_log::prove`]). A change whose bytes were purged is proven by its digest, and
//! counted. An item is compared with the change that added it, where the log still keeps that, and all items of a bank and
//! partition with their digest.

use std::fmt::Debug;

use futures::future::BoxFuture;
use thiserror::Error;
use vigie_log::{Application as _, ChangeRange, ProofError, Purged, Slice, StoredChange, digest, prove};
use vigie_model::{BankId, ChangeKind, Item, ItemId, LogHead, Sequence};
use vigie_proto::bank::{encode_change, encode_item};

use crate::config::{Config, Location};
use crate::failure::StoreFailure;
use crate::log::BankLog;
use crate::plan::digests::{PartDigest, Parts};
use crate::store::{self, HeadRow, ItemRange, Store, StoreError, to_model};

/// How often a store is read that is written to meanwhile.
const ATTEMPTS: usize = 3;
/// Batches or digests read at once.
const ROWS: u16 = 1_000;
/// Changes or items read at once, and their bytes.
const PAGE: (usize, usize) = (2_000, 4 << 20);

/// Why a store does not hold what its head says.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The setting names no store that outlives its bank.
    #[error("store: must be sqlite:<path> or postgres://<user>@<host>/<database>")]
    Location,
    /// The store cannot be read.
    #[error("cannot read the store")]
    Store(#[source] StoreFailure),
    /// The bank wrote whenever the store was read.
    #[error(
        "the bank writes meanwhile, so nothing is proven: try again when it is quieter, or prove a backup"
    )]
    Busy,
    /// A change is not there.
    #[error("change {0} is missing")]
    Missing(Sequence),
    /// A change is there twice.
    #[error("change {0} is there twice")]
    Doubled(Sequence),
    /// A change is not what was written.
    #[error("change {0} is not what was written")]
    Altered(Sequence),
    /// Changes were replaced together with their checksums.
    #[error("the changes {first} to {last} are not those that were committed")]
    BatchAltered {
        /// The first change of the batch.
        first: Sequence,
        /// The last.
        last: Sequence,
    },
    /// The last batch does not end where the head is.
    #[error("the log ends at {end}, and its head says {head}")]
    HeadAltered {
        /// The end of the last batch.
        end: Sequence,
        /// What the head says.
        head: Sequence,
    },
    /// An item is not what its change says.
    #[error("item {0} is not what was added")]
    ItemAltered(ItemId),
    /// The items of a bank and partition are not those that its digest says.
    #[error("the items of bank {} in partition {partition} are not those that were added and not removed", bank.0)]
    DigestAltered {
        /// The bank.
        bank: BankId,
        /// The partition.
        partition: u16,
    },
    /// The counts of the head are not those of the items.
    #[error("there are {items} items with {hashes} hashes, and the head says otherwise")]
    CountsAltered {
        /// The items that there are.
        items: u64,
        /// Their hashes.
        hashes: u64,
    },
}

impl From<StoreError> for VerifyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

impl From<ProofError<StoreError>> for VerifyError {
    fn from(error: ProofError<StoreError>) -> Self {
        match error {
            ProofError::Store(error) => error.into(),
            ProofError::Missing(sequence) => Self::Missing(to_model(sequence)),
            ProofError::Doubled(sequence) => Self::Doubled(to_model(sequence)),
            ProofError::Altered(sequence) => Self::Altered(to_model(sequence)),
            ProofError::BatchAltered { first, last } => {
                Self::BatchAltered { first: to_model(first), last: to_model(last) }
            }
            ProofError::HeadAltered { end, head } => {
                Self::HeadAltered { end: to_model(end), head: to_model(head) }
            }
        }
    }
}

/// A store that holds what its head says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The head that is proven. Whoever has kept an older chain compares it with the one of that sequence.
    pub head: LogHead,
    /// The changes whose bytes were removed. Their digests are proven.
    pub purged: Purged,
}

/// Reads the whole store of a bank, and recomputes the log's chain and the items' digests. Changes nothing.
///
/// The bank may run meanwhile. If it writes whenever the store is read, nothing is proven, and the error says so.
pub fn verify(config: &Config) -> BoxFuture<'_, Result<Verified, VerifyError>> {
    Box::pin(verify_store(config))
}

async fn verify_store(config: &Config) -> Result<Verified, VerifyError> {
    let location = Location::parse(&config.store).ok_or(VerifyError::Location)?;
    let store = store::open_to_read(&location).await?.ok_or(VerifyError::Location)?;
    let verified = all(&*store).await;
    store.close().await;
    verified
}

async fn all(store: &dyn Store) -> Result<Verified, VerifyError> {
    for _ in 0..ATTEMPTS {
        let before = store.head().await?;
        let proven = once(store).await;
        let after = store.head().await?;
        // What was read is of one moment, or else it says nothing.
        if (before.sequence, before.floor) == (after.sequence, after.floor) {
            return proven;
        }
    }
    Err(VerifyError::Busy)
}

async fn once(store: &dyn Store) -> Result<Verified, VerifyError> {
    let proof = prove(store, reads).await?;
    let head = items(store).await?;
    Ok(Verified { head, purged: proof.purged })
}

/// Whether a change whose bytes are there can be read.
fn reads(change: &StoredChange) -> bool {
    change
        .bytes
        .as_ref()
        .is_none_or(|bytes| BankLog::read(change.sequence, change.partition, bytes).is_some())
}

/// Compares every living item with the log and the digests; returns the head.
async fn items(store: &dyn Store) -> Result<LogHead, VerifyError> {
    let (count_max, bytes_max) = PAGE;
    let (row, banks): (HeadRow, _) = store.head_and_banks().await?;
    let head = LogHead::from(row);
    let living = |bank: BankId| banks.binary_search_by_key(&bank, |bank| bank.id).is_ok();
    let (mut after, through) = (ItemId(0), ItemId(head.sequence.0));
    let (mut parts, mut count) = (Parts::default(), 0);
    while after < through {
        let range = ItemRange { after, through, shard: None, count_max, bytes_max };
        let page = store.item_page(&range).await?;
        let items: Vec<_> = page.items.into_iter().filter(|item| living(item.bank)).collect();
        let added = changes(store, &head, items.iter().map(|item| item.id)).await?;
        for item in items {
            let kept = item.id.0 > head.floor.0;
            let logged = added.binary_search_by_key(&item.id.0, |change| change.sequence.0);
            let logged = logged.ok().map(|at| &added[at]);
            if kept && !logged.is_some_and(|change| adds(change, &item)) {
                return Err(VerifyError::ItemAltered(item.id));
            }
            parts.add(&item);
            count += 1;
        }
        after = page.through;
    }
    check_digests(store, parts).await?;
    let hashes = banks.iter().map(|bank| bank.hash_count).sum::<u64>();
    let items = banks.iter().map(|bank| bank.item_count).sum::<u64>();
    if (items, hashes, count) != (head.items, head.hashes, head.items) {
        return Err(VerifyError::CountsAltered { items: count, hashes });
    }
    Ok(head)
}

/// Whether a change added an item. Where its bytes were purged, those that it had are made anew from the item and compared with
/// the digest.
fn adds(change: &StoredChange, item: &Item) -> bool {
    let Some(bytes) = &change.bytes else {
        return digest(&encode_change(ChangeKind::ItemAdded(item.clone()))) == change.digest;
    };
    let read = BankLog::read(change.sequence, change.partition, bytes);
    read.is_some_and(|change| match change.kind {
        ChangeKind::ItemAdded(added) => encode_item(added) == encode_item(item.clone()),
        ChangeKind::BankCreated { .. }
        | ChangeKind::BankRenamed { .. }
        | ChangeKind::BankEnabledSet { .. }
        | ChangeKind::BankDeleted { .. }
        | ChangeKind::ItemRemoved { .. } => false,
    })
}

/// The changes of these numbers, as far as the log keeps them.
async fn changes(
    store: &dyn Store,
    head: &LogHead,
    ids: impl DoubleEndedIterator<Item = ItemId> + Clone,
) -> Result<Vec<StoredChange>, VerifyError> {
    let (Some(first), Some(last)) = (ids.clone().next(), ids.clone().next_back()) else {
        return Ok(Vec::new());
    };
    let (count_max, bytes_max) = PAGE;
    let wanted: Vec<_> = ids.map(|id| id.0).collect();
    let (mut after, through) = ((first.0 - 1).max(head.floor.0), last.0);
    let mut found = Vec::new();
    while after < through {
        let range = ChangeRange {
            after: vigie_log::Sequence(after),
            through: vigie_log::Sequence(through),
            slice: Slice::ALL,
            count_max,
            bytes_max,
        };
        let page = store.changes(&range).await?;
        let own = page.changes.into_iter().filter(|change| wanted.binary_search(&change.sequence.0).is_ok());
        found.extend(own);
        after = page.through.0;
    }
    Ok(found)
}

async fn check_digests(store: &dyn Store, mut parts: Parts) -> Result<(), VerifyError> {
    let mut after = (BankId(0), 0);
    loop {
        let page = store.digests(after, ROWS).await?;
        let Some(last) = page.last() else { break };
        after = (last.bank, last.partition);
        for PartDigest { bank, partition, digest } in page {
            let part = parts.part(bank, partition);
            if *part != digest {
                return Err(VerifyError::DigestAltered { bank, partition });
            }
            *part -= digest;
        }
    }
    match parts.iter().next() {
        None => Ok(()),
        Some(PartDigest { bank, partition, .. }) => Err(VerifyError::DigestAltered { bank, partition }),
    }
}
