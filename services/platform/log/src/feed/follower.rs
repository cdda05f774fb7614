//! One follower: what it gets next, and when.

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

/// A stretch of the log as one slice has it: proof that nothing of it is missing.
#[derive(Debug)]
pub struct Range<A: Application> {
    /// The log.
    pub log: LogId,
    /// The range begins after this sequence, where the one before it ended.
    pub after: Sequence,
    /// The range ends with this sequence.
    pub through: Sequence,
    /// The newest change of the whole log when the range was made.
    pub head: Sequence,
    /// When that was committed, where it is known.
    pub head_committed_at: Option<UnixMillis>,
    /// The chain as of `through`, where that is the end of a batch.
    pub chain: Option<Chain>,
    /// The slice's changes in the range, in order.
    pub changes: Vec<Arc<A::Change>>,
    /// When the first of these was committed; `None` where there is none, and where that is not known.
    pub first_committed_at: Option<UnixMillis>,
    /// The proof of the slice as of `through`, in every heartbeat of a follower that has caught up, and in the course of
    /// changes about as often.
    pub proof: Option<Proof<A>>,
}

/// One that follows the log.
pub struct Follower<A: Application> {
    feed: Arc<Feed<A>>,
    slice: Slice,
    /// The last change that it got.
    cursor: Sequence,
    /// The chain as of it, where a batch ends.
    chain: Option<Chain>,
    head: watch::Receiver<Sequence>,
    shutdown: Shutdown,
    /// When it last got anything.
    spoke_at: Option<Instant>,
    /// When it last got a proof.
    proved_at: Option<Instant>,
    /// When its stream ends, and it is to come again.
    ends_at: Instant,
    /// At most one task, which waits for its turn and reads from the store. A task of its own, so that it keeps its
    /// position in the queue while heartbeats go out, and gives its turn up even if the client never takes the page.
    reading: JoinSet<Result<Page<A>, FollowError>>,
    /// Keeps the log from the cursor on.
    claim: Claim,
    /// Its slot among the followers, given up with it.
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
        // First of all: what is there when the floor is looked at stays.
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

    /// Whether the log goes on from a cursor; returns the chain there by which the follower knows it, where a batch ends.
    async fn check(&self, cursor: &Cursor) -> Result<Option<Chain>, FollowError> {
        let (own, sequence) = (self.store.log_id(), cursor.sequence);
        if cursor.log != own {
            return Err(FollowError::AnotherLog { cursor: cursor.log, own });
        }
        if sequence > self.head() {
            // Another writer of the same store may have moved it.
            let stored = self.store.head().await.map_err(unreadable)?.sequence;
            if sequence > stored {
                return Err(FollowError::CursorBeyondHead { cursor: sequence, head: stored });
            }
            self.advance(stored);
        }
        let (chain, former) = self.chains_at(sequence).await.map_err(unreadable)?;
        match cursor.chain {
            None => Ok(chain),
            // A follower from before the chain had its present definition. It compares what it gets with what it knows, so
            // at this position it gets the value that it came with; from the next batch on it gets the present chain.
            Some(known) if former == Some(known) => Ok(former),
            Some(known) if chain == Some(known) => Ok(chain),
            // No batch from the floor on is forgotten: where the follower knows of one, there is one, or the log is not
            // the same.
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

    /// The next range, or a heartbeat after a silence; `None` on shutdown and at the end of its time. The first comes at once.
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
        // What comes before was given, and may still be on its way: the follower comes back to it if it is cut off.
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

/// A factor from 0.75 to 1.25, so that streams that began together do not end together: the fractional part of the
/// multiples of the golden ratio, which spreads consecutive numbers evenly.
fn jitter(number: u64) -> f64 {
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    0.75 + 0.5 * (spread as f64 / 65_536.0)
}
