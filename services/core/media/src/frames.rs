//! Receives the frames of a file from its decoder: the frames of an animation, or the pages of a document.
//!
//! A decoder calls [`Frames::wants`] before it decodes a frame, and passes the frame to [`Frames::take`]. It
//! reports a frame that it does not decode (too many, too large, damaged) with [`Frames::leave_out`], so that
//! no answer claims to cover it. A format of one frame calls `take` once. A failure after the first frame
//! ends the file with [`Frames::end_early`].

use std::time::{Duration, Instant};

use vigie_model::DecodeFailureKind;

use crate::error::DecodeError;
use crate::limits::Limits;
use crate::luma::Luma;
use crate::orientation::Orientation;
use crate::pdq::near::Near;
use crate::picture::Picture;

/// The samples of a frame, as the file stores them.
pub(crate) enum Samples {
    Rgb(Picture),
    /// RGB samples that are not exact.
    Near(Near),
}

/// A decoded frame.
pub(crate) struct Frame {
    /// The time at which the frame is shown, from the beginning of the animation.
    pub(crate) time: Option<Duration>,
    pub(crate) samples: Samples,
    pub(crate) orientation: Orientation,
    /// The frame's palette indices, if it has a palette of at most 256 colours.
    pub(crate) indices: Option<Luma>,
}

impl Frame {
    /// Creates a frame from an upright still picture.
    pub(crate) const fn still(picture: Picture) -> Self {
        Self::of(Samples::Rgb(picture))
    }

    /// Returns the picture upright; `None` if the samples are not exact.
    pub(crate) fn upright(self) -> Option<Picture> {
        match self.samples {
            Samples::Near(_) => None,
            Samples::Rgb(stored) if self.orientation == Orientation::UPRIGHT => Some(stored),
            Samples::Rgb(stored) => self.orientation.turn(&stored),
        }
    }

    /// Creates an upright still frame from samples of any kind.
    pub(crate) const fn of(samples: Samples) -> Self {
        Self { time: None, samples, orientation: Orientation::UPRIGHT, indices: None }
    }
}

/// The result of passing on a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The frame is hashed.
    Hashed,
    /// The frame is hashed from samples that are not exact, and its pixels are needed: the decoder passes the
    /// same frame as exact RGB to [`Frames::show`], if it can.
    HashedAndWanted,
    /// The samples do not decide the frame's hash: the decoder has to pass on the same frame as exact RGB.
    NeedsRgb,
}

/// Receives the frames of one file, within the limits.
pub(crate) struct Frames<'a> {
    limits: &'a Limits,
    visit: &'a mut dyn FnMut(u32, Frame) -> Taken,
    exact: bool,
    taken: u32,
    /// The number of pixels of all frames that were wanted.
    pixels: u64,
    left_out: u32,
    fault: Option<DecodeFailureKind>,
    begun: Instant,
}

impl<'a> Frames<'a> {
    /// Creates a receiver. `visit` is called with each frame's number, from 0, and the frame.
    pub(crate) fn new(limits: &'a Limits, visit: &'a mut dyn FnMut(u32, Frame) -> Taken) -> Self {
        let begun = Instant::now();
        Self { limits, visit, exact: false, taken: 0, pixels: 0, left_out: 0, fault: None, begun }
    }

    /// Creates a receiver for a `visit` that does not accept [`Samples::Near`].
    pub(crate) fn exact(limits: &'a Limits, visit: &'a mut dyn FnMut(u32, Frame) -> Taken) -> Self {
        Self { exact: true, ..Self::new(limits, visit) }
    }

    /// Checks whether a decoder has to pass on exact samples at once.
    pub(crate) const fn are_exact(&self) -> bool {
        self.exact
    }

    /// Checks whether the next frame, of this size, should be decoded. If not, the frame counts as left out.
    ///
    /// The first frame always should be: its size is checked by [`Limits::check_dimensions`].
    pub(crate) fn wants(&mut self, width: u32, height: u32) -> bool {
        let pixels = self.pixels.saturating_add(u64::from(width) * u64::from(height));
        let wanted = self.taken == 0
            || (self.taken < self.limits.frames_max
                && pixels <= self.limits.frames_pixels_max
                && self.begun.elapsed() < self.limits.further_frames_within);
        if wanted {
            self.pixels = pixels;
        } else {
            self.leave_out(1);
        }
        wanted
    }

