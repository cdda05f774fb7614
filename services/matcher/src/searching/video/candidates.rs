//! The candidates of a search: items with a frame that is near a frame of the query.

use std::collections::HashMap;

use vigie_index::{BankFilter, Cancellation, Cancelled, Entry};
use vigie_model::{BankId, Distance, DistinctFrames, ItemId};

use super::routes::{Left, Route, Routes, Weights};
use crate::shard::indexes::{IndexKey, Part, Snapshots};

/// A frame is common if more rows than this are near it in one index.
pub(super) const ROWS_MAX: usize = 10_000;

/// The frames that are searched in one pass over an index.
const FRAMES_AT_ONCE: usize = 16;

/// With more candidates than this, comparing them takes longer than searching more frames, which leaves fewer
/// candidates.
const MANY: usize = 512;

/// The indexes that are searched, and how.
#[derive(Clone, Copy)]
pub(super) struct Searched<'a> {
    pub(super) indexes: &'a Snapshots,
    pub(super) filter: &'a BankFilter,
    pub(super) radius: Distance,
    pub(super) cancel: &'a Cancellation,
}

/// The progress of one frame of the query in one index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Open,
    Searched,
    Common,
}

/// The information about an item that the indexes have given.
#[derive(Debug)]
struct Candidate {
    bank: BankId,
    /// The total weight of the frames that were searched in both indexes and are near a frame of the item.
    near: Weights,
    /// Whether a probe frame of the item is near a frame.
    is_probed: bool,
}

/// The items found so far, and the progress of each frame.
#[derive(Debug)]
pub(super) struct Candidates<'a> {
    items: HashMap<ItemId, Candidate>,
    probe: Vec<State>,
    rest: Vec<State>,
    /// The frames that were not searched in both indexes.
    left: Left<'a>,
}

/// A row that is near a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    frame: usize,
    item: ItemId,
    bank: BankId,
    part: Part,
}

impl<'a> Candidates<'a> {
    /// Searches as many frames as the routes need, beginning with those that are shown longest.
    pub(super) fn find(
        searched: Searched<'_>,
        asked: &'a DistinctFrames,
        routes: &Routes,
    ) -> Result<Self, Cancelled> {
        let mut candidates = Self {
            items: HashMap::new(),
            probe: vec![State::Open; asked.len()],
            rest: vec![State::Open; asked.len()],
            left: Left::all(asked),
        };
        let order = asked.longest_first();
        let mut open = &order[..];
        while routes.want_both(candidates.left.weights()) && !open.is_empty() {
            open = candidates.search_next(searched, asked, open, routes)?;
        }
        if routes.can_narrow() {
            while candidates.items.len() > MANY && !open.is_empty() {
                let (frames, later) = open.split_at(FRAMES_AT_ONCE.min(open.len()));
                candidates.search(searched, asked, frames, &[Part::Probe, Part::Rest])?;
                open = later;
            }
        }
        if routes.want_probes() {
            for frames in open.chunks(FRAMES_AT_ONCE) {
                candidates.search(searched, asked, frames, &[Part::Probe])?;
            }
        }
        Ok(candidates)
    }

