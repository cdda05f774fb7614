//! Decodes bytes to frames of 8-bit RGB, within limits.
//!
//! The format is recognised by the first bytes, never by a name. The meaning of pixels follows PyPI's Pillow
//! and its `convert("RGB")`, with which most banks' hashes were computed: alpha is dropped and not
//! composited, 16-bit samples keep their upper eight bits, grey is repeated, palettes are looked up, Adobe's
//! CMYK is inverted, orientation tags and colour profiles are ignored, and an image that extends beyond the
//! canvas enlarges it.
//!
//! Each format's module first reads the declared size and checks the limits, then checks that the file is
//! complete, then decodes. A file is complete if no part of the hashed picture is missing; data after the
//! picture (later frames, metadata) may be cut.

use crate::error::DecodeError;
use crate::frames::{Frame, Frames, Samples, Taken};
use crate::limits::Limits;
use crate::picture::Picture;

mod guard;
mod signature;
mod boxes;
mod heif;
mod jpeg;
mod png;
mod webp;
mod avif;
mod gif;
mod bmp;
mod tiff;
mod palette;
pub mod outside;

/// The accepted formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Jpeg,
    Png,
    WebP,
    Avif,
    Gif,
    Bmp,
    Tiff,
}

impl Format {
    /// Returns the format whose signature the content begins with.
    fn of(content: &[u8]) -> Option<Self> {
        match content {
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::WebP),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'B', b'M', ..] => Some(Self::Bmp),
            [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Some(Self::Tiff),
            _ if signature::is_avif(content) => Some(Self::Avif),
            _ => None,
        }
    }

    /// Returns the format's usual name.
    const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => jpeg::header::FORMAT,
            Self::Png => png::FORMAT,
            Self::WebP => webp::FORMAT,
            Self::Avif => avif::FORMAT,
            Self::Gif => gif::FORMAT,
            Self::Bmp => bmp::FORMAT,
            Self::Tiff => tiff::FORMAT,
        }
    }
}

/// Checks whether a file may have more than one frame or page. Nothing is decoded: the answer follows from
/// the format, and from names that files of several frames contain. It is therefore `true` for some files of
/// one frame.
#[must_use]
pub fn may_have_several_frames(content: &[u8]) -> bool {
    let holds = |name: &[u8]| memchr::memmem::find(content, name).is_some();
    match Format::of(content) {
        Some(Format::Gif | Format::Tiff) => true,
        Some(Format::Png) => holds(b"acTL"),
        Some(Format::WebP) => holds(b"ANMF"),
        Some(Format::Avif) => holds(b"moov"),
        Some(Format::Jpeg) => holds(b"MPF\0"),
        Some(Format::Bmp) | None => false,
    }
}

/// Checks whether the content begins with the signature of a format that is decoded, here or by an external
/// program.
#[must_use]
pub fn begins_as_picture(content: &[u8]) -> bool {
    Format::of(content).is_some() || signature::foreign(content).is_some()
}

/// Decodes `content` and passes on its frames.
///
/// A fault after the first frame is not an error: the frames before it are hashed, and the others are counted
/// as left out.
pub(crate) fn decode_frames(
    content: &[u8],
    limits: &Limits,
    frames: &mut Frames<'_>,
) -> Result<(), DecodeError> {
    if content.is_empty() {
        return Err(DecodeError::Empty);
    }
    limits.check_input(content)?;
    let format = Format::of(content).ok_or_else(|| {
        signature::foreign(content).map_or(DecodeError::UnknownFormat, |format| DecodeError::DecoderMissing {
            format: format.name(),
        })
    })?;
    let decoded = guard::catch_panic(format.name(), || match format {
        Format::Jpeg => jpeg::decode(content, limits, frames),
        Format::Png => png::decode(content, limits, frames),
        Format::WebP => webp::decode(content, limits, frames),
        Format::Avif => avif::decode(content, limits, frames),
        Format::Gif => gif::decode(content, limits, frames),
        Format::Bmp => bmp::decode(content, limits, frames),
        Format::Tiff => tiff::decode(content, limits, frames),
    });
    match decoded {
        Ok(()) if frames.taken() == 0 => Err(DecodeError::Corrupt { reason: "the file holds no picture" }),
        Err(error) if frames.taken() > 0 => {
            frames.end_early(&error);
            Ok(())
        }
        decoded => decoded,
    }
}

/// Decodes the first frame of `content` to 8-bit RGB, upright.
///
/// # Errors
/// [`DecodeError`]: the input or what it declares is beyond `limits`, or it is unknown, truncated, corrupt or
/// unsupported, or the decoder panicked (which is caught).
pub fn decode(content: &[u8], limits: &Limits) -> Result<Picture, DecodeError> {
    let limits = Limits { frames_max: 1, ..*limits };
    let mut first = None;
    let mut visit = |_, frame: Frame| match frame.samples {
        Samples::Near(_) => Taken::NeedsRgb,
        Samples::Rgb(_) => {
            first = frame.upright();
            Taken::Hashed
        }
    };
    decode_frames(content, &limits, &mut Frames::exact(&limits, &mut visit))?;
    first.ok_or(DecodeError::Corrupt { reason: "the file holds no picture" })
}

#[cfg(test)]
mod tests;
