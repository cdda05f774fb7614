//! The sources from which the filter reads luma: an RGB picture, or a plane of one sample a pixel.

use crate::picture::{CHANNELS, Picture};
use crate::pixels::Pixels;

/// Rows of samples from which luma is computed as a weighted sum.
pub(crate) trait LumaSource {
    /// The number of samples of one pixel.
    const PER_PIXEL: usize;

    /// Returns width and height in pixels.
    fn size(&self) -> (usize, usize);

    /// Returns the number of samples from the start of one row to the next.
    fn stride(&self) -> usize;

    /// Returns the samples of all rows.
    fn samples(&self) -> &[u8];

    /// Returns the luma of one pixel's samples, or of sums of them.
    fn luma(pixel: &[f32]) -> f32;
}

impl LumaSource for Picture {
    const PER_PIXEL: usize = CHANNELS;

    fn size(&self) -> (usize, usize) {
        (self.width() as usize, self.height() as usize)
    }

    fn stride(&self) -> usize {
        self.width() as usize * CHANNELS
    }

    fn samples(&self) -> &[u8] {
        self.rgb()
    }

    /// Computes PDQ's luma, rounded after each step as in the reference.
    #[inline(always)]
    fn luma(pixel: &[f32]) -> f32 {
        0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]
    }
}

/// A plane of luma or of palette indices, whose rows may be longer than the picture is wide.
pub(crate) struct Luma {
    width: u32,
    height: u32,
    stride: usize,
    samples: Pixels,
}

impl Luma {
    /// Creates a plane. `None` if there are fewer samples than pixels.
    pub(crate) fn new(width: u32, height: u32, stride: usize, samples: Pixels) -> Option<Self> {
        let fits = width > 0 && height > 0 && stride >= width as usize;
        let rows = samples.len().checked_div(stride)?;
        (fits && rows >= height as usize).then_some(Self { width, height, stride, samples })
    }
}

impl LumaSource for Luma {
    const PER_PIXEL: usize = 1;

    fn size(&self) -> (usize, usize) {
        (self.width as usize, self.height as usize)
    }

    fn stride(&self) -> usize {
        self.stride
    }

    fn samples(&self) -> &[u8] {
        &self.samples
    }

    #[inline(always)]
    fn luma(pixel: &[f32]) -> f32 {
        pixel[0]
    }
}
