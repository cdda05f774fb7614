//! Streams the log to those who follow it, each at its own pace.
//!
//! A [`Follower`] is asked for the next range when its client has taken the one before, so a slow one costs nothing
//! but its lag. The newest changes lie in memory, where any number of followers share them; one that is farther
//! behind reads pages from the store until it has caught up, and gets signs of life while it waits for them.
//!
//! A follower that has caught up is also told what its shard's living hashes come to, with every sign of life and in
//! the course of changes about as often: its proof that it has not gone astray.
//!
//! Always true: the ranges of a follower join without a gap, and each holds every change in it that the shard must
//! apply. The head that followers are told of is never ahead of what is committed and flushed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use vigie_model::change::Cursor;
use vigie_model::{Change, FeedRange, Sequence, SetDigest, ShardIdentity};
use vigie_serving::Shutdown;

use crate::digests::Totals;
use crate::error::Error;
use crate::followers::{Followers, Place};
use crate::load::Loader;
use crate::plan::Logged;
use crate::store::{ChangePage, ChangeRange, Store, StoreError, StoredChange};

/// Changes of the log that one page from the store looks through at most, whatever part of them is the shard's.
const SCAN_MAX: u64 = 32_768;

/// The limits of the feed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// See [`crate::Config::followers_max`].
    pub(crate) followers_max: usize,
    /// See [`crate::Config::heartbeat_ms`].
    pub(crate) heartbeat: Duration,
    /// See [`crate::Config::feed_changes_max`].
    pub(crate) changes_max: usize,
    /// See [`crate::Config::feed_bytes_max`].
    pub(crate) bytes_max: usize,
    /// See [`crate::Config::recent_changes_max`].
    pub(crate) recent_changes_max: usize,
    /// See [`crate::Config::recent_bytes_max`].
    pub(crate) recent_bytes_max: usize,
    /// See [`crate::Config::follower_minutes`].
    pub(crate) place_kept: Duration,
    /// See [`crate::Config::stream_minutes`].
    pub(crate) lifetime: Duration,
    /// Followers that read from the store at once; the others wait their turn.
    pub(crate) readers_max: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Feed {
    store: Arc<dyn Store>,
    recent: Mutex<Recent>,
    head: watch::Sender<Sequence>,
    followers: Arc<Followers>,
    permits: Arc<Semaphore>,
    readers: Semaphore,
    limits: Limits,
}

impl Feed {
    /// A feed that knows of no change yet.
    pub(crate) fn new(store: Arc<dyn Store>, limits: Limits) -> Self {
        Self {
            store,
            recent: Mutex::new(Recent::default()),
            head: watch::Sender::new(Sequence::ZERO),
            followers: Arc::new(Followers::new(limits.followers_max, limits.place_kept)),
            permits: Arc::new(Semaphore::new(limits.followers_max.min(Semaphore::MAX_PERMITS))),
            readers: Semaphore::new(limits.readers_max),
            limits,
        }
    }

    /// Tells of changes that were just committed, and of how they change what the partitions hold.
    pub(crate) fn publish(&self, logged: Vec<Logged>, totals: &[(u16, SetDigest)]) {
        let Some(last) = logged.last().map(|logged| logged.change.sequence) else { return };
        self.recent().append(logged, totals, &self.limits);
        self.advance(last);
    }

    /// Tells where the log stands, and what its partitions hold there.
    pub(crate) fn reset(&self, head: Sequence, totals: Totals) {
        self.recent().totals = Some((head, totals));
        self.advance(head);
    }

    /// The newest change that followers are told of.
    pub(crate) fn head(&self) -> Sequence {
        *self.head.borrow()
    }

    /// What all followers have, of those who are there or may come back: the log is not cut beyond it.
    pub(crate) fn all_have(&self) -> Option<Sequence> {
        self.followers.all_have()
    }

    /// One more that needs the log after `reached`.
    pub(crate) fn join(&self, reached: Sequence) -> Place {
        self.followers.join(reached)
    }