    /// Searches the next frames, as many as would be enough if none of them were common. Returns the frames
    /// after them.
    fn search_next<'o>(
        &mut self,
        searched: Searched<'_>,
        asked: &DistinctFrames,
        open: &'o [usize],
        routes: &Routes,
    ) -> Result<&'o [usize], Cancelled> {
        let mut left = self.left.clone();
        let is_wanted = |at: &&usize| {
            let is_wanted = routes.want_both(left.weights());
            left.take(**at);
            is_wanted
        };
        let wanted = open.iter().take(FRAMES_AT_ONCE).take_while(is_wanted).count();
        let (frames, later) = open.split_at(wanted);
        self.search(searched, asked, frames, &[Part::Probe, Part::Rest])?;
        Ok(later)
    }

    /// Searches some frames in the indexes of some parts.
    fn search(
        &mut self,
        searched: Searched<'_>,
        asked: &DistinctFrames,
        frames: &[usize],
        parts: &[Part],
    ) -> Result<(), Cancelled> {
        let Searched { indexes, filter, radius, cancel } = searched;
        let hashes: Vec<&[u8]> = frames.iter().map(|at| &asked.hashes()[*at][..]).collect();
        let mut rows: Vec<Row> = Vec::new();
        for part in parts.iter().copied() {
            let mut counts = [0; FRAMES_AT_ONCE];
            if let Some(index) = indexes.get(IndexKey::frames(part)) {
                index.each_while(&hashes, radius, filter, cancel, &mut |at, hit| {
                    counts[at] += 1;
                    let Entry { item, bank } = hit.entry;
                    rows.push(Row { frame: frames[at], item, bank, part });
                    counts[at] <= ROWS_MAX
                })?;
            }
            let states = if part == Part::Probe { &mut self.probe } else { &mut self.rest };
            for (at, count) in frames.iter().zip(counts) {
                states[*at] = if count <= ROWS_MAX { State::Searched } else { State::Common };
            }
        }
        rows.sort_unstable();
        for of_item in rows.chunk_by(|one, other| (one.frame, one.item) == (other.frame, other.item)) {
            self.note(asked, of_item);
        }
        for at in frames {
            if self.is_searched(*at) {
                self.left.take(*at);
            }
        }
        Ok(())
    }

    /// Records the rows of one item that are near one frame. Rows of an index in which the frame is common
    /// are ignored.
    fn note(&mut self, asked: &DistinctFrames, rows: &[Row]) {
        let Row { frame, item, bank, .. } = rows[0];
        let has = |part, states: &[State]| {
            states[frame] == State::Searched && rows.iter().any(|row| row.part == part)
        };
        let (is_probed, is_rest) = (has(Part::Probe, &self.probe), has(Part::Rest, &self.rest));
        if !is_probed && !is_rest {
            return;
        }
        let is_searched = self.is_searched(frame);
        let fresh = || Candidate { bank, near: Weights::default(), is_probed: false };
        let candidate = self.items.entry(item).or_insert_with(fresh);
        candidate.is_probed |= is_probed;
        if is_searched {
            candidate.near.add(Weights::of(asked, frame));
        }
    }

    /// Returns whether a frame was searched in both indexes.
    fn is_searched(&self, at: usize) -> bool {
        self.probe[at] == State::Searched && self.rest[at] == State::Searched
    }

    /// Returns the items for which the rule of a route may hold, as far as the indexes show.
    pub(super) fn that_may_match(&self, routes: &Routes) -> impl Iterator<Item = Entry> {
        let left = self.left.weights();
        let may_match = move |candidate: &Candidate| {
            routes.iter().any(|route| match route {
                Route::Share { weight, least } => candidate.near.get(weight) + left.get(weight) >= least,
                Route::Probes => candidate.is_probed,
                Route::All => true,
            })
        };
        let items = self.items.iter().filter(move |(_, candidate)| may_match(candidate));
        items.map(|(item, candidate)| Entry { item: *item, bank: candidate.bank })
    }

    /// Returns the number of common frames because of which an item may have been missed.
    pub(super) fn common_frames(&self, routes: &Routes) -> u32 {
        let left = self.left.weights();
        let is_missed = |at: usize| {
            let is_common = |states: &[State]| states[at] == State::Common;
            routes.iter().any(|route| match route {
                Route::Share { weight, least } => {
                    left.get(weight) >= least && (is_common(&self.probe) || is_common(&self.rest))
                }
                Route::Probes => is_common(&self.probe),
                Route::All => is_common(&self.probe) || is_common(&self.rest),
            })
        };
        u32::try_from((0..self.probe.len()).filter(|at| is_missed(*at)).count()).unwrap_or(u32::MAX)
    }
}
