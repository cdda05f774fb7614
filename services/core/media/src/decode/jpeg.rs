//! JPEG: baseline and progressive, grey, YCbCr, RGB, CMYK and YCCK, by `zune-jpeg` in its strict mode.
//!
//! `zune-jpeg` is what `image` uses. It is called directly because `image` runs it in its lenient mode, in which a damaged or
//! truncated file becomes a half-grey picture without an error.
//! The components' meaning is libjpeg's (see `jpeg_header.rs`); where `zune-jpeg` would read them otherwise, it decodes a copy
//! of the file whose Adobe marker says so. For PDQ alone a large file need not become RGB: see `jpeg_luma.rs`.

use std::borrow::Cow;

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::error::DecodeError;
use crate::frames::{Frame, Frames, Samples, Taken};
use crate::limits::Limits;
use crate::picture::{CHANNELS, Picture};
use crate::pixels::Pixels;

use super::jpeg_chroma::Rearranged;
use super::jpeg_header::{self, Colours, FORMAT, Header};
use super::jpeg_luma;

/// A progressive file may repeat the whole picture in each scan: so many times and no more. Encoders write about ten.
const SCANS_MAX: usize = 100;

/// Decodes a JPEG: to luma where that is quicker and decides the hash, else to RGB.
pub(super) fn decode(content: &[u8], limits: &Limits, frames: &mut Frames<'_>) -> Result<(), DecodeError> {
    let header = checked_header(content, limits)?;
    frames.wants(header.width.into(), header.height.into());
    if let Some(luma) = jpeg_luma::decode(content, &header, limits)
        && frames.take(Frame::of(Samples::Luma(luma))) == Taken::Hashed
    {
        return Ok(());
    }
    frames.take(Frame::still(decode_rgb(content, &header)?));
    Ok(())
}

/// Decodes a JPEG to RGB.
fn decode_rgb(content: &[u8], header: &Header) -> Result<Picture, DecodeError> {
    let (width, height) = (u32::from(header.width), u32::from(header.height));
    let content = with_adobe_transform(content, header);
    let rgb = if let Some(rearranged) = Rearranged::of(header) {
        let (width, height) = rearranged.declared_size();
        let content = rearranged.declare(header, &content);
        // As stored: luma and colours.
        Pixels::Heap(rearranged.to_rgb(&samples(&content, ColorSpace::YCbCr, width, height)?))
    } else {
        let output = match header.colours {
            // As stored: the three components are red, green and blue already.
            Colours::Rgb => ColorSpace::YCbCr,
            Colours::Grey | Colours::YCbCr | Colours::Cmyk | Colours::Ycck => ColorSpace::RGB,
        };
        samples(&content, output, header.width.into(), header.height.into())?
    };
    Picture::from_pixels(width, height, rgb)
        .ok_or(DecodeError::Corrupt { reason: "the JPEG holds another number of pixels than it declares" })
}

/// The header of a complete file within the limits.
fn checked_header(content: &[u8], limits: &Limits) -> Result<Header, DecodeError> {
    let header = jpeg_header::read(content)?;
    limits.check_dimensions(header.width.into(), header.height.into())?;
    limits.check_alloc(alloc_bytes(&header))?;
    header.check_complete(content)?;
    Ok(header)
}

/// The decoder's samples, three to a pixel, of a picture of this size.
fn samples(content: &[u8], output: ColorSpace, width: usize, height: usize) -> Result<Pixels, DecodeError> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_max_scans(SCANS_MAX)
        .jpeg_set_out_colorspace(output);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(content), options);
    decoder.decode_headers().map_err(refusal)?;
    if decoder.dimensions() != Some((width, height)) {
        return Err(DecodeError::Corrupt { reason: "the JPEG declares its size more than once" });
    }
    if decoder.input_colorspace() == Some(ColorSpace::RGB) {
        // Recognised by the components' identifiers: asking for RGB is what leaves them as they are.
        decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::RGB));
    }
    let mut samples = Pixels::zeroed(width * height * CHANNELS);
    decoder.decode_into(&mut samples).map_err(refusal)?;
    Ok(samples)
}

/// The file, with an Adobe marker that says what its components mean, or without one. Borrowed where it is so already.
fn with_adobe_transform<'a>(content: &'a [u8], header: &Header) -> Cow<'a, [u8]> {
    let Some((at, declared)) = header.adobe else { return Cow::Borrowed(content) };
    let transform = match header.colours {
        Colours::Cmyk => Some(0),
        Colours::YCbCr => Some(1),
        Colours::Ycck => Some(2),
        Colours::Grey | Colours::Rgb => None,
    };
    if transform == Some(declared) {
        return Cow::Borrowed(content);
    }
    let mut copy = content.to_vec();
    match transform {
        Some(transform) => copy[at + 11] = transform,
        // An identifier that decoders do not know.
        None => copy[at] = b'a',
    }
    Cow::Owned(copy)
}

/// What decoding allocates: the output, and all coefficients where they are buffered.
fn alloc_bytes(header: &Header) -> u64 {
    let pixels = u64::from(header.width) * u64::from(header.height);
    let factor_max = |factors: fn(&(u8, u8)) -> u8| header.sampling.iter().map(factors).max().unwrap_or(1);
    let (h_max, v_max) = (factor_max(|&(h, _)| h), factor_max(|&(_, v)| v));
    let mcus = u64::from(header.width).div_ceil(8 * u64::from(h_max))
        * u64::from(header.height).div_ceil(8 * u64::from(v_max));
    let blocks: u64 = header.sampling.iter().map(|&(h, v)| u64::from(h) * u64::from(v)).sum();
    let coefficients = if header.buffered { mcus * blocks * 64 * 2 } else { 0 };
    // A few rows of blocks of each component, before and after upsampling.
    let rows = u64::from(header.width) * 2 * 8 * 4 * 3 * 4;
    pixels * CHANNELS as u64 + coefficients + rows
}

/// The decoder's error without its text, which may quote the content.
fn refusal(error: DecodeErrors) -> DecodeError {
    match error {
        DecodeErrors::Unsupported(_) => DecodeError::Unsupported {
            format: FORMAT,
            reason: "this coding; Huffman-coded baseline and progressive files are accepted",
        },
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => DecodeError::Truncated { format: FORMAT },
        DecodeErrors::HuffmanDecode(_) => {
            DecodeError::Corrupt { reason: "a Huffman table of the JPEG is missing or wrong" }
        }
        DecodeErrors::DqtError(_) => {
            DecodeError::Corrupt { reason: "a quantisation table of the JPEG is wrong" }
        }
        DecodeErrors::SosError(_) => DecodeError::Corrupt { reason: "a scan header of the JPEG is wrong" },
        DecodeErrors::SofError(_) | DecodeErrors::ZeroError | DecodeErrors::LargeDimensions(_) => {
            DecodeError::Corrupt { reason: "the frame header of the JPEG is wrong" }
        }
        DecodeErrors::Format(_)
        | DecodeErrors::FormatStatic(_)
        | DecodeErrors::IllegalMagicBytes(_)
        | DecodeErrors::MCUError(_)
        | DecodeErrors::TooSmallOutput(..) => {
            DecodeError::Corrupt { reason: "the JPEG's data cannot be decoded" }
        }
    }
}
