//! Measures the cost of a search: one query, and the eight variants of an image, against uniformly random
//! hashes as long as those of PDQ.
//!
//! Criterion's throughput counts pairs of a hash and a query, so its inverse is the time of one comparison.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_index::{BankFilter, Cancellation, Edit, Entry, EqualityIndex, RadiusIndex};
use vigie_model::{BankId, Distance, ItemId};

fn random_edits(count: u64) -> Vec<Edit<32>> {
    let mut rng = SmallRng::seed_from_u64(7);
    (0..count).map(|item| Edit::Insert(rng.random(), Entry { item: ItemId(item), bank: BankId(1) })).collect()
}

fn search(c: &mut Criterion) {
    let (all, never) = (BankFilter::all(), Cancellation::never());
    let mut group = c.benchmark_group("search");
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for hash_count in [100_000, 1_000_000] {
        let index = RadiusIndex::<32>::new();
        index.apply(&random_edits(hash_count));
        let queries: [[u8; 32]; 8] = SmallRng::seed_from_u64(8).random();
        for batch in [1, 8] {
            group.throughput(Throughput::Elements(hash_count * batch as u64));
            for radius in [31, 64] {
                let id = BenchmarkId::new(format!("radius {radius}, batch of {batch}"), hash_count);
                group.bench_function(id, |b| {
                    b.iter(|| index.search(black_box(&queries[..batch]), Distance(radius), &all, &never));
                });
            }
            let id = BenchmarkId::new(format!("nearest 10, batch of {batch}"), hash_count);
            group.bench_function(id, |b| {
                b.iter(|| index.nearest(black_box(&queries[..batch]), 10, &all, &never));
            });
        }
    }
    group.finish();
}

fn edit(c: &mut Criterion) {
    let edits = random_edits(100_000);
    let mut group = c.benchmark_group("edit");
    group.sample_size(10).throughput(Throughput::Elements(edits.len() as u64));
    group.bench_function("insert 100,000, then remove them", |b| {
        b.iter(|| {
            let index = RadiusIndex::<32>::new();
            for edit in &edits {
                index.apply(std::slice::from_ref(edit));
            }
            for edit in &edits {
                let Edit::Insert(hash, entry) = edit else { continue };
                index.remove(hash, entry.item);
            }
            index
        });
    });
    group.finish();
}

fn lookup(c: &mut Criterion) {
    let edits = random_edits(1_000_000);
    let index = EqualityIndex::<32>::new();
    index.apply(&edits);
    let known = edits.iter().step_by(997).map(|edit| match edit {
        Edit::Insert(digest, _) | Edit::Remove(digest, _) => *digest,
    });
    let queries: Vec<[u8; 32]> = known.collect();
    let mut group = c.benchmark_group("lookup");
    group.throughput(Throughput::Elements(queries.len() as u64));
    group.bench_function("1,000,000 digests", |b| {
        b.iter(|| index.lookup(black_box(&queries), &BankFilter::all()));
    });
    group.finish();
}

criterion_group!(benches, search, edit, lookup);
criterion_main!(benches);
