//! The queue in front of the writer, bounded in writes and in bytes. A write beyond a bound is refused at
//! once.

use std::fmt;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use crate::application::{Application, Write};
use crate::error::WriteRefused;
use crate::position::UnixMillis;
use crate::write::keys::Key;
use crate::write::stamps::Stamps;

/// The limits of a log's writes.
#[derive(Debug, Clone, Copy)]
pub struct WriteLimits {
    /// The most changes in one transaction; further writes wait for the next. A single larger write still
    /// goes alone.
    pub group_changes_max: usize,
    /// The most writes that wait; one more is refused.
    pub queue_max: usize,
    /// The most bytes of writes that wait or are being written; a write beyond that is refused.
    pub queue_bytes_max: usize,
}

/// The handle to which writes are passed.
pub struct Log<A: Application> {
    queue: mpsc::Sender<Queued<A>>,
    bytes: Arc<Semaphore>,
    bytes_max: usize,
    stamps: Arc<Stamps>,
}

impl<A: Application> fmt::Debug for Log<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Log({} writes wait)", self.queued())
    }
}

/// A write that waits.
#[derive(Debug)]
pub(super) struct Queued<A: Application> {
    pub(super) write: A::Write,
    pub(super) key: Option<Key>,
    pub(super) deadline: Instant,
    answer: oneshot::Sender<Result<A::Answer, A::Error>>,
    /// Its share of the queue's bytes, released when it is answered.
    _permit: OwnedSemaphorePermit,
}

impl<A: Application> Queued<A> {
    /// Answers the write.
    pub(super) fn give(self, outcome: Result<A::Answer, A::Error>) {
        // If the caller has gone, the answer is dropped; the write is done all the same.
        self.answer.send(outcome).ok();
    }

    /// Returns whether its deadline has passed or its caller has gone.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.deadline <= now || self.answer.is_closed()
    }
}

impl<A: Application> Log<A> {
    /// Returns a queue, and the end from which the writer takes.
    pub(super) fn new(limits: &WriteLimits, stamps: Arc<Stamps>) -> (Self, mpsc::Receiver<Queued<A>>) {
        let (sender, receiver) = mpsc::channel(limits.queue_max);
        let bytes_max = limits.queue_bytes_max.min(Semaphore::MAX_PERMITS);
        (Self { queue: sender, bytes: Arc::new(Semaphore::new(bytes_max)), bytes_max, stamps }, receiver)
    }

    /// Returns a time just before now, such that no change with a time up to it is committed after this call.
    /// A read of the store that begins afterwards has all changes up to that time.
    #[must_use]
    pub fn settled(&self) -> UnixMillis {
        self.stamps.settled()
    }

    /// Returns the number of writes that wait.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Writes, and returns once the write is committed and flushed. Refuses at once if too many writes wait.
    pub async fn write(
        &self,
        write: A::Write,
        key: Option<String>,
        deadline: Instant,
    ) -> Result<A::Answer, A::Error> {
        // A write larger than the whole bound is let through when it is alone.
        let weight = u32::try_from(write.weight().min(self.bytes_max)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.bytes).try_acquire_many_owned(weight);
        let permit = permit.map_err(|_| WriteRefused::QueueFull)?;
        let key = key.map(|text| Key { text, digest: write.digest() });
        let (sender, receiver) = oneshot::channel();
        let queued = Queued { write, key, deadline, answer: sender, _permit: permit };
        self.queue.try_send(queued).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => WriteRefused::QueueFull,
            mpsc::error::TrySendError::Closed(_) => WriteRefused::Stopping,
        })?;
        receiver.await.unwrap_or_else(|_| Err(WriteRefused::Broken.into()))
    }
}
