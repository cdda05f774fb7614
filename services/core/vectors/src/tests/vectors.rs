//! Compares vectors of numbers with a scan that is written out here.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_index::{BankFilter, Cancellation, Cancelled, HashEdits, HashIndex, HashSnapshot, Hit, Within};
use vigie_model::{
    BankId, Distance, Hash, HashType, ItemId, VectorClass, VectorElement, VectorMetric, vectors,
};

use super::{entry, graphs_only, wait_until};
use crate::HnswConfig;
use crate::vector_index;
use crate::vectors::VectorIndex;

const COUNT: u64 = 1_500;

fn hash_type(class: VectorClass) -> HashType {
    class.hash_type(1)
}

/// Returns the canonical bytes of numbers between -1 and 1.
fn bytes_of(class: VectorClass, numbers: &[f64]) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    let byte = |number: &f64| (128.0 + 80.0 * number).clamp(0.0, 255.0) as u8;
    #[expect(clippy::cast_possible_truncation, reason = "material for f32")]
    let bytes: Vec<u8> = match class.element {
        VectorElement::F32 => numbers.iter().flat_map(|number| (*number as f32).to_le_bytes()).collect(),
        VectorElement::U8 => numbers.iter().map(byte).collect(),
    };
    vectors::canonical(class, &bytes).unwrap()
}

/// Returns vectors around 75 middles, and queries near some of them.
fn material(class: VectorClass, length: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut random = SmallRng::seed_from_u64(length as u64);
    let middles: Vec<Vec<f64>> =
        (0..COUNT / 20).map(|_| (0..length).map(|_| random.random_range(-1.0..1.0)).collect()).collect();
    let mut near = |middle: &Vec<f64>| {
        let numbers: Vec<f64> = middle.iter().map(|place| place + random.random_range(-0.4..0.4)).collect();
        bytes_of(class, &numbers)
    };
    let rows = (0..COUNT).map(|at| near(&middles[usize::try_from(at).unwrap() % middles.len()])).collect();
    let queries = (0..40).map(|at| near(&middles[at])).collect();
    (rows, queries)
}

/// The oracle: each pair of a vector and an item, with its bank.
#[derive(Default)]
struct Scan(BTreeMap<(Vec<u8>, u64), u32>);

impl Scan {
    fn within(&self, class: VectorClass, query: &[u8], radius: u32, filter: &BankFilter) -> Vec<Hit> {
        let of = |bytes: &[u8]| Hash::from_peer(hash_type(class), bytes).unwrap();
        let query = of(query);
        let rows = self.0.iter().filter(|(_, bank)| filter.contains(BankId(**bank)));
        let hit = |((bytes, item), bank): (&(Vec<u8>, u64), &u32)| Hit {
            entry: entry(*item, *bank),
            distance: query.distance(&of(bytes)).unwrap(),
        };
        let mut hits: Vec<Hit> = rows.map(hit).filter(|hit| hit.distance.0 <= radius).collect();
        hits.sort_unstable();
        hits
    }
}

/// Returns the nearest vectors, until there are this many.
fn nearest(
    snapshot: &dyn HashSnapshot,
    query: &[u8],
    most: usize,
    within: Within,
    filter: &BankFilter,
) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    let mut last: Option<Hit> = None;
    let mut take = |hit: Hit| {
        if last.is_some_and(|last| hit < last) {
            // The search begins again from the nearest.
            hits.clear();
        }
        last = Some(hit);
        hits.push(hit);
        hits.len() < most
    };
    snapshot.nearest_first(query, within, filter, &Cancellation::never(), &mut take).unwrap();
    hits
}

fn within(radius: u32, exact: bool) -> Within {
    Within { radius: Distance(radius), exact }
}

