//! PNG: every colour type and depth, by `image`. Of an animated PNG, the default image.
//!
//! `png` stops reading once it has all rows, so a file may lose its last chunks unnoticed; they are none of the picture. A file
//! cut within its pixels is refused.

use std::io::Cursor;

use image::codecs::png::PngDecoder;

use crate::error::DecodeError;
use crate::frames::{Frame, Frames};
use crate::limits::Limits;

use super::samples;

pub(super) const FORMAT: &str = "PNG";

/// Decodes a PNG.
pub(super) fn decode(content: &[u8], limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    // The header chunk comes first and has a fixed place: size and limits before any decoder runs.
    let header = content.get(16..24).ok_or(DecodeError::Truncated { format: FORMAT })?;
    let [w3, w2, w1, w0, h3, h2, h1, h0] = *header else {
        return Err(DecodeError::Truncated { format: FORMAT });
    };
    limits.check_dimensions(u32::from_be_bytes([w3, w2, w1, w0]), u32::from_be_bytes([h3, h2, h1, h0]))?;
    let refusal = |error: image::ImageError| samples::refusal_of(&error, FORMAT, limits);
    let decoder =
        PngDecoder::with_limits(Cursor::new(content), samples::image_limits(limits)).map_err(refusal)?;
    let picture = samples::decode_with(decoder, limits, FORMAT, 0, refusal)?;
    frames.wants(picture.width(), picture.height());
    frames.take(Frame::still(picture));
    Ok(())
}
