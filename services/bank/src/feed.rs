//! Streams the log to those who follow it, each at its own pace.
//!
//! A [`Follower`] is asked for the next range when its client has taken the one before, so a slow one costs nothing
//! but its lag. The newest changes lie in memory, where any number of followers share them; one that is farther
//! behind reads pages from the store until it has caught up.
//!
//! Always true: the ranges of a follower join without a gap, and each holds every change in it that the shard must
//! apply. The head that followers are told of is never ahead of what is committed and flushed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use vigie_model::{Change, FeedRange, Sequence, ShardIdentity};
use vigie_serving::Shutdown;

use crate::error::Error;
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
    /// Followers that read from the store at once; the others wait their turn.
    pub(crate) readers_max: usize,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Feed {
    store: Arc<dyn Store>,
    recent: Mutex<Recent>,
    head: watch::Sender<Sequence>,
    places: Arc<Semaphore>,
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
            places: Arc::new(Semaphore::new(limits.followers_max.min(Semaphore::MAX_PERMITS))),
            readers: Semaphore::new(limits.readers_max),
            limits,
        }
    }

    /// Tells of changes that were just committed.
    pub(crate) fn publish(&self, logged: Vec<Logged>) {
        let Some(last) = logged.last().map(|logged| logged.change.sequence) else { return };
        self.recent().append(logged, &self.limits);
        self.advance(last);
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
        cursor: Sequence,
        shard: ShardIdentity,
        shutdown: Shutdown,
    ) -> Result<Follower, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::TooManyFollowers)?;
        let head = self.head.subscribe();
        if cursor > *head.borrow() {
            // Another bank on the same store may have told the follower of more than this one has heard of.
            let stored = self.store.head().await.map_err(|error| Error::from_read(&error))?.sequence;
            if cursor > stored {
                return Err(Error::CursorBeyondHead { cursor, head: stored });
            }
            self.advance(stored);
        }
        let (feed, spoke_at) = (Arc::clone(self), None);
        Ok(Follower { feed, shard, cursor, head, shutdown, spoke_at, _place: place })
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
    head: watch::Receiver<Sequence>,
    shutdown: Shutdown,
    /// When it was last told anything.
    spoke_at: Option<Instant>,
    /// Its place among the followers, given up with it.
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// The next range, or a sign of life after a silence; `None` on shutdown. The first comes at once.
    pub(crate) async fn next(&mut self) -> Result<Option<FeedRange>, Error> {
        loop {
            if self.shutdown.is_cancelled() {
                return Ok(None);
            }
            let head = *self.head.borrow_and_update();
            let Some(spoke_at) = self.spoke_at else {
                return Ok(Some(self.tell(head, self.cursor, Vec::new())));
            };
            if self.cursor < head {
                let (through, changes) = self.read(head).await?;
                return Ok(Some(self.tell(head, through, changes)));
            }
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return Ok(None),
                changed = self.head.changed() => changed.map_err(|_| Error::Stopping)?,
                () = tokio::time::sleep_until(spoke_at + self.feed.limits.heartbeat) => {
                    return Ok(Some(self.tell(head, self.cursor, Vec::new())));
                }
            }
        }
    }

    fn tell(&mut self, head: Sequence, through: Sequence, changes: Vec<Change>) -> FeedRange {
        let after = std::mem::replace(&mut self.cursor, through);
        self.spoke_at = Some(Instant::now());
        FeedRange { after, through, head: head.max(through), changes }
    }

    /// What follows the cursor, and how far it reaches.
    async fn read(&self, head: Sequence) -> Result<(Sequence, Vec<Change>), Error> {
        let recent = self.feed.recent().after(self.cursor, self.shard, &self.feed.limits);
        if let Some((through, changes)) = recent {
            return Ok((through, changes.iter().map(|change| Change::clone(change)).collect()));
        }
        self.read_stored(head).await.map_err(|error| Error::from_read(&error))
    }

    async fn read_stored(&self, head: Sequence) -> Result<(Sequence, Vec<Change>), StoreError> {
        let Limits { changes_max, bytes_max, .. } = self.feed.limits;
        // Never closed, so it never fails; without a permit the read would be as good.
        let _turn = self.feed.readers.acquire().await.ok();
        let range = ChangeRange {
            after: self.cursor,
            through: head.min(Sequence(self.cursor.0 + SCAN_MAX)),
            shard: Some(self.shard),
            count_max: changes_max,
            bytes_max,
        };
        let ChangePage { changes, through } = self.feed.store.changes(&range).await?;
        let changes = changes.iter().map(StoredChange::read_or_corrupt).collect::<Result<_, _>>()?;
        Ok((through, changes))
    }
}

/// The newest changes, without a gap among them. Bounded in number and in bytes.
#[derive(Debug, Default)]
struct Recent {
    logged: VecDeque<Logged>,
    bytes: usize,
}

impl Recent {
    fn append(&mut self, logged: Vec<Logged>, limits: &Limits) {
        let joins = self.logged.back().map(|last| last.change.sequence.next())
            == logged.first().map(|first| first.change.sequence);
        if !joins {
            // Another writer came in between; the store has what is missing.
            *self = Self::default();
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

    /// The shard's changes after a cursor, and how far they reach; `None` where the cursor lies before the oldest
    /// change or at the newest.
    fn after(
        &self,
        cursor: Sequence,
        shard: ShardIdentity,
        limits: &Limits,
    ) -> Option<(Sequence, Vec<Arc<Change>>)> {
        let first = self.logged.front()?.change.sequence;
        let skip = usize::try_from(cursor.next().0.checked_sub(first.0)?).ok()?;
        let (mut through, mut changes, mut bytes) = (None, Vec::new(), 0);
        for Logged { change, bytes: more } in self.logged.range(skip.min(self.logged.len())..) {
            if applies(change, shard) {
                bytes += more;
                if !changes.is_empty() && (bytes > limits.bytes_max || changes.len() >= limits.changes_max) {
                    break;
                }
                changes.push(Arc::clone(change));
            }
            through = Some(change.sequence);
        }
        Some((through?, changes))
    }
}

/// Whether a shard must apply a change.
fn applies(change: &Change, shard: ShardIdentity) -> bool {
    change.kind.partition().is_none_or(|partition| shard.shard_count().shard_of(partition) == shard.shard())
}
