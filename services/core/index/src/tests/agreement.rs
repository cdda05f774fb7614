//! Checks that both indexes answer as the linear scan does, after any sequence of operations.

use crate::oracle::LinearScan;
use crate::{
    BankFilter, Cancellation, Cancelled, Edit, Entry, EqualityIndex, HashSnapshot, IndexOptions, RadiusIndex,
};
use proptest::collection::vec;
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_model::{BankId, Distance, ItemId};

/// An index of each kind and the oracle, with the same content. `check` compares their answers.
struct Trio<const BYTES: usize> {
    radius: RadiusIndex<BYTES>,
    compact: RadiusIndex<BYTES>,
    equality: EqualityIndex<BYTES>,
    oracle: LinearScan<BYTES>,
}

impl<const BYTES: usize> Trio<BYTES> {
    fn new() -> Self {
        let compact = RadiusIndex::with_options(IndexOptions { compact: true, ..IndexOptions::default() });
        let (radius, equality, oracle) = (RadiusIndex::new(), EqualityIndex::new(), LinearScan::new());
        Self { radius, compact, equality, oracle }
    }

    /// Creates the indexes from distinct pairs only. The oracle does not check this, which would take
    /// quadratic time.
    fn holding(rows: &[([u8; BYTES], Entry)]) -> Self {
        let trio = Self::new();
        let edits: Vec<_> = rows.iter().map(|&(hash, entry)| Edit::Insert(hash, entry)).collect();
        assert_eq!(trio.radius.apply(&edits), rows.len());
        assert_eq!(trio.compact.apply(&edits), rows.len());
        assert_eq!(trio.equality.apply(&edits), rows.len());
        trio.oracle.apply(&edits);
        trio
    }

    fn insert(&self, hash: &[u8; BYTES], entry: Entry) {
        let expected = self.oracle.insert(hash, entry);
        assert_eq!(self.radius.insert(hash, entry), expected);
        assert_eq!(self.compact.insert(hash, entry), expected);
        assert_eq!(self.equality.insert(hash, entry), expected);
    }

    fn remove(&self, hash: &[u8; BYTES], item: ItemId) {
        let expected = self.oracle.remove(hash, item);
        assert_eq!(self.radius.remove(hash, item), expected);
        assert_eq!(self.compact.remove(hash, item), expected);
        assert_eq!(self.equality.remove(hash, item), expected);
    }

    fn remove_bank(&self, bank: BankId) {
        let expected = self.oracle.remove_bank(bank);
        assert_eq!(self.radius.remove_bank(bank), expected);
        assert_eq!(self.compact.remove_bank(bank), expected);
        assert_eq!(self.equality.remove_bank(bank), expected);
    }

    fn apply(&self, edits: &[Edit<BYTES>]) {
        let expected = self.oracle.apply(edits);
        assert_eq!(self.radius.apply(edits), expected);
        assert_eq!(self.compact.apply(edits), expected);
        assert_eq!(self.equality.apply(edits), expected);
    }

    fn check(&self, queries: &[[u8; BYTES]], radius: u32, k: usize, filter: &BankFilter) {
        assert_eq!(self.radius.len(), self.oracle.len());
        assert_eq!(self.equality.len(), self.oracle.len());
        assert_eq!(self.radius.is_empty(), self.oracle.is_empty());
        let never = Cancellation::never();
        let within = self.radius.search(queries, Distance(radius), filter, &never).unwrap();
        assert!(within == self.oracle.search(queries, Distance(radius), filter), "within {radius}");
        let compact = self.compact.search(queries, Distance(radius), filter, &never).unwrap();
        assert!(within == compact, "within {radius}, compact");
        let nearest = self.radius.nearest(queries, k, filter, &never).unwrap();
        assert!(nearest == self.oracle.nearest(queries, k, filter), "nearest {k}");
        assert!(self.equality.lookup(queries, filter) == self.oracle.lookup(queries, filter), "equal");
    }

