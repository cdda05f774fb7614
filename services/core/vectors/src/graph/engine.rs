//! What the indexes of bits and of numbers have in common: a view for readers, a writer behind a lock, and the
//! thread that builds.
//!
//! The thread belongs to the index: it ends when the index is dropped, within the time of linking one node. It
//! takes one job at a time, so that what exists twice for the time of a build is one segment at most. Segments
//! that were replaced are dropped there and not by the last search that read them: a graph of a million nodes
//! takes seconds to free.

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

/// How often replaced segments are looked at, whether somebody still reads them.
const RETIRED_CHECK: Duration = Duration::from_millis(200);

/// How often a clearing looks whether it has come to its end.
const CLEARING_CHECK: Duration = Duration::from_millis(10);

/// See the module.
pub(crate) struct Engine<M: Metric>(Arc<Shared<M>>);

struct Shared<M: Metric> {
    view: ArcSwap<View<M>>,
    writer: Mutex<Writer<M>>,
    /// The list has grown, rows have died, or the index is dropped: the builder looks what to do.
    changed: Condvar,
    /// The list has been built, or there is no builder any more: writers go on.
    room: Condvar,
    recall: ArcSwapOption<Recall>,
    stop: Arc<AtomicBool>,
    builder_gone: AtomicBool,
    config: HnswConfig,
    width: usize,
}

impl<M: Metric> Engine<M> {
    /// An empty index of vectors of `width` elements, and its builder.
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

    /// Whether the builder still runs, once the index is gone.
    #[cfg(test)]
    pub(crate) fn watch(&self) -> std::sync::Weak<impl Sized + use<M>> {
        Arc::downgrade(&self.0)
    }

    /// Edits, publishes, and only then lets the next writer in. Waits before if the list is full.
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
    /// Builds everything anew that holds rows which are dead now, until `stop` says otherwise.
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
        // Not between the builder's look at the flag and its wait.
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

/// Says that there is no builder any more, even if it panicked: writers must not wait for it then.
struct Gone<'a, M: Metric>(&'a Shared<M>);

impl<M: Metric> Drop for Gone<'_, M> {
    fn drop(&mut self) {
        self.0.builder_gone.store(true, Relaxed);
        drop(self.0.writer.lock());
        self.0.room.notify_all();
    }
}

/// Builds what there is to build until the index is dropped.
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

/// Builds and shows a segment; false if the index was dropped meanwhile.
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
