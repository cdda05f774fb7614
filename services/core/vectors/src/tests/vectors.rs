//! Vectors of numbers against a scan written out here.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_model::{BankId, ItemId};

use super::{entry, graphs_only, wait_until};
use crate::HnswConfig;
use crate::{
    MAGNITUDE_MAX, VectorElement, VectorError, VectorHit, VectorIndex, VectorMetric, VectorSearchError,
};
use vigie_index::{BankFilter, Cancellation, Cancelled};

const COUNT: usize = 1_500;

/// By the definitions, in double precision.
fn distance(metric: VectorMetric, one: &[f64], other: &[f64]) -> f64 {
    let sum = |term: fn(f64, f64) -> f64, one: &[f64], other: &[f64]| -> f64 {
        one.iter().zip(other).map(|(&one, &other)| term(one, other)).sum()
    };
    let product = |one: &[f64], other: &[f64]| sum(|one, other| one * other, one, other);
    match metric {
        VectorMetric::L2 => sum(|one, other| (one - other).powi(2), one, other).sqrt(),
        VectorMetric::Cosine => {
            1.0 - product(one, other) / (product(one, one) * product(other, other)).sqrt()
        }
    }
}

/// Vectors around 75 middles; queries near some of them.
fn material<T>(length: usize, number: impl Fn(f64) -> T) -> (Vec<Vec<T>>, Vec<Vec<T>>) {
    let mut random = SmallRng::seed_from_u64(length as u64);
    let middles: Vec<Vec<f64>> =
        (0..COUNT / 20).map(|_| (0..length).map(|_| random.random_range(-1.0..1.0)).collect()).collect();
    let mut near = |middle: &Vec<f64>| -> Vec<T> {
        middle.iter().map(|place| number(place + random.random_range(-0.4..0.4))).collect()
    };
    let vectors = (0..COUNT).map(|at| near(&middles[at % middles.len()])).collect();
    let queries = (0..50).map(|at| near(&middles[at])).collect();
    (vectors, queries)
}

fn check<T: VectorElement + Into<f64>>(
    metric: VectorMetric,
    tolerance: f64,
    (vectors, queries): (Vec<Vec<T>>, Vec<Vec<T>>),
) {
    let index = VectorIndex::<T>::new(
        vectors[0].len(),
        metric,
        HnswConfig { list_rows_build: COUNT, ..graphs_only() },
    );
    let pairs: Vec<_> = (0..).zip(&vectors).map(|(item, vector)| (vector.clone(), entry(item, 1))).collect();
    assert_eq!(index.insert_all(&pairs), Ok(COUNT));
    wait_until("the graph is built", || index.engine.view().list.is_empty());
    let double = |vector: &[T]| -> Vec<f64> { vector.iter().map(|&number| number.into()).collect() };
    let truth = |query: &[T]| {
        let query = double(query);
        let mut all: Vec<(f64, ItemId)> = pairs
            .iter()
            .map(|(vector, entry)| (distance(metric, &query, &double(vector)), entry.item))
            .collect();
        all.sort_by(|one, other| one.0.total_cmp(&other.0));
        all
    };
    let (all, never) = (BankFilter::all(), Cancellation::never());
    let nearest = index.nearest(&queries, 10, &all, &never).unwrap();
    let mut found_of_ten = 0;
    for (query, hits) in queries.iter().zip(&nearest) {
        let truth = truth(query);
        assert_eq!(hits.len(), 10);
        for hit in hits {
            let true_one = truth.iter().find(|one| one.1 == hit.entry.item).unwrap();
            assert!((f64::from(hit.distance) - true_one.0).abs() <= tolerance, "{hit:?} {true_one:?}");
            found_of_ten += usize::from(true_one.0 <= truth[9].0);
        }
        // A radius between the 15th and the 16th.
        #[expect(clippy::cast_possible_truncation, reason = "the metric's own precision")]
        let radius = f64::midpoint(truth[14].0, truth[15].0) as f32;
        let within = index.search(std::slice::from_ref(query), radius, &all, &never).unwrap();
        assert!(within[0].iter().all(|hit| hit.distance <= radius));
        assert!((10..=16).contains(&within[0].len()), "{}", within[0].len());
    }
    assert!(found_of_ten >= 450, "{found_of_ten} of 500");
    wait_until("the recall is measured", || index.recall().is_some());
    assert!(index.recall().unwrap().value >= 0.8, "{:?}", index.recall());

    assert_eq!(index.remove(&vectors[3], ItemId(3)), Ok(true));
    assert_eq!(index.remove(&vectors[3], ItemId(3)), Ok(false));
    let found = index.nearest(&vectors[3..4], 5, &all, &never).unwrap();
    assert!(found[0].iter().all(|hit: &VectorHit| hit.entry.item != ItemId(3)));
    assert_eq!(index.len(), COUNT - 1);
    assert_eq!(index.remove_bank(BankId(1)), COUNT - 1);
    assert!(index.is_empty());
}