    fn check_at_all_distances(&self, queries: &[[u8; BYTES]]) {
        for radius in [0, 1, 15, 31, 48, 64, 8 * u32::try_from(BYTES).unwrap(), u32::MAX] {
            for filter in [BankFilter::all(), BankFilter::only([BankId(1), BankId(90_000)])] {
                self.check(queries, radius, radius as usize % 100, &filter);
            }
        }
    }
}

#[test]
fn what_is_bounded_is_handed_over_up_to_its_bound() {
    let rows: Vec<_> = (0..3_000_u64).map(|item| ([u8::from(item % 3 == 0); 32], entry(item, 1))).collect();
    for is_merged in [false, true] {
        let index = RadiusIndex::<32>::new();
        index.load(rows.clone()).unwrap();
        index.apply(&[Edit::Insert([1; 32], entry(9_000, 1)), Edit::Insert([7; 32], entry(9_001, 1))]);
        if is_merged {
            index.merge().unwrap();
        }
        for radius in [0, 15] {
            let queries: [&[u8]; 3] = [&[0; 32], &[1; 32], &[7; 32]];
            let (mut counts, all, never) = ([0; 3], BankFilter::all(), Cancellation::never());
            let mut take = |query: usize, _| {
                counts[query] += 1;
                query == 1 || counts[query] < 40
            };
            HashSnapshot::each_while(&index.snapshot(), &queries, Distance(radius), &all, &never, &mut take)
                .unwrap();
            assert_eq!(counts, [40, 1_001, 1], "within {radius}");
        }
    }
}

fn entry(item: u64, bank: u32) -> Entry {
    Entry { item: ItemId(item), bank: BankId(bank) }
}

/// Returns hashes of which half are random, and the other half lie within some bits of one of ten centres.
/// Banks 0 to 3.
fn random_and_clustered<const BYTES: usize>(count: u64, seed: u64) -> Vec<([u8; BYTES], Entry)> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let centres: [[u8; BYTES]; 10] = std::array::from_fn(|_| rng.random());
    let hash = |item: u64, rng: &mut SmallRng| {
        let mut hash = if item.is_multiple_of(2) { rng.random() } else { centres[rng.random_range(0..10)] };
        for _ in 0..rng.random_range(0..=40) {
            hash[rng.random_range(0..BYTES)] ^= 1 << rng.random_range(0..8);
        }
        hash
    };
    (0..count).map(|item| (hash(item, &mut rng), entry(item, rng.random_range(0..4)))).collect()
}

/// Checks that a segment with compact tables finds the same hashes, passes an audit, takes `bytes_less` bytes
/// less for each row, and can be opened again.
#[track_caller]
fn check_compact(rows: Vec<([u8; 32], Entry)>, bytes_less: usize) {
    let queries: Vec<_> = rows.iter().step_by(4_999).map(|row| row.0).collect();
    let (all, never, folder) = (BankFilter::all(), Cancellation::never(), tempfile::tempdir().unwrap());
    let begin = |compact, name: &str| {
        let options = IndexOptions { compact, ..IndexOptions::default() };
        let index = RadiusIndex::<32>::begin(&folder.path().join(name), options).unwrap();
        index.load(rows.clone()).unwrap();
        for (hash, entry) in rows.iter().step_by(7) {
            index.remove(hash, entry.item);
        }
        index.merge().unwrap();
        index
    };
    let (wide, compact) = (begin(false, "wide"), begin(true, "compact"));
    let bytes = |index: &RadiusIndex<32>| index.footprint().segments[0].bytes / index.len();
    let is_less = bytes(&compact) + bytes_less <= bytes(&wide);
    assert!(is_less, "{} and {} bytes a row", bytes(&compact), bytes(&wide));
    for radius in [0, 15, 31, 48] {
        let found = |index: &RadiusIndex<32>| index.search(&queries, Distance(radius), &all, &never).unwrap();
        assert!(found(&wide) == found(&compact), "within {radius}");
    }
    let mut reached = 0;
    HashSnapshot::audit(&compact.snapshot(), &mut |_| true, &mut |_, _| reached += 1).unwrap();
    assert_eq!(reached, compact.len());
    compact.save(b"tag").unwrap();
    let found = compact.search(&queries, Distance(31), &all, &never).unwrap();
    drop(compact);
    // The options of new segments do not matter for opening.
    let again =
        RadiusIndex::<32>::open_tagged(&folder.path().join("compact"), IndexOptions::default(), b"tag");
    let again = again.unwrap();
    assert!(again.search(&queries, Distance(31), &all, &never).unwrap() == found);
    again.merge().unwrap();
    assert!(again.search(&queries, Distance(31), &all, &never).unwrap() == found);
}

