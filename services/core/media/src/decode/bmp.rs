//! BMP: 1 to 32 bits per pixel, palettes and run lengths, by `image`. A fourth channel is dropped like any alpha.

use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::bmp::BmpDecoder;

use crate::error::DecodeError;
use crate::frames::{Frame, Frames};
use crate::limits::Limits;

use super::samples;

pub(super) const FORMAT: &str = "BMP";

/// Decodes a BMP.
pub(super) fn decode(content: &[u8], limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    let refusal = |error: image::ImageError| samples::refusal_of(&error, FORMAT, limits);
    let mut decoder = BmpDecoder::new(Cursor::new(content)).map_err(refusal)?;
    let (width, height) = decoder.dimensions();
    limits.check_dimensions(width, height)?;
    decoder.set_limits(samples::image_limits(limits)).map_err(refusal)?;
    let picture = samples::decode_with(decoder, limits, FORMAT, 0, refusal)?;
    frames.wants(picture.width(), picture.height());
    frames.take(Frame::still(picture));
    Ok(())
}
