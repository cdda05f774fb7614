//! The data that one search reads: the sources of an index, and a moment.
//!
//! A view lists immutable segments, full tails that will become segments, and the tail that is being filled.
//! A write appends rows to that tail or marks rows dead anywhere, and then publishes: a new moment in the
//! same view or, if a source was added or removed, a new view. The moment of a replaced view never changes
//! again, so a reader of that view sees the index as it was just before the replacement.

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

/// Enough bits to count the rows of a full tail. The other 46 bits count removals, enough for two years at a
/// million a second.
pub(crate) const ROW_BITS: u32 = TAIL_ROWS.ilog2() + 1;

/// The sources of an index.
pub(crate) struct View<const BYTES: usize> {
    pub(crate) segments: Box<[Arc<Segment<BYTES>>]>,
    /// The tails that are no longer filled, with the numbers of their rows.
    pub(crate) sealed: Box<[(Arc<Tail<BYTES>>, usize)]>,
    pub(crate) active: Arc<Tail<BYTES>>,
    /// The log page with the first removal that this view does not include.
    pub(crate) log: Arc<LogPage>,
    pub(crate) moment: MomentCell<ROW_BITS>,
}

impl<const BYTES: usize> View<BYTES> {
    /// Returns the tails with the number of their rows at that moment.
    pub(crate) fn tails_at(&self, moment: Moment) -> impl Iterator<Item = (&Tail<BYTES>, usize)> {
        let sealed = self.sealed.iter().map(|(tail, rows)| (&**tail, *rows));
        sealed.chain([(&*self.active, moment.rows)])
    }
}

impl<const BYTES: usize> View<BYTES> {
    /// Checks that a search reaches every row, and passes on the rows that are live at this moment.
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

    /// Returns weak references to the segments.
    pub(crate) fn stored(&self) -> Vec<Weak<dyn Stored>> {
        let weak = |segment: &Arc<Segment<BYTES>>| {
            let weak: Weak<Segment<BYTES>> = Arc::downgrade(segment);
            weak as Weak<dyn Stored>
        };
        self.segments.iter().map(weak).collect()
    }

    /// Returns the memory ranges of the tails.
    pub(crate) fn tail_memory(&self) -> Vec<Range<usize>> {
        let sealed = self.sealed.iter().flat_map(|(tail, _)| tail.memory());
        sealed.chain(self.active.memory()).collect()
    }
}

/// The visibility of rows at a moment: one for each search.
pub(crate) struct Sight<'a, 'c> {
    removals: u64,
    tally: &'a Tally<'c>,
    /// The removals after the moment that were read so far: their rows are still live at the moment.
    later: RefCell<Later<'a>>,
}

struct Later<'a> {
    page: &'a LogPage,
    looked_at: u64,
    rows: HashSet<Removal>,
}

impl<'a, 'c> Sight<'a, 'c> {
    /// Creates the visibility for one search. Each removal that the search has to read counts as a hit in
    /// `tally`, because there may be many just after a large bank was removed.
    pub(crate) fn new<const BYTES: usize>(
        view: &'a View<BYTES>,
        moment: Moment,
        tally: &'a Tally<'c>,
    ) -> Self {
        let later = Later { page: &view.log, looked_at: moment.removals, rows: HashSet::new() };
        Self { removals: moment.removals, tally, later: RefCell::new(later) }
    }

    /// Checks whether the row was live at that moment. The result is meaningless once the tally is stopped.
    #[inline]
    pub(crate) fn shows(&self, source: SourceId, dead: &DeadRows, row: u32) -> bool {
        !dead.contains(row as usize) || self.died_later(Removal { source, row })
    }

    /// Checks whether the row died after the moment. A search reads each removal once, however many dead rows
    /// it finds.
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
