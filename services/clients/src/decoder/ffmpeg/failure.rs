//! The reasons why `ffmpeg` has decoded nothing, in messages for the sender of the picture.

use thiserror::Error;
use vigie_media::outside::Coding;
use vigie_model::{DecodeFailure, DecodeFailureKind};

use super::tool::Tool;
use crate::decoder::failure::{DecoderError, WorkerDeath};

/// The reason why `ffmpeg` is not available.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FfmpegAbsence {
    /// The setting names no program.
    #[error("the setting `ffmpeg` names no program")]
    Off,
    /// The program is not installed.
    #[error("the program ffmpeg is not installed")]
    NotFound,
    /// There is `ffmpeg`, and no `ffprobe` beside it: no video can be decoded.
    #[error("the program ffprobe is not installed beside ffmpeg")]
    NoProber,
    /// The program does not answer like `ffmpeg`.
    #[error("the program does not answer as ffmpeg does")]
    Foreign,
    /// The program cannot be started with the required protection.
    #[error("the program ffmpeg cannot be started with the protection that is required")]
    Unprotected,
    /// There are no decoder processes to run the program in.
    #[error("images are decoded without processes, and ffmpeg needs one")]
    NoProcesses,
}

/// How to install the program, by system.
pub(super) const INSTALL: &str =
    "Debian and Ubuntu: apt install ffmpeg; Fedora: dnf install ffmpeg-free; macOS: brew install ffmpeg";

/// Returns the failure of a picture whose program is not available.
pub(in crate::decoder) fn missing(coding: Coding, absence: &FfmpegAbsence) -> DecodeFailure {
    let format = coding.format();
    let message = format!(
        "{format} needs a decoder that is not available here ({absence}): install ffmpeg ({INSTALL}), or convert the picture to JPEG \
         or PNG"
    );
    DecodeFailure { kind: DecodeFailureKind::DecoderMissing, message }
}

/// Returns the failure of a picture for which the program has no decoder.
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

/// The reason why a run gave no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::decoder) enum RunFault {
    /// The program was stopped, or has died.
    Died(WorkerDeath),
    /// The program exited with an error.
    Refused,
    /// The size of the picture is not the declared one.
    OtherSize,
    /// The program could not be started.
    NotStarted,
}

impl RunFault {
    /// Every name.
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

    /// Returns the name in metrics.
    pub(in crate::decoder) const fn name(self) -> &'static str {
        match self {
            Self::Died(death) => death.name(),
            Self::Refused => "refused",
            Self::OtherSize => "other_size",
            Self::NotStarted => "not_started",
        }
    }

    /// Returns the error of the picture.
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
