//! The common engine of the indexes of bits and of numbers: a view for readers, a writer behind a lock, and
//! the thread that builds.
//!
//! The thread belongs to the index. It ends when the index is dropped, within the time of linking one node.
//! The thread runs one job at a time, so at most one segment exists twice during a build. It also drops
//! replaced segments, instead of the last search that read them, because freeing a graph of a million nodes
//! takes seconds.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use vigie_index::Cancellation;
use vigie_model::Recall;

use super::metric::Metric;
use super::rows::Rows;
use super::segment::Segment;
use super::view::View;
use super::writer::{Job, Writer};
use crate::config::HnswConfig;

/// The interval between checks whether searches still read replaced segments.
const RETIRED_CHECK: Duration = Duration::from_millis(200);

/// The interval between checks whether a clearing has finished.
const CLEARING_CHECK: Duration = Duration::from_millis(10);

/// The engine of an index: its shared state, including the lock of the writer.
pub(crate) struct Engine<M: Metric>(Arc<Shared<M>>);

struct Shared<M: Metric> {
    view: ArcSwap<View<M>>,
    writer: Mutex<Writer<M>>,
    /// Signals the builder that the list has grown, rows have died, or the index is dropped.
    changed: Condvar,
    /// Signals writers that the list has been built, or that the builder has ended.
    room: Condvar,
    recall: ArcSwapOption<Recall>,
    stop: Arc<AtomicBool>,
    builder_gone: AtomicBool,
    config: HnswConfig,
    width: usize,
}

impl<M: Metric> Engine<M> {
    /// Creates an empty index of vectors of `width` elements, and starts its builder.
    pub(crate) fn new(metric: M, width: usize, config: HnswConfig) -> Self {
        let faults = config.faults();
        assert!(faults.is_empty(), "the configuration of the index has faults: {}", faults.join("; "));
        let writer = Writer::new(metric, width, config);
        let shared = Arc::new(Shared {
            view: ArcSwap::from_pointee(writer.view()),
            writer: Mutex::new(writer),
            changed: Condvar::new(),
            room: Condvar::new(),
            recall: ArcSwapOption::empty(),
            stop: Arc::default(),
            builder_gone: AtomicBool::new(false),
            config,
            width,
        });
        let builder = Arc::clone(&shared);
        thread::Builder::new()
            .name("hnsw-builder".to_owned())
            .spawn(move || build_for(&builder))
            .expect("the system starts a thread");
        Self(shared)
    }

    pub(crate) fn view(&self) -> Arc<View<M>> {
        self.0.view.load_full()
    }

    pub(crate) fn recall(&self) -> Option<Recall> {
        self.0.recall.load().as_deref().copied()
    }

    /// Returns a reference by which a test sees whether the builder still runs after the index was dropped.
    #[cfg(test)]
    pub(crate) fn watch(&self) -> std::sync::Weak<impl Sized + use<M>> {
        Arc::downgrade(&self.0)
    }

    /// Edits and publishes before the next writer begins. Waits first if the list is full.
    pub(crate) fn write<T>(&self, edit: impl FnOnce(&mut Writer<M>) -> T) -> T {
        let Shared { view, changed, room, builder_gone, config, .. } = &*self.0;
        let is_full = |writer: &mut Writer<M>| {
            writer.list_rows() >= config.list_rows_max && !builder_gone.load(Relaxed)
        };
        let writer = room.wait_while(self.0.lock(), is_full);
        let mut writer = writer.expect(NO_PANIC);
        let outcome = edit(&mut writer);
        writer.publish(view);
        drop(writer);
        changed.notify_one();
        outcome
    }
}

impl<M: Metric> Engine<M> {
    /// Rebuilds everything that holds dead rows at the time of the call, until `stop` returns true.
    pub(crate) fn clear_dead(&self, stop: &dyn Fn() -> bool) {
        let Shared { view, changed, builder_gone, .. } = &*self.0;
        let mut writer = self.0.lock();
        let begun = writer.begin_clearing();
        writer.publish(view);
        drop(writer);
        changed.notify_one();
        while !stop() && !builder_gone.load(Relaxed) && !self.0.lock().is_cleared(begun) {
            thread::sleep(CLEARING_CHECK);
        }
        self.0.lock().end_clearing();
    }
}

impl<M: Metric> Drop for Engine<M> {
    fn drop(&mut self) {
        self.0.stop.store(true, Relaxed);
        // Not between the builder's check of the flag and its wait, so that the notification is not lost.
        drop(self.0.writer.lock());
        self.0.changed.notify_all();
    }
}

const NO_PANIC: &str = "no writer panics, unless the index overflows";

impl<M: Metric> Shared<M> {
    fn lock(&self) -> MutexGuard<'_, Writer<M>> {
        self.writer.lock().expect(NO_PANIC)
    }
}

/// Reports on drop that the builder has ended, even by a panic, so that writers do not wait for it.
struct Gone<'a, M: Metric>(&'a Shared<M>);

impl<M: Metric> Drop for Gone<'_, M> {
    fn drop(&mut self) {
        self.0.builder_gone.store(true, Relaxed);
        drop(self.0.writer.lock());
        self.0.room.notify_all();
    }
}

/// Runs build jobs until the index is dropped.
fn build_for<M: Metric>(shared: &Shared<M>) {
    let _gone = Gone(shared);
    let mut retired: Vec<Arc<Segment<M>>> = Vec::new();
    loop {
        let mut writer = shared.lock();
        let job = loop {
            if shared.stop.load(Relaxed) {
                return;
            }
            if let Some(job) = writer.plan() {
                break Some(job);
            }
            if retired.is_empty() {
                writer = shared.changed.wait(writer).expect(NO_PANIC);
            } else {
                let (woken, waited) = shared.changed.wait_timeout(writer, RETIRED_CHECK).expect(NO_PANIC);
                writer = woken;
                if waited.timed_out() {
                    break None;
                }
            }
        };
        drop(writer);
        retired.retain(|segment| Arc::strong_count(segment) > 1);
        let Some(job) = job else { continue };
        if !carry_out(&job, shared) {
            return;
        }
        retired.extend(job.into_segments());
        let cancel = Cancellation::never().with_flag(Arc::clone(&shared.stop));
        let recall = shared.view.load_full().recall(&cancel);
        if !shared.stop.load(Relaxed) {
            shared.recall.store(recall.map(Arc::new));
        }
    }
}

/// Builds and publishes a segment. Returns false if the index was dropped meanwhile.
fn carry_out<M: Metric>(job: &Job<M>, shared: &Shared<M>) -> bool {
    let (rows, origins) = Rows::merged(shared.width, &job.sources());
    let metric = &shared.view.load().metric.clone();
    let built = if rows.row_count() == 0 {
        None
    } else {
        match Segment::build(rows, metric, &shared.config, &shared.stop) {
            Some(built) => Some(built),
            None => return false,
        }
    };
    let mut writer = shared.lock();
    writer.install(job, built, &origins);
    writer.publish(&shared.view);
    drop(writer);
    shared.room.notify_all();
    true
}
