//! Checks that indexes of every shape answer as a linear scan does, after any edits, in snapshots, and after
//! saving.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_model::{BankId, Distance, ItemId};

use super::{HAMMING_BYTES, HashEdit, HashEdits, HashRows, HashShape, HashSnapshot};
use crate::{BankFilter, Cancellation, Cancelled, Entry, Hit, IndexOptions, OpenError};

const EQUALITY_BYTES: [usize; 13] = [4, 5, 8, 9, 16, 20, 31, 32, 33, 64, 65, 144, 512];

fn shapes() -> Vec<HashShape> {
    let equality = EQUALITY_BYTES.map(|bytes| HashShape::Equality { bytes });
    HAMMING_BYTES.map(|bytes| HashShape::Hamming { bytes }).into_iter().chain(equality).collect()
}

fn entry(item: u64, bank: u32) -> Entry {
    Entry { item: ItemId(item), bank: BankId(bank) }
}

/// Returns a hash for a small number: one bit is set, in the first, the last or a middle byte. Some hashes of
/// a padded length therefore differ only in their last byte before the padding.
fn hash_of(bytes: usize, number: u8) -> Vec<u8> {
    let mut hash = vec![0; bytes];
    let at = [0, bytes - 1, bytes / 2][usize::from(number % 3)];
    hash[at] = 1 << (number / 3 % 8);
    hash
}

#[derive(Debug, Clone)]
enum Step {
    Insert { hash: u8, item: u64, bank: u32 },
    Remove { hash: u8, item: u64 },
}

#[derive(Debug, Clone)]
enum Deed {
    Apply(Vec<Step>),
    Load(Vec<(u8, u64, u32)>),
    RemoveBank(u32),
    Merge,
    /// Saves the index, makes some edits that are lost, and opens the saved index.
    Reopen(Vec<Step>),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u8..24, 0_u64..6, 0_u32..3).prop_map(|(hash, item, bank)| Step::Insert { hash, item, bank }),
        1 => (0_u8..24, 0_u64..6).prop_map(|(hash, item)| Step::Remove { hash, item }),
    ]
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        8 => vec(step(), 0..40).prop_map(Deed::Apply),
        2 => vec((0_u8..24, 0_u64..6, 0_u32..3), 0..40).prop_map(Deed::Load),
        1 => (0_u32..4).prop_map(Deed::RemoveBank),
        1 => Just(Deed::Merge),
        2 => vec(step(), 0..10).prop_map(Deed::Reopen),
    ]
}

/// The expected state: every pair with its bank, searched from end to end.
#[derive(Debug, Clone, Default)]
struct Scan(BTreeMap<(Vec<u8>, ItemId), BankId>);

impl Scan {
    fn apply(&mut self, edits: &HashEdits) -> usize {
        let changes = |edit: &HashEdit<'_>| match *edit {
            HashEdit::Insert(hash, Entry { item, bank }) => {
                self.0.insert((hash.to_vec(), item), bank).is_none()
            }
            HashEdit::Remove(hash, item) => self.0.remove(&(hash.to_vec(), item)).is_some(),
        };
        edits.iter().filter(changes).count()
    }

    fn load(&mut self, rows: &HashRows) {
        let mut greatest = BTreeMap::new();
        for (hash, Entry { item, bank }) in rows.iter() {
            let known = greatest.entry((hash.to_vec(), item)).or_insert(bank);
            *known = bank.max(*known);
        }
        self.0.extend(greatest);
    }

    fn remove_bank(&mut self, bank: BankId) -> usize {
        let before = self.0.len();
        self.0.retain(|_, own| *own != bank);
        before - self.0.len()
    }

    fn within(&self, query: &[u8], radius: u32, filter: &BankFilter) -> Vec<Hit> {
        let rows = self.0.iter().filter(|(_, bank)| filter.contains(**bank));
        let hit = |((hash, item), bank): (&(Vec<u8>, ItemId), &BankId)| {
            let differing =
                hash.iter().zip(query).map(|(one, other)| (one ^ other).count_ones()).sum::<u32>();
            (differing <= radius)
                .then_some(Hit { entry: Entry { item: *item, bank: *bank }, distance: Distance(differing) })
        };
        let mut hits: Vec<Hit> = rows.filter_map(hit).collect();
        hits.sort_unstable();
        hits
    }
}

