//! TIFF: the first image, grey, RGB and CMYK, with the usual compressions, by `image`.
//!
//! Palettes, YCbCr and floating point are refused as unsupported: `tiff` does not read them. A refusal is an answer;
//! a hash of palette indices would be a miss that nobody notices.

use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::tiff::TiffDecoder;

use crate::error::DecodeError;
use crate::frames::{Frame, Frames};
use crate::limits::Limits;

use super::samples;

pub(super) const FORMAT: &str = "TIFF";

/// Decodes a TIFF.
pub(super) fn decode(content: &[u8], limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    let refusal = |error: image::ImageError| samples::refusal_of(&error, FORMAT, limits);
    let mut decoder = TiffDecoder::new(Cursor::new(content)).map_err(refusal)?;
    let (width, height) = decoder.dimensions();
    limits.check_dimensions(width, height)?;
    decoder.set_limits(samples::image_limits(limits)).map_err(refusal)?;
    // `image` decodes into a buffer of its own first, and CMYK has four samples where RGB has three.
    let extra_bytes = decoder.total_bytes().saturating_mul(4) / 3;
    let picture = samples::decode_with(decoder, limits, FORMAT, extra_bytes, refusal)?;
    frames.wants(picture.width(), picture.height());
    frames.take(Frame::still(picture));
    Ok(())
}
