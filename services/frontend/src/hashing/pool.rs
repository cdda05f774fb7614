//! Decodes and hashes files on dedicated threads with bounded queues.
//!
//! Decoding takes milliseconds of computation, and up to minutes for a video. On the threads that answer
//! calls it would stall every other call; on an unbounded pool a burst would take all memory. So each queue
//! has a bound, and a file beyond it is refused at once. There is one queue for each priority: bulk files are
//! hashed when no interactive file waits. A file whose caller has gone, or whose deadline has passed, is
//! dropped without being hashed when it reaches the front of its queue.
//!
//! A file that is to be searched always gets digests: if it waits too long for a thread, or if there is no
//! decoder process, it is searched by its digests, and the answer states that it may be decoded when it is
//! sent again.
//!
//! Images and videos have a pool each ([`Media`]), because a video occupies a thread for so long that images
//! would wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select_biased};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::sync::oneshot;
use tonic::Code;
use vigie_clients::decoder::DecoderError;
use vigie_media::digest;
use vigie_model::{DecodeFailure, DecodeFailureKind, Hash};
use vigie_rpc::Priority;
use vigie_telemetry::register_gauges;
use vigie_telemetry::trace::{self, Context};

use crate::error::HashingError;
use crate::searcher::figure;

/// The kind of the files of a pool.
pub(crate) trait Media: Clone + Send + Sync + 'static {
    /// The result of hashing a file.
    type Hashes: Send + 'static;
    /// The options for hashing one file.
    type Order: Send + 'static;
    /// The hasher of one thread.
    type Hasher;

    /// The names of the pool's metrics and threads.
    const NAMES: Names;

    /// Creates the hasher of the calling thread. A decoder process ends with its thread.
    fn hasher(&self) -> Self::Hasher;

    /// Hashes one file, until `decode_by` at the latest.
    fn hash(
        &self,
        hasher: &mut Self::Hasher,
        file: &[u8],
        order: &Self::Order,
        decode_by: Instant,
    ) -> Result<Self::Hashes, DecoderError>;

    /// Returns how the decoder failed on a later part of a file whose first part is hashed.
    fn later_fault(hashes: &Self::Hashes) -> Option<DecodeFailureKind>;
}

/// The names that a pool uses in metrics, traces and messages.
#[derive(Debug)]
pub(crate) struct Names {
    /// The name of one file: "image".
    pub(crate) file: &'static str,
    /// The name of the span in which one file is hashed.
    pub(crate) span: &'static str,
    pub(crate) hashed: (&'static str, &'static str),
    pub(crate) failures: (&'static str, &'static str),
    pub(crate) queued: (&'static str, &'static str),
}

/// The outcomes of files that were hashed.
#[derive(Debug, Clone, Default)]
pub(crate) struct HashingMetrics {
    hashed: Counter,
    failures: Family<FailureLabels, Counter>,
}

/// The label set has one value for each [`DecodeFailureKind`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    kind: &'static str,
}

impl HashingMetrics {
    /// Registers the metrics of the pool of this media.
    pub(crate) fn register<M: Media>(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Names { hashed, failures, .. } = M::NAMES;
        registry.register(hashed.0, hashed.1, metrics.hashed.clone());
        registry.register(failures.0, failures.1, metrics.failures.clone());
        // Every kind is registered at zero: a series that begins at one has no rate.
        for kind in DecodeFailureKind::ALL {
            let _counter = metrics.failures.get_or_create_owned(&FailureLabels { kind: kind.name() });
        }
        metrics
    }

    fn count<M: Media>(&self, hashes: &Result<M::Hashes, DecodeFailure>) {
        if hashes.is_ok() {
            self.hashed.inc();
        }
        let Some(kind) = failure_kind::<M>(hashes) else { return };
        let failures = self.failures.get_or_create_owned(&FailureLabels { kind: kind.name() }).inc() + 1;
        if is_a_fault_of_ours(kind) {
            let (media, first_part) = (M::NAMES.file, hashes.is_ok());
            tracing::error!(%kind, failures, media, first_part, "a decoder failed on a file and was stopped");
        }
    }
}

/// Returns how a decoder failed on a file: on the whole file, or on a later part.
fn failure_kind<M: Media>(hashes: &Result<M::Hashes, DecodeFailure>) -> Option<DecodeFailureKind> {
    match hashes {
        Ok(hashes) => M::later_fault(hashes),
        Err(failure) => Some(failure.kind),
    }
}

/// The result of hashing one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hashed<H> {
    /// Digests of the file's bytes, by ascending type. Every file has them, whether or not it can be decoded.
    pub(crate) digests: Vec<Hash>,
    /// The hashes of the picture or video, or the reason why there are none.
    pub(crate) hashes: Result<H, DecodeFailure>,
}