fn byte(place: f64) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    let byte = (128.0 + 80.0 * place).clamp(0.0, 255.0) as u8;
    byte
}

#[expect(clippy::cast_possible_truncation, reason = "material for f32")]
fn float(place: f64) -> f32 {
    place as f32
}

#[test]
fn floats_by_cosine() {
    check(VectorMetric::Cosine, 1e-5, material(64, float));
}

#[test]
fn floats_by_euclidean_distance() {
    check(VectorMetric::L2, 1e-4, material(50, float));
}

#[test]
fn opaque_vectors_of_144_bytes_by_euclidean_distance() {
    check(VectorMetric::L2, 1e-3, material(144, byte));
}

#[test]
fn bytes_by_cosine() {
    check(VectorMetric::Cosine, 1e-6, material(32, byte));
}

#[test]
fn what_has_no_distance_is_refused() {
    let index = VectorIndex::<f32>::new(2, VectorMetric::Cosine, HnswConfig::default());
    let refused = |vector: &[f32]| index.insert(vector, entry(1, 1)).unwrap_err();
    assert_eq!(refused(&[1.0]), VectorError::Length { given: 1, declared: 2 });
    assert_eq!(refused(&[f32::NAN, 1.0]), VectorError::Magnitude);
    assert_eq!(refused(&[f32::INFINITY, 1.0]), VectorError::Magnitude);
    assert_eq!(refused(&[2.0 * MAGNITUDE_MAX, 1.0]), VectorError::Magnitude);
    assert_eq!(refused(&[0.0, -0.0]), VectorError::NoDirection);
    let pairs = [(vec![1.0, 0.0], entry(1, 1)), (vec![0.0, 0.0], entry(2, 1))];
    assert_eq!(index.insert_all(&pairs), Err(VectorError::NoDirection));
    assert!(index.is_empty(), "none of them is inserted");
    let bytes = VectorIndex::<u8>::new(2, VectorMetric::Cosine, HnswConfig::default());
    assert_eq!(bytes.insert(&[0, 0], entry(1, 1)), Err(VectorError::NoDirection));
    let (all, never) = (BankFilter::all(), Cancellation::never());
    let asked = index.nearest(&[vec![0.0, 0.0]], 1, &all, &never);
    assert_eq!(asked, Err(VectorSearchError::Query(VectorError::NoDirection)));
    let expired = Cancellation::at(std::time::Instant::now());
    let asked = index.nearest(&[vec![1.0, 0.0]], 1, &all, &expired);
    assert_eq!(asked, Err(VectorSearchError::Cancelled(Cancelled)));
}

#[test]
fn the_largest_numbers_have_finite_distances_and_a_radius_of_nan_finds_nothing() {
    let index = VectorIndex::<f32>::new(4_096, VectorMetric::L2, HnswConfig::default());
    let (all, never) = (BankFilter::all(), Cancellation::never());
    index.insert(&vec![MAGNITUDE_MAX; 4_096], entry(1, 1)).unwrap();
    let query = [vec![-MAGNITUDE_MAX; 4_096]];
    assert!(index.nearest(&query, 1, &all, &never).unwrap()[0][0].distance.is_finite());
    assert_eq!(index.search(&query, f32::INFINITY, &all, &never).unwrap()[0].len(), 1);
    assert!(index.search(&query, f32::NAN, &all, &never).unwrap()[0].is_empty());
    // Both zeros are one.
    index.insert(&vec![0.0; 4_096], entry(2, 1)).unwrap();
    assert_eq!(index.remove(&vec![-0.0; 4_096], ItemId(2)), Ok(true));
}

#[test]
fn two_vectors_of_one_direction_are_one_by_cosine() {
    let index = VectorIndex::<f32>::new(2, VectorMetric::Cosine, HnswConfig::default());
    assert_eq!(index.insert(&[1.0, 1.0], entry(1, 1)), Ok(true));
    assert_eq!(index.insert(&[2.0, 2.0], entry(1, 1)), Ok(false));
    assert_eq!(index.remove(&[4.0, 4.0], ItemId(1)), Ok(true));
    assert_eq!(format!("{index:?}"), "VectorIndex { length: 2, metric: Cosine, len: 0, .. }");
}
