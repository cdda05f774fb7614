//! Embeddings in a cluster of four shards: the recall of graphs while items are added and removed, and the
//! overhead of a lookup over the bare index.
//!
//! The vectors are in clusters of about a hundred, which spread in 48 directions of the space, as embeddings
//! of pictures do; some thousand are copies of one. The right answer is the cluster's own exact answer, a
//! scan of every vector; the crates test that against a scan of their own.
//!
//! ```text
//! cargo test --release --package vigie-tests --test it -- measured::embeddings --ignored --nocapture
//! ```
//!
//! `VIGIE_VECTORS` and `VIGIE_ELEMENTS` set other sizes than 100,000 and 384. Building the graphs takes
//! minutes.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::SmallRng;
use vigie_clients::IdempotencyKey;
use vigie_harness::in_process::{Calls, Cluster, soon};
use vigie_index::{BankFilter, Cancellation, Entry, HashRows, Within};
use vigie_model::{
    BankId, BankName, Declaration, Distance, Hash, HashType, ItemId, Limit, SearchOptions, Sequence,
    VectorClass, VectorElement, VectorMetric, declared, vectors,
};
use vigie_tests::material::{generator, hashed, item};
use vigie_vectors::{HnswConfig, vector_index};

const CLASS: VectorClass = VectorClass { element: VectorElement::F32, metric: VectorMetric::Cosine };
const K: usize = 10;
/// Number of directions in which the clusters spread.
const LATENT: usize = 48;

/// The generator of embeddings.
struct Material {
    rng: SmallRng,
    elements: usize,
    /// The directions, and the cluster centres as coordinates in them.
    directions: Vec<Vec<f32>>,
    middles: Vec<Vec<f32>>,
}

impl Material {
    fn new(count: usize, elements: usize) -> Self {
        let mut rng = generator(48);
        let mut number = |spread: f32| -> f32 { (0..4).map(|_| rng.random_range(-spread..spread)).sum() };
        let directions = (0..LATENT).map(|_| (0..elements).map(|_| number(1.0)).collect()).collect();
        let middles = (0..(count / 100).max(4)).map(|_| (0..LATENT).map(|_| number(1.0)).collect()).collect();
        Self { rng, elements, directions, middles }
    }

    /// Returns the next vector, near a random centre.
    fn next(&mut self) -> Hash {
        let middle = self.rng.random_range(0..self.middles.len());
        let mut numbers = vec![0.0_f32; self.elements];
        for (at, direction) in self.middles[middle].iter().zip(&self.directions) {
            let at = at + self.rng.random_range(-0.5..0.5);
            numbers.iter_mut().zip(direction).for_each(|(number, part)| *number += at * part);
        }
        for number in &mut numbers {
            *number += self.rng.random_range(-0.5..0.5);
        }
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let bytes = vectors::canonical(CLASS, &bytes).unwrap();
        Hash::from_peer(hash_type(self.elements), &bytes).unwrap()
    }
}

/// Returns a hash type of its own for each length, because the tests of a process share the registry.
fn hash_type(elements: usize) -> HashType {
    CLASS.hash_type(if elements == 384 { 231 } else { 232 })
}

fn declare(elements: usize) {
    let declaration = Declaration {
        hash_type: hash_type(elements),
        name: format!("measured_{elements}").into(),
        elements: u16::try_from(elements).unwrap(),
        distance_default: Distance(2_000_000),
        distance_max: Distance(2_000_000),
    };
    declared::register(&declaration).unwrap();
}

fn asked(sequence: Sequence, exact: bool) -> SearchOptions {
    let limit = Limit::new(i64::try_from(K).unwrap()).unwrap();
    SearchOptions { min_sequence: sequence, exact, limit, ..SearchOptions::default() }
}

async fn nearest(cluster: &Cluster, hash: &Hash, options: SearchOptions) -> Vec<(Distance, ItemId)> {
    let matched = cluster.ask_one(hashed([hash.clone()]), options).await.unwrap();
    matched.found.matches.iter().map(|one| (one.distance, one.item)).collect()
}

