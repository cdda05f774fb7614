//! A follower of the feed: its next range, and the time at which it gets that range.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Shutdown;
use crate::application::Application;
use crate::error::FollowError;
use crate::feed::claims::Claim;
use crate::feed::recent::{Page, Proof};
use crate::feed::shared::{Feed, unreadable};
use crate::position::{Chain, Cursor, LogId, Sequence, Slice, UnixMillis};

/// A stretch of the log for one slice. Consecutive ranges prove that nothing is missing.
#[derive(Debug)]
pub struct Range<A: Application> {
    /// The log.
    pub log: LogId,
    /// The range begins after this sequence, at which the range before it ended.
    pub after: Sequence,
    /// The range ends with this sequence.
    pub through: Sequence,
    /// The newest change of the whole log when the range was made.
    pub head: Sequence,
    /// The commit time of that change, if it is known.
    pub head_committed_at: Option<UnixMillis>,
    /// The chain as of `through`, if a batch ends there.
    pub chain: Option<Chain>,
    /// The slice's changes in the range, in order.
    pub changes: Vec<Arc<A::Change>>,
    /// The commit time of the first of these changes; `None` if there is none, or the time is not known.
    pub first_committed_at: Option<UnixMillis>,
    /// The proof of the slice as of `through`: in every heartbeat of a follower that has caught up, and about
    /// as often while changes flow.
    pub proof: Option<Proof<A>>,
}

/// A follower of the log.
pub struct Follower<A: Application> {
    feed: Arc<Feed<A>>,
    slice: Slice,
    /// The last change that it got.
    cursor: Sequence,
    /// The chain as of that change, if a batch ends there.
    chain: Option<Chain>,
    head: watch::Receiver<Sequence>,
    shutdown: Shutdown,
    /// The last time at which it got anything.
    spoke_at: Option<Instant>,
    /// The last time at which it got a proof.
    proved_at: Option<Instant>,
    /// The end of its stream, after which it has to reconnect.
    ends_at: Instant,
    /// At most one task, which waits for a permit and reads from the store. A separate task, so that it keeps
    /// its position in the queue while heartbeats are sent, and releases its permit even if the client never
    /// takes the page.
    reading: JoinSet<Result<Page<A>, FollowError>>,
    /// Keeps the log from the cursor on.
    claim: Claim,
    /// Its slot among the followers, released when it is dropped.
    _permit: OwnedSemaphorePermit,
}

impl<A: Application> fmt::Debug for Follower<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower")
            .field("cursor", &self.cursor)
            .field("slice", &self.slice)
            .finish_non_exhaustive()
    }
}

impl<A: Application> Feed<A> {
    /// Begins to follow after a cursor, until `shutdown`.
    pub async fn watch(
        self: &Arc<Self>,
        from: Option<Cursor>,
        slice: Slice,
        shutdown: Shutdown,
    ) -> Result<Follower<A>, FollowError> {
        let permit = self.permit()?;
        let head = self.head.subscribe();
        let cursor = from.map_or(Sequence::ZERO, |cursor| cursor.sequence);
        // The claim first: changes that exist when the floor is read are then kept.
        let mut claim = self.claims.join(cursor);
        let floor = self.store.head().await.map_err(unreadable)?.floor;
        if cursor < floor {
            return Err(FollowError::CursorBeforeFloor { cursor, floor });
        }
        let chain = match &from {
            Some(cursor) => self.check(cursor).await?,
            None => None,
        };
        claim.advance(cursor);
        Ok(Follower::new(Arc::clone(self), slice, (cursor, chain), head, shutdown, (claim, permit)))
    }

    /// Checks that the log continues from a cursor. Returns the chain there under which the follower knows
    /// it, if a batch ends there.
    async fn check(&self, cursor: &Cursor) -> Result<Option<Chain>, FollowError> {
        let (own, sequence) = (self.store.log_id(), cursor.sequence);
        if cursor.log != own {
            return Err(FollowError::AnotherLog { cursor: cursor.log, own });
        }
        if sequence > self.head() {
            // Another writer of the same store may have moved the head.
            let stored = self.store.head().await.map_err(unreadable)?.sequence;
            if sequence > stored {
                return Err(FollowError::CursorBeyondHead { cursor: sequence, head: stored });
            }
            self.advance(stored);
        }
        let (chain, former) = self.chains_at(sequence).await.map_err(unreadable)?;
        match cursor.chain {
            None => Ok(chain),
            // A follower from before the chain had its present definition. It compares what it gets with what
            // it knows, so at this position it gets the value that it came with; from the next batch on it
            // gets the present chain.
            Some(known) if former == Some(known) => Ok(former),
            Some(known) if chain == Some(known) => Ok(chain),
            // Batches from the floor on are never removed: if the follower knows the end of one here, the log
            // has it too, or it is not the same log.
            Some(_) => Err(FollowError::Diverged { cursor: sequence }),
        }
    }
}

