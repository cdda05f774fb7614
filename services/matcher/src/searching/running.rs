//! Chooses the thread on which a search runs, and ends the search in time.
//!
//! Most searches take some microseconds, less than passing them to another thread and back. So a search that
//! is expected to be short runs on the task that answers the call, for at most [`Runner::inline_max`]: other
//! calls of that thread wait no longer than this. If that is not enough, the search starts again on a thread
//! for long ones, to which the operating system prefers those of calls ([`aside`]). The number of those is
//! limited by permits, and further searches wait for one. The expected duration is learned from earlier
//! searches, in processor time: on an overloaded machine, elapsed time would include the time that a thread
//! waits for a processor.
//!
//! A costly search ([`Cost::slots`]) runs on its own thread with lower priority. Such searches have as many
//! permits of their own as there are threads, so they do not wait among the other searches.
//!
//! Always true: a search that waits for a thread does not start once its caller has gone or its deadline has
//! passed, and a running search stops soon after either. The delay is recorded: from the time when the search
//! should have ended until its work, including the release of its memory, is done.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};
use vigie_index::Cancellation;
use vigie_model::{Cost, HashType, HashTypeSet, Metric, Query, SearchOptions, hash_types};
use vigie_serving::aside;
use vigie_telemetry::trace;

use crate::error::SearchError;
use crate::metrics::MatcherMetrics;

/// Runs searches, on the caller's thread or on another one.
#[derive(Debug)]
pub(crate) struct Runner {
    /// A permit for each long search that runs.
    permits: Arc<Semaphore>,
    /// A permit for each costly search that runs.
    costly_permits: Arc<Semaphore>,
    /// The longest time that a search may use the thread of its call; zero for never.
    inline_max: Duration,
    pace: Pace,
    metrics: MatcherMetrics,
}

impl Runner {
    /// Returns a runner with at most `threads_max` long searches at once, and at most `inline_max` on the
    /// caller's thread.
    pub(crate) fn new(threads_max: usize, inline_max: Duration, metrics: MatcherMetrics) -> Self {
        let permits = || Arc::new(Semaphore::new(threads_max.min(Semaphore::MAX_PERMITS)));
        Self { permits: permits(), costly_permits: permits(), inline_max, pace: Pace::default(), metrics }
    }

    /// Runs `work` until the deadline, or until the returned future is dropped. `work` is called again if an
    /// earlier call ran out of the time for short searches.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        size: Size,
        deadline: tokio::time::Instant,
        work: impl Fn(&Cancellation) -> Result<T, SearchError> + Send + 'static,
    ) -> Result<T, SearchError> {
        // The remaining time is measured by the runtime's clock, which may differ from the system's.
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let begun = Instant::now();
        let deadline = begun + left;
        if !size.is_costly && !self.inline_max.is_zero() && self.pace.expected(size) <= self.inline_max {
            for _ in 0..INLINE_ATTEMPTS {
                let (attempted, computed) = (Instant::now(), thread_time());
                let until = Cancellation::at(deadline.min(attempted + self.inline_max));
                let outcome = self.metrics.run(|| caught(|| work(&until)));
                let (took, computed) = (begun.elapsed(), thread_time().saturating_sub(computed));
                let ran_out = matches!(outcome, Err(SearchError::OutOfTime)) && took < left;
                if !ran_out {
                    if outcome.is_ok() {
                        self.pace.learn(size, computed, self.inline_max);
                    }
                    self.metrics.observe_stop(took.checked_sub(left));
                    return outcome;
                }
                if computed > self.inline_max / 2 {
                    self.pace.learn(size, 2 * self.inline_max, self.inline_max);
                    break;
                }
                // The search hardly had a processor, so its duration means nothing.
            }
        }
        // This wait ends when the future is dropped. Nothing has started yet.
        let permits = if size.is_costly { &self.costly_permits } else { &self.permits };
        let permit = self.metrics.wait_for_thread(Arc::clone(permits).acquire_owned()).await;
        let waiting = Waiting::default();
        let gone = Arc::clone(&waiting.0);
        let metrics = self.metrics.clone();
        let context = trace::current();
        let running = begin(size.is_costly, move || {
            let _permit = permit;
            let cancel = Cancellation::at(deadline).with_flag(Arc::clone(&gone.flag));
            let computed = thread_time();
            let begins = || if cancel.is_cancelled() { Err(SearchError::OutOfTime) } else { work(&cancel) };
            let work = || metrics.run(|| caught(begins));
            // Log lines of the search belong to its trace.
            let outcome = match &context {
                Some(context) => context.enter(work),
                None => work(),
            };
            let computed = thread_time().saturating_sub(computed);
            let outcome = if gone.flag.load(Ordering::Relaxed) {
                // Nobody takes the outcome. Dropping it is work too, so it is dropped before the delay is
                // measured.
                drop(outcome);
                Err(SearchError::OutOfTime)
            } else {
                outcome
            };
            let should_end = gone.since().map_or(deadline, |gone| gone.min(deadline));
            metrics.observe_stop(Instant::now().checked_duration_since(should_end));
            (computed, outcome)
        });
        let (computed, outcome) = running.await.map_err(|_| SearchError::Failed)?;
        if outcome.is_ok() {
            self.pace.learn(size, computed, self.inline_max);
        }
        outcome
    }
}

