//! The writer's side: edits, the list, and the build jobs.
//!
//! There is one writer at a time, by a mutex. A batch of edits collects its insertions in order. When the
//! batch is published, they become an immutable run of the list. A run at least as long as the previous one
//! is merged with it, so a row is copied about log2(n) times and the list has about as many runs.
//!
//! **Builds.** Once the list has `list_rows_build` rows, it is passed to the builder, which makes one graph
//! of it and of the segments that are no longer than what the job already has. A row therefore moves into a
//! new graph only if that is at least twice as large as its old one, and there are at most log2(n) segments.
//! During a build the list is searched as before and a new one begins. A segment is rebuilt when more than a
//! fifth of it is dead. Rows that die during a build are stamped in the new segment before it is published.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use vigie_model::{BankId, ItemId};

use super::metric::{Element, Metric};
use super::rows::{Origin, Rows};
use super::segment::Segment;
use super::view::View;
use crate::config::HnswConfig;
use vigie_index::Entry;

/// A segment is rebuilt once one of this many rows is dead.
const DEAD_SHARE: usize = 5;

/// The number of dead rows that a list may have, in addition to as many as its live ones, before it is
/// rewritten.
const LIST_DEAD_MIN: usize = 1_024;

/// A vector and an item, ordered by both.
struct Pair<E> {
    vector: Box<[E]>,
    item: ItemId,
}

impl<E: Element> Ord for Pair<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        E::order(&self.vector, &other.vector).then(self.item.cmp(&other.item))
    }
}

impl<E: Element> PartialOrd for Pair<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E: Element> PartialEq for Pair<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<E: Element> Eq for Pair<E> {}

/// The writer's state besides the view.
pub(crate) struct Writer<M: Metric> {
    metric: M,
    width: usize,
    config: HnswConfig,
    /// The insertions of this batch.
    pending: BTreeMap<Pair<M::Element>, BankId>,
    /// The list, the longest run first.
    open: Vec<Arc<Rows<M::Element>>>,
    /// The part of the list of which a graph is being built.
    frozen: Vec<Arc<Rows<M::Element>>>,
    /// The segments, the largest first.
    segments: Vec<Arc<Segment<M>>>,
    /// The number of the last published removal.
    removals: u64,
    /// Whether rows were ended since the last publication; they have the number after `removals`.
    ended: bool,
    live: usize,
    /// Whether every segment with a dead row is to be rebuilt.
    clearing: bool,
}

/// A job that builds one segment.
pub(crate) struct Job<M: Metric> {
    list: Vec<Arc<Rows<M::Element>>>,
    segments: Vec<Arc<Segment<M>>>,
}

impl<M: Metric> Job<M> {
    pub(crate) fn sources(&self) -> Vec<&Rows<M::Element>> {
        let of_segments = self.segments.iter().map(|segment| &segment.rows);
        of_segments.chain(self.list.iter().map(|rows| &**rows)).collect()
    }

    /// Returns the segments that the new one replaces.
    pub(crate) fn into_segments(self) -> Vec<Arc<Segment<M>>> {
        self.segments
    }
}

impl<M: Metric> Writer<M> {
    pub(crate) fn new(metric: M, width: usize, config: HnswConfig) -> Self {
        Self {
            metric,
            width,
            config,
            pending: BTreeMap::new(),
            open: Vec::new(),
            frozen: Vec::new(),
            segments: Vec::new(),
            removals: 0,
            ended: false,
            live: 0,
            clearing: false,
        }
    }

    /// Plans to rebuild everything that holds a dead row, and rewrites the list. Returns the number of
    /// removals so far.
    pub(crate) fn begin_clearing(&mut self) -> u64 {
        self.clearing = true;
        if self.open.iter().any(|rows| rows.dead_count() > 0) {
            self.merge_last(self.open.len());
        }
        self.removals
    }

    /// Checks whether no row is left that was dead after this number of removals.
    pub(crate) fn is_cleared(&self, removals: u64) -> bool {
        (0..self.place_count()).all(|place| self.rows_at(place).all_live_at(removals))
    }

    /// Ends the clearing. Rows that died since it began are left for the next one.
    pub(crate) fn end_clearing(&mut self) {
        self.clearing = false;
    }

    /// Adds a pair, and returns whether it was new.
    pub(crate) fn insert(&mut self, vector: &[M::Element], entry: Entry) -> bool {
        let pair = Pair { vector: vector.into(), item: entry.item };
        if let Some(bank) = self.pending.get_mut(&pair) {
            *bank = entry.bank;
            return false;
        }
        let known = self.find(vector, entry.item);
        if let Some((place, row)) = known {
            if self.rows_at(place).entry(row).bank == entry.bank {
                return false;
            }
            self.end(place, row);
        }
        self.pending.insert(pair, entry.bank);
        self.live += 1;
        known.is_none()
    }

    /// Removes a pair, and returns whether it was there.
    pub(crate) fn remove(&mut self, vector: &[M::Element], item: ItemId) -> bool {
        if self.pending.remove(&Pair { vector: vector.into(), item }).is_some() {
            self.live -= 1;
            return true;
        }
        let found = self.find(vector, item);
        if let Some((place, row)) = found {
            self.end(place, row);
        }
        found.is_some()
    }

