//! Searches while others write and graphs are built, and checks that the builder ends.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_model::{Distance, ItemId};

use super::{entry, graphs_only, wait_until};
use vigie_index::{BankFilter, Cancellation, Edit};

use crate::{HnswConfig, HnswIndex};

fn hash_of(item: u64) -> [u8; 32] {
    SmallRng::seed_from_u64(item).random()
}

/// Returns options with which an item is found as by a scan, because the graph's recall must not affect tests
/// of visibility.
fn always_scanning(list_rows_build: usize) -> HnswConfig {
    HnswConfig { list_rows_build, scan_rows_per_ef: 1 << 20, ..graphs_only() }
}

#[test]
fn every_search_sees_what_was_written_before_it_began() {
    const ITEMS: u64 = 1_500;
    let index = HnswIndex::<32>::new(always_scanning(100));
    let (inserted, removed) = (AtomicU64::new(0), AtomicU64::new(0));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for item in 0..ITEMS {
                index.insert(&hash_of(item), entry(item, 1));
                inserted.store(item + 1, SeqCst);
                if item % 3 == 2 {
                    let gone = item / 3;
                    assert!(index.remove(&hash_of(gone), ItemId(gone)));
                    removed.store(gone + 1, SeqCst);
                }
            }
            done.store(true, SeqCst);
        });
        for seed in 0..2 {
            let (index, inserted, removed, done) = (&index, &inserted, &removed, &done);
            scope.spawn(move || {
                let mut random = SmallRng::seed_from_u64(seed);
                let never = Cancellation::never();
                while !done.load(SeqCst) {
                    let (gone, there) = (removed.load(SeqCst), inserted.load(SeqCst));
                    let item = random.random_range(0..ITEMS);
                    let found =
                        index.search(&[hash_of(item)], Distance(0), &BankFilter::all(), &never).unwrap();
                    let times = found[0].len();
                    assert!(times <= 1, "item {item} was found {times} times");
                    if item < gone {
                        assert_eq!(times, 0, "item {item} had been removed");
                    } else if item < there && item > removed.load(SeqCst) {
                        assert_eq!(times, 1, "item {item} was there throughout");
                    }
                }
            });
        }
    });
    assert_eq!(index.len(), 1_000);
    wait_until("something is built", || !index.engine.view().segments.is_empty());
}

#[test]
fn removals_during_a_build_are_not_undone_by_it() {
    let index = HnswIndex::<32>::new(always_scanning(800));
    let edits: Vec<_> = (0..1_000).map(|item| Edit::Insert(hash_of(item), entry(item, 1))).collect();
    index.apply(&edits);
    // The build has begun, or will begin soon.
    for item in 0..100 {
        assert!(index.remove(&hash_of(item), ItemId(item)));
    }
    wait_until("the graph is built", || index.engine.view().list.is_empty());
    let queries: Vec<_> = (0..200).map(hash_of).collect();
    let found = index.search(&queries, Distance(0), &BankFilter::all(), &Cancellation::never()).unwrap();
    assert!(found[..100].iter().all(Vec::is_empty));
    assert!(found[100..].iter().all(|hits| hits.len() == 1));
    assert_eq!(index.len(), 900);
}

#[test]
fn a_batch_is_seen_whole_or_not_at_all() {
    let index = HnswIndex::<32>::new(always_scanning(200));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..60 {
                let edits: Vec<_> =
                    (0..10).map(|item| Edit::Insert([7; 32], entry(10 * round + item, 1))).collect();
                index.apply(&edits);
            }
            done.store(true, SeqCst);
        });
        while !done.load(SeqCst) {
            let found =
                index.search(&[[7; 32]], Distance(0), &BankFilter::all(), &Cancellation::never()).unwrap();
            assert_eq!(found[0].len() % 10, 0);
        }
    });
}

#[test]
fn writers_wait_at_a_full_list_and_go_on_after_the_build() {
    let config = HnswConfig { list_rows_max: 300, ..always_scanning(300) };
    let index = HnswIndex::<32>::new(config);
    for item in 0..2_000 {
        index.insert(&hash_of(item), entry(item, 1));
        let in_list: usize = index.engine.view().list.iter().map(|rows| rows.row_count()).sum();
        assert!(in_list <= 300, "{in_list}");
    }
    assert_eq!(index.len(), 2_000);
}

#[test]
fn several_threads_build_one_graph() {
    let config = HnswConfig { build_threads: 3, list_rows_build: 1_500, ..graphs_only() };
    let index = HnswIndex::<32>::new(config);
    let edits: Vec<_> = (0..1_500).map(|item| Edit::Insert(hash_of(item), entry(item, 1))).collect();
    index.apply(&edits);
    wait_until("the graph is built", || index.engine.view().list.is_empty());
    let queries: Vec<_> = (0..1_500).map(hash_of).collect();
    let found = index.search(&queries, Distance(0), &BankFilter::all(), &Cancellation::never()).unwrap();
    let hits = found.iter().filter(|hits| hits.len() == 1).count();
    assert!(hits >= 1_400, "{hits} of 1,500");
}

#[test]
fn the_builder_ends_with_its_index_and_snapshots_outlive_it() {
    let config = HnswConfig { list_rows_build: 20_000, ef_construction: 400, ..graphs_only() };
    let index = HnswIndex::<32>::new(config);
    let edits: Vec<_> = (0..20_000).map(|item| Edit::Insert(hash_of(item), entry(item, 1))).collect();
    index.apply(&edits);
    let (snapshot, shared) = (index.snapshot(), index.engine.watch());
    drop(index);
    wait_until("the builder has ended", || shared.strong_count() == 0);
    let found =
        snapshot.search(&[hash_of(5)], Distance(0), &BankFilter::all(), &Cancellation::never()).unwrap();
    assert_eq!(found[0][0].entry.item, ItemId(5));
}
