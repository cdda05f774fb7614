//! WebP: lossy, lossless, with alpha; of an animation, each frame as it appears on the canvas. Decoded by
//! libwebp.
//!
//! Pillow uses libwebp too, so the samples are equal. A still picture is decoded directly to RGB and without
//! its alpha, which would be dropped. An animation's canvas has alpha, because later frames are blended with
//! it.
//!
//! As in Pillow, a file that is shorter than its container declares is refused, and so is one whose canvas
//! does not fit its picture. A header that announces chunks which do not exist does no harm.

use crate::error::DecodeError;
use crate::frames::{Frame, Frames};
use crate::limits::Limits;
use crate::picture::{CHANNELS, Picture};
use crate::pixels::Pixels;

mod libwebp;

use libwebp::{Animation, CANVAS_CHANNELS, Container, Fault, Fragment};

pub(super) const FORMAT: &str = "WebP";

/// The length of `RIFF` and of the size field, which counts the bytes after it.
const CONTAINER_HEADER_BYTES: usize = 8;

/// The length of a chunk's name and its size field.
const CHUNK_HEADER_BYTES: usize = 8;

/// The lossy decoder's memory for each pixel of a row, in bytes: samples of two rows of blocks, their
/// contexts, filter strengths.
const ROW_BYTES_PER_PX: u64 = 160;

/// Decodes a WebP.
pub(super) fn decode(content: &[u8], limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    let &[s0, s1, s2, s3] = content.get(4..8).ok_or(DecodeError::Truncated { format: FORMAT })? else {
        return Err(DecodeError::Truncated { format: FORMAT });
    };
    // libwebp refuses a canvas whose number of pixels exceeds 32 bits, without a specific error.
    if let Some(&[w0, w1, w2, h0, h1, h2]) = content.get(24..30)
        && &content[12..16] == b"VP8X"
    {
        let size = |bytes| u32::from_le_bytes(bytes) + 1;
        limits.check_dimensions(size([w0, w1, w2, 0]), size([h0, h1, h2, 0]))?;
    }
    if content.len() - CONTAINER_HEADER_BYTES < u32::from_le_bytes([s0, s1, s2, s3]) as usize {
        return Err(DecodeError::Truncated { format: FORMAT });
    }
    let container = Container::parse(content)
        .ok_or(DecodeError::Corrupt { reason: "the WebP's chunks are no picture" })?;
    limits.check_dimensions(container.width(), container.height())?;
    let first = container.first().ok_or(DecodeError::Corrupt { reason: "the WebP has no picture" })?;
    let fills_canvas = (first.width, first.height) == (container.width(), container.height());
    if container.frame_count() == 1 && fills_canvas {
        frames.wants(first.width, first.height);
        frames.take(Frame::still(still(&first, limits)?));
        return Ok(());
    }
    animation(content, &container, limits, frames)
}

/// Decodes a still picture.
fn still(fragment: &Fragment<'_>, limits: &Limits) -> Result<Picture, DecodeError> {
    let picture = without_alpha(fragment.chunks);
    let pixels = u64::from(fragment.width) * u64::from(fragment.height);
    // The lossless decoder holds its own picture, with four bytes for each pixel. It also allocates tables,
    // whose number a file determines but no header declares.
    let own = if picture.starts_with(b"VP8 ") { 0 } else { pixels * 4 };
    let rows = u64::from(fragment.width) * ROW_BYTES_PER_PX;
    limits.check_alloc(pixels * CHANNELS as u64 + own + rows)?;
    let rgb = libwebp::decode_rgb(picture, fragment.width, fragment.height).map_err(|fault| match fault {
        Fault::OutOfMemory => DecodeError::AllocTooLarge { bytes_max: limits.alloc_bytes_max },
        Fault::Truncated => DecodeError::Truncated { format: FORMAT },
        Fault::Unsupported => DecodeError::Unsupported {
            format: FORMAT,
            reason: "this kind of picture; re-encode it as PNG or JPEG",
        },
        Fault::Corrupt => DecodeError::Corrupt { reason: "the WebP's data cannot be decoded" },
    })?;
    Picture::from_pixels(fragment.width, fragment.height, rgb)
        .ok_or(DecodeError::Corrupt { reason: "the WebP holds another number of pixels than it declares" })
}

/// Returns a frame's chunks from the lossy picture on, without the alpha before it.
fn without_alpha(chunks: &[u8]) -> &[u8] {
    let mut rest = chunks;
    while let Some(([n0, n1, n2, n3, s0, s1, s2, s3], _)) = rest.split_first_chunk::<CHUNK_HEADER_BYTES>() {
        if [*n0, *n1, *n2, *n3] == *b"VP8 " {
            return rest;
        }
        let bytes = (u32::from_le_bytes([*s0, *s1, *s2, *s3]) as usize).next_multiple_of(2);
        let Some(after) = rest.get(CHUNK_HEADER_BYTES + bytes..) else { break };
        rest = after;
    }
    chunks
}

/// Decodes an animation.
fn animation(
    content: &[u8],
    container: &Container<'_>,
    limits: &Limits,
    frames: &mut Frames<'_>,
) -> Result<(), DecodeError> {
    let (width, height, count) = (container.width(), container.height(), container.frame_count());
    let pixels = u64::from(width) * u64::from(height);
    // Two canvases, the RGB of one, and the memory for decoding a lossless frame or the alpha of a lossy one.
    let bytes = 2 * CANVAS_CHANNELS as u64 + CHANNELS as u64 + 5;
    limits.check_alloc(pixels * bytes + u64::from(width) * ROW_BYTES_PER_PX)?;
    let mut drawn = Animation::new(content, container)
        .ok_or(DecodeError::AllocTooLarge { bytes_max: limits.alloc_bytes_max })?;
    for number in 0..count {
        if !frames.wants(width, height) {
            frames.leave_out(count - number - 1);
            break;
        }
        let Some((time, canvas)) = drawn.next() else {
            // The later frames are drawn on this one.
            frames.leave_out(count - number - 1);
            return Err(DecodeError::Corrupt { reason: "a frame of the WebP cannot be decoded" });
        };
        let mut rgb = Pixels::zeroed(canvas.len() / CANVAS_CHANNELS * CHANNELS);
        let from = canvas.as_chunks::<CANVAS_CHANNELS>().0;
        for (out, &[red, green, blue, _]) in rgb.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(from) {
            *out = [red, green, blue];
        }
        let picture = Picture::from_pixels(width, height, rgb)
            .ok_or(DecodeError::Corrupt { reason: "the WebP has a frame of another size" })?;
        frames.take(Frame { time: Some(time), ..Frame::still(picture) });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
