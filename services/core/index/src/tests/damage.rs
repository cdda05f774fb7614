//! Flips bits in memory and in files while an index is searched.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_model::{BankId, Distance, ItemId};

use crate::measuring::leave_memory_writable;
use crate::{
    AuditError, BankFilter, Cancellation, Entry, Fault, HashEdits, HashIndex, HashRows, HashShape,
    HashSnapshot, IndexOptions, SegmentError, Stored,
};

const SHAPES: [HashShape; 4] = [
    HashShape::Hamming { bytes: 32 },
    HashShape::Hamming { bytes: 8 },
    HashShape::Equality { bytes: 20 },
    HashShape::Equality { bytes: 144 },
];

/// Enough rows for tables.
const LOADED: u64 = 30_000;
/// Enough rows for lists, but not for a full tail.
const APPENDED: u64 = 2_000;

/// The time limit of a search. Searches that end take milliseconds.
const SEARCH_MAX: Duration = Duration::from_secs(5);

fn hash_of(shape: HashShape, item: u64) -> Vec<u8> {
    // Some items share a hash.
    let mut random = SmallRng::seed_from_u64(item - item % 7 / 6);
    (0..shape.bytes()).map(|_| random.random()).collect()
}

fn entry(item: u64) -> Entry {
    Entry { item: ItemId(item), bank: BankId(u32::from(item.is_multiple_of(5))) }
}

/// Loads rows into a segment, appends others, and removes some of both.
fn fill(index: &dyn HashIndex) {
    let shape = index.shape();
    let mut rows = HashRows::new(shape.bytes());
    (0..LOADED).for_each(|item| rows.push(&hash_of(shape, item), entry(item)));
    index.load(rows).unwrap();
    let mut edits = HashEdits::new(shape.bytes());
    (LOADED..LOADED + APPENDED).for_each(|item| edits.insert(&hash_of(shape, item), entry(item)));
    removed().for_each(|item| edits.remove(&hash_of(shape, item), ItemId(item)));
    index.apply(&edits);
}

fn removed() -> impl Iterator<Item = u64> {
    (0..LOADED + APPENDED).step_by(9)
}

fn living() -> impl Iterator<Item = u64> {
    (0..LOADED + APPENDED).filter(|item| !item.is_multiple_of(9))
}

/// Returns the rows that an audit reaches.
fn reached(snapshot: &dyn HashSnapshot) -> Result<BTreeSet<(Vec<u8>, Entry)>, AuditError> {
    let (mut found, mut twice) = (BTreeSet::new(), false);
    snapshot.audit(&mut |_| true, &mut |hash, entry| twice |= !found.insert((hash.to_vec(), entry)))?;
    if twice { Err(AuditError::Damaged("a row was reached twice")) } else { Ok(found) }
}

fn expected(shape: HashShape) -> BTreeSet<(Vec<u8>, Entry)> {
    living().map(|item| (shape.held(&hash_of(shape, item)).into_owned(), entry(item))).collect()
}

/// A flipped bit in this process's memory, flipped back on drop.
struct Flipped(File, u64, u8);

impl Flipped {
    fn new(address: usize, bit: u8) -> Self {
        let memory = File::options().read(true).write(true).open("/proc/self/mem").unwrap();
        let flipped = Self(memory, address as u64, 1 << bit);
        flipped.flip();
        flipped
    }

    fn flip(&self) {
        let mut byte = [0];
        self.0.read_exact_at(&mut byte, self.1).unwrap();
        self.0.write_all_at(&[byte[0] ^ self.2], self.1).unwrap();
    }
}

impl Drop for Flipped {
    fn drop(&mut self) {
        self.flip();
    }
}

fn place(random: &mut SmallRng, ranges: &[Range<usize>]) -> usize {
    let ranges: Vec<_> = ranges.iter().filter(|range| !range.is_empty()).collect();
    let range = ranges[random.random_range(0..ranges.len())].clone();
    random.random_range(range)
}

/// Searches for some live hashes. Returns whether each is found, or `None` if a search fails. Every search
/// must end.
fn searches(snapshot: &Arc<dyn HashSnapshot>, asked: &[u64]) -> Option<bool> {
    let shape = snapshot.shape();
    let hashes: Vec<Vec<u8>> = asked.iter().map(|&item| hash_of(shape, item)).collect();
    let queries: Vec<&[u8]> = hashes.iter().map(|hash| &**hash).collect();
    let searching = || {
        let mut all = true;
        for radius in [0, 31] {
            let (begun, mut found) = (Instant::now(), BTreeSet::new());
            let until = Cancellation::at(begun + 2 * SEARCH_MAX);
            let searched =
                snapshot.each(&queries, Distance(radius), &BankFilter::all(), &until, &mut |_, hit| {
                    found.insert(hit.entry.item.0);
                });
            assert!(begun.elapsed() < SEARCH_MAX, "a search goes on and on");
            searched.unwrap();
            all &= asked.iter().all(|item| found.contains(item));
        }
        all
    };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(searching)).ok()
}

