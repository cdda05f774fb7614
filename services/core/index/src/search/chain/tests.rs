//! Compares the tables with a linear scan, on every kernel.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::question::cancel::Cancellation;
use crate::search::buckets::build;
use crate::search::buckets::tests::Arrays;
use crate::search::chunking::{Chunk, Chunking};
use crate::search::tables::{Lengths, TablesError};

/// Rows with their tables.
struct Built<const BYTES: usize> {
    rows: Vec<[u8; BYTES]>,
    chunking: Chunking,
    directory: Vec<u32>,
    signatures: Vec<u16>,
    ids: Vec<u32>,
}

impl<const BYTES: usize> Built<BYTES> {
    fn new(mut rows: Vec<[u8; BYTES]>, widths: &[u8]) -> Self {
        rows.sort_unstable();
        let mut distinct = rows.clone();
        distinct.dedup();
        let chunking = Chunking::from_widths(8 * BYTES, widths).unwrap();
        let arrays = Arrays::new(Lengths::of(&chunking, distinct.len()));
        assert_eq!(build(&chunking, &rows[..], &arrays, 2).unwrap(), distinct.len());
        let Arrays { directory, signatures, ids } = arrays;
        let [directory, ids] = [directory, ids].map(|array| array.into_inner().unwrap());
        Self { rows, chunking, directory, signatures: signatures.into_inner().unwrap(), ids }
    }

    fn tables(&self) -> ChainTables<'_, BYTES> {
        ChainTables::new(&self.rows, &self.chunking, &self.directory, &self.signatures, &self.ids).unwrap()
    }

    fn found_on(
        &self,
        instructions: Instructions,
        queries: &[[u8; BYTES]],
        radius: u32,
    ) -> Option<Vec<Triple>> {
        let cancel = Cancellation::never();
        let mut checkpoint = Checkpoint::begin(&cancel).unwrap();
        let mut found = Vec::new();
        let mut report = |query, row, distance| found.push((query, row, distance));
        let mut scratch = Scratch::new();
        let searched = self.tables().search_on(
            instructions,
            queries,
            radius,
            &mut checkpoint,
            &mut scratch,
            &mut report,
        );
        searched?.unwrap();
        found.sort_unstable();
        Some(found)
    }

    fn expected(&self, queries: &[[u8; BYTES]], radius: u32) -> Vec<Triple> {
        let mut expected = Vec::new();
        for (query, sought) in queries.iter().enumerate() {
            for (row, hash) in self.rows.iter().enumerate() {
                let distance = sought.iter().zip(hash).map(|(one, other)| (one ^ other).count_ones()).sum();
                if distance <= radius && (row == 0 || self.rows[row - 1] != *hash) {
                    expected.push((query, u32::try_from(row).unwrap(), distance));
                }
            }
        }
        expected
    }

    fn check(&self, queries: &[[u8; BYTES]], radius: u32) {
        let expected = self.expected(queries, radius);
        for instructions in Instructions::ALL {
            if let Some(found) = self.found_on(instructions, queries, radius) {
                assert!(
                    found == expected,
                    "{instructions:?}, radius {radius}: {} of {}",
                    found.len(),
                    expected.len()
                );
            }
        }
    }
}

type Triple = (usize, u32, u32);

/// Returns the hash with `flips` random bits flipped; the same bit may be flipped back.
fn near<const BYTES: usize>(hash: &[u8; BYTES], flips: usize, rng: &mut SmallRng) -> [u8; BYTES] {
    let mut hash = *hash;
    for _ in 0..flips {
        let bit = rng.random_range(0..8 * BYTES);
        hash[bit / 8] ^= 1 << (bit % 8);
    }
    hash
}

/// Returns rows and queries. Some of the rows are equal or near to others, and most of the queries are near
/// to rows.
fn clustered<const BYTES: usize>(
    rows: usize,
    queries: usize,
    seed: u64,
) -> (Vec<[u8; BYTES]>, Vec<[u8; BYTES]>) {
    let rng = &mut SmallRng::seed_from_u64(seed);
    let mut hashes: Vec<[u8; BYTES]> = Vec::new();
    for _ in 0..rows {
        let hash = match (hashes.is_empty(), rng.random_range(0..8)) {
            (false, 0) => hashes[rng.random_range(0..hashes.len())],
            (false, 1..4) => {
                let flips = rng.random_range(0..70);
                near(&hashes[rng.random_range(0..hashes.len())], flips, rng)
            }
            _ => std::array::from_fn(|_| rng.random()),
        };
        hashes.push(hash);
    }
    let queries = (0..queries)
        .map(|_| {
            if hashes.is_empty() || rng.random_range(0..8) == 0 {
                return std::array::from_fn(|_| rng.random());
            }
            let flips = rng.random_range(0..70);
            near(&hashes[rng.random_range(0..hashes.len())], flips, rng)
        })
        .collect();
    (hashes, queries)
}

fn check<const BYTES: usize>(rows: usize, queries: usize, seed: u64, widths: &[u8], radii: &[u32]) {
    let (rows, queries) = clustered::<BYTES>(rows, queries, seed);
    let built = Built::new(rows, widths);
    for &radius in radii {
        built.check(&queries, radius);
    }
}

