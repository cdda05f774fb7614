//! A log in memory, for tests and simulations: the data, and the operations of a store on it.
//!
//! The log is not itself a [`crate::LogStore`]. A store in memory keeps the log and the application's rows
//! under the same lock, so that both change together.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Included, Unbounded};

use crate::position::{Sequence, UnixMillis};
use crate::store::{Batch, ChangePage, ChangeRange, Head, Recorded, StoredBatch, StoredChange};

/// The data of a log in memory.
#[derive(Debug, Clone)]
pub struct MemoryLog {
    head: Head,
    changes: BTreeMap<Sequence, StoredChange>,
    batches: BTreeMap<Sequence, (StoredBatch, UnixMillis)>,
    recorded: HashMap<String, Recorded>,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self {
            head: Head::EMPTY,
            changes: BTreeMap::new(),
            batches: BTreeMap::new(),
            recorded: HashMap::new(),
        }
    }
}

impl MemoryLog {
    /// Returns the head.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// Appends a batch. Returns `false`, and changes nothing, if the head is not where the batch expects it.
    pub fn append<R>(&mut self, batch: &Batch<R>) -> bool {
        if (self.head.sequence, self.head.chain) != (batch.expected.sequence, batch.expected.chain) {
            return false;
        }
        self.head = Head { floor: self.head.floor, ..batch.head };
        if !batch.changes.is_empty() {
            let end = StoredBatch { last: batch.head.sequence, chain: batch.head.chain, former: None };
            self.batches.insert(end.last, (end, batch.committed_at));
        }
        self.changes.extend(batch.changes.iter().map(|change| (change.sequence, change.clone())));
        self.recorded.extend(batch.recorded.iter().map(|record| (record.key.clone(), record.clone())));
        true
    }

    /// Returns whether the batch that ends at `head` is stored.
    #[must_use]
    pub fn has(&self, head: &Head) -> bool {
        self.batches.get(&head.sequence).is_some_and(|(found, _)| found.chain == head.chain)
    }

    /// Reads changes.
    #[must_use]
    pub fn changes(&self, range: &ChangeRange) -> ChangePage {
        let (mut changes, mut bytes) = (Vec::new(), 0);
        let mut through = range.through;
        if range.after < range.through {
            let rows = self.changes.range((Excluded(range.after), Included(range.through)));
            for (_, change) in rows.filter(|(_, change)| range.slice.has(change.partition)) {
                bytes += change.len();
                if !changes.is_empty() && (bytes > range.bytes_max || changes.len() >= range.count_max) {
                    through = changes.last().map_or(range.through, |last: &StoredChange| last.sequence);
                    break;
                }
                changes.push(change.clone());
            }
        }
        ChangePage { changes, through, floor: self.head.floor }
    }

    /// Reads batches that ended after a sequence.
    #[must_use]
    pub fn batches(&self, after: Sequence, limit: u16) -> Vec<StoredBatch> {
        let beyond = self.batches.range((Excluded(after), Unbounded)).map(|(_, (batch, _))| *batch);
        beyond.take(limit.into()).collect()
    }

    /// Returns when the batch that ends with a change was committed.
    #[must_use]
    pub fn committed_at(&self, last: Sequence) -> Option<UnixMillis> {
        self.batches.get(&last).map(|(_, committed_at)| *committed_at)
    }

    /// Returns the last batch that was committed before a time.
    #[must_use]
    pub fn last_before(&self, time: UnixMillis) -> Option<Sequence> {
        let old = self.batches.values().filter(|(_, committed_at)| *committed_at < time);
        old.map(|(batch, _)| batch.last).max()
    }

    /// Reads the records of these keys.
    #[must_use]
    pub fn recorded(&self, keys: &[String]) -> Vec<Recorded> {
        keys.iter().filter_map(|key| self.recorded.get(key).cloned()).collect()
    }

    /// Removes the keys older than a time.
    pub fn sweep_keys(&mut self, before: UnixMillis) {
        self.recorded.retain(|_, record| record.created_at >= before);
    }

    /// Removes the oldest changes, as [`crate::LogStore::cut`] does.
    pub fn cut(&mut self, through: Sequence, rows_max: u32) -> bool {
        let floor = self.head.floor;
        let beyond = || self.batches.keys().copied().filter(|last| *last > floor && *last <= through);
        let step = Sequence(floor.0 + u64::from(rows_max));
        let Some(end) = beyond().filter(|last| *last <= step).max().or_else(|| beyond().min()) else {
            return false;
        };
        self.head.floor = end;
        self.changes.retain(|sequence, _| *sequence > end);
        self.batches.retain(|last, _| *last >= end);
        true
    }

    /// Removes the bytes of one change; returns whether it had any.
    pub fn purge(&mut self, sequence: Sequence) -> bool {
        self.changes.get_mut(&sequence).is_some_and(|change| change.bytes.take().is_some())
    }
}
