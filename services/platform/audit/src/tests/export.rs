//! A log of which an entry was changed, dropped, doubled or moved: found, and named.

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
            Ok(()) => None,
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

/// The fault of a log of a size whose entries were changed.
fn fault_of(size: usize, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Option<Fault> {
    let mut entries = ALL.entries[..size].to_vec();
    change(&mut entries);
    Exported::of(entries, LEAVES[..size].to_vec()).check(&HEADS[size])
}

/// A size, and a place in a log of that size.
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
        // Of a copy just before the entry, either is the copy.
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
        // Of two neighbours that changed places, the first is named.
        let (index, place) = if place + 1 == index { (place, index) } else { (index, place) };
        prop_assert_eq!(fault, Some(Fault::Moved { index: at(index), place: at(place) }));
    }

    /// Entries of which many are equal, and any other entries in their place.
    #[test]
    fn nothing_but_the_entries_passes(
        logged in prop::collection::vec(prop::collection::vec(0_u8..3, 0..2), 0..12),
        found in prop::collection::vec(prop::collection::vec(0_u8..3, 0..2), 0..12),
        first in 0_usize..4,
    ) {
        let log = Log::of(logged.clone());
        let first = first.min(logged.len()).min(found.len());
        let mut export = Exported::of(found.clone(), log.leaves());
        export.first = first;
        let fault = export.check(&log.head());
        prop_assert_eq!(fault.is_none(), logged[first..] == found[first..]);
        let differs = logged.iter().zip(&found).skip(first).position(|(one, other)| one != other);
        let differs = LeafIndex(differs.map_or(logged.len().min(found.len()), |at| at + first) as u64);
        if let Some(fault) = fault {
            // The first difference is one of the places that the fault is about.
            let named = match fault {
                Fault::Altered { index } | Fault::Several { first: index } => vec![index],
                Fault::Dropped { index, count } => {
                    prop_assert_eq!(small(count), logged.len() - found.len());
                    vec![index]
                }
                Fault::Added { place, count } => {
                    prop_assert_eq!(small(count), found.len() - logged.len());
                    vec![place]
                }
                Fault::Doubled { index, place } | Fault::Moved { index, place } => {
                    prop_assert_eq!(&logged[small(index.0)], &found[small(place.0)]);
                    vec![index, place]
                }
                Fault::Unnamed { .. } | Fault::Leaf { .. } => vec![],
            };
            prop_assert!(named.contains(&differs), "{:?} and {}", fault, differs);
        }
    }
}

#[test]
fn a_log_that_holds_is_read_once() {
    for size in 0..40 {
        let log = Log::of_size(size);
        let export = Exported::of(log.entries.clone(), log.leaves());
        assert_eq!(export.check(&log.head()), None);
        assert_eq!(export.reads.get(), 1);
        assert_eq!(log.head().root, rfc::mth(&log.entries));
        // The root says all, if nothing has to be named.
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
    // Hashes that were changed with the entries prove nothing either.
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
    export.leaves[3].0[0] ^= 1;
    assert!(matches!(export.check(&log.head()), Some(Fault::Unnamed { .. })));
}

#[test]
fn an_export_that_cannot_be_read_is_no_fault_of_the_log() {
    let log = Log::of_size(50);
    let mut export = Exported::of(log.entries.clone(), log.leaves());
    export.fails_at = Some(17);
    assert_eq!(check_export(&log.head(), &export), Err(ExportError::Read(17)));
    assert_eq!(Fault::Moved { index: at(3), place: at(9) }.to_string(), "entry 3 was moved to place 9");
}
