//! A decoded frame, and its hashes.

use std::fmt;

use vigie_model::PictureHashes;

use crate::luma::LumaSource;
use crate::pdq::filter::{Scale, Window};
use crate::pdq::pdq_of_window;
use crate::picture::{CHANNELS, Picture};

/// A frame of 8-bit RGB in borrowed memory.
#[derive(Clone, Copy)]
pub struct RgbFrame<'a> {
    width: u32,
    height: u32,
    rgb: &'a [u8],
}

/// The area of a video's frames within their bars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inner(pub(crate) Window);

impl<'a> RgbFrame<'a> {
    /// Creates a frame from `height` rows of `width` pixels of three bytes. `None` if the length differs, or
    /// there is no pixel.
    #[must_use]
    pub fn new(width: u32, height: u32, rgb: &'a [u8]) -> Option<Self> {
        (Self::bytes(width, height)? == rgb.len() && !rgb.is_empty()).then_some(Self { width, height, rgb })
    }

    /// Returns the number of bytes of a frame of this size. `None` if it exceeds the address space.
    #[must_use]
    pub fn bytes(width: u32, height: u32) -> Option<usize> {
        (width as usize).checked_mul(height as usize)?.checked_mul(CHANNELS)
    }

    /// Returns width and height in pixels.
    #[must_use]
    pub const fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Computes the hashes of the whole frame in all eight variants. A frame with a side below 5 pixels has
    /// quality 0.
    #[must_use]
    pub fn hashes(&self) -> PictureHashes {
        pdq_of_window(self, &Window::whole(self), Scale::AsIs)
    }

    /// Computes the hashes of the area within the bars of a video of this size.
    #[must_use]
    pub fn hashes_within(&self, inner: &Inner) -> PictureHashes {
        pdq_of_window(self, &inner.0, Scale::Up)
    }
}

impl LumaSource for RgbFrame<'_> {
    const PER_PIXEL: usize = CHANNELS;

    fn size(&self) -> (usize, usize) {
        (self.width as usize, self.height as usize)
    }

    fn stride(&self) -> usize {
        self.width as usize * CHANNELS
    }

    fn samples(&self) -> &[u8] {
        self.rgb
    }

    #[inline(always)]
    fn luma(pixel: &[f32]) -> f32 {
        Picture::luma(pixel)
    }
}

/// Shows only the size.
impl fmt::Debug for RgbFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RgbFrame")
            .field("width", &self.width)
            .field("height", &self.height)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_the_hashes_of_the_same_picture() {
        for (width, height) in [(320, 200), (161, 97), (64, 64), (5, 7)] {
            let drawn = vigie_pictures::draw(11, width, height);
            let frame = RgbFrame::new(width, height, drawn.as_raw()).unwrap();
            let picture = Picture::from_rgb(width, height, drawn.as_raw().clone()).unwrap();
            assert!(frame.hashes() == crate::pdq(&picture), "{width} x {height}");
        }
    }

    #[test]
    fn a_frame_has_three_bytes_a_pixel() {
        assert!(RgbFrame::new(2, 2, &[0; 12]).is_some());
        assert!(RgbFrame::new(2, 2, &[0; 11]).is_none());
        assert!(RgbFrame::new(2, 2, &[0; 13]).is_none());
        assert!(RgbFrame::new(0, 2, &[]).is_none());
        assert_eq!(RgbFrame::new(4, 4, &[7; 48]).unwrap().hashes().quality.get(), 0);
    }
}
