//! A log of which an entry was changed, dropped, doubled or moved: the fault is found, and the entry
//! identified.

use std::cell::Cell;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::{Log, rfc, small};
use crate::export::*;
use crate::tree::*;

/// An export in memory. Reading it may fail at a place.
struct Exported {
    first: usize,
    entries: Vec<Vec<u8>>,
    leaves: Vec<NodeHash>,
    fails_at: Option<usize>,
    reads: Cell<usize>,
}

impl Exported {
    fn of(entries: Vec<Vec<u8>>, leaves: Vec<NodeHash>) -> Self {
        Self { first: 0, entries, leaves, fails_at: None, reads: Cell::new(0) }
    }

    fn check(&self, tree: &TreeHead) -> Option<Fault> {
        match check_export(tree, self) {
            Ok(checked) => {
                let removed = self.first.min(small(tree.size.get())) as u64;
                assert_eq!(checked, Checked { entries: tree.size.get() - removed, removed });
                None
            }
            Err(ExportError::Fault(fault)) => Some(fault),
            Err(error) => panic!("{error}"),
        }
    }
}

impl Export for Exported {
    type Error = usize;
    type Entry = Vec<u8>;

    fn first(&self) -> LeafIndex {
        LeafIndex(self.first as u64)
    }

    fn entries(&self) -> impl Iterator<Item = Result<Vec<u8>, usize>> {
        self.reads.set(self.reads.get() + 1);
        let entry = |(place, entry): (usize, &Vec<u8>)| {
            if self.fails_at == Some(place) { Err(place) } else { Ok(entry.clone()) }
        };
        self.entries[self.first.min(self.entries.len())..].iter().enumerate().map(entry)
    }

    fn leaves(&self) -> impl Iterator<Item = Result<NodeHash, usize>> {
        self.leaves.iter().copied().map(Ok)
    }
}

const fn at(index: usize) -> LeafIndex {
    LeafIndex(index as u64)
}

const SIZE_MAX: usize = 300;
static ALL: LazyLock<Log> = LazyLock::new(|| Log::of_size(SIZE_MAX));
static LEAVES: LazyLock<Vec<NodeHash>> = LazyLock::new(|| ALL.leaves());
static HEADS: LazyLock<Vec<TreeHead>> = LazyLock::new(|| {
    let mut log = ALL.clone();
    (0..=SIZE_MAX).map(|size| log.head_at(size)).collect()
});

