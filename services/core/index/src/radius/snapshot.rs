//! The readers' side of a radius index: a view at one moment, and its searches.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Weak};

use vigie_model::Distance;

use super::asked::{Asked, copies_of, number};
use crate::changes::moment::Moment;
use crate::changes::view::{Sight, View};
use crate::question::audit::{AuditError, Pace};
use crate::question::cancel::{Cancellation, Cancelled, Checkpoint};
use crate::question::entry::{Entry, Hit};
use crate::question::filter::BankFilter;
use crate::rows::stored::Stored;
use crate::rows::tail::TailScratch;
use crate::search::nearest::Nearest;
use crate::search::permutation::Permutation;
use crate::search::pipeline::Scratch;
use crate::search::verify;

/// The largest radius at which the nearest hashes are searched before every row is compared.
const RADIUS_TRIED_MAX: u32 = 64;

/// Up to this number of rows, the nearest are found by comparing every row.
const SCANNED_ROWS: usize = 16_384;

/// The number of rows that a scan compares between two updates of the distance within which a row is still
/// useful.
const ROWS_PER_LOOK: usize = 4_096;

/// A [`RadiusIndex`](crate::RadiusIndex) as it was at one moment: later edits are not visible.
///
/// A snapshot is cheap to take. It keeps the data of that moment in memory until it is dropped, and its
/// searches have to read the removals since that moment.
pub struct RadiusSnapshot<const BYTES: usize> {
    view: Arc<View<BYTES>>,
    moment: Moment,
    permutation: Arc<Permutation<BYTES>>,
}

thread_local! {
    /// The buffers of searches, kept for the next search of the same thread.
    static BUFFERS: RefCell<(Scratch, TailScratch)> = RefCell::new((Scratch::new(), TailScratch::default()));
}

impl<const BYTES: usize> RadiusSnapshot<BYTES> {
    /// Takes a snapshot of the view as it is now.
    pub(super) fn of(view: Arc<View<BYTES>>, permutation: Arc<Permutation<BYTES>>) -> Self {
        let moment = view.moment.read();
        Self { view, moment, permutation }
    }