/// Checks that the audit notices a flip, by its rows or by an error, or else that searches find the right
/// hashes.
fn check_flips(shape: HashShape, in_tail: bool, flips: usize) {
    leave_memory_writable();
    let index = shape.in_memory(IndexOptions::default()).unwrap();
    fill(&*index);
    let snapshot = index.snapshot();
    let whole = expected(shape);
    assert_eq!(reached(&*snapshot).as_ref(), Ok(&whole), "{shape:?}");
    let memory = if in_tail {
        snapshot.tail_memory()
    } else {
        snapshot.stored().iter().filter_map(|one| one.upgrade()).flat_map(|one| one.memory()).collect()
    };
    let (mut random, mut noticed) = (SmallRng::seed_from_u64(7), 0);
    let items: Vec<u64> = living().collect();
    for round in 0..flips {
        let (at, bit) = (place(&mut random, &memory), random.random_range(0..8));
        let _flipped = Flipped::new(at, bit);
        let asked: Vec<u64> = (0..20).map(|_| items[random.random_range(0..items.len())]).collect();
        let found = searches(&snapshot, &asked);
        let audited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| reached(&*snapshot))).ok();
        let is_noticed = audited.is_none_or(|audited| audited.as_ref() != Ok(&whole));
        noticed += usize::from(is_noticed);
        if !is_noticed {
            // The bit is in memory that nobody reads.
            assert_eq!(found, Some(true), "{shape:?}: flip {round} hides a row");
        }
    }
    assert!(noticed > 0, "{shape:?}: no flip was noticed");
    assert_eq!(reached(&*snapshot).as_ref(), Ok(&whole), "{shape:?}: every bit is back");
}

#[test]
fn an_audit_notices_a_bit_that_flips_in_a_segment() {
    for shape in SHAPES {
        check_flips(shape, false, 12);
    }
}

#[test]
fn an_audit_notices_a_bit_that_flips_in_a_tail() {
    for shape in SHAPES {
        check_flips(shape, true, 12);
    }
}

#[test]
#[ignore = "minutes"]
fn audits_notice_bits_that_flip_anywhere() {
    for shape in SHAPES {
        check_flips(shape, false, 2_000);
        check_flips(shape, true, 2_000);
    }
}

/// Returns the only segment of an index that was filled in a folder.
fn stored(index: &dyn HashIndex) -> Arc<dyn Stored> {
    let stored: Vec<_> = index.snapshot().stored().iter().filter_map(|one| one.upgrade()).collect();
    let [one] = stored.try_into().unwrap_or_else(|_| panic!("there is one segment"));
    one
}

fn verify(stored: &dyn Stored) -> Result<usize, Fault> {
    let mut read = 0;
    for block in 0..stored.block_count() {
        match stored.verify(block) {
            Ok(bytes) => read += bytes,
            Err(SegmentError::Refused { fault, .. }) => return Err(fault),
            Err(error) => panic!("{error}"),
        }
    }
    Ok(read)
}

#[test]
fn a_file_that_is_damaged_or_cut_changes_no_search_and_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let shape = HashShape::Hamming { bytes: 32 };
    let index = shape.begin(folder.path(), IndexOptions::default()).unwrap();
    fill(&*index);
    let (snapshot, segment) = (index.snapshot(), stored(&*index));
    let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let path = entries.into_iter().find(|path| path.extension().is_some_and(|one| one == "segment")).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(verify(&*segment), Ok(2 * bytes.len()), "memory and file");
    let whole = expected(shape);
    let mut random = SmallRng::seed_from_u64(3);
    let file = File::options().write(true).open(&path).unwrap();
    for _ in 0..20 {
        let at = random.random_range(0..bytes.len());
        file.write_all_at(&[bytes[at] ^ 0x10], at as u64).unwrap();
        let fault = verify(&*segment).unwrap_err();
        assert!(matches!(&fault, Fault::File { from, to, .. } if (*from..*to).contains(&at)), "{fault}");
        assert_eq!(reached(&*snapshot).as_ref(), Ok(&whole));
        file.write_all_at(&[bytes[at]], at as u64).unwrap();
    }
    assert!(verify(&*segment).is_ok());
    file.set_len(bytes.len() as u64 / 2).unwrap();
    assert!(matches!(verify(&*segment), Err(Fault::Truncated { .. })));
    assert_eq!(reached(&*snapshot).as_ref(), Ok(&whole));
    assert_eq!(searches(&snapshot, &[1, 2, LOADED + 1]), Some(true));
    // A file whose segment was merged away is not a fault.
    fs::remove_file(&path).unwrap();
    assert!(verify(&*segment).is_ok());
}

#[test]
fn a_bit_that_flips_in_memory_is_noticed_by_its_checksum() {
    leave_memory_writable();
    for folder in [None, Some(tempfile::tempdir().unwrap())] {
        let shape = HashShape::Equality { bytes: 16 };
        let options = IndexOptions::default();
        let index = match &folder {
            Some(folder) => shape.begin(folder.path(), options).unwrap(),
            None => shape.in_memory(options).unwrap(),
        };
        fill(&*index);
        let segment = stored(&*index);
        let mut random = SmallRng::seed_from_u64(5);
        for _ in 0..50 {
            let flipped = Flipped::new(place(&mut random, &segment.memory()), random.random_range(0..8));
            let fault = verify(&*segment).unwrap_err();
            assert!(matches!(fault, Fault::Memory { .. }), "{fault}");
            drop(flipped);
            assert!(verify(&*segment).is_ok());
        }
    }
}

#[test]
fn an_audit_ends_when_its_caller_says_so() {
    let index = SHAPES[0].in_memory(IndexOptions::default()).unwrap();
    fill(&*index);
    let mut seen = 0;
    let stopped = index.snapshot().audit(
        &mut |bytes| {
            seen += bytes;
            seen < 1 << 18
        },
        &mut |_, _| {},
    );
    assert_eq!(stopped, Err(AuditError::Stopped));
}
