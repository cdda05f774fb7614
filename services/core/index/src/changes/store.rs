//! The store beneath the searches of an index: edits, publication, background merges, checkpoints.
//!
//! A store handles rows, not distances; [`crate::RadiusIndex`] and [`crate::EqualityIndex`] search the
//! sources that its views hold. One writer at a time (a mutex ensures this) edits and publishes a [`View`]
//! before the next writer begins. Readers take no lock.
//!
//! A thread of the store turns full tails into segments and merges segments. The thread starts with the first
//! full tail and ends with the store. Writers wait for it only while [`SEALED_MAX`] full tails are waiting.
//! Edits go on while a merge reads its sources. Rows that were removed from the sources in that time are
//! removed from the new segment under the writer's lock, just before it replaces the sources.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

use vigie_model::BankId;

use super::layout::Layout;
use super::merger::{NO_PANIC, QUIET_ROWS, RETRY_PAUSE, Shared, give_way};
use super::view::View;
use super::writer::Writer;
use crate::options::{Footprint, IndexOptions, SegmentFootprint};
use crate::question::entry::{Edit, Entry};
use crate::rows::home::{Home, OpenError, Saved};
use crate::rows::saved::SavedFile;
use crate::rows::segment::{self, ROWS_AT_ONCE, Segment};
use crate::rows::segment_file::{SegmentError, SegmentFile};
use crate::rows::tombstones::SourceId;

/// The number of full tails that may wait for the merging thread, 20 MiB each for 256-bit hashes. At this
/// number, edits wait.
const SEALED_MAX: usize = 4;

/// The message after a fault of the index itself or of memory, after which the index refuses all writes.
const BROKEN: &str = "the index failed while it was changed";

/// The rows of an index: its writer, its published view, its folder and its merging thread.
pub(crate) struct Store<const BYTES: usize> {
    shared: Arc<Shared<BYTES>>,
    merger: OnceLock<JoinHandle<()>>,
}

impl<const BYTES: usize> Store<BYTES> {
    /// Creates an empty store that keeps its segments in memory.
    pub(crate) fn in_memory(layout: Layout, options: IndexOptions) -> Self {
        Self::new(layout, options, Home::Memory, Vec::new())
    }

    /// Opens the store that was saved in the folder with this tag, and takes ownership of the folder. Without
    /// a tag, opens the checkpoint that was saved last, or an empty store if there is none. Also returns the
    /// tag of the checkpoint.
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
                return Err(segment
                    .file()
                    .contradiction("its hashes are permuted, padded or digested otherwise")
                    .into());
            }
            opened.push(Arc::new(segment));
        }
        Ok((Self::new(layout, options, home, opened), tag))
    }

    /// Creates an empty store in this folder and takes ownership of the folder. Deletes any index that the
    /// folder holds.
    pub(crate) fn begin(layout: Layout, options: IndexOptions, directory: &Path) -> Result<Self, OpenError> {
        Ok(Self::new(layout, options, Home::begin(directory)?, Vec::new()))
    }

    fn new(layout: Layout, options: IndexOptions, home: Home, segments: Vec<Arc<Segment<BYTES>>>) -> Self {
        let shared = Shared::new(layout, options, home, segments);
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

    /// Adds many rows at once, as segments of their own that `threads` threads build. A row is a pair of a
    /// stored hash and its entry, in any order; of equal pairs, the one with the greatest bank is kept.
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
            let Layout { seed, distance, compact, .. } = shared.layout;
            let shape = segment::shape_of_rows(rows, seed, distance, compact);
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

    /// Merges everything into one segment, or into as few as the size limit allows.
    pub(crate) fn merge(&self) -> Result<(), SegmentError> {
        // The merge runs on its own thread, as in the background, so that searches have priority.
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
            let job = shared.lock().job_of_sealed();
            let Some(job) = job else { break };
            shared.perform(&job)?;
        }
        let job = shared.lock().job_of_segments();
        job.map_or(Ok(()), |job| shared.perform(&job))
    }

    /// Rewrites every segment that holds dead rows at the time of the call, one after the other, until `stop`
    /// returns true. Old files that a checkpoint names are deleted with that checkpoint.
    pub(crate) fn clear_dead(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<(), SegmentError> {
        thread::scope(|scope| {
            let clearing = scope.spawn(|| {
                give_way();
                self.clear_dead_here(stop)
            });
            clearing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn clear_dead_here(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<(), SegmentError> {
        let shared = &*self.shared;
        let segments = shared.lock().with_dead_rows();
        for segment in segments.into_iter().take_while(|_| !stop()) {
            let _merging = shared.lock_merging();
            // A merge may have replaced the segment meanwhile.
            let job = shared.lock().job_of_segment(segment);
            job.map_or(Ok(()), |job| shared.perform(&job))?;
        }
        Ok(())
    }

    /// Writes a checkpoint of the current state with `tag`, so that [`Self::open`] finds it, and returns the
    /// files of the checkpoint. The call waits for a merge that is running. Edits wait for the call; searches
    /// do not.
    pub(crate) fn save(&self, tag: &[u8]) -> Result<Vec<SavedFile>, SegmentError> {
        let shared = &*self.shared;
        let _merging = shared.lock_merging();
        let mut writer = shared.lock();
        writer.seal();
        while let Some(job) = writer.job_of_sealed() {
            let file = shared.build(&job)?;
            writer.install(&job, file, &shared.home)?;
        }
        shared.publish(&mut writer);
        let segments = writer.segments.iter().map(|segment| (segment.file(), &segment.dead));
        shared.home.save(&segments.collect::<Vec<_>>(), tag)
    }

    /// Gives up the checkpoints that are older than that of the tag.
    pub(crate) fn forget_before(&self, tag: &[u8]) {
        self.shared.home.forget_before(tag);
    }

    pub(crate) fn footprint(&self) -> Footprint {
        let (writer, is_broken) = self.shared.lock_even_broken();
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
            fault: if is_broken { Some(BROKEN.to_owned()) } else { writer.fault.clone() },
        }
    }
}

impl<const BYTES: usize> Drop for Store<BYTES> {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        if let Some(merger) = self.merger.take() {
            // The thread holds this lock between its check of `closing` and its wait, so the notification
            // cannot be lost.
            drop(self.shared.lock_even_broken());
            self.shared.work.notify_one();
            // The panic hook has already reported a panic of that thread.
            let _reported = merger.join();
        }
    }
}
