//! Videos, which external programs decode and the calling thread hashes.

use std::time::Instant;

use vigie_media::video::{Sampling, VideoLimits};
use vigie_model::VideoFingerprint;

use super::failure::DecoderError;
use super::ffmpeg::{Ffmpeg, FfmpegAbsence, VideoFault, VideoOrder, VideoReport, missing_for_video};
use super::metrics::DecoderMetrics;
use super::settings::DecoderSettings;

/// Returns how the programs decode videos here. They are searched for if that has not been done.
pub(super) fn report(
    settings: &DecoderSettings,
    metrics: &DecoderMetrics,
    ffmpeg: &Ffmpeg,
) -> Result<VideoReport, FfmpegAbsence> {
    let tool = ffmpeg.tool(settings);
    let report = tool.and_then(|tool| tool.video().ok_or(FfmpegAbsence::NoProber));
    metrics.decodes_video(report.is_ok());
    report
}

/// Decodes a video and hashes its frames.
pub(super) fn hash(
    settings: &DecoderSettings,
    metrics: &DecoderMetrics,
    ffmpeg: &Ffmpeg,
    content: &[u8],
    limits: &VideoLimits,
    sampling: Sampling,
    deadline: Instant,
) -> Result<VideoFingerprint, DecoderError> {
    let hashed = report(settings, metrics, ffmpeg)
        .and_then(|_| ffmpeg.tool(settings))
        .map_err(|absence| VideoFault::Failure(missing_for_video(&absence)))
        .and_then(|tool| {
            metrics.ran_for_video();
            VideoOrder { settings, tool: &tool, content, limits, sampling, deadline }.hash()
        });
    let hashed = hashed.map_err(|fault| match fault {
        VideoFault::Failure(failure) => DecoderError::Decode(failure),
        VideoFault::OutOfTime => DecoderError::OutOfTime,
    });
    metrics.hashed_video(&hashed);
    hashed
}