const EVEN: [u8; 16] = [16; 16];
const UNEVEN: [u8; 19] = [8, 20, 9, 19, 10, 18, 11, 17, 12, 16, 13, 15, 14, 14, 13, 13, 12, 11, 11];

#[test]
fn answers_equal_the_linear_scan_at_every_radius() {
    let (rows, queries) = clustered::<32>(3_000, 20, 1);
    let built = Built::new(rows, &EVEN);
    for radius in 0..=64 {
        built.check(&queries, radius);
    }
    for radius in [65, 100, 128, 255, 256, 512, u32::MAX] {
        built.check(&queries[..3], radius);
    }
}

#[test]
fn answers_equal_the_linear_scan_for_hashes_of_every_length() {
    let radii = [0, 1, 3, 7, 12, 15, 31, 48, 64];
    check::<8>(5_000, 20, 2, &[16; 4], &radii);
    check::<8>(5_000, 20, 3, &[8; 8], &radii);
    check::<12>(5_000, 20, 4, &[12; 8], &radii);
    check::<12>(5_000, 20, 5, &[20, 20, 20, 20, 16], &radii);
    check::<16>(5_000, 20, 6, &[16; 8], &radii);
    check::<32>(5_000, 20, 7, &UNEVEN, &radii);
    check::<64>(5_000, 20, 8, &[16; 32], &radii);
    check::<64>(2_000, 20, 9, &[8; 64], &radii);
}

#[test]
fn few_rows_are_no_special_case() {
    for rows in [0, 1, 2, 3, 31, 32, 33, 64, 65] {
        for queries in [0, 1, 2, 33, 100] {
            check::<32>(rows, queries, 10, &EVEN, &[0, 15, 31, 40]);
            check::<8>(rows, queries, 11, &[16; 4], &[0, 5, 31]);
        }
    }
}

#[test]
fn a_batch_is_answered_as_its_queries_one_by_one() {
    let (rows, queries) = clustered::<32>(20_000, 100, 12);
    let built = Built::new(rows, &EVEN);
    for radius in [0, 5, 31] {
        let together = built.found_on(Instructions::Portable, &queries, radius).unwrap();
        let mut singly = Vec::new();
        for (query, sought) in queries.iter().enumerate() {
            let found = built.found_on(Instructions::Portable, &[*sought], radius).unwrap();
            singly.extend(found.into_iter().map(|(_, row, distance)| (query, row, distance)));
        }
        assert_eq!(together, singly);
        assert_eq!(together, built.expected(&queries, radius));
    }
}

#[test]
fn copies_of_a_hash_are_reported_once() {
    let (mut rows, mut queries) = clustered::<32>(500, 5, 13);
    rows.extend([[7; 32]; 20_000]);
    queries.push([7; 32]);
    Built::new(rows, &EVEN).check(&queries, 31);
}

/// Returns hashes that share a chunk with each other and with the query, or differ in few bits altogether.
fn adversarial(kind: usize, rows: usize) -> Vec<[u8; 32]> {
    let rng = &mut SmallRng::seed_from_u64(14);
    let row = |_| match kind {
        0 => std::array::from_fn(|at| if at < 2 { 0 } else { rng.random() }),
        1 => std::array::from_fn(|at| if at < 6 { 0 } else { rng.random() }),
        2 => std::array::from_fn(|at| if at % 4 < 2 { 0 } else { rng.random() }),
        3 => std::array::from_fn(|at| if at < 16 { 0 } else { rng.random() }),
        4 => near(&[0; 32], 6, rng),
        _ => near(&[0; 32], 40, rng),
    };
    (0..rows).map(row).collect()
}

#[test]
fn hashes_that_share_chunks_are_found_all_the_same() {
    for kind in 0..6 {
        let built = Built::new(adversarial(kind, 20_000), &EVEN);
        let rng = &mut SmallRng::seed_from_u64(15);
        let mut queries = vec![[0; 32], [0xff; 32], rng.random()];
        queries.extend((0..5).map(|_| near(&[0; 32], 20, rng)));
        for radius in [0, 5, 31, 47, 64] {
            built.check(&queries, radius);
        }
    }
}

/// The limit is generous, because the machine may be busy. Without the budget, the worst case takes 30 times
/// the scan.
#[test]
fn no_data_makes_a_search_much_slower_than_a_scan() {
    for kind in 0..6 {
        let built = Built::new(adversarial(kind, 50_000), &EVEN);
        let tables = built.tables();
        let cancel = Cancellation::never();
        let mut checkpoint = Checkpoint::begin(&cancel).unwrap();
        let mut scratch = Scratch::new();
        let mut count = 0;
        let mut least = |search: &mut dyn FnMut(&mut Found<'_>)| {
            let time = |_| {
                let begun = Instant::now();
                search(&mut |_, _, _| count += 1);
                begun.elapsed()
            };
            (0..20).map(time).min().unwrap()
        };
        for radius in [5, 31, 47] {
            let query = [[0; 32]];
            let scan = least(&mut |report| {
                crate::search::verify::scan(&built.rows, &query, radius, &mut checkpoint, report).unwrap();
            });
            let search = least(&mut |mut report| {
                tables.search(&query, radius, &mut checkpoint, &mut scratch, &mut report).unwrap();
            });
            assert!(search < 4 * scan + Duration::from_micros(50), "kind {kind}: {search:?}, scan {scan:?}");
            println!("kind {kind}, radius {radius}: {search:?}, scan {scan:?}");
        }
    }
}

