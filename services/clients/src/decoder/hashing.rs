//! Chooses where images are hashed: in decoder processes, or in this process if none can be started.
//!
//! ```text
//! sandbox       a process starts     none does, at the start           none does, later
//! off           -                    -                                 -
//! best_effort   in processes         in this process, until one does   no decoder: the image is not decoded
//! required      in processes         the role does not start           no decoder: the image is not decoded
//! ```
//!
//! A role that has had a process never decodes in itself again: an attacker who prevents processes from
//! starting, by using up memory or process ids, must not be able to bring hostile files into the role.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use vigie_classifiers::PictureForm;
use vigie_media::video::{Sampling, VideoLimits};
use vigie_media::{HashedPicture, Limits, Outside, Ways};
use vigie_model::{DecodeFailure, VideoFingerprint};
use vigie_sandbox::{Posture, Requirement};

use super::failure::{DecoderError, StartError};
use super::ffmpeg::{Ffmpeg, FfmpegAbsence, FfmpegReport, VideoReport, missing, missing_for_video};
use super::metrics::DecoderMetrics;
use super::settings::DecoderSettings;
use super::video;
use crate::decoder::Decoder;

/// The wait before another attempt to start a process, doubled with each attempt, up to the longest wait.
const RETRY_PAUSE_MIN: Duration = Duration::from_secs(1);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// The hashing of one role. Clones share its state.
#[derive(Debug, Clone)]
pub struct Hashing(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: DecoderSettings,
    metrics: DecoderMetrics,
    ffmpeg: Ffmpeg,
    /// The protection of the first process. Not set while there has been none.
    processes: OnceLock<Posture>,
    /// Ends the thread that retries, when the last clone is dropped.
    _alive: Sender<()>,
}

impl Hashing {
    /// Starts a process as a test, which may take seconds, and ends it. If it fails and protection is not
    /// required, a thread retries from time to time until it succeeds.
    ///
    /// # Errors
    /// [`StartError`], if protection is required and there is no process or it has less.
    pub fn prepare(settings: DecoderSettings, metrics: DecoderMetrics) -> Result<Self, StartError> {
        let (alive, ended) = channel();
        let requirement = settings.requirement;
        let (ffmpeg, processes) = (Ffmpeg::new(), OnceLock::new());
        let shared = Arc::new(Shared { settings, metrics, ffmpeg, processes, _alive: alive });
        shared.metrics.protected_by(Posture::None);
        if requirement != Requirement::Off {
            match shared.try_process() {
                Ok(_) => {}
                Err(error) if requirement == Requirement::Required => return Err(error),
                Err(error) => shared.try_again_later(&error, ended),
            }
        }
        Ok(Self(shared))
    }

    /// Returns the protection of hashing.
    #[must_use]
    pub fn posture(&self) -> Posture {
        self.0.processes.get().copied().unwrap_or(Posture::None)
    }

    /// Returns whether images are hashed in separate processes, which is so once a process has been started.
    #[must_use]
    pub fn has_processes(&self) -> bool {
        self.0.processes.get().is_some()
    }

    /// Returns the program `ffmpeg` for formats without a built-in decoder. If that has not been done, the
    /// program is run to read its decoders.
    ///
    /// # Errors
    /// [`FfmpegAbsence`], if there is none.
    pub fn ffmpeg(&self) -> Result<FfmpegReport, FfmpegAbsence> {
        let Shared { settings, metrics, ffmpeg, .. } = &*self.0;
        if !self.has_processes() {
            return Err(FfmpegAbsence::NoProcesses);
        }
        let tool = ffmpeg.tool(settings)?;
        metrics.decodes(&tool.decoders);
        Ok(tool.report())
    }

    /// Returns the programs that decode videos. If that has not been done, they are run to read their
    /// decoders.
    ///
    /// # Errors
    /// [`FfmpegAbsence`], if one is missing; videos are then searched by their digests alone.
    pub fn video(&self) -> Result<VideoReport, FfmpegAbsence> {
        let Shared { settings, metrics, ffmpeg, .. } = &*self.0;
        if !self.has_processes() {
            return Err(FfmpegAbsence::NoProcesses);
        }
        video::report(settings, metrics, ffmpeg)
    }

    /// Returns the hasher of one thread. It stays on the calling thread.
    #[must_use]
    pub fn hasher(&self) -> Hasher {
        Hasher { hashing: self.clone(), decoder: None }
    }
}

impl Shared {
    /// Starts a process and ends it. If that succeeds, images are hashed in processes from then on.
    fn try_process(&self) -> Result<Posture, StartError> {
        let posture = Decoder::new(self.settings.clone(), self.metrics.clone()).start()?;
        Ok(*self.processes.get_or_init(|| posture))
    }

