//! Coefficients to samples: the inverse DCT of one block.
//!
//! Source: Arai, Agui and Nakajima's factorisation, "A fast DCT-SQ scheme for images" (1988), in `f32`. Its scale factors are put
//! into the quantisation steps, which leaves five products for eight samples. Each step works on eight columns at once, which
//! compilers turn into vectors without being told how. Integer transforms, as libjpeg's and `zune-jpeg`'s, differ from this one
//! by a level where rounding decides.

use std::f32::consts::SQRT_2;
use std::f64::consts::PI;

use super::BLOCK;

type Rows = [[f32; BLOCK]; BLOCK];

/// Half of the range, which coefficients leave out.
const MIDDLE: f32 = 128.0;

/// What the coefficient at this place of a block is scaled by.
pub(super) fn scale(place: usize) -> f32 {
    let axis =
        |index: usize| if index == 0 { 1.0 } else { 2.0_f64.sqrt() * (index as f64 * PI / 16.0).cos() };
    #[expect(clippy::cast_possible_truncation, reason = "rounded once")]
    let scale = (axis(place / BLOCK) * axis(place % BLOCK) / 8.0) as f32;
    scale
}

/// Writes a block that has a constant coefficient and no other. Returns its smallest and its largest sample.
#[inline(always)]
pub(super) fn flat(coefficient: f32, out: &mut [u8], stride: usize) -> (u8, u8) {
    let sample = byte(coefficient + MIDDLE);
    for row in out.chunks_mut(stride).take(BLOCK) {
        row[..BLOCK].fill(sample);
    }
    (sample, sample)
}

/// Writes the block of these coefficients, each times its step. Returns its smallest and its largest sample.
#[inline(always)]
pub(super) fn inverse(
    coefficients: &[i32; BLOCK * BLOCK],
    steps: &[f32; BLOCK * BLOCK],
    out: &mut [u8],
    stride: usize,
) -> (u8, u8) {
    let mut rows = [[0.0; BLOCK]; BLOCK];
    for ((value, &coefficient), step) in rows.as_flattened_mut().iter_mut().zip(coefficients).zip(steps) {
        *value = coefficient as f32 * step;
    }
    rows[0][0] += MIDDLE;
    let rows = columns(&rows);
    // Turned once and not twice: column by column, the bytes of a row come together by shifting.
    let mut turned = columns(&transposed(&rows));
    let (mut low, mut high) = ([255.0_f32; BLOCK], [0.0_f32; BLOCK]);
    for column in &mut turned {
        for y in 0..BLOCK {
            column[y] = to_range(column[y]);
            low[y] = if column[y] < low[y] { column[y] } else { low[y] };
            high[y] = if column[y] > high[y] { column[y] } else { high[y] };
        }
    }
    let [mut left, mut right] = [[0_u32; BLOCK]; 2];
    for y in 0..BLOCK {
        let byte = |x: usize| (turned[x][y] + WHOLE).to_bits() & 0xff;
        left[y] = byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
        right[y] = byte(4) | byte(5) << 8 | byte(6) << 16 | byte(7) << 24;
    }
    for (y, row) in out.chunks_mut(stride).take(BLOCK).enumerate() {
        let samples = u64::from(left[y]) | u64::from(right[y]) << 32;
        row[..BLOCK].copy_from_slice(&samples.to_le_bytes());
    }
    (byte(low.into_iter().fold(255.0, f32::min)), byte(high.into_iter().fold(0.0, f32::max)))
}

/// Adding this leaves the nearest whole number in the lowest bits of an `f32`; unlike a cast, that needs no test for what
/// does not fit.
const WHOLE: f32 = 12_582_912.0;

/// The nearest byte.
#[inline(always)]
pub(super) const fn byte(value: f32) -> u8 {
    (to_range(value) + WHOLE).to_bits().to_le_bytes()[0]
}

/// Clamps to a byte's range, by the comparisons that are one instruction each: there is no NaN here.
#[inline(always)]
const fn to_range(value: f32) -> f32 {
    let value = if value > 0.0 { value } else { 0.0 };
    if value < 255.0 { value } else { 255.0 }
}

/// The transform of each column.
#[inline(always)]
fn columns(rows: &Rows) -> Rows {
    let mut out = [[0.0; BLOCK]; BLOCK];
    for x in 0..BLOCK {
        let even = (rows[0][x] + rows[4][x], rows[0][x] - rows[4][x]);
        let sum = rows[2][x] + rows[6][x];
        let difference = (rows[2][x] - rows[6][x]) * SQRT_2 - sum;
        let even = [even.0 + sum, even.1 + difference, even.1 - difference, even.0 - sum];

        let (z13, z10) = (rows[5][x] + rows[3][x], rows[5][x] - rows[3][x]);
        let (z11, z12) = (rows[1][x] + rows[7][x], rows[1][x] - rows[7][x]);
        let odd0 = z11 + z13;
        let z5 = (z10 + z12) * 1.847_759;
        let odd1 = z5 - z10 * 2.613_126 - odd0;
        let odd2 = (z11 - z13) * SQRT_2 - odd1;
        let odd3 = z5 - z12 * 1.082_392_2 - odd2;
        for (index, (even, odd)) in even.into_iter().zip([odd0, odd1, odd2, odd3]).enumerate() {
            out[index][x] = even + odd;
            out[7 - index][x] = even - odd;
        }
    }
    out
}

/// Rows for columns.
#[inline(always)]
fn transposed(rows: &Rows) -> Rows {
    std::array::from_fn(|row| std::array::from_fn(|column| rows[column][row]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition of T.81, A.3.3, in `f64`.
    fn defined(coefficients: &[i32; 64]) -> [f64; 64] {
        let wave = |frequency: usize, at: usize| {
            let factor = if frequency == 0 { (0.125_f64).sqrt() } else { 0.5 };
            factor * ((2 * at + 1) as f64 * frequency as f64 * PI / 16.0).cos()
        };
        std::array::from_fn(|place| {
            let sum: f64 = (0..64)
                .map(|f| f64::from(coefficients[f]) * wave(f / 8, place / 8) * wave(f % 8, place % 8))
                .sum();
            (sum + 128.0).clamp(0.0, 255.0)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn samples_are_those_of_the_definition(coefficients in prop::array::uniform32((-200..200, -60..60))) {
            let coefficients: [i32; 64] = std::array::from_fn(|place| {
                let (a, b) = coefficients[place / 2];
                if place % 2 == 0 { a } else { b }
            });
            let steps = std::array::from_fn(scale);
            let mut out = [0; 7 * 20 + 8];
            let (low, high) = inverse(&coefficients, &steps, &mut out, 20);
            let expected = defined(&coefficients);
            let samples: Vec<u8> = out.chunks(20).flat_map(|row| row[..8].to_vec()).collect();
            for (&actual, expected) in samples.iter().zip(expected) {
                prop_assert!((f64::from(actual) - expected).abs() < 0.51, "{actual} and {expected}");
            }
            prop_assert_eq!(samples.iter().min(), Some(&low));
            prop_assert_eq!(samples.iter().max(), Some(&high));
        }
    }

    #[test]
    fn a_constant_block_is_flat() {
        let mut out = [0; 64];
        assert_eq!(flat(-28.4, &mut out, 8), (100, 100));
        assert_eq!(out, [100; 64]);
    }
}