#[test]
fn a_cancelled_search_stops_and_leaves_the_scratch_usable() {
    let (rows, queries) = clustered::<32>(20_000, 50, 16);
    let built = Built::new(rows, &EVEN);
    let tables = built.tables();
    let flag = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let cancel = Cancellation::never().with_flag(flag.clone());
    let mut scratch = Scratch::new();
    let mut checkpoint = Checkpoint::begin(&cancel).unwrap();
    flag.store(true, std::sync::atomic::Ordering::Relaxed);
    let cancelled = tables.search(&queries, 40, &mut checkpoint, &mut scratch, &mut |_, _, _| ());
    assert_eq!(cancelled, Err(Cancelled));
    flag.store(false, std::sync::atomic::Ordering::Relaxed);
    let mut found = Vec::new();
    let mut report = |query, row, distance| found.push((query, row, distance));
    tables.search(&queries[..1], 31, &mut checkpoint, &mut scratch, &mut report).unwrap();
    found.sort_unstable();
    assert_eq!(found, built.expected(&queries[..1], 31));
}

#[test]
fn sections_that_do_not_fit_are_refused() {
    let built = Built::new(clustered::<32>(100, 0, 17).0, &EVEN);
    let Built { rows, chunking, directory, signatures, ids } = &built;
    let refused = |rows, directory, signatures, ids: &[u32]| {
        ChainTables::<32>::new(rows, chunking, directory, signatures, ids).err().unwrap()
    };
    let entries = ids.len();
    assert!(matches!(refused(rows, &directory[1..], signatures, ids), TablesError::Directory(..)));
    assert!(matches!(refused(rows, &[], signatures, ids), TablesError::Directory(..)));
    assert!(matches!(refused(rows, directory, &signatures[1..], ids), TablesError::Entries(..)));
    assert!(matches!(refused(rows, directory, signatures, &ids[1..]), TablesError::Entries(..)));
    assert!(matches!(refused(&rows[..9], directory, signatures, ids), TablesError::Uneven(..)));
    let mut more = directory.clone();
    *more.last_mut().unwrap() += 1;
    let (more_signatures, more_ids) = (vec![0; entries + 1], vec![0; entries + 1]);
    assert!(matches!(refused(rows, &more, &more_signatures, &more_ids), TablesError::Uneven(..)));
    let other = Chunking::from_widths(64, &[16; 4]).unwrap();
    assert!(matches!(
        ChainTables::new(rows, &other, directory, signatures, ids),
        Err(TablesError::Bits(64, 256))
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 200 }))]

    #[test]
    fn answers_equal_the_linear_scan(
        rows in 0_usize..if cfg!(miri) { 20 } else { 600 },
        queries in 1_usize..if cfg!(miri) { 3 } else { 40 },
        seed in any::<u64>(),
        radius in 0_u32..=64,
    ) {
        check::<8>(rows, queries, seed, &[8; 8], &[radius / 4]);
        check::<12>(rows, queries, seed, &[8, 9, 10, 11, 12, 13, 14, 19], &[radius / 3]);
        check::<16>(rows, queries, seed, &[8; 16], &[radius]);
        check::<32>(rows, queries, seed, &[8; 32], &[radius]);
        check::<64>(rows, queries, seed, &[8; 64], &[radius]);
    }

    /// Checks that a search ends without a panic and reports no row that does not exist, whatever the
    /// sections contain.
    #[test]
    fn damaged_tables_do_no_harm(
        damage in vec((0_usize..3, any::<prop::sample::Index>(), any::<u32>()), 1..200),
        seed in any::<u64>(),
    ) {
        let (rows, queries) = clustered::<32>(if cfg!(miri) { 5 } else { 300 }, 10, seed);
        let mut built = Built::new(rows, &[8; 32]);
        for (section, at, value) in damage {
            match section {
                0 => {
                    let inner = built.directory.len() - 1;
                    built.directory[at.index(inner)] = value % (2 * u32::try_from(built.ids.len()).unwrap() + 1);
                }
                1 => {
                    let len = built.signatures.len();
                    built.signatures[at.index(len)] = Chunk::signature(value);
                }
                _ => {
                    let len = built.ids.len();
                    built.ids[at.index(len)] = value;
                }
            }
        }
        for instructions in Instructions::ALL {
            for (query, row, distance) in built.found_on(instructions, &queries, 31).unwrap_or_default() {
                prop_assert!(distance <= 31);
                prop_assert_eq!(distance, crate::search::signature::distance(&built.rows[row as usize], &queries[query]));
            }
        }
    }
}
