//! Why `ffmpeg` has decoded nothing, in words for the one who sent the picture.

use thiserror::Error;
use vigie_media::outside::Coding;
use vigie_model::{DecodeFailure, DecodeFailureKind};

use super::tool::Tool;
use crate::decoder::failure::{DecoderError, WorkerDeath};

/// Why there is no `ffmpeg`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FfmpegAbsence {
    /// The setting names none.
    #[error("the setting `ffmpeg` names no program")]
    Off,
    /// There is no such program.
    #[error("the program ffmpeg is not installed")]
    NotFound,
    /// There is `ffmpeg`, and no `ffprobe` beside it: no video can be decoded.
    #[error("the program ffprobe is not installed beside ffmpeg")]
    NoProber,
    /// The program does not answer as `ffmpeg` does.
    #[error("the program does not answer as ffmpeg does")]
    Foreign,
    /// It cannot be started with the protection that is required.
    #[error("the program ffmpeg cannot be started with the protection that is required")]
    Unprotected,
    /// There are no processes to run it in.
    #[error("images are decoded without processes, and ffmpeg needs one")]
    NoProcesses,
}

/// How to get it, by system.
pub(super) const INSTALL: &str =
    "Debian and Ubuntu: apt install ffmpeg; Fedora: dnf install ffmpeg-free; macOS: brew install ffmpeg";

/// The failure of a picture for which there is no program.
pub(in crate::decoder) fn missing(coding: Coding, absence: &FfmpegAbsence) -> DecodeFailure {
    let format = coding.format();
    let message = format!(
        "{format} needs a decoder that is not available here ({absence}): install ffmpeg ({INSTALL}), or convert the picture to JPEG \
         or PNG"
    );
    DecodeFailure { kind: DecodeFailureKind::DecoderMissing, message }
}

/// The failure of a picture for which the program has no decoder.
pub(in crate::decoder) fn without_decoder(coding: Coding, tool: &Tool) -> DecodeFailure {
    let (format, version) = (coding.format(), &tool.version);
    let wanted = match coding {
        Coding::Jpeg2000 => "the decoder jpeg2000",
        Coding::Hevc => "the decoder hevc",
        Coding::JpegXl => "the decoder libjxl, which versions from 5.1 on can have",
    };
    let message = format!(
        "{format} needs a decoder that is not available here: the ffmpeg of version {version} is built without it; install one that has {wanted}, or \
         convert the picture to JPEG or PNG"
    );
    DecodeFailure { kind: DecodeFailureKind::DecoderMissing, message }
}

/// Why a run gave no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::decoder) enum RunFault {
    /// It was stopped, or has died.
    Died(WorkerDeath),
    /// It ended by itself and says that it cannot.
    Refused,
    /// Its picture is of another size than the file declares.
    OtherSize,
    /// It could not be started.
    NotStarted,
}

impl RunFault {
    /// All names.
    pub(in crate::decoder) const NAMES: [&str; 8] = [
        WorkerDeath::Crashed.name(),
        WorkerDeath::OutOfMemory.name(),
        WorkerDeath::RefusedCall.name(),
        WorkerDeath::ProcessorTime.name(),
        WorkerDeath::Deadline.name(),
        Self::Refused.name(),
        Self::OtherSize.name(),
        Self::NotStarted.name(),
    ];

    /// The name in metrics.
    pub(in crate::decoder) const fn name(self) -> &'static str {
        match self {
            Self::Died(death) => death.name(),
            Self::Refused => "refused",
            Self::OtherSize => "other_size",
            Self::NotStarted => "not_started",
        }
    }

    /// The error that the picture gets.
    pub(in crate::decoder) fn error(self, coding: Coding, tool: &Tool) -> DecoderError {
        let (format, version) = (coding.format(), &tool.version);
        let (kind, message) = match self {
            Self::Died(death) => return death.into(),
            Self::Refused => (
                DecodeFailureKind::Corrupt,
                format!(
                    "ffmpeg {version} cannot decode this {format} picture: it is damaged, or uses what this version does not know; send a file \
                     that image viewers open without error, or convert it to JPEG or PNG"
                ),
            ),
            Self::OtherSize => (
                DecodeFailureKind::Unsupported,
                format!(
                    "ffmpeg {version} gives this {format} picture another size than its file declares, so its pixels are not to be trusted; a \
                     newer version may do better, or convert it to JPEG or PNG"
                ),
            ),
            Self::NotStarted => (
                DecodeFailureKind::DecoderMissing,
                format!("ffmpeg {version} could not be started for this {format} picture; try again later"),
            ),
        };
        DecoderError::Decode(DecodeFailure { kind, message })
    }
}
