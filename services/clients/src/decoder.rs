//! Decoder processes: one for each hashing thread, used for one image after the other.
//!
//! A [`Decoder`] owns at most one process at a time, and hides that the process may die: the damage of a
//! hostile file is limited to the answer for that file.
//!
//! ```text
//! Decoder::hash(content, deadline)
//!   |-- a file of several frames: a part of the time is for the first frame alone
//!   |-- no process: start one, and check its first bytes and its posture
//!   |-- request ->  <- answer, both bounded; at the deadline or at the bound of processor time the process
//!   |   is killed
//!   |-- the process died: wait for it, report the kind; retry in a new process if the old one had answered
//!   |   other images before; then once for the first frame alone, in a new process, if a later frame may be
//!   |   the cause
//!   +-- after 1,000 images: a new process
//! ```
//!
//! Always true:
//! - One image at a time: every death belongs to one known image.
//! - A process that has died or was killed has been waited for, and its pipes are closed, before the answer
//!   is given.
//! - The messages of a process are bounded and checked as untrusted input: the process may be under the
//!   control of a hostile file.
//!
//! A caller with classifiers names the forms in which it wants the pixels of the first frame. For other
//! callers no pixels leave the process.
//!
//! A picture that no built-in decoder accepts is decoded by the program `ffmpeg`, if it is installed
//! (`ffmpeg`): the process reads the parts of the file that the program needs, and then hashes the program's
//! pixels, which pass through this process piece by piece (`outside`). A video is decoded by that program
//! too, and hashed by the calling thread: its frames are raw, and nothing of them is parsed (`video`).
//!
//! Reading order: `failure`, `settings`, `watch` (waiting within bounds), `child`, `process`, `ffmpeg`,
//! `outside`, `metrics`, `video`, then [`Decoder`], and [`Hashing`], which chooses between decoder processes
//! and this process.

mod failure;
mod settings;
mod watch;
mod child;
mod process;
mod ffmpeg;
mod outside;
mod metrics;
mod video;
mod hashing;

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use prost::Message as _;
use vigie_classifiers::PictureForm;
use vigie_media::{DecodeError, Limits, Ways};
use vigie_model::{DecodeFailure, DecodeFailureKind, Way};
use vigie_proto::decoder::{self, Decoded};
use vigie_proto::pb::decoder::v1 as pb;
use vigie_sandbox::Posture;

pub use failure::{DecoderError, StartError, WorkerDeath};
pub use ffmpeg::{FfmpegAbsence, FfmpegReport, VideoReport, is_program};
pub use hashing::{Hasher, Hashing};
pub use metrics::DecoderMetrics;
pub use settings::DecoderSettings;
pub use vigie_media::HashedPicture;

use child::{START_WITHIN, Stopped};
use ffmpeg::Ffmpeg;
use process::Process;
use watch::Bounds;

/// The wait before the next process when one could not be started, doubled with each consecutive failure, up
/// to the longest wait.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Processor time for the first frame of a file that killed its process. A decoder begins no later frame
/// after [`Limits::FURTHER_FRAMES_WITHIN`], so a first frame before one has taken less; half as much again is
/// for a busy machine.
const FIRST_FRAME_PROCESSOR_TIME_MAX: Duration = Duration::from_secs(3);
const _: () =
    assert!(FIRST_FRAME_PROCESSOR_TIME_MAX.as_millis() * 2 >= Limits::FURTHER_FRAMES_WITHIN.as_millis() * 3);

/// The shares of a file's time after which no further frame is begun, and after which a file of several
/// frames is ended. The remaining time is for the first frame alone.
const FURTHER_FRAMES_SHARE: f64 = 0.5;
const SEVERAL_FRAMES_SHARE: f64 = 0.75;

/// A file, and the options for decoding it.
#[derive(Clone, Copy)]
struct Task<'a> {
    content: &'a [u8],
    limits: Limits,
    ways: Ways,
    /// The forms in which the caller wants the pixels of the first frame.
    forms: &'a [PictureForm],
    bounds: Bounds,
}

/// The outcome of a file in one process.
type Attempt = Result<Result<Decoded, DecodeFailure>, WorkerDeath>;

/// A thread's decoder process, started on first use.
///
/// A decoder stays on the thread that made it: Linux ends the process when that thread ends.
#[derive(Debug)]
pub struct Decoder {
    settings: DecoderSettings,
    metrics: DecoderMetrics,
    ffmpeg: Ffmpeg,
    process: Option<Process>,
    /// The number of consecutive processes that could not be started.
    failed_starts: u32,
    /// The number of consecutive processes that died before their first answer.
    barren: u32,
    not_before: Option<Instant>,
    _stays_on_its_thread: PhantomData<*const ()>,
}

