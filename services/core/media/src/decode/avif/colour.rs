//! Converts planes of AV1 to 8-bit RGB, as libavif does for Pillow.
//!
//! Subsampled chroma is interpolated: three quarters of the nearest sample and a quarter of the next one, in
//! width and in height. The matrices are those of ITU-T H.273, clause 8.3.

use crate::picture::CHANNELS;

use super::av1::{Layout, Plane, Planes};
use super::cicp::Cicp;

/// The conversion of three samples to a pixel.
#[derive(Debug, Clone, Copy)]
enum Matrix {
    Shares(Shares),
    /// Green, blue and red without conversion.
    Identity,
    /// Luma, and the differences of green and of orange.
    YCgCo,
}

/// The factors of chroma in red, green and blue, as libyuv computes with them: with [`SHARE_BITS`] bits after
/// the binary point.
#[derive(Debug, Clone, Copy)]
struct Shares {
    luma: i32,
    black: i32,
    red: i32,
    green: (i32, i32),
    blue: i32,
    /// Whether 10-bit samples are used: luma keeps its 10 bits, and chroma loses two after interpolation.
    /// libyuv does this for RGB with alpha; for RGB without alpha it drops the two bits of every sample
    /// first.
    of_10_bits: bool,
}

const SHARE_BITS: u32 = 6;

/// The largest factor of libyuv, which the factors of blue with 224 levels would exceed.
const SHARE_MAX: i32 = 128;

/// The number of bits after the binary point of other factors.
const LEVEL_BITS: u32 = 16;

/// Converts the samples of one picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Converter {
    matrix: Matrix,
    /// The number of low bits of a sample that are dropped first.
    dropped_bits: u32,
    /// The sample value of black, and the factor that converts the difference to 8-bit levels.
    black: i32,
    level: i32,
    /// The sample value of neutral chroma.
    middle: i32,
}

impl Converter {
    /// Creates the converter for pictures of a file with or without alpha. `None` for a matrix that is not
    /// supported.
    pub(super) fn new(colour: Cicp, layout: Layout, bits: u32, with_alpha: bool) -> Option<Self> {
        let step = f64::from(1_u32 << (bits - 8));
        let largest = f64::from((1_u32 << bits) - 1);
        let (black, range) = if colour.full_range { (0, largest) } else { (16 << (bits - 8), 219.0 * step) };
        let matrix = match colour.matrix {
            0 if layout == Layout::Colour444 => Matrix::Identity,
            8 if layout != Layout::Grey => Matrix::YCgCo,
            number => Matrix::Shares(Shares::new(number, colour, with_alpha && bits == 10)?),
        };
        let dropped_bits = match matrix {
            Matrix::Shares(shares) if layout != Layout::Grey && !shares.of_10_bits => bits - 8,
            Matrix::Shares(_) | Matrix::Identity | Matrix::YCgCo => 0,
        };
        let middle = 1 << (bits - 1);
        Some(Self { matrix, dropped_bits, black, level: fixed(255.0 / range, LEVEL_BITS), middle })
    }

    /// Converts `planes` into `rgb`, which has rows of `stride` pixels. The picture fills the first `width`
    /// pixels of the first `height` rows.
    ///
    /// `None` if a plane is missing.
    pub(super) fn convert(
        &self,
        planes: &Planes,
        rgb: &mut [u8],
        stride: usize,
        (width, height): (usize, usize),
    ) -> Option<()> {
        let luma = planes.plane(0)?;
        let colours = match planes.layout {
            Layout::Grey => None,
            Layout::Colour420 | Layout::Colour422 | Layout::Colour444 => {
                Some([planes.plane(1)?, planes.plane(2)?])
            }
        };
        let [mut luma_row, mut blue_row, mut red_row, mut mixed] = [(); 4].map(|()| vec![0; planes.width]);
        for (y, out) in rgb.chunks_mut(stride * CHANNELS).take(height.min(planes.height)).enumerate() {
            self.copy_row(&luma, y, &mut luma_row);
            let out = &mut out.as_chunks_mut::<CHANNELS>().0[..width.min(planes.width)];
            let Some([blue, red]) = &colours else {
                for (out, &luma) in out.iter_mut().zip(&luma_row) {
                    *out = [self.level(luma); CHANNELS];
                }
                continue;
            };
            self.colour_row(blue, planes, y, &mut mixed, &mut blue_row);
            self.colour_row(red, planes, y, &mut mixed, &mut red_row);
            let samples = luma_row.iter().zip(&blue_row).zip(&red_row);
            for (out, ((&luma, &blue), &red)) in out.iter_mut().zip(samples) {
                *out = self.pixel(luma, blue, red);
            }
        }
        Some(())
    }

