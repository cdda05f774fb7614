//! The changes of a group while it is planned: numbers them, and seals them with digests and chain.

use std::sync::Arc;

use crate::chain::{Link, digest};
use crate::position::{Chain, Sequence, UnixMillis};
use crate::store::{Batch, Head, Recorded, StoredChange};

/// A change on its way to the followers.
#[derive(Debug)]
pub(crate) struct Logged<C> {
    /// The change's position.
    pub(crate) sequence: Sequence,
    /// The partition that it concerns.
    pub(crate) partition: Option<u16>,
    /// The change.
    pub(crate) change: Arc<C>,
    /// The chain as of the change, if the change ends its batch.
    pub(crate) chain: Option<Chain>,
    /// The number of its stored bytes.
    pub(crate) bytes: usize,
    /// The commit time of its group.
    pub(crate) committed_at: UnixMillis,
}

/// The numbered changes of a group that is being planned.
#[derive(Debug)]
pub struct Draft<C> {
    expected: Head,
    last: Sequence,
    now: UnixMillis,
    stamp: UnixMillis,
    logged: Vec<Logged<C>>,
    stored: Vec<StoredChange>,
}

impl<C> Draft<C> {
    /// Returns an empty group after `head`, planned and stamped at `now`.
    #[must_use]
    pub const fn new(head: Head, now: UnixMillis) -> Self {
        Self { expected: head, last: head.sequence, now, stamp: now, logged: Vec::new(), stored: Vec::new() }
    }

    /// Returns the same group with another stamp.
    #[must_use]
    pub fn stamped(mut self, stamp: UnixMillis) -> Self {
        self.logged.iter_mut().for_each(|logged| logged.committed_at = stamp);
        Self { stamp, ..self }
    }

    /// Returns the clock's time at which the group is planned, for decisions about expiry.
    #[must_use]
    pub const fn now(&self) -> UnixMillis {
        self.now
    }

    /// Returns the time with which the group is stamped: never earlier than that of the group before, even if
    /// the clock has stepped back.
    #[must_use]
    pub const fn stamp(&self) -> UnixMillis {
        self.stamp
    }

    /// Returns the sequence of the newest change, of this group or before it.
    #[must_use]
    pub const fn last(&self) -> Sequence {
        self.last
    }

    /// Returns whether the group has no changes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }

    /// Numbers a change, builds it from its number, and appends it with its stored form. `partition` is the
    /// partition that it concerns, or `None` if it concerns every slice.
    pub fn append(
        &mut self,
        partition: Option<u16>,
        bytes: Vec<u8>,
        change: impl FnOnce(Sequence) -> C,
    ) -> Sequence {
        let sequence = self.last.next();
        self.last = sequence;
        let change = Arc::new(change(sequence));
        let (bytes_len, committed_at) = (bytes.len(), self.stamp);
        self.logged.push(Logged { sequence, partition, change, chain: None, bytes: bytes_len, committed_at });
        self.stored.push(StoredChange { sequence, partition, digest: digest(&bytes), bytes: Some(bytes) });
        sequence
    }

    /// Ends the group, and returns the batch to commit.
    pub fn seal<R>(self, rows: R, recorded: Vec<Recorded>) -> Batch<R> {
        self.seal_logged(rows, recorded).0
    }

    /// Ends the group, and returns the batch to commit and the changes to give to followers afterwards.
    pub(crate) fn seal_logged<R>(mut self, rows: R, recorded: Vec<Recorded>) -> (Batch<R>, Vec<Logged<C>>) {
        let mut link = Link::after(&self.expected.chain);
        for change in &self.stored {
            link.add(change.sequence, &change.digest);
        }
        let chain = if self.stored.is_empty() { self.expected.chain } else { link.end() };
        if let Some(last) = self.logged.last_mut() {
            last.chain = Some(chain);
        }
        let batch = Batch {
            expected: self.expected,
            head: Head { sequence: self.last, chain, ..self.expected },
            committed_at: self.stamp,
            changes: self.stored,
            recorded,
            rows,
        };
        (batch, self.logged)
    }
}
