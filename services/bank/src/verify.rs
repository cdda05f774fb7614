//! Proves what a store holds: recomputes the chain of its log and the digests of its items, and names the first record
//! at fault.
//!
//! The log is proven from its floor on. An item is compared with the change that added it, where the log still keeps
//! that, and all items of a bank and partition with their digest.

use std::fmt::Debug;

use thiserror::Error;
use vigie_model::{BankId, ItemId, LogHead, Sequence};
use vigie_proto::bank::encode_item;

use crate::StoreFailure;
use crate::chain::{GENESIS, Link};
use crate::config::{Config, Location};
use crate::digests::{PartDigest, Parts};
use crate::store::{self, ChangeRange, ItemRange, Store, StoreError, StoredBatch, StoredChange};

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

/// Reads the whole store of a bank, and recomputes the log's chain and the items' digests. Changes nothing.
///
/// The bank may run meanwhile. If it writes whenever the store is read, nothing is proven, and that is said.
///
/// Answers the head that is proven. Who has kept an older chain compares it with the one of that sequence.
pub async fn verify(config: &Config) -> Result<LogHead, VerifyError> {
    let location = Location::parse(&config.store).ok_or(VerifyError::Location)?;
    let store = store::open_to_read(&location).await?.ok_or(VerifyError::Location)?;
    let verified = all(&*store).await;
    store.close().await;
    verified
}

async fn all(store: &dyn Store) -> Result<LogHead, VerifyError> {
    for _ in 0..ATTEMPTS {
        let before = store.head().await?;
        let proven = match log(store).await {
            Ok(head) => items(store, &head).await.map(|()| head),
            Err(error) => Err(error),
        };
        let after = store.head().await?;
        // What was read is of one moment, or else it says nothing.
        if (before.sequence, before.floor) == (after.sequence, after.floor) {
            return proven;
        }
    }
    Err(VerifyError::Busy)
}

pub(crate) async fn log(store: &dyn Store) -> Result<LogHead, VerifyError> {
    // The head first: what is committed while the log is read lies beyond it.
    let head = store.head().await?;
    let mut end = start(store, head.floor).await?;
    while end.last < head.sequence {
        let batches = store.batches(end.last, ROWS).await?;
        for batch in &batches {
            check_batch(store, end, *batch).await?;
            end = *batch;
            if end.last >= head.sequence {
                break;
            }
        }
        if batches.is_empty() {
            break;
        }
    }
    if (end.last, end.chain) != (head.sequence, head.chain) {
        return Err(VerifyError::HeadAltered { end: end.last, head: head.sequence });
    }
    Ok(head)
}

/// Where the chain begins.
async fn start(store: &dyn Store, floor: Sequence) -> Result<StoredBatch, VerifyError> {
    let Some(before) = floor.0.checked_sub(1) else {
        return Ok(StoredBatch { last: Sequence::ZERO, chain: GENESIS });
    };
    let anchor = store.batches(Sequence(before), 1).await?.first().copied();
    anchor.filter(|batch| batch.last == floor).ok_or(VerifyError::Missing(floor))
}

async fn check_batch(store: &dyn Store, before: StoredBatch, batch: StoredBatch) -> Result<(), VerifyError> {
    let (count_max, bytes_max) = PAGE;
    let mut link = Link::after(&before.chain);
    let mut next = before.last.next();
    while next <= batch.last {
        let after = Sequence(next.0 - 1);
        let range = ChangeRange { after, through: batch.last, shard: None, count_max, bytes_max };
        let page = store.changes(&range).await?;
        for change in &page.changes {
            if change.sequence != next {
                return Err(VerifyError::Missing(next));
            }
            change.read().ok_or(VerifyError::Altered(next))?;
            link.add(next, &change.payload);
            next = next.next();
        }
        if page.through >= next {
            return Err(VerifyError::Missing(next));
        }
    }
    if link.end() != batch.chain {
        return Err(VerifyError::BatchAltered { first: before.last.next(), last: batch.last });
    }
    Ok(())
}

/// Compares every living item with the log and the digests.
async fn items(store: &dyn Store, head: &LogHead) -> Result<(), VerifyError> {
    let (count_max, bytes_max) = PAGE;
    let (_, banks) = store.state().await?;
    let living = |bank: BankId| banks.binary_search_by_key(&bank, |bank| bank.id).is_ok();
    let (mut after, through) = (ItemId(0), ItemId(head.sequence.0));
    let (mut parts, mut count) = (Parts::default(), 0);
    while after < through {
        let range = ItemRange { after, through, shard: None, count_max, bytes_max };
        let page = store.item_page(&range).await?;
        let items: Vec<_> = page.items.into_iter().filter(|item| living(item.bank)).collect();
        let added = changes(store, head, items.iter().map(|item| item.id)).await?;
        for item in items {
            let kept = item.id.0 > head.floor.0;
            let logged = added.binary_search_by_key(&item.id.0, |change| change.sequence.0);
            let logged = logged.ok().map(|at| &added[at]);
            if kept && !logged.is_some_and(|change| change.adds(&encode_item(item.clone()))) {
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
    Ok(())
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
    let (mut after, through) = (Sequence((first.0 - 1).max(head.floor.0)), Sequence(last.0));
    let mut found = Vec::new();
    while after < through {
        let range = ChangeRange { after, through, shard: None, count_max, bytes_max };
        let page = store.changes(&range).await?;
        let own = page.changes.into_iter().filter(|change| wanted.binary_search(&change.sequence.0).is_ok());
        found.extend(own);
        after = page.through;
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
