//! Decodes the samples of one PNG image with `png`, to 8 bits each, and converts such samples to RGB.

use png::{Decoder, DecodingError, InterlaceInfo, expand_interlaced_row};

use crate::error::DecodeError;
use crate::limits::Limits;
use crate::picture::CHANNELS;

use super::chunks::{Colour, Head, Header, Image};
use super::stream::Stream;
use super::{FORMAT, palette};

/// Returns the bytes that decoding an image of this size allocates.
pub(super) fn alloc_bytes(header: &Header, (width, height): (u32, u32)) -> u64 {
    let pixels = u64::from(width) * u64::from(height);
    let packed = if header.is_interlaced() { header.row_bytes(width) as u64 * u64::from(height) } else { 0 };
    pixels * header.channels() as u64 + packed
}

/// Decodes an image of this size to samples of 8 bits, row by row. Palette indices are unchanged, 16-bit
/// samples lose the lower eight bits, and samples of fewer than 8 bits are scaled to the full range.
pub(super) fn decode(
    header: &Header,
    size: (u32, u32),
    image: &Image<'_>,
    limits: &Limits,
) -> Result<Vec<u8>, DecodeError> {
    let refusal = |error: DecodingError| refusal(&error, image, limits);
    let bytes = usize::try_from(limits.alloc_bytes_max).unwrap_or(usize::MAX);
    let stream = Stream::new(header, size, image.data);
    let mut decoder = Decoder::new_with_limits(stream, png::Limits { bytes });
    decoder.ignore_checksums(true);
    let mut reader = decoder.read_info().map_err(refusal)?;

    let row_bytes = header.row_bytes(size.0);
    let row_samples = size.0 as usize * header.channels();
    let mut samples = vec![0; row_samples * size.1 as usize];
    let mut row = vec![0; row_bytes];
    if header.is_interlaced() {
        let mut packed = vec![0; row_bytes * size.1 as usize];
        let pixel_bits = u8::try_from(header.channels()).unwrap_or(u8::MAX) * header.depth;
        while let Some(InterlaceInfo::Adam7(place)) = reader.read_row(&mut row).map_err(refusal)? {
            expand_interlaced_row(&mut packed, row_bytes, &row, &place, pixel_bits);
        }
        if header.depth == 8 {
            return Ok(packed);
        }
        for (samples, packed) in samples.chunks_exact_mut(row_samples).zip(packed.chunks_exact(row_bytes)) {
            unpack(packed, header, samples);
        }
    } else {
        for samples in samples.chunks_exact_mut(row_samples) {
            if header.depth == 8 {
                reader.read_row(samples).map_err(refusal)?;
            } else {
                reader.read_row(&mut row).map_err(refusal)?;
                unpack(&row, header, samples);
            }
        }
    }
    Ok(samples)
}

/// Unpacks the samples of a packed row.
fn unpack(packed: &[u8], header: &Header, samples: &mut [u8]) {
    let factor = match (header.colour, header.depth) {
        (_, 16) => {
            for (sample, [upper, _]) in samples.iter_mut().zip(packed.as_chunks().0) {
                *sample = *upper;
            }
            return;
        }
        (Colour::Grey, 1) => 255,
        (Colour::Grey, 2) => 85,
        (Colour::Grey, 4) => 17,
        _ => 1,
    };
    let depth = usize::from(header.depth);
    let mask = u8::MAX >> (8 - depth);
    for (samples, &byte) in samples.chunks_mut(8 / depth).zip(packed) {
        for (index, sample) in samples.iter_mut().enumerate() {
            *sample = ((byte >> (8 - depth * (index + 1))) & mask) * factor;
        }
    }
}

/// Converts samples to RGB: alpha is dropped, grey repeated, a palette looked up.
pub(super) fn to_rgb(head: &Head<'_>, samples: &[u8]) -> Vec<u8> {
    let mut rgb = vec![0; samples.len() / head.header.channels() * CHANNELS];
    let pixels = rgb.as_chunks_mut::<CHANNELS>().0.iter_mut();
    match head.header.colour {
        Colour::Grey => pixels.zip(samples).for_each(|(out, &grey)| *out = [grey; CHANNELS]),
        Colour::GreyAlpha => {
            pixels.zip(samples.as_chunks().0).for_each(|(out, &[grey, _])| *out = [grey; CHANNELS]);
        }
        Colour::Palette => {
            let colours = palette::colours(head.palette);
            pixels.zip(samples).for_each(|(out, &index)| *out = colours[usize::from(index)]);
        }
        Colour::Rgb => rgb.copy_from_slice(samples),
        Colour::Rgba => {
            pixels
                .zip(samples.as_chunks().0)
                .for_each(|(out, &[red, green, blue, _])| *out = [red, green, blue]);
        }
    }
    rgb
}

/// Converts as [`to_rgb`] does, and reuses the buffer of the samples if it is large enough.
pub(super) fn into_rgb(head: &Head<'_>, samples: Vec<u8>) -> Vec<u8> {
    match head.header.colour {
        Colour::Rgb => samples,
        Colour::Rgba => draw_together(samples),
        Colour::Grey | Colour::GreyAlpha | Colour::Palette => to_rgb(head, &samples),
    }
}

/// Keeps red, green and blue of each pixel, in the buffer that holds the pixels.
fn draw_together(mut samples: Vec<u8>) -> Vec<u8> {
    let pixels = samples.len() / 4;
    for pixel in 0..pixels {
        samples.copy_within(pixel * 4..pixel * 4 + CHANNELS, pixel * CHANNELS);
    }
    samples.truncate(pixels * CHANNELS);
    samples
}

/// Returns the error for the kind of the decoder's error, without its text.
fn refusal(error: &DecodingError, image: &Image<'_>, limits: &Limits) -> DecodeError {
    match error {
        DecodingError::LimitsExceeded => DecodeError::AllocTooLarge { bytes_max: limits.alloc_bytes_max },
        _ if image.is_cut_short() => DecodeError::Truncated { format: FORMAT },
        DecodingError::IoError(_) | DecodingError::Format(_) | DecodingError::Parameter(_) => {
            DecodeError::Corrupt { reason: "the PNG's data cannot be decoded" }
        }
    }
}
