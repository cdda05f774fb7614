//! The rows of a view that a search may return.

use std::cell::Cell;

use vigie_model::Distance;

use crate::changes::view::Sight;
use crate::question::cancel::{Cancelled, Checkpoint, Tally};
use crate::question::entry::{Entry, Hit};
use crate::question::filter::BankFilter;
use crate::rows::segment::{Segment, run_length};
use crate::rows::tail::Tail;
use crate::search::pipeline::Scratch;
use crate::search::verify;

/// The conditions under which a search may return a row.
pub(super) struct Asked<'a, 'c> {
    pub(super) sight: Sight<'a, 'c>,
    pub(super) filter: &'a BankFilter,
    pub(super) tally: &'a Tally<'c>,
    /// For each query, whether the caller wants no more hits; empty if the caller always wants all of them.
    pub(super) done: &'a [Cell<bool>],
}

impl Asked<'_, '_> {
    /// Passes on the hits of one segment.
    pub(super) fn search<const BYTES: usize>(
        &self,
        segment: &Segment<BYTES>,
        queries: &[[u8; BYTES]],
        radius: u32,
        checkpoint: &mut Checkpoint<'_>,
        scratch: &mut Scratch,
        take: &mut impl FnMut(usize, Hit),
    ) -> Result<(), Cancelled> {
        if radius == 0 {
            for (query, hash) in queries.iter().enumerate() {
                let rows = segment.lookup(hash);
                checkpoint.spend(1)?;
                for row in rows {
                    if self.is_done(query) {
                        break;
                    }
                    self.offer(segment, number(row), 0, |hit| take(query, hit));
                    self.tally.end()?;
                }
            }
            return Ok(());
        }
        let hashes = segment.hashes();
        let mut found = |query, row, distance| {
            if self.is_done(query) {
                return;
            }
            for row in copies_of(hashes, row) {
                self.offer(segment, row, distance, |hit| take(query, hit));
                if self.tally.end().is_err() || self.is_done(query) {
                    break;
                }
            }
        };
        match segment.tables() {
            Some(tables) => tables.search(queries, radius, checkpoint, scratch, &mut found),
            None => verify::scan(hashes, queries, radius, checkpoint, &mut found),
        }
    }

    /// Checks whether the caller wants no more hits of a query.
    #[inline]
    pub(super) fn is_done(&self, query: usize) -> bool {
        self.done.get(query).is_some_and(Cell::get)
    }

    #[inline]
    pub(super) fn offer<const BYTES: usize>(
        &self,
        segment: &Segment<BYTES>,
        row: u32,
        distance: u32,
        take: impl FnOnce(Hit),
    ) {
        let bank = segment.bank(row as usize);
        if self.tally.goes_on()
            && self.filter.contains(bank)
            && self.sight.shows(segment.id, &segment.dead, row)
        {
            take(hit(Entry { item: segment.item(row as usize), bank }, distance));
        }
    }

    #[inline]
    pub(super) fn offer_of_tail<const BYTES: usize>(
        &self,
        tail: &Tail<BYTES>,
        row: u32,
        distance: u32,
        take: impl FnOnce(Hit),
    ) {
        let bank = tail.bank(row as usize);
        if self.tally.goes_on() && self.filter.contains(bank) && self.sight.shows(tail.id, &tail.dead, row) {
            take(hit(Entry { item: tail.item(row as usize), bank }, distance));
        }
    }
}

/// Returns the rows with the same hash as this row, which must be the first of them.
#[inline]
pub(super) fn copies_of<const BYTES: usize>(hashes: &[[u8; BYTES]], row: u32) -> std::ops::Range<u32> {
    let rows = &hashes[row as usize..];
    row..row + rows.first().map_or(0, |hash| number(run_length(rows, hash)))
}

#[inline]
fn hit(entry: Entry, distance: u32) -> Hit {
    Hit { entry, distance: Distance(distance) }
}

#[inline]
pub(super) fn number(row: usize) -> u32 {
    u32::try_from(row).expect("a segment has fewer than 2^32 rows")
}
