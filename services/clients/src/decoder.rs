//! Decoder processes: one for each hashing thread, used for one image after the other.
//!
//! A [`Decoder`] owns at most one process at a time and hides that it may die: what a hostile file can do to
//! it ends in one answer for that file.
//!
//! ```text
//! Decoder::hash(content, deadline)
//!   |-- a file of several frames: a part of the time is for the first frame alone
//!   |-- no process: start one, and check its first bytes and its posture
//!   |-- request ->  <- answer, both bounded; at the deadline or at the bound of processor time the process
//!   |   is killed
//!   |-- the process died: wait for it, name the kind; once more in a fresh one if it had answered others
//!   |   before; then once for the first frame alone, in a fresh one, if a later frame may be the cause
//!   +-- after 1,000 images: a new process
//! ```
//!
//! Always true:
//! - One image at a time: which image a death belongs to is never in doubt.
//! - A process that has died or was killed has been waited for, and its pipes are closed, before the answer
//!   is given.
//! - What a process sends is bounded and checked like the message of a stranger: it may have been taken over.
//!
//! A caller that has classifiers names the forms in which it wants the first frame as pixels; nobody else's
//! picture crosses as such.
//!
//! A picture that no decoder here decodes is decoded by the program `ffmpeg` where that is installed
//! (`ffmpeg`): the process reads what of the file the program needs, and then hashes the program's pixels,
//! which pass through this process piece by piece (`outside`). A video is decoded by that program too, and
//! hashed by the calling thread: its frames are raw, and nothing of them is parsed (`video`).
//!
//! Reading order: `failure`, `settings`, `watch` (waiting within bounds), `child`, `process`, `ffmpeg`,
//! `outside`, `metrics`, `video`, then [`Decoder`], and [`Hashing`] for those that choose between processes
//! and none.

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

/// The wait before the next process when one could not be started: doubled with each in a row, up to the
/// longest.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Processor time for the first frame of a file that killed its process. A decoder begins no later frame
/// after [`Limits::FURTHER_FRAMES_WITHIN`], so a first frame before one has taken less; half as much again is
/// for a busy machine.
const FIRST_FRAME_PROCESSOR_TIME_MAX: Duration = Duration::from_secs(3);
const _: () =
    assert!(FIRST_FRAME_PROCESSOR_TIME_MAX.as_millis() * 2 >= Limits::FURTHER_FRAMES_WITHIN.as_millis() * 3);

/// The shares of a file's time after which no further frame is begun, and after which a file of several
/// frames is ended. The rest is for the first frame alone.
const FURTHER_FRAMES_SHARE: f64 = 0.5;
const SEVERAL_FRAMES_SHARE: f64 = 0.75;

/// A file, and the order to decode it.
#[derive(Clone, Copy)]
struct Task<'a> {
    content: &'a [u8],
    limits: Limits,
    ways: Ways,
    /// In which the first frame is wanted as pixels.
    forms: &'a [PictureForm],
    bounds: Bounds,
}

/// The outcome of a file in one process.
type Attempt = Result<Result<Decoded, DecodeFailure>, WorkerDeath>;

/// A thread's decoder process, started when it is needed.
///
/// A decoder stays on the thread that made it: Linux ends the process when that thread ends.
#[derive(Debug)]
pub struct Decoder {
    settings: DecoderSettings,
    metrics: DecoderMetrics,
    ffmpeg: Ffmpeg,
    process: Option<Process>,
    /// Processes in a row that could not be started.
    failed_starts: u32,
    /// Processes in a row that died without having answered anything.
    barren: u32,
    not_before: Option<Instant>,
    _stays_on_its_thread: PhantomData<*const ()>,
}

impl Decoder {
    /// A decoder without a process. Its figures go to `metrics`.
    #[must_use]
    pub fn new(settings: DecoderSettings, metrics: DecoderMetrics) -> Self {
        Self::with(settings, metrics, Ffmpeg::new())
    }

    /// The same, with what is known of `ffmpeg`.
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
    /// [`StartError`], when it cannot be started or has less protection than is required.
    pub fn start(&mut self) -> Result<Posture, StartError> {
        self.running().map(|process| process.posture())
    }

    /// The process, started if there is none.
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

    /// The process's number, while there is one.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Decodes and hashes the picture `content` within `limits`, in the ways that `ways` names, until
    /// `deadline`; also brings its first frame to `forms`, of which there are at most
    /// [`PictureForm::COUNT_MAX`].
    ///
    /// Where a later frame may have killed the process, the answer has the first frame alone, with the fault
    /// and with the others among the frames left out.
    ///
    /// # Errors
    /// [`DecoderError`]: the file is no picture, its process died of it, the time is up, or there is no
    /// process.
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
        // The fault may be that of an image before.
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

    /// Decodes the first frame alone of a file that `death` ended, where a later frame may have been the
    /// cause. Once: if the first frame cannot be had either, the file has the failure that it had.
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

    /// Keeps, renews or ends the process after an answer, or after none. It had answered so many images
    /// before.
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

    /// Waits where processes have failed in a row, so that starting them is not all that the machine does.
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

    /// Ends the process that stopped as described.
    fn end(&mut self, stopped: Stopped, answered: u32) -> WorkerDeath {
        let Some(process) = self.process.take() else { return WorkerDeath::Crashed };
        let death = process.end(stopped);
        self.metrics.died(death);
        // A file that kills its process costs others no more than any slow file does: so this wait does not
        // grow. The first such death has none, and a caller who wants answers sooner than they can be had
        // causes none.
        if answered == 0 && death != WorkerDeath::Deadline {
            self.barren += 1;
            self.not_before = (self.barren > 1).then(|| Instant::now() + PAUSE_MIN);
        }
        death
    }

    /// Ends a process that has answered often enough, or in which a decoder has failed.
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

/// The outcome that an answer holds. A malformed answer is that of a process that was taken over or is of
/// another version.
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
