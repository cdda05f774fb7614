//! A fixed pseudo-random order of the bits of a hash.
//!
//! The bits of real fingerprints are correlated: neighbours tend to agree, so a chunk of 16 consecutive bits
//! takes few of its 65,536 values, and some buckets overflow. A random order of the bits removes most of the
//! correlation (Norouzi, Punjani, Fleet, "Fast search in Hamming space with multi-index hashing", CVPR 2012,
//! section 3.3). Distances do not change, because both sides are permuted in the same way.
//!
//! A segment's header stores the seed, so the order for a seed must never change. The generator is SplitMix64
//! (Steele, Lea, Flood, OOPSLA 2014) and the shuffle is Durstenfeld's; both are implemented here.
//!
//! A hash is permuted nibble by nibble: a table gives the positions of the bits of each nibble value, and the
//! results are combined. Whole bytes would need half as many look-ups in a table eight times as large, which
//! each search would have to load into the cache again.

use std::fmt;

/// The seed of new segments: the fraction of the golden ratio, a number that nobody chose.
pub(crate) const DEFAULT_SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// The order of the bits of a hash of `BYTES` bytes, determined by a seed.
///
/// Seed 0 leaves every bit at its position.
#[derive(Clone)]
pub(crate) struct Permutation<const BYTES: usize> {
    seed: u64,
    forward: Spread<BYTES>,
}

impl<const BYTES: usize> Permutation<BYTES> {
    /// Returns the order of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let mut order: Vec<usize> = (0..8 * BYTES).collect();
        if seed != 0 {
            let mut state = seed;
            for last in (1..order.len()).rev() {
                order.swap(last, below(last + 1, &mut state));
            }
        }
        let pairs = order.iter().copied().enumerate();
        Self { seed, forward: Spread::new(pairs) }
    }

    /// Returns the hash with its bits in this order.
    pub(crate) fn apply(&self, hash: &[u8; BYTES]) -> [u8; BYTES] {
        self.forward.of(hash)
    }

    /// Returns the inverse, which moves the bits back to their positions.
    pub(crate) fn inverse(&self) -> Spread<BYTES> {
        let place = |bit: usize| {
            let mut single = [0; BYTES];
            single[bit / 8] = 1 << (bit % 8);
            let permuted = self.apply(&single);
            let byte = permuted.iter().position(|&byte| byte != 0).expect("no bit is lost");
            8 * byte + permuted[byte].trailing_zeros() as usize
        };
        Spread::new((0..8 * BYTES).map(|bit| (place(bit), bit)))
    }
}

/// Shows only the seed, which determines the tables.
impl<const BYTES: usize> fmt::Debug for Permutation<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permutation").field("bytes", &BYTES).field("seed", &self.seed).finish_non_exhaustive()
    }
}

/// The new positions of the bits of each nibble: for each byte the 16 values of its low nibble, then of its
/// high one.
#[derive(Clone)]
pub(crate) struct Spread<const BYTES: usize> {
    nibbles: Box<[[[[u8; BYTES]; 16]; 2]]>,
}

impl<const BYTES: usize> Spread<BYTES> {
    /// Creates the table from pairs of a bit's old position and its new one.
    fn new(pairs: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut nibbles = vec![[[[0; BYTES]; 16]; 2]; BYTES].into_boxed_slice();
        for (from, to) in pairs {
            let values = &mut nibbles[from / 8][from % 8 / 4];
            for (value, bits) in values.iter_mut().enumerate() {
                if value >> (from % 4) & 1 == 1 {
                    bits[to / 8] |= 1 << (to % 8);
                }
            }
        }
        Self { nibbles }
    }

    pub(crate) fn of(&self, hash: &[u8; BYTES]) -> [u8; BYTES] {
        let mut bits = [0; BYTES];
        for (&byte, [low, high]) in hash.iter().zip(&self.nibbles) {
            let (low, high) = (&low[usize::from(byte & 15)], &high[usize::from(byte >> 4)]);
            for at in 0..BYTES {
                bits[at] |= low[at] | high[at];
            }
        }
        bits
    }
}

/// Returns a number from 0 to `limit` - 1. Multiplication instead of division makes no number likelier by
/// more than 2^-54.
#[expect(clippy::cast_possible_truncation, reason = "a product's upper half is below `limit`")]
fn below(limit: usize, state: &mut u64) -> usize {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    ((u128::from(mixed) * limit as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn distance<const BYTES: usize>(one: &[u8; BYTES], other: &[u8; BYTES]) -> u32 {
        one.iter().zip(other).map(|(one, other)| (one ^ other).count_ones()).sum()
    }

    fn check<const BYTES: usize>(seed: u64, one: &[u8], other: &[u8]) {
        let permutation = Permutation::<BYTES>::new(seed);
        let [one, other] = [one, other].map(|hash| <[u8; BYTES]>::try_from(&hash[..BYTES]).unwrap());
        let (left, right) = (permutation.apply(&one), permutation.apply(&other));
        assert_eq!(distance(&left, &right), distance(&one, &other));
        assert_eq!(permutation.inverse().of(&left), one);
        // Every bit has a position of its own.
        let mut places = [0; BYTES];
        for bit in 0..8 * BYTES {
            let mut single = [0; BYTES];
            single[bit / 8] = 1 << (bit % 8);
            let place = permutation.apply(&single);
            assert_eq!(distance(&place, &[0; BYTES]), 1);
            places.iter_mut().zip(place).for_each(|(places, place)| *places |= place);
        }
        assert_eq!(places, [0xff; BYTES]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 64 }))]

        #[test]
        fn distances_stay_and_no_bit_is_lost(
            seed in any::<u64>(),
            one in any::<[[u8; 32]; 2]>(),
            other in any::<[[u8; 32]; 2]>(),
        ) {
            let (one, other) = (one.as_flattened(), other.as_flattened());
            check::<8>(seed, one, other);
            check::<12>(seed, one, other);
            check::<16>(seed, one, other);
            check::<32>(seed, one, other);
            check::<64>(seed, one, other);
        }
    }

    #[test]
    fn seed_0_changes_nothing() {
        let hash = std::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(Permutation::<64>::new(0).apply(&hash), hash);
    }

    /// Checks the order, because files on disk depend on it.
    #[test]
    fn the_order_of_a_seed_never_changes() {
        let permutation = Permutation::<8>::new(DEFAULT_SEED);
        assert_eq!(permutation.apply(&[1, 0, 0, 0, 0, 0, 0, 0]), [0, 128, 0, 0, 0, 0, 0, 0]);
        assert_eq!(permutation.apply(&[1, 2, 4, 8, 16, 32, 64, 128]), [16, 128, 32, 8, 64, 4, 16, 32]);
    }
}