impl Decoder {
    /// Creates a decoder without a process. Its metrics are counted in `metrics`.
    #[must_use]
    pub fn new(settings: DecoderSettings, metrics: DecoderMetrics) -> Self {
        Self::with(settings, metrics, Ffmpeg::new())
    }

    /// Does the same with a shared state of `ffmpeg`.
    fn with(settings: DecoderSettings, metrics: DecoderMetrics, ffmpeg: Ffmpeg) -> Self {
        Self {
            settings,
            metrics,
            ffmpeg,
            process: None,
            failed_starts: 0,
            barren: 0,
            not_before: None,
            _stays_on_its_thread: PhantomData,
        }
    }

    /// Starts the process unless there is one, and returns its protection.
    ///
    /// # Errors
    /// [`StartError`], if it cannot be started or has less protection than is required.
    pub fn start(&mut self) -> Result<Posture, StartError> {
        self.running().map(|process| process.posture())
    }

    /// Returns the process, and starts it if there is none.
    fn running(&mut self) -> Result<&mut Process, StartError> {
        match &mut self.process {
            Some(process) => Ok(process),
            none @ None => match Process::start(&self.settings, Instant::now() + START_WITHIN) {
                Ok(process) => {
                    self.failed_starts = 0;
                    self.metrics.started(process.posture());
                    Ok(none.insert(process))
                }
                Err(error) => {
                    self.metrics.start_failed();
                    let pause = PAUSE_MIN.saturating_mul(1 << self.failed_starts.min(10)).min(PAUSE_MAX);
                    self.failed_starts += 1;
                    self.not_before = Some(Instant::now() + pause);
                    Err(error)
                }
            },
        }
    }

    /// Returns the id of the process, while there is one.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Decodes and hashes the picture `content` within `limits`, in the ways of `ways`, until `deadline`;
    /// also converts its first frame to `forms`, at most [`PictureForm::COUNT_MAX`] of them.
    ///
    /// If a later frame may have killed the process, the answer has the first frame alone, with the fault,
    /// and the other frames count as left out.
    ///
    /// # Errors
    /// [`DecoderError`]: the file is not an accepted picture, its process died, the time is up, or there is
    /// no process.
    pub fn hash(
        &mut self,
        content: &[u8],
        limits: &Limits,
        ways: Ways,
        forms: &[PictureForm],
        deadline: Instant,
    ) -> Result<HashedPicture, DecoderError> {
        if content.len() > limits.input_bytes_max {
            let (bytes, bytes_max) = (content.len(), limits.input_bytes_max);
            return Err(DecoderError::Decode(DecodeError::InputTooLarge { bytes, bytes_max }.into()));
        }
        let (now, mut limits) = (Instant::now(), *limits);
        let left = deadline.saturating_duration_since(now);
        let has_several = limits.frames_max > 1 && vigie_media::may_have_several_frames(content);
        let mut bounds = Bounds { deadline, processor_time_max: self.settings.processor_time_max };
        if has_several {
            bounds.deadline = now + left.mul_f64(SEVERAL_FRAMES_SHARE);
            limits.further_frames_within =
                limits.further_frames_within.min(left.mul_f64(FURTHER_FRAMES_SHARE));
        }
        let task = Task { content, limits, ways, forms, bounds };
        let is_used = self.process.as_ref().is_some_and(|process| process.answered() > 0);
        let mut attempt = self.attempt(&task)?;
        // The fault may be that of an earlier image.
        if is_used && attempt.as_ref().is_err_and(|death| death.may_be_of_others()) {
            attempt = self.attempt(&task)?;
        }
        match attempt {
            Ok(Ok(Decoded::Picture(picture))) => Ok(picture),
            Ok(Ok(Decoded::Outside(outside))) => {
                let processor_time_max = self.settings.processor_time_max;
                let bounds = Bounds { deadline, processor_time_max };
                self.hash_outside(&Task { bounds, ..task }, &outside)
            }
            Ok(Err(failure)) => Err(DecoderError::Decode(failure)),
            Err(death) if has_several => self.first_frame(task, death, deadline).ok_or_else(|| death.into()),
            Err(death) => Err(death.into()),
        }
    }

