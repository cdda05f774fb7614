//! Reduces a picture of any size to 64 x 64 luma: PDQ's blur and decimation as two band matrices.
//!
//! Source: the PDQ reference blurs the full luma plane with two passes of (box along rows, box along columns)
//! and then takes 64 x 64 samples. All of this is linear, and rows and columns do not mix, so together it is
//! `64x64 = V L H^t`. `V` depends only on the height and `H` only on the width, and both are zero outside a
//! band (see `band.rs`). Only the sampled values are computed, and no luma plane is written.
//!
//! `V` is applied first, to the bytes in memory: luma is also a sum, so it can be computed when only 64 rows
//! are left. A tent's weights are whole numbers over the square of the window, so these sums are exact. The
//! reference uses running sums of rounded `f32` and is therefore off by about 0.0001 of 255. A hash can
//! differ from the reference's only where rounding decides the bits: in a picture without detail, with
//! quality 0.
//!
//! The matrices are not cached: a band costs a few additions per source row or column, about 20 us for a
//! picture that takes 60 ms to decode, and a cache would need a limit, a lock and a test.

use std::ops::Range;

use crate::luma::LumaSource;
use crate::pdq::band::{COUNT_MAX, Tent, Weights, scaled_tent, tent};
use crate::picture::CHANNELS;

/// The number of rows and columns of the result.
pub(crate) const SIDE: usize = 64;

/// 64 rows of 64 luma values, 0 to 255.
pub(crate) type Buffer = [[f32; SIDE]; SIDE];

/// The number of samples that the inner loop of [`add_counted`] holds in registers: one cache line of bytes.
const STRIP: usize = 64;

/// A part of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) columns: Range<usize>,
    pub(crate) rows: Range<usize>,
}

impl Window {
    /// Returns the window of the whole picture.
    pub(crate) fn whole(source: &impl LumaSource) -> Self {
        let (width, height) = source.size();
        Self { columns: 0..width, rows: 0..height }
    }
}

/// Whether short sides are scaled up first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// PDQ as in the reference.
    AsIs,
    /// Each side is scaled up to the length from which on PDQ's blur hardly depends on it.
    Up,
}

impl Scale {
    /// Returns the rows of the band matrix of one side, for the samples of `range`.
    fn tents(self, range: &Range<usize>) -> Vec<Tent> {
        let tent = match self {
            Self::AsIs => tent,
            Self::Up => scaled_tent,
        };
        (0..SIDE)
            .map(|index| {
                let row = tent(range.len(), index, SIDE);
                Tent { start: row.start + range.start, ..row }
            })
            .collect()
    }
}

/// Blurs and decimates the luma of a part of the source to 64 x 64.
pub(crate) fn downsample_window<S: LumaSource>(source: &S, window: &Window, scale: Scale) -> Buffer {
    apply(source, &scale.tents(&window.columns), &scale.tents(&window.rows))
}

/// Computes the sums of the source's samples, weighted by the rows of two band matrices: one for columns, one
/// for rows.
pub(crate) fn apply<S: LumaSource>(source: &S, columns: &[Tent], rows: &[Tent]) -> Buffer {
    let stride = source.stride();

    let mut buffer = [[0.0; SIDE]; SIDE];
    let mut sums = vec![0_u32; stride];
    let mut luma = vec![0.0_f32; stride / S::PER_PIXEL];
    for (rows, out) in rows.iter().zip(&mut buffer) {
        let bytes = &source.samples()[rows.start * stride..];
        let divisor = match &rows.weights {
            Weights::Counts(counts) => {
                sums.fill(0);
                add_counted(bytes, counts, &mut sums);
                for (luma, sums) in luma.iter_mut().zip(sums.chunks_exact(S::PER_PIXEL)) {
                    *luma = luma_of::<S, u32>(sums, |&sum| sum as f32);
                }
                rows.divisor
            }
            Weights::Fractions(fractions) => {
                weigh_rows::<S>(bytes, fractions, rows.divisor, &mut luma);
                1.0
            }
        };
        for (out, tent) in out.iter_mut().zip(columns) {
            // Rounded once, to the `f32` of the reference.
            #[expect(clippy::cast_possible_truncation, reason = "one rounding")]
            let value = (weigh(&luma[tent.start..], &tent.weights) / (tent.divisor * divisor)) as f32;
            *out = value;
        }
    }
    buffer
}

/// Returns the luma of one pixel's sums, each rounded to `f32` first.
#[inline(always)]
fn luma_of<S: LumaSource, T>(sums: &[T], round: impl Fn(&T) -> f32) -> f32 {
    let mut pixel = [0.0; CHANNELS];
    for (sample, sum) in pixel.iter_mut().zip(&sums[..S::PER_PIXEL]) {
        *sample = round(sum);
    }
    S::luma(&pixel)
}