fn check(class: VectorClass, length: usize, radius: u32) {
    let (rows, queries) = material(class, length);
    let config = HnswConfig { list_rows_build: rows.len(), ..graphs_only() };
    let index = vector_index(class, rows[0].len(), config).unwrap();
    let (mut edits, mut scan) = (HashEdits::new(rows[0].len()), Scan::default());
    for (item, row) in (0_u64..).zip(&rows) {
        let bank = u32::try_from(item % 3).unwrap();
        edits.insert(row, entry(item, bank));
        scan.0.insert((row.clone(), item), bank);
    }
    assert_eq!(index.apply(&edits), rows.len());
    wait_until("the recall is measured", || index.recall().is_some());
    assert!(index.recall().unwrap().value >= 0.8, "{:?}", index.recall());
    let agree = |index: &dyn HashIndex, scan: &Scan| {
        let snapshot = index.snapshot();
        assert_eq!(index.len(), scan.0.len());
        let (mut found, mut wanted) = (0, 0);
        for filter in [BankFilter::all(), BankFilter::only([BankId(1), BankId(9)])] {
            for query in &queries {
                let truth = scan.within(class, query, radius, &filter);
                assert_eq!(nearest(&*snapshot, query, usize::MAX, within(radius, true), &filter), truth);
                let far = scan.within(class, query, u32::MAX, &filter);
                let ten = far.iter().take(10).copied().collect::<Vec<_>>();
                assert_eq!(nearest(&*snapshot, query, 10, within(u32::MAX, true), &filter), ten);
                let by_graph = nearest(&*snapshot, query, 10, within(u32::MAX, false), &filter);
                assert!(by_graph.iter().all(|hit| far.contains(hit)), "nothing that is not there");
                found += by_graph.iter().filter(|hit| ten.contains(hit)).count();
                wanted += ten.len();
                // All vectors within the radius, however many the first search finds.
                let all = nearest(&*snapshot, query, usize::MAX, within(radius, false), &filter);
                assert!(all.is_sorted() && all.iter().all(|hit| truth.contains(hit)));
                assert!(10 * all.len() >= 9 * truth.len(), "{} of {}", all.len(), truth.len());
            }
        }
        assert!(20 * found >= 19 * wanted, "{found} of {wanted}");
    };
    agree(&*index, &scan);
    let mut audited = Vec::new();
    let mut keep = |bytes: &[u8], entry: vigie_index::Entry| {
        audited.push(((bytes.to_vec(), entry.item.0), entry.bank.0))
    };
    index.snapshot().audit(&mut |_| true, &mut keep).unwrap();
    audited.sort_unstable();
    assert_eq!(audited, scan.0.iter().map(|(row, bank)| (row.clone(), *bank)).collect::<Vec<_>>());

    // A tenth is removed from the graph, and some are added to the list.
    let before = index.snapshot();
    let mut edits = HashEdits::new(rows[0].len());
    for (item, row) in (0_u64..).zip(&rows) {
        if item % 10 == 3 {
            edits.remove(row, ItemId(item));
            scan.0.remove(&(row.clone(), item));
        }
    }
    for (item, query) in (10_000..).zip(&queries) {
        edits.insert(query, entry(item, 1));
        scan.0.insert((query.clone(), item), 1);
    }
    index.apply(&edits);
    agree(&*index, &scan);
    assert!(
        !nearest(&*before, &rows[3], 1, within(0, true), &BankFilter::all()).is_empty(),
        "it was there then"
    );
    assert_eq!(index.remove_bank(BankId(2)), scan.0.values().filter(|bank| **bank == 2).count());
    scan.0.retain(|_, bank| *bank != 2);
    agree(&*index, &scan);
}

const fn class(element: VectorElement, metric: VectorMetric) -> VectorClass {
    VectorClass { element, metric }
}

#[test]
fn floats_by_cosine() {
    check(class(VectorElement::F32, VectorMetric::Cosine), 64, 250_000);
}

#[test]
fn floats_by_euclidean_distance() {
    check(class(VectorElement::F32, VectorMetric::L2), 50, 2_600_000);
}

#[test]
fn vectors_of_144_bytes_by_euclidean_distance() {
    check(class(VectorElement::U8, VectorMetric::L2), 144, 330_000_000);
}

#[test]
fn bytes_by_cosine() {
    check(class(VectorElement::U8, VectorMetric::Cosine), 32, 20_000);
}

