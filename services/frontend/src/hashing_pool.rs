//! Decodes and hashes images on threads of its own, with bounded queues before them.
//!
//! Decoding takes milliseconds of pure computation. On the threads that answer calls it would stall every other call;
//! on an unbounded pool a burst would take all memory. So each queue has a bound, and one image more is refused at
//! once. There is one queue for each priority: bulk images have their turn when no interactive one waits. An image whose
//! caller has gone, or whose time is up, is dropped unhashed when its turn comes.
//!
//! An image that is to be searched is given digests in any case: if it waits too long for a thread, or if there is no decoder
//! process, it is searched by these, and the answer says that it may be decoded when it is sent again.

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
use vigie_clients::decoder::{DecoderError, Hashing};
use vigie_media::{Limits, Ways, digest};
use vigie_model::{DecodeFailure, DecodeFailureKind, Hash, PictureFingerprint};
use vigie_rpc::Priority;
use vigie_telemetry::register_gauges;
use vigie_telemetry::trace::{self, Context};

use crate::error::HashingError;
use crate::searcher::figure;

/// The outcomes of images that were hashed.
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
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "vigie_images_hashed",
            "Images that were decoded and hashed",
            metrics.hashed.clone(),
        );
        registry.register(
            "vigie_image_decode_failures",
            "Images that could not be decoded, or not beyond their first frames, by what was wrong; panicked, crashed and \
             refused_call are a decoder's faults, and unavailable is a lack of decoders",
            metrics.failures.clone(),
        );
        // Every kind is there from the start, at zero: what begins at one has no rate.
        for kind in DecodeFailureKind::ALL {
            let _counter = metrics.failures.get_or_create_owned(&FailureLabels { kind: kind.name() });
        }
        metrics
    }

    fn count(&self, picture: &Result<PictureFingerprint, DecodeFailure>) {
        if picture.is_ok() {
            self.hashed.inc();
        }
        let Some(kind) = failure_kind(picture) else { return };
        let failures = self.failures.get_or_create_owned(&FailureLabels { kind: kind.name() }).inc() + 1;
        if is_a_fault_of_ours(kind) {
            let first_frame = picture.is_ok();
            tracing::error!(%kind, failures, first_frame, "a decoder failed on an image and was stopped");
        }
    }
}

/// How a decoder failed on an image: on all of it, or on a frame after the first.
fn failure_kind(picture: &Result<PictureFingerprint, DecodeFailure>) -> Option<DecodeFailureKind> {
    match picture {
        Ok(picture) => picture.later_fault,
        Err(failure) => Some(failure.kind),
    }
}

/// The hashes of one image file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HashedImage {
    /// Digests of the file's bytes, by ascending type: there for every file, whether or not it can be decoded.
    pub(crate) digests: Vec<Hash>,
    /// The hashes of its picture, or why it has none.
    pub(crate) picture: Result<PictureFingerprint, DecodeFailure>,
}

struct Job {
    image: Bytes,
    deadline: Instant,
    /// Where in a trace it is done.
    context: Option<Context>,
    reply: oneshot::Sender<Result<HashedImage, HashingError>>,
}

/// The threads that decode and hash images. They end when the last handle is dropped.
#[derive(Debug, Clone)]
pub(crate) struct HashingPool {
    interactive: Sender<Job>,
    bulk: Sender<Job>,
    threads: usize,
    metrics: HashingMetrics,
    /// Moving average of the time that one image takes, in nanoseconds: the wait that a refusal names is computed from it.
    image_nanos: Arc<AtomicU64>,
}

impl HashingPool {
    /// Starts `threads` threads behind queues of `queue_max` images each.
    pub(crate) fn start(
        threads: usize,
        queue_max: usize,
        work: &Work,
        metrics: &HashingMetrics,
    ) -> std::io::Result<Self> {
        let ((interactive, first), (bulk, then)) = (bounded::<Job>(queue_max), bounded::<Job>(queue_max));
        let image_nanos = Arc::new(AtomicU64::new(10_000_000));
        for number in 0..threads {
            let jobs = Jobs { interactive: first.clone(), bulk: then.clone() };
            let (work, metrics, image_nanos) = (work.clone(), metrics.clone(), Arc::clone(&image_nanos));
            std::thread::Builder::new()
                .name(format!("hashing-{number}"))
                .spawn(move || work.on(jobs, &metrics, &image_nanos))?;
        }
        Ok(Self { interactive, bulk, threads, metrics: metrics.clone(), image_nanos })
    }

