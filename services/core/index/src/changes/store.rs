//! The life of an index beneath its searches: edits, publication, merging in the background, checkpoints.
//!
//! A store knows rows, not distances; [`crate::RadiusIndex`] and [`crate::EqualityIndex`] search what its
//! views hold. One writer at a time edits (a mutex sees to that), publishes a [`View`], and only then lets
//! the next one in. Readers take no lock.
//!
//! Full tails are made into segments, and segments merged, by a thread that the store owns; it begins with
//! the first full tail and ends with the store. Writers wait for it only when [`SEALED_MAX`] full tails stand
//! before it. While a merge reads its sources, edits go on; what was removed from the sources meanwhile is
//! removed from the new segment under the writer's lock, just before that takes their place.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;
use vigie_model::{BankId, ItemId};

use crate::changes::merge::{self, Extent, Source};
use crate::changes::moment::{Moment, MomentCell};
use crate::changes::view::View;
use crate::options::{Footprint, IndexOptions, SegmentFootprint};
use crate::question::entry::{Edit, Entry};
use crate::rows::home::{Home, OpenError, Saved, SavedFile};
use crate::rows::segment::{self, ROWS_AT_ONCE, Segment, Shape};
use crate::rows::segment_file::{SegmentError, SegmentFile};
use crate::rows::tail::{Keys, TAIL_ROWS, Tail, TailBooks};
use crate::rows::tombstones::{LogEnd, LogPage, Removal, SourceId};

/// Full tails that may wait for the merging thread, 20 MiB each for 256-bit hashes. One more edit waits with
/// them.
const SEALED_MAX: usize = 4;

/// A tail of which most is dead is no longer filled from so many rows on: hashes that come and go would
/// otherwise be looked at again and again.
const WORN_ROWS: usize = TAIL_ROWS / 8;

/// A tail of so many rows becomes a segment, in which they are found some times quicker, when nothing was added to it
/// for a while: a small index may never fill one.
const QUIET_ROWS: usize = TAIL_ROWS / 32;
/// For so long, twice at most.
const QUIET: Duration = Duration::from_secs(1);

/// What is alike in all segments and tails of an index.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) keys: Keys,
    /// The seed of the permutation that rows are stored under.
    pub(crate) seed: u64,
    /// The distance that tables are made for; `None` for an index that needs none.
    pub(crate) distance: Option<u32>,
}

/// See the module.
pub(crate) struct Store<const BYTES: usize> {
    shared: Arc<Shared<BYTES>>,
    merger: OnceLock<JoinHandle<()>>,
}

/// What the merging thread shares.
struct Shared<const BYTES: usize> {
    layout: Layout,
    options: IndexOptions,
    home: Home,
    view: ArcSwap<View<BYTES>>,
    live: AtomicUsize,
    writer: Mutex<Writer<BYTES>>,
    /// There may be something to merge. Goes with `writer`.
    work: Condvar,
    /// A full tail became a segment, or the merging thread is gone. Goes with `writer`.
    room: Condvar,
    /// Held by whoever merges: one at a time. Taken before `writer`.
    merging: Mutex<()>,
    closing: AtomicBool,
}

/// The writing side.
struct Writer<const BYTES: usize> {
    keys: Keys,
    segments: Vec<Arc<Segment<BYTES>>>,
    sealed: Vec<BookedTail<BYTES>>,
    active: BookedTail<BYTES>,
    log: LogEnd,
    next_source: u32,
    /// The sources or the log's page are no longer the view's.
    relisted: bool,
    /// The merging thread may have something to do.
    due: bool,
    /// What last went wrong with the disk.
    fault: Option<String>,
}

struct BookedTail<const BYTES: usize> {
    tail: Arc<Tail<BYTES>>,
    books: TailBooks<BYTES>,
}

/// Where a living row stands.
#[derive(Clone, Copy)]
enum Place {
    Active(usize),
    Sealed(usize, usize),
    Segment(usize, usize),
}

/// A merge that is to be made.
struct Job<const BYTES: usize> {
    sources: Vec<Source<BYTES>>,
    shape: Shape,
    /// Where the log stood when the sources were looked at.
    log: Arc<LogPage>,
    since: u64,
}