    #[inline]
    fn pixel(&self, luma: i32, blue: i32, red: i32) -> [u8; CHANNELS] {
        let (cb, cr) = (blue - self.middle, red - self.middle);
        match self.matrix {
            Matrix::Shares(shares) => shares.pixel(luma, blue, red),
            Matrix::Identity => [self.level(red), self.level(luma), self.level(blue)],
            Matrix::YCgCo => {
                let rest = luma - cb;
                [self.level(rest + cr), self.level(luma + cb), self.level(rest - cr)]
            }
        }
    }

    /// Converts a sample to 8 bits.
    fn level(&self, sample: i32) -> u8 {
        byte(((sample - self.black) * self.level + (1 << (LEVEL_BITS - 1))) >> LEVEL_BITS)
    }

    /// Copies a row of samples.
    fn copy_row(&self, plane: &Plane<'_>, y: usize, row: &mut [i32]) {
        match plane {
            Plane::Bytes { samples, stride } => copy(&samples[y * stride..], row, 0),
            Plane::Words { samples, stride } => copy(&samples[y * stride..], row, self.dropped_bits),
        }
    }

    /// Interpolates the chroma of one row of pixels.
    fn colour_row(&self, plane: &Plane<'_>, planes: &Planes, y: usize, mixed: &mut [i32], row: &mut [i32]) {
        let (width, height) = planes.layout.colours(planes.width, planes.height);
        let mixed = &mut mixed[..width];
        let (near, next) = match planes.layout {
            Layout::Colour420 if y % 2 == 1 => (y / 2, (y / 2 + 1).min(height - 1)),
            Layout::Colour420 => (y / 2, (y / 2).saturating_sub(1)),
            Layout::Grey | Layout::Colour422 => (y, y),
            Layout::Colour444 => return self.copy_row(plane, y, row),
        };
        match plane {
            Plane::Bytes { samples, stride } => {
                mix(&samples[near * stride..], &samples[next * stride..], mixed, 0);
            }
            Plane::Words { samples, stride } => {
                mix(&samples[near * stride..], &samples[next * stride..], mixed, self.dropped_bits);
            }
        }
        for (x, out) in row.iter_mut().enumerate() {
            let near = x / 2;
            let next = if x % 2 == 1 { (near + 1).min(width - 1) } else { near.saturating_sub(1) };
            *out = (3 * mixed[near] + mixed[next] + 8) >> 4;
        }
        // libyuv gives the last pixel its own chroma, which is also the result of the rule above for an even
        // width.
        if let (Some(out), Some(last)) = (row.last_mut(), mixed.last()) {
            *out = (4 * last + 8) >> 4;
        }
    }
}

impl Shares {
    fn new(matrix: u16, colour: Cicp, of_10_bits: bool) -> Option<Self> {
        let (red, blue) = luma_shares(matrix, colour.primaries)?;
        let green = 1.0 - red - blue;
        let range = if colour.full_range { 255.0 } else { 224.0 };
        let factor = |share: f64| fixed(share * 255.0 / range, SHARE_BITS).min(SHARE_MAX);
        let half = 1 << (SHARE_BITS - 1);
        // As in libyuv, luma is repeated in 16 bits and multiplied, and the upper half of the product is
        // kept. libyuv's table uses 1.164 for 255 / 219, except for BT.2020.
        let (luma, black) = match (colour.full_range, matrix) {
            (true, _) => (16_320, half),
            (false, 9) => (19_003, half - 1_192),
            (false, _) => (18_997, half - 1_192),
        };
        Some(Self {
            luma,
            black,
            red: factor(2.0 * (1.0 - red)),
            green: (factor(2.0 * blue * (1.0 - blue) / green), factor(2.0 * red * (1.0 - red) / green)),
            blue: factor(2.0 * (1.0 - blue)),
            of_10_bits,
        })
    }

