//! The distance of two vectors.
//!
//! The same engine serves bits and numbers; this module has the differences. A distance is an `f32` that is
//! never negative and never NaN, whatever the vectors, because the graph library ends the process on either.
//! Vectors of numbers are therefore checked when they enter.

use std::cmp::Ordering;

use rand::RngExt;
use rand::rngs::SmallRng;
use vigie_model::VectorMetric;
use vigie_model::vectors::of_length_one;

use hnsw_rs::anndists::dist::distances::Distance as GraphDistance;

/// The type of a vector's elements.
pub(crate) trait Element: Copy + Send + Sync + 'static {
    /// Compares vectors of the same length in a total order. Two vectors are equal if their bits are equal.
    fn order(one: &[Self], other: &[Self]) -> Ordering;
}

impl Element for u64 {
    fn order(one: &[Self], other: &[Self]) -> Ordering {
        one.cmp(other)
    }
}

impl Element for u8 {
    fn order(one: &[Self], other: &[Self]) -> Ordering {
        one.cmp(other)
    }
}

impl Element for f32 {
    fn order(one: &[Self], other: &[Self]) -> Ordering {
        one.iter().map(|number| number.to_bits()).cmp(other.iter().map(|number| number.to_bits()))
    }
}

/// A distance between vectors of one length.
pub(crate) trait Metric: Clone + Send + Sync + 'static {
    type Element: Element;

    /// Returns the distance, which is neither negative nor NaN for all vectors that the index accepts.
    fn distance(&self, one: &[Self::Element], other: &[Self::Element]) -> f32;

    /// Returns a vector near this one, for measuring the recall.
    fn perturbed(&self, vector: &[Self::Element], random: &mut SmallRng) -> Vec<Self::Element>;
}

/// A metric in the form that the graph library requires.
pub(crate) struct OfGraph<M>(pub(crate) M);

impl<M: Metric> GraphDistance<M::Element> for OfGraph<M> {
    fn eval(&self, one: &[M::Element], other: &[M::Element]) -> f32 {
        self.0.distance(one, other)
    }
}

/// The number of differing bits. (The library's own Hamming distance counts differing elements.)
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bits {
    /// The number of bits of a hash, without the padding of its last word.
    pub(crate) count: usize,
}

impl Metric for Bits {
    type Element = u64;

    #[inline]
    fn distance(&self, one: &[u64], other: &[u64]) -> f32 {
        let bits: u16 = one.iter().zip(other).map(|(one, other)| small_count(one ^ other)).sum();
        f32::from(bits)
    }