/// Starts work on another thread. The receiver fails if no thread can be started, or if the work panics.
fn begin<T: Send + 'static>(
    is_costly: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> oneshot::Receiver<T> {
    let (done, ended) = oneshot::channel();
    let run = move |work: Box<dyn FnOnce() -> T + Send>| {
        // The receiver may be gone.
        let _ = done.send(work());
    };
    if is_costly {
        let named = std::thread::Builder::new().name("costly search".to_owned());
        let begun = named.spawn(move || {
            give_way();
            run(Box::new(work));
        });
        if let Err(error) = begun {
            tracing::error!(%error, "cannot start a thread for a costly search");
        }
    } else {
        aside::spawn_blocking(move || run(Box::new(work)));
    }
    ended
}

/// The niceness of a costly search. If a thread that answers calls and a costly search compete for a
/// processor, the first gets about nine tenths of it.
#[cfg(target_os = "linux")]
const GIVING_WAY: i32 = 10;

/// Lowers the priority of this thread below that of all others of the process.
fn give_way() {
    // On Linux this sets the priority of the thread, not of the process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, GIVING_WAY) {
        tracing::debug!(%error, "a costly search cannot give way to others");
    }
}

/// The number of attempts on the caller's thread, in case the thread loses its processor to others.
const INLINE_ATTEMPTS: u32 = 2;

/// Returns the processor time that this thread has used.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Runs `work`, and turns a panic into [`SearchError::Failed`], so that it ends only this search.
fn caught<T>(work: impl FnOnce() -> Result<T, SearchError>) -> Result<T, SearchError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        // The panic hook has logged the message.
        tracing::error!("a search failed");
        Err(SearchError::Failed)
    })
}

/// A caller that waits for a search on another thread. It is dropped when the result has arrived, or when the
/// caller has gone.
#[derive(Debug, Default)]
struct Waiting(Arc<Gone>);

/// Whether the caller has stopped waiting, and since when.
#[derive(Debug, Default)]
struct Gone {
    flag: Arc<AtomicBool>,
    at: Mutex<Option<Instant>>,
}

impl Gone {
    fn since(&self) -> Option<Instant> {
        *self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        *self.0.at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.0.flag.store(true, Ordering::Relaxed);
    }
}

/// The properties of a search from which its duration is estimated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    hashes: usize,
    class: usize,
    is_costly: bool,
}

