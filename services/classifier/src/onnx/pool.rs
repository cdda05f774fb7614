//! The threads of one model, each with a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use tokio::sync::oneshot;
use vigie_classifiers::Tensor;

use super::failure::StartError;
use super::process::{Failed, Process};
use super::settings::{OnnxModel, OnnxSettings};
use crate::error::{EngineError, WorkerEnd};
use crate::shape::ModelShape;

/// The wait before the next process when one could not be started, doubled with each consecutive failure. The
/// longest wait is long, because each start reads and checks the model's file.
const START_PAUSE_MIN: Duration = Duration::from_millis(100);
const START_PAUSE_MAX: Duration = Duration::from_secs(30);
/// The wait before the next process when one died before its first answer, doubled with each consecutive
/// death. The longest wait is short: if one caller's inputs kill the processes, the inputs of other callers
/// should not wait long.
const DEATH_PAUSE_MIN: Duration = Duration::from_millis(10);
const DEATH_PAUSE_MAX: Duration = Duration::from_secs(1);
/// The interval at which a thread without a process checks whether other threads have one.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The channel for the answer of one piece of work.
type Reply<A> = oneshot::Sender<Result<A, EngineError>>;

/// A request to a model's threads.
#[derive(Debug)]
pub(super) enum Work {
    /// Asks for the model's inputs and outputs.
    Describe(Reply<ModelShape>),
    /// Asks for a run.
    Run(Vec<Tensor>, Reply<Vec<Tensor>>),
}

impl Work {
    /// Returns whether the caller has stopped waiting.
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Describe(reply) => reply.is_closed(),
            Self::Run(_, reply) => reply.is_closed(),
        }
    }

    fn fail(self, error: EngineError) {
        // The caller may have left.
        match self {
            Self::Describe(reply) => drop(reply.send(Err(error))),
            Self::Run(_, reply) => drop(reply.send(Err(error))),
        }
    }
}

type Job = (Work, Instant);

/// The threads of one model.
#[derive(Debug)]
pub(super) struct Pool {
    jobs: Sender<Job>,
    waiting_max: usize,
    shared: Arc<Shared>,
    /// Dropping it ends the threads that wait on this channel: those without a process, while another thread
    /// has one.
    _open: Sender<()>,
}

/// The state that the threads of one model share.
#[derive(Debug)]
struct Shared {
    /// The number of threads that have a process.
    able: AtomicUsize,
    /// The id of each thread's process; 0 for none.
    process_ids: Vec<AtomicU32>,
}

impl Pool {
    pub(super) fn start(settings: &OnnxSettings, name: &str, model: OnnxModel) -> std::io::Result<Self> {
        let (jobs, queue) = bounded(settings.waiting_max);
        let (open, closed) = bounded(0);
        let workers = settings.workers.max(1);
        let process_ids = (0..workers).map(|_| AtomicU32::new(0)).collect();
        let shared = Arc::new(Shared { able: AtomicUsize::new(0), process_ids });
        let (settings, model, name) = (Arc::new(settings.clone()), Arc::new(model), Arc::<str>::from(name));
        for number in 0..workers {
            let worker = Worker {
                settings: Arc::clone(&settings),
                model: Arc::clone(&model),
                name: Arc::clone(&name),
                shared: Arc::clone(&shared),
                number,
                process: None,
                failed: 0,
                not_before: Instant::now(),
                reason: String::new(),
            };
            let (queue, closed) = (queue.clone(), closed.clone());
            thread::Builder::new()
                .name(format!("classifier-{number}"))
                .spawn(move || worker.work(&queue, &closed))?;
        }
        Ok(Self { jobs, waiting_max: settings.waiting_max, shared, _open: open })
    }

    /// Puts work into the queue; fails if the queue is full.
    pub(super) fn send(&self, work: Work, deadline: Instant) -> Result<(), EngineError> {
        self.jobs.try_send((work, deadline)).map_err(|error| match error {
            TrySendError::Full(_) => EngineError::Busy { waiting_max: self.waiting_max },
            TrySendError::Disconnected(_) => EngineError::unavailable("its threads have ended"),
        })
    }

    pub(super) fn process_ids(&self) -> Vec<u32> {
        let ids = self.shared.process_ids.iter().map(|id| id.load(Ordering::Relaxed));
        ids.filter(|&id| id != 0).collect()
    }
}

