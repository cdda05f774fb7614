#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "calls the popcnt build of the scan after asking the processor for the feature"
    )
)]
//! The inner loop: which rows of a block lie within a radius of one query.
//!
//! The distance is the number of ones in the XOR, word by word. The planes are read in two steps. The *head*,
//! as few leading words as tell unrelated hashes apart, is summed for every row; only rows whose partial
//! distance is still within the radius are looked at further. Half of a 256-bit hash suffices for radii up to
//! 41, so most rows cost two words instead of four, in memory traffic as in arithmetic.
//!
//! The same source is compiled twice, for the baseline and with the `popcnt` instruction, which x86-64's
//! baseline lacks. Both are exact; which one runs is decided when the program runs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::block::Words;

/// Radii up to `HEAD_REACH[n - 1]` are decided by a head of n words for nearly every unrelated row.
///
/// Two unrelated hashes differ in 32 n of 64 n bits with a standard deviation of 4 sqrt(n): four deviations
/// below the mean lets one row in thirty thousand through. Related bits only make the head longer than is
/// ideal or the second look more frequent, never the answer wrong.
const HEAD_REACH: [u32; 7] = [16, 41, 68, 96, 124, 152, 181];

/// A row within the radius.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) row: usize,
    pub(crate) distance: u32,
}

/// The first `rows` rows of a block: planes of `stride` words, `word_count` of them.
#[derive(Clone, Copy)]
pub(crate) struct Planes<'a> {
    pub(crate) words: &'a [AtomicU64],
    pub(crate) stride: usize,
    pub(crate) word_count: usize,
    pub(crate) rows: usize,
}

/// Replaces the content of `found` by the rows within `radius` of `query`, in the order of the rows.
#[inline]
pub(crate) fn scan(planes: Planes<'_>, query: &Words, radius: u32, found: &mut Vec<Candidate>) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("popcnt") {
        // SAFETY: `scan_popcnt` is a safe function but for the instruction that it is compiled to use, and
        // the processor has just been found to have it.
        unsafe { scan_popcnt(planes, query, radius, found) };
        return;
    }
    scan_portable(planes, query, radius, found);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn scan_popcnt(planes: Planes<'_>, query: &Words, radius: u32, found: &mut Vec<Candidate>) {
    choose_head(planes, query, radius, found);
}

fn scan_portable(planes: Planes<'_>, query: &Words, radius: u32, found: &mut Vec<Candidate>) {
    choose_head(planes, query, radius, found);
}

/// `inline(always)`, here and below, so that the code takes on the features of the function it is called
/// from.
#[inline(always)]
fn choose_head(planes: Planes<'_>, query: &Words, radius: u32, found: &mut Vec<Candidate>) {
    found.clear();
    let head = 1 + HEAD_REACH.iter().take(planes.word_count - 1).filter(|&&reach| reach < radius).count();
    match head {
        1 => scan_with_head::<1>(planes, query, radius, found),
        2 => scan_with_head::<2>(planes, query, radius, found),
        3 => scan_with_head::<3>(planes, query, radius, found),
        4 => scan_with_head::<4>(planes, query, radius, found),
        5 => scan_with_head::<5>(planes, query, radius, found),
        6 => scan_with_head::<6>(planes, query, radius, found),
        7 => scan_with_head::<7>(planes, query, radius, found),
        _ => scan_with_head::<8>(planes, query, radius, found),
    }
}

#[inline(always)]
fn scan_with_head<const HEAD: usize>(
    planes: Planes<'_>,
    query: &Words,
    radius: u32,
    found: &mut Vec<Candidate>,
) {
    let Planes { words, stride, word_count, rows } = planes;
    let head: [&[AtomicU64]; HEAD] = std::array::from_fn(|plane| &words[plane * stride..][..rows]);
    for row in 0..rows {
        let mut distance = 0;
        for plane in 0..HEAD {
            distance += (head[plane][row].load(Relaxed) ^ query[plane]).count_ones();
        }
        if distance <= radius {
            for plane in HEAD..word_count {
                distance += (words[plane * stride + row].load(Relaxed) ^ query[plane]).count_ones();
            }
            if distance <= radius {
                found.push(Candidate { row, distance });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn check(word_count: usize, spare: usize, columns: &[u64], query: Words, radius: u32) {
        let rows = columns.len() / word_count;
        let stride = rows + spare;
        let word = |row: usize, plane: usize| columns[row * word_count + plane];
        let words: Vec<AtomicU64> = (0..word_count)
            .flat_map(|plane| {
                (0..stride).map(move |row| if row < rows { word(row, plane) } else { query[plane] })
            })
            .map(AtomicU64::new)
            .collect();
        let expected: Vec<Candidate> = (0..rows)
            .map(|row| {
                let distance =
                    (0..word_count).map(|plane| (word(row, plane) ^ query[plane]).count_ones()).sum();
                Candidate { row, distance }
            })
            .filter(|candidate| candidate.distance <= radius)
            .collect();
        let planes = Planes { words: &words, stride, word_count, rows };
        let mut found = vec![Candidate { row: 9, distance: 9 }];
        scan(planes, &query, radius, &mut found);
        assert_eq!(found, expected);
        scan_portable(planes, &query, radius, &mut found);
        assert_eq!(found, expected);
    }

    proptest! {
        /// Words with few ones make small distances likely, words with many make large ones.
        #[test]
        fn both_builds_equal_the_definition(
            word_count in 1_usize..=8,
            spare in 0_usize..3,
            sparse in any::<bool>(),
            random in vec(any::<(u64, u64, u64)>(), 0..200),
            query in any::<Words>(),
            radius in prop_oneof![0_u32..70, 0_u32..=512],
        ) {
            let whole = random.len() / word_count * word_count;
            let columns: Vec<u64> = random[..whole]
                .iter()
                .enumerate()
                .map(|(at, (a, b, c))| if sparse { query[at % word_count] ^ (a & b & c) } else { *a })
                .collect();
            check(word_count, spare, &columns, query, radius);
        }
    }
}