    /// Decodes the first frame alone of a file whose process ended by `death`, if a later frame may have been
    /// the cause. It tries once: if the first frame cannot be decoded either, the file keeps its first
    /// failure.
    fn first_frame(
        &mut self,
        whole: Task<'_>,
        death: WorkerDeath,
        deadline: Instant,
    ) -> Option<HashedPicture> {
        let fault = death.failure_kind().unwrap_or(DecodeFailureKind::TimedOut);
        let processor_time_max = whole.bounds.processor_time_max.min(FIRST_FRAME_PROCESSOR_TIME_MAX);
        let task = Task {
            limits: Limits { frames_max: 1, ..whole.limits },
            bounds: Bounds { deadline, processor_time_max },
            ..whole
        };
        let picture = match self.attempt(&task) {
            Ok(Ok(Ok(Decoded::Picture(picture)))) => Some(picture),
            _ => None,
        };
        self.metrics.tried_first_frame(picture.is_some());
        let mut picture = picture?;
        picture.fingerprint.frames_left_out = picture.fingerprint.frames_left_out.max(1);
        picture.fingerprint.later_fault = Some(fault);
        Some(picture)
    }

    /// Sends a file to the process, and returns its answer or how it died.
    fn attempt(&mut self, task: &Task<'_>) -> Result<Attempt, DecoderError> {
        let Task { content, limits, ways, forms, bounds } = task;
        self.pause(bounds.deadline)?;
        let head = decoder::request(content.len(), limits, *ways, forms).encode_to_vec();
        let process = self.running().map_err(DecoderError::Start)?;
        let answered_before = process.answered();
        let answer = process
            .exchange(&head, content, decoder::answer_bytes_max(forms), *bounds)
            .and_then(|answer| outcome(&answer, task));
        Ok(self.conclude(answer, answered_before))
    }

    /// Keeps, renews or ends the process after an answer, or after none. `answered_before` is the number of
    /// images that it had answered before.
    fn conclude(
        &mut self,
        answer: Result<Result<Decoded, DecodeFailure>, Stopped>,
        answered_before: u32,
    ) -> Attempt {
        let outcome = answer.map_err(|stopped| self.end(stopped, answered_before))?;
        self.barren = 0;
        self.retire(&outcome);
        Ok(outcome)
    }

    /// Waits after consecutive failures of processes, so that the machine is not busy with starting them.
    fn pause(&mut self, deadline: Instant) -> Result<(), DecoderError> {
        let now = Instant::now();
        if now >= deadline {
            return Err(DecoderError::OutOfTime);
        }
        if self.process.is_none()
            && let Some(wait) = self.not_before.take().and_then(|until| until.checked_duration_since(now))
        {
            std::thread::sleep(wait.min(deadline - now));
        }
        Ok(())
    }

    /// Ends the process, which stopped for this reason.
    fn end(&mut self, stopped: Stopped, answered: u32) -> WorkerDeath {
        let Some(process) = self.process.take() else { return WorkerDeath::Crashed };
        let death = process.end(stopped);
        self.metrics.died(death);
        // A file that kills its process costs others no more than any slow file does, so this wait does not
        // grow. The first such death causes no wait, and neither does a deadline that the caller set too
        // short.
        if answered == 0 && death != WorkerDeath::Deadline {
            self.barren += 1;
            self.not_before = (self.barren > 1).then(|| Instant::now() + PAUSE_MIN);
        }
        death
    }

    /// Ends a process that has answered its largest number of images, or in which a decoder has failed.
    fn retire(&mut self, outcome: &Result<Decoded, DecodeFailure>) {
        let fault = match outcome {
            Ok(Decoded::Picture(picture)) => picture.fingerprint.later_fault,
            Ok(Decoded::Outside(_)) => None,
            Err(failure) => Some(failure.kind),
        };
        let panicked = fault == Some(DecodeFailureKind::Panicked);
        let is_worn = |process: &Process| panicked || process.answered() >= self.settings.images_max;
        if let Some(process) = self.process.take_if(|process| is_worn(process)) {
            process.retire();
            self.metrics.retired();
        }
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.retire();
            self.metrics.retired();
        }
    }
}

/// Reads the outcome in an answer. A malformed answer comes from a process that is under hostile control or
/// has another version.
fn outcome(answer: &[u8], task: &Task<'_>) -> Result<Result<Decoded, DecodeFailure>, Stopped> {
    let Task { limits, forms, .. } = task;
    let message = pb::DecodeResponse::decode(answer).map_err(|_| Stopped::Malformed)?;
    let outcome = decoder::outcome(message, forms).map_err(|_| Stopped::Malformed)?;
    let is_possible = match &outcome {
        Ok(Decoded::Picture(HashedPicture { fingerprint: picture, .. })) => {
            let sides = 1..=limits.side_px_max;
            sides.contains(&picture.width)
                && sides.contains(&picture.height)
                && picture.frames_seen() <= limits.frames_max
                && picture.frames().all(|frame| frame.ways().all(|(way, _)| way != Way::Other))
        }
        Ok(Decoded::Outside(outside)) => outside.mosaic.check(limits).is_ok(),
        Err(_) => true,
    };
    if is_possible { Ok(outcome) } else { Err(Stopped::Malformed) }
}
