//! Checks what searches see while other threads write at full speed: everything that is there throughout,
//! once; nothing that is not there; and changes of one batch all or not at all.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;

use crate::{BankFilter, Cancellation, Edit, Entry, EqualityIndex, RadiusIndex};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_model::{BankId, Distance, ItemId};

type Hash = [u8; 32];

/// The operations that both indexes share.
trait Index: Default + Sync {
    fn insert(&self, hash: &Hash, entry: Entry) -> bool;
    fn remove(&self, hash: &Hash, item: ItemId) -> bool;
    fn remove_bank(&self, bank: BankId) -> usize;
    fn apply(&self, edits: &[Edit<32>]) -> usize;
    fn len(&self) -> usize;
    /// Returns the entries of each hash.
    fn find(&self, hashes: &[Hash]) -> Vec<Vec<Entry>>;
}

macro_rules! forward_edits {
    () => {
        fn insert(&self, hash: &Hash, entry: Entry) -> bool {
            self.insert(hash, entry)
        }
        fn remove(&self, hash: &Hash, item: ItemId) -> bool {
            self.remove(hash, item)
        }
        fn remove_bank(&self, bank: BankId) -> usize {
            self.remove_bank(bank)
        }
        fn apply(&self, edits: &[Edit<32>]) -> usize {
            self.apply(edits)
        }
        fn len(&self) -> usize {
            self.len()
        }
    };
}

impl Index for RadiusIndex<32> {
    forward_edits!();
    fn find(&self, hashes: &[Hash]) -> Vec<Vec<Entry>> {
        let answers = self.search(hashes, Distance(0), &BankFilter::all(), &Cancellation::never()).unwrap();
        answers.into_iter().map(|hits| hits.into_iter().map(|hit| hit.entry).collect()).collect()
    }
}

impl Index for EqualityIndex<32> {
    forward_edits!();
    fn find(&self, hashes: &[Hash]) -> Vec<Vec<Entry>> {
        self.lookup(hashes, &BankFilter::all())
    }
}

fn hash_of(item: usize) -> Hash {
    SmallRng::seed_from_u64(item as u64).random()
}

fn entry(item: usize, bank: u32) -> Entry {
    Entry { item: ItemId(item as u64), bank: BankId(bank) }
}

/// Raises the flag when dropped, so that writers also stop when a reader fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Runs two writers repeatedly until `read` has run `count` times on each of two threads.
fn race(count: usize, write: impl Fn(usize, &mut SmallRng) + Sync, read: impl Fn(&mut SmallRng) + Sync) {
    let (stop, running) = (AtomicBool::new(false), AtomicUsize::new(2));
    thread::scope(|scope| {
        for reader in 0..2 {
            let (read, stop, running) = (&read, &stop, &running);
            scope.spawn(move || {
                let failed = Stop(stop);
                let mut rng = SmallRng::seed_from_u64(reader);
                for _ in 0..count {
                    read(&mut rng);
                }
                std::mem::forget(failed);
                if running.fetch_sub(1, SeqCst) == 1 {
                    drop(Stop(stop));
                }
            });
        }
        for writer in 0..2 {
            let (write, stop) = (&write, &stop);
            scope.spawn(move || {
                let _stop = Stop(stop);
                let mut rng = SmallRng::seed_from_u64(100 + writer as u64);
                while !stop.load(SeqCst) {
                    write(writer, &mut rng);
                }
            });
        }
    });
}

/// A counter for each item of its insertions and removals: 4n absent, 4n+1 being inserted, 4n+2 present, 4n+3
/// being removed.
struct States(Vec<AtomicU64>);

impl States {
    fn now(&self, items: &[usize]) -> Vec<u64> {
        items.iter().map(|&item| self.0[item].load(SeqCst)).collect()
    }
}

/// Checks one answer for each item against the known state of the item before and after.
fn judge(items: &[usize], before: &[u64], after: &[u64], times_found: &[usize]) {
    for (at, item) in items.iter().enumerate() {
        assert!(times_found[at] <= 1, "item {item} was found {} times", times_found[at]);
        if before[at] == after[at] {
            match before[at] % 4 {
                0 => assert_eq!(times_found[at], 0, "item {item} is absent"),
                2 => assert_eq!(times_found[at], 1, "item {item} is present"),
                _ => {}
            }
        }
    }
}

/// The first third of the items stays; each writer inserts and removes every second of the others.
fn check_each_item<I: Index>(read_count: usize, look: impl Fn(&I, &mut SmallRng, &States) + Sync) {
    const ITEMS: usize = 12_000;
    let index = I::default();
    let states = States((0..ITEMS).map(|_| AtomicU64::new(0)).collect());
    for item in 0..ITEMS / 3 {
        index.insert(&hash_of(item), entry(item, 1));
        states.0[item].store(2, SeqCst);
    }
    let toggle = |writer: usize, rng: &mut SmallRng| {
        for _ in 0..100 {
            let item = ITEMS / 3 + rng.random_range(0..ITEMS / 3) * 2 + writer;
            if item >= ITEMS {
                continue;
            }
            let (hash, state) = (hash_of(item), states.0[item].fetch_add(1, SeqCst));
            match state % 4 {
                0 => assert!(index.insert(&hash, entry(item, 1))),
                _ => assert!(index.remove(&hash, ItemId(item as u64))),
            }
            states.0[item].fetch_add(1, SeqCst);
        }
    };
    race(read_count, toggle, |rng| look(&index, rng, &states));
    let present = states.0.iter().filter(|state| state.load(SeqCst) % 4 == 2).count();
    assert_eq!(index.len(), present);
    assert_eq!(index.remove_bank(BankId(1)), present);
}

