//! Pictures as files in memory.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, RgbImage};

/// The longest side a JPEG can have.
const JPEG_SIDE_MAX: u32 = 65_535;

/// The formats a picture can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG of a quality, 1 to 100: lossy.
    Jpeg(u8),
    /// PNG: lossless.
    Png,
    /// WebP in its lossless form.
    WebP,
    /// GIF: lossy here, since a frame holds 256 colours.
    Gif,
    /// Windows bitmap: lossless.
    Bmp,
    /// TIFF: lossless.
    Tiff,
}

impl Format {
    /// Returns the name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg(_) => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
        }
    }

    /// Returns the picture in this format.
    ///
    /// # Panics
    ///
    /// If the picture has no pixels, or more along a side than the format supports (16,383 for WebP, 65,535
    /// for JPEG and GIF). That is a mistake of the caller, who chooses the size of this test material.
    #[must_use]
    pub fn encode(self, picture: &RgbImage) -> Vec<u8> {
        let (width, height) = picture.dimensions();
        assert!(width > 0 && height > 0, "a picture without pixels cannot be encoded");
        let mut file = Cursor::new(Vec::new());
        let format = match self {
            Self::Jpeg(quality) => {
                assert!(
                    width.max(height) <= JPEG_SIDE_MAX,
                    "a JPEG is at most {JPEG_SIDE_MAX} pixels a side"
                );
                let encoder = JpegEncoder::new_with_quality(&mut file, quality.clamp(1, 100));
                return match picture.write_with_encoder(encoder) {
                    Ok(()) => file.into_inner(),
                    Err(fault) => panic!("could not encode a JPEG: {fault}"),
                };
            }
            Self::Gif => {
                // The GIF encoder accepts only pixels with transparency.
                let opaque = DynamicImage::ImageRgb8(picture.clone()).into_rgba8();
                return match opaque.write_to(&mut file, ImageFormat::Gif) {
                    Ok(()) => file.into_inner(),
                    Err(fault) => panic!("could not encode a GIF: {fault}"),
                };
            }
            Self::Png => ImageFormat::Png,
            Self::WebP => ImageFormat::WebP,
            Self::Bmp => ImageFormat::Bmp,
            Self::Tiff => ImageFormat::Tiff,
        };
        match picture.write_to(&mut file, format) {
            Ok(()) => file.into_inner(),
            Err(fault) => panic!("could not encode a {} file: {fault}", self.name()),
        }
    }
}

/// Returns the picture as a JPEG of the given quality, 1 to 100. Panics as [`Format::encode`] does.
#[must_use]
pub fn encode_jpeg(picture: &RgbImage, quality: u8) -> Vec<u8> {
    Format::Jpeg(quality).encode(picture)
}

/// Returns the picture as a PNG. Panics as [`Format::encode`] does.
#[must_use]
pub fn encode_png(picture: &RgbImage) -> Vec<u8> {
    Format::Png.encode(picture)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw;

    fn decoded(format: Format) -> RgbImage {
        image::load_from_memory(&format.encode(&draw(4, 97, 61))).unwrap().into_rgb8()
    }

    #[test]
    fn lossless_formats_give_back_every_pixel() {
        for format in [Format::Png, Format::WebP, Format::Bmp, Format::Tiff] {
            assert_eq!(decoded(format), draw(4, 97, 61), "{}", format.name());
        }
    }

    #[test]
    fn lossy_formats_give_back_a_picture_close_to_it() {
        for format in [Format::Jpeg(90), Format::Gif] {
            let (before, after) = (draw(4, 97, 61), decoded(format));
            let apart: u64 = before.iter().zip(after.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            assert!(apart < 8 * 97 * 61 * 3, "{}: {apart}", format.name());
        }
    }

    #[test]
    fn a_lower_quality_gives_a_smaller_file() {
        let picture = draw(1, 320, 240);
        assert!(encode_jpeg(&picture, 30).len() < encode_jpeg(&picture, 80).len());
    }
}
