//! Compares searches of vectors in shards that also have exact hashes with a scan, through changes, restarts
//! and loading.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_index::Cancellation;
use vigie_model::{
    ANSWER_BYTES_MAX, BankId, ChangeKind, Distance, FeedRange, Hash, HashType, ItemId, Limit, Match,
    SearchOptions, Sequence, Threshold, Variant, VectorClass, VectorElement, VectorMetric, vectors,
};
use vigie_vectors::HnswConfig;

use crate::saving::manifest::Manifest;
use crate::searching::search::search;
use crate::shard::indexes::IndexPlan;
use crate::shard::state::Shard;
use crate::tests::video::oracle::Sample;
use crate::tests::video::world::{World, plan, query_of, searched};
use crate::tests::{identity, range};

pub(super) const CLASS: VectorClass =
    VectorClass { element: VectorElement::F32, metric: VectorMetric::Cosine };

pub(super) fn vector_type() -> HashType {
    CLASS.hash_type(3)
}

/// Returns a vector near one of some centres.
fn vector(random: &mut SmallRng, middle: usize) -> Hash {
    let mut of_middle = SmallRng::seed_from_u64(middle as u64);
    let number = |at: f32, random: &mut SmallRng| at + random.random_range(-0.2..0.2_f32);
    let numbers: Vec<f32> = (0..24).map(|_| number(of_middle.random_range(-1.0..1.0), random)).collect();
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Hash::from_peer(vector_type(), &vectors::canonical(CLASS, &bytes).unwrap()).unwrap()
}

/// Returns a plan with graphs after about a hundred rows, which are searched even if a scan would be faster.
fn graphs() -> IndexPlan {
    let hnsw = HnswConfig { list_rows_build: 100, scan_rows_per_ef: 0, ..HnswConfig::default() };
    IndexPlan { hnsw, ..IndexPlan::default() }
}

pub(super) fn options(distance: u32, limit: i64, exact: bool) -> SearchOptions {
    let options = SearchOptions { exact, limit: Limit::new(limit).unwrap(), ..SearchOptions::default() };
    let max_distances = options.max_distances.clone().with(vector_type(), distance).unwrap();
    SearchOptions { max_distances, ..options }
}

/// Returns the items found by a scan, with their distances, the nearest first.
pub(super) fn scanned(
    world: &World,
    asked: &Hash,
    within: impl Fn(BankId) -> u32,
) -> Vec<(Distance, ItemId)> {
    let far = |(item, (bank, held)): (&ItemId, &(BankId, Vec<Sample>))| {
        let distances = held.iter().filter_map(|sample| sample.hash().distance(asked));
        distances.min().filter(|distance| distance.0 <= within(*bank)).map(|distance| (distance, *item))
    };
    let mut found: Vec<_> = world.items.iter().filter_map(far).collect();
    found.sort_unstable();
    found
}

pub(super) fn found(shards: &World, asked: &Hash, options: &SearchOptions) -> Vec<(Distance, ItemId)> {
    let query = [(Sample::Other(asked.clone()), Variant::Original)];
    let matches = shards.search(&query, options).matches;
    assert!(matches.iter().all(|one| one.exact == options.exact && one.hash_type == vector_type()));
    matches.iter().map(|one| (one.distance, one.item)).collect()
}

