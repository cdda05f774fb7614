//! Decoded samples of any kind to 8-bit RGB, as Pillow's `convert("RGB")` does it.

use image::{ColorType, ImageDecoder};

use crate::error::DecodeError;
use crate::limits::Limits;
use crate::picture::{CHANNELS, Picture};

/// Runs one of `image`'s decoders within the limits and makes its samples RGB.
///
/// `extra_bytes` is what the decoder allocates besides the samples that it returns; `refusal` turns its error into one that
/// quotes no content.
pub(super) fn decode_with(
    decoder: impl ImageDecoder,
    limits: &Limits,
    format: &'static str,
    extra_bytes: u64,
    refusal: impl Fn(image::ImageError) -> DecodeError,
) -> Result<Picture, DecodeError> {
    let (width, height) = decoder.dimensions();
    let (color_type, bytes) = (decoder.color_type(), decoder.total_bytes());
    limits.check_dimensions(width, height)?;
    // Narrower samples than RGB are spread into a second buffer; wider ones are drawn together in place.
    let pixels = u64::from(width) * u64::from(height);
    let spread = if color_type.bytes_per_pixel() < 3 { pixels * CHANNELS as u64 } else { 0 };
    limits.check_alloc(bytes.saturating_add(spread).saturating_add(extra_bytes))?;
    let bytes = usize::try_from(bytes)
        .map_err(|_| DecodeError::AllocTooLarge { bytes_max: limits.alloc_bytes_max })?;
    let mut samples = vec![0; bytes];
    decoder.read_image(&mut samples).map_err(refusal)?;
    let rgb = to_rgb(samples, color_type).ok_or(DecodeError::Unsupported {
        format,
        reason: "samples that are no whole numbers; 1 to 16 bits are accepted",
    })?;
    Picture::from_rgb(width, height, rgb)
        .ok_or(DecodeError::Corrupt { reason: "the image holds another number of pixels than it declares" })
}

/// The limits in `image`'s own terms.
pub(super) fn image_limits(limits: &Limits) -> image::Limits {
    let mut out = image::Limits::no_limits();
    out.max_image_width = Some(limits.side_px_max);
    out.max_image_height = Some(limits.side_px_max);
    out.max_alloc = Some(limits.alloc_bytes_max);
    out
}

/// `image`'s error by its kind alone; its text may quote content.
pub(super) fn refusal_of(error: &image::ImageError, format: &'static str, limits: &Limits) -> DecodeError {
    use std::error::Error;
    use std::io::{self, ErrorKind};

    /// True where the error, or one that it stems from, is an early end of the data.
    fn ended_early(error: &(dyn Error + 'static)) -> bool {
        let early = error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::UnexpectedEof);
        early || error.source().is_some_and(ended_early)
    }

    match error {
        // Its `source` is what the I/O error stems from, not the I/O error itself.
        image::ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            DecodeError::Truncated { format }
        }
        image::ImageError::Limits(_) => DecodeError::AllocTooLarge { bytes_max: limits.alloc_bytes_max },
        image::ImageError::Unsupported(_) => DecodeError::Unsupported {
            format,
            reason: "this kind of samples or compression; re-encode the picture as PNG or JPEG",
        },
        error if ended_early(error) => DecodeError::Truncated { format },
        image::ImageError::Decoding(_)
        | image::ImageError::Encoding(_)
        | image::ImageError::Parameter(_)
        | image::ImageError::IoError(_) => {
            DecodeError::Corrupt { reason: "the image's data cannot be decoded" }
        }
    }
}

/// Samples to RGB; `None` for floating point, which no rule turns into bytes.
fn to_rgb(samples: Vec<u8>, color_type: ColorType) -> Option<Vec<u8>> {
    match color_type {
        ColorType::Rgb8 => Some(samples),
        ColorType::L8 => Some(spread(&samples, |&[grey]| grey)),
        ColorType::La8 => Some(spread(&samples, |&[grey, _]| grey)),
        ColorType::L16 => Some(spread(&samples, |&grey| upper(grey))),
        ColorType::La16 => Some(draw_together(samples, |[g1, g0, ..]: [u8; 4]| [upper([g1, g0]); 3])),
        ColorType::Rgba8 => Some(draw_together(samples, |[red, green, blue, _]| [red, green, blue])),
        ColorType::Rgb16 => Some(draw_together(samples, |[r1, r0, g1, g0, b1, b0]| {
            [upper([r1, r0]), upper([g1, g0]), upper([b1, b0])]
        })),
        ColorType::Rgba16 => Some(draw_together(samples, |[r1, r0, g1, g0, b1, b0, _, _]| {
            [upper([r1, r0]), upper([g1, g0]), upper([b1, b0])]
        })),
        ColorType::Rgb32F | ColorType::Rgba32F | _ => None,
    }
}

/// The upper eight bits of a 16-bit sample in this machine's byte order.
const fn upper(sample: [u8; 2]) -> u8 {
    u16::from_ne_bytes(sample).to_be_bytes()[0]
}

/// Each pixel's grey three times, in a buffer of its own.
fn spread<const N: usize>(samples: &[u8], grey: impl Fn(&[u8; N]) -> u8) -> Vec<u8> {
    let pixels = samples.as_chunks::<N>().0;
    let mut rgb = vec![0; pixels.len() * CHANNELS];
    for (out, pixel) in rgb.as_chunks_mut::<CHANNELS>().0.iter_mut().zip(pixels) {
        *out = [grey(pixel); CHANNELS];
    }
    rgb
}

/// Each pixel's red, green and blue, in the buffer that holds the pixels.
fn draw_together<const N: usize>(mut samples: Vec<u8>, rgb: impl Fn([u8; N]) -> [u8; CHANNELS]) -> Vec<u8> {
    const { assert!(N >= CHANNELS) };
    let pixels = samples.len() / N;
    for pixel in 0..pixels {
        let mut from = [0; N];
        from.copy_from_slice(&samples[pixel * N..][..N]);
        samples[pixel * CHANNELS..][..CHANNELS].copy_from_slice(&rgb(from));
    }
    samples.truncate(pixels * CHANNELS);
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_keep_their_upper_eight() {
        let samples: Vec<u8> =
            [0x12ff_u16, 0xff00, 0x00fe].iter().flat_map(|sample| sample.to_ne_bytes()).collect();
        assert_eq!(to_rgb(samples.clone(), ColorType::Rgb16), Some(vec![0x12, 0xff, 0x00]));
        assert_eq!(to_rgb(samples[..2].to_vec(), ColorType::L16), Some(vec![0x12; 3]));
    }

    #[test]
    fn alpha_is_dropped_and_not_composited() {
        assert_eq!(to_rgb(vec![1, 2, 3, 0, 4, 5, 6, 9], ColorType::Rgba8), Some(vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(to_rgb(vec![7, 0, 8, 255], ColorType::La8), Some(vec![7, 7, 7, 8, 8, 8]));
    }

    #[test]
    fn floating_point_is_no_picture() {
        assert_eq!(to_rgb(vec![0; 12], ColorType::Rgb32F), None);
    }
}
