//! The state that all followers of a log share: the head, the newest changes in memory, and the reads from
//! the store.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};

use crate::application::{Application, Summary};
use crate::draft::Logged;
use crate::error::FollowError;
use crate::feed::claims::Claims;
use crate::feed::limits::FeedLimits;
use crate::feed::recent::{Page, Recent};
use crate::position::{Chain, LogId, Sequence, Slice, UnixMillis};
use crate::store::{ChangePage, ChangeRange, LogRead, StoreFault};

/// The most changes of the log that one page from the store scans, however many of them are in the slice.
const SCAN_MAX: u64 = 32_768;

/// The feed of one log.
pub struct Feed<A: Application> {
    pub(super) store: Arc<dyn LogRead<Error = A::StoreError>>,
    recent: Mutex<Recent<A>>,
    pub(super) head: watch::Sender<Sequence>,
    /// The newest change whose commit time is known, and that time.
    committed: Mutex<Option<(Sequence, UnixMillis)>>,
    pub(super) claims: Arc<Claims>,
    permits: Arc<Semaphore>,
    readers: Semaphore,
    pub(super) limits: FeedLimits,
}

impl<A: Application> fmt::Debug for Feed<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("head", &self.head()).finish_non_exhaustive()
    }
}

impl<A: Application> Feed<A> {
    /// Returns a feed without any changes yet.
    pub fn new(store: Arc<dyn LogRead<Error = A::StoreError>>, limits: FeedLimits) -> Self {
        Self {
            store,
            recent: Mutex::new(Recent::new()),
            head: watch::Sender::new(Sequence::ZERO),
            committed: Mutex::new(None),
            claims: Arc::new(Claims::new(limits.followers_max, limits.claim_kept)),
            permits: Arc::new(Semaphore::new(limits.followers_max.min(Semaphore::MAX_PERMITS))),
            readers: Semaphore::new(limits.readers_max),
            limits,
        }
    }

    /// Returns the newest change that followers know of.
    #[must_use]
    pub fn head(&self) -> Sequence {
        *self.head.borrow()
    }

    /// Returns the id of the log.
    #[must_use]
    pub fn log_id(&self) -> LogId {
        self.store.log_id()
    }

    /// Returns the last change that all followers have which are connected or may return: the log is not cut
    /// beyond it.
    #[must_use]
    pub fn all_have(&self) -> Option<Sequence> {
        self.claims.all_have()
    }

    /// Returns the most entries in one message, and the most bytes of them.
    #[must_use]
    pub const fn page_max(&self) -> (usize, usize) {
        (self.limits.changes_max, self.limits.bytes_max)
    }

    /// Notes that the log has reached `head`, whichever process wrote it.
    pub fn advance(&self, head: Sequence) {
        self.head.send_if_modified(|known| {
            let newer = head > *known;
            *known = head.max(*known);
            newer
        });
    }

    /// Takes changes that were just committed, their commit time, and their effect on the summary.
    pub(crate) fn publish(
        &self,
        logged: Vec<Logged<A::Change>>,
        committed_at: UnixMillis,
        delta: &<A::Summary as Summary>::Delta,
    ) {
        let Some(last) = logged.last().map(|logged| logged.sequence) else { return };
        self.recent().append(logged, delta, &self.limits);
        self.note_commit(last, committed_at);
        self.advance(last);
    }

    /// Drops the changes in memory up to one that was purged. Followers that still need them read the store,
    /// and so learn of the purge.
    pub(crate) fn forget(&self, through: Sequence) {
        self.recent().forget(through);
    }

    /// Notes the commit time of a change.
    pub(crate) fn note_commit(&self, last: Sequence, committed_at: UnixMillis) {
        *self.committed.lock().unwrap_or_else(PoisonError::into_inner) = Some((last, committed_at));
    }

    /// Returns the commit time of a change, if it is the newest change whose time is known.
    pub(super) fn committed_at(&self, sequence: Sequence) -> Option<UnixMillis> {
        let committed = *self.committed.lock().unwrap_or_else(PoisonError::into_inner);
        committed.filter(|(last, _)| *last == sequence).map(|(_, committed_at)| committed_at)
    }

