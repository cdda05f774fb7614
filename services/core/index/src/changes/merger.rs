//! The state that a store shares with its merging thread: the writer's lock, publication, and background
//! merges.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::job::Job;
use super::layout::Layout;
use super::merge::{self, Source};
use super::view::View;
use super::writer::Writer;
use crate::options::IndexOptions;
use crate::rows::home::Home;
use crate::rows::segment::{self, Segment};
use crate::rows::segment_file::{SegmentError, SegmentFile};
use crate::rows::tail::TAIL_ROWS;

/// A tail with at least this many rows becomes a segment, where searches are several times faster, after a
/// while without new rows. Otherwise a small index might never get a segment.
pub(super) const QUIET_ROWS: usize = TAIL_ROWS / 32;
/// The time without new rows after which such a tail becomes a segment; it may take twice as long.
const QUIET: Duration = Duration::from_secs(1);

/// The pause after a failed merge before the next attempt.
pub(super) const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The `nice` value of merging threads: a tenth of the weight of a search. Merges then go on even if searches
/// use all processors. With the lowest priority they would starve, and writers with them.
#[cfg(target_os = "linux")]
const MERGE_PRIORITY: i32 = 10;

/// The longest time that a merge waits for searches that still read the replaced sources, in milliseconds.
const READERS_WAIT_MS_MAX: u32 = 100;

pub(super) const NO_PANIC: &str = "no writer panics, unless the index overflows";

/// The state shared with the merging thread.
pub(super) struct Shared<const BYTES: usize> {
    pub(super) layout: Layout,
    pub(super) options: IndexOptions,
    pub(super) home: Home,
    pub(super) view: ArcSwap<View<BYTES>>,
    pub(super) live: AtomicUsize,
    writer: Mutex<Writer<BYTES>>,
    /// Signals that there may be something to merge. Used with the lock of `writer`.
    pub(super) work: Condvar,
    /// Signals that a full tail became a segment, or that the merging thread ended. Used with the lock of
    /// `writer`.
    pub(super) room: Condvar,
    /// Held during a merge, so that there is one at a time. Locked before `writer`.
    merging: Mutex<()>,
    pub(super) closing: AtomicBool,
}

impl<const BYTES: usize> Shared<BYTES> {
    /// Creates the state of a store with these segments.
    pub(super) fn new(
        layout: Layout,
        options: IndexOptions,
        home: Home,
        segments: Vec<Arc<Segment<BYTES>>>,
    ) -> Self {
        let writer = Writer::new(layout.clone(), options, segments);
        let view = ArcSwap::new(writer.view());
        let live = AtomicUsize::new(writer.live());
        Self {
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
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Writer<BYTES>> {
        self.writer.lock().expect(NO_PANIC)
    }

    /// Locks the writer for callers that must not panic. Also returns whether a thread panicked while it held
    /// the lock.
    pub(super) fn lock_even_broken(&self) -> (MutexGuard<'_, Writer<BYTES>>, bool) {
        match self.writer.lock() {
            Ok(writer) => (writer, false),
            Err(poisoned) => (poisoned.into_inner(), true),
        }
    }

    pub(super) fn lock_merging(&self) -> MutexGuard<'_, ()> {
        self.merging.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Makes all changes since the last publication visible at once.
    pub(super) fn publish(&self, writer: &mut Writer<BYTES>) {
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

    pub(super) fn spawn_merger(shared: Arc<Self>) -> JoinHandle<()> {
        let run = move || {
            give_way();
            while let Some(merging) = shared.wait_for_work() {
                let next = shared.lock().next_job();
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

    /// Waits until there is something to merge and returns the merging lock; `None` when the store is
    /// dropped.
    fn wait_for_work(&self) -> Option<MutexGuard<'_, ()>> {
        let is_idle = |writer: &mut Writer<BYTES>| !self.closing.load(Ordering::Relaxed) && !writer.has_job();
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

    /// Records the fault and waits: the disk may be full. The sources stay in use, and the merge is tried
    /// again.
    fn pause_after(&self, error: &SegmentError) {
        let mut writer = self.lock();
        writer.fault = Some(error.to_string());
        let is_open = |_: &mut Writer<BYTES>| !self.closing.load(Ordering::Relaxed);
        drop(self.work.wait_timeout_while(writer, RETRY_PAUSE, is_open).expect(NO_PANIC));
    }

    pub(super) fn perform(&self, job: &Job<BYTES>) -> Result<(), SegmentError> {
        let file = self.build(job)?;
        let mut writer = self.lock();
        writer.install(job, file, &self.home)?;
        self.publish(&mut writer);
        drop(writer);
        self.room.notify_all();
        outlive_readers(job);
        Ok(())
    }

    /// Builds the segment of a job. `None` if no live row is left.
    pub(super) fn build(&self, job: &Job<BYTES>) -> Result<Option<SegmentFile>, SegmentError> {
        if job.shape.rows == 0 {
            return Ok(None);
        }
        let stop = || self.closing.load(Ordering::Relaxed);
        let threads = self.options.merge_threads;
        let rows = vec![(0, merge::merged(&job.sources))];
        segment::write(&self.home, &job.shape, rows, threads, &stop).map(Some)
    }
}

/// Lowers the priority of this thread, and of threads that it starts from now on, so that searches get the
/// larger share of a processor that both need.
pub(super) fn give_way() {
    #[cfg(target_os = "linux")]
    {
        // Without a process id, Linux changes the calling thread. If it refuses, merges and searches have
        // equal priority.
        let _refused = rustix::process::setpriority_process(None, MERGE_PRIORITY);
    }
}

/// Waits a limited time until no search reads the sources any more, so that no search has to free them:
/// returning a gigabyte to the system takes some milliseconds.
fn outlive_readers<const BYTES: usize>(job: &Job<BYTES>) {
    for _ in 0..READERS_WAIT_MS_MAX {
        if job.sources.iter().all(Source::is_alone) {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
}