#[test]
fn many_copies_of_one_vector_hide_no_other() {
    let class = class(VectorElement::F32, VectorMetric::Cosine);
    let (rows, queries) = material(class, 32);
    let index =
        vector_index(class, rows[0].len(), HnswConfig { list_rows_build: 4_000, ..graphs_only() }).unwrap();
    let mut edits = HashEdits::new(rows[0].len());
    let mut scan = Scan::default();
    for (item, row) in (0_u64..).zip(&rows) {
        edits.insert(row, entry(item, 1));
        scan.0.insert((row.clone(), item), 1);
    }
    // Copies of the first vector, which is far from most queries.
    (0..20_000).for_each(|copy| edits.insert(&rows[0], entry(100_000 + copy, 1)));
    index.apply(&edits);
    wait_until("the graph is built", || index.recall().is_some());
    let (mut found, mut wanted) = (0, 0);
    for query in &queries[1..] {
        let truth = scan.within(class, query, u32::MAX, &BankFilter::all());
        let by_graph = nearest(&*index.snapshot(), query, 10, within(u32::MAX, false), &BankFilter::all());
        found += truth[..10].iter().filter(|hit| by_graph.contains(hit)).count();
        wanted += 10;
    }
    assert!(100 * found >= 95 * wanted, "{found} of {wanted}");
}

#[test]
fn what_was_removed_is_in_no_graph_once_it_is_cleared() {
    let class = class(VectorElement::U8, VectorMetric::L2);
    let (rows, _) = material(class, 24);
    let index =
        VectorIndex::<u8>::new(class.metric, 24, HnswConfig { list_rows_build: 1_000, ..graphs_only() });
    let mut edits = HashEdits::new(24);
    (0_u64..).zip(&rows).for_each(|(item, row)| edits.insert(row, entry(item, 1)));
    index.apply(&edits);
    wait_until("the graph is built", || index.recall().is_some());
    let mut edits = HashEdits::new(24);
    // Some vectors of the graph, and some of the list.
    (0_u64..).zip(&rows).skip(3).step_by(40).for_each(|(item, row)| edits.remove(row, ItemId(item)));
    (2_000_u64..2_050).for_each(|item| edits.insert(&rows[5], entry(item, 1)));
    index.apply(&edits);
    let mut edits = HashEdits::new(24);
    (2_000_u64..2_020).for_each(|item| edits.remove(&rows[5], ItemId(item)));
    index.apply(&edits);
    let dead = || index.engine.view().all_rows().map(|rows| rows.dead_count()).sum::<usize>();
    assert!(dead() > 0);
    let (living, all) = (index.len(), |_: &[u8], _| {});
    index.clear_dead(&|| false).unwrap();
    assert_eq!((dead(), index.len()), (0, living));
    index.snapshot().audit(&mut |_| true, &mut { all }).unwrap();
    index.clear_dead(&|| true).unwrap();
}

#[test]
fn a_search_ends_when_it_is_cancelled_and_debug_shows_no_vector() {
    let class = class(VectorElement::U8, VectorMetric::L2);
    let index = vector_index(class, 3, graphs_only()).unwrap();
    let mut edits = HashEdits::new(3);
    edits.insert(&[171, 172, 173], entry(1, 1));
    index.apply(&edits);
    let expired = Cancellation::at(std::time::Instant::now());
    let snapshot = index.snapshot();
    let asked =
        snapshot.nearest_first(&[1, 2, 3], within(9, false), &BankFilter::all(), &expired, &mut |_| true);
    assert_eq!(asked, Err(Cancelled));
    let mut hits = Vec::new();
    let never = Cancellation::never();
    snapshot
        .each(&[&[171, 172, 173]], Distance(0), &BankFilter::all(), &never, &mut |_, hit| hits.push(hit))
        .unwrap();
    assert_eq!(hits.len(), 1);
    let text = format!("{index:?} {snapshot:?}");
    assert!(!text.contains("171") && !text.contains("172"), "{text}");
    for bytes in [0, 4_097] {
        assert!(vector_index(class, bytes, graphs_only()).is_err(), "{bytes}");
    }
    let floats = VectorClass { element: VectorElement::F32, ..class };
    assert!(vector_index(floats, 6, graphs_only()).is_err());
}
