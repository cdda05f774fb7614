//! The writer's side of a store: edits, and the location of each live row.

use std::sync::Arc;

use vigie_model::{BankId, ItemId};

use super::layout::Layout;
use super::merge::Extent;
use super::moment::{Moment, MomentCell};
use super::view::View;
use crate::options::IndexOptions;
use crate::question::entry::{Edit, Entry};
use crate::rows::segment::Segment;
use crate::rows::tail::{Keys, TAIL_ROWS, Tail, TailBooks};
use crate::rows::tombstones::{LogEnd, Removal, SourceId};

/// A tail with at least this many rows is no longer filled if most of them are dead. Searches would otherwise
/// look at the rows of short-lived hashes again and again.
const WORN_ROWS: usize = TAIL_ROWS / 8;

/// The writer's side of a store.
pub(super) struct Writer<const BYTES: usize> {
    pub(super) layout: Layout,
    pub(super) options: IndexOptions,
    pub(super) segments: Vec<Arc<Segment<BYTES>>>,
    pub(super) sealed: Vec<BookedTail<BYTES>>,
    pub(super) active: BookedTail<BYTES>,
    pub(super) log: LogEnd,
    next_source: u32,
    /// Whether the sources or the log's page differ from those of the published view.
    pub(super) relisted: bool,
    /// Whether the merging thread may have something to do.
    pub(super) due: bool,
    /// The last fault of the disk.
    pub(super) fault: Option<String>,
}

pub(super) struct BookedTail<const BYTES: usize> {
    pub(super) tail: Arc<Tail<BYTES>>,
    pub(super) books: TailBooks<BYTES>,
}

/// The location of a live row.
#[derive(Clone, Copy)]
pub(super) enum Location {
    Active(usize),
    Sealed(usize, usize),
    Segment(usize, usize),
}

impl<const BYTES: usize> Writer<BYTES> {
    pub(super) fn new(layout: Layout, options: IndexOptions, segments: Vec<Arc<Segment<BYTES>>>) -> Self {
        let next_source = u32::try_from(segments.len()).expect("segments are few");
        let active = BookedTail::new(SourceId(next_source), &layout.keys);
        Self {
            layout,
            options,
            segments,
            sealed: Vec::new(),
            active,
            log: LogEnd::new(),
            next_source: next_source + 1,
            relisted: false,
            due: false,
            fault: None,
        }
    }

    pub(super) fn view(&self) -> Arc<View<BYTES>> {
        Arc::new(View {
            segments: self.segments.iter().map(Arc::clone).collect(),
            sealed: self.sealed.iter().map(|one| (Arc::clone(&one.tail), one.books.rows())).collect(),
            active: Arc::clone(&self.active.tail),
            log: Arc::clone(self.log.page()),
            moment: MomentCell::new(self.moment()),
        })
    }

    pub(super) fn moment(&self) -> Moment {
        Moment { removals: self.log.position(), rows: self.active.books.rows() }
    }

    pub(super) fn live(&self) -> usize {
        let tails = self.sealed.iter().chain([&self.active]);
        let in_tails: usize = tails.map(|one| one.books.live()).sum();
        in_tails + self.segments.iter().map(|segment| segment.live()).sum::<usize>()
    }

    pub(super) fn edit(&mut self, edit: &Edit<BYTES>) -> bool {
        match edit {
            Edit::Insert(hash, entry) => self.insert(hash, *entry),
            Edit::Remove(hash, item) => self.remove(hash, *item),
        }
    }

    fn insert(&mut self, hash: &[u8; BYTES], entry: Entry) -> bool {
        let known = self.find(hash, entry.item);
        if let Some(place) = known {
            if self.bank(place) == entry.bank {
                return false;
            }
            self.end(place);
        }
        if self.active.books.is_full() {
            self.seal();
        }
        self.active.books.append(&self.active.tail, hash, entry);
        known.is_none()
    }

    fn remove(&mut self, hash: &[u8; BYTES], item: ItemId) -> bool {
        let found = self.find(hash, item);
        if let Some(place) = found {
            self.end(place);
        }
        found.is_some()
    }

