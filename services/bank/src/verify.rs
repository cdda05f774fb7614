//! Proves a log: recomputes its chain from the rows, and names the first change at fault.

use std::fmt::Debug;

use thiserror::Error;
use vigie_model::{LogHead, Sequence};

use crate::StoreFailure;
use crate::chain::{GENESIS, Link};
use crate::config::{Config, Location};
use crate::store::sqlite::SqliteStore;
use crate::store::{ChangeRange, Store, StoreError, StoredBatch};

/// Batches read at once.
const BATCHES: u16 = 1_000;
/// Changes read at once, and their bytes.
const CHANGES: (usize, usize) = (2_000, 4 << 20);

/// Why a log is not what its head says.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// The setting names no store that outlives its bank.
    #[error("store: must be sqlite:<path>")]
    Location,
    /// The store cannot be read.
    #[error("cannot read the store")]
    Store(#[source] StoreFailure),
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
}

impl From<StoreError> for VerifyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

/// Reads the whole log of a bank, and recomputes its chain. Changes nothing, so the bank may run meanwhile.
///
/// Answers the head that is proven. Who has kept an older chain compares it with the one of that sequence.
pub async fn verify(config: &Config) -> Result<LogHead, VerifyError> {
    let Some(Location::File(path)) = Location::parse(&config.store) else {
        return Err(VerifyError::Location);
    };
    let store = SqliteStore::open_to_read(&path).await?;
    let verified = log(&store).await;
    store.close().await;
    verified
}

pub(crate) async fn log(store: &dyn Store) -> Result<LogHead, VerifyError> {
    // The head first: what is committed while the log is read lies beyond it.
    let head = store.head().await?;
    let mut end = StoredBatch { last: Sequence::ZERO, chain: GENESIS };
    while end.last < head.sequence {
        let batches = store.batches(end.last, BATCHES).await?;
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

async fn check_batch(store: &dyn Store, before: StoredBatch, batch: StoredBatch) -> Result<(), VerifyError> {
    let (count_max, bytes_max) = CHANGES;
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
