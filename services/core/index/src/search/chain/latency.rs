//! Measures the latency of the multi-index search: median and 99th percentile of single queries, batches, and
//! build time.
//!
//! ```text
//! CHAIN_HASHES=1000000,10000000 CHAIN_SHAPES=uniform,pdq \
//!     cargo test --release -p vigie-index --lib latency -- --ignored --nocapture
//! ```
//!
//! With `GLIBC_TUNABLES=glibc.malloc.hugetlb=1` in the environment the memory is in huge pages.
//! `CHAIN_DUMP=FOLDER` leaves rows and queries there as 32-byte records, for measurements of other engines.
//! `CHAIN_CHUNKS=14` sets the number of chunks.

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::question::cancel::{Cancellation, Checkpoint};
use crate::search::buckets::{TableSink, build};
use crate::search::chunking::Chunking;
use crate::search::id_form::IdForm;
use crate::search::permutation::{DEFAULT_SEED, Permutation};
use crate::search::pipeline::Scratch;
use crate::search::signature::Instructions;
use crate::search::tables::{ChainTables, Lengths};

type Hash = [u8; 32];

const QUERIES: usize = 2_000;

const ROUNDS: usize = 15;

/// An array that begins at a cache line.
struct Array<T> {
    values: Vec<T>,
    first: usize,
    len: usize,
}

impl<T: Copy + Default> Array<T> {
    fn new(len: usize) -> Self {
        let values = vec![T::default(); len + 64];
        let first = values.as_ptr().align_offset(64);
        Self { values, first, len }
    }

    fn values(&self) -> &[T] {
        &self.values[self.first..][..self.len]
    }

    fn put(&mut self, at: usize, values: &[T]) {
        self.values[self.first + at..][..values.len()].copy_from_slice(values);
    }
}

struct Arrays {
    directory: Mutex<Array<u32>>,
    signatures: Mutex<Array<u16>>,
    ids: Mutex<Array<u32>>,
}

impl TableSink for Arrays {
    fn directory(&self, at: usize, starts: &[u32]) -> io::Result<()> {
        self.directory.lock().unwrap().put(at, starts);
        Ok(())
    }

    fn signatures(&self, at: usize, signatures: &[u16]) -> io::Result<()> {
        self.signatures.lock().unwrap().put(at, signatures);
        Ok(())
    }

    fn ids(&self, at: usize, ids: &[u32]) -> io::Result<()> {
        self.ids.lock().unwrap().put(at, ids);
        Ok(())
    }
}

fn uniform(count: usize, rng: &mut SmallRng) -> Vec<Hash> {
    (0..count).map(|_| rng.random()).collect()
}

/// Returns the signs of 256 projections of a 64-dimensional Gaussian, relative to their median: half of the
/// bits are set and the bits are correlated. One hash in five is a near-duplicate of the previous one, at 1
/// to 40 flips.
fn pdq(count: usize, rng: &mut SmallRng, directions: &[[f32; 64]]) -> Vec<Hash> {
    // The sum of four uniform numbers is close enough to a Gaussian.
    let gaussian = |rng: &mut SmallRng| {
        let parts: [u16; 4] = rng.random();
        parts.iter().map(|&part| f32::from(part) / 65_536.0 - 0.5).sum::<f32>()
    };
    let mut hashes: Vec<Hash> = Vec::with_capacity(count);
    for _ in 0..count {
        if let Some(before) = hashes.last()
            && rng.random_range(0..5) == 0
        {
            let flips = rng.random_range(1..=40);
            hashes.push(flipped(before, flips, rng));
            continue;
        }
        let point: [f32; 64] = std::array::from_fn(|_| gaussian(rng));
        let mut projections = [0.0_f32; 256];
        for (projection, direction) in projections.iter_mut().zip(directions) {
            *projection =
                direction.iter().zip(&point).fold([0.0; 1], |[sum], (one, other)| [sum + one * other])[0];
        }
        let mut sorted = projections;
        let median = *sorted.select_nth_unstable_by(128, f32::total_cmp).1;
        let mut hash = [0; 32];
        for (bit, projection) in projections.iter().enumerate() {
            hash[bit / 8] |= u8::from(*projection >= median) << (bit % 8);
        }
        hashes.push(hash);
    }
    hashes
}

fn directions(rng: &mut SmallRng) -> Vec<[f32; 64]> {
    let coordinate = |rng: &mut SmallRng| {
        let parts: [f32; 4] = rng.random();
        parts.iter().sum::<f32>() - 2.0
    };
    (0..256).map(|_| std::array::from_fn(|_| coordinate(rng))).collect()
}

fn flipped(hash: &Hash, flips: usize, rng: &mut SmallRng) -> Hash {
    let mut hash = *hash;
    for _ in 0..flips {
        let bit: u8 = rng.random();
        hash[usize::from(bit / 8)] ^= 1 << (bit % 8);
    }
    hash
}

/// Returns rows and queries; half of the queries lie within 31 bits of a row.
fn data(shape: &str, count: usize) -> (Vec<Hash>, Vec<Hash>) {
    let rng = &mut SmallRng::seed_from_u64(1);
    let directions = directions(rng);
    let (rows, mut queries) = match shape {
        "uniform" => (uniform(count, rng), uniform(QUERIES, rng)),
        _ => (pdq(count, rng, &directions), pdq(QUERIES, rng, &directions)),
    };
    for query in queries.iter_mut().step_by(2) {
        let flips = rng.random_range(0..=31);
        *query = flipped(&rows[rng.random_range(0..count)], flips, rng);
    }
    (rows, queries)
}