/// A thread and its process.
#[derive(Debug)]
struct Worker {
    settings: Arc<OnnxSettings>,
    model: Arc<OnnxModel>,
    name: Arc<str>,
    shared: Arc<Shared>,
    number: usize,
    process: Option<Process>,
    /// The number of consecutive processes that could not be started, or died before their first answer.
    failed: u32,
    /// The earliest time of the next start of a process.
    not_before: Instant,
    /// The reason why there is no process.
    reason: String,
}

impl Worker {
    /// Works until the engine is dropped.
    fn work(mut self, jobs: &Receiver<Job>, closed: &Receiver<()>) {
        loop {
            if self.process.is_none() && Instant::now() >= self.not_before {
                self.start();
            }
            if self.process.is_some() {
                let Ok(job) = jobs.recv() else { return };
                self.serve(job);
                continue;
            }
            // Without a process: other threads do the work, or it fails at once.
            let pause = self.not_before.saturating_duration_since(Instant::now());
            if self.shared.able.load(Ordering::Relaxed) > 0 {
                if closed.recv_timeout(pause.min(LOOK_EVERY)) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
                continue;
            }
            match jobs.recv_timeout(pause) {
                Ok((work, _)) => work.fail(self.unavailable()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn serve(&mut self, (work, deadline): Job) {
        if work.is_abandoned() || Instant::now() >= deadline {
            return;
        }
        // Work is not lost if the process ended while it was idle: another process is started.
        if self.process.as_mut().is_some_and(Process::has_ended) {
            self.lose(WorkerEnd::Crashed);
            self.start();
        }
        let Some(process) = &mut self.process else { return work.fail(self.unavailable()) };
        match work {
            Work::Describe(reply) => drop(reply.send(Ok(process.shape().clone()))),
            Work::Run(inputs, reply) => {
                let until = Instant::now() + self.settings.run_within;
                let outcome = match process.run(&inputs, self.settings.tensor_bytes_max, until) {
                    Ok(outputs) => Ok(outputs),
                    Err(Failed::Run(error)) => Err(error),
                    Err(Failed::Process(stopped)) => {
                        let process = self.process.take();
                        let end = process.map_or(WorkerEnd::Crashed, |process| {
                            self.failed = if process.answered() == 0 { self.failed + 1 } else { 0 };
                            process.end(stopped)
                        });
                        self.lose(end);
                        Err(EngineError::Died(end))
                    }
                };
                if outcome.is_ok() {
                    self.failed = 0;
                }
                drop(reply.send(outcome));
            }
        }
    }

    fn start(&mut self) {
        match Process::start(&self.settings, &self.model) {
            Ok(process) => {
                let posture = process.posture().name();
                tracing::info!(model = &*self.name, sandbox = posture, "a classifier process is ready");
                self.set_process_id(process.id());
                self.shared.able.fetch_add(1, Ordering::Relaxed);
                self.process = Some(process);
            }
            Err(error) => {
                self.reason = with_causes(&error);
                tracing::warn!(
                    model = &*self.name,
                    reason = self.reason,
                    "cannot start a classifier process"
                );
                self.not_before = Instant::now() + doubled(START_PAUSE_MIN, self.failed, START_PAUSE_MAX);
                self.failed = self.failed.saturating_add(1);
            }
        }
    }

    /// Records that the process has ended, and sets the earliest time of the next start.
    fn lose(&mut self, end: WorkerEnd) {
        self.process = None;
        self.set_process_id(0);
        self.shared.able.fetch_sub(1, Ordering::Relaxed);
        tracing::warn!(model = &*self.name, end = end.name(), "a classifier process ended");
        self.reason = format!("its process ended: {}", end.name());
        // There is no pause after the death of a process that had answered.
        let pause =
            self.failed.checked_sub(1).map(|failed| doubled(DEATH_PAUSE_MIN, failed, DEATH_PAUSE_MAX));
        self.not_before = Instant::now() + pause.unwrap_or_default();
    }

    /// Sets the id that [`Pool::process_ids`] returns for this thread; 0 for no process.
    fn set_process_id(&self, id: u32) {
        if let Some(own) = self.shared.process_ids.get(self.number) {
            own.store(id, Ordering::Relaxed);
        }
    }

    fn unavailable(&self) -> EngineError {
        let left = self.not_before.saturating_duration_since(Instant::now());
        EngineError::Unavailable { reason: self.reason.clone(), retry_after: Some(left) }
    }
}

/// Returns the text of an error and its causes.
fn with_causes(error: &StartError) -> String {
    let all = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << times.min(16)).min(longest)
}
