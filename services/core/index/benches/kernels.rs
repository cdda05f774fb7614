//! Measures each step of a search by itself, on every instruction set of the processor: comparing signatures,
//! scanning rows, permuting hashes.
//!
//! Criterion's throughput counts signatures, rows or hashes. The data fits into the second-level cache, so
//! that the benchmark measures instructions and not memory.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_index::measuring;

fn kernels(c: &mut Criterion) {
    let mut rng = SmallRng::seed_from_u64(5);
    let lines: Vec<[u16; 32]> = (0..2_048).map(|_| rng.random()).collect();
    let mut rows: Vec<[u8; 32]> = (0..4_096).map(|_| rng.random()).collect();
    rows.sort_unstable();
    let query: [u8; 32] = rng.random();

    let mut group = c.benchmark_group("signatures");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(32 * lines.len() as u64));
    for kernel in measuring::kernels() {
        group.bench_function(kernel, |b| {
            b.iter(|| measuring::near_signatures(kernel, black_box(&lines), 0x1234, 2));
        });
    }
    group.finish();

    let mut group = c.benchmark_group("rows of 32 bytes");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(rows.len() as u64));
    for kernel in measuring::kernels() {
        group.bench_function(kernel, |b| {
            b.iter(|| measuring::near_rows(kernel, black_box(&rows), &query, 31));
        });
    }
    group.finish();

    let mut group = c.benchmark_group("permutation");
    group.warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    group.throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function("32 bytes", |b| b.iter(|| measuring::permute(black_box(&mut rows))));
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