    /// Shows what waits. The registry holds a handle of the pool from then on.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let queues = (self.interactive.clone(), self.bulk.clone());
        let name = "vigie_images_queued";
        register_gauges(
            registry,
            name,
            "Images that wait for a thread to hash them",
            "priority",
            move || vec![("interactive", figure(queues.0.len())), ("bulk", figure(queues.1.len()))],
        );
    }

    /// Decodes and hashes one image. An image that cannot be decoded is no error: it has digests.
    pub(crate) async fn hash(
        &self,
        image: Bytes,
        priority: Priority,
        deadline: tokio::time::Instant,
    ) -> Result<HashedImage, HashingError> {
        // With the time that it waits for its turn.
        let mut span = trace::child("hash an image");
        let (reply, answer) = oneshot::channel();
        let queue = match priority {
            Priority::Interactive => &self.interactive,
            Priority::Bulk => &self.bulk,
        };
        let context = span.context().cloned();
        let hashed = match queue.try_send(Job { image, deadline: deadline.into_std(), context, reply }) {
            Ok(()) => answer.await.unwrap_or(Err(HashingError::Closed)),
            Err(TrySendError::Full(_)) => Err(self.full(priority)),
            Err(TrySendError::Disconnected(_)) => Err(HashingError::Closed),
        };
        span.ended_with(hashed.as_ref().map_or_else(HashingError::code, |_| Code::Ok));
        hashed
    }

    /// Does the same for an image that is to be searched: if it has no hashes when most of its time is over, it has digests, which
    /// can be searched in the rest.
    pub(crate) async fn hash_for_search(
        &self,
        image: Bytes,
        priority: Priority,
        deadline: tokio::time::Instant,
    ) -> Result<HashedImage, HashingError> {
        let now = tokio::time::Instant::now();
        let wait = deadline.saturating_duration_since(now).mul_f64(HASHING_SHARE);
        let hashing = self.hash(image.clone(), priority, deadline);
        if let Ok(hashed) = tokio::time::timeout(wait, hashing).await {
            return hashed;
        }
        let text = "no decoder was free for this image in the time that the call has: try again later";
        let picture = Err(unavailable(text));
        self.metrics.count(&picture);
        // As many at once as images may wait. Some milliseconds for each megabyte, on a thread that may block.
        let digests = tokio::task::spawn_blocking(move || digest::digests(&image)).await;
        Ok(HashedImage { digests: digests.map_err(|_| HashingError::Closed)?, picture })
    }

    /// The refusal names the time that the images before it take.
    fn full(&self, priority: Priority) -> HashingError {
        let waiting = match priority {
            Priority::Interactive => self.interactive.len(),
            Priority::Bulk => self.interactive.len() + self.bulk.len(),
        };
        let rounds = u32::try_from(waiting / self.threads.max(1) + 1).unwrap_or(u32::MAX);
        let image = Duration::from_nanos(self.image_nanos.load(Ordering::Relaxed));
        let retry_after =
            image.saturating_mul(rounds).clamp(Duration::from_millis(10), Duration::from_secs(10));
        HashingError::QueueFull { waiting, retry_after }
    }
}

/// The images that wait, interactive ones first. It ends when all handles of the pool are gone and all is done.
struct Jobs {
    interactive: Receiver<Job>,
    bulk: Receiver<Job>,
}

impl Iterator for Jobs {
    type Item = Job;

    fn next(&mut self) -> Option<Job> {
        select_biased! {
            recv(self.interactive) -> job => job.or_else(|_| self.bulk.recv()).ok(),
            recv(self.bulk) -> job => job.or_else(|_| self.interactive.recv()).ok(),
        }
    }
}

/// The share of a call's time that decoding may take.
const DECODING_SHARE: f64 = 0.7;

/// The share of a call's time after which an image that has no hashes is searched by its digests: later than decoding ends that
/// began at once, so that this is for images that wait.
const HASHING_SHARE: f64 = 0.85;

/// The means by which a thread hashes images.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) hashing: Hashing,
    pub(crate) limits: Limits,
    pub(crate) ways: Ways,
}

impl Work {
    /// Hashes one image after the other.
    fn on(&self, jobs: Jobs, metrics: &HashingMetrics, image_nanos: &AtomicU64) {
        // The thread's own: its process ends with it.
        let mut hasher = self.hashing.hasher();
        for Job { image, deadline, context, reply } in jobs {
            if reply.is_closed() {
                continue;
            }
            let begun = Instant::now();
            let outcome = if begun >= deadline {
                Err(HashingError::OutOfTime)
            } else {
                // Before decoding: a file that harms its decoder is found by its digests all the same.
                let digests = digest::digests(&image);
                // The rest of the time is for the search, of the digests at least.
                let decode_by = begun + deadline.saturating_duration_since(begun).mul_f64(DECODING_SHARE);
                let hashed = hasher.hash(&image, &self.limits, self.ways, decode_by);
                let conclude = || concluded(hashed, metrics);
                let picture = match &context {
                    Some(context) => context.enter(conclude),
                    None => conclude(),
                };
                let is_ours = failure_kind(&picture).is_some_and(is_a_fault_of_ours);
                if let (Some(context), true) = (&context, is_ours) {
                    // The answer says that the image is wrong, but the fault is ours.
                    context.keep();
                }
                let taken = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                // Racing threads may lose an update: it is an average.
                let before = image_nanos.load(Ordering::Relaxed);
                image_nanos.store(before - before / 8 + taken / 8, Ordering::Relaxed);
                Ok(HashedImage { digests, picture })
            };
            drop(image);
            // The caller may have gone meanwhile.
            let _ = reply.send(outcome);
        }
    }
}

/// Counts and logs an outcome. Whatever kept an image from being decoded, its digests are searched.
fn concluded(
    hashed: Result<PictureFingerprint, DecoderError>,
    metrics: &HashingMetrics,
) -> Result<PictureFingerprint, DecodeFailure> {
    let picture = match hashed {
        Ok(picture) => Ok(picture),
        Err(DecoderError::Decode(failure)) => Err(failure),
        Err(DecoderError::OutOfTime) => Err(DecodeFailure {
            kind: DecodeFailureKind::TimedOut,
            message: "decoding this image took too much of the time that the call has: try again with more"
                .to_owned(),
        }),
        Err(DecoderError::Start(error)) => {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "cannot start a decoder process");
            Err(unavailable("no decoder process can be started for this image: try again later"))
        }
    };
    metrics.count(&picture);
    picture
}

/// The failure of an image that may be decoded when it is sent again.
fn unavailable(message: &str) -> DecodeFailure {
    DecodeFailure { kind: DecodeFailureKind::Unavailable, message: message.to_owned() }
}

/// A decoder that panics, crashes or does what it must not has a fault, whatever its image is.
const fn is_a_fault_of_ours(kind: DecodeFailureKind) -> bool {
    matches!(kind, DecodeFailureKind::Panicked | DecodeFailureKind::Crashed | DecodeFailureKind::RefusedCall)
}