fn found(
    snapshot: &dyn HashSnapshot,
    queries: &[Vec<u8>],
    radius: u32,
    filter: &BankFilter,
) -> Vec<Vec<Hit>> {
    let queries: Vec<&[u8]> = queries.iter().map(Vec::as_slice).collect();
    let mut answers = vec![Vec::new(); queries.len()];
    let mut take = |query: usize, hit: Hit| answers[query].push(hit);
    snapshot.each(&queries, Distance(radius), filter, &Cancellation::never(), &mut take).unwrap();
    answers.iter_mut().for_each(|hits| hits.sort_unstable());
    answers
}

fn check(snapshot: &dyn HashSnapshot, scan: &Scan) {
    let bytes = snapshot.shape().bytes();
    let queries: Vec<Vec<u8>> =
        (0..24).map(|number| hash_of(bytes, number)).chain([vec![0; bytes]]).collect();
    for filter in [BankFilter::all(), BankFilter::only([BankId(1)])] {
        for radius in [0, 1, 2, u32::MAX] {
            let reach = match snapshot.shape() {
                HashShape::Hamming { .. } => radius,
                HashShape::Equality { .. } | HashShape::Vector { .. } => 0,
            };
            let truth: Vec<_> = queries.iter().map(|query| scan.within(query, reach, &filter)).collect();
            assert!(found(snapshot, &queries, radius, &filter) == truth, "{snapshot:?} within {radius}");
        }
    }
}

fn edits_of(bytes: usize, steps: &[Step]) -> HashEdits {
    let mut edits = HashEdits::new(bytes);
    for step in steps {
        match *step {
            Step::Insert { hash, item, bank } => edits.insert(&hash_of(bytes, hash), entry(item, bank)),
            Step::Remove { hash, item } => edits.remove(&hash_of(bytes, hash), ItemId(item)),
        }
    }
    edits
}

/// Applies all operations to an index of this shape and to the scan, and compares them, and every snapshot on
/// the way.
fn check_deeds(shape: HashShape, folder: &Path, deeds: &[Deed]) {
    let (bytes, options) = (shape.bytes(), IndexOptions::default());
    let mut index = shape.begin(folder, options).unwrap();
    let mut scan = Scan::default();
    let mut taken = Vec::new();
    for (number, deed) in deeds.iter().enumerate() {
        match deed {
            Deed::Apply(steps) => {
                let edits = edits_of(bytes, steps);
                assert_eq!(index.apply(&edits), scan.apply(&edits));
            }
            Deed::Load(rows) => {
                let mut gathered = HashRows::new(bytes);
                rows.iter()
                    .for_each(|&(hash, item, bank)| gathered.push(&hash_of(bytes, hash), entry(item, bank)));
                scan.load(&gathered);
                index.load(gathered).unwrap();
            }
            Deed::RemoveBank(bank) => {
                assert_eq!(index.remove_bank(BankId(*bank)), scan.remove_bank(BankId(*bank)));
            }
            Deed::Merge => index.merge().unwrap(),
            Deed::Reopen(lost) => {
                let tag = number.to_le_bytes();
                index.save(&tag).unwrap();
                index.apply(&edits_of(bytes, lost));
                drop(index);
                index = shape.open_tagged(folder, options, &tag).unwrap();
                index.forget_before(&tag);
            }
        }
        assert_eq!((index.len(), index.is_empty()), (scan.0.len(), scan.0.is_empty()));
        taken.push((index.snapshot(), scan.clone()));
    }
    assert_eq!((index.shape(), index.fault(), index.recall(), index.is_exact()), (shape, None, None, true));
    taken.iter().for_each(|(snapshot, scan)| check(&**snapshot, scan));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn every_shape_agrees_with_the_scan_whatever_is_done(deeds in vec(deed(), 1..10)) {
        for shape in shapes() {
            let folder = tempfile::tempdir().unwrap();
            check_deeds(shape, &folder.path().join("index"), &deeds);
        }
    }
}

