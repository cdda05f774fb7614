//! Rows like PDQ hashes: half of the bits are set, bits are correlated, and there are near-duplicates.
//!
//! PDQ sets the bits of the 128 DCT coefficients above the median of all 256, and neighbouring coefficients
//! of pictures are correlated. Here a picture is a point of a 64-dimensional normal distribution, a
//! coefficient is its projection on one of 256 random directions, and the bits are those of the 128 largest
//! projections. 256 directions in 64 dimensions cannot be independent; this correlation affects an index.
//!
//! Every fifth row is a near-duplicate of an earlier original, at 2 to 40 bits: 1 to 20 bits are cleared and
//! as many are set, because half of the bits of a PDQ hash are set however the picture was altered. Queries
//! at an even distance are made in the same way: a frontend with members refuses hashes that no picture can
//! have.

use super::{FRESH, Shape};
use crate::Hash;
use crate::data::draw::{Draw, Stream, toggle};

const BITS: usize = 256;
const DIMENSIONS: usize = 64;

/// Near-duplicates are one row in this many.
const DUPLICATE_EVERY: u64 = 5;

/// A near-duplicate differs in at most twice this many bits.
const EXCHANGES_MAX: u64 = 20;

/// Rows that are multiplied at a time: their projections (8 KiB) and one line of directions (1 KiB) stay in
/// the first-level cache.
const TILE: usize = 8;

pub(super) struct Pdq {
    seed: u64,
    /// For each dimension, its components in the 256 directions.
    directions: Box<[[f32; BITS]; DIMENSIONS]>,
}

impl Pdq {
    pub(super) fn new(seed: u64) -> Self {
        let mut directions = Box::new([[0.0; BITS]; DIMENSIONS]);
        let mut draw = Draw::new(seed, Stream::Shape, 0);
        for part in directions.as_flattened_mut() {
            *part = draw.normal();
        }
        Self { seed, directions }
    }

    /// Draws the originals with these numbers.
    fn draw_originals(&self, numbers: &[u64], into: &mut [Hash]) {
        for (numbers, hashes) in numbers.chunks(TILE).zip(into.chunks_mut(TILE)) {
            let mut points = [[0.0; DIMENSIONS]; TILE];
            for (point, &number) in points.iter_mut().zip(numbers) {
                let mut draw = Draw::new(self.seed, Stream::Original, number);
                point.fill_with(|| draw.normal());
            }
            let mut projections = [[0.0; BITS]; TILE];
            for (dimension, parts) in self.directions.iter().enumerate() {
                for (projection, point) in projections.iter_mut().zip(&points).take(numbers.len()) {
                    for (sum, part) in projection.iter_mut().zip(parts) {
                        *sum += point[dimension] * part;
                    }
                }
            }
            for (hash, projection) in hashes.iter_mut().zip(&projections) {
                *hash = greatest_half(projection);
            }
        }
    }
}

impl Shape for Pdq {
    fn draw_rows(&self, first: u64, into: &mut [Hash]) {
        let end = first + into.len() as u64;
        let mut alterations: Vec<Draw> =
            (first..end).map(|row| Draw::new(self.seed, Stream::Alteration, row)).collect();
        let numbers: Vec<u64> =
            (first..end).zip(&mut alterations).map(|(row, draw)| original_of(row, draw)).collect();
        self.draw_originals(&numbers, into);
        for ((row, hash), draw) in (first..end).zip(into).zip(&mut alterations) {
            if is_duplicate(row) {
                let count = 1 + draw.below(EXCHANGES_MAX);
                draw.exchange(hash, count);
            }
        }
    }

    fn draw_fresh(&self, index: u64) -> Hash {
        let mut hash = [[0; 32]];
        self.draw_originals(&[FRESH + index], &mut hash);
        hash[0]
    }

    fn alter(&self, draw: &mut Draw, row: &mut Hash, distance: u16) {
        alter(draw, row, distance);
    }
}