    /// Sets the head of the log, and its summary there.
    pub(crate) fn reset(&self, head: Sequence, summary: A::Summary) {
        self.recent().reset(head, summary);
        self.advance(head);
    }

    pub(super) fn permit(&self) -> Result<OwnedSemaphorePermit, FollowError> {
        Arc::clone(&self.permits).try_acquire_owned().map_err(|_| FollowError::TooManyFollowers)
    }

    /// Returns the chain and the former chain at the end of a batch; `None` for both elsewhere.
    pub(super) async fn chains_at(
        &self,
        last: Sequence,
    ) -> Result<(Option<Chain>, Option<Chain>), A::StoreError> {
        if last == Sequence::ZERO {
            return Ok((None, None));
        }
        let batches = self.store.batches(last.before(), 1).await?;
        let batch = batches.first().filter(|batch| batch.last == last);
        Ok((batch.map(|batch| batch.chain), batch.and_then(|batch| batch.former)))
    }

    /// Reads the changes after a cursor from the store.
    pub(super) async fn read_stored(
        &self,
        after: Sequence,
        head: Sequence,
        slice: Slice,
    ) -> Result<Page<A>, FollowError> {
        let FeedLimits { changes_max, bytes_max, .. } = self.limits;
        let _turn = self.turn_to_read().await;
        let range = ChangeRange {
            after,
            through: head.min(Sequence(after.0 + SCAN_MAX)),
            slice,
            count_max: changes_max,
            bytes_max,
        };
        let ChangePage { changes, through, floor } = self.store.changes(&range).await.map_err(unreadable)?;
        if after < floor {
            // The log was cut just when the follower began.
            return Err(FollowError::CursorBeforeFloor { cursor: after, floor });
        }
        // The follower needs a change that no longer exists. It cannot skip it: the log does not know its
        // effect, and skipping a removal would leave the removed data. The present state contains every
        // effect of the change that still counts, so the follower has to load it, as for changes before the
        // floor. A follower whose slice does not have the change continues.
        if let Some(purged) = changes.iter().find(|change| change.is_purged()) {
            return Err(FollowError::Purged { cursor: after, purged: purged.sequence });
        }
        let (chain, _) = self.chains_at(through).await.map_err(unreadable)?;
        let first_committed_at = match changes.first() {
            Some(first) => self.stored_commit_of(first.sequence).await.map_err(unreadable)?,
            None => None,
        };
        let mut read = Vec::with_capacity(changes.len());
        for stored in changes {
            let bytes = stored.proven_bytes();
            let change = bytes.and_then(|bytes| A::read(stored.sequence, stored.partition, bytes));
            let Some(change) = change else {
                tracing::error!(sequence = stored.sequence.0, "a change of the log does not read back");
                return Err(FollowError::Broken);
            };
            read.push(Arc::new(change));
        }
        Ok(Page { through, chain, changes: read, first_committed_at, proof: None })
    }

    /// Reads the commit time of a change; `None` if the store does not know it.
    async fn stored_commit_of(&self, sequence: Sequence) -> Result<Option<UnixMillis>, A::StoreError> {
        match self.store.batches(sequence.before(), 1).await?.first() {
            Some(batch) => self.store.committed_at(batch.last).await,
            None => Ok(None),
        }
    }

    pub(super) async fn turn_to_read(&self) -> Option<SemaphorePermit<'_>> {
        // The semaphore is never closed, so this never fails; a read without a permit would work too.
        self.readers.acquire().await.ok()
    }

    pub(super) fn recent(&self) -> MutexGuard<'_, Recent<A>> {
        // The state is emptied and refilled by single steps, so it is never left half done.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs a failed read of the store, and returns the refusal of the follower.
pub(super) fn unreadable(error: impl StoreFault) -> FollowError {
    tracing::error!(error = &error as &dyn std::error::Error, "cannot read the store");
    if error.is_corrupt() { FollowError::Broken } else { FollowError::Unreadable }
}
