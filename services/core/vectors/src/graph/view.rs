//! The index at one moment, in the form that searches read.

use std::sync::Arc;

use super::answer::{Answer, Found, Wanted};
use super::metric::{Element as _, Metric};
use super::rows::{Rows, index};
use super::segment::{Asked, Segment, scan};
use crate::config::HnswConfig;
use vigie_index::{AuditError, BankFilter, Cancellation, Cancelled, Checkpoint, Entry, Pace};

/// The manner of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The search uses graphs, if these are faster.
    Graphs,
    /// The search only scans, which misses nothing.
    Scan,
}

/// A callback for a vector and its live rows.
pub(crate) type TakeNode<'a, E> = &'a mut dyn FnMut(&[E], &mut dyn Iterator<Item = Entry>);

/// The number of nodes that an audit reads between two calls of its pace.
const NODES_AT_ONCE: usize = 4_096;

/// A view of the index. Every write replaces it as a whole. Neither it nor its rows change, except for stamps
/// with numbers above its own.
pub(crate) struct View<M: Metric> {
    pub(crate) metric: M,
    pub(crate) config: HnswConfig,
    /// The rows that are not in a graph yet.
    pub(crate) list: Box<[Arc<Rows<M::Element>>]>,
    pub(crate) segments: Box<[Arc<Segment<M>>]>,
    /// The number of removals so far.
    pub(crate) removals: u64,
    /// The number of live rows.
    pub(crate) live: usize,
}

impl<M: Metric> View<M> {
    /// Returns the rows that each query asks for, the best first.
    pub(crate) fn search<'a>(
        &self,
        queries: impl IntoIterator<Item = &'a [M::Element]>,
        wanted: Wanted,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Vec<Found>>, Cancelled> {
        let mut checkpoint = Checkpoint::begin(cancel)?;
        let one = |query| self.look(query, wanted, Manner::Graphs, filter, &mut checkpoint);
        queries.into_iter().map(one).collect()
    }

    /// Returns the rows that one query asks for, the best first.
    pub(crate) fn search_one(
        &self,
        query: &[M::Element],
        wanted: Wanted,
        manner: Manner,
        filter: &BankFilter,
        cancel: &Cancellation,
    ) -> Result<Vec<Found>, Cancelled> {
        self.look(query, wanted, manner, filter, &mut Checkpoint::begin(cancel)?)
    }

    fn look(
        &self,
        query: &[M::Element],
        wanted: Wanted,
        manner: Manner,
        filter: &BankFilter,
        checkpoint: &mut Checkpoint<'_>,
    ) -> Result<Vec<Found>, Cancelled> {
        let scan_rows_per_ef = match manner {
            Manner::Graphs => self.config.scan_rows_per_ef(size_of_val(query)),
            Manner::Scan => usize::MAX,
        };
        let (removals, ef_search) = (self.removals, self.config.ef_search);
        let asked = |rows| Asked { query, filter, removals, ef_search, scan_rows_per_ef, rows: index(rows) };
        let mut answer = Answer::new(wanted);
        if matches!(wanted, Wanted::Nearest(0) | Wanted::Near { most: 0, .. }) {
            return Ok(answer.into_sorted());
        }
        for (number, rows) in self.list.iter().enumerate() {
            scan(rows, &asked(number), &self.metric, &mut answer, checkpoint)?;
        }
        for (number, segment) in (self.list.len()..).zip(&self.segments) {
            segment.search(&asked(number), &self.metric, &mut answer, checkpoint)?;
        }
        Ok(answer.into_sorted())
    }

    /// Returns the vector of a row that this view has found.
    pub(crate) fn vector_of(&self, found: &Found) -> &[M::Element] {
        let number = found.place.rows as usize;
        let rows = match number.checked_sub(self.list.len()) {
            None => &self.list[number],
            Some(number) => &self.segments[number].rows,
        };
        rows.vector(found.place.node as usize)
    }

    /// Passes on every vector of this moment with its live rows, after checking that nodes are in order and
    /// lead to each row once. Each node counts as `node_bytes` bytes for the pace.
    ///
    /// Scans reach these rows. Which of them a graph reaches is measured as its recall, and not proven here.
    pub(crate) fn audit(
        &self,
        node_bytes: usize,
        pace: &mut Pace<'_>,
        take: TakeNode<'_, M::Element>,
    ) -> Result<(), AuditError> {
        let check = |holds, what| if holds { Ok(()) } else { Err(AuditError::Damaged(what)) };
        for rows in self.all_rows() {
            let mut reached = 0;
            for node in 0..rows.node_count() {
                let vector = rows.vector(node);
                let is_after = |before: usize| M::Element::order(rows.vector(before), vector).is_lt();
                check(node.checked_sub(1).is_none_or(is_after), "the nodes of a graph are not in order")?;
                let of_node = rows.rows_of(node);
                check(of_node.start == reached && of_node.end <= rows.row_count(), "a node has other rows")?;
                reached = of_node.end;
                let living = of_node.filter(|row| rows.lives_at(*row, self.removals));
                take(vector, &mut living.map(|row| rows.entry(row)));
                if node % NODES_AT_ONCE == NODES_AT_ONCE - 1 && !pace(NODES_AT_ONCE * node_bytes) {
                    return Err(AuditError::Stopped);
                }
            }
            check(reached == rows.row_count(), "rows belong to no node")?;
        }
        Ok(())
    }

    /// Returns all rows, including dead ones.
    pub(crate) fn all_rows(&self) -> impl Iterator<Item = &Rows<M::Element>> {
        let of_segments = self.segments.iter().map(|segment| &segment.rows);
        self.list.iter().map(|rows| &**rows).chain(of_segments)
    }
}
