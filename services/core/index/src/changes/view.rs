//! What one search reads: the sources of an index, and a moment.
//!
//! A view lists immutable segments, full tails on their way to become segments, and the tail that is being
//! filled. A write appends rows to that tail or marks rows dead anywhere, and then publishes: a new moment in
//! the same view or, when a source came or went, a new view. The moment of a view that was replaced never
//! changes again: who still reads there sees the index as it was just before, whatever was written since.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Weak};

use crate::changes::moment::{Moment, MomentCell};
use crate::question::audit::{AuditError, Pace, Steps, Taken};
use crate::question::cancel::{Cancellation, Checkpoint, Tally};
use crate::question::entry::Entry;
use crate::rows::segment::Segment;
use crate::rows::stored::Stored;
use crate::rows::tail::{TAIL_ROWS, Tail};
use crate::rows::tombstones::{DeadRows, LogPage, Removal, SourceId};

/// Enough for a full tail; the other 46 bits count removals, for two years at a million a second.
pub(crate) const ROW_BITS: u32 = TAIL_ROWS.ilog2() + 1;

/// The sources of an index.
pub(crate) struct View<const BYTES: usize> {
    pub(crate) segments: Box<[Arc<Segment<BYTES>>]>,
    /// Tails that are no longer filled, and their rows.
    pub(crate) sealed: Box<[(Arc<Tail<BYTES>>, usize)]>,
    pub(crate) active: Arc<Tail<BYTES>>,
    /// From where on removals are told.
    pub(crate) log: Arc<LogPage>,
    pub(crate) moment: MomentCell<ROW_BITS>,
}

impl<const BYTES: usize> View<BYTES> {
    /// The tails with the number of their rows at that moment.
    pub(crate) fn tails_at(&self, moment: Moment) -> impl Iterator<Item = (&Tail<BYTES>, usize)> {
        let sealed = self.sealed.iter().map(|(tail, rows)| (&**tail, *rows));
        sealed.chain([(&*self.active, moment.rows)])
    }
}

impl<const BYTES: usize> View<BYTES> {
    /// Checks the ways to every row, and hands over those that live at this moment.
    pub(crate) fn audit(
        &self,
        moment: Moment,
        pace: &mut Pace<'_>,
        take: &mut Taken<'_, BYTES>,
    ) -> Result<(), AuditError> {
        let never = Cancellation::never();
        let tally = Checkpoint::begin(&never).map_err(|_| AuditError::Stopped)?.tally();
        let sight = Sight::new(self, moment, &tally);
        for segment in &self.segments {
            segment.audit(pace, &mut |row, hash| {
                if sight.shows(segment.id, &segment.dead, row) {
                    take(hash, segment.entry(row as usize))?;
                }
                Ok(())
            })?;
        }
        for (tail, rows) in self.tails_at(moment) {
            tail.audit(rows, pace)?;
            let mut steps = Steps::of(BYTES + size_of::<Entry>(), pace);
            for row in 0..rows {
                let number =
                    u32::try_from(row).map_err(|_| AuditError::Damaged("a tail has too many rows"))?;
                if sight.shows(tail.id, &tail.dead, number) {
                    take(&tail.hash(row), tail.entry(row))?;
                }
                steps.step()?;
            }
            steps.end()?;
        }
        Ok(())
    }

    /// The segments, as long as something uses them.
    pub(crate) fn stored(&self) -> Vec<Weak<dyn Stored>> {
        let weak = |segment: &Arc<Segment<BYTES>>| {
            let weak: Weak<Segment<BYTES>> = Arc::downgrade(segment);
            weak as Weak<dyn Stored>
        };
        self.segments.iter().map(weak).collect()
    }

    /// Where the tails lie in memory.
    pub(crate) fn tail_memory(&self) -> Vec<Range<usize>> {
        let sealed = self.sealed.iter().flat_map(|(tail, _)| tail.memory());
        sealed.chain(self.active.memory()).collect()
    }
}

/// Who may be seen at a moment: one for each search.
pub(crate) struct Sight<'a, 'c> {
    removals: u64,
    tally: &'a Tally<'c>,
    /// Removals that came after the moment, as far as they were looked at: rows that still live at it.
    later: RefCell<Later<'a>>,
}

struct Later<'a> {
    page: &'a LogPage,
    looked_at: u64,
    rows: HashSet<Removal>,
}

impl<'a, 'c> Sight<'a, 'c> {
    /// Counts the removals that it has to look at as hits: where a large bank has just been removed they are many.
    pub(crate) fn new<const BYTES: usize>(
        view: &'a View<BYTES>,
        moment: Moment,
        tally: &'a Tally<'c>,
    ) -> Self {
        let later = Later { page: &view.log, looked_at: moment.removals, rows: HashSet::new() };
        Self { removals: moment.removals, tally, later: RefCell::new(later) }
    }

    /// Whether the row had not been removed at that moment. Of no meaning once the tally is stopped.
    #[inline]
    pub(crate) fn shows(&self, source: SourceId, dead: &DeadRows, row: u32) -> bool {
        !dead.contains(row as usize) || self.died_later(Removal { source, row })
    }

    /// Each removal is looked at once in a search, however many dead rows it comes upon.
    #[cold]
    fn died_later(&self, removal: Removal) -> bool {
        let later = &mut *self.later.borrow_mut();
        for removal in later.page.since(later.looked_at) {
            later.rows.insert(removal);
            later.looked_at += 1;
            if !self.tally.goes_on() {
                break;
            }
        }
        later.page = later.page.reaching(later.looked_at);
        debug_assert!(later.looked_at >= self.removals, "the log goes on from the moment");
        later.rows.contains(&removal)
    }
}
