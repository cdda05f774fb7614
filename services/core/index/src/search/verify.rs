//! Compares whole hashes: the distance of two hashes, and the scan of all rows, which is the fallback of
//! every search.
//!
//! The scan reads rows in order, in blocks that stay in the cache while every query of the batch is compared
//! with them. The source is plain; the compiler counts ones with `popcnt`, or eight words at a time with
//! AVX-512.

use vigie_model::Distance;

use crate::question::cancel::{Cancelled, Checkpoint};
use crate::search::signature::{Kernel, Task, dispatch};

/// The size of a block: a block of the longest hashes fills half of a first-level cache of 32 KiB.
const BLOCK_BYTES: usize = 16 << 10;

/// The callback for a row within the radius: the number of the query, the row, the distance.
pub(crate) type Found<'a> = dyn FnMut(usize, u32, u32) + 'a;

/// Checks whether the row is the first of those with its hash; rows are sorted.
#[inline(always)]
pub(crate) fn begins_a_run<const BYTES: usize>(rows: &[[u8; BYTES]], row: usize) -> bool {
    row == 0 || rows[row - 1] != rows[row]
}

/// Reports every distinct row within `radius` of each query, by the first of its copies.
pub(crate) fn scan<const BYTES: usize>(
    rows: &[[u8; BYTES]],
    queries: &[[u8; BYTES]],
    radius: u32,
    checkpoint: &mut Checkpoint<'_>,
    found: &mut Found<'_>,
) -> Result<(), Cancelled> {
    dispatch(Scan { rows, queries, asked: 0..queries.len(), radius, checkpoint, found })
}

/// Passes on the pairs of two lists of hashes that are within `radius`: the positions of both hashes in their
/// lists, and their distance. No hash of `rows` may be equal to the one before it.
///
/// Compares every pair, and checks `checkpoint` once for each of `queries` and 16 KiB of `rows`.
pub fn near_pairs<const BYTES: usize>(
    rows: &[[u8; BYTES]],
    queries: &[[u8; BYTES]],
    radius: Distance,
    checkpoint: &mut Checkpoint<'_>,
    take: &mut dyn FnMut(usize, usize, u32),
) -> Result<(), Cancelled> {
    scan(rows, queries, radius.0, checkpoint, &mut |query, row, distance| {
        take(row as usize, query, distance);
    })
}

/// A scan for some of the queries.
pub(crate) struct Scan<'a, 'c, 'f, const BYTES: usize, Asked> {
    pub(crate) rows: &'a [[u8; BYTES]],
    pub(crate) queries: &'a [[u8; BYTES]],
    /// The numbers of the queries to scan for.
    pub(crate) asked: Asked,
    pub(crate) radius: u32,
    pub(crate) checkpoint: &'a mut Checkpoint<'c>,
    pub(crate) found: &'a mut Found<'f>,
}

impl<const BYTES: usize, Asked: Iterator<Item = usize> + Clone> Task for Scan<'_, '_, '_, BYTES, Asked> {
    type Output = Result<(), Cancelled>;

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "a segment has at most 2^27 rows")]
    fn run<K: Kernel>(self, kernel: K) -> Self::Output {
        let Self { rows, queries, asked, radius, checkpoint, found } = self;
        let block_rows = BLOCK_BYTES / BYTES;
        for (block, first) in rows.chunks(block_rows).zip((0..).step_by(block_rows)) {
            for query in asked.clone() {
                checkpoint.spend(block.len())?;
                for (row, hash) in (first..).zip(block) {
                    let distance = kernel.distance(hash, &queries[query]);
                    if distance <= radius && begins_a_run(rows, row) {
                        found(query, row as u32, distance);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::question::cancel::Cancellation;
    use crate::search::signature::{Instructions, dispatch_to};

    fn check<const BYTES: usize>(rows: &[[u8; 64]], queries: &[[u8; 64]], radius: u32) {
        let cut = |hash: &[u8; 64]| <[u8; BYTES]>::try_from(&hash[..BYTES]).unwrap();
        let mut rows: Vec<[u8; BYTES]> = rows.iter().map(cut).collect();
        let queries: Vec<[u8; BYTES]> = queries.iter().map(cut).collect();
        rows.sort_unstable();
        let mut expected = Vec::new();
        for (query, sought) in queries.iter().enumerate() {
            for (row, hash) in rows.iter().enumerate() {
                let ones: u32 = sought.iter().zip(hash).map(|(one, other)| (one ^ other).count_ones()).sum();
                if ones <= radius && !rows[..row].contains(hash) {
                    expected.push((query, u32::try_from(row).unwrap(), ones));
                }
            }
        }
        for instructions in Instructions::ALL {
            let cancel = Cancellation::never();
            let mut checkpoint = Checkpoint::begin(&cancel).unwrap();
            let mut found = Vec::new();
            let asked = 0..queries.len();
            let scan = Scan {
                rows: &rows,
                queries: &queries,
                asked,
                radius,
                checkpoint: &mut checkpoint,
                found: &mut |query, row, distance| found.push((query, row, distance)),
            };
            if let Some(done) = dispatch_to(instructions, scan) {
                done.unwrap();
                found.sort_unstable();
                assert_eq!(found, expected, "{instructions:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]

        #[test]
        fn every_kernel_finds_what_is_near(
            rows in vec(any::<(u8, [[u8; 32]; 2])>(), 0..if cfg!(miri) { 8 } else { 300 }),
            queries in vec(any::<[[u8; 32]; 2]>(), 0..3),
            radius in prop_oneof![0_u32..=64, 0_u32..=512],
        ) {
            // Half of the rows are copies of a query or have some of its bits cleared.
            let whole = |halves: &[[u8; 32]; 2]| <[u8; 64]>::try_from(halves.as_flattened()).unwrap();
            let queries: Vec<[u8; 64]> = queries.iter().map(whole).collect();
            let rows: Vec<[u8; 64]> = rows
                .iter()
                .map(|(kind, random)| match (kind % 4, queries.first()) {
                    (0, Some(query)) => *query,
                    (1, Some(query)) => query.map(|byte| byte & !(1 << (kind / 4 % 8))),
                    _ => whole(random),
                })
                .collect();
            check::<8>(&rows, &queries, radius);
            check::<12>(&rows, &queries, radius);
            check::<16>(&rows, &queries, radius);
            check::<32>(&rows, &queries, radius);
            check::<64>(&rows, &queries, radius);
        }
    }
}
