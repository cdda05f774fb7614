//! Rows that are hard for an index that looks up hashes by parts of them.
//!
//! | share | rows |
//! |---|---|
//! | 10 % | copies of one hash |
//! | 20 % | a cluster: one hash with 0 to 4 bits flipped |
//! | 15 % | equal in bits 0 to 127, that is in eight consecutive groups of 16; the rest is random |
//! | 15 % | equal in eight of every 16 bits: whole groups, if groups take every 16th bit |
//! | 10 % | all zeros or all ones, half of them with up to 8 bits flipped |
//! | 15 % | one bit in 16 set |
//! | 15 % | random |
//!
//! The row's number decides its kind, so each part of a file has all kinds in these shares.

use super::{FRESH, Shape};
use crate::Hash;
use crate::data::draw::{Draw, Stream};

pub(super) struct Adversarial {
    seed: u64,
    copied: Hash,
    centre: Hash,
    pattern: Hash,
}

impl Adversarial {
    pub(super) fn new(seed: u64) -> Self {
        let mut draw = Draw::new(seed, Stream::Shape, 1);
        Self { seed, copied: draw.hash(), centre: draw.hash(), pattern: draw.hash() }
    }

    fn draw(&self, number: u64) -> Hash {
        let mut draw = Draw::new(self.seed, Stream::Original, number);
        match number % 20 {
            0..2 => self.copied,
            2..6 => {
                let mut hash = self.centre;
                let count = draw.below(5);
                draw.flip(&mut hash, count);
                hash
            }
            6..9 => {
                let mut hash = draw.hash();
                hash[..16].copy_from_slice(&self.pattern[..16]);
                hash
            }
            9..12 => {
                let mut hash = draw.hash();
                for (byte, fixed) in hash.iter_mut().zip(self.pattern).step_by(2) {
                    *byte = fixed;
                }
                hash
            }
            12..14 => {
                let mut hash = if number % 20 == 12 { [0; 32] } else { [0xff; 32] };
                let count = draw.below(2) * draw.below(9);
                draw.flip(&mut hash, count);
                hash
            }
            14..17 => {
                let mut hash = [0xff; 32];
                for _ in 0..4 {
                    for (byte, random) in hash.iter_mut().zip(draw.hash()) {
                        *byte &= random;
                    }
                }
                hash
            }
            _ => draw.hash(),
        }
    }
}

impl Shape for Adversarial {
    fn draw_rows(&self, first: u64, into: &mut [Hash]) {
        for (row, hash) in (first..).zip(into) {
            *hash = self.draw(row);
        }
    }

    fn draw_fresh(&self, index: u64) -> Hash {
        // A multiple of 20 keeps the shares.
        self.draw(FRESH.next_multiple_of(20) + index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scan::distance;

    fn share(admits: impl Fn(&Hash) -> bool) -> f64 {
        let mut rows = vec![[0; 32]; 10_000];
        Adversarial::new(5).draw_rows(0, &mut rows);
        rows.iter().filter(|row| admits(row)).count() as f64 / 10_000.0
    }

    #[test]
    fn the_shares_are_those_that_are_documented() {
        let shape = Adversarial::new(5);
        assert!((share(|row| *row == shape.copied) - 0.10).abs() < 1e-9);
        assert!((share(|row| distance(row, &shape.centre) <= 4) - 0.20).abs() < 1e-9);
        assert!((share(|row| row[..16] == shape.pattern[..16]) - 0.15).abs() < 1e-9);
        let strided =
            |row: &Hash| row.iter().zip(shape.pattern).step_by(2).all(|(byte, fixed)| *byte == fixed);
        assert!((share(strided) - 0.15).abs() < 1e-9);
        let ones = |row: &Hash| distance(row, &[0; 32]);
        assert!((share(|row| ones(row) >= 248) - 0.05).abs() < 1e-9);
        assert!((share(|row| ones(row) <= 40) - 0.20).abs() < 0.005);
        let within = share(|row| ones(row) == 0 || ones(row) == 256);
        assert!((0.05..0.07).contains(&within), "{within}");
    }
}