#[test]
fn a_compact_segment_is_one_like_any_other_and_smaller() {
    let rows = random_and_clustered::<32>(150_000, 5);
    let with = |change: fn(&mut Entry)| {
        let mut rows = rows.clone();
        rows.iter_mut().for_each(|(_, entry)| change(entry));
        rows
    };
    // Items whose numbers are far apart take 4 bytes; the bank takes none if there is only one.
    check_compact(with(|entry| entry.item.0 *= 1_000), 12);
    check_compact(rows.clone(), 13);
    check_compact(with(|entry| entry.bank = BankId(7)), 14);
}

fn check_random_and_clustered<const BYTES: usize>() {
    let rows = random_and_clustered::<BYTES>(5_000, BYTES as u64);
    let trio = Trio::holding(&rows);
    let queries: Vec<_> =
        rows.iter().step_by(499).map(|row| row.0).chain([[0; BYTES], [0xff; BYTES]]).collect();
    trio.check_at_all_distances(&queries);
    // A third is removed one by one, so that blocks are compacted; then the rest of a bank is removed at
    // once.
    for (hash, entry) in rows.iter().filter(|row| row.1.item.0 % 16 < 11) {
        trio.remove(hash, entry.item);
    }
    trio.check_at_all_distances(&queries);
    trio.remove_bank(BankId(1));
    trio.remove_bank(BankId(77));
    trio.check_at_all_distances(&queries);
}

#[test]
fn hashes_of_8_bytes_are_found_as_by_a_scan() {
    check_random_and_clustered::<8>();
}

#[test]
fn hashes_of_12_bytes_are_found_as_by_a_scan() {
    check_random_and_clustered::<12>();
}

#[test]
fn hashes_of_16_bytes_are_found_as_by_a_scan() {
    check_random_and_clustered::<16>();
}

#[test]
fn hashes_of_32_bytes_are_found_as_by_a_scan() {
    check_random_and_clustered::<32>();
}

#[test]
fn hashes_of_64_bytes_are_found_as_by_a_scan() {
    check_random_and_clustered::<64>();
}

#[test]
fn an_empty_index_finds_nothing() {
    Trio::<32>::new().check_at_all_distances(&[[0; 32], [1; 32]]);
}

#[test]
fn no_queries_get_no_answers() {
    Trio::<32>::holding(&[([0; 32], entry(1, 1))]).check_at_all_distances(&[]);
}

#[test]
fn a_single_hash_is_found_from_every_distance() {
    let trio = Trio::<32>::holding(&[([0; 32], entry(1, 1))]);
    for bit in 0..256 {
        let mut query = [0xff; 32];
        query[..bit / 8].fill(0);
        query[bit / 8] <<= bit % 8;
        trio.check_at_all_distances(&[query]);
    }
}

#[test]
fn an_index_emptied_again_finds_nothing_and_can_be_filled_again() {
    let rows = random_and_clustered::<32>(5_000, 3);
    let trio = Trio::holding(&rows);
    for bank in 0..4 {
        trio.remove_bank(BankId(bank));
    }
    trio.check_at_all_distances(&[rows[0].0]);
    trio.insert(&rows[0].0, rows[0].1);
    trio.check_at_all_distances(&[rows[0].0]);
}

