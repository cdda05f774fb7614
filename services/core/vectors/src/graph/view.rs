//! The index at one moment, as searches read it.

use std::sync::Arc;

use super::answer::{Answer, Found, Wanted};
use super::metric::Metric;
use super::rows::Rows;
use super::segment::{Asked, Segment, scan};
use crate::config::HnswConfig;
use vigie_index::BankFilter;
use vigie_index::{Cancellation, Cancelled, Checkpoint};

/// Replaced as a whole by every write, and never changed: the rows that it speaks of do not either, but for stamps
/// with numbers above its own.
pub(crate) struct View<M: Metric> {
    pub(crate) metric: M,
    pub(crate) config: HnswConfig,
    /// Rows that are in no graph yet.
    pub(crate) list: Box<[Arc<Rows<M::Element>>]>,
    pub(crate) segments: Box<[Arc<Segment<M>>]>,
    /// How many removals have been made.
    pub(crate) removals: u64,
    /// Living rows.
    pub(crate) live: usize,
}

impl<M: Metric> View<M> {
    /// What is wanted of each query, the best first.
    pub(crate) fn search<'a>(
        &self,
        queries: impl IntoIterator<Item = &'a [M::Element]>,
        wanted: Wanted,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Found>>, Cancelled> {
        let mut checkpoint = Checkpoint::begin(cancel)?;
        let one =
            |query| self.search_one(query, wanted, filter, self.config.scan_rows_per_ef, &mut checkpoint);
        queries.into_iter().map(one).collect()
    }

    /// The same by scans alone.
    pub(crate) fn scan_one(
        &self,
        query: &[M::Element],
        wanted: Wanted,
        cancel: &Cancellation,
    ) -> Result<Vec<Found>, Cancelled> {
        let mut checkpoint = Checkpoint::begin(cancel)?;
        self.search_one(query, wanted, &BankFilter::all(), usize::MAX, &mut checkpoint)
    }

    fn search_one(
        &self,
        query: &[M::Element],
        wanted: Wanted,
        filter: &BankFilter,
        scan_rows_per_ef: usize,
        checkpoint: &mut Checkpoint<'_>,
    ) -> Result<Vec<Found>, Cancelled> {
        let asked = Asked {
            query,
            filter,
            removals: self.removals,
            ef_search: self.config.ef_search,
            scan_rows_per_ef,
        };
        let mut answer = Answer::new(wanted);
        if matches!(wanted, Wanted::Nearest(0)) {
            return Ok(answer.into_sorted());
        }
        for rows in &self.list {
            scan(rows, &asked, &self.metric, &mut answer, checkpoint)?;
        }
        for segment in &self.segments {
            segment.search(&asked, &self.metric, &mut answer, checkpoint)?;
        }
        Ok(answer.into_sorted())
    }

    /// All rows, those that have died included.
    pub(crate) fn all_rows(&self) -> impl Iterator<Item = &Rows<M::Element>> {
        let of_segments = self.segments.iter().map(|segment| &segment.rows);
        self.list.iter().map(|rows| &**rows).chain(of_segments)
    }
}
