//! The values near a value: the masks of bits to flip, those with the fewest ones first.
//!
//! A search reads a chunk's table at every value that differs from the query's in at most T bits: the query's
//! value XORed with each mask of at most T ones. The masks depend only on the width, so they are created
//! once.

use std::sync::OnceLock;

/// The width of the widest chunk, in bits. 100 million hashes fill a table of 2^20 buckets with a hundred
/// entries each.
pub(crate) const WIDTH_MAX: u32 = 20;

/// The largest number of flips for which there is a list. Twenty bits have 21,700 masks of up to five ones;
/// with a sixth there would be 60,460, more than the cost of scanning most segments.
pub(crate) const FLIPS_MAX: u32 = 5;

static FLIPS: [OnceLock<Flips>; WIDTH_MAX as usize + 1] = [const { OnceLock::new() }; WIDTH_MAX as usize + 1];

/// The masks of one width with up to [`FLIPS_MAX`] ones, ordered by their number of ones, then by value, so
/// that neighbours in the list mostly lead to neighbours in the table.
pub(crate) struct Flips {
    masks: Vec<u32>,
    /// For each n, the number of masks with at most n ones.
    counts: [usize; FLIPS_MAX as usize + 1],
}

impl Flips {
    /// Returns the masks for chunks of `width` bits, up to [`WIDTH_MAX`].
    pub(crate) fn of(width: u32) -> &'static Self {
        FLIPS[width as usize].get_or_init(|| Self::new(width))
    }

    /// Returns the masks with up to `flips` ones, each once.
    pub(crate) fn up_to(&self, flips: u32) -> &[u32] {
        &self.masks[..self.counts[flips.min(FLIPS_MAX) as usize]]
    }

    fn new(width: u32) -> Self {
        let mut masks = vec![0];
        let mut counts = [1; FLIPS_MAX as usize + 1];
        for flips in 1..=FLIPS_MAX {
            let mut mask = (1_u64 << flips) - 1;
            while mask < 1 << width {
                masks.push(u32::try_from(mask).expect("a chunk has fewer than 32 bits"));
                mask = next_with_as_many_ones(mask);
            }
            counts[flips as usize] = masks.len();
        }
        Self { masks, counts }
    }
}

/// Returns the next greater number with the same count of ones (Gosper, HAKMEM item 175).
const fn next_with_as_many_ones(mask: u64) -> u64 {
    let lowest = mask & mask.wrapping_neg();
    let ripple = mask + lowest;
    ripple | (((mask ^ ripple) >> 2) / lowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mask_of_a_width_is_there_once_in_order_of_its_ones() {
        for width in [3, 8, 13] {
            for flips in 0..=FLIPS_MAX {
                let masks = Flips::of(width).up_to(flips);
                let mut expected: Vec<u32> =
                    (0..1 << width).filter(|mask: &u32| mask.count_ones() <= flips).collect();
                expected.sort_by_key(|mask| mask.count_ones());
                assert_eq!(masks, expected, "{width} bits, {flips} flips");
            }
        }
    }
}