/// The number of distances, in bits, that share a class.
const CLASS_BITS: usize = 8;
/// The number of classes: one for equality only, one for every eight bits of the distance (the last one also
/// for all farther distances), and one for vectors.
const CLASSES: usize = 11;
const VECTORS: usize = CLASSES - 1;

impl Size {
    /// Returns the size of a search for these queries.
    pub(crate) fn of(queries: &[Query], options: &SearchOptions, cost: Cost) -> Self {
        let is_compared =
            |hash_type: &HashType| hash_type.row().is_some_and(|row| row.metric != Metric::Equality);
        let compared = hash_types(queries).iter().filter(is_compared).collect::<HashTypeSet>();
        let bits = compared.iter().map(|hash_type| options.max_distances.get(hash_type).0 as usize).max();
        let has_vectors = compared.iter().any(|hash_type| hash_type.vector_class().is_some());
        let of_bits = bits.map_or(0, |bits| (1 + bits / CLASS_BITS).min(VECTORS - 1));
        Self {
            hashes: queries.iter().map(hashes_of).sum::<usize>().max(1),
            class: if has_vectors { VECTORS } else { of_bits },
            is_costly: cost.slots() > 1,
        }
    }

    /// Returns the size of a search that compares hashes with every hash of an index, which takes as long as
    /// a search for vectors.
    pub(crate) const fn scanning(self) -> Self {
        Self { class: VECTORS, is_costly: true, ..self }
    }
}

/// Returns the number of hashes of a query. A video counts as its frames.
fn hashes_of(query: &Query) -> usize {
    let videos = query.hashes.iter().filter(|one| one.hash.hash_type() == HashType::VPDQ).count();
    query.hashes.len() - videos + query.frames()
}

/// The recent time for one hash, in nanoseconds: a moving average for each class, 0 before the first search.
#[derive(Debug, Default)]
struct Pace([AtomicU64; CLASSES]);

impl Pace {
    fn expected(&self, size: Size) -> Duration {
        let each = self.0[size.class].load(Ordering::Relaxed);
        Duration::from_nanos(each.saturating_mul(size.hashes as u64))
    }