impl<const BYTES: usize> Store<BYTES> {
    /// An empty store that keeps its segments in memory.
    pub(crate) fn in_memory(layout: Layout, options: IndexOptions) -> Self {
        Self::new(layout, options, Home::Memory, Vec::new())
    }

    /// The store that was saved with this tag in the folder, which it then owns. Without a tag, the one that was
    /// last saved; an empty one if there is none. Also what was saved with it.
    pub(crate) fn open(
        layout: Layout,
        options: IndexOptions,
        directory: &Path,
        tag: Option<&[u8]>,
    ) -> Result<(Self, Option<Vec<u8>>), OpenError> {
        let (home, saved) = Home::open(directory, tag)?;
        let Saved { segments, tag } = saved;
        let mut opened = Vec::new();
        for (source, (file, dead)) in (0..).zip(segments) {
            let segment = Segment::open(SourceId(source), file, Some(dead))?;
            if segment.shape().seed != layout.seed {
                return Err(segment.file().contradiction("its hashes stand there in another form").into());
            }
            opened.push(Arc::new(segment));
        }
        Ok((Self::new(layout, options, home, opened), tag))
    }

    /// An empty store in this folder, which it then owns; whatever index was there is discarded.
    pub(crate) fn begin(layout: Layout, options: IndexOptions, directory: &Path) -> Result<Self, OpenError> {
        Ok(Self::new(layout, options, Home::begin(directory)?, Vec::new()))
    }