/// Adds to each of `sums` the samples of its column in `bytes`, with each row multiplied by its count.
///
/// Rows are processed in groups whose counts add up to at most [`COUNT_MAX`]. Within a group, sums fit into
/// 16 bits, so that a vector register holds many of them.
fn add_counted(bytes: &[u8], counts: &[u16], sums: &mut [u32]) {
    let stride = sums.len();
    let mut first = 0;
    while first < counts.len() {
        let mut total = 0;
        let group = counts[first..].iter().take_while(|&&count| {
            total += count;
            total <= COUNT_MAX
        });
        let group = &counts[first..first + group.count()];
        let bytes = &bytes[first * stride..(first + group.len()) * stride];
        for (strip, sums) in sums.chunks_mut(STRIP).enumerate() {
            let mut partial = [0_u16; STRIP];
            for (row, &count) in bytes.chunks_exact(stride).zip(group) {
                let row = &row[strip * STRIP..];
                // With a constant length the compiler unrolls the loop into vectors.
                if let Some(row) = row.first_chunk::<STRIP>() {
                    for (sum, &byte) in partial.iter_mut().zip(row) {
                        *sum += u16::from(byte) * count;
                    }
                } else {
                    for (sum, &byte) in partial.iter_mut().zip(row) {
                        *sum += u16::from(byte) * count;
                    }
                }
            }
            for (sum, &partial) in sums.iter_mut().zip(&partial) {
                *sum += u32::from(partial);
            }
        }
        first += group.len();
    }
}

/// Computes the luma of the weighted rows, for the few output rows whose weights are not whole numbers.
fn weigh_rows<S: LumaSource>(bytes: &[u8], fractions: &[f64], divisor: f64, luma: &mut [f32]) {
    let mut sums = vec![0.0_f64; luma.len() * S::PER_PIXEL];
    for (row, fraction) in bytes.chunks_exact(sums.len()).zip(fractions) {
        for (sum, &byte) in sums.iter_mut().zip(row) {
            *sum += f64::from(byte) * fraction;
        }
    }
    for (luma, sums) in luma.iter_mut().zip(sums.chunks_exact(S::PER_PIXEL)) {
        #[expect(clippy::cast_possible_truncation, reason = "one rounding")]
        let value = luma_of::<S, f64>(sums, |&sum| (sum / divisor) as f32);
        *luma = value;
    }
}

/// Returns the sum of the samples, each multiplied by its weight.
fn weigh(samples: &[f32], weights: &Weights) -> f64 {
    match weights {
        Weights::Counts(counts) => weighted_sum(samples, counts, |&count| f64::from(count)),
        Weights::Fractions(fractions) => weighted_sum(samples, fractions, |&fraction| fraction),
    }
}

/// Returns the weighted sum, computed as four independent sums so that an addition need not wait for the
/// previous one.
fn weighted_sum<T>(samples: &[f32], weights: &[T], weight: impl Fn(&T) -> f64) -> f64 {
    let (weights, weights_left) = weights.as_chunks::<4>();
    let (samples, samples_left) = samples.split_at(weights.len() * 4);
    let mut sums = [0.0; 4];
    for (samples, weights) in samples.as_chunks::<4>().0.iter().zip(weights) {
        for ((sum, &sample), w) in sums.iter_mut().zip(samples).zip(weights) {
            *sum += f64::from(sample) * weight(w);
        }
    }
    let left = samples_left.iter().zip(weights_left).map(|(&sample, w)| f64::from(sample) * weight(w));
    sums.iter().sum::<f64>() + left.sum::<f64>()
}

#[cfg(test)]
mod oracle;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::picture::Picture;

    fn downsample(picture: &Picture) -> Buffer {
        downsample_window(picture, &Window::whole(picture), Scale::AsIs)
    }

    /// Returns a picture whose samples are determined by the seed.
    fn picture(width: u32, height: u32, seed: u32) -> Picture {
        let mut state = seed | 1;
        let samples = (0..width * height * 3).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        Picture::from_rgb(width, height, samples.collect()).unwrap()
    }

    /// Returns the largest difference between the band matrices and the reference's running sums.
    fn difference(picture: &Picture) -> f32 {
        let (ours, literal) = (downsample(picture), oracle::downsample(picture));
        let pairs = ours.as_flattened().iter().zip(literal.as_flattened());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn band_matrices_equal_the_running_sums_within_rounding(
            width in 5_u32..700, height in 5_u32..700, seed in any::<u32>(),
        ) {
            prop_assert!(difference(&picture(width, height, seed)) < 0.002);
        }

        #[test]
        fn small_pictures_are_decimated_and_not_blurred(width in 5_u32..=128, height in 5_u32..=128, seed in any::<u32>()) {
            prop_assert!(difference(&picture(width, height, seed)) < 0.002);
        }
    }

    #[test]
    fn long_and_narrow_pictures_are_filtered_like_others() {
        for (width, height) in [(5, 16_384), (16_384, 5), (4_001, 9), (7, 3_003), (65, 129), (129, 65)] {
            assert!(difference(&picture(width, height, 9)) < 0.05, "{width} x {height}");
        }
    }

    #[test]
    fn a_flat_picture_stays_flat() {
        let flat = Picture::from_rgb(1_000, 777, vec![200; 1_000 * 777 * 3]).unwrap();
        assert!(downsample(&flat).as_flattened().iter().all(|&luma| (luma - 200.0).abs() < 1e-3));
    }
}