    /// Records the processor time of one search, limited to four times `inline_max`. So a few long searches
    /// among many short ones do not send all of them to the threads, where they would wait behind long ones.
    fn learn(&self, size: Size, computed: Duration, inline_max: Duration) {
        let computed = computed.min(4 * inline_max);
        let each = u64::try_from(computed.as_nanos()).unwrap_or(u64::MAX) / size.hashes as u64;
        let cell = &self.0[size.class];
        // Losing a sample in a race does no harm.
        let before = cell.load(Ordering::Relaxed);
        let after = if before == 0 { each } else { before - before / 8 + each / 8 };
        cell.store(after.max(1), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread::{self, ThreadId};

    use super::*;

    const SIZE: Size = Size { hashes: 8, class: 3, is_costly: false };

    fn deadline() -> tokio::time::Instant {
        tokio::time::Instant::now() + Duration::from_secs(20)
    }

    fn runner(inline_max: Duration) -> Runner {
        Runner::new(1, inline_max, MatcherMetrics::default())
    }

    /// Returns the thread on which work that takes no time runs.
    async fn where_short(runner: &Runner) -> ThreadId {
        runner.run(SIZE, deadline(), |_| Ok(thread::current().id())).await.unwrap()
    }

    /// Returns the thread on which work that is too long for the caller's thread ends, and how often it was
    /// started.
    async fn where_long(runner: &Runner) -> (ThreadId, usize) {
        let (own, begun) = (thread::current().id(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&begun);
        let work = move |cancel: &Cancellation| {
            counted.fetch_add(1, Ordering::Relaxed);
            while thread::current().id() == own {
                if cancel.is_cancelled() {
                    return Err(SearchError::OutOfTime);
                }
            }
            // The work computes instead of sleeping, because only processor time counts.
            let begins = thread_time();
            while thread_time() - begins < Duration::from_millis(5) {}
            Ok(thread::current().id())
        };
        let id = runner.run(SIZE, deadline(), work).await.unwrap();
        (id, begun.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn a_short_search_stays_where_it_is_and_a_long_one_begins_anew_elsewhere() {
        let (own, runner) = (thread::current().id(), runner(Duration::from_millis(1)));
        assert_eq!(where_short(&runner).await, own);
        let (elsewhere, begun) = where_long(&runner).await;
        assert_ne!(elsewhere, own);
        // The work starts twice on the caller's thread if the first attempt hardly had a processor.
        assert!((2..=3).contains(&begun), "{begun}");
        assert!(runner.metrics.stop_delays().is_empty(), "it was no search for nobody");
    }

    #[tokio::test]
    async fn where_searches_run_is_learned_from_those_before() {
        let (own, runner) = (thread::current().id(), runner(Duration::from_millis(1)));
        let mut begun = 2;
        for _ in 0..100 {
            begun = where_long(&runner).await.1;
        }
        assert_eq!(begun, 1, "nobody tries any more");
        assert_ne!(where_short(&runner).await, own, "they are taken for long ones");
        let other = Size { hashes: 1, class: 0, is_costly: false };
        let id = runner.run(other, deadline(), |_| Ok(thread::current().id())).await.unwrap();
        assert_eq!(id, own, "those of another class are not");
        for _ in 0..100 {
            where_short(&runner).await;
        }
        assert_eq!(where_short(&runner).await, own);
    }

    #[tokio::test]
    async fn without_time_of_its_own_every_search_runs_elsewhere() {
        assert_ne!(where_short(&runner(Duration::ZERO)).await, thread::current().id());
    }

    #[tokio::test]
    async fn costly_searches_run_apart_and_keep_no_thread_from_others() {
        let runner = Arc::new(runner(Duration::ZERO));
        let (own, costly) = (thread::current().id(), Size { is_costly: true, ..SIZE });
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let (wait, first) = (Mutex::new(wait), Arc::clone(&runner));
        let first = tokio::spawn(async move {
            let work = move |_: &Cancellation| {
                wait.lock().unwrap().recv().unwrap();
                Ok(thread::current().id())
            };
            first.run(costly, deadline(), work).await.unwrap()
        });
        // One thread is for costly searches, and one for all others.
        let second = Arc::clone(&runner);
        let second =
            tokio::spawn(
                async move { second.run(costly, deadline(), |_| Ok(Instant::now())).await.unwrap() },
            );
        assert_ne!(where_short(&runner).await, own);
        let begins = Instant::now();
        go.send(()).unwrap();
        assert_ne!(first.await.unwrap(), own);
        assert!(second.await.unwrap() >= begins, "it waits for the first");
        let failed = runner.run(costly, deadline(), |_| -> Result<(), _> { panic!("on purpose") }).await;
        assert_eq!(failed, Err(SearchError::Failed));
    }

    #[tokio::test]
    async fn a_panic_ends_one_search_and_nothing_else() {
        for inline_max in [Duration::ZERO, Duration::from_millis(1)] {
            let runner = runner(inline_max);
            let failed = runner.run(SIZE, deadline(), |_| -> Result<(), _> { panic!("on purpose") }).await;
            assert_eq!(failed, Err(SearchError::Failed));
            assert_eq!(runner.metrics.running(), 0);
            where_short(&runner).await;
        }
    }

    #[tokio::test]
    async fn work_whose_time_is_spent_is_not_begun_elsewhere() {
        let runner = runner(Duration::ZERO);
        let begun = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&begun);
        let late = runner
            .run(SIZE, tokio::time::Instant::now(), move |_| {
                mark.store(true, Ordering::Relaxed);
                Ok(())
            })
            .await;
        assert_eq!(late, Err(SearchError::OutOfTime));
        assert!(!begun.load(Ordering::Relaxed));
    }
}