    /// The log and the state.
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// How many entries one message holds at most, and their bytes.
    pub(crate) const fn page_max(&self) -> (usize, usize) {
        (self.limits.changes_max, self.limits.bytes_max)
    }

    /// Waits for a turn to read from the store.
    pub(crate) async fn turn_to_read(&self) -> Option<SemaphorePermit<'_>> {
        // Never closed, so it never fails; without a permit the read would be as good.
        self.readers.acquire().await.ok()
    }

    /// Tells that the log has come as far as this, by whoever's writes.
    pub(crate) fn advance(&self, head: Sequence) {
        self.head.send_if_modified(|known| {
            let newer = head > *known;
            *known = head.max(*known);
            newer
        });
    }

    /// Begins to follow after a cursor, until `shutdown`.
    pub(crate) async fn watch(
        self: &Arc<Self>,
        from: Option<Cursor>,
        shard: ShardIdentity,
        shutdown: Shutdown,
    ) -> Result<Follower, Error> {
        let permit = self.permit()?;
        let head = self.head.subscribe();
        let cursor = from.map_or(Sequence::ZERO, |cursor| cursor.sequence);
        // First of all: what is there when the floor is looked at stays.
        let mut place = self.join(cursor);
        let floor = self.store.head().await.map_err(|error| Error::from_read(&error))?.floor;
        if cursor < floor {
            return Err(Error::CursorBeforeFloor { cursor, floor });
        }
        let chain = match &from {
            Some(cursor) => self.check(cursor).await?,
            None => None,
        };
        place.advance(cursor);
        Ok(Follower {
            feed: Arc::clone(self),
            shard,
            cursor,
            chain,
            head,
            shutdown,
            spoke_at: None,
            proved_at: None,
            ends_at: Instant::now() + self.limits.lifetime.mul_f64(jitter(place.number())),
            reading: JoinSet::new(),
            place,
            _permit: permit,
        })
    }

    /// Begins to read the present state of a shard, until `shutdown`.
    pub(crate) fn load(self: &Arc<Self>, shard: ShardIdentity, shutdown: Shutdown) -> Result<Loader, Error> {
        Ok(Loader::new(Arc::clone(self), shard, shutdown, self.permit()?))
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.permits).try_acquire_owned().map_err(|_| Error::TooManyFollowers)
    }

    /// Whether the log goes on from a cursor; answers its chain there, where a batch ends.
    async fn check(&self, cursor: &Cursor) -> Result<Option<[u8; 32]>, Error> {
        let (own, sequence) = (self.store.log_id(), cursor.sequence);
        if cursor.log != own {
            return Err(Error::AnotherLog { cursor: cursor.log, own });
        }
        if sequence > *self.head.borrow() {
            // Another writer of the same store may have moved it.
            let stored = self.store.head().await.map_err(|error| Error::from_read(&error))?.sequence;
            if sequence > stored {
                return Err(Error::CursorBeyondHead { cursor: sequence, head: stored });
            }
            self.advance(stored);
        }
        let chain = chain_at(&*self.store, sequence).await.map_err(|error| Error::from_read(&error))?;
        // No batch from the floor on is forgotten: where the follower knows of one, there is one, or the log is not
        // the same.
        if cursor.chain.is_some() && cursor.chain != chain {
            return Err(Error::Diverged { cursor: sequence });
        }
        Ok(chain)
    }

    /// Reads from the store what follows a cursor.
    async fn read_stored(
        &self,
        after: Sequence,
        head: Sequence,
        shard: ShardIdentity,
    ) -> Result<Page, Error> {
        let Limits { changes_max, bytes_max, .. } = self.limits;
        let _turn = self.turn_to_read().await;
        let range = ChangeRange {
            after,
            through: head.min(Sequence(after.0 + SCAN_MAX)),
            shard: Some(shard),
            count_max: changes_max,
            bytes_max,
        };
        let failed = |error: StoreError| Error::from_read(&error);
        let ChangePage { changes, through, floor } = self.store.changes(&range).await.map_err(failed)?;
        if after < floor {
            // It began to follow just when the log was cut.
            return Err(Error::CursorBeforeFloor { cursor: after, floor });
        }
        let chain = chain_at(&*self.store, through).await.map_err(failed)?;
        let read = |change: &StoredChange| change.read_or_corrupt().map(Arc::new);
        let changes = changes.iter().map(read).collect::<Result<_, _>>().map_err(failed)?;
        Ok(Page { through, chain, changes, digest: None })
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        // Nothing in there can be half done: it is emptied and refilled by single steps.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that follows the log.
#[derive(Debug)]
pub(crate) struct Follower {
    feed: Arc<Feed>,
    shard: ShardIdentity,
    /// The last change that it has been told of.
    cursor: Sequence,
    /// The chain as of it, where a batch ends.
    chain: Option<[u8; 32]>,
    head: watch::Receiver<Sequence>,
    shutdown: Shutdown,
    /// When it was last told anything.
    spoke_at: Option<Instant>,
    /// When it was last told what its shard comes to.
    proved_at: Option<Instant>,
    /// When its stream ends, and it is to come again.
    ends_at: Instant,
    /// At most one task, which waits for its turn and reads from the store. A task of its own, so that it keeps its
    /// place in the queue while signs of life go out, and gives its turn up even if the client never takes the page.
    reading: JoinSet<Result<Page, Error>>,
    /// Keeps the log from the cursor on.
    place: Place,
    /// Its place among the followers, given up with it.
    _permit: OwnedSemaphorePermit,
}

impl Follower {
    /// The next range, or a sign of life after a silence; `None` on shutdown and at the end of its time. The first comes
    /// at once.
    pub(crate) async fn next(&mut self) -> Result<Option<FeedRange>, Error> {
        loop {
            if self.shutdown.is_cancelled() || Instant::now() >= self.ends_at {
                return Ok(None);
            }
            let head = *self.head.borrow_and_update();
            let Some(spoke_at) = self.spoke_at else { return Ok(Some(self.give_sign(head))) };
            if self.cursor < head && self.reading.is_empty() {
                let proof_due = self.proof_is_due();
                let recent = self.feed.recent().after(self.cursor, self.shard, &self.feed.limits, proof_due);
                if let Some(page) = recent {
                    return Ok(Some(self.tell(head, page)));
                }
                let (feed, cursor, shard) = (Arc::clone(&self.feed), self.cursor, self.shard);
                self.reading.spawn(async move { feed.read_stored(cursor, head, shard).await });
            }
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(None),
                Some(read) = self.reading.join_next() => {
                    let page = read.map_err(|_| Error::Broken)??;
                    return Ok(Some(self.tell(head, page)));
                }
                changed = self.head.changed(), if self.reading.is_empty() => {
                    changed.map_err(|_| Error::Stopping)?;
                }
                () = tokio::time::sleep_until(spoke_at + self.feed.limits.heartbeat) => {
                    return Ok(Some(self.give_sign(head)));
                }
            }
        }
    }

    fn give_sign(&mut self, head: Sequence) -> FeedRange {
        let digest = self.feed.recent().digest_at(self.cursor, self.shard);
        self.tell(head, Page { through: self.cursor, chain: self.chain, changes: Vec::new(), digest })
    }

    fn proof_is_due(&self) -> bool {
        self.proved_at.is_none_or(|proved_at| proved_at.elapsed() >= self.feed.limits.heartbeat)
    }

    fn tell(&mut self, head: Sequence, page: Page) -> FeedRange {
        let Page { through, chain, changes, digest } = page;
        let after = std::mem::replace(&mut self.cursor, through);
        // What is before it was told, and may still be on its way: the follower comes back to it if it is cut off.
        self.place.advance(after);
        self.chain = chain;
        self.spoke_at = Some(Instant::now());
        if digest.is_some() {
            self.proved_at = self.spoke_at;
        }
        let changes = changes.into_iter().map(Arc::unwrap_or_clone).collect();
        let log = self.feed.store.log_id();
        FeedRange { log, after, through, head: head.max(through), chain, changes, digest }
    }
}