/// Changes `distance` bits of a hash that has half of its bits set. If the distance is even, half of the
/// result's bits are set too; for an odd distance no such hash exists.
pub(crate) fn alter(draw: &mut Draw, hash: &mut Hash, distance: u16) {
    if distance.is_multiple_of(2) {
        draw.exchange(hash, u64::from(distance) / 2);
    } else {
        draw.flip(hash, distance.into());
    }
}

const fn is_duplicate(row: u64) -> bool {
    row % DUPLICATE_EVERY == DUPLICATE_EVERY - 1
}

/// Returns the row itself, or for a near-duplicate one of the originals before it.
fn original_of(row: u64, draw: &mut Draw) -> u64 {
    if !is_duplicate(row) {
        return row;
    }
    let chosen = draw.below(row - row / DUPLICATE_EVERY);
    chosen + chosen / (DUPLICATE_EVERY - 1)
}

/// Sets the bits of the larger half of the values; among equal values at the median, the first ones.
fn greatest_half(values: &[f32; BITS]) -> Hash {
    let mut sorted = *values;
    let (_, &mut median, _) = sorted.select_nth_unstable_by(BITS / 2, f32::total_cmp);
    let mut hash = [0; 32];
    let mut set = 0;
    for (position, &value) in values.iter().enumerate() {
        if value > median {
            toggle(&mut hash, position);
            set += 1;
        }
    }
    let equal = values.iter().enumerate().filter(|&(_, &value)| value == median);
    for (position, _) in equal.take(BITS / 2 - set) {
        toggle(&mut hash, position);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scan::distance;

    fn rows(count: usize) -> Vec<Hash> {
        let mut rows = vec![[0; 32]; count];
        Pdq::new(3).draw_rows(0, &mut rows);
        rows
    }

    fn ones(hash: &Hash) -> u32 {
        hash.iter().map(|byte| byte.count_ones()).sum()
    }

    #[test]
    fn exactly_half_of_the_bits_are_set() {
        assert!(rows(2_000).iter().all(|row| ones(row) == 128));
        assert_eq!(ones(&Pdq::new(3).draw_fresh(9)), 128);
        assert_eq!(ones(&greatest_half(&[1.0; BITS])), 128);
    }

    #[test]
    fn queries_at_an_even_distance_have_half_of_their_bits_set() {
        let shape = Pdq::new(3);
        let row = shape.draw_row(5);
        for bits in 0..=64 {
            let mut query = row;
            shape.alter(&mut Draw::new(3, Stream::Query, 1), &mut query, bits);
            assert_eq!(distance(&query, &row), bits);
            assert!(bits % 2 == 1 || ones(&query) == 128, "{bits}");
        }
    }

    #[test]
    fn a_fifth_of_the_rows_lies_within_40_bits_of_an_earlier_one() {
        let rows = rows(2_000);
        let mut distances = [0; 41];
        for (at, row) in rows.iter().enumerate() {
            let nearest = rows[..at].iter().map(|other| distance(row, other)).min();
            if let Some(nearest @ ..=40) = nearest {
                distances[nearest as usize] += 1;
            }
        }
        let near: u32 = distances.iter().sum();
        assert!((398..=402).contains(&near), "{near}");
        assert!(distances.iter().step_by(2).skip(1).all(|&count| count > 0), "{distances:?}");
    }

    #[test]
    fn bits_are_correlated() {
        let rows = rows(4_000);
        let agreement = |one: usize, other: usize| {
            let bit = |row: &Hash, position: usize| row[position / 8] >> (position % 8) & 1;
            let equal = rows.iter().filter(|row| bit(row, one) == bit(row, other)).count();
            (equal as f64 / rows.len() as f64 - 0.5).abs()
        };
        // Independent bits would agree in half of the rows, give or take 0.008.
        let strong = (1..BITS).filter(|&other| agreement(0, other) > 0.03).count();
        assert!(strong > 100, "{strong}");
    }
}
