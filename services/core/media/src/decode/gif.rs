//! GIF: the first frame on its full canvas, by `gif`, which gives palette indices.
//!
//! Pillow keeps indices too and looks colours up last. So a transparent pixel has the colour that its index has in the palette,
//! and what the first frame leaves uncovered has the colour of the transparent index, or of index 0 where there is none.
//! Drawing onto a transparent RGBA canvas, as `image` does, gives black instead.

use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use crate::error::DecodeError;
use crate::frames::{Frame, Frames};
use crate::limits::Limits;
use crate::picture::{CHANNELS, Picture};

pub(super) const FORMAT: &str = "GIF";

/// Decodes the first frame of a GIF.
pub(super) fn decode(content: &[u8], limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    let refusal = |error: DecodingError| refusal(&error, limits);
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    if let Some(bytes) = NonZeroU64::new(limits.alloc_bytes_max) {
        options.set_memory_limit(MemoryLimit::Bytes(bytes));
    }
    let mut decoder = options.read_info(content).map_err(refusal)?;
    let (width, height) = (decoder.width(), decoder.height());
    limits.check_dimensions(width.into(), height.into())?;

    let frame = decoder
        .next_frame_info()
        .map_err(refusal)?
        .ok_or(DecodeError::Corrupt { reason: "the GIF has no picture" })?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (frame_width, frame_height) = (usize::from(frame.width), usize::from(frame.height));
    let uncovered = frame.transparent.unwrap_or(0);
    limits.check_dimensions(frame.width.into(), frame.height.into())?;
    let (width, height) = (usize::from(width), usize::from(height));
    let pixels = width.max(left + frame_width) as u64 * height.max(top + frame_height) as u64;
    limits.check_alloc(pixels * (1 + CHANNELS as u64))?;

    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(refusal)?;
    let palette = decoder.palette().map_err(refusal)?.as_chunks::<CHANNELS>().0;
    let colour = |index: u8| palette.get(usize::from(index)).copied().unwrap_or([0; CHANNELS]);
    let mut rgb = colour(uncovered).repeat(width * height);
    for (row, indices) in indices.chunks_exact(frame_width).enumerate() {
        let from = (top + row) * width + left;
        for (out, &index) in rgb[from * CHANNELS..].as_chunks_mut::<CHANNELS>().0.iter_mut().zip(indices) {
            *out = colour(index);
        }
    }
    let picture = Picture::from_rgb(decoder.width().into(), decoder.height().into(), rgb)
        .ok_or(DecodeError::Corrupt { reason: "the GIF holds another number of pixels than it declares" })?;
    frames.wants(picture.width(), picture.height());
    frames.take(Frame::still(picture));
    Ok(())
}

/// The decoder's error by its kind alone.
fn refusal(error: &DecodingError, limits: &Limits) -> DecodeError {
    match error {
        DecodingError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { format: FORMAT }
        }
        DecodingError::OutOfMemory | DecodingError::MemoryLimit => {
            DecodeError::AllocTooLarge { bytes_max: limits.alloc_bytes_max }
        }
        DecodingError::UnexpectedEof => DecodeError::Truncated { format: FORMAT },
        DecodingError::DecoderNotFound
        | DecodingError::EndCodeNotFound
        | DecodingError::LzwError(_)
        | DecodingError::Format(_)
        | DecodingError::Io(_)
        | _ => DecodeError::Corrupt { reason: "the GIF's data cannot be decoded" },
    }
}
