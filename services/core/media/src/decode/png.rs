//! PNG: every colour type and depth, and all frames of an APNG, decoded by `png`.
//!
//! A file that is cut after its pixels (checksums, later chunks, `IEND`) has lost none of the picture and is
//! accepted; one that is cut within them is refused. Checksums are not checked, as Pillow does not check
//! those of pixels.
//!
//! Samples are kept as in the file, in 8 bits, and are converted to RGB last, because the palette indices of
//! a palette picture are hashed too, and because Pillow composes an animation in the mode of its file. A
//! default image that is not part of the animation is the first frame.

use std::time::Duration;

use crate::error::DecodeError;
use crate::frames::{Frame, Frames};
use crate::limits::Limits;
use crate::luma::Luma;
use crate::picture::{CHANNELS, Picture};
use crate::pixels::Pixels;

use super::palette;

mod animation;
mod chunks;
mod samples;
mod stream;

use animation::Animation;
use chunks::{Colour, Head, Images};

pub(super) const FORMAT: &str = "PNG";

/// Decodes the frames of a PNG.
pub(super) fn decode(content: &[u8], limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    let (head, mut images) = chunks::read(content, limits)?;
    let missing = images.missing();
    let first = images.next().ok_or(DecodeError::Corrupt { reason: "the PNG has no pixels" })?;
    let further = u32::try_from(images.clone().count()).unwrap_or(u32::MAX);
    let size = (head.header.width, head.header.height);
    let animated = further > 0 && limits.check_alloc(Animation::alloc_bytes(&head)).is_ok();
    frames.wants(size.0, size.1);
    if !animated {
        limits.check_alloc(samples::alloc_bytes(&head.header, size) + rgb_bytes(&head))?;
        let samples = samples::decode(&head.header, size, &first, limits)?;
        frames.take(frame(&head, samples, None)?);
        frames.leave_out(further + missing);
        return Ok(());
    }
    let mut animation = Animation::new(&head, limits);
    let time = animation.draw(&first)?;
    frames.take(frame(&head, animation.samples().to_vec(), time)?);
    let known = frames.taken() + frames.left_out() + further;
    // Without this frame, the next one cannot be drawn either.
    let _ = later_frames(&head, &mut animation, images, frames);
    frames.leave_out(known.saturating_sub(frames.taken() + frames.left_out()) + missing);
    Ok(())
}

/// Passes on the frames after the first, until one is not wanted or cannot be drawn.
fn later_frames(
    head: &Head<'_>,
    animation: &mut Animation<'_>,
    images: Images<'_>,
    frames: &mut Frames<'_>,
) -> Result<(), DecodeError> {
    for image in images {
        if !frames.wants(head.header.width, head.header.height) {
            break;
        }
        let time = animation.draw(&image)?;
        frames.take(frame(head, animation.samples().to_vec(), time)?);
    }
    Ok(())
}

/// Creates a frame from these samples.
fn frame(head: &Head<'_>, samples: Vec<u8>, time: Option<Duration>) -> Result<Frame, DecodeError> {
    let (width, height) = (head.header.width, head.header.height);
    let (rgb, indices) = if head.header.colour == Colour::Palette {
        let rgb = samples::to_rgb(head, &samples);
        (rgb, Luma::new(width, height, width as usize, Pixels::Heap(samples)))
    } else {
        (samples::into_rgb(head, samples), None)
    };
    let picture = Picture::from_rgb(width, height, rgb)
        .ok_or(DecodeError::Corrupt { reason: "the PNG holds another number of pixels than it declares" })?;
    Ok(Frame { time, indices, ..Frame::still(picture) })
}

/// Returns the bytes of RGB that a frame needs besides its samples.
fn rgb_bytes(head: &Head<'_>) -> u64 {
    let beside = if head.header.channels() < CHANNELS { CHANNELS as u64 } else { 0 };
    u64::from(head.header.width) * u64::from(head.header.height) * beside
}
