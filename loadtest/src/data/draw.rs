//! Random numbers that depend only on a seed and an index, not on earlier draws.
//!
//! Each row has a generator of its own (xoshiro256++, Blackman and Vigna 2018), so rows can be drawn in any
//! order, by any number of threads, and again when a query is planted near one of them.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng as _, SeedableRng as _};
use rand_distr::{Distribution as _, StandardNormal};

use crate::Hash;

/// The purpose of the drawn numbers. Each purpose has its own sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    /// The parameters that all rows of a shape share.
    Shape,
    /// Originals, by number.
    Original,
    /// Alterations of an original, by row.
    Alteration,
    /// Queries, by number.
    Query,
    /// Hashes that are inserted and removed while searching, by number.
    Update,
    /// The question of a load test's request, by number.
    Request,
    /// Videos, by number.
    Video,
    /// The part of a video that is copied, and the change made to it, by the copy's number.
    VideoCopy,
    /// Title cards that videos share, by number.
    VideoTitle,
    /// Videos that requests ask about, by number.
    VideoQuery,
}

/// The generator for one index of one stream.
#[derive(Debug)]
pub(crate) struct Draw(Xoshiro256PlusPlus);

impl Draw {
    pub(crate) fn new(seed: u64, stream: Stream, index: u64) -> Self {
        let place = scramble(scramble(seed) ^ stream as u64).wrapping_add(index);
        Self(Xoshiro256PlusPlus::seed_from_u64(scramble(place)))
    }

    /// Returns 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Returns 256 random bits.
    pub(crate) fn hash(&mut self) -> Hash {
        let mut hash = [0; 32];
        for word in hash.as_chunks_mut::<8>().0 {
            *word = self.bits().to_le_bytes();
        }
        hash
    }

    /// Returns a hash with half of its bits set, as every hash of a picture has.
    pub(crate) fn hash_of_a_picture(&mut self) -> Hash {
        let mut hash = [0; 32];
        self.flip(&mut hash, 128);
        hash
    }

    /// Returns a number below `bound`, which is not 0. The bias of the multiplication is below one in 2^32
    /// for every bound used here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(product >> 64).expect("the upper half of 128 bits")
    }

    /// Returns a number in [0, 1).
    pub(crate) fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns the position of a bit in a hash, 0 to 255.
    pub(crate) fn position(&mut self) -> usize {
        (self.bits() >> 56) as usize
    }

    /// Returns a number from the standard normal distribution.
    pub(crate) fn normal(&mut self) -> f32 {
        StandardNormal.sample(&mut self.0)
    }

    /// Flips `count` different bits.
    pub(crate) fn flip(&mut self, hash: &mut Hash, count: u64) {
        self.flip_where(hash, count, |_| true);
    }

    /// Clears `count` bits that were set and sets `count` that were not, so the number of set bits stays the
    /// same.
    pub(crate) fn exchange(&mut self, hash: &mut Hash, count: u64) {
        let before = *hash;
        self.flip_where(hash, count, |position| is_set(&before, position));
        self.flip_where(hash, count, |position| !is_set(&before, position));
    }

    fn flip_where(&mut self, hash: &mut Hash, count: u64, admits: impl Fn(usize) -> bool) {
        let mut flipped: Hash = [0; 32];
        let mut left = count;
        while left > 0 {
            let position = self.position();
            if admits(position) && !is_set(&flipped, position) {
                toggle(&mut flipped, position);
                toggle(hash, position);
                left -= 1;
            }
        }
    }
}

/// The output function of SplitMix64 (Steele, Lea and Flood 2014): each input bit changes about half of the
/// output bits.
pub(crate) const fn scramble(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

pub(crate) const fn is_set(hash: &Hash, position: usize) -> bool {
    hash[position / 8] >> (position % 8) & 1 == 1
}

pub(crate) const fn toggle(hash: &mut Hash, position: usize) {
    hash[position / 8] ^= 1 << (position % 8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scan::distance;

    fn ones(hash: &Hash) -> u32 {
        hash.iter().map(|byte| byte.count_ones()).sum()
    }

    #[test]
    fn as_many_bits_are_flipped_as_were_asked_for() {
        let mut draw = Draw::new(1, Stream::Query, 5);
        let hash = draw.hash();
        for count in 0..=40 {
            let mut flipped = hash;
            draw.flip(&mut flipped, count);
            assert_eq!(u64::from(distance(&hash, &flipped)), count);
            let mut exchanged = hash;
            draw.exchange(&mut exchanged, count);
            assert_eq!(u64::from(distance(&hash, &exchanged)), 2 * count);
            assert_eq!(ones(&exchanged), ones(&hash));
        }
    }

    #[test]
    fn a_hash_of_a_picture_has_half_of_its_bits_set() {
        assert!((0..100).all(|index| ones(&Draw::new(1, Stream::Update, index).hash_of_a_picture()) == 128));
    }

    #[test]
    fn a_place_gives_the_same_numbers_again_and_another_place_others() {
        let first = |seed, stream, index| Draw::new(seed, stream, index).bits();
        let one = first(1, Stream::Query, 2);
        assert_eq!(one, first(1, Stream::Query, 2));
        let others = [first(2, Stream::Query, 2), first(1, Stream::Update, 2), first(1, Stream::Query, 3)];
        assert!(!others.contains(&one));
    }

    #[test]
    fn numbers_below_a_bound_reach_all_of_them() {
        let mut draw = Draw::new(1, Stream::Query, 0);
        let mut seen = [false; 7];
        for _ in 0..1_000 {
            seen[usize::try_from(draw.below(7)).unwrap()] = true;
        }
        assert_eq!(seen, [true; 7]);
    }
}
