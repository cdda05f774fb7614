//! The frames of a file, as a decoder hands them on: of an animation its frames, of a document its pages.
//!
//! A decoder asks [`Frames::wants`] before it decodes a frame, and gives it to [`Frames::take`]. A frame that it does not decode (too
//! many, too large, damaged) it reports with [`Frames::leave_out`], so that no answer claims to cover it. A format of
//! one frame calls `take` once. A failure after the first frame ends the file with [`Frames::end_early`].

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
    /// RGB that is not exact.
    Near(Near),
}

/// One decoded frame.
pub(crate) struct Frame {
    /// When it is shown, from the beginning of the animation.
    pub(crate) time: Option<Duration>,
    pub(crate) samples: Samples,
    pub(crate) orientation: Orientation,
    /// The frame's palette indices, where it has a palette of at most 256 colours.
    pub(crate) indices: Option<Luma>,
}

impl Frame {
    /// A picture that stands still and upright.
    pub(crate) const fn still(picture: Picture) -> Self {
        Self::of(Samples::Rgb(picture))
    }

    /// The picture as it is to be shown; `None` where the samples are not exact.
    pub(crate) fn upright(self) -> Option<Picture> {
        match self.samples {
            Samples::Near(_) => None,
            Samples::Rgb(stored) if self.orientation == Orientation::UPRIGHT => Some(stored),
            Samples::Rgb(stored) => self.orientation.turn(&stored),
        }
    }

    /// The same, of samples of any kind.
    pub(crate) const fn of(samples: Samples) -> Self {
        Self { time: None, samples, orientation: Orientation::UPRIGHT, indices: None }
    }
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is hashed.
    Hashed,
    /// It is hashed, from samples that are not exact, and its pixels are wanted: the decoder hands on the same frame as RGB to
    /// [`Frames::show`], if it can.
    HashedAndWanted,
    /// These samples do not decide its hash: the decoder has to hand on the same frame as RGB.
    NeedsRgb,
}

/// Takes the frames of one file, within the limits.
pub(crate) struct Frames<'a> {
    limits: &'a Limits,
    visit: &'a mut dyn FnMut(u32, Frame) -> Taken,
    exact: bool,
    taken: u32,
    /// Pixels of all frames that were wanted.
    pixels: u64,
    left_out: u32,
    fault: Option<DecodeFailureKind>,
    begun: Instant,
}

impl<'a> Frames<'a> {
    /// `visit` gets each frame's number, from 0, and the frame.
    pub(crate) fn new(limits: &'a Limits, visit: &'a mut dyn FnMut(u32, Frame) -> Taken) -> Self {
        let begun = Instant::now();
        Self { limits, visit, exact: false, taken: 0, pixels: 0, left_out: 0, fault: None, begun }
    }

    /// The same, for a `visit` that takes no [`Samples::Near`].
    pub(crate) fn exact(limits: &'a Limits, visit: &'a mut dyn FnMut(u32, Frame) -> Taken) -> Self {
        Self { exact: true, ..Self::new(limits, visit) }
    }

    /// Whether a decoder has to hand on exact samples at once.
    pub(crate) const fn are_exact(&self) -> bool {
        self.exact
    }

    /// Whether the next frame, of this size, is to be decoded. If not, it counts as left out.
    ///
    /// The first frame always is: its size is checked by [`Limits::check_dimensions`].
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

    /// Takes the next frame.
    pub(crate) fn take(&mut self, frame: Frame) -> Taken {
        let taken = (self.visit)(self.taken + self.left_out, frame);
        if taken != Taken::NeedsRgb {
            self.taken += 1;
        }
        taken
    }

    /// Takes the pixels of the frame that was taken last.
    pub(crate) fn show(&mut self, frame: Frame) {
        (self.visit)((self.taken + self.left_out).saturating_sub(1), frame);
    }

    /// At least `count` further frames are not decoded.
    pub(crate) const fn leave_out(&mut self, count: u32) {
        self.left_out = self.left_out.saturating_add(count);
    }

    /// The decoder failed after the first frame, so at least one frame is left out. A panic is kept as a fault of the decoder: the
    /// frames before it are hashed, and somebody has to look.
    pub(crate) fn end_early(&mut self, error: &DecodeError) {
        self.leave_out(1);
        if matches!(error, DecodeError::DecoderPanicked { .. }) {
            self.fault = Some(error.kind());
        }
    }

    /// How many frames were taken.
    pub(crate) const fn taken(&self) -> u32 {
        self.taken
    }

    /// How many frames are known to have been left out.
    pub(crate) const fn left_out(&self) -> u32 {
        self.left_out
    }

    /// The decoder's fault that ended the file after its first frame.
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
