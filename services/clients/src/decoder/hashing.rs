//! The choice of where images are hashed: in decoder processes, or in this process where there are none.
//!
//! ```text
//! sandbox       a process starts     none does, at the start           none does, later
//! off           -                    -                                 -
//! best_effort   in processes         in this process, until one does   no decoder: the image is not decoded
//! required      in processes         the role does not start           no decoder: the image is not decoded
//! ```
//!
//! A role that has had a process never decodes in itself again: whoever can keep processes from starting, by
//! using up memory or process numbers, must not bring hostile files into the role by that.

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

/// The wait before another process is tried where none could be started: doubled with each try, up to the
/// longest.
const RETRY_PAUSE_MIN: Duration = Duration::from_secs(1);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// How a role hashes images. Clones share it.
#[derive(Debug, Clone)]
pub struct Hashing(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: DecoderSettings,
    metrics: DecoderMetrics,
    ffmpeg: Ffmpeg,
    /// The protection of the first process. Never set where there is none.
    processes: OnceLock<Posture>,
    /// Ends the thread that tries again, when the last clone is dropped.
    _alive: Sender<()>,
}

impl Hashing {
    /// Starts a process to see that it can be had, which may take seconds, and ends it. If none can be had
    /// and none is required, a thread tries again from time to time, until one can.
    ///
    /// # Errors
    /// [`StartError`], when protection is required and there is no process or it has less.
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

    /// The protection of hashing.
    #[must_use]
    pub fn posture(&self) -> Posture {
        self.0.processes.get().copied().unwrap_or(Posture::None)
    }

    /// Whether images are hashed in processes of their own: from the first process that could be started on.
    #[must_use]
    pub fn has_processes(&self) -> bool {
        self.0.processes.get().is_some()
    }

    /// The program `ffmpeg` for formats that no decoder here decodes. It is started if that was not done, to
    /// ask what it can do.
    ///
    /// # Errors
    /// [`FfmpegAbsence`], when there is none.
    pub fn ffmpeg(&self) -> Result<FfmpegReport, FfmpegAbsence> {
        let Shared { settings, metrics, ffmpeg, .. } = &*self.0;
        if !self.has_processes() {
            return Err(FfmpegAbsence::NoProcesses);
        }
        let tool = ffmpeg.tool(settings)?;
        metrics.decodes(&tool.decoders);
        Ok(tool.report())
    }

    /// The programs that decode videos. They are started if that was not done, to ask what they can do.
    ///
    /// # Errors
    /// [`FfmpegAbsence`], when one is missing: digests of a video are searched all the same.
    pub fn video(&self) -> Result<VideoReport, FfmpegAbsence> {
        let Shared { settings, metrics, ffmpeg, .. } = &*self.0;
        if !self.has_processes() {
            return Err(FfmpegAbsence::NoProcesses);
        }
        video::report(settings, metrics, ffmpeg)
    }

    /// The hasher of one thread, which stays on the thread that calls this.
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

    /// Logs that there is no process, and starts a thread that tries again.
    fn try_again_later(self: &Arc<Self>, error: &StartError, ended: Receiver<()>) {
        let error: &dyn std::error::Error = error;
        tracing::warn!(
            error,
            "no decoder process can be had: images are decoded in this process until one can"
        );
        let shared = Arc::downgrade(self);
        let thread = std::thread::Builder::new().name("decoder-retry".to_owned());
        if let Err(error) = thread.spawn(move || retry(&shared, &ended)) {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "cannot start the thread that tries decoder processes again");
        }
    }
}

/// Tries to start a process, with pauses, until one can be had or nobody hashes any more.
fn retry(shared: &Weak<Shared>, ended: &Receiver<()>) {
    let mut pause = RETRY_PAUSE_MIN;
    while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        let Some(shared) = shared.upgrade() else { return };
        match shared.try_process() {
            Ok(posture) => {
                tracing::info!(%posture, "decoder processes can be had: images are decoded in them from now on");
                return;
            }
            // A process that was itself taken for a decoder starts none, ever.
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
    /// Decodes and hashes the picture `content` within `limits`, in the ways that `ways` names, and brings
    /// its first frame to `forms`, of which there are at most [`PictureForm::COUNT_MAX`]. In a process of its
    /// own it ends at `deadline`; in this one nothing can end it.
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

    /// Decodes the video `content` within `limits` by the programs `ffprobe` and `ffmpeg`, and hashes the
    /// frames that `sampling` chooses. It ends at `deadline`, or sooner by [`VideoLimits::within`]: with the
    /// frames that were hashed until then, and a reason why they are not all.
    ///
    /// # Errors
    /// [`DecoderError`]: no frame could be hashed, since the file is no video, or a program is missing, has
    /// failed, or ran out of time.
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
        // The test's own program: no decoder.
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

    /// The thread that tries again holds nothing that keeps it alive.
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