#[test]
fn the_same_pair_is_held_once_and_keeps_its_last_bank() {
    let trio = Trio::<32>::new();
    for bank in [1, 1, 2, 1, 2, 2] {
        trio.insert(&[5; 32], entry(9, bank));
        trio.check_at_all_distances(&[[5; 32]]);
    }
    trio.remove(&[5; 32], ItemId(9));
    trio.remove(&[5; 32], ItemId(9));
    trio.check_at_all_distances(&[[5; 32]]);
}

#[test]
fn a_hundred_thousand_items_with_one_hash_take_no_longer_than_any_others() {
    let (count, hash) = (100_000_u64, [0x5a; 32]);
    let (radius, equality) = (RadiusIndex::new(), EqualityIndex::new());
    for item in 0..count {
        assert!(radius.insert(&hash, entry(item, 1)));
        assert!(equality.insert(&hash, entry(item, 1)));
    }
    let (all, never) = (BankFilter::all(), Cancellation::never());
    let items = |expected: &mut dyn Iterator<Item = u64>| -> Vec<Entry> {
        expected.map(|item| entry(item, 1)).collect()
    };
    let check = |expected: Vec<Entry>, nearest: &[Entry]| {
        let hits = radius.search(&[hash], Distance(0), &all, &never).unwrap().remove(0);
        assert!(hits.iter().map(|hit| hit.entry).eq(expected.iter().copied()));
        let hits = radius.nearest(&[hash], nearest.len(), &all, &never).unwrap().remove(0);
        assert!(hits.iter().map(|hit| hit.entry).eq(nearest.iter().copied()));
        assert!(equality.lookup(&[hash], &all) == [expected]);
    };
    check(items(&mut (0..count)), &items(&mut (0..1_000)));
    for item in (0..count).filter(|item| item % 4 != 0) {
        assert!(radius.remove(&hash, ItemId(item)));
        assert!(equality.remove(&hash, ItemId(item)));
    }
    check(items(&mut (0..count).step_by(4)), &items(&mut (0..4_000).step_by(4)));
}

#[test]
fn a_cancelled_search_gives_no_answer() {
    let index = RadiusIndex::<32>::new();
    index.insert(&[0; 32], entry(1, 1));
    let expired = Cancellation::at(std::time::Instant::now());
    let all = BankFilter::all();
    assert_eq!(index.search(&[[0; 32]], Distance(31), &all, &expired), Err(Cancelled));
    assert_eq!(index.nearest(&[[0; 32]], 1, &all, &expired), Err(Cancelled));
    assert!(index.is_exact());
}

/// A hash of few distinct values, so that operations meet the same ones, and with one-bit bytes, so that
/// hashes are near each other.
fn hash() -> impl Strategy<Value = [u8; 12]> {
    (0_usize..6, 0_u32..3, 0_usize..12, 0_u32..2).prop_map(|(byte, bit, also, flip)| {
        let mut hash = [0; 12];
        hash[byte] = 1 << bit;
        hash[also] ^= u8::try_from(flip).unwrap();
        hash
    })
}

#[derive(Debug, Clone)]
enum Step {
    Apply(Vec<Edit<12>>),
    RemoveBank(BankId),
    /// This many new items at once, to fill blocks and grow tables.
    Flood(u64),
    Check {
        queries: Vec<[u8; 12]>,
        radius: u16,
        k: usize,
        banks: Option<Vec<u32>>,
    },
}