struct Job<M: Media> {
    file: Bytes,
    order: M::Order,
    deadline: Instant,
    /// The trace context of the job.
    context: Option<Context>,
    reply: oneshot::Sender<Result<Hashed<M::Hashes>, HashingError>>,
}

/// The threads that decode and hash files. They end when the last handle is dropped.
#[derive(Debug, Clone)]
pub(crate) struct HashingPool<M: Media> {
    interactive: Sender<Job<M>>,
    bulk: Sender<Job<M>>,
    threads: usize,
    metrics: HashingMetrics,
    /// Moving average of the time that one file takes, in nanoseconds. The delay that a refusal names is
    /// computed from it.
    file_nanos: Arc<AtomicU64>,
}

impl<M: Media> HashingPool<M> {
    /// Starts `threads` threads behind queues of `queue_max` files each.
    pub(crate) fn start(
        threads: usize,
        queue_max: usize,
        media: &M,
        metrics: &HashingMetrics,
    ) -> std::io::Result<Self> {
        let ((interactive, first), (bulk, then)) =
            (bounded::<Job<M>>(queue_max), bounded::<Job<M>>(queue_max));
        let file_nanos = Arc::new(AtomicU64::new(10_000_000));
        for number in 0..threads {
            let jobs = Jobs { interactive: first.clone(), bulk: then.clone() };
            let (media, metrics, file_nanos) = (media.clone(), metrics.clone(), Arc::clone(&file_nanos));
            std::thread::Builder::new()
                .name(format!("{}-{number}", M::NAMES.file))
                .spawn(move || work(&media, jobs, &metrics, &file_nanos))?;
        }
        Ok(Self { interactive, bulk, threads, metrics: metrics.clone(), file_nanos })
    }

    /// Registers the gauges of the queues. The registry holds a handle of the pool from then on.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let queues = (self.interactive.clone(), self.bulk.clone());
        let (name, help) = M::NAMES.queued;
        register_gauges(registry, name, help, "priority", move || {
            vec![("interactive", figure(queues.0.len())), ("bulk", figure(queues.1.len()))]
        });
    }

    /// Decodes and hashes one file. A file that cannot be decoded is not an error: it has digests.
    pub(crate) async fn hash(
        &self,
        file: Bytes,
        order: M::Order,
        priority: Priority,
        deadline: tokio::time::Instant,
    ) -> Result<Hashed<M::Hashes>, HashingError> {
        // The span includes the time in the queue.
        let mut span = trace::child(M::NAMES.span);
        let (reply, answer) = oneshot::channel();
        let queue = match priority {
            Priority::Interactive => &self.interactive,
            Priority::Bulk => &self.bulk,
        };
        let context = span.context().cloned();
        let job = Job { file, order, deadline: deadline.into_std(), context, reply };
        let hashed = match queue.try_send(job) {
            Ok(()) => answer.await.unwrap_or(Err(HashingError::Closed)),
            Err(TrySendError::Full(_)) => Err(self.full(priority)),
            Err(TrySendError::Disconnected(_)) => Err(HashingError::Closed),
        };
        span.ended_with(hashed.as_ref().map_or_else(HashingError::code, |_| Code::Ok));
        hashed
    }

    /// Hashes a file that is to be searched: if it has no hashes when most of its time is over, it gets
    /// digests, which can be searched in the remaining time.
    pub(crate) async fn hash_for_search(
        &self,
        file: Bytes,
        order: M::Order,
        priority: Priority,
        deadline: tokio::time::Instant,
    ) -> Result<Hashed<M::Hashes>, HashingError> {
        let now = tokio::time::Instant::now();
        let wait = deadline.saturating_duration_since(now).mul_f64(HASHING_SHARE);
        let hashing = self.hash(file.clone(), order, priority, deadline);
        if let Ok(hashed) = tokio::time::timeout(wait, hashing).await {
            return hashed;
        }
        let text = "no decoder was free for this file in the time that the call has: try again later";
        let hashes = Err(unavailable(text));
        self.metrics.count::<M>(&hashes);
        // At most as many run at once as files may wait. Each takes some milliseconds a megabyte, on a
        // blocking thread.
        let digests = tokio::task::spawn_blocking(move || digest::digests(&file)).await;
        Ok(Hashed { digests: digests.map_err(|_| HashingError::Closed)?, hashes })
    }

    /// Returns the refusal of a full queue, with the time that the files in it take.
    fn full(&self, priority: Priority) -> HashingError {
        let waiting = match priority {
            Priority::Interactive => self.interactive.len(),
            Priority::Bulk => self.interactive.len() + self.bulk.len(),
        };
        let rounds = u32::try_from(waiting / self.threads.max(1) + 1).unwrap_or(u32::MAX);
        let each = Duration::from_nanos(self.file_nanos.load(Ordering::Relaxed));
        let retry_after =
            each.saturating_mul(rounds).clamp(Duration::from_millis(10), Duration::from_secs(10));
        HashingError::QueueFull { media: M::NAMES.file, waiting, retry_after }
    }
}

