//! PDQ: eight hashes of 256 bits and a quality, from one picture and one DCT.
//!
//! Source: the reference implementation of PDQ (ThreatExchange), in the variant that filters at full
//! resolution, as PyPI's `pdqhash` does. A bit is set if a coefficient exceeds the median of all 256.
//! Rotating or mirroring a picture rearranges and negates its coefficients, so the seven variants need only a
//! median each. A variant's hash is near the hash of the rotated file, but not always equal to it; a query
//! therefore carries all eight.

use vigie_model::{PdqHash, PictureHashes, Quality, Variant};

pub(crate) mod band;
pub(crate) mod filter;
mod dct;
pub(crate) mod near;

use crate::luma::LumaSource;
use crate::pdq::dct::{Coefficients, FREQUENCIES, dct};
use crate::pdq::filter::{Buffer, Scale, Window, downsample_window};
use crate::picture::Picture;

/// Pictures with a side below this have the all-zero hash and quality 0, as in the reference.
const SIDE_PX_MIN: usize = 5;

/// Computes the PDQ hashes of the picture and its variants, and its quality.
#[must_use]
pub fn pdq(picture: &Picture) -> PictureHashes {
    pdq_of_window(picture, &Window::whole(picture), Scale::AsIs)
}

/// Computes as [`pdq`] does, from a part of either kind of source.
pub(crate) fn pdq_of_window(source: &impl LumaSource, window: &Window, scale: Scale) -> PictureHashes {
    if window.columns.len().min(window.rows.len()) < SIDE_PX_MIN {
        return PictureHashes { pdq: [[0; 32]; 8], quality: quality_of(0) };
    }
    let buffer = downsample_window(source, window, scale);
    hashes(&buffer, &dct(&buffer))
}

/// Computes the hashes and the quality, from the picture's 64 x 64 luma and its coefficients.
pub(crate) fn hashes(buffer: &Buffer, coefficients: &Coefficients) -> PictureHashes {
    let pdq = Variant::ALL.map(|variant| hash(&turned(coefficients, variant)));
    PictureHashes { pdq, quality: quality(buffer) }
}

/// Checks whether an error of this size in each coefficient's distance from the median changes at most two
/// bits of the upright hash.
///
/// As many bits are set as clear, so bits change in pairs: one of each. If at most one coefficient on either
/// side of the median is within the error, at most one pair changes.
pub(crate) fn is_certain(coefficients: &Coefficients, error: f32) -> bool {
    let values = coefficients.as_flattened();
    let median = median(coefficients);
    let above = values.iter().filter(|&&value| value > median && value <= median + error).count();
    let below = values.iter().filter(|&&value| value <= median && value >= median - error).count();
    above.min(below) <= 1
}

/// Computes the amount of detail in the buffer: differences of neighbours in percent of the full scale, each
/// truncated to a whole number, summed, and scaled so that an ordinary photograph reaches 100.
fn quality(buffer: &Buffer) -> Quality {
    // The reference also truncates towards zero.
    #[expect(clippy::cast_possible_truncation, reason = "a difference of two bytes, in percent")]
    fn percent(u: f32, v: f32) -> u64 {
        u64::from((((u - v) * 100.0 / 255.0) as i32).unsigned_abs())
    }
    let mut sum = 0;
    for (row, below) in buffer.iter().zip(&buffer[1..]) {
        sum += row.iter().zip(below).map(|(&u, &v)| percent(u, v)).sum::<u64>();
    }
    for row in buffer {
        sum += row.iter().zip(&row[1..]).map(|(&u, &v)| percent(u, v)).sum::<u64>();
    }
    quality_of(sum / 90)
}

/// Converts a score to a quality of at most 100.
fn quality_of(score: u64) -> Quality {
    Quality::new(score.min(100)).expect("a score of at most 100 is a quality")
}

/// Returns the coefficients of the rotated or mirrored picture.
///
/// Frequencies are counted from 1, so an even index means an odd frequency, whose wave changes its sign when
/// its axis is reversed.
fn turned(original: &Coefficients, variant: Variant) -> Coefficients {
    let mut out = *original;
    for (i, row) in original.iter().enumerate() {
        for (j, &value) in row.iter().enumerate() {
            let negated = |yes: bool| if yes { -value } else { value };
            let (row_odd, column_odd) = (i % 2 == 0, j % 2 == 0);
            match variant {
                Variant::Original => {}
                Variant::Rotate90 => out[j][i] = negated(column_odd),
                Variant::Rotate180 => out[i][j] = negated(row_odd != column_odd),
                Variant::Rotate270 => out[j][i] = negated(row_odd),
                Variant::FlipX => out[i][j] = negated(row_odd),
                Variant::FlipY => out[i][j] = negated(column_odd),
                Variant::FlipPlus1 => out[j][i] = value,
                Variant::FlipMinus1 => out[j][i] = negated(row_odd != column_odd),
            }
        }
    }
    out
}

