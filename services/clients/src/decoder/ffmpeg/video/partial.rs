//! Decides whether all of a video was sampled, and if not, why.

use std::time::Duration;

use vigie_media::video::{Rate, Sampling};
use vigie_model::VideoPartial;

use super::pass::{End, Ended, Unread};
use crate::decoder::failure::WorkerDeath;
use crate::decoder::ffmpeg::failure::RunFault;

/// The longest time that the last frame of a video may last, in addition to the time between samples.
const LAST_FRAME: Duration = Duration::from_secs(2);
/// The share (1 in N) by which a container may overstate a video's length.
const DECLARED_SHARE: u32 = 10;

/// Returns the longest time between the last sample and the end of a complete video.
pub(super) fn tolerance(sampling: Sampling, rate: Option<Rate>) -> Duration {
    let between = match (sampling, rate) {
        (Sampling::BySeconds(interval_ms), _) => Duration::from_millis(interval_ms.into()),
        (Sampling::ByCount(seconds), Some(rate)) => {
            Duration::from_millis(rate.time_ms(rate.frames_in(seconds)).into())
        }
        (Sampling::ByCount(_) | Sampling::Dense, _) => Duration::ZERO,
    };
    between + LAST_FRAME
}

/// Returns why only a part of a video was sampled, whose last sample is at `last_ms`.
///
/// `is_cut_off` is the state of the container; if that is unknown, the declared length decides.
pub(super) fn reason(
    end: End,
    is_cut_off: Option<bool>,
    last_ms: u32,
    duration: Option<Duration>,
    tolerance: Duration,
) -> Option<VideoPartial> {
    match end {
        Ok(Ended::Stopped(reason)) => Some(reason),
        Err(fault) => Some(of_fault(fault, is_cut_off)),
        Ok(Ended::Whole { has_complained }) => {
            let is_cut_off = is_cut_off.unwrap_or_else(|| {
                let sampled = Duration::from_millis(last_ms.into()) + tolerance;
                duration.is_some_and(|declared| sampled + declared / DECLARED_SHARE < declared)
            });
            if is_cut_off {
                Some(VideoPartial::CutOff)
            } else {
                has_complained.then_some(VideoPartial::Damaged)
            }
        }
    }
}

/// Returns the reason for a fault after some frames.
pub(super) fn of_fault(fault: Unread, is_cut_off: Option<bool>) -> VideoPartial {
    match fault {
        Unread::Run(RunFault::Died(WorkerDeath::Deadline | WorkerDeath::ProcessorTime)) => {
            VideoPartial::TimedOut
        }
        Unread::Run(RunFault::Refused) if is_cut_off == Some(true) => VideoPartial::CutOff,
        Unread::Run(RunFault::Refused) => VideoPartial::Damaged,
        Unread::Run(RunFault::Died(_) | RunFault::OtherSize | RunFault::NotStarted) | Unread::Refused(_) => {
            VideoPartial::DecoderFailed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        end: End,
        is_cut_off: Option<bool>,
        last_s: u32,
        declared_s: u64,
        expected: Option<VideoPartial>,
    ) {
        let declared = Some(Duration::from_secs(declared_s));
        let tolerance = tolerance(Sampling::QUERY, None);
        assert_eq!(reason(end, is_cut_off, last_s * 1_000, declared, tolerance), expected);
    }

    const fn whole(has_complained: bool) -> End {
        Ok(Ended::Whole { has_complained })
    }

    #[test]
    fn a_video_is_whole_unless_something_speaks_against_it() {
        check(whole(false), Some(false), 19, 20, None);
        check(whole(false), Some(false), 5, 20, None);
        check(whole(false), None, 19, 20, None);
        check(whole(false), None, 16, 20, None);
        check(whole(false), None, 14, 20, Some(VideoPartial::CutOff));
        check(whole(false), Some(true), 19, 20, Some(VideoPartial::CutOff));
        check(whole(true), Some(false), 19, 20, Some(VideoPartial::Damaged));
        check(whole(true), Some(true), 19, 20, Some(VideoPartial::CutOff));
        check(whole(true), None, 5, 20, Some(VideoPartial::CutOff));
        check(whole(true), None, 19, 20, Some(VideoPartial::Damaged));
        check(Ok(Ended::Stopped(VideoPartial::TooLong)), Some(true), 9, 20, Some(VideoPartial::TooLong));
    }

    #[test]
    fn a_fault_after_some_frames_is_a_reason() {
        let fault = |fault| Err(Unread::Run(fault));
        let died = |death| fault(RunFault::Died(death));
        check(died(WorkerDeath::Deadline), None, 1, 20, Some(VideoPartial::TimedOut));
        check(died(WorkerDeath::ProcessorTime), None, 1, 20, Some(VideoPartial::TimedOut));
        check(died(WorkerDeath::Crashed), None, 1, 20, Some(VideoPartial::DecoderFailed));
        check(fault(RunFault::OtherSize), None, 1, 20, Some(VideoPartial::DecoderFailed));
        check(fault(RunFault::Refused), Some(false), 1, 20, Some(VideoPartial::Damaged));
        check(fault(RunFault::Refused), Some(true), 1, 20, Some(VideoPartial::CutOff));
    }
}
