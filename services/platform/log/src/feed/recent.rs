//! The newest changes in memory, and the summary as of the newest.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::application::{Application, Summary as _};
use crate::draft::Logged;
use crate::feed::limits::FeedLimits;
use crate::position::{Chain, Sequence, Slice, UnixMillis};

/// The proof of an application.
pub(super) type Proof<A> = <<A as Application>::Summary as crate::Summary>::Proof;
/// The effect of a group of changes on an application's summary.
type Delta<A> = <<A as Application>::Summary as crate::Summary>::Delta;

/// The changes after a cursor, and the sequence up to which they are complete.
#[derive(Debug)]
pub(super) struct Page<A: Application> {
    pub(super) through: Sequence,
    /// The chain as of `through`, if a batch ends there.
    pub(super) chain: Option<Chain>,
    pub(super) changes: Vec<Arc<A::Change>>,
    /// The commit time of the first of these changes, if it is known.
    pub(super) first_committed_at: Option<UnixMillis>,
    /// The proof as of `through`, if it is known and due.
    pub(super) proof: Option<Proof<A>>,
}

/// The newest changes, without a gap, bounded in number and in bytes.
#[derive(Debug)]
pub(super) struct Recent<A: Application> {
    logged: VecDeque<Logged<A::Change>>,
    bytes: usize,
    /// The summary, and the sequence as of which it is; `None` before the log was loaded.
    summary: Option<(Sequence, A::Summary)>,
}

impl<A: Application> Recent<A> {
    pub(super) const fn new() -> Self {
        Self { logged: VecDeque::new(), bytes: 0, summary: None }
    }

    pub(super) fn reset(&mut self, head: Sequence, summary: A::Summary) {
        self.summary = Some((head, summary));
    }

    pub(super) fn append(&mut self, logged: Vec<Logged<A::Change>>, delta: &Delta<A>, limits: &FeedLimits) {
        if let (Some((sequence, summary)), Some(last)) = (&mut self.summary, logged.last()) {
            summary.apply(delta);
            *sequence = last.sequence;
        }
        let joins =
            self.logged.back().map(|last| last.sequence.next()) == logged.first().map(|first| first.sequence);
        if !joins {
            // Another writer committed in between; the missing changes are in the store.
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

    /// Drops the changes up to this one.
    pub(super) fn forget(&mut self, through: Sequence) {
        while self.logged.front().is_some_and(|oldest| oldest.sequence <= through) {
            let Some(oldest) = self.logged.pop_front() else { break };
            self.bytes -= oldest.bytes;
        }
    }

    /// Returns the proof of a slice at a sequence, if that is the newest.
    pub(super) fn proof_at(&self, sequence: Sequence, slice: Slice) -> Option<Proof<A>> {
        let (newest, summary) = self.summary.as_ref()?;
        (*newest == sequence).then(|| summary.of(slice))
    }

    /// Returns the changes of a slice after a cursor, and the sequence up to which they are complete; `None`
    /// if the cursor is before the oldest change in memory, or at the newest.
    pub(super) fn after(
        &self,
        cursor: Sequence,
        slice: Slice,
        limits: &FeedLimits,
        proof_due: bool,
    ) -> Option<Page<A>> {
        let first = self.logged.front()?.sequence;
        let skip = usize::try_from(cursor.next().0.checked_sub(first.0)?).ok()?;
        let (mut end, mut changes, mut bytes) = (None, Vec::new(), 0);
        let mut first_committed_at = None;
        for logged in self.logged.range(skip.min(self.logged.len())..) {
            if slice.has(logged.partition) {
                bytes += logged.bytes;
                if !changes.is_empty() && (bytes > limits.bytes_max || changes.len() >= limits.changes_max) {
                    break;
                }
                changes.push(Arc::clone(&logged.change));
                first_committed_at.get_or_insert(logged.committed_at);
            }
            end = Some(logged);
        }
        let (through, chain) = end.map(|end| (end.sequence, end.chain))?;
        let proof = if proof_due { self.proof_at(through, slice) } else { None };
        Some(Page { through, chain, changes, first_committed_at, proof })
    }
}