impl<A: Application> Follower<A> {
    fn new(
        feed: Arc<Feed<A>>,
        slice: Slice,
        (cursor, chain): (Sequence, Option<Chain>),
        head: watch::Receiver<Sequence>,
        shutdown: Shutdown,
        (claim, permit): (Claim, OwnedSemaphorePermit),
    ) -> Self {
        Self {
            slice,
            cursor,
            chain,
            head,
            shutdown,
            spoke_at: None,
            proved_at: None,
            ends_at: Instant::now() + feed.limits.lifetime.mul_f64(jitter(claim.number())),
            reading: JoinSet::new(),
            claim,
            _permit: permit,
            feed,
        }
    }

    /// Returns the next range, or a heartbeat after a silence; `None` on shutdown and at the end of the
    /// stream's lifetime. The first range is returned at once.
    pub async fn next(&mut self) -> Result<Option<Range<A>>, FollowError> {
        loop {
            if self.shutdown.is_cancelled() || Instant::now() >= self.ends_at {
                return Ok(None);
            }
            let head = *self.head.borrow_and_update();
            let Some(spoke_at) = self.spoke_at else { return Ok(Some(self.heartbeat(head))) };
            if self.cursor < head && self.reading.is_empty() {
                let proof_due = self.proof_is_due();
                let recent = self.feed.recent().after(self.cursor, self.slice, &self.feed.limits, proof_due);
                if let Some(page) = recent {
                    return Ok(Some(self.give(head, page)));
                }
                let (feed, cursor, slice) = (Arc::clone(&self.feed), self.cursor, self.slice);
                self.reading.spawn(async move { feed.read_stored(cursor, head, slice).await });
            }
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(None),
                Some(read) = self.reading.join_next() => {
                    let page = read.map_err(|_| FollowError::Broken)??;
                    return Ok(Some(self.give(head, page)));
                }
                changed = self.head.changed(), if self.reading.is_empty() => {
                    changed.map_err(|_| FollowError::Stopping)?;
                }
                () = tokio::time::sleep_until(spoke_at + self.feed.limits.heartbeat) => {
                    return Ok(Some(self.heartbeat(head)));
                }
            }
        }
    }

    fn heartbeat(&mut self, head: Sequence) -> Range<A> {
        let proof = self.feed.recent().proof_at(self.cursor, self.slice);
        let (through, chain) = (self.cursor, self.chain);
        self.give(head, Page { through, chain, changes: Vec::new(), first_committed_at: None, proof })
    }

    fn proof_is_due(&self) -> bool {
        self.proved_at.is_none_or(|proved_at| proved_at.elapsed() >= self.feed.limits.heartbeat)
    }

    fn give(&mut self, head: Sequence, page: Page<A>) -> Range<A> {
        let Page { through, chain, changes, first_committed_at, proof } = page;
        let after = std::mem::replace(&mut self.cursor, through);
        // The changes before `after` were passed on, but may not have arrived: a follower that is cut off
        // returns to that position.
        self.claim.advance(after);
        self.chain = chain;
        self.spoke_at = Some(Instant::now());
        if proof.is_some() {
            self.proved_at = self.spoke_at;
        }
        let (log, head) = (self.feed.log_id(), head.max(through));
        let head_committed_at = self.feed.committed_at(head);
        Range { log, after, through, head, head_committed_at, chain, changes, first_committed_at, proof }
    }
}

/// Returns a factor from 0.75 to 1.25, so that streams that began together do not end together: the
/// fractional part of the multiples of the golden ratio, which spreads consecutive numbers evenly.
fn jitter(number: u64) -> f64 {
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    0.75 + 0.5 * (spread as f64 / 65_536.0)
}
