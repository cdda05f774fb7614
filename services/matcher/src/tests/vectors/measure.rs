//! Measures the recall and the time of graphs at any size: run by hand, in a release build.
//!
//! The data are `VIGIE_VECTORS` (100,000) vectors of `VIGIE_ELEMENTS` (384) numbers that resemble embeddings:
//! points of 1,000 clusters in 48 latent dimensions, projected, with noise, and of length 1.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_model::{ChangeKind, Distance, Hash, ItemId, Variant, vectors};
use vigie_vectors::HnswConfig;

use super::answers::{CLASS, options, scanned, vector_type};
use crate::shard::indexes::IndexPlan;
use crate::tests::video::oracle::Sample;
use crate::tests::video::world::World;

const SHARDS: u32 = 4;
const CLUSTERS: usize = 1_000;
const LATENT: usize = 48;
/// The number of queries of one measurement, and of those that are also compared with a scan in the tests.
const QUERIES: usize = 200;
const QUERIES_SCANNED: usize = 3;
const K: usize = 10;
const RECALL_MIN: f64 = 0.995;
/// A distance that no two vectors exceed.
const ANY_DISTANCE: u32 = 2_000_000;

/// Returns a number from the environment, or `usual`.
fn size(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// A generator of vectors.
struct Embeddings {
    random: SmallRng,
    elements: usize,
    middles: Vec<f32>,
    projection: Vec<f32>,
}

/// Returns a number with mean 0 and variance 1, from the sum of twelve.
fn normal(random: &mut SmallRng) -> f32 {
    (0..12).map(|_| random.random_range(0.0..1.0_f32)).sum::<f32>() - 6.0
}

impl Embeddings {
    fn new(elements: usize) -> Self {
        let mut random = SmallRng::seed_from_u64(7);
        let middles = (0..CLUSTERS * LATENT).map(|_| normal(&mut random)).collect();
        let projection = (0..elements * LATENT).map(|_| normal(&mut random)).collect();
        Self { random, elements, middles, projection }
    }

    fn next(&mut self) -> Hash {
        let cluster = self.random.random_range(0..CLUSTERS);
        let middle = &self.middles[cluster * LATENT..][..LATENT];
        let latent: Vec<f32> = middle.iter().map(|at| at + 0.5 * normal(&mut self.random)).collect();
        let mut bytes = Vec::with_capacity(4 * self.elements);
        for row in self.projection.chunks_exact(LATENT) {
            let projected: f32 = row.iter().zip(&latent).map(|(one, other)| one * other).sum();
            bytes.extend((projected + 0.5 * normal(&mut self.random)).to_le_bytes());
        }
        Hash::from_peer(vector_type(), &vectors::canonical(CLASS, &bytes).unwrap()).unwrap()
    }

    fn items(&mut self, count: usize) -> Vec<Vec<Sample>> {
        (0..count).map(|_| vec![Sample::Other(self.next())]).collect()
    }
}

/// Searches, and returns the items with their distances, the nearest first, and the time.
fn timed(world: &World, asked: &Hash, exact: bool) -> (Vec<(Distance, ItemId)>, Duration) {
    let begin = Instant::now();
    let found = super::answers::found(world, asked, &options(ANY_DISTANCE, i64::try_from(K).unwrap(), exact));
    (found, begin.elapsed())
}

/// Returns the median and the 99th percentile in microseconds.
fn quantiles(mut times: Vec<Duration>) -> (u128, u128) {
    times.sort_unstable();
    (times[times.len() / 2].as_micros(), times[times.len() * 99 / 100].as_micros())
}

/// Compares graphs with the exact search, and a few of its answers with a scan. Prints both, and returns the
/// recall.
fn measure(what: &str, world: &World, embeddings: &mut Embeddings) -> f64 {
    let (mut by_graph, mut by_scan, mut found_of_true, mut true_count) = (Vec::new(), Vec::new(), 0, 0);
    for at in 0..QUERIES {
        let asked = embeddings.next();
        let (truth, scan_time) = timed(world, &asked, true);
        let (found, graph_time) = timed(world, &asked, false);
        if at < QUERIES_SCANNED {
            let mut all = scanned(world, &asked, |_| ANY_DISTANCE);
            all.truncate(K);
            assert_eq!(truth, all);
        }
        assert!(
            found.iter().all(|(_, item)| world.items.contains_key(item)),
            "{what}: a removed item is answered"
        );
        // Items at the same distance are interchangeable.
        let farthest = truth.last().unwrap().0;
        found_of_true += found.iter().filter(|(distance, _)| *distance <= farthest).count();
        true_count += truth.len();
        by_graph.push(graph_time);
        by_scan.push(scan_time);
    }
    let recall = found_of_true as f64 / true_count as f64;
    let ((graph, graph_p99), (scan, scan_p99)) = (quantiles(by_graph), quantiles(by_scan));
    eprintln!(
        "{what}: {} items; recall {recall:.4}; by graph median {graph} us, p99 {graph_p99} us; by scan median {scan} us, p99 {scan_p99} us",
        world.items.len()
    );
    recall
}

/// Removes every nth item in one range.
fn remove_each(world: &mut World, nth: usize) {
    let gone: Vec<ItemId> = world.items.keys().copied().step_by(nth).collect();
    let kinds: Vec<ChangeKind> = gone
        .into_iter()
        .map(|item| ChangeKind::ItemRemoved { item, bank: world.items.remove(&item).unwrap().0 })
        .collect();
    world.apply(kinds);
}

#[test]
#[ignore = "a measurement: minutes in a release build"]
fn what_graphs_find_of_many_vectors() {
    let (rows, elements) = (size("VIGIE_VECTORS", 100_000), size("VIGIE_ELEMENTS", 384));
    // Each shard builds and merges its graphs several times, and never scans instead.
    let list_rows_build = (rows / 16).clamp(100, 16_384);
    let hnsw = HnswConfig { list_rows_build, scan_rows_per_ef: 0, ..HnswConfig::default() };
    eprintln!("{rows} vectors of {elements} on {SHARDS} shards; k {K}, ef {}", hnsw.ef_search);
    let mut world = World::with_plan(SHARDS, &IndexPlan { hnsw, ..IndexPlan::default() });
    let bank = world.create_bank();
    let mut embeddings = Embeddings::new(elements);
    let mut recalls = Vec::new();
    for round in 1..=4 {
        for _ in 0..4 {
            let items = embeddings.items(rows / 16);
            world.add(bank, items);
        }
        remove_each(&mut world, 25);
        recalls.push(measure(&format!("while graphs are built, round {round}"), &world, &mut embeddings));
    }
    let copied = embeddings.next();
    let copies = vec![vec![Sample::Other(copied.clone())]; rows / 50];
    world.add(bank, copies);
    remove_each(&mut world, 50);
    let begin = Instant::now();
    for shard in &world.shards {
        shard.clear_removed(&AtomicBool::new(false)).unwrap();
    }
    eprintln!("graphs without removed rows after {:.1} s", begin.elapsed().as_secs_f64());
    recalls.push(measure("all in graphs, with copies of one vector", &world, &mut embeddings));
    let query = [(Sample::Other(copied), Variant::Original)];
    let of_copies = world.search(&query, &options(ANY_DISTANCE, 1_000, false)).matches;
    assert!(of_copies.iter().take(rows / 100).all(|one| one.distance == Distance(0)), "copies are missing");
    remove_each(&mut world, 10);
    recalls.push(measure("after removals", &world, &mut embeddings));
    world.audit();
    assert!(recalls.iter().all(|recall| *recall >= RECALL_MIN), "{recalls:?}");
}
