//! Where images are hashed: in decoder processes, or in this process where there are none.

use std::sync::Arc;
use std::time::Instant;

use vigie_media::{Limits, Outside, Ways};
use vigie_model::{DecodeFailure, PictureFingerprint};
use vigie_sandbox::{Posture, Requirement};

use super::failure::{DecoderError, StartError};
use super::ffmpeg::{Ffmpeg, FfmpegAbsence, FfmpegReport, missing};
use super::metrics::DecoderMetrics;
use super::settings::DecoderSettings;
use crate::decoder::Decoder;

/// How a role hashes images, decided when it starts and the same from then on: what happens to a process later must not bring
/// hostile files into the role.
#[derive(Debug, Clone)]
pub struct Hashing {
    place: Place,
    posture: Posture,
    metrics: DecoderMetrics,
}

#[derive(Debug, Clone)]
enum Place {
    Processes { settings: Arc<DecoderSettings>, ffmpeg: Ffmpeg },
    Here { instead: Option<Arc<StartError>> },
}

impl Hashing {
    /// Starts a process to see that it can be had, which may take seconds, and ends it.
    ///
    /// # Errors
    /// [`StartError`], when protection is required and there is no process or it has less.
    pub fn prepare(settings: DecoderSettings, metrics: DecoderMetrics) -> Result<Self, StartError> {
        let (place, posture) = if settings.requirement == Requirement::Off {
            (Place::Here { instead: None }, Posture::None)
        } else {
            match Decoder::new(settings.clone(), metrics.clone()).start() {
                Ok(posture) => {
                    (Place::Processes { settings: Arc::new(settings), ffmpeg: Ffmpeg::new() }, posture)
                }
                Err(error) if settings.requirement == Requirement::Required => return Err(error),
                Err(error) => (Place::Here { instead: Some(Arc::new(error)) }, Posture::None),
            }
        };
        metrics.protected_by(posture);
        Ok(Self { place, posture, metrics })
    }

    /// The protection of hashing.
    #[must_use]
    pub const fn posture(&self) -> Posture {
        self.posture
    }

    /// Whether images are hashed in processes of their own.
    #[must_use]
    pub const fn has_processes(&self) -> bool {
        matches!(self.place, Place::Processes { .. })
    }

    /// Why images are hashed in this process although they were to be hashed in processes of their own.
    #[must_use]
    pub fn instead(&self) -> Option<&StartError> {
        match &self.place {
            Place::Here { instead } => instead.as_deref(),
            Place::Processes { .. } => None,
        }
    }

    /// The program `ffmpeg` for formats that no decoder here decodes. It is started if that was not done, to ask what it can do.
    ///
    /// # Errors
    /// [`FfmpegAbsence`], when there is none.
    pub fn ffmpeg(&self) -> Result<FfmpegReport, FfmpegAbsence> {
        match &self.place {
            Place::Processes { settings, ffmpeg } => {
                let tool = ffmpeg.tool(settings)?;
                self.metrics.decodes(&tool.decoders);
                Ok(tool.report())
            }
            Place::Here { .. } => Err(FfmpegAbsence::NoProcesses),
        }
    }

    /// What one thread hashes with. It stays on the thread that calls this.
    #[must_use]
    pub fn hasher(&self) -> Hasher {
        match &self.place {
            Place::Processes { settings, ffmpeg } => {
                let decoder = Decoder::with((**settings).clone(), self.metrics.clone(), ffmpeg.clone());
                Hasher { decoder: Some(decoder) }
            }
            Place::Here { .. } => Hasher { decoder: None },
        }
    }
}

/// Hashes the images of one thread.
#[derive(Debug)]
pub struct Hasher {
    decoder: Option<Decoder>,
}

impl Hasher {
    /// Decodes and hashes the picture `content` within `limits`, in the ways that `ways` names. In a process of its own it ends
    /// at `deadline`; in this one nothing can end it.
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
        match &mut self.decoder {
            Some(decoder) => decoder.hash(content, limits, ways, deadline),
            None => {
                let failed = |error| DecoderError::Decode(DecodeFailure::from(error));
                match Outside::read(content, limits).map_err(failed)? {
                    Some(outside) => {
                        Err(DecoderError::Decode(missing(outside.coding, &FfmpegAbsence::NoProcesses)))
                    }
                    None => vigie_media::picture(content, limits, ways).map_err(failed),
                }
            }
        }
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
    fn best_effort_hashes_here_where_there_is_no_process_and_says_why() {
        let hashing = prepare(Requirement::BestEffort).unwrap();
        assert!(!hashing.has_processes());
        assert!(matches!(hashing.instead(), Some(StartError::Foreign { .. })));
        let outcome = hashing.hasher().hash(b"", &Limits::default(), Ways::default(), Instant::now());
        assert!(matches!(outcome, Err(DecoderError::Decode(_))));
    }

    #[test]
    fn required_is_refused_where_there_is_no_process_and_off_starts_none() {
        assert!(matches!(prepare(Requirement::Required), Err(StartError::Foreign { .. })));
        let off = prepare(Requirement::Off).unwrap();
        assert!(!off.has_processes() && off.instead().is_none());
    }
}