    fn new(layout: Layout, options: IndexOptions, home: Home, segments: Vec<Arc<Segment<BYTES>>>) -> Self {
        let writer = Writer::new(layout.keys.clone(), segments);
        let view = ArcSwap::new(writer.view());
        let live = AtomicUsize::new(writer.live());
        let shared = Shared {
            layout,
            options,
            home,
            view,
            live,
            writer: Mutex::new(writer),
            work: Condvar::new(),
            room: Condvar::new(),
            merging: Mutex::new(()),
            closing: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared), merger: OnceLock::new() }
    }

    pub(crate) fn view(&self) -> Arc<View<BYTES>> {
        self.shared.view.load_full()
    }

    pub(crate) fn live(&self) -> usize {
        self.shared.live.load(Ordering::Acquire)
    }

    pub(crate) fn apply(&self, edits: impl Iterator<Item = Edit<BYTES>>) -> usize {
        self.write(|writer| edits.filter(|edit| writer.edit(edit)).count())
    }

    pub(crate) fn remove_bank(&self, bank: BankId) -> usize {
        self.write(|writer| writer.remove_bank(bank))
    }

    fn write<T>(&self, edit: impl FnOnce(&mut Writer<BYTES>) -> T) -> T {
        let shared = &*self.shared;
        let mut writer = shared.lock();
        while writer.sealed.len() >= SEALED_MAX {
            assert!(
                self.merger.get().is_some_and(|merger| !merger.is_finished()),
                "the merging thread panicked"
            );
            writer = shared.room.wait_timeout(writer, RETRY_PAUSE).expect(NO_PANIC).0;
        }
        let outcome = edit(&mut writer);
        shared.publish(&mut writer);
        let is_due = std::mem::take(&mut writer.due);
        if is_due || writer.active.books.rows() >= QUIET_ROWS {
            drop(writer);
            self.merger.get_or_init(|| Shared::spawn_merger(Arc::clone(&self.shared)));
        }
        if is_due {
            shared.work.notify_one();
        }
        outcome
    }

    /// Adds many rows at once, as segments of their own that `threads` threads build. Rows are pairs of a
    /// stored hash and its entry, in any order; of equal pairs the one with the greatest bank counts.
    pub(crate) fn load(
        &self,
        mut rows: Vec<([u8; BYTES], Entry)>,
        threads: usize,
    ) -> Result<(), SegmentError> {
        let shared = &*self.shared;
        segment::sort(&mut rows, threads);
        let _merging = shared.lock_merging();
        let stop = || shared.closing.load(Ordering::Relaxed);
        let build = |rows: &[([u8; BYTES], Entry)]| {
            let shape = segment::shape_of_rows(rows, shared.layout.seed, shared.layout.distance);
            let share = rows.len().div_ceil(threads).next_multiple_of(ROWS_AT_ONCE).max(1);
            let stretches = (0..).step_by(share).zip(rows.chunks(share).map(|part| part.iter().copied()));
            segment::write(&shared.home, &shape, stretches.collect(), threads, &stop)
        };
        let files: Vec<SegmentFile> =
            rows.chunks(shared.options.segment_rows_max).map(build).collect::<Result<_, _>>()?;
        let mut writer = shared.lock();
        if writer.live() > 0 {
            for (hash, entry) in &rows {
                if let Some(place) = writer.find(hash, entry.item) {
                    writer.end(place);
                }
            }
        }
        for file in files {
            let segment = Segment::open(writer.new_source(), file, None)?;
            writer.segments.push(Arc::new(segment));
            writer.relisted = true;
        }
        shared.publish(&mut writer);
        Ok(())
    }

    /// Makes one segment of everything, or as few as the greatest size allows.
    pub(crate) fn merge(&self) -> Result<(), SegmentError> {
        // On a thread of its own, as in the background: searches go before it.
        thread::scope(|scope| {
            let merging = scope.spawn(|| {
                give_way();
                self.merge_here()
            });
            merging.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn merge_here(&self) -> Result<(), SegmentError> {
        let shared = &*self.shared;
        let _merging = shared.lock_merging();
        let mut writer = shared.lock();
        writer.seal();
        shared.publish(&mut writer);
        drop(writer);
        loop {
            let job = shared.lock().job_of_sealed(shared);
            let Some(job) = job else { break };
            shared.perform(&job)?;
        }
        let job = shared.lock().job_of_segments(shared);
        job.map_or(Ok(()), |job| shared.perform(&job))
    }

    /// Writes down the store as it is now, so that [`Self::open`] finds it, together with `tag`, and answers the
    /// files that it consists of. Edits wait for that, and it waits for a merge that is being made; searches do
    /// not wait.
    pub(crate) fn save(&self, tag: &[u8]) -> Result<Vec<SavedFile>, SegmentError> {
        let shared = &*self.shared;
        let _merging = shared.lock_merging();
        let mut writer = shared.lock();
        writer.seal();
        while let Some(job) = writer.job_of_sealed(shared) {
            let file = shared.build(&job)?;
            writer.install(&job, file, &shared.home)?;
        }
        shared.publish(&mut writer);
        shared.home.save(&writer.segments, tag)
    }

    /// Gives up what was saved before the tag.
    pub(crate) fn forget_before(&self, tag: &[u8]) {
        self.shared.home.forget_before(tag);
    }

    pub(crate) fn footprint(&self) -> Footprint {
        let writer = self.shared.lock();
        let segment = |segment: &Arc<Segment<BYTES>>| SegmentFootprint {
            rows: segment.rows(),
            dead: segment.dead.count(),
            bytes: segment.bytes(),
        };
        let tails = || writer.sealed.iter().chain([&writer.active]);
        Footprint {
            segments: writer.segments.iter().map(segment).collect(),
            tails: tails().count(),
            tail_rows: tails().map(|one| one.books.rows()).sum(),
            tail_bytes: tails().map(|one| one.tail.bytes() + one.books.bytes()).sum(),
            fault: writer.fault.clone(),
        }
    }
}

impl<const BYTES: usize> Drop for Store<BYTES> {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        if let Some(merger) = self.merger.take() {
            // Between its look at `closing` and its wait the thread holds the lock.
            drop(self.shared.lock());
            self.shared.work.notify_one();
            // A panic there was told by the panic hook.
            let _told = merger.join();
        }
    }
}

/// After a merge failed, until it is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Of `nice`: a tenth of the weight of a search, so that merges go on even where searches take all there is.
/// With the least priority they would starve, and writers with them.
#[cfg(target_os = "linux")]
const MERGE_PRIORITY: i32 = 10;

/// How long a merge waits for searches that still read what it replaced.
const READERS_WAIT_MS_MAX: u32 = 100;

const NO_PANIC: &str = "no writer panics, unless the index overflows";

impl<const BYTES: usize> Shared<BYTES> {
    fn lock(&self) -> MutexGuard<'_, Writer<BYTES>> {
        self.writer.lock().expect(NO_PANIC)
    }

    fn lock_merging(&self) -> MutexGuard<'_, ()> {
        self.merging.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Makes everything since the last publication visible at once.
    fn publish(&self, writer: &mut Writer<BYTES>) {
        if writer.active.is_worn() {
            writer.seal();
        }
        if std::mem::take(&mut writer.relisted) {
            self.view.store(writer.view());
        } else {
            self.view.load().moment.publish(writer.moment());
        }
        self.live.store(writer.live(), Ordering::Release);
    }

    fn spawn_merger(shared: Arc<Self>) -> JoinHandle<()> {
        let run = move || {
            give_way();
            while let Some(merging) = shared.wait_for_work() {
                let next = shared.lock().next_job(&shared);
                let done = next.map_or(Ok(()), |job| shared.perform(&job));
                drop(merging);
                if let Err(error) = done {
                    shared.pause_after(&error);
                }
            }
        };
        thread::Builder::new()
            .name("vigie-index-merge".to_owned())
            .spawn(run)
            .expect("a thread can be started")
    }

    /// The right to merge, once there is something to; `None` when the store is dropped.
    fn wait_for_work(&self) -> Option<MutexGuard<'_, ()>> {
        let is_idle = |writer: &mut Writer<BYTES>| {
            !self.closing.load(Ordering::Relaxed) && !writer.has_job(&self.options)
        };
        let (mut writer, mut seen) = (self.lock(), None);
        loop {
            let waited = self.work.wait_timeout_while(writer, QUIET, is_idle).expect(NO_PANIC);
            writer = waited.0;
            if !waited.1.timed_out() {
                break;
            }
            let now = (writer.active.tail.id, writer.active.books.rows());
            if now.1 >= QUIET_ROWS && seen == Some(now) {
                writer.seal();
                self.publish(&mut writer);
            }
            seen = Some(now);
        }
        drop(writer);
        (!self.closing.load(Ordering::Relaxed)).then(|| self.lock_merging())
    }

    /// The disk may be full. The sources stay in use, and the merge is tried again.
    fn pause_after(&self, error: &SegmentError) {
        let mut writer = self.lock();
        writer.fault = Some(error.to_string());
        let is_open = |_: &mut Writer<BYTES>| !self.closing.load(Ordering::Relaxed);
        drop(self.work.wait_timeout_while(writer, RETRY_PAUSE, is_open).expect(NO_PANIC));
    }

    fn perform(&self, job: &Job<BYTES>) -> Result<(), SegmentError> {
        let file = self.build(job)?;
        let mut writer = self.lock();
        writer.install(job, file, &self.home)?;
        self.publish(&mut writer);
        drop(writer);
        self.room.notify_all();
        outlive_readers(job);
        Ok(())
    }

    /// `None` if nothing is left.
    fn build(&self, job: &Job<BYTES>) -> Result<Option<SegmentFile>, SegmentError> {
        if job.shape.rows == 0 {
            return Ok(None);
        }
        let stop = || self.closing.load(Ordering::Relaxed);
        let threads = self.options.merge_threads;
        let rows = vec![(0, merge::merged(&job.sources))];
        segment::write(&self.home, &job.shape, rows, threads, &stop).map(Some)
    }
}