    /// Flips up to an eighth of the bits, which for 256 bits is about PDQ's usual threshold.
    fn perturbed(&self, vector: &[u64], random: &mut SmallRng) -> Vec<u64> {
        let mut vector = vector.to_vec();
        for _ in 0..random.random_range(0..=self.count / 8) {
            let bit = random.random_range(0..self.count);
            vector[bit / 64] ^= 1 << (bit % 64);
        }
        vector
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a word has at most 64 ones")]
const fn small_count(word: u64) -> u16 {
    word.count_ones() as u16
}

/// Numbers compared by a [`VectorMetric`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dense(pub(crate) VectorMetric);

/// The number of independent sums, so that the compiler may use wide registers: it does not reorder
/// floating-point additions by itself.
const LANES: usize = 8;

fn sum_floats(one: &[f32], other: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let (one, one_rest) = one.as_chunks::<LANES>();
    let (other, other_rest) = other.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (one, other) in one.iter().zip(other) {
        for lane in 0..LANES {
            sums[lane] += term(one[lane], other[lane]);
        }
    }
    let rest: f32 = one_rest.iter().zip(other_rest).map(|(&one, &other)| term(one, other)).sum();
    sums.iter().sum::<f32>() + rest
}

/// With the cosine both vectors have length 1.
pub(crate) fn float_distance(metric: VectorMetric, one: &[f32], other: &[f32]) -> f32 {
    match metric {
        VectorMetric::Cosine => (1.0 - sum_floats(one, other, |one, other| one * other)).max(0.0),
        VectorMetric::L2 => sum_floats(one, other, |one, other| (one - other) * (one - other)).sqrt(),
    }
}

impl Metric for Dense {
    type Element = f32;

    fn distance(&self, one: &[f32], other: &[f32]) -> f32 {
        float_distance(self.0, one, other)
    }

    /// Changes each number by up to a tenth.
    fn perturbed(&self, vector: &[f32], random: &mut SmallRng) -> Vec<f32> {
        let changed: Vec<f32> =
            vector.iter().map(|number| number * random.random_range(0.9_f32..1.1)).collect();
        match self.0 {
            VectorMetric::Cosine => of_length_one(&changed).unwrap_or(changed),
            VectorMetric::L2 => changed,
        }
    }
}

/// Bytes compared by a [`VectorMetric`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct DenseBytes(pub(crate) VectorMetric);

impl Metric for DenseBytes {
    type Element = u8;

    /// Computes with whole numbers: the sums of 4,096 squares fit into 32 bits.
    #[expect(clippy::cast_possible_truncation, reason = "an f32 is precise enough for an answer")]
    fn distance(&self, one: &[u8], other: &[u8]) -> f32 {
        let pairs = one.iter().zip(other).map(|(&one, &other)| (u32::from(one), u32::from(other)));
        match self.0 {
            VectorMetric::Cosine => {
                let (mut product, mut square, mut other_square) = (0_u32, 0_u32, 0_u32);
                for (one, other) in pairs {
                    product += one * other;
                    square += one * one;
                    other_square += other * other;
                }
                let norms = f64::from(square).sqrt() * f64::from(other_square).sqrt();
                (1.0 - f64::from(product) / norms).max(0.0) as f32
            }
            VectorMetric::L2 => {
                let squares: u32 = pairs.map(|(one, other)| one.abs_diff(other).pow(2)).sum();
                f64::from(squares).sqrt() as f32
            }
        }
    }

    /// Changes each byte by up to 8.
    fn perturbed(&self, vector: &[u8], random: &mut SmallRng) -> Vec<u8> {
        let mut change = |byte: &u8| byte.saturating_add_signed(random.random_range(-8..=8));
        let changed: Vec<u8> = vector.iter().map(&mut change).collect();
        if changed.iter().all(|&byte| byte == 0) { vector.to_vec() } else { changed }
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::VECTOR_ELEMENTS_MAX;

    use super::*;

    #[test]
    fn bits_are_counted_and_not_words() {
        let bits = Bits { count: 128 };
        assert_eq!(bits.distance(&[0b1010, u64::MAX], &[0b1001, 0]), 66.0);
    }

    #[test]
    fn vectors_lie_as_far_apart_as_geometry_says() {
        let close = |distance: f32, expected: f32| assert!((distance - expected).abs() < 1e-5, "{distance}");
        let ten = |at: usize| {
            let mut vector = vec![0.0; 10];
            vector[at] = 3.0;
            vector
        };
        close(Dense(VectorMetric::L2).distance(&ten(0), &ten(9)), 18_f32.sqrt());
        let units = [of_length_one(&ten(0)).unwrap(), of_length_one(&ten(9)).unwrap()];
        close(Dense(VectorMetric::Cosine).distance(&units[0], &units[1]), 1.0);
        close(Dense(VectorMetric::Cosine).distance(&units[0], &units[0]), 0.0);
        let opposite: Vec<f32> = units[0].iter().map(|number| -number).collect();
        close(Dense(VectorMetric::Cosine).distance(&units[0], &opposite), 2.0);
        close(DenseBytes(VectorMetric::L2).distance(&[0, 255, 3], &[4, 255, 0]), 5.0);
        close(DenseBytes(VectorMetric::Cosine).distance(&[1, 0], &[9, 9]), 1.0 - 0.5_f32.sqrt());
    }

    #[test]
    fn the_longest_byte_vectors_do_not_overflow() {
        let (low, high) = ([0; VECTOR_ELEMENTS_MAX], [255; VECTOR_ELEMENTS_MAX]);
        assert_eq!(DenseBytes(VectorMetric::L2).distance(&low, &high), 255.0 * 64.0);
        assert_eq!(DenseBytes(VectorMetric::Cosine).distance(&high, &high), 0.0);
    }
}