    /// Removes every pair of a bank, and returns their number.
    pub(crate) fn remove_bank(&mut self, bank: BankId) -> usize {
        let live_before = self.live;
        let pending_before = self.pending.len();
        self.pending.retain(|_, pending| *pending != bank);
        self.live -= pending_before - self.pending.len();
        for place in 0..self.place_count() {
            for row in 0..self.rows_at(place).row_count() {
                let rows = self.rows_at(place);
                if rows.entry(row).bank == bank && rows.lives_at(row, u64::MAX) {
                    self.end(place, row);
                }
            }
        }
        live_before - self.live
    }

    /// Makes everything since the last publication visible at once.
    pub(crate) fn publish(&mut self, view: &ArcSwap<View<M>>) {
        if !self.pending.is_empty() {
            let mut run = Rows::empty(self.width);
            for (Pair { vector, item }, bank) in std::mem::take(&mut self.pending) {
                run.push(&vector, Entry { item, bank });
            }
            self.open.push(Arc::new(run));
        }
        self.tidy_list();
        self.removals += u64::from(std::mem::take(&mut self.ended));
        view.store(Arc::new(self.view()));
    }

    pub(crate) fn view(&self) -> View<M> {
        View {
            metric: self.metric.clone(),
            config: self.config,
            list: self.frozen.iter().chain(&self.open).cloned().collect(),
            segments: self.segments.iter().cloned().collect(),
            removals: self.removals,
            live: self.live,
        }
    }

    /// Returns the number of live rows that are not in a graph yet.
    pub(crate) fn list_rows(&self) -> usize {
        self.frozen.iter().chain(&self.open).map(|rows| rows.live_count()).sum()
    }

    /// Returns the next build job. It takes the rows of the list, and there is no other job until it is
    /// installed.
    pub(crate) fn plan(&mut self) -> Option<Job<M>> {
        let mut rows: usize = self.open.iter().map(|rows| rows.live_count()).sum();
        if rows >= self.config.list_rows_build {
            let list = std::mem::take(&mut self.open);
            self.frozen.clone_from(&list);
            let mut segments = Vec::new();
            for segment in self.segments.iter().rev() {
                if segment.rows.live_count() > rows {
                    break;
                }
                rows += segment.rows.live_count();
                segments.push(Arc::clone(segment));
            }
            return Some(Job { list, segments });
        }
        let dying = |segment: &&Arc<Segment<M>>| {
            let dead = segment.rows.dead_count();
            dead * DEAD_SHARE > segment.rows.row_count() || self.clearing && dead > 0
        };
        let segment = self.segments.iter().find(dying)?;
        Some(Job { list: Vec::new(), segments: vec![Arc::clone(segment)] })
    }

    /// Replaces the sources of a job by the segment that was built.
    pub(crate) fn install(&mut self, job: &Job<M>, built: Option<Segment<M>>, origins: &[Origin]) {
        self.frozen.clear();
        self.segments.retain(|segment| !job.segments.iter().any(|old| Arc::ptr_eq(old, segment)));
        if let Some(segment) = built {
            segment.rows.repeat_removals(&job.sources(), origins);
            self.segments.push(Arc::new(segment));
        }
        self.segments.sort_by_key(|segment| std::cmp::Reverse(segment.rows.live_count()));
    }

    fn tidy_list(&mut self) {
        let (mut living, mut dead) = (0, 0);
        for rows in &self.open {
            living += rows.live_count();
            dead += rows.dead_count();
        }
        if dead > living + LIST_DEAD_MIN {
            self.merge_last(self.open.len());
        }
        while let [.., one, other] = &*self.open
            && one.row_count() <= other.row_count()
        {
            self.merge_last(2);
        }
    }

    fn merge_last(&mut self, count: usize) {
        let last = self.open.split_off(self.open.len() - count);
        let sources: Vec<_> = last.iter().map(|rows| &**rows).collect();
        let (merged, _) = Rows::merged(self.width, &sources);
        if merged.row_count() > 0 {
            self.open.push(Arc::new(merged));
        }
    }

    /// Returns the number of runs and segments, which are numbered together.
    fn place_count(&self) -> usize {
        self.open.len() + self.frozen.len() + self.segments.len()
    }

    fn rows_at(&self, place: usize) -> &Rows<M::Element> {
        let lists = self.open.len() + self.frozen.len();
        match place.checked_sub(lists) {
            Some(segment) => &self.segments[segment].rows,
            None => self.open.get(place).unwrap_or_else(|| &self.frozen[place - self.open.len()]),
        }
    }

    /// Returns the live row of a published pair.
    fn find(&self, vector: &[M::Element], item: ItemId) -> Option<(usize, usize)> {
        (0..self.place_count()).find_map(|place| {
            let rows = self.rows_at(place);
            let row = rows.find(vector, item)?;
            rows.lives_at(row, u64::MAX).then_some((place, row))
        })
    }

    fn end(&mut self, place: usize, row: usize) {
        self.rows_at(place).end(row, self.removals + 1);
        self.live -= 1;
        self.ended = true;
    }
}