impl<const BYTES: usize> Writer<BYTES> {
    fn new(keys: Keys, segments: Vec<Arc<Segment<BYTES>>>) -> Self {
        let next_source = u32::try_from(segments.len()).expect("segments are few");
        let active = BookedTail::new(SourceId(next_source), &keys);
        Self {
            keys,
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

    fn view(&self) -> Arc<View<BYTES>> {
        Arc::new(View {
            segments: self.segments.iter().map(Arc::clone).collect(),
            sealed: self.sealed.iter().map(|one| (Arc::clone(&one.tail), one.books.rows())).collect(),
            active: Arc::clone(&self.active.tail),
            log: Arc::clone(self.log.page()),
            moment: MomentCell::new(self.moment()),
        })
    }

    fn moment(&self) -> Moment {
        Moment { removals: self.log.position(), rows: self.active.books.rows() }
    }

    fn live(&self) -> usize {
        let tails = self.sealed.iter().chain([&self.active]);
        let in_tails: usize = tails.map(|one| one.books.live()).sum();
        in_tails + self.segments.iter().map(|segment| segment.live()).sum::<usize>()
    }

    fn edit(&mut self, edit: &Edit<BYTES>) -> bool {
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

    fn remove_bank(&mut self, bank: BankId) -> usize {
        let live_before = self.live();
        for at in 0..self.segments.len() {
            let segment = Arc::clone(&self.segments[at]);
            if segment.shape().banks.binary_search(&bank).is_ok() {
                let rows = (0..segment.rows()).filter(|&row| segment.bank(row) == bank);
                for row in rows.filter(|&row| !segment.dead.contains(row)) {
                    self.end(Place::Segment(at, row));
                }
            }
        }
        let sealed = (0..self.sealed.len()).map(Some);
        for at in sealed.chain([None]) {
            let one = at.map_or(&self.active, |at| &self.sealed[at]);
            let (tail, rows) = (Arc::clone(&one.tail), one.books.rows());
            for row in (0..rows).filter(|&row| tail.bank(row) == bank && !tail.dead.contains(row)) {
                self.end(at.map_or(Place::Active(row), |at| Place::Sealed(at, row)));
            }
        }
        live_before - self.live()
    }

    /// The living row of this pair.
    fn find(&self, hash: &[u8; BYTES], item: ItemId) -> Option<Place> {
        if let Some(row) = self.active.find(hash, item) {
            return Some(Place::Active(row));
        }
        let mut sealed = self.sealed.iter().enumerate();
        if let Some(place) =
            sealed.find_map(|(at, one)| one.find(hash, item).map(|row| Place::Sealed(at, row)))
        {
            return Some(place);
        }
        let in_segment = |(at, segment): (usize, &Arc<Segment<BYTES>>)| {
            let row = segment.find(hash, item).filter(|&row| !segment.dead.contains(row))?;
            Some(Place::Segment(at, row))
        };
        self.segments.iter().enumerate().find_map(in_segment)
    }

    fn bank(&self, place: Place) -> BankId {
        match place {
            Place::Active(row) => self.active.tail.bank(row),
            Place::Sealed(at, row) => self.sealed[at].tail.bank(row),
            Place::Segment(at, row) => self.segments[at].bank(row),
        }
    }

    /// Ends the living row in this place.
    fn end(&mut self, place: Place) {
        let (source, dead, row) = match place {
            Place::Segment(at, row) => (self.segments[at].id, &self.segments[at].dead, row),
            Place::Active(row) | Place::Sealed(_, row) => {
                let one = match place {
                    Place::Sealed(at, _) => &mut self.sealed[at],
                    Place::Active(_) | Place::Segment(..) => &mut self.active,
                };
                one.books.forget(&one.tail, row);
                (one.tail.id, &one.tail.dead, row)
            }
        };
        let number = u32::try_from(row).expect("a source has fewer than 2^32 rows");
        self.relisted |= self.log.push(Removal { source, row: number });
        assert!(dead.insert(row), "a row dies once");
        if let Place::Segment(at, _) = place {
            self.due |= extent_of(&self.segments[at]).is_sparse();
        }
    }

    /// Ends the filling of the active tail, if it holds anything.
    fn seal(&mut self) {
        if self.active.books.rows() > 0 {
            let fresh = BookedTail::new(self.new_source(), &self.keys);
            self.sealed.push(std::mem::replace(&mut self.active, fresh));
            self.relisted = true;
            self.due = true;
        }
    }

    fn new_source(&mut self) -> SourceId {
        let source = SourceId(self.next_source);
        self.next_source = self.next_source.checked_add(1).expect("fewer than 2^32 segments in a life");
        source
    }

    fn extents(&self) -> Vec<Extent> {
        self.segments.iter().map(|segment| extent_of(segment)).collect()
    }

    fn has_job(&self, options: &IndexOptions) -> bool {
        !self.sealed.is_empty() || !merge::next_merge(&self.extents(), options.segment_rows_max).is_empty()
    }

    fn next_job(&self, shared: &Shared<BYTES>) -> Option<Job<BYTES>> {
        self.job_of_sealed(shared).or_else(|| {
            let chosen = merge::next_merge(&self.extents(), shared.options.segment_rows_max);
            self.job(chosen.into_iter().map(|at| self.segment_source(at)).collect(), shared)
        })
    }

    /// Tails that are no longer filled, as many as the greatest size allows, but one at least.
    fn job_of_sealed(&self, shared: &Shared<BYTES>) -> Option<Job<BYTES>> {
        let mut total = 0;
        let chosen = self.sealed.iter().take_while(|one| {
            let is_first = total == 0;
            total += one.books.rows();
            is_first || total <= shared.options.segment_rows_max
        });
        let source = |one: &BookedTail<BYTES>| {
            let tail = Arc::clone(&one.tail);
            Source::Tail { dead: tail.dead.words(), rows: one.books.rows(), tail }
        };
        self.job(chosen.map(source).collect(), shared)
    }

    /// All segments, the greatest left out as long as the sum would be too large.
    fn job_of_segments(&self, shared: &Shared<BYTES>) -> Option<Job<BYTES>> {
        let mut order: Vec<usize> = (0..self.segments.len()).collect();
        order.sort_by_key(|&at| self.segments[at].live());
        let mut total = 0;
        order.retain(|&at| {
            total += self.segments[at].live();
            total <= shared.options.segment_rows_max
        });
        let is_done = matches!(order[..], [at] if self.segments[at].dead.count() == 0);
        if is_done {
            None
        } else {
            self.job(order.into_iter().map(|at| self.segment_source(at)).collect(), shared)
        }
    }

    fn segment_source(&self, at: usize) -> Source<BYTES> {
        let segment = Arc::clone(&self.segments[at]);
        Source::Segment { dead: segment.dead.words(), segment }
    }

    fn job(&self, sources: Vec<Source<BYTES>>, shared: &Shared<BYTES>) -> Option<Job<BYTES>> {
        if sources.is_empty() {
            return None;
        }
        let Layout { seed, distance, .. } = shared.layout;
        let shape = merge::shape_of(&sources, seed, distance);
        Some(Job { sources, shape, log: Arc::clone(self.log.page()), since: self.log.position() })
    }

    /// Puts what a job made in the place of its sources.
    fn install(
        &mut self,
        job: &Job<BYTES>,
        file: Option<SegmentFile>,
        home: &Home,
    ) -> Result<(), SegmentError> {
        if let Some(file) = file {
            let segment = Segment::open(self.new_source(), file, None)?;
            for removal in job.log.since(job.since) {
                if let Some(source) = job.sources.iter().find(|source| source.id() == removal.source) {
                    let (hash, item) = source.pair(removal.row as usize);
                    let row = segment.find(&hash, item).expect("what lived when the merge began was merged");
                    segment.dead.insert(row);
                }
            }
            self.segments.push(Arc::new(segment));
        }
        // The disk takes files again.
        self.fault = None;
        let is_merged = |id: SourceId| job.sources.iter().any(|source| source.id() == id);
        for segment in self.segments.extract_if(.., |segment| is_merged(segment.id)) {
            if let Err(error) = home.release(segment.file()) {
                self.fault = Some(error.to_string());
            }
        }
        self.sealed.retain(|one| !is_merged(one.tail.id));
        self.relisted = true;
        Ok(())
    }
}

impl<const BYTES: usize> BookedTail<BYTES> {
    fn new(id: SourceId, keys: &Keys) -> Self {
        Self { tail: Arc::new(Tail::new(id, keys.clone())), books: TailBooks::new() }
    }

    /// Whether most of it is dead, so that it is better made into a segment of what lives.
    fn is_worn(&self) -> bool {
        let rows = self.books.rows();
        rows >= WORN_ROWS && self.books.live() * 2 < rows
    }

    fn find(&self, hash: &[u8; BYTES], item: ItemId) -> Option<usize> {
        self.books.find(&self.tail, hash, item)
    }
}

/// Lets searches go first: what this thread does from here on, and threads that it begins, gets a small share of
/// a processor that is wanted by both.
fn give_way() {
    #[cfg(target_os = "linux")]
    {
        // Without a process Linux takes the calling thread. If it refuses, merges and searches share alike.
        let _refused = rustix::process::setpriority_process(None, MERGE_PRIORITY);
    }
}

/// Waits for a while until no search reads the sources any more, so that it is not one of them that has to free
/// them: giving a gigabyte back takes some milliseconds.
fn outlive_readers<const BYTES: usize>(job: &Job<BYTES>) {
    for _ in 0..READERS_WAIT_MS_MAX {
        if job.sources.iter().all(Source::is_alone) {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn extent_of<const BYTES: usize>(segment: &Segment<BYTES>) -> Extent {
    Extent { live: segment.live(), dead: segment.dead.count() }
}