    pub(super) fn remove_bank(&mut self, bank: BankId) -> usize {
        let live_before = self.live();
        for at in 0..self.segments.len() {
            let segment = Arc::clone(&self.segments[at]);
            if segment.shape().banks.binary_search(&bank).is_ok() {
                let rows = (0..segment.rows()).filter(|&row| segment.bank(row) == bank);
                for row in rows.filter(|&row| !segment.dead.contains(row)) {
                    self.end(Location::Segment(at, row));
                }
            }
        }
        let sealed = (0..self.sealed.len()).map(Some);
        for at in sealed.chain([None]) {
            let one = at.map_or(&self.active, |at| &self.sealed[at]);
            let (tail, rows) = (Arc::clone(&one.tail), one.books.rows());
            for row in (0..rows).filter(|&row| tail.bank(row) == bank && !tail.dead.contains(row)) {
                self.end(at.map_or(Location::Active(row), |at| Location::Sealed(at, row)));
            }
        }
        live_before - self.live()
    }

    /// Returns the location of the live row of this pair.
    pub(super) fn find(&self, hash: &[u8; BYTES], item: ItemId) -> Option<Location> {
        if let Some(row) = self.active.find(hash, item) {
            return Some(Location::Active(row));
        }
        let mut sealed = self.sealed.iter().enumerate();
        if let Some(place) =
            sealed.find_map(|(at, one)| one.find(hash, item).map(|row| Location::Sealed(at, row)))
        {
            return Some(place);
        }
        let in_segment = |(at, segment): (usize, &Arc<Segment<BYTES>>)| {
            let row = segment.find(hash, item).filter(|&row| !segment.dead.contains(row))?;
            Some(Location::Segment(at, row))
        };
        self.segments.iter().enumerate().find_map(in_segment)
    }

    fn bank(&self, place: Location) -> BankId {
        match place {
            Location::Active(row) => self.active.tail.bank(row),
            Location::Sealed(at, row) => self.sealed[at].tail.bank(row),
            Location::Segment(at, row) => self.segments[at].bank(row),
        }
    }

    /// Marks the live row at this location dead.
    pub(super) fn end(&mut self, place: Location) {
        let (source, dead, row) = match place {
            Location::Segment(at, row) => (self.segments[at].id, &self.segments[at].dead, row),
            Location::Active(row) | Location::Sealed(_, row) => {
                let one = match place {
                    Location::Sealed(at, _) => &mut self.sealed[at],
                    Location::Active(_) | Location::Segment(..) => &mut self.active,
                };
                one.books.forget(&one.tail, row);
                (one.tail.id, &one.tail.dead, row)
            }
        };
        let number = u32::try_from(row).expect("a source has fewer than 2^32 rows");
        self.relisted |= self.log.push(Removal { source, row: number });
        assert!(dead.insert(row), "a row dies once");
        if let Location::Segment(at, _) = place {
            self.due |= Extent::of(&self.segments[at]).is_sparse();
        }
    }

    /// Ends the filling of the active tail, if the tail holds any row.
    pub(super) fn seal(&mut self) {
        if self.active.books.rows() > 0 {
            let fresh = BookedTail::new(self.new_source(), &self.layout.keys);
            self.sealed.push(std::mem::replace(&mut self.active, fresh));
            self.relisted = true;
            self.due = true;
        }
    }

    pub(super) fn new_source(&mut self) -> SourceId {
        let source = SourceId(self.next_source);
        self.next_source = self.next_source.checked_add(1).expect("fewer than 2^32 segments in a life");
        source
    }
}

impl<const BYTES: usize> BookedTail<BYTES> {
    fn new(id: SourceId, keys: &Keys) -> Self {
        Self { tail: Arc::new(Tail::new(id, keys.clone())), books: TailBooks::new() }
    }

    /// Checks whether most of the tail's rows are dead, so that its live rows should become a segment.
    pub(super) fn is_worn(&self) -> bool {
        let rows = self.books.rows();
        rows >= WORN_ROWS && self.books.live() * 2 < rows
    }

    fn find(&self, hash: &[u8; BYTES], item: ItemId) -> Option<usize> {
        self.books.find(&self.tail, hash, item)
    }
}
