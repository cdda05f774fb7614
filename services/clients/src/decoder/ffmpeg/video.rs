//! A video: `ffprobe` describes it, `ffmpeg` decodes it, and its frames are hashed here as they arrive.
//!
//! ```text
//! VideoOrder::hash()
//!   |-- the container by its first bytes, and so the only demuxer; the file as a sealed memfd
//!   |-- ffprobe: streams, size, rate, length (`probed`)
//!   |-- ffmpeg: the sampled frames, as RGB, each with its number and time (`arguments`, `blocks`, `pass`)
//!   |     each is hashed as it comes; at a bound the program is killed
//!   |-- where all of them have black bars: ffmpeg once more, for the hashes without the bars
//!   +-- what was not sampled, and why                                                      (`partial`)
//! ```
//!
//! Reading order: `fault`, `probed`, `arguments`, `blocks`, `pass`, `partial`, then [`VideoOrder`].

mod fault;
mod probed;
mod arguments;
mod blocks;
mod pass;
mod partial;

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use vigie_media::video::{Bars, Container, Inner, Kept, Rate, Room, Sampling, VideoLimits};
use vigie_model::{VideoFingerprint, VideoFrame, VideoPartial};

use super::failure::{FfmpegAbsence, RunFault};
use super::input::Input;
use super::tool::Tool;
use crate::decoder::failure::WorkerDeath;
use crate::decoder::settings::DecoderSettings;
use crate::decoder::watch::Bounds;

pub(in crate::decoder) use fault::{VideoFault, missing};

use pass::{Pass, Passed, Stamp};
use probed::Probed;

/// Address space of a program that decodes a video, in bytes, if the settings allow less for a picture: a
/// decoder of videos keeps several frames.
const MEMORY_BYTES_MAX: u64 = 2 << 30;

/// A video to hash, with settings and limits.
#[derive(Debug, Clone, Copy)]
pub(in crate::decoder) struct VideoOrder<'a> {
    pub(in crate::decoder) settings: &'a DecoderSettings,
    pub(in crate::decoder) tool: &'a Tool,
    pub(in crate::decoder) content: &'a [u8],
    pub(in crate::decoder) limits: &'a VideoLimits,
    pub(in crate::decoder) sampling: Sampling,
    pub(in crate::decoder) deadline: Instant,
}

/// The settings and input of the programs.
#[derive(Debug, Clone, Copy)]
struct Running<'a> {
    settings: &'a DecoderSettings,
    tool: &'a Tool,
    container: Container,
    input: &'a Input,
    memory_bytes_max: u64,
    bounds: Bounds,
}

impl Running<'_> {
    /// Returns the fault of a program that did not start.
    fn not_started(&self) -> RunFault {
        let is_late = Instant::now() >= self.bounds.deadline;
        if is_late { RunFault::Died(WorkerDeath::Deadline) } else { RunFault::NotStarted }
    }
}