/// Returns one bit per coefficient, set if the coefficient exceeds the lower median.
///
/// Bit `k = 16 i + j` is bit `k % 16` of word `k / 16`, and the hexadecimal form prints word 15 first: bit
/// `k` is therefore bit `k % 8` of byte `31 - k / 8`.
fn hash(coefficients: &Coefficients) -> PdqHash {
    let median = median(coefficients);
    let values = coefficients.as_flattened();
    let mut bytes = [0; 32];
    for (k, &value) in values.iter().enumerate() {
        if value > median {
            bytes[31 - k / 8] |= 1 << (k % 8);
        }
    }
    bytes
}

/// Returns the lower median.
fn median(coefficients: &Coefficients) -> f32 {
    let mut sorted: [f32; FREQUENCIES * FREQUENCIES] = [0.0; FREQUENCIES * FREQUENCIES];
    sorted.copy_from_slice(coefficients.as_flattened());
    let (_, &mut median, _) =
        sorted.select_nth_unstable_by(FREQUENCIES * FREQUENCIES / 2 - 1, f32::total_cmp);
    median
}

#[cfg(test)]
mod tests {
    use std::array::from_fn;

    use proptest::prelude::*;

    use super::*;
    use crate::pdq::filter::SIDE;

    /// Returns the buffer of the transformed picture, pixel by pixel, according to the meaning of each
    /// variant's name.
    fn turned_buffer(buffer: &Buffer, variant: Variant) -> Buffer {
        let last = SIDE - 1;
        from_fn(|i| {
            from_fn(|j| match variant {
                Variant::Original => buffer[i][j],
                Variant::Rotate90 => buffer[j][last - i],
                Variant::Rotate180 => buffer[last - i][last - j],
                Variant::Rotate270 => buffer[last - j][i],
                Variant::FlipX => buffer[last - i][j],
                Variant::FlipY => buffer[i][last - j],
                Variant::FlipPlus1 => buffer[j][i],
                Variant::FlipMinus1 => buffer[last - j][last - i],
            })
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn each_variant_has_the_coefficients_of_the_turned_picture(seed in any::<u32>()) {
            let mut state = seed | 1;
            let buffer: Buffer = from_fn(|_| from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                f32::from(state.to_be_bytes()[0])
            }));
            let original = dct(&buffer);
            for variant in Variant::ALL {
                let by_rule = turned(&original, variant);
                let by_turning = dct(&turned_buffer(&buffer, variant));
                for (a, b) in by_rule.as_flattened().iter().zip(by_turning.as_flattened()) {
                    prop_assert!((a - b).abs() < 0.05, "{variant}: {a} and {b}");
                }
            }
        }
    }

    #[test]
    fn half_of_the_bits_are_set_where_no_two_coefficients_are_equal() {
        let coefficients = from_fn(|i| from_fn(|j| ((i * 37 + j * 101) % 256) as f32 + i as f32 / 100.0));
        assert_eq!(hash(&coefficients).iter().map(|byte| byte.count_ones()).sum::<u32>(), 128);
    }

    #[test]
    fn the_last_row_comes_first_in_the_hexadecimal_form() {
        let mut coefficients: Coefficients = [[0.0; FREQUENCIES]; FREQUENCIES];
        coefficients[15][15] = 1.0;
        coefficients[0][1] = 1.0;
        let bytes = hash(&coefficients);
        assert_eq!((bytes[0], bytes[31]), (0x80, 0x02));
    }

    #[test]
    fn a_flat_picture_has_no_quality() {
        let flat = Picture::from_rgb(80, 90, vec![77; 80 * 90 * 3]).unwrap();
        assert_eq!(pdq(&flat).quality.get(), 0);
    }

    #[test]
    fn fewer_than_five_rows_or_columns_have_no_hash() {
        for (width, height) in [(4, 100), (100, 4), (1, 1)] {
            let noise = (0..width * height * 3).map(|i: u32| (i * 89 % 251).to_le_bytes()[0]).collect();
            let picture = Picture::from_rgb(width, height, noise).unwrap();
            assert_eq!(pdq(&picture), PictureHashes { pdq: [[0; 32]; 8], quality: Quality::new(0).unwrap() });
        }
    }
}