/// The files that wait, interactive ones first. The iterator ends when all handles of the pool are dropped
/// and the queues are empty.
struct Jobs<M: Media> {
    interactive: Receiver<Job<M>>,
    bulk: Receiver<Job<M>>,
}

impl<M: Media> Iterator for Jobs<M> {
    type Item = Job<M>;

    fn next(&mut self) -> Option<Job<M>> {
        select_biased! {
            recv(self.interactive) -> job => job.or_else(|_| self.bulk.recv()).ok(),
            recv(self.bulk) -> job => job.or_else(|_| self.interactive.recv()).ok(),
        }
    }
}

/// The share of a call's time that decoding may take.
const DECODING_SHARE: f64 = 0.7;

/// The share of a call's time after which a file without hashes is searched by its digests. It is larger than
/// [`DECODING_SHARE`], so that it applies to files that wait and not to files that were decoded at once.
const HASHING_SHARE: f64 = 0.85;

/// Hashes one file after the other.
fn work<M: Media>(media: &M, jobs: Jobs<M>, metrics: &HashingMetrics, file_nanos: &AtomicU64) {
    let mut hasher = media.hasher();
    for Job { file, order, deadline, context, reply } in jobs {
        if reply.is_closed() {
            continue;
        }
        let begun = Instant::now();
        let outcome = if begun >= deadline {
            Err(HashingError::OutOfTime)
        } else {
            // Computed before decoding, so that a file that crashes its decoder is still found by its
            // digests.
            let digests = digest::digests(&file);
            // The remaining time is for the search, of the digests at least.
            let decode_by = begun + deadline.saturating_duration_since(begun).mul_f64(DECODING_SHARE);
            let hashed = media.hash(&mut hasher, &file, &order, decode_by);
            let conclude = || concluded::<M>(hashed, metrics);
            let hashes = match &context {
                Some(context) => context.enter(conclude),
                None => conclude(),
            };
            let is_ours = failure_kind::<M>(&hashes).is_some_and(is_a_fault_of_ours);
            if let (Some(context), true) = (&context, is_ours) {
                // The answer blames the file, but the fault is the decoder's, so the trace is kept.
                context.keep();
            }
            let taken = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            // Racing threads may lose an update, which an average tolerates.
            let before = file_nanos.load(Ordering::Relaxed);
            file_nanos.store(before - before / 8 + taken / 8, Ordering::Relaxed);
            Ok(Hashed { digests, hashes })
        };
        drop(file);
        // The caller may have gone meanwhile.
        let _ = reply.send(outcome);
    }
}

/// Counts and logs an outcome. The digests are searched, whatever prevented decoding.
fn concluded<M: Media>(
    hashed: Result<M::Hashes, DecoderError>,
    metrics: &HashingMetrics,
) -> Result<M::Hashes, DecodeFailure> {
    let media = M::NAMES.file;
    let hashes = match hashed {
        Ok(hashes) => Ok(hashes),
        Err(DecoderError::Decode(failure)) => Err(failure),
        Err(DecoderError::OutOfTime) => Err(DecodeFailure {
            kind: DecodeFailureKind::TimedOut,
            message: format!(
                "decoding this {media} took too much of the time that the call has: try again with more"
            ),
        }),
        Err(DecoderError::Start(error)) => {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "cannot start a decoder process");
            Err(unavailable(&format!("no decoder process can be started for this {media}: try again later")))
        }
    };
    metrics.count::<M>(&hashes);
    hashes
}

/// Returns the failure of a file that may be decoded when it is sent again.
fn unavailable(message: &str) -> DecodeFailure {
    DecodeFailure { kind: DecodeFailureKind::Unavailable, message: message.to_owned() }
}

/// Returns whether a failure is a fault of the decoder, whatever the file is: it panicked, crashed or made a
/// forbidden system call.
const fn is_a_fault_of_ours(kind: DecodeFailureKind) -> bool {
    matches!(kind, DecodeFailureKind::Panicked | DecodeFailureKind::Crashed | DecodeFailureKind::RefusedCall)
}