    /// Returns every hash within `radius` of each query, in the order of [`Hit`]: one answer for each query,
    /// all as of the same moment. A radius above the length of a hash in bits finds everything.
    ///
    /// The queries of a batch are searched together, so that one query's work fills the time of another one's
    /// memory accesses. The number of hits is not limited here: a bank may hold one hash a million times.
    /// Sorting the hits cannot be cancelled.
    ///
    /// Whatever the data, a search takes at most about twice as long as comparing every hash. Hashes that
    /// agree in many bits overfill buckets, and the search then compares every hash instead.
    pub fn search(
        &self,
        queries: &[[u8; BYTES]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        let mut answers = vec![Vec::new(); queries.len()];
        self.each(queries, radius, filter, cancel, |query, hit| answers[query].push(hit))?;
        for hits in &mut answers {
            hits.sort_unstable();
        }
        Ok(answers)
    }

    /// Passes on each hit within `radius` as it is found, with the number of its query, in no particular
    /// order: for callers that keep only some hits. After a failure, the hits that were passed on must be
    /// discarded.
    pub fn each(
        &self,
        queries: &[[u8; BYTES]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
        mut take: impl FnMut(usize, Hit),
    ) -> Result<(), Cancelled> {
        self.each_of(queries.iter(), radius, filter, cancel, |query, hit| {
            take(query, hit);
            true
        })
    }

    /// Searches like [`Self::each`], for queries that are not adjacent in memory. The search of a query ends
    /// when `take` returns false for it.
    pub(crate) fn each_of<'a>(
        &self,
        queries: impl Iterator<Item = &'a [u8; BYTES]>,
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: impl FnMut(usize, Hit) -> bool,
    ) -> Result<(), Cancelled> {
        let mut checkpoint = Checkpoint::begin(cancel)?;
        self.each_within(&self.permuted(queries), radius.0, filter, &mut checkpoint, take)
    }

    /// Returns the `k` hashes nearest to each query, or all if the index holds fewer, in the order of
    /// [`Hit`]: one answer for each query, all as of the same moment.
    ///
    /// Among hits at the same distance, those with the smallest items are returned. Meant for `k` of 1 to
    /// 1,000. Searches with a growing radius until there are `k` hits. For queries without `k` neighbours
    /// within a quarter of the bits, it compares every hash.
    pub fn nearest(
        &self,
        queries: &[[u8; BYTES]],
        k: usize,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Hit>>, Cancelled> {
        let mut checkpoint = Checkpoint::begin(cancel)?;
        let stored = self.permuted(queries.iter());
        let mut answers = vec![Vec::new(); queries.len()];
        let mut pending: Vec<usize> = (0..queries.len()).collect();
        let rows = self.rows();
        // Each step allows one more differing bit in each chunk of 16 bits.
        let steps = (1..=4).map(|flips| flips * u32::try_from(BYTES).expect("at most 64") / 2 - 1);
        for radius in steps.filter(|&radius| radius <= RADIUS_TRIED_MAX) {
            if rows <= SCANNED_ROWS.max(k) || pending.is_empty() {
                break;
            }
            let asked: Vec<[u8; BYTES]> = pending.iter().map(|&query| stored[query]).collect();
            let mut found: Vec<Nearest> = asked.iter().map(|_| Nearest::new(k)).collect();
            self.each_within(&asked, radius, filter, &mut checkpoint, |at, hit| {
                found[at].offer(hit);
                true
            })?;
            let mut found = found.into_iter();
            pending.retain(|&query| {
                let nearest = found.next().expect("one for each query that was asked");
                let is_full = nearest.is_full();
                if is_full {
                    answers[query] = nearest.into_hits();
                }
                !is_full
            });
        }
        for query in pending {
            answers[query] = self.nearest_of_all(&stored[query], k, filter, &mut checkpoint)?;
        }
        Ok(answers)
    }

    /// Finds the nearest hashes by comparing every hash.
    fn nearest_of_all(
        &self,
        query: &[u8; BYTES],
        k: usize,
        filter: &BankFilter,
        checkpoint: &mut Checkpoint<'_>,
    ) -> Result<Vec<Hit>, Cancelled> {
        let nearest = RefCell::new(Nearest::new(k));
        let tally = checkpoint.tally();
        let sight = Sight::new(&self.view, self.moment, &tally);
        let asked = Asked { sight, filter, tally: &tally, done: &[] };
        let reach = || nearest.borrow().reach();
        for segment in &self.view.segments {
            let hashes = segment.hashes();
            for first in (0..hashes.len()).step_by(ROWS_PER_LOOK) {
                let Some(radius) = reach() else { break };
                let rows = &hashes[first..hashes.len().min(first + ROWS_PER_LOOK)];
                verify::scan(rows, &[*query], radius, checkpoint, &mut |_, row, distance| {
                    for copy in copies_of(rows, row) {
                        let row = number(first) + copy;
                        asked.offer(segment, row, distance, |hit| nearest.borrow_mut().offer(hit));
                    }
                })?;
            }
        }
        for (tail, rows) in self.view.tails_at(self.moment) {
            tail.scan(rows, query, |_| reach(), checkpoint, &mut |row, distance| {
                asked.offer_of_tail(tail, row, distance, |hit| nearest.borrow_mut().offer(hit));
            })?;
        }
        tally.end()?;
        Ok(nearest.into_inner().into_hits())
    }

    /// Passes on every hit within `radius` of each query, in any order, until `take` returns false for the
    /// query.
    fn each_within(
        &self,
        queries: &[[u8; BYTES]],
        radius: u32,
        filter: &BankFilter,
        checkpoint: &mut Checkpoint<'_>,
        mut take: impl FnMut(usize, Hit) -> bool,
    ) -> Result<(), Cancelled> {
        let tally = checkpoint.tally();
        let done = vec![Cell::new(false); queries.len()];
        let sight = Sight::new(&self.view, self.moment, &tally);
        let asked = Asked { sight, filter, tally: &tally, done: &done };
        let mut take = |query: usize, hit| {
            if !take(query, hit) {
                done[query].set(true);
            }
        };
        BUFFERS.with_borrow_mut(|(scratch, tail_scratch)| {
            for segment in &self.view.segments {
                asked.search(segment, queries, radius, checkpoint, scratch, &mut take)?;
            }
            for (tail, rows) in self.view.tails_at(self.moment) {
                tail.search(rows, queries, radius, checkpoint, tail_scratch, &mut |query, row, distance| {
                    if !asked.is_done(query) {
                        asked.offer_of_tail(tail, row, distance, |hit| take(query, hit));
                    }
                })?;
            }
            tally.end()
        })
    }

    /// Checks that searches reach every hash: see [`HashSnapshot::audit`](crate::HashSnapshot::audit).
    pub(crate) fn audit(
        &self,
        pace: &mut Pace<'_>,
        take: &mut dyn FnMut(&[u8; BYTES], Entry),
    ) -> Result<(), AuditError> {
        let inverse = self.permutation.inverse();
        self.view.audit(self.moment, pace, &mut |hash, entry| {
            take(&inverse.of(hash), entry);
            Ok(())
        })
    }

    pub(crate) fn stored(&self) -> Vec<Weak<dyn Stored>> {
        self.view.stored()
    }

    pub(crate) fn tail_memory(&self) -> Vec<Range<usize>> {
        self.view.tail_memory()
    }

    fn rows(&self) -> usize {
        let in_segments: usize = self.view.segments.iter().map(|segment| segment.rows()).sum();
        in_segments + self.view.tails_at(self.moment).map(|(_, rows)| rows).sum::<usize>()
    }

    fn permuted<'a>(&self, queries: impl Iterator<Item = &'a [u8; BYTES]>) -> Vec<[u8; BYTES]> {
        queries.map(|query| self.permutation.apply(query)).collect()
    }
}

impl<const BYTES: usize> fmt::Debug for RadiusSnapshot<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RadiusSnapshot").field("bytes", &BYTES).finish_non_exhaustive()
    }
}
