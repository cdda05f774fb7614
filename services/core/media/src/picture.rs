//! A decoded picture: rows of 8-bit RGB, from the top left.

use std::fmt;

use crate::pixels::Pixels;

/// The number of samples of one pixel: red, green, blue.
pub(crate) const CHANNELS: usize = 3;

/// A decoded picture of 8-bit RGB, without alpha, in the orientation of the file.
pub struct Picture {
    width: u32,
    height: u32,
    rgb: Pixels,
}

impl Picture {
    /// Creates a picture from `height` rows of `width` pixels of three bytes; `None` if the length differs,
    /// or there is no pixel.
    #[must_use]
    pub fn from_rgb(width: u32, height: u32, rgb: Vec<u8>) -> Option<Self> {
        Self::from_pixels(width, height, Pixels::Heap(rgb))
    }

    /// Creates a picture as [`Picture::from_rgb`] does, from either kind of memory.
    pub(crate) fn from_pixels(width: u32, height: u32, rgb: Pixels) -> Option<Self> {
        let bytes = (width as usize).checked_mul(height as usize)?.checked_mul(CHANNELS)?;
        (bytes > 0 && rgb.len() == bytes).then_some(Self { width, height, rgb })
    }

    /// Returns the width in pixels, at least 1.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Returns the height in pixels, at least 1.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Returns the samples: red, green and blue of each pixel, row by row.
    #[must_use]
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }
}

/// Shows only the size: content must not reach a log through a derived `Debug`.
impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Picture")
            .field("width", &self.width)
            .field("height", &self.height)
            .finish_non_exhaustive()
    }
}