fn measure(shape: &str, count: usize, chunks: Option<usize>, dump: Option<&str>) {
    let permutation = Permutation::<32>::new(DEFAULT_SEED);
    let (mut rows, mut queries) = data(shape, count);
    if let Some(folder) = dump {
        let file = |name: &str| Path::new(folder).join(format!("{shape}-{count}.{name}"));
        std::fs::write(file("rows"), rows.as_flattened()).unwrap();
        std::fs::write(file("queries"), queries.as_flattened()).unwrap();
    }
    let begun = Instant::now();
    rows.iter_mut().for_each(|row| *row = permutation.apply(row));
    let permuted = begun.elapsed();
    queries.iter_mut().for_each(|query| *query = permutation.apply(query));
    rows.sort_unstable();
    let mut distinct = rows.clone();
    distinct.dedup();
    let distinct = distinct.len();
    let mut sorted = Array::new(32 * rows.len());
    sorted.put(0, rows.as_flattened());
    drop(rows);
    let (rows, _) = sorted.values().as_chunks::<32>();

    let chosen = Chunking::choose(256, distinct, 31, IdForm::Wide);
    let even = |chunks: usize| {
        let widths = (0..chunks).map(|at| ((at + 1) * 256 / chunks - at * 256 / chunks).try_into().unwrap());
        Chunking::from_widths(256, &widths.collect::<Vec<u8>>()).unwrap()
    };
    let chunking = chunks.map(even).or(chosen).unwrap();
    let lengths = Lengths::of(&chunking, distinct);
    let arrays = Arrays {
        directory: Mutex::new(Array::new(lengths.directory)),
        signatures: Mutex::new(Array::new(lengths.signatures)),
        ids: Mutex::new(Array::new(lengths.ids)),
    };
    let begun = Instant::now();
    build(&chunking, rows, &arrays, 2).unwrap();
    let bytes = 4 * lengths.directory + 2 * lengths.signatures + 4 * lengths.ids + 32 * count;
    println!(
        "{shape} {count}: {} chunks, permuted in {permuted:.2?}, built in {:.2?}, {:.1} bytes a hash",
        chunking.len(),
        begun.elapsed(),
        bytes as f64 / count as f64
    );

    let Arrays { directory, signatures, ids } = arrays;
    let directory = directory.into_inner().unwrap();
    let signatures = signatures.into_inner().unwrap();
    let ids = ids.into_inner().unwrap();
    let tables = ChainTables::new(rows, &chunking, directory.values(), signatures.values(), ids.values());
    let tables = tables.unwrap();
    let cancel = Cancellation::never();
    let mut checkpoint = Checkpoint::begin(&cancel).unwrap();
    let mut scratch = Scratch::new();
    let mut search = |instructions, queries: &[Hash], radius| {
        let mut found = 0_usize;
        let mut report = |_, _, _| found += 1;
        let done =
            tables.search_on(instructions, queries, radius, &mut checkpoint, &mut scratch, &mut report);
        done.map(|done| done.map(|()| found).unwrap())
    };
    for radius in variable_radii() {
        for instructions in Instructions::ALL {
            let few = if radius > 31 { QUERIES / 10 } else { QUERIES };
            let queries = &queries[..few];
            if search(instructions, &queries[..1], radius).is_none() {
                continue;
            }
            // The minimum of several runs of each batch, because other processes are not to be measured.
            let mut batch = |size: usize| {
                let mut times = vec![f64::MAX; queries.len() / size];
                let mut found = 0;
                for _ in 0..ROUNDS {
                    found = 0;
                    for (least, batch) in times.iter_mut().zip(queries.chunks_exact(size)) {
                        let begun = Instant::now();
                        found += search(instructions, black_box(batch), radius).unwrap();
                        *least = least.min(begun.elapsed().as_secs_f64() * 1e6 / size as f64);
                    }
                }
                times.sort_by(f64::total_cmp);
                (times[times.len() / 2], times[times.len() * 99 / 100], found)
            };
            let (single, of_8, of_64) = (batch(1), batch(8), batch(64));
            println!(
                "  r={radius:<2} {instructions:<9?} median {:8.2} us, p99 {:8.2} us; in batches of 8 {:8.2}, \
                 of 64 {:8.2}; {:.2} found",
                single.0,
                single.1,
                of_8.0,
                of_64.0,
                single.2 as f64 / queries.len() as f64
            );
        }
    }
}

fn variable_radii() -> Vec<u32> {
    let radii = std::env::var("CHAIN_RADII").unwrap_or("0,15,31,47,63".to_owned());
    radii.split(',').map(|radius| radius.parse().unwrap()).collect()
}

#[test]
#[ignore = "a measurement"]
fn latency() {
    let variable = |name: &str| std::env::var(name).ok();
    let counts = variable("CHAIN_HASHES").unwrap_or("100000".to_owned());
    let shapes = variable("CHAIN_SHAPES").unwrap_or("uniform,pdq".to_owned());
    let chunks = variable("CHAIN_CHUNKS").map(|chunks| chunks.parse().unwrap());
    let dump = variable("CHAIN_DUMP");
    for count in counts.split(',') {
        for shape in shapes.split(',') {
            measure(shape, count.parse().unwrap(), chunks, dump.as_deref());
        }
    }
}
