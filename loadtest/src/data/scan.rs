#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "calls the popcnt build of the scan after asking the processor for the feature"
    )
)]
//! The linear scan: the source of the right answers, and the baseline for other engines.
//!
//! Rows are compared as four 64-bit words, by counting the ones of the XOR. The same source is compiled for
//! the baseline and with `popcnt`, which x86-64's baseline lacks; both are exact.

use crate::Hash;

/// The largest radius at which half of a hash is compared first. Unrelated rows differ in 64 bits of that
/// half, give or take 6. At larger radii too many rows would need the second comparison as well.
const HALF_DECIDES: u16 = 41;

/// A row within the radius: its number in the slice that was scanned, and its distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) row: u32,
    pub(crate) distance: u16,
}

/// Returns the number of bits in which two hashes differ.
pub(crate) fn distance(one: &Hash, other: &Hash) -> u16 {
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    let bits = words.map(|(one, other)| (u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other)).count_ones());
    u16::try_from(bits.sum::<u32>()).expect("a hash has 256 bits")
}

/// Appends the rows within `radius` of `query` to `found`, in the order of the rows. At most 2^32 rows.
pub(crate) fn scan(rows: &[Hash], query: &Hash, radius: u16, found: &mut Vec<Found>) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("popcnt") {
        // SAFETY: `scan_popcnt` is unsafe only because it is compiled to use the `popcnt` instruction, and
        // the check above has just found that the processor has it.
        unsafe { scan_popcnt(rows, query, radius, found) };
        return;
    }
    scan_portable(rows, query, radius, found);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn scan_popcnt(rows: &[Hash], query: &Hash, radius: u16, found: &mut Vec<Found>) {
    scan_inline(rows, query, radius, found);
}

fn scan_portable(rows: &[Hash], query: &Hash, radius: u16, found: &mut Vec<Found>) {
    scan_inline(rows, query, radius, found);
}

/// The remaining code of a scan. `inline(always)`, here and below, compiles it with the features of the
/// calling function.
#[inline(always)]
fn scan_inline(rows: &[Hash], query: &Hash, radius: u16, found: &mut Vec<Found>) {
    if radius <= HALF_DECIDES {
        scan_with_head::<2>(rows, query, radius, found);
    } else {
        scan_with_head::<4>(rows, query, radius, found);
    }
}

/// Compares the remaining words only for rows that are within the radius after the first `HEAD` words.
#[inline(always)]
fn scan_with_head<const HEAD: usize>(rows: &[Hash], query: &Hash, radius: u16, found: &mut Vec<Found>) {
    let words = |hash: &Hash| -> [u64; 4] {
        std::array::from_fn(|at| u64::from_le_bytes(hash.as_chunks::<8>().0[at]))
    };
    let query = words(query);
    for (number, row) in (0..).zip(rows) {
        let row = words(row);
        let part = |at: usize| (row[at] ^ query[at]).count_ones();
        let head: u32 = (0..HEAD).map(part).sum();
        if head <= u32::from(radius) {
            let distance = head + (HEAD..4).map(part).sum::<u32>();
            if distance <= u32::from(radius) {
                let distance = u16::try_from(distance).expect("a hash has 256 bits");
                found.push(Found { row: number, distance });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::draw::{Draw, Stream};

    #[test]
    fn both_builds_equal_the_definition() {
        let mut draw = Draw::new(1, Stream::Query, 1);
        let query = draw.hash();
        let rows: Vec<Hash> = (0..257)
            .map(|flips| {
                let mut row = query;
                draw.flip(&mut row, flips);
                row
            })
            .collect();
        for radius in [0, 1, 31, 64, 128, 255, 256, u16::MAX] {
            let expected: Vec<Found> = (0..=256)
                .filter(|&at| at <= radius)
                .map(|at| Found { row: at.into(), distance: at })
                .collect();
            for run in [scan, scan_portable] {
                let mut found = Vec::new();
                run(&rows, &query, radius, &mut found);
                assert_eq!(found, expected, "radius {radius}");
            }
        }
    }
}