/// Compares the graphs with exact answers; returns the number of results that are no farther than the last
/// right one, and the number of right ones.
async fn recall(
    cluster: &Cluster,
    queries: &[Hash],
    sequence: Sequence,
    removed: &HashSet<ItemId>,
) -> (usize, usize) {
    let (mut found, mut wanted) = (0, 0);
    for query in queries {
        let truth = nearest(cluster, query, asked(sequence, true)).await;
        let by_graph = nearest(cluster, query, asked(sequence, false)).await;
        for (_, item) in truth.iter().chain(&by_graph) {
            assert!(!removed.contains(item), "{item} was removed");
        }
        let farthest = truth.last().map_or(Distance(0), |last| last.0);
        found += by_graph.iter().filter(|one| one.0 <= farthest).count().min(truth.len());
        wanted += truth.len();
    }
    (found, wanted)
}

/// Waits until every shard has measured the recall of its graphs, which then contain nearly all vectors.
async fn wait_for_graphs(cluster: &Cluster) {
    let coordinator = cluster.coordinator_client().unwrap();
    let begun = Instant::now();
    loop {
        let replicas = coordinator.describe_topology(soon()).await.unwrap().replicas;
        if replicas.iter().all(|one| one.hash_counts.iter().any(|count| count.recall.is_some())) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(1_800), "the graphs are not built");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Starts a cluster with this number of shards, with these vectors and copies of the first.
async fn filled(
    shards: u16,
    calls: Calls,
    list_rows_build: usize,
    vectors: &[Hash],
    copies: usize,
) -> (Cluster, BankName, Vec<ItemId>, Sequence) {
    let cluster = Cluster::start_with(|config| {
        (config.shard_count, config.calls) = (shards, calls);
        config.matcher.hnsw = HnswConfig { list_rows_build, scan_rows_per_ef: 0, ..HnswConfig::default() };
    });
    let cluster = cluster.await.unwrap();
    let bank = cluster.create_bank("embeddings").await.unwrap();
    let copies = std::iter::repeat_n(&vectors[0], copies);
    let items = vectors.iter().chain(copies).map(|hash| item([hash.clone()]).unwrap()).collect();
    let (ids, sequence) = cluster.add(&bank, items).await.unwrap();
    (cluster, bank, ids, sequence)
}

/// Returns the recall while items are added and removed, and a report in lines.
async fn recall_during_updates(
    count: usize,
    elements: usize,
    queries: usize,
    rounds: usize,
) -> (f64, Vec<String>) {
    let mut lines = Vec::new();
    declare(elements);
    let mut material = Material::new(count, elements);
    let banked: Vec<Hash> = (0..count).map(|_| material.next()).collect();
    let begun = Instant::now();
    // Each shard builds its graph once it has nearly all of its vectors.
    let (cluster, bank, mut ids, mut sequence) =
        filled(4, Calls::OverSockets, (count / 5).max(16), &banked, count / 20).await;
    let added = begun.elapsed();
    nearest(&cluster, &banked[0], asked(sequence, false)).await;
    wait_for_graphs(&cluster).await;
    lines.push(format!("{count} x {elements}: added in {added:.1?}, graphs after {:.1?}", begun.elapsed()));
    let (mut removed, mut all) = (HashSet::new(), (0, 0));
    for round in 0..rounds {
        let asked: Vec<Hash> = (0..queries).map(|_| material.next()).collect();
        let (found, wanted) = recall(&cluster, &asked, sequence, &removed).await;
        lines.push(format!("round {round}: {found} of {wanted}"));
        (all.0, all.1) = (all.0 + found, all.1 + wanted);
        // A tenth of the items is removed, and half as many are added.
        let gone: Vec<ItemId> = ids.iter().copied().skip(round % 10).step_by(10).collect();
        for part in gone.chunks(1_000) {
            cluster.bank.remove_items(part, IdempotencyKey::random(), soon()).await.unwrap();
        }
        removed.extend(gone.iter().copied());
        ids.retain(|item| !removed.contains(item));
        let new = (0..count / 20).map(|_| item([material.next()]).unwrap()).collect();
        let (new, later) = cluster.add(&bank, new).await.unwrap();
        (sequence, ids) = (later, [ids, new].concat());
    }
    let value = all.0 as f64 / all.1 as f64;
    lines.push(format!("recall at {K}: {value:.4}, {} of {}", all.0, all.1));
    cluster.stop().await.unwrap();
    (value, lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_are_found_while_items_come_and_go() {
    let (recall, lines) = recall_during_updates(1_500, 32, 40, 3).await;
    assert!(recall >= 0.995, "{lines:?}");
}

fn size(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |size| size.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement of minutes"]
async fn recall_of_many_embeddings_while_items_come_and_go() {
    let (count, elements) = (size("VIGIE_VECTORS", 100_000), size("VIGIE_ELEMENTS", 384));
    let (recall, lines) = recall_during_updates(count, elements, 200, 3).await;
    println!("{}", lines.join("\n"));
    assert!(recall >= 0.995, "{recall}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement of minutes"]
async fn a_lookup_of_an_embedding_against_the_bare_index() {
    let (count, elements) = (size("VIGIE_VECTORS", 100_000), size("VIGIE_ELEMENTS", 384));
    declare(elements);
    let mut material = Material::new(count, elements);
    let banked: Vec<Hash> = (0..count).map(|_| material.next()).collect();
    let config = HnswConfig { list_rows_build: count, build_threads: 2, ..HnswConfig::default() };
    let index = vector_index(CLASS, banked[0].as_bytes().len(), config).unwrap();
    let mut rows = HashRows::new(banked[0].as_bytes().len());
    for (at, hash) in (0..).zip(&banked) {
        rows.push(hash.as_bytes(), Entry { item: ItemId(at), bank: BankId(1) });
    }
    index.load(rows).unwrap();
    while index.recall().is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Nearly all vectors of a shard are in its graph; the others are scanned.
    let of_graphs = (count / 4).saturating_sub(count / 100).max(16);
    let (roles, _, _, in_roles) = filled(4, Calls::OverSockets, of_graphs, &banked, 0).await;
    let (up, _, _, in_up) = filled(1, Calls::AsFunctions, count, &banked, 0).await;
    for (cluster, sequence) in [(&roles, in_roles), (&up, in_up)] {
        nearest(cluster, &banked[0], asked(sequence, false)).await;
        wait_for_graphs(cluster).await;
    }
    let queries: Vec<Hash> = (0..300).map(|_| material.next()).collect();
    let mut times: [Vec<Duration>; 3] = Default::default();
    // In alternation, so that changes of the machine's speed affect all alike.
    for query in &queries {
        let begun = Instant::now();
        let mut left = K;
        let within = Within { radius: Distance(2_000_000), exact: false };
        let mut take = |_| {
            left -= 1;
            left > 0
        };
        let (all, never) = (BankFilter::all(), Cancellation::never());
        index.snapshot().nearest_first(query.as_bytes(), within, &all, &never, &mut take).unwrap();
        times[0].push(begun.elapsed());
        for (at, (cluster, sequence)) in [(&roles, in_roles), (&up, in_up)].into_iter().enumerate() {
            let begun = Instant::now();
            nearest(cluster, query, asked(sequence, false)).await;
            times[1 + at].push(begun.elapsed());
        }
    }
    let names = ["index alone", "four shards over gRPC", "one shard in one process"];
    let medians = times.map(|mut times| {
        times.sort_unstable();
        (times[times.len() / 2], times[times.len() * 99 / 100])
    });
    for (name, (median, p99)) in names.into_iter().zip(medians) {
        let ratio = median.as_secs_f64() / medians[0].0.as_secs_f64();
        println!("{name:>26}: median {median:>9.1?}, p99 {p99:>9.1?}, {ratio:.2} times the index");
    }
    roles.stop().await.unwrap();
    up.stop().await.unwrap();
}