fn look_for_some_items<I: Index>(index: &I, rng: &mut SmallRng, states: &States) {
    let items: Vec<usize> = (0..8).map(|_| rng.random_range(0..states.0.len())).collect();
    let hashes: Vec<Hash> = items.iter().map(|&item| hash_of(item)).collect();
    let before = states.now(&items);
    let answers = index.find(&hashes);
    judge(&items, &before, &states.now(&items), &answers.iter().map(Vec::len).collect::<Vec<_>>());
}

#[test]
fn a_radius_search_finds_what_is_there_and_nothing_else() {
    check_each_item::<RadiusIndex<32>>(4_000, look_for_some_items);
}

#[test]
fn an_equality_lookup_finds_what_is_there_and_nothing_else() {
    check_each_item::<EqualityIndex<32>>(50_000, look_for_some_items);
}

#[test]
fn a_search_of_everything_finds_each_item_once() {
    let look = |index: &RadiusIndex<32>, _: &mut SmallRng, states: &States| {
        let items: Vec<usize> = (0..states.0.len()).collect();
        let before = states.now(&items);
        let hits =
            index.search(&[[0; 32]], Distance(256), &BankFilter::all(), &Cancellation::never()).unwrap();
        let after = states.now(&items);
        let mut times_found = vec![0; items.len()];
        for hit in &hits[0] {
            times_found[usize::try_from(hit.entry.item.0).unwrap()] += 1;
        }
        judge(&items, &before, &after, &times_found);
    };
    check_each_item::<RadiusIndex<32>>(400, look);
}

#[test]
fn the_nearest_of_a_present_hash_is_itself() {
    let look = |index: &RadiusIndex<32>, rng: &mut SmallRng, states: &States| {
        let items = [rng.random_range(0..states.0.len())];
        let before = states.now(&items);
        let hits =
            index.nearest(&[hash_of(items[0])], 5, &BankFilter::all(), &Cancellation::never()).unwrap();
        let after = states.now(&items);
        let itself = hits[0].iter().filter(|hit| hit.distance == Distance(0)).count();
        assert_eq!(hits[0].len(), 5);
        judge(&items, &before, &after, &[itself]);
    };
    check_each_item::<RadiusIndex<32>>(2_000, look);
}

/// Each writer moves its items between two hashes, some at a time, in batches that remove before they insert.
fn check_batches<I: Index>(read_count: usize) {
    const ITEMS: usize = 3_000;
    let index = I::default();
    let side = |item: usize, side: usize| hash_of(item * 2 + side + 1_000_000);
    for item in 0..ITEMS {
        index.insert(&side(item, 0), entry(item, 1));
    }
    let sides: Vec<AtomicUsize> = (0..ITEMS).map(|_| AtomicUsize::new(0)).collect();
    let swap = |writer: usize, rng: &mut SmallRng| {
        let first = rng.random_range(0..ITEMS / 2 - 100) * 2 + writer;
        let mut edits = Vec::new();
        for item in (first..ITEMS).step_by(2).take(rng.random_range(1..100)) {
            let from = sides[item].fetch_xor(1, SeqCst);
            edits.push(Edit::Remove(side(item, from), ItemId(item as u64)));
            edits.push(Edit::Insert(side(item, 1 - from), entry(item, 1)));
        }
        assert_eq!(index.apply(&edits), edits.len());
    };
    race(read_count, swap, |rng| {
        let hashes: Vec<Hash> = (0..4)
            .flat_map(|_| {
                let item = rng.random_range(0..ITEMS);
                [side(item, 0), side(item, 1)]
            })
            .collect();
        for sides in index.find(&hashes).chunks(2) {
            assert_eq!(sides[0].len() + sides[1].len(), 1, "an item is always on one of its sides");
        }
    });
    assert_eq!(index.len(), ITEMS);
}

#[test]
fn a_radius_search_sees_a_batch_whole_or_not_at_all() {
    check_batches::<RadiusIndex<32>>(5_000);
}

#[test]
fn an_equality_lookup_sees_a_batch_whole_or_not_at_all() {
    check_batches::<EqualityIndex<32>>(50_000);
}

/// All items have the same hash, so that one query counts them.
fn check_banks<I: Index>(read_count: usize) {
    const ITEMS: usize = 5_000;
    let index = I::default();
    let fill_and_empty = |writer: usize, _: &mut SmallRng| {
        let bank = u32::try_from(writer).unwrap();
        let insert = |item| Edit::Insert([9; 32], entry(writer * ITEMS + item, bank));
        assert_eq!(index.apply(&(0..ITEMS).map(insert).collect::<Vec<_>>()), ITEMS);
        assert_eq!(index.remove_bank(BankId(bank)), ITEMS);
    };
    race(read_count, fill_and_empty, |_| {
        let found = index.find(&[[9; 32]])[0].len();
        assert!(found % ITEMS == 0, "{found} is no whole number of banks");
    });
    assert_eq!(index.len(), 0);
}

#[test]
fn a_radius_search_sees_a_bank_whole_or_not_at_all() {
    check_banks::<RadiusIndex<32>>(2_000);
}

#[test]
fn an_equality_lookup_sees_a_bank_whole_or_not_at_all() {
    check_banks::<EqualityIndex<32>>(2_000);
}