/// A factor from 0.75 to 1.25, so that streams that began together do not end together: the fractional part of the
/// multiples of the golden ratio, which spreads consecutive numbers evenly.
fn jitter(number: u64) -> f64 {
    let spread = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    0.75 + 0.5 * (spread as f64 / 65_536.0)
}

/// What follows a cursor, and how far it reaches.
#[derive(Debug)]
struct Page {
    through: Sequence,
    /// The chain as of `through`, where a batch ends.
    chain: Option<[u8; 32]>,
    changes: Vec<Arc<Change>>,
    /// What the shard comes to as of `through`, where that is known and is to be told.
    digest: Option<SetDigest>,
}

/// The chain where a batch ends; `None` elsewhere.
async fn chain_at(store: &dyn Store, last: Sequence) -> Result<Option<[u8; 32]>, StoreError> {
    let Some(before) = last.0.checked_sub(1) else { return Ok(None) };
    let batches = store.batches(Sequence(before), 1).await?;
    Ok(batches.first().filter(|batch| batch.last == last).map(|batch| batch.chain))
}

/// The newest changes, without a gap among them, and what they come to. Bounded in number and in bytes.
#[derive(Debug, Default)]
struct Recent {
    logged: VecDeque<Logged>,
    bytes: usize,
    /// What the partitions hold as of a sequence; `None` before the log was loaded.
    totals: Option<(Sequence, Totals)>,
}