    /// Logs that there is no process, and starts a thread that retries.
    fn try_again_later(self: &Arc<Self>, error: &StartError, ended: Receiver<()>) {
        let error: &dyn std::error::Error = error;
        tracing::warn!(
            error,
            "cannot start a decoder process: images are decoded in this process until one starts"
        );
        let shared = Arc::downgrade(self);
        let thread = std::thread::Builder::new().name("decoder-retry".to_owned());
        if let Err(error) = thread.spawn(move || retry(&shared, &ended)) {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "cannot start the thread that tries decoder processes again");
        }
    }
}

/// Tries to start a process, with pauses, until it succeeds or the last clone is dropped.
fn retry(shared: &Weak<Shared>, ended: &Receiver<()>) {
    let mut pause = RETRY_PAUSE_MIN;
    while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let Some(shared) = shared.upgrade() else { return };
        match shared.try_process() {
            Ok(posture) => {
                tracing::info!(%posture, "decoder processes can start: images are decoded in them from now on");
                return;
            }
            // A process that was itself started as a decoder must never start one.
            Err(StartError::Nested) => return,
            Err(_) => pause = pause.saturating_mul(2).min(RETRY_PAUSE_MAX),
        }
    }
}

/// Hashes the images and videos of one thread.
#[derive(Debug)]
pub struct Hasher {
    hashing: Hashing,
    decoder: Option<Decoder>,
}

impl Hasher {
    /// Decodes and hashes the picture `content` within `limits`, in the ways of `ways`, and converts its
    /// first frame to `forms`, at most [`PictureForm::COUNT_MAX`] of them. In a decoder process it ends at
    /// `deadline`; in this process nothing can end it.
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
        if !self.hashing.has_processes() {
            let failed = |error| DecoderError::Decode(DecodeFailure::from(error));
            return match Outside::read(content, limits).map_err(failed)? {
                Some(outside) => {
                    Err(DecoderError::Decode(missing(outside.coding, &FfmpegAbsence::NoProcesses)))
                }
                None => vigie_media::picture_in_forms(content, limits, ways, forms).map_err(failed),
            };
        }
        let Shared { settings, metrics, ffmpeg, .. } = &*self.hashing.0;
        let new = || Decoder::with(settings.clone(), metrics.clone(), ffmpeg.clone());
        let decoder = self.decoder.get_or_insert_with(new);
        decoder.hash(content, limits, ways, forms, deadline)
    }

    /// Decodes the video `content` within `limits` with the programs `ffprobe` and `ffmpeg`, and hashes the
    /// frames that `sampling` selects. It ends at `deadline`, or sooner by [`VideoLimits::within`], with the
    /// frames that were hashed until then and the reason why frames are missing.
    ///
    /// # Errors
    /// [`DecoderError`]: no frame could be hashed, because the file is not a video, or a program is missing,
    /// has failed, or ran out of time.
    pub fn hash_video(
        &mut self,
        content: &[u8],
        limits: &VideoLimits,
        sampling: Sampling,
        deadline: Instant,
    ) -> Result<VideoFingerprint, DecoderError> {
        if !self.hashing.has_processes() {
            return Err(DecoderError::Decode(missing_for_video(&FfmpegAbsence::NoProcesses)));
        }
        let Shared { settings, metrics, ffmpeg, .. } = &*self.hashing.0;
        video::hash(settings, metrics, ffmpeg, content, limits, sampling, deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepare(requirement: Requirement) -> Result<Hashing, StartError> {
        // The test's own program, which is not a decoder.
        let settings = DecoderSettings { requirement, ..DecoderSettings::for_limits(&Limits::default()) };
        Hashing::prepare(settings, DecoderMetrics::default())
    }

    #[test]
    fn best_effort_hashes_here_where_there_is_no_process() {
        let hashing = prepare(Requirement::BestEffort).unwrap();
        assert_eq!((hashing.has_processes(), hashing.posture()), (false, Posture::None));
        let outcome = hashing.hasher().hash(b"", &Limits::default(), Ways::default(), &[], Instant::now());
        assert!(matches!(outcome, Err(DecoderError::Decode(_))));
    }

    #[test]
    fn required_is_refused_where_there_is_no_process_and_off_starts_none() {
        assert!(matches!(prepare(Requirement::Required), Err(StartError::Foreign { .. })));
        assert!(!prepare(Requirement::Off).unwrap().has_processes());
    }

    /// The thread that retries holds nothing that keeps the state alive.
    #[test]
    fn nothing_is_tried_where_nobody_hashes_any_more() {
        let (alive, ended) = channel();
        let thread = std::thread::spawn(move || retry(&Weak::new(), &ended));
        drop(alive);
        let begun = Instant::now();
        thread.join().unwrap();
        assert!(begun.elapsed() < RETRY_PAUSE_MIN, "{:?}", begun.elapsed());
    }
}