fn edit() -> impl Strategy<Value = Edit<12>> {
    prop_oneof![
        3 => (hash(), 0_u64..12, 0_u32..4).prop_map(|(hash, item, bank)| Edit::Insert(hash, entry(item, bank))),
        2 => (hash(), 0_u64..12).prop_map(|(hash, item)| Edit::Remove(hash, ItemId(item))),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => vec(edit(), 1..2).prop_map(Step::Apply),
        4 => vec(edit(), 0..30).prop_map(Step::Apply),
        1 => (0_u32..5).prop_map(|bank| Step::RemoveBank(BankId(bank))),
        1 => (0_u64..1_500).prop_map(Step::Flood),
        6 => (vec(hash(), 0..4), 0_u16..=97, 0_usize..20, proptest::option::of(vec(0_u32..5, 0..4)))
            .prop_map(|(queries, radius, k, banks)| Step::Check { queries, radius, k, banks }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_sequence_of_edits_and_searches_agrees_with_the_scan(steps in vec(step(), 1..60)) {
        let trio = Trio::<12>::new();
        let mut flooded = 1_000;
        for step in steps {
            match step {
                Step::Apply(edits) => match edits[..] {
                    [Edit::Insert(hash, entry)] => trio.insert(&hash, entry),
                    [Edit::Remove(hash, item)] => trio.remove(&hash, item),
                    _ => trio.apply(&edits),
                },
                Step::RemoveBank(bank) => trio.remove_bank(bank),
                Step::Flood(count) => {
                    // Items replace each other one by one at first, and then stay.
                    let of = |item: u64| {
                        let mut hash = [3; 12];
                        hash[..8].copy_from_slice(&item.to_le_bytes());
                        hash
                    };
                    let insert = |item| Edit::Insert(of(item), entry(item, 3));
                    let passing = (flooded..flooded + count)
                        .flat_map(|item| [insert(item), Edit::Remove(of(item), ItemId(item))]);
                    let staying = (flooded..flooded + count / 8).map(insert);
                    trio.apply(&passing.chain(staying).collect::<Vec<_>>());
                    flooded += count;
                }
                Step::Check { queries, radius, k, banks } => {
                    let only = |banks: Vec<u32>| BankFilter::only(banks.into_iter().map(BankId));
                    trio.check(&queries, radius.into(), k, &banks.map_or(BankFilter::all(), only));
                }
            }
        }
        trio.check(&[[0; 12]], 96, 1_000, &BankFilter::all());
    }
}

/// Checks that a snapshot equals the oracle's state when it was taken, whatever is written, moved or dropped
/// afterwards.
#[test]
fn a_snapshot_stays_as_it_was_however_the_index_changes() {
    let entry = |item: u64| Entry { item: ItemId(item), bank: BankId(u32::try_from(item % 3).unwrap()) };
    let hash = |item: u64| {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&(item % 4_001).to_le_bytes());
        hash
    };
    let (radius, equality) = (RadiusIndex::<32>::new(), EqualityIndex::<32>::new());
    let mut taken = Vec::new();
    for item in 0..12_000 {
        radius.insert(&hash(item), entry(item));
        equality.insert(&hash(item), entry(item));
        // More than half of the rows die, so that blocks are compacted and tables replaced.
        if item >= 3_000 {
            assert!(radius.remove(&hash(item - 3_000), ItemId(item - 3_000)));
            assert!(equality.remove(&hash(item - 3_000), ItemId(item - 3_000)));
        }
        if item % 1_500 == 0 {
            taken.push((item, radius.snapshot(), equality.snapshot()));
        }
    }
    radius.remove_bank(BankId(1));
    equality.remove_bank(BankId(1));
    let everything = Distance(256);
    for (item, radius, equality) in taken {
        let mut living: Vec<u64> = (item.saturating_sub(2_999)..=item).collect();
        let hits = radius
            .search(&[[0; 32]], everything, &BankFilter::all(), &Cancellation::never())
            .unwrap()
            .remove(0);
        let mut found: Vec<u64> = hits.iter().map(|hit| hit.entry.item.0).collect();
        found.sort_unstable();
        assert_eq!(found, living, "taken at {item}");
        let queries: Vec<_> = living.iter().map(|&item| hash(item)).collect();
        let mut equal: Vec<u64> = equality
            .lookup(&queries, &BankFilter::all())
            .into_iter()
            .flatten()
            .map(|entry| entry.item.0)
            .collect();
        equal.sort_unstable();
        equal.dedup();
        living.sort_unstable();
        assert_eq!(equal, living, "taken at {item}");
    }
}
