//! Measures the cost of the approximate index, compared with a scan of the same hashes.
//!
//! ```text
//! cargo run --release -p vigie-vectors --example hnsw_cost -- 100000 uniform
//! cargo run --release -p vigie-vectors --example hnsw_cost -- 100000 clustered
//! ```
//!
//! `clustered` hashes are in groups of 20, up to 47 flips from their middle. Queries are hashes of the index
//! with up to 31 flips. The build uses one thread.
#![expect(clippy::print_stdout, reason = "prints its measurements")]

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_index::{BankFilter, Cancellation, Edit, Entry, Hit, RadiusIndex};
use vigie_model::{BankId, Distance, ItemId};
use vigie_vectors::{HnswConfig, HnswIndex};

type Hash = [u8; 32];

const QUERIES: usize = 500;

fn flipped(mut hash: Hash, flips_max: usize, random: &mut SmallRng) -> Hash {
    for _ in 0..random.random_range(0..=flips_max) {
        let bit = random.random_range(0..256_usize);
        hash[bit / 8] ^= 1 << (bit % 8);
    }
    hash
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).map_or(0, |pages| pages * 4_096)
}

/// Measures each search separately. Returns the answers, and the median and 99th percentile of the times.
fn time(queries: &[Hash], search: impl Fn(&[Hash]) -> Vec<Vec<Hit>>) -> (Vec<Vec<Hit>>, Duration, Duration) {
    let mut times = Vec::new();
    let mut answers = Vec::new();
    for query in queries {
        let begun = Instant::now();
        answers.extend(search(std::slice::from_ref(query)));
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    (answers, times[times.len() / 2], times[times.len() * 99 / 100])
}

/// Returns the share of the true hits that was found.
fn share(found: &[Vec<Hit>], truth: &[Vec<Hit>]) -> f64 {
    let count = |answers: &[Vec<Hit>]| answers.iter().map(Vec::len).sum::<usize>() as f64;
    let as_near = found.iter().zip(truth).map(|(found, truth)| {
        let farthest = truth.last().map(|hit| hit.distance);
        found.iter().filter(|hit| Some(hit.distance) <= farthest).count()
    });
    as_near.sum::<usize>() as f64 / count(truth)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let count: usize = arguments.first().and_then(|count| count.parse().ok()).unwrap_or(100_000);
    let is_uniform = arguments.get(1).is_none_or(|shape| shape == "uniform");
    let mut random = SmallRng::seed_from_u64(1);
    let middles: Vec<Hash> = (0..count / 20 + 1).map(|_| random.random()).collect();
    let one = |at: usize| {
        if is_uniform { random.random() } else { flipped(middles[at % middles.len()], 47, &mut random) }
    };
    let hashes: Vec<Hash> = (0..count).map(one).collect();
    let mut random = SmallRng::seed_from_u64(2);
    let queries: Vec<Hash> = (0..QUERIES)
        .map(|_| {
            let member = random.random_range(0..count);
            flipped(hashes[member], 31, &mut random)
        })
        .collect();
    let entry = |item: usize| Entry { item: ItemId(item as u64), bank: BankId(1) };
    let edits: Vec<Edit<32>> =
        hashes.iter().enumerate().map(|(item, hash)| Edit::Insert(*hash, entry(item))).collect();

    let exact = RadiusIndex::<32>::new();
    exact.apply(&edits);
    let config = HnswConfig { list_rows_build: count, scan_rows_per_ef: 0, ..HnswConfig::default() };
    let (before, begun) = (resident_bytes(), Instant::now());
    let index = HnswIndex::<32>::new(config);
    index.apply(&edits);
    let listed = begun.elapsed();
    let (all, never) = (BankFilter::all(), Cancellation::never());
    let (_, median, p99) =
        time(&queries, |query| index.search(query, Distance(31), &all, &never).unwrap_or_default());
    println!("list: {listed:.1?} to fill, search within 31 {median:.1?} (p99 {p99:.1?})");
    let recall = loop {
        match index.recall() {
            Some(recall) => break recall,
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    println!(
        "graph of {count}: {:.1?} to build and measure, {} bytes a hash, {recall:?}",
        begun.elapsed(),
        (resident_bytes() - before) / count
    );
    type Search<'a> = Box<dyn Fn(&[Hash]) -> Vec<Vec<Hit>> + 'a>;
    let radius = Distance(31);
    let kinds: [(&str, Search<'_>, Search<'_>); 2] = [
        (
            "within 31 ",
            Box::new(|query| exact.search(query, radius, &all, &never).unwrap_or_default()),
            Box::new(|query| index.search(query, radius, &all, &never).unwrap_or_default()),
        ),
        (
            "nearest 10",
            Box::new(|query| exact.nearest(query, 10, &all, &never).unwrap_or_default()),
            Box::new(|query| index.nearest(query, 10, &all, &never).unwrap_or_default()),
        ),
    ];
    for (name, exactly, approximately) in kinds {
        let (truth, exact_median, exact_p99) = time(&queries, exactly);
        let (found, median, p99) = time(&queries, approximately);
        let found = share(&found, &truth);
        println!(
            "{name}: exact index {exact_median:.1?} (p99 {exact_p99:.1?}), graph {median:.1?} (p99 {p99:.1?}), {found:.4} of the hits"
        );
    }
}