    #[inline]
    fn pixel(&self, luma: i32, blue: i32, red: i32) -> [u8; CHANNELS] {
        let (luma, cb, cr) = if self.of_10_bits {
            (luma << 6 | luma >> 4, (blue >> 2) - 128, (red >> 2) - 128)
        } else {
            (luma * 0x0101, blue - 128, red - 128)
        };
        let luma = ((luma * self.luma) >> 16) + self.black;
        [luma + self.red * cr, luma - self.green.0 * cb - self.green.1 * cr, luma + self.blue * cb]
            .map(|sum| byte(sum >> SHARE_BITS))
    }
}

/// Returns the weights of red and blue in luma; `None` for a matrix that is not defined by such weights.
fn luma_shares(matrix: u16, primaries: u16) -> Option<(f64, f64)> {
    match (matrix, primaries) {
        // Display P3.
        (12, 12) => Some((0.228_975, 0.079_287)),
        (1, _) | (12, 1 | 2) => Some((0.2126, 0.0722)),
        (4, _) => Some((0.30, 0.11)),
        // BT.601; unspecified; and grey planes that are declared to be red, green and blue.
        (0 | 2 | 5 | 6, _) | (12, 5 | 6) => Some((0.299, 0.114)),
        (7, _) => Some((0.212, 0.087)),
        (9, _) | (12, 9) => Some((0.2627, 0.0593)),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a factor is less than 3")]
fn fixed(factor: f64, bits: u32) -> i32 {
    (factor * f64::from(1_u32 << bits)).round() as i32
}

fn byte(value: i32) -> u8 {
    u8::try_from(value.clamp(0, 255)).unwrap_or(u8::MAX)
}

fn copy<T: Copy + Into<i32>>(samples: &[T], row: &mut [i32], dropped_bits: u32) {
    for (out, &sample) in row.iter_mut().zip(samples) {
        *out = sample.into() >> dropped_bits;
    }
}

/// Adds three parts of a row and one part of the next.
fn mix<T: Copy + Into<i32>>(near: &[T], next: &[T], mixed: &mut [i32], dropped_bits: u32) {
    for ((out, &near), &next) in mixed.iter_mut().zip(near).zip(next) {
        *out = 3 * (near.into() >> dropped_bits) + (next.into() >> dropped_bits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BT709: Cicp = Cicp { primaries: 1, matrix: 1, full_range: false };

    #[test]
    fn black_and_white_and_grey_are_so_in_every_depth_and_range() {
        // The white of 10-bit samples is 254 in libyuv.
        for (bits, full_range, with_alpha, white_level) in [
            (8, false, false, 255),
            (8, true, true, 255),
            (10, false, true, 254),
            (10, true, false, 255),
            (12, false, false, 255),
        ] {
            let colour = Cicp { full_range, ..BT709 };
            let depth = 1_i32 << (bits - 8);
            let (black, white) = if full_range { (0, (1 << bits) - 1) } else { (16 * depth, 235 * depth) };
            let grey = Converter::new(colour, Layout::Grey, bits, with_alpha).unwrap();
            assert_eq!([grey.level(black), grey.level(white)], [0, 255]);
            let converter = Converter::new(colour, Layout::Colour420, bits, with_alpha).unwrap();
            let sample = |sample: i32| sample >> converter.dropped_bits;
            let middle = sample(converter.middle);
            let pixel = |luma| converter.pixel(sample(luma), middle, middle);
            assert_eq!(
                [pixel(black), pixel(white)],
                [[0; 3], [white_level; 3]],
                "{bits} bits, full: {full_range}"
            );
        }
    }

    #[test]
    fn a_colour_is_that_of_its_matrix() {
        let pixel = |matrix, layout, samples: [i32; 3]| {
            let colour = Cicp { matrix, primaries: 1, full_range: true };
            let [luma, blue, red] = samples;
            Converter::new(colour, layout, 8, false).map(|converter| converter.pixel(luma, blue, red))
        };
        // Red: luma is 255 times its weight in luma, and chroma half of the rest.
        assert_eq!(pixel(6, Layout::Colour420, [76, 85, 255]), Some([255, 0, 0]));
        assert_eq!(pixel(1, Layout::Colour420, [54, 99, 255]), Some([254, 0, 0]));
        assert_eq!(pixel(9, Layout::Colour420, [67, 92, 255]), Some([254, 0, 0]));
        assert_eq!(pixel(0, Layout::Colour444, [10, 20, 30]), Some([30, 10, 20]));
        assert_eq!(pixel(8, Layout::Colour444, [100, 128, 148]), Some([120, 100, 80]));
        assert_eq!(pixel(14, Layout::Colour444, [0; 3]), None);
    }
}
