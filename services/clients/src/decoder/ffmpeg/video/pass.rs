//! A run of `ffmpeg` over a video.

use std::ops::ControlFlow;

use vigie_media::video::{RgbFrame, Sampling, VideoLimits};
use vigie_model::{DecodeFailure, VideoPartial};

use super::arguments::NUMBERS;
use super::blocks::{Blocks, Source};
use super::probed::Probed;
use super::{Running, arguments};
use crate::decoder::child::Stopped;
use crate::decoder::ffmpeg::failure::RunFault;
use crate::decoder::ffmpeg::run::Run;

/// The inputs of one run.
pub(super) struct Pass<'a> {
    pub(super) running: Running<'a>,
    pub(super) probed: &'a Probed,
    pub(super) limits: &'a VideoLimits,
    pub(super) sampling: Sampling,
}

/// The number and time of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The number among the decoded frames, from 0.
    pub(super) number: u32,
    /// The presentation time, in milliseconds.
    pub(super) time_ms: u32,
}

/// The outcome of a run.
#[derive(Debug)]
pub(super) struct Passed {
    /// Width and height of the frames, if the program has written a header.
    pub(super) size: Option<(u32, u32)>,
    pub(super) end: End,
}

/// The outcome of a run.
pub(super) type End = Result<Ended, Unread>;

/// A run that ended normally.
#[derive(Debug)]
pub(super) enum Ended {
    /// All frames were written. The program may have reported errors about some.
    Whole { has_complained: bool },
    /// The receiver of the frames wants no more, for this reason.
    Stopped(VideoPartial),
}

/// A run that failed.
#[derive(Debug)]
pub(super) enum Unread {
    /// The program failed, or a bound was reached.
    Run(RunFault),
    /// The frames are larger than accepted.
    Refused(DecodeFailure),
}

impl Source for Run {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stopped> {
        Self::read(self, buffer)
    }
}

impl Pass<'_> {
    /// Passes each frame on as it arrives, until all have arrived or `visit` wants no more.
    pub(super) fn run(
        &self,
        mut visit: impl FnMut(Stamp, RgbFrame<'_>) -> ControlFlow<VideoPartial>,
    ) -> Passed {
        let Running { settings, tool, container, input, memory_bytes_max, bounds } = self.running;
        let arguments =
            arguments::decode(tool, container, self.probed.stream, self.probed.rate, self.sampling);
        let run = input.stdio().ok().and_then(|file| {
            Run::start(settings, tool.program.clone(), memory_bytes_max, arguments, file, bounds)
        });
        let Some(mut run) = run else {
            return Passed { size: None, end: Err(Unread::Run(self.running.not_started())) };
        };
        run.widen();
        let mut size = None;
        let end = match self.frames(&mut run, &mut size, &mut visit) {
            Ok(ControlFlow::Break(reason)) => Ok(Ended::Stopped(reason)),
            Ok(ControlFlow::Continue(())) => {
                let (outcome, words) = run.conclude();
                let has_complained = words.lines().any(is_complaint);
                outcome.map(|()| Ended::Whole { has_complained }).map_err(Unread::Run)
            }
            Err(Halt::Run(stopped)) => Err(Unread::Run(run.end(stopped))),
            Err(Halt::Refused(failure)) => Err(Unread::Refused(failure)),
        };
        Passed { size, end }
    }

    fn frames(
        &self,
        run: &mut Run,
        size: &mut Option<(u32, u32)>,
        visit: &mut impl FnMut(Stamp, RgbFrame<'_>) -> ControlFlow<VideoPartial>,
    ) -> Result<ControlFlow<VideoPartial>, Halt> {
        let mut blocks = Blocks::new(run);
        let (width, height) = blocks.begin()?;
        // The declared size of a file may differ from that of its frames.
        self.limits.check_dimensions(width, height).map_err(Halt::Refused)?;
        let bytes = RgbFrame::bytes(width, height).ok_or(Stopped::Malformed)?;
        *size = Some((width, height));
        let mut rgb = vec![0; bytes];
        while let Some(stamp) = blocks.next(&mut rgb)? {
            let stamp = Stamp::of(stamp).ok_or(Stopped::Malformed)?;
            let frame = RgbFrame::new(width, height, &rgb).ok_or(Stopped::Malformed)?;
            if let ControlFlow::Break(reason) = visit(stamp, frame) {
                return Ok(ControlFlow::Break(reason));
            }
            blocks.source().in_time()?;
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Stamp {
    /// Reads the value that a block carries as its time.
    fn of(stamp: u64) -> Option<Self> {
        let number = u32::try_from(stamp % NUMBERS).ok()?;
        Some(Self { number, time_ms: u32::try_from(stamp / NUMBERS).ok()? })
    }
}

/// Returns whether a line is an error of the program or of one of its parts, such as
/// `[h264 @ 0x55d0c8a2f1c0] error while decoding MB 3 7`. Libraries also write lines at their start, about
/// missing rights.
fn is_complaint(line: &str) -> bool {
    line.starts_with("Error") || (line.starts_with('[') && line.contains(" @ 0x"))
}

/// The reason why frames are not read to their end.
enum Halt {
    Run(Stopped),
    Refused(DecodeFailure),
}

impl From<Stopped> for Halt {
    fn from(stopped: Stopped) -> Self {
        Self::Run(stopped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_are_the_programs_own() {
        assert!(is_complaint("[mpeg4 @ 0x55d0c8a2f1c0] ac-tex damaged at 4 7"));
        assert!(is_complaint("Error while decoding stream #0:0: Invalid data found when processing input"));
        for line in ["Warning: using insecure memory!", "", "[", "libva info: nothing"] {
            assert!(!is_complaint(line), "{line}");
        }
    }

    #[test]
    fn a_block_carries_number_and_time() {
        let stamp = Stamp::of(3_599_999 * NUMBERS + 107_999).unwrap();
        assert_eq!(stamp, Stamp { number: 107_999, time_ms: 3_599_999 });
        assert_eq!(Stamp::of(u64::MAX), None);
    }
}
