//! The source of every choice in a picture: a seeded generator that is the same on every platform.
//!
//! SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): eight
//! lines, integers only, and good streams from consecutive seeds, which is how pictures are numbered. A
//! crate's generator may change its stream between versions; the pictures must not change.

use crate::numbers;

/// A stream of random choices, determined by its seed.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// Returns the stream of a seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 (included) to 1 (excluded), in steps of 2^-24 so that each is exact.
    pub(crate) fn unit(&mut self) -> f32 {
        numbers::low(self.bits() >> 40) as f32 / 16_777_216.0
    }

    /// Returns a number from `from` to `to`.
    pub(crate) fn between(&mut self, from: f32, to: f32) -> f32 {
        numbers::mix(from, to, self.unit())
    }

    /// Returns a whole number from `from` to `to`, both included.
    pub(crate) fn count(&mut self, from: u32, to: u32) -> u32 {
        from + numbers::low(self.bits() >> 32) % (to - from + 1)
    }

    /// Returns true with the given probability.
    pub(crate) fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// Returns -1 or 1: a side of the picture, a direction.
    pub(crate) fn side(&mut self) -> f32 {
        if self.chance(0.5) { 1.0 } else { -1.0 }
    }

    /// Returns one of the choices.
    pub(crate) fn pick<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[self.count(0, u32::try_from(N - 1).unwrap_or(0)) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_published_one() {
        let mut rng = Rng::new(0);
        assert_eq!(rng.bits(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(rng.bits(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn choices_stay_within_their_bounds() {
        let mut rng = Rng::new(7);
        for _ in 0..10_000 {
            assert!((0.0..1.0).contains(&rng.unit()));
            assert!((3..=5).contains(&rng.count(3, 5)));
            assert!([2, 4].contains(&rng.pick([2, 4])));
        }
    }
}
