//! Recomputes the chain of a stored log, and returns the first record at fault.

use std::collections::VecDeque;

use thiserror::Error;

use crate::chain::{FormerLink, Link, digest};
use crate::position::{Chain, Sequence, Slice};
use crate::proof::purged::Purged;
use crate::store::{ChangeRange, Head, LogRead, StoredBatch, StoredChange};

/// The number of batches read at once.
const BATCHES: u16 = 1_000;
/// The most changes read at once, and the most of their bytes.
const PAGE: (usize, usize) = (2_000, 4 << 20);

/// The result of a proof: the log matches its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The head that was proven.
    pub head: Head,
    /// The changes whose bytes were removed. Their digests are proven.
    pub purged: Purged,
}

/// The reasons why a log does not match its head.
#[derive(Debug, Error)]
pub enum ProofError<E: std::error::Error + 'static> {
    /// The store cannot be read.
    #[error("cannot read the log")]
    Store(#[source] E),
    /// A change is not stored.
    #[error("change {0} is missing")]
    Missing(Sequence),
    /// A change is stored twice.
    #[error("change {0} is there twice")]
    Doubled(Sequence),
    /// The bytes of a change do not match its digest, or cannot be decoded.
    #[error("change {0} is not what was written")]
    Altered(Sequence),
    /// The digests or the chain of a batch were replaced.
    #[error("the changes {first} to {last} are not those that were committed")]
    BatchAltered {
        /// The first change of the batch.
        first: Sequence,
        /// The last change of the batch.
        last: Sequence,
    },
    /// The last batch does not end at the head.
    #[error("the log ends at {end}, and its head says {head}")]
    HeadAltered {
        /// The end of the last batch.
        end: Sequence,
        /// The sequence of the head.
        head: Sequence,
    },
}

/// Recomputes the chain from the floor to the head. For batches that have a former chain, that is recomputed
/// too, unless bytes of the batch were purged. `reads` checks that the application can decode a change whose
/// bytes are present.
///
/// Memory is bounded by one page, whatever the size of the log.
pub async fn prove<S: LogRead + ?Sized>(
    store: &S,
    reads: impl Fn(&StoredChange) -> bool + Send,
) -> Result<Proof, ProofError<S::Error>> {
    // The head first: changes committed while the log is read are beyond it.
    let head = store.head().await.map_err(ProofError::Store)?;
    let mut end = anchor(store, head.floor).await?;
    let mut changes = Changes::after(store, head.floor, head.sequence);
    let mut purged = Purged::default();
    while end.last < head.sequence {
        let batches = store.batches(end.last, BATCHES).await.map_err(ProofError::Store)?;
        let within = batches.into_iter().take_while(|batch| batch.last <= head.sequence);
        let before = end.last;
        for batch in within {
            let (mut ends, first) = (Ends::after(&end), end.last.next());
            let mut next = first;
            while next <= batch.last {
                let change = changes.next().await?;
                ends.add(next, change, &reads, &mut purged)?;
                next = next.next();
            }
            if !ends.are_those_of(&batch) {
                return Err(ProofError::BatchAltered { first, last: batch.last });
            }
            end = batch;
        }
        if end.last == before {
            // There is no further batch that ends at or before the head.
            break;
        }
    }
    if (end.last, end.chain) != (head.sequence, head.chain) {
        return Err(ProofError::HeadAltered { end: end.last, head: head.sequence });
    }
    match changes.next().await? {
        Some(more) => Err(ProofError::Doubled(more.sequence)),
        None => Ok(Proof { head, purged }),
    }
}

/// Returns the batch at the floor, from which the chain continues.
async fn anchor<S: LogRead + ?Sized>(
    store: &S,
    floor: Sequence,
) -> Result<StoredBatch, ProofError<S::Error>> {
    if floor == Sequence::ZERO {
        let genesis = Some(Chain::GENESIS);
        return Ok(StoredBatch { last: Sequence::ZERO, chain: Chain::GENESIS, former: genesis });
    }
    let found = store.batches(floor.before(), 1).await.map_err(ProofError::Store)?;
    let anchor = found.first().copied().filter(|batch| batch.last == floor);
    anchor.ok_or(ProofError::Missing(floor))
}

/// The ends of the chain and of the former chain after a batch.
struct Ends {
    link: Link,
    former: Option<FormerLink>,
}

impl Ends {
    fn after(end: &StoredBatch) -> Self {
        Self { link: Link::after(&end.chain), former: end.former.as_ref().map(FormerLink::after) }
    }

    /// Adds the change that must have this sequence.
    fn add<E: std::error::Error>(
        &mut self,
        sequence: Sequence,
        change: Option<StoredChange>,
        reads: &impl Fn(&StoredChange) -> bool,
        purged: &mut Purged,
    ) -> Result<(), ProofError<E>> {
        let change = change.filter(|change| change.sequence <= sequence);
        let change = change.ok_or(ProofError::Missing(sequence))?;
        if change.sequence < sequence {
            return Err(ProofError::Doubled(change.sequence));
        }
        match &change.bytes {
            Some(bytes) if digest(bytes) == change.digest && reads(&change) => {
                if let Some(former) = &mut self.former {
                    former.add(sequence, bytes);
                }
            }
            Some(_) => return Err(ProofError::Altered(sequence)),
            None => {
                purged.add(sequence);
                self.former = None;
            }
        }
        self.link.add(sequence, &change.digest);
        Ok(())
    }

    fn are_those_of(&self, batch: &StoredBatch) -> bool {
        let former = self.former.as_ref().zip(batch.former);
        self.link.end() == batch.chain && former.is_none_or(|(link, former)| link.end() == former)
    }
}

/// Reads changes one by one, a page at a time. Each page begins with the last change of the one before it, so
/// that a change that is stored twice is detected wherever a page ends.
struct Changes<'a, S: LogRead + ?Sized> {
    store: &'a S,
    page: VecDeque<StoredChange>,
    /// The last sequence that was read from the store.
    read: Sequence,
    end: Sequence,
    last: Option<Sequence>,
}

impl<'a, S: LogRead + ?Sized> Changes<'a, S> {
    const fn after(store: &'a S, after: Sequence, end: Sequence) -> Self {
        Self { store, page: VecDeque::new(), read: after, end, last: None }
    }

    async fn next(&mut self) -> Result<Option<StoredChange>, ProofError<S::Error>> {
        while self.page.is_empty() && self.read < self.end {
            self.fill().await?;
        }
        let next = self.page.pop_front();
        self.last = next.as_ref().map(|change| change.sequence).or(self.last);
        Ok(next)
    }

    async fn fill(&mut self) -> Result<(), ProofError<S::Error>> {
        let repeated = self.last.filter(|last| *last == self.read);
        let mut after = repeated.map_or(self.read, Sequence::before);
        loop {
            let (count_max, bytes_max) = PAGE;
            let range = ChangeRange { after, through: self.end, slice: Slice::ALL, count_max, bytes_max };
            let page = self.store.changes(&range).await.map_err(ProofError::Store)?;
            if after < self.read && page.through <= self.read && page.changes.len() < 2 {
                // The repeated change alone fills the page.
                after = self.read;
                continue;
            }
            self.page = page.changes.into();
            if after < self.read && self.page.front().map(|change| change.sequence) == repeated {
                self.page.pop_front();
            }
            self.read = page.through;
            return Ok(());
        }
    }
}