    /// Passes on the next frame.
    pub(crate) fn take(&mut self, frame: Frame) -> Taken {
        let taken = (self.visit)(self.taken + self.left_out, frame);
        if taken != Taken::NeedsRgb {
            self.taken += 1;
        }
        taken
    }

    /// Takes the exact pixels of the frame that was taken last.
    pub(crate) fn show(&mut self, frame: Frame) {
        (self.visit)((self.taken + self.left_out).saturating_sub(1), frame);
    }

    /// Reports that at least `count` further frames are not decoded.
    pub(crate) const fn leave_out(&mut self, count: u32) {
        self.left_out = self.left_out.saturating_add(count);
    }

    /// Reports that the decoder failed after the first frame, so that at least one frame is left out. A panic
    /// is recorded as a fault of the decoder: the frames before it are hashed, and somebody has to look at
    /// the fault.
    pub(crate) fn end_early(&mut self, error: &DecodeError) {
        self.leave_out(1);
        if matches!(error, DecodeError::DecoderPanicked { .. }) {
            self.fault = Some(error.kind());
        }
    }

    /// Returns the number of frames that were hashed.
    pub(crate) const fn taken(&self) -> u32 {
        self.taken
    }

    /// Returns the number of frames known to have been left out.
    pub(crate) const fn left_out(&self) -> u32 {
        self.left_out
    }

    /// Returns the decoder's panic that ended the file after its first frame, if there was one.
    pub(crate) const fn fault(&self) -> Option<DecodeFailureKind> {
        self.fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Frame {
        Frame::still(Picture::from_rgb(2, 2, vec![0; 12]).unwrap())
    }

    #[test]
    fn frames_are_numbered_and_those_beyond_a_limit_are_counted() {
        let limits = Limits { frames_max: 3, frames_pixels_max: 12, ..Limits::default() };
        let mut seen = Vec::new();
        let mut visit = |number, _| {
            seen.push(number);
            Taken::Hashed
        };
        let mut frames = Frames::new(&limits, &mut visit);
        for (width, height, wanted) in
            [(2, 2, true), (9, 9, false), (2, 2, true), (2, 2, true), (1, 1, false)]
        {
            assert_eq!(frames.wants(width, height), wanted);
            if wanted {
                frames.take(picture());
            }
        }
        assert_eq!((frames.taken(), frames.left_out()), (3, 2));
        assert_eq!(seen, [0, 2, 3]);
    }

    #[test]
    fn what_takes_too_long_leaves_out_further_frames_and_not_the_first() {
        let limits = Limits::default();
        let mut visit = |_, _| Taken::Hashed;
        let mut frames = Frames::new(&limits, &mut visit);
        frames.begun -= limits.further_frames_within;
        assert!(frames.wants(2, 2));
        frames.take(picture());
        assert!(!frames.wants(2, 2));
        assert_eq!(frames.left_out(), 1);
    }

    #[test]
    fn the_first_frame_may_have_more_pixels_than_all_frames_together() {
        let limits = Limits { frames_pixels_max: 3, ..Limits::default() };
        let mut visit = |_, _| Taken::Hashed;
        let mut frames = Frames::new(&limits, &mut visit);
        assert!(frames.wants(2, 2));
        frames.take(picture());
        assert!(!frames.wants(1, 1));
    }

    #[test]
    fn a_frame_that_is_needed_as_rgb_keeps_its_number() {
        let mut numbers = Vec::new();
        let limits = Limits::default();
        let mut visit = |number, frame: Frame| {
            numbers.push(number);
            if matches!(frame.samples, Samples::Near(_)) { Taken::NeedsRgb } else { Taken::Hashed }
        };
        let mut frames = Frames::new(&limits, &mut visit);
        let near = Near::new(8, 8, 8, 0.0, crate::pixels::Pixels::zeroed(3)).unwrap();
        assert_eq!(frames.take(Frame::of(Samples::Near(near))), Taken::NeedsRgb);
        assert_eq!(frames.take(picture()), Taken::Hashed);
        assert_eq!(numbers, [0, 0]);
    }
}