#[test]
fn exact_answers_are_those_of_a_scan_and_approximate_ones_a_part_of_them() {
    let mut random = SmallRng::seed_from_u64(1);
    let mut world = World::with_plan(3, &graphs());
    let banks = [world.create_bank(), world.create_bank()];
    for round in 0..6 {
        for bank in banks {
            // Some items have two vectors, and a digest too.
            let item = |at: u8, random: &mut SmallRng| {
                let mut hashes = vec![Sample::Other(vector(random, usize::from(at % 15)))];
                if at.is_multiple_of(5) {
                    hashes.push(Sample::Other(vector(random, usize::from(at % 11))));
                    hashes.push(Sample::Other(Hash::md5([at; 16])));
                }
                hashes
            };
            let items = (0..60).map(|at| item(at, &mut random)).collect();
            world.add(bank, items);
        }
        let gone: Vec<ItemId> = world.items.keys().copied().skip(round).step_by(9).collect();
        gone.into_iter().for_each(|item| world.remove(item));
        let (mut of_ten, mut wanted) = (0, 0);
        for middle in 0..12 {
            let asked = vector(&mut random, middle);
            for (distance, limit) in [(150_000, 1_000), (2_000_000, 10), (90_000, 3), (0, 5)] {
                let limit_len = usize::try_from(limit).unwrap();
                let mut truth = scanned(&world, &asked, |_| distance);
                let is_cut = truth.len() > limit_len;
                truth.truncate(limit_len);
                assert_eq!(found(&world, &asked, &options(distance, limit, true)), truth);
                let query = [(Sample::Other(asked.clone()), Variant::Original)];
                let answer = world.search(&query, &options(distance, limit, true));
                assert_eq!(answer.limit_reached, is_cut);
                let approximate = found(&world, &asked, &options(distance, limit, false));
                assert!(approximate.len() <= truth.len());
                of_ten += approximate.iter().filter(|one| truth.contains(one)).count();
                wanted += truth.len();
            }
        }
        assert!(100 * of_ten >= 97 * wanted, "{of_ten} of {wanted}");
        world.audit();
    }
    world.delete_bank(banks[0]);
    let asked = vector(&mut random, 3);
    assert_eq!(found(&world, &asked, &options(300_000, 1_000, true)), scanned(&world, &asked, |_| 300_000));
    world.audit();
}

#[test]
fn each_bank_has_its_threshold() {
    let mut random = SmallRng::seed_from_u64(2);
    let mut world = World::with_plan(2, &graphs());
    let banks = [world.create_bank(), world.create_bank(), world.create_bank()];
    for bank in banks {
        world.add(bank, (0..80).map(|at| vec![Sample::Other(vector(&mut random, at % 8))]).collect());
    }
    let thresholds: BTreeMap<BankId, u32> = [(banks[0], 30_000), (banks[1], 120_000)].into();
    let threshold = |(bank, distance): (&BankId, &u32)| Threshold {
        hash_type: vector_type(),
        distance: Distance(*distance),
        banks: Arc::new([*bank].into_iter().collect()),
    };
    let thresholds_of = || thresholds.iter().map(threshold).collect::<Vec<_>>();
    for middle in 0..8 {
        let asked = vector(&mut random, middle);
        // The options set no distance, so the third bank, which has no threshold, matches at distance 0 only.
        let plain =
            SearchOptions { exact: true, limit: Limit::new(1_000).unwrap(), ..SearchOptions::default() };
        let options = SearchOptions { thresholds: thresholds_of(), ..plain };
        let truth = scanned(&world, &asked, |bank| thresholds.get(&bank).copied().unwrap_or(0));
        assert_eq!(found(&world, &asked, &options), truth);
        let nearer = SearchOptions { thresholds: thresholds_of(), ..self::options(60_000, 1_000, true) };
        let truth =
            scanned(&world, &asked, |bank| thresholds.get(&bank).copied().unwrap_or(60_000).min(60_000));
        assert_eq!(found(&world, &asked, &nearer), truth);
        let by_graph = SearchOptions { exact: false, ..nearer };
        assert!(found(&world, &asked, &by_graph).iter().all(|one| truth.contains(one)));
    }
}