/// Enough hashes for tables and lists: most are random, some are near others.
#[test]
fn many_hashes_of_every_shape_are_found() {
    for shape in shapes() {
        let bytes = shape.bytes();
        let mut random = SmallRng::seed_from_u64(bytes as u64);
        let index = shape.in_memory(IndexOptions::default()).unwrap();
        let (mut scan, mut rows, mut edits) = (Scan::default(), HashRows::new(bytes), HashEdits::new(bytes));
        let mut hashes: Vec<Vec<u8>> = Vec::new();
        for item in 0..3_000 {
            let mut hash: Vec<u8> = (0..bytes).map(|_| random.random()).collect();
            if item % 3 == 0
                && let Some(other) = hashes.last()
            {
                hash.clone_from(other);
                hash[bytes - 1] ^= 1 << (item % 8);
            }
            hashes.push(hash.clone());
            if item < 2_000 { rows.push(&hash, entry(item, 1)) } else { edits.insert(&hash, entry(item, 0)) }
        }
        scan.load(&rows);
        index.load(rows).unwrap();
        assert_eq!(index.apply(&edits), scan.apply(&edits));
        let queries: Vec<Vec<u8>> = hashes.iter().step_by(37).cloned().collect();
        for filter in [BankFilter::all(), BankFilter::only([BankId(1)])] {
            let reach = if matches!(shape, HashShape::Hamming { .. }) { 31 } else { 0 };
            let truth: Vec<_> = queries.iter().map(|query| scan.within(query, reach, &filter)).collect();
            assert!(found(&*index.snapshot(), &queries, 31, &filter) == truth, "{shape:?}");
        }
    }
}

#[test]
fn a_length_that_no_index_holds_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = IndexOptions::default();
    let wrong = [0, 1, 3, 513].map(|bytes| HashShape::Equality { bytes });
    let wrong = wrong.into_iter().chain([0, 1, 4, 31, 33, 128].map(|bytes| HashShape::Hamming { bytes }));
    for shape in wrong {
        let refused = shape.in_memory(options).unwrap_err();
        assert!(refused.to_string().contains(&format!("not {}", shape.bytes())), "{refused}");
        assert!(matches!(shape.begin(folder.path(), options), Err(OpenError::Shape(_))));
        assert!(matches!(shape.open_tagged(folder.path(), options, b""), Err(OpenError::Shape(_))));
    }
}

#[test]
fn what_was_saved_in_one_shape_is_not_opened_in_another() {
    let options = IndexOptions::default();
    let saved = [20, 31, 32, 144].map(|bytes| HashShape::Equality { bytes });
    let saved: Vec<HashShape> = saved.into_iter().chain([HashShape::Hamming { bytes: 32 }]).collect();
    for shape in &saved {
        let folder = tempfile::tempdir().unwrap();
        let index = shape.begin(folder.path(), options).unwrap();
        let mut edits = HashEdits::new(shape.bytes());
        edits.insert(&vec![1; shape.bytes()], entry(1, 1));
        index.apply(&edits);
        index.save(b"tag").unwrap();
        drop(index);
        for other in &saved {
            let opened = other.open_tagged(folder.path(), options, b"tag");
            assert_eq!(opened.is_ok(), other == shape, "{shape:?} as {other:?}");
        }
    }
}

#[test]
fn a_cancelled_search_fails_in_every_shape() {
    let expired = Cancellation::at(std::time::Instant::now());
    for shape in shapes() {
        let snapshot = shape.in_memory(IndexOptions::default()).unwrap().snapshot();
        let query = vec![0; shape.bytes()];
        let mut take = |_: usize, _: Hit| panic!("nothing is there");
        let answer = snapshot.each(&[&query], Distance(31), &BankFilter::all(), &expired, &mut take);
        assert_eq!(answer, Err(Cancelled));
        assert!(snapshot.is_exact());
    }
}

#[test]
fn debug_shows_no_hash() {
    for shape in shapes() {
        let index = shape.in_memory(IndexOptions::default()).unwrap();
        let mut edits = HashEdits::new(shape.bytes());
        edits.insert(&vec![0xab; shape.bytes()], entry(1, 1));
        index.apply(&edits);
        let text = format!("{index:?} {:?}", index.snapshot()).to_lowercase();
        assert!(!text.contains("171") && !text.contains("ab,"), "{text}");
    }
}
