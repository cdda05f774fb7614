//! The reasons why a video has no hashes, in messages for its sender.

use std::time::Instant;

use vigie_media::video::{Container, VideoLimits};
use vigie_model::{DecodeFailure, DecodeFailureKind};

use crate::decoder::failure::WorkerDeath;
use crate::decoder::ffmpeg::failure::{FfmpegAbsence, INSTALL, RunFault};
use crate::decoder::ffmpeg::tool::Tool;

/// The reason why a video has no hashes.
#[derive(Debug)]
pub(in crate::decoder) enum VideoFault {
    /// The file is at fault, or a program is missing.
    Failure(DecodeFailure),
    /// The caller's deadline passed first.
    OutOfTime,
}

impl From<DecodeFailure> for VideoFault {
    fn from(failure: DecodeFailure) -> Self {
        Self::Failure(failure)
    }
}

/// Returns the failure of a video for which a program is missing.
pub(in crate::decoder) fn missing(absence: &FfmpegAbsence) -> DecodeFailure {
    let message = format!(
        "videos need the programs ffmpeg and ffprobe, which are not available here ({absence}): install ffmpeg ({INSTALL}); digests \
         of the file do without"
    );
    DecodeFailure { kind: DecodeFailureKind::DecoderMissing, message }
}

/// Returns the failure of content that does not begin like a video.
pub(super) fn unknown() -> DecodeFailure {
    let names: Vec<&str> = Container::ALL.into_iter().map(Container::name).collect();
    let message = format!("the content is in no known video format: {} are accepted", names.join(", "));
    DecodeFailure { kind: DecodeFailureKind::UnknownFormat, message }
}

/// Returns the failure of a file that has streams but no video.
pub(super) fn no_video(container: Container) -> DecodeFailure {
    let name = container.name();
    let message = format!("the {name} file has no video: sound, text or a cover picture alone");
    DecodeFailure { kind: DecodeFailureKind::NoVideo, message }
}

/// Returns the failure of a video whose first frame is too late.
pub(super) fn late(limits: &VideoLimits) -> DecodeFailure {
    let seconds = limits.length_max.as_secs();
    let message = format!("the first frame of the video is later than the {seconds} seconds that are hashed");
    DecodeFailure { kind: DecodeFailureKind::Unsupported, message }
}

impl VideoFault {
    /// Returns the fault of a run that gave no frame.
    pub(super) fn of_run(
        fault: RunFault,
        container: Container,
        is_cut_off: bool,
        deadline: Instant,
        tool: &Tool,
    ) -> Self {
        let (name, version) = (container.name(), &tool.version);
        let (kind, message) = match fault {
            RunFault::Died(WorkerDeath::Deadline) if Instant::now() >= deadline => return Self::OutOfTime,
            RunFault::Died(WorkerDeath::Deadline | WorkerDeath::ProcessorTime) => (
                DecodeFailureKind::TimedOut,
                format!(
                    "decoding the first frame of this {name} video took more time than one video may have"
                ),
            ),
            RunFault::Died(WorkerDeath::Crashed) => (
                DecodeFailureKind::Crashed,
                format!("ffmpeg {version} crashed on this {name} video: it was not hashed"),
            ),
            RunFault::Died(WorkerDeath::OutOfMemory) => (
                DecodeFailureKind::OutOfMemory,
                format!("decoding this {name} video needs more memory than one video may have"),
            ),
            RunFault::Died(WorkerDeath::RefusedCall) => (
                DecodeFailureKind::RefusedCall,
                format!("ffmpeg {version} made a forbidden system call on this {name} video: it was stopped"),
            ),
            RunFault::Refused if is_cut_off => (
                DecodeFailureKind::Truncated,
                format!(
                    "the {name} file is truncated, before anything of it can be decoded: send the whole file"
                ),
            ),
            RunFault::Refused => (
                DecodeFailureKind::Corrupt,
                format!(
                    "ffmpeg {version} cannot decode this {name} video: it is damaged, or coded in a way that this version does not know; send a \
                     file that video players open without error, or convert it to MP4"
                ),
            ),
            RunFault::OtherSize => (
                DecodeFailureKind::Unsupported,
                format!("ffmpeg {version} wrote malformed frames of this {name} video: it was not hashed"),
            ),
            RunFault::NotStarted => (
                DecodeFailureKind::DecoderMissing,
                format!("ffmpeg {version} could not be started for this {name} video; try again later"),
            ),
        };
        Self::Failure(DecodeFailure { kind, message })
    }
}