impl VideoOrder<'_> {
    /// Decodes the video and hashes its frames.
    pub(in crate::decoder) fn hash(&self) -> Result<VideoFingerprint, VideoFault> {
        let Self { settings, tool, content, limits, deadline, .. } = *self;
        limits.check_input(content)?;
        let container = Container::of(content).ok_or_else(fault::unknown)?;
        let Some(prober) = &tool.prober else { return Err(missing(&FfmpegAbsence::NoProber).into()) };
        let now = Instant::now();
        let bounds =
            Bounds { deadline: deadline.min(now + limits.within), processor_time_max: limits.within };
        let input = Input::of(content).map_err(|_| self.fault(container, RunFault::NotStarted))?;
        let memory_bytes_max = settings.ffmpeg_memory_bytes_max.max(MEMORY_BYTES_MAX);
        let running = Running { settings, tool, container, input: &input, memory_bytes_max, bounds };
        let probed = probed::probe(&running, prober).map_err(|fault| self.fault(container, fault))?;
        let probed = probed.video(container)?;
        limits.check_dimensions(probed.width, probed.height)?;
        let (sampled, bars) = self.sample(&running, &probed)?;
        Ok(self.without_bars(&running, &probed, sampled, bars.inner()))
    }

    /// Hashes the sampled frames as they are.
    fn sample(&self, running: &Running<'_>, probed: &Probed) -> Result<(VideoFingerprint, Bars), VideoFault> {
        let Self { content, limits, sampling, .. } = *self;
        let container = running.container;
        let length_max = limits.length_max.min(VideoLimits::LENGTH_MAX);
        let mut kept = Kept::new(sampling, limits.frames_max);
        let mut bars = Bars::default();
        let mut before_ms = 0;
        let pass = Pass { running: *running, probed, limits, sampling };
        let Passed { size, end } = pass.run(|stamp, frame| {
            let Stamp { number, time_ms } = timed(stamp, sampling, probed.rate);
            // The times of a hash never decrease, whatever the program writes.
            let time_ms = time_ms.max(before_ms);
            before_ms = time_ms;
            if Duration::from_millis(time_ms.into()) > length_max {
                return ControlFlow::Break(VideoPartial::TooLong);
            }
            bars.observe(&frame);
            match kept.take(VideoFrame { number, time_ms, plain: frame.hashes(), unbordered: None }) {
                Room::Left => ControlFlow::Continue(()),
                Room::None => ControlFlow::Break(VideoPartial::TooManyFrames),
            }
        });
        let (width, height) = match size {
            Some(size) if !kept.is_empty() => size,
            _ => return Err(self.nothing(container, end)),
        };
        let frames = kept.into_frames();
        let last_ms = frames.last().map_or(0, |frame| frame.time_ms);
        let tolerance = partial::tolerance(sampling, probed.rate);
        let partial =
            partial::reason(end, container.is_cut_off(content), last_ms, probed.duration, tolerance);
        let duration = probed.duration;
        Ok((VideoFingerprint { width, height, duration, frames, partial }, bars))
    }

    /// Adds the hashes of the frames without their bars. If that cannot be finished, the answer states it.
    fn without_bars(
        &self,
        running: &Running<'_>,
        probed: &Probed,
        mut sampled: VideoFingerprint,
        inner: Option<Inner>,
    ) -> VideoFingerprint {
        let Some(inner) = inner else { return sampled };
        let size = (sampled.width, sampled.height);
        let mut wanted = sampled.frames.iter_mut().peekable();
        let pass = Pass { running: *running, probed, limits: self.limits, sampling: self.sampling };
        let passed = pass.run(|stamp, frame| {
            while wanted.next_if(|one| one.number < stamp.number).is_some() {}
            if let Some(one) = wanted.next_if(|one| one.number == stamp.number && frame.size() == size) {
                one.unbordered = Some(frame.hashes_within(&inner));
            }
            // The reason is not used if no frame is left.
            if wanted.peek().is_some() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(VideoPartial::TooManyFrames)
            }
        });
        if sampled.frames.iter().any(|frame| frame.unbordered.is_none()) {
            let reason = match passed.end {
                Ok(_) => VideoPartial::DecoderFailed,
                Err(fault) => partial::of_fault(fault, None),
            };
            sampled.partial = sampled.partial.or(Some(reason));
        }
        sampled
    }

    /// Returns why there is no frame at all.
    fn nothing(&self, container: Container, end: pass::End) -> VideoFault {
        match end {
            Err(pass::Unread::Refused(failure)) => failure.into(),
            Err(pass::Unread::Run(fault)) => self.fault(container, fault),
            Ok(pass::Ended::Stopped(VideoPartial::TooLong)) => fault::late(self.limits).into(),
            Ok(_) => self.fault(container, RunFault::Refused),
        }
    }

    fn fault(&self, container: Container, fault: RunFault) -> VideoFault {
        let is_cut_off = container.is_cut_off(self.content) == Some(true);
        VideoFault::of_run(fault, container, is_cut_off, self.deadline, self.tool)
    }
}

/// Returns a frame's stamp with the time according to the sampling.
fn timed(stamp: Stamp, sampling: Sampling, rate: Option<Rate>) -> Stamp {
    match (sampling, rate) {
        (Sampling::ByCount(_), Some(rate)) => Stamp { time_ms: rate.time_ms(stamp.number), ..stamp },
        (Sampling::ByCount(_) | Sampling::BySeconds(_) | Sampling::Dense, _) => stamp,
    }
}
