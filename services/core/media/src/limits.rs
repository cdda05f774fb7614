//! The limits within which a picture is decoded.
//!
//! A file of a few hundred bytes can declare four gigapixels. Every limit is therefore checked against the
//! values of the header, before anything of that size is allocated.

use std::time::Duration;

use crate::error::DecodeError;

/// The limits of reading, decoding and allocating in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest number of pixels, width times height.
    pub pixels_max: u64,
    /// The longest side, in pixels.
    pub side_px_max: u32,
    /// The largest file, in bytes.
    pub input_bytes_max: usize,
    /// The largest amount of memory that decoding may allocate, in bytes, not including the file.
    pub alloc_bytes_max: u64,
    /// The largest number of frames or pages of one file that are decoded.
    pub frames_max: u32,
    /// The largest number of pixels of all decoded frames of one file. The first frame is always decoded.
    pub frames_pixels_max: u64,
    /// The time after which no further frame of a file is begun. Without this limit, a file of many costly
    /// frames would exceed the deadline: its decoder process would be ended, and all hashes except those of
    /// the first frame would be lost.
    pub further_frames_within: Duration,
}

impl Default for Limits {
    /// Returns limits of 50 megapixels, 16,384 pixels a side, 20 MB of input, 512 MB of allocation, and 64
    /// frames of together 100 megapixels. These are above what phones and photo sharing produce, and small
    /// enough for one process to serve many calls.
    fn default() -> Self {
        Self {
            pixels_max: 50_000_000,
            side_px_max: 16_384,
            input_bytes_max: 20_000_000,
            alloc_bytes_max: 512_000_000,
            frames_max: 64,
            frames_pixels_max: 100_000_000,
            further_frames_within: Self::FURTHER_FRAMES_WITHIN,
        }
    }
}

impl Limits {
    /// The default of [`Self::further_frames_within`].
    pub const FURTHER_FRAMES_WITHIN: Duration = Duration::from_secs(2);

    /// Checks the size of the file.
    pub(crate) fn check_input(&self, content: &[u8]) -> Result<(), DecodeError> {
        if content.len() > self.input_bytes_max {
            return Err(DecodeError::InputTooLarge { bytes: content.len(), bytes_max: self.input_bytes_max });
        }
        Ok(())
    }

    /// Checks the declared size of the picture.
    pub(crate) fn check_dimensions(&self, width: u32, height: u32) -> Result<(), DecodeError> {
        if width == 0 || height == 0 {
            return Err(DecodeError::Corrupt { reason: "the header declares a picture without pixels" });
        }
        if width.max(height) > self.side_px_max {
            return Err(DecodeError::SideTooLong { width, height, side_px_max: self.side_px_max });
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels > self.pixels_max {
            return Err(DecodeError::TooManyPixels { width, height, pixels, pixels_max: self.pixels_max });
        }
        Ok(())
    }

    /// Checks the amount of memory that decoding will allocate.
    pub(crate) fn check_alloc(&self, bytes: u64) -> Result<(), DecodeError> {
        if bytes > self.alloc_bytes_max {
            return Err(DecodeError::AllocTooLarge { bytes_max: self.alloc_bytes_max });
        }
        Ok(())
    }
}