impl Recent {
    fn append(&mut self, logged: Vec<Logged>, deltas: &[(u16, SetDigest)], limits: &Limits) {
        if let (Some((sequence, totals)), Some(last)) = (&mut self.totals, logged.last()) {
            totals.apply(deltas);
            *sequence = last.change.sequence;
        }
        let joins = self.logged.back().map(|last| last.change.sequence.next())
            == logged.first().map(|first| first.change.sequence);
        if !joins {
            // Another writer came in between; the store has what is missing.
            (self.logged, self.bytes) = (VecDeque::new(), 0);
        }
        for entry in logged {
            self.bytes += entry.bytes;
            self.logged.push_back(entry);
        }
        while self.logged.len() > limits.recent_changes_max || self.bytes > limits.recent_bytes_max {
            let Some(oldest) = self.logged.pop_front() else { break };
            self.bytes -= oldest.bytes;
        }
    }

    /// What a shard comes to at a sequence, if that is the newest.
    fn digest_at(&self, sequence: Sequence, shard: ShardIdentity) -> Option<SetDigest> {
        self.totals.as_ref().filter(|(newest, _)| *newest == sequence).map(|(_, totals)| totals.of(shard))
    }

    /// The shard's changes after a cursor, and how far they reach; `None` where the cursor lies before the oldest
    /// change or at the newest.
    fn after(
        &self,
        cursor: Sequence,
        shard: ShardIdentity,
        limits: &Limits,
        proof_due: bool,
    ) -> Option<Page> {
        let first = self.logged.front()?.change.sequence;
        let skip = usize::try_from(cursor.next().0.checked_sub(first.0)?).ok()?;
        let (mut end, mut changes, mut bytes) = (None, Vec::new(), 0);
        for logged in self.logged.range(skip.min(self.logged.len())..) {
            if applies(&logged.change, shard) {
                bytes += logged.bytes;
                if !changes.is_empty() && (bytes > limits.bytes_max || changes.len() >= limits.changes_max) {
                    break;
                }
                changes.push(Arc::clone(&logged.change));
            }
            end = Some(logged);
        }
        let (through, chain) = end.map(|end| (end.change.sequence, end.chain))?;
        let digest = if proof_due { self.digest_at(through, shard) } else { None };
        Some(Page { through, chain, changes, digest })
    }
}

/// Whether a shard must apply a change.
fn applies(change: &Change, shard: ShardIdentity) -> bool {
    change.kind.partition().is_none_or(|partition| shard.shard_count().shard_of(partition) == shard.shard())
}
