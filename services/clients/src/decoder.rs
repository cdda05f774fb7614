//! Decoder processes: one for each hashing thread, used for one image after the other.
//!
//! A [`Decoder`] owns at most one process at a time and hides that it may die: what a hostile file can do to it ends in one
//! answer for that file.
//!
//! ```text
//! Decoder::hash(content, deadline)
//!   |-- no process: start one, and check its first bytes and its posture
//!   |-- request ->  <- answer, both bounded; at the deadline or at the bound of processor time the process is killed
//!   |-- the process died: wait for it, name the kind; once more in a fresh one if it had answered others before
//!   +-- after 1,000 images: a new process
//! ```
//!
//! Always true:
//! - One image at a time: which image a death belongs to is never in doubt.
//! - A process that has died or was killed has been waited for, and its pipes are closed, before the answer is given.
//! - What a process sends is bounded and checked like the message of a stranger: it may have been taken over.
//!
//! A picture that no decoder here decodes is decoded by the program `ffmpeg` where that is installed (`ffmpeg`): the process reads
//! what of the file the program needs, and then hashes the program's pixels, which pass through this process piece by piece
//! (`outside`).
//!
//! Reading order: `failure`, `settings`, `pipes` and `watch` (waiting within bounds), `child`, `process`, `ffmpeg`, `outside`, `metrics`, then
//! [`Decoder`], and [`Hashing`] for those that choose between processes and none.

mod failure;
mod settings;
mod watch;
mod pipes;
mod child;
mod process;
mod ffmpeg;
mod outside;
mod metrics;
mod hashing;

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use prost::Message as _;
use vigie_media::{DecodeError, Limits, Ways};
use vigie_model::{DecodeFailure, PictureFingerprint, Way};
use vigie_proto::decoder::{self, Decoded};
use vigie_proto::pb::decoder::v1 as pb;
use vigie_sandbox::Posture;

pub use failure::{DecoderError, StartError, WorkerDeath};
pub use ffmpeg::{FfmpegAbsence, FfmpegReport, is_program};
pub use hashing::{Hasher, Hashing};
pub use metrics::DecoderMetrics;
pub use settings::DecoderSettings;

use child::{START_WITHIN, Stopped};
use ffmpeg::Ffmpeg;
use process::Process;
use watch::Bounds;

/// The wait before the next process when one could not be started: doubled with each in a row, up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// A thread's decoder process, started when it is needed.
///
/// It stays on the thread that made it: Linux ends the process when that thread ends.
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
        if let Some(process) = &self.process {
            return Ok(process.posture());
        }
        let started = Process::start(&self.settings, Instant::now() + START_WITHIN);
        let posture = match &started {
            Ok(process) => process.posture(),
            Err(_) => {
                self.metrics.start_failed();
                let pause = PAUSE_MIN.saturating_mul(1 << self.failed_starts.min(10)).min(PAUSE_MAX);
                self.failed_starts += 1;
                self.not_before = Some(Instant::now() + pause);
                return started.map(|process| process.posture());
            }
        };
        self.failed_starts = 0;
        self.metrics.started(posture);
        self.process = started.ok();
        Ok(posture)
    }

    /// The process's number, while there is one.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Decodes and hashes the picture `content` within `limits`, in the ways that `ways` names, until `deadline`.
    ///
    /// # Errors
    /// [`DecoderError`]: the file is no picture, its process died of it, the time is up, or there is no process.
    pub fn hash(
        &mut self,
        content: &[u8],
        limits: &Limits,
        ways: Ways,
        deadline: Instant,
    ) -> Result<PictureFingerprint, DecoderError> {
        if content.len() > limits.input_bytes_max {
            let (bytes, bytes_max) = (content.len(), limits.input_bytes_max);
            return Err(DecoderError::Decode(DecodeError::InputTooLarge { bytes, bytes_max }.into()));
        }
        let head = decoder::request(content.len(), limits, ways).encode_to_vec();
        match self.ask(limits, deadline, |process, bounds| process.exchange(&head, content, bounds))? {
            Decoded::Picture(picture) => Ok(picture),
            Decoded::Outside(outside) => self.hash_outside(content, &outside, limits, ways, deadline),
        }
    }

    /// Asks a process, and once more a fresh one if the fault may be that of an image before.
    fn ask(
        &mut self,
        limits: &Limits,
        deadline: Instant,
        exchange: impl Fn(&mut Process, Bounds) -> Result<Vec<u8>, Stopped>,
    ) -> Result<Decoded, DecoderError> {
        let mut is_second = false;
        loop {
            self.pause(deadline)?;
            self.start().map_err(DecoderError::Start)?;
            let Some(process) = &mut self.process else { continue };
            let answered_before = process.answered();
            let bounds = Bounds { deadline, processor_time_max: self.settings.processor_time_max };
            let answer = exchange(process, bounds).and_then(|answer| outcome(&answer, limits));
            let death = match answer {
                Ok(outcome) => {
                    self.barren = 0;
                    self.retire(&outcome);
                    return outcome.map_err(DecoderError::Decode);
                }
                Err(stopped) => self.end(stopped, answered_before),
            };
            let may_be_others = answered_before > 0 && death.may_be_of_others();
            if is_second || !may_be_others {
                return Err(death.into());
            }
            is_second = true;
        }
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
        // A file that kills its process costs others no more than any slow file does: so this wait does not grow. The first such
        // death has none, and a caller who wants answers sooner than they can be had causes none.
        if answered == 0 && death != WorkerDeath::Deadline {
            self.barren += 1;
            self.not_before = (self.barren > 1).then(|| Instant::now() + PAUSE_MIN);
        }
        death
    }

    /// Ends a process that has answered often enough, or in which a decoder has failed.
    fn retire(&mut self, outcome: &Result<Decoded, DecodeFailure>) {
        let panicked =
            outcome.as_ref().is_err_and(|failure| failure.kind == vigie_model::DecodeFailureKind::Panicked);
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

/// What an answer says. One that is malformed is that of a process that was taken over or is of another version.
fn outcome(answer: &[u8], limits: &Limits) -> Result<Result<Decoded, DecodeFailure>, Stopped> {
    let message = pb::DecodeResponse::decode(answer).map_err(|_| Stopped::Malformed)?;
    let outcome = decoder::outcome(message).map_err(|_| Stopped::Malformed)?;
    let is_possible = match &outcome {
        Ok(Decoded::Picture(picture)) => {
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