#[test]
fn held_items_do_not_hide_those_behind_them() {
    let mut random = SmallRng::seed_from_u64(3);
    let mut world = World::with_plan(1, &graphs());
    let bank = world.create_bank();
    let asked = vector(&mut random, 0);
    // Two hundred copies of the query's vector are held, and other vectors are farther away.
    let copies = world.add(bank, vec![vec![Sample::Other(asked.clone())]; 200]);
    let behind = world.add(bank, (0..30).map(|_| vec![Sample::Other(vector(&mut random, 0))]).collect());
    let held = |item: &ItemId| ChangeKind::ItemHeldSet { item: *item, bank, held: true };
    let changes = copies.iter().map(held).zip(world.sequence + 1..);
    let change = |(kind, at)| vigie_model::Change { sequence: Sequence(at), kind };
    let changes: Vec<_> = changes.map(change).collect();
    let through = Sequence(world.sequence + 200);
    let after = range(world.sequence, changes);
    world.shards[0].apply(FeedRange { through, head: through, ..after }).unwrap();
    for exact in [true, false] {
        let items: Vec<ItemId> =
            found(&world, &asked, &options(2_000_000, 10, exact)).iter().map(|one| one.1).collect();
        assert_eq!(items.len(), 10);
        assert!(items.iter().all(|item| behind.contains(item)), "{items:?}");
    }
}

fn nearest(shard: &Shard, asked: &Hash) -> Vec<Match> {
    searched(shard, &[(Sample::Other(asked.clone()), Variant::Original)], &options(100_000, 1_000, true))
        .matches
}

#[test]
fn vectors_are_there_after_a_restart_and_their_graphs_are_in_no_file() {
    let mut random = SmallRng::seed_from_u64(4);
    let mut world = World::of(1);
    let bank = world.create_bank();
    let item = |at: u8, random: &mut SmallRng| {
        vec![Sample::Other(vector(random, usize::from(at % 9))), Sample::Other(Hash::md5([at; 16]))]
    };
    world.add(bank, (0..200).map(|at| item(at, &mut random)).collect());
    let folder = tempfile::tempdir().unwrap();
    let plans = plan(folder.path());
    let loaded = world.load(&plans);
    let asked = vector(&mut random, 5);
    let expected = nearest(&world.shards[0], &asked);
    assert!(!expected.is_empty());
    assert_eq!(nearest(&loaded, &asked), expected, "loaded from the bank's state");
    plans.save(&loaded).unwrap();
    drop(loaded);
    let (manifest, _) = Manifest::read(&plans.snapshot_folder().unwrap().manifest()).unwrap();
    let indexed: Vec<u16> = manifest.indexes.iter().map(|entry| entry.hash_type).collect();
    assert_eq!(indexed, [HashType::MD5.number()]);
    let restored = plans.restore(identity()).unwrap().unwrap();
    assert_eq!(nearest(&restored, &asked), expected);
    let counted = |shard: &Shard| {
        let counts = shard.hash_counts();
        let of = |hash_type| counts.iter().find(|count| count.hash_type == hash_type).unwrap();
        let of_vectors = of(vector_type());
        (of_vectors.hashes, of_vectors.is_searched, of_vectors.exact, of(CLASS.marker()).hashes)
    };
    assert_eq!(counted(&restored), (200, true, false, 0));
    restored.clear_removed(&AtomicBool::new(false)).unwrap();
    assert_eq!(nearest(&restored, &asked), expected);
}

#[test]
fn the_answer_names_what_is_approximate_and_a_shard_without_vectors_answers_too() {
    let mut world = World::of(1);
    let bank = world.create_bank();
    world.add(bank, vec![vec![Sample::Other(Hash::md5([1; 16]))]]);
    let asked = vector(&mut SmallRng::seed_from_u64(5), 1);
    for exact in [true, false] {
        let queries = [query_of(&[(Sample::Other(asked.clone()), Variant::Original)])];
        let options = options(100_000, 10, exact);
        let never = Cancellation::never();
        let answer = search(&world.shards[0], &queries, &options, ANSWER_BYTES_MAX, &never).unwrap();
        assert_eq!(answer.approximate, if exact { vec![] } else { vec![vector_type()] });
        assert!(answer.results[0].matches.is_empty());
    }
}
