//! Tests the approximate index as its users see it. The tests of each part are beside the part.

mod any_hash;
mod bits;
mod concurrency;
mod vectors;

use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_model::{BankId, ItemId};

use crate::HnswConfig;
use vigie_index::Entry;

/// Returns options for graphs that are small and fast to build, and that are searched even if a scan would be
/// faster.
fn graphs_only() -> HnswConfig {
    HnswConfig {
        max_nb_connection: 8,
        ef_construction: 40,
        list_rows_build: 500,
        scan_rows_per_ef: 0,
        ..HnswConfig::default()
    }
}

fn entry(item: u64, bank: u32) -> Entry {
    Entry { item: ItemId(item), bank: BankId(bank) }
}

fn flipped(mut hash: [u8; 32], flips: usize, random: &mut SmallRng) -> [u8; 32] {
    for _ in 0..flips {
        let bit = random.random_range(0..256_usize);
        hash[bit / 8] ^= 1 << (bit % 8);
    }
    hash
}

/// Returns hashes in groups of 20, up to 40 flips from their middle.
fn clustered(count: usize) -> Vec<[u8; 32]> {
    let mut random = SmallRng::seed_from_u64(count as u64);
    let middles: Vec<[u8; 32]> = (0..count / 20).map(|_| random.random()).collect();
    (0..count).map(|at| flipped(middles[at % middles.len()], at % 41, &mut random)).collect()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
