//! WebP: lossy, lossless, with alpha; of an animation the first frame on its canvas, by `image`.
//!
//! The lossy decoder reads zeros where its data end, so the container's declared size is checked first.

use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::webp::WebPDecoder;

use crate::error::DecodeError;
use crate::frames::{Frame, Frames};
use crate::limits::Limits;

use super::samples;

pub(super) const FORMAT: &str = "WebP";

/// `RIFF` and the size, which counts what follows it.
const CONTAINER_HEADER_BYTES: usize = 8;

/// Decodes a WebP.
pub(super) fn decode(content: &[u8], limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    let size = content.get(4..8).ok_or(DecodeError::Truncated { format: FORMAT })?;
    let declared = u32::from_le_bytes([size[0], size[1], size[2], size[3]]);
    let cut_short = content.len() - CONTAINER_HEADER_BYTES < declared as usize;
    let refusal = |error: image::ImageError| {
        let refusal = samples::refusal_of(&error, FORMAT, limits);
        // What the decoder could not make sense of is that the rest is missing.
        let truncated = cut_short && matches!(refusal, DecodeError::Corrupt { .. });
        if truncated { DecodeError::Truncated { format: FORMAT } } else { refusal }
    };
    let mut decoder = WebPDecoder::new(Cursor::new(content)).map_err(refusal)?;
    let (width, height) = decoder.dimensions();
    limits.check_dimensions(width, height)?;
    decoder.set_limits(samples::image_limits(limits)).map_err(refusal)?;
    if cut_short {
        return Err(DecodeError::Truncated { format: FORMAT });
    }
    // The decoder's own planes or pixels, and an animation's canvas.
    let pixels = u64::from(width) * u64::from(height);
    let extra_bytes = pixels * if decoder.has_animation() { 8 } else { 4 };
    let picture = samples::decode_with(decoder, limits, FORMAT, extra_bytes, refusal)?;
    frames.wants(picture.width(), picture.height());
    frames.take(Frame::still(picture));
    Ok(())
}