/// Returns the fault of a log of a size whose entries were changed.
fn fault_of(size: usize, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Option<Fault> {
    let mut entries = ALL.entries[..size].to_vec();
    change(&mut entries);
    Exported::of(entries, LEAVES[..size].to_vec()).check(&HEADS[size])
}

/// Returns a size, and a place in a log of that size.
fn place() -> impl Strategy<Value = (usize, usize)> {
    (1..=SIZE_MAX).prop_flat_map(|size| (Just(size), 0..size))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_thousand_flipped_bits_are_found_and_named((size, index) in place(), bit in any::<prop::sample::Index>()) {
        let fault = fault_of(size, |entries| {
            let bit = bit.index(entries[index].len() * 8);
            entries[index][bit / 8] ^= 1 << (bit % 8);
        });
        prop_assert_eq!(fault, Some(Fault::Altered { index: at(index) }));
    }

    #[test]
    fn a_thousand_dropped_entries_are_found_and_named((size, index) in place()) {
        let fault = fault_of(size, |entries| drop(entries.remove(index)));
        prop_assert_eq!(fault, Some(Fault::Dropped { index: at(index), count: 1 }));
    }

    #[test]
    fn a_thousand_doubled_entries_are_found_and_named((size, index) in place(), to in any::<prop::sample::Index>()) {
        let place = to.index(size + 1);
        let fault = fault_of(size, |entries| entries.insert(place, entries[index].clone()));
        // If the copy is just before the entry, either may count as the copy.
        let place = if place == index { place + 1 } else { place };
        prop_assert_eq!(fault, Some(Fault::Doubled { index: at(index), place: at(place) }));
    }

    #[test]
    fn a_thousand_moved_entries_are_found_and_named(
        (size, index) in place().prop_filter("one entry cannot move", |(size, _)| *size > 1),
        by in any::<prop::sample::Index>(),
    ) {
        let place = (index + 1 + by.index(size - 1)) % size;
        let fault = fault_of(size, |entries| {
            let entry = entries.remove(index);
            entries.insert(place, entry);
        });
        // If two neighbours changed places, the first is reported.
        let (index, place) = if place + 1 == index { (place, index) } else { (index, place) };
        prop_assert_eq!(fault, Some(Fault::Moved { index: at(index), place: at(place) }));
    }

    /// Entries of which many are equal, with up to three changes: a single reported fault explains all
    /// differences, and several faults are reported only if no single one would.
    #[test]
    fn a_named_fault_is_all_that_is_wrong(
        logged in prop::collection::vec(prop::collection::vec(0_u8..3, 0..2), 1..12),
        changes in prop::collection::vec((0_u8..4, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..4),
        first in 0_usize..3,
    ) {
        let first = first.min(logged.len());
        let mut found = logged[first..].to_vec();
        for (kind, one, other) in changes {
            let (from, to) = (one.index(found.len().max(1)), other.index(found.len() + 1));
            match kind {
                _ if found.is_empty() => {}
                0 => found[from] = vec![9],
                1 => drop(found.remove(from)),
                2 => found.insert(to, logged[other.index(logged.len())].clone()),
                _ => {
                    let entry = found.remove(from);
                    found.insert(to.min(found.len()), entry);
                }
            }
        }
        found.splice(0..0, logged[..first].iter().cloned());
        let log = Log::of(logged.clone());
        let mut export = Exported::of(found.clone(), log.leaves());
        export.first = first;
        match export.check(&log.head()) {
            None => prop_assert_eq!(logged, found),
            Some(Fault::Several { first }) => {
                let differs = logged.iter().zip(&found).position(|(one, other)| one != other);
                prop_assert_eq!(small(first.0), differs.unwrap_or(logged.len().min(found.len())));
                let single = single_faults(logged.len(), found.len()).find(|fault| explains(*fault, &logged, &found));
                prop_assert_eq!(single, None);
            }
            Some(fault) => prop_assert!(explains(fault, &logged, &found), "{:?}", fault),
        }
    }
}

/// Returns whether these entries are a log with this fault and no other.
fn explains(fault: Fault, logged: &[Vec<u8>], found: &[Vec<u8>]) -> bool {
    let mut mended = found.to_vec();
    let at = |index: LeafIndex| small(index.0);
    match fault {
        Fault::Altered { index } => mended[at(index)] = logged[at(index)].clone(),
        Fault::Dropped { index, count } => {
            let dropped = logged[at(index)..].iter().take(small(count)).cloned();
            mended.splice(at(index)..at(index), dropped);
        }
        Fault::Added { place, count } => drop(mended.drain(at(place)..at(place) + small(count))),
        Fault::Doubled { index, place } => {
            if mended.remove(at(place)) != logged[at(index)] {
                return false;
            }
        }
        Fault::Moved { index, place } => {
            let entry = mended.remove(at(place));
            mended.insert(at(index), entry);
        }
        Fault::Several { .. } | Fault::Unnamed { .. } | Fault::Leaf { .. } => return false,
    }
    mended == logged && found != logged
}

/// Iterates over the faults of a single kind that a log of `logged` entries can have if `found` entries are
/// found.
fn single_faults(logged: usize, found: usize) -> impl Iterator<Item = Fault> {
    let (missing, extra) = (logged.saturating_sub(found), found.saturating_sub(logged));
    let of_place = move |place| -> Vec<Fault> {
        if missing > 0 {
            return vec![Fault::Dropped { index: at(place), count: missing as u64 }];
        }
        if extra > 0 {
            let added = Fault::Added { place: at(place), count: extra as u64 };
            return if place + extra <= found { vec![added] } else { vec![] };
        }
        let moved = (0..logged).map(|index| Fault::Moved { index: at(index), place: at(place) });
        moved.chain([Fault::Altered { index: at(place) }]).filter(|_| place < found).collect()
    };
    (0..=found).flat_map(of_place)
}

#[test]
fn a_log_that_holds_is_read_once() {
    for size in 0..40 {
        let log = Log::of_size(size);
        let export = Exported::of(log.entries.clone(), log.leaves());
        assert_eq!(export.check(&log.head()), None);
        assert_eq!(export.reads.get(), 1);
        assert_eq!(log.head().root, rfc::mth(&log.entries));
        // The root is enough, if no entry has to be identified.
        assert_eq!(Exported::of(log.entries.clone(), vec![]).check(&log.head()), None);
    }
}

#[test]
fn faults_of_more_than_one_entry_are_named_by_the_first() {
    let log = Log::of_size(50);
    let check = |entries: Vec<Vec<u8>>| Exported::of(entries, log.leaves()).check(&log.head());
    let mut entries = log.entries.clone();
    entries.drain(10..13);
    assert_eq!(check(entries), Some(Fault::Dropped { index: at(10), count: 3 }));
    assert_eq!(check(log.entries[..40].to_vec()), Some(Fault::Dropped { index: at(40), count: 10 }));
    assert_eq!(check(vec![]), Some(Fault::Dropped { index: at(0), count: 50 }));
    let mut entries = log.entries.clone();
    entries.insert(7, b"forged".to_vec());
    assert_eq!(check(entries.clone()), Some(Fault::Added { place: at(7), count: 1 }));
    entries.insert(7, b"forged too".to_vec());
    assert_eq!(check(entries.clone()), Some(Fault::Added { place: at(7), count: 2 }));
    entries.push(b"and this".to_vec());
    assert_eq!(check(entries), Some(Fault::Several { first: at(7) }));
    let mut entries = log.entries.clone();
    entries.swap(3, 30);
    assert_eq!(check(entries), Some(Fault::Several { first: at(3) }));
}

#[test]
fn without_hashes_of_leaves_a_fault_is_found_and_not_named() {
    let log = Log::of_size(50);
    let mut entries = log.entries.clone();
    entries[20][0] ^= 1;
    let other: Vec<NodeHash> = entries.iter().map(|entry| NodeHash::of_entry(entry)).collect();
    // Hashes that were changed together with the entries prove nothing either.
    for leaves in [vec![], other.clone(), log.leaves()[1..].to_vec()] {
        let count = leaves.len() as u64;
        let fault = Exported::of(entries.clone(), leaves).check(&log.head()).unwrap();
        assert_eq!(fault, Fault::Unnamed { entries: 50, leaves: count, size: log.size() });
    }
    let fault = Exported::of(log.entries.clone(), other).check(&log.head());
    assert_eq!(fault, Some(Fault::Leaf { index: at(20) }));
    let fault = Exported::of(log.entries.clone(), log.leaves()[..30].to_vec()).check(&log.head());
    assert_eq!(fault, Some(Fault::Leaf { index: at(30) }));
}

#[test]
fn entries_removed_because_of_their_age_are_proven_by_their_hashes() {
    let log = Log::of_size(50);
    let mut export = Exported::of(log.entries.clone(), log.leaves());
    export.first = 20;
    assert_eq!(export.check(&log.head()), None);
    export.entries[33].push(0);
    assert_eq!(export.check(&log.head()), Some(Fault::Altered { index: at(33) }));
    export.entries.remove(33);
    assert_eq!(export.check(&log.head()), Some(Fault::Dropped { index: at(33), count: 1 }));
    export.entries.insert(33, log.entries[20].clone());
    export.entries.insert(34, log.entries[33].clone());
    assert_eq!(export.check(&log.head()), Some(Fault::Doubled { index: at(20), place: at(33) }));
    // Entries that are claimed to be removed cannot hide others.
    let mut beyond = Exported::of(vec![b"forged".to_vec(); 70], log.leaves());
    beyond.first = 60;
    assert_eq!(beyond.check(&log.head()), Some(Fault::Added { place: at(50), count: 10 }));
    beyond.entries.clear();
    assert_eq!(beyond.check(&log.head()), None);
    export.leaves[3].0[0] ^= 1;
    assert!(matches!(export.check(&log.head()), Some(Fault::Unnamed { .. })));
}

#[test]
fn an_export_that_cannot_be_read_is_no_fault_of_the_log() {
    let log = Log::of_size(50);
    let mut export = Exported::of(log.entries.clone(), log.leaves());
    export.fails_at = Some(17);
    assert_eq!(check_export(&log.head(), &export), Err(ExportError::Read(17)));
}

#[test]
fn faults_are_sentences() {
    let says = |fault: Fault, sentence: &str| assert_eq!(fault.to_string(), sentence);
    says(Fault::Altered { index: at(3) }, "entry 3 is not what was logged");
    says(Fault::Dropped { index: at(3), count: 1 }, "entry 3 is missing");
    says(Fault::Dropped { index: at(3), count: 2 }, "2 entries are missing, from entry 3 on");
    says(Fault::Doubled { index: at(3), place: at(9) }, "entry 3 is there twice: again at place 9");
    says(Fault::Moved { index: at(3), place: at(9) }, "entry 3 was moved to place 9");
    says(Fault::Added { place: at(9), count: 1 }, "the entry at place 9 was never logged");
    says(Fault::Added { place: at(9), count: 2 }, "2 entries were never logged, from place 9 on");
}
