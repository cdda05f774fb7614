//! Checks the events beneath the searches of an index: tails fill, segments merge, checkpoints are written
//! and opened again, files are damaged.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use vigie_model::{BankId, Distance, ItemId};

use crate::{
    BankFilter, Cancellation, Edit, Entry, EqualityIndex, Hit, IndexOptions, OpenError, RadiusIndex,
    SegmentError,
};

type Hash = [u8; 32];

fn entry(item: u64, bank: u32) -> Entry {
    Entry { item: ItemId(item), bank: BankId(bank) }
}

fn hash_of(item: u64) -> Hash {
    SmallRng::seed_from_u64(item).random()
}

fn inserts(items: std::ops::Range<u64>) -> Vec<Edit<32>> {
    items.map(|item| Edit::Insert(hash_of(item), entry(item, u32::from(item % 10 == 0)))).collect()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !is_so() {
        assert!(begun.elapsed().as_secs() < 60, "still waiting until {what}");
        std::thread::yield_now();
    }
}

/// Checks that every item of the range is found by its hash within a few bits, and that no other item is
/// found.
fn check_holds(index: &RadiusIndex<32>, items: impl Iterator<Item = u64>) {
    let items: Vec<u64> = items.collect();
    assert_eq!(index.len(), items.len());
    let queries: Vec<Hash> = items
        .iter()
        .map(|&item| {
            let mut hash = hash_of(item);
            hash[(item % 32) as usize] ^= 0b101;
            hash
        })
        .collect();
    for (items, queries) in items.chunks(100).zip(queries.chunks(100)) {
        let found = index.search(queries, Distance(31), &BankFilter::all(), &Cancellation::never()).unwrap();
        for (item, hits) in items.iter().zip(found) {
            let found: Vec<(ItemId, Distance)> =
                hits.iter().map(|hit| (hit.entry.item, hit.distance)).collect();
            assert_eq!(found, [(ItemId(*item), Distance(2))]);
        }
    }
}

#[test]
fn a_tail_that_nothing_is_added_to_becomes_a_segment_and_a_short_one_stays() {
    let index = RadiusIndex::new();
    index.apply(&inserts(0..200));
    wait_until("the tail is a segment", || index.footprint().tail_rows == 0);
    assert_eq!(index.footprint().segments.len(), 1);
    check_holds(&index, 0..200);
    index.apply(&inserts(200..300));
    let begun = std::time::Instant::now();
    wait_until("nothing was added for some time", || begun.elapsed().as_millis() > 2_500);
    assert_eq!(index.footprint().tail_rows, 100);
    check_holds(&index, 0..300);
}

#[test]
fn full_tails_become_few_segments_in_the_background() {
    let index = RadiusIndex::<32>::new();
    for edits in inserts(0..60_000).chunks(500) {
        assert_eq!(index.apply(edits), 500);
    }
    wait_until("merging is done", || {
        let footprint = index.footprint();
        footprint.tails == 1 && footprint.segments.len() <= 4
    });
    check_holds(&index, 0..60_000);
}

#[test]
fn dead_rows_are_dropped_once_they_are_a_quarter() {
    let index = RadiusIndex::<32>::new();
    index.load(inserts(0..20_000).iter().map(pair).collect()).unwrap();
    for item in 0..4_999 {
        assert!(index.remove(&hash_of(item), ItemId(item)));
    }
    assert_eq!(index.footprint().segments[0].dead, 4_999);
    assert!(index.remove(&hash_of(4_999), ItemId(4_999)));
    wait_until("the segment is rewritten", || index.footprint().segments[0].rows == 15_000);
    check_holds(&index, 5_000..20_000);
    assert_eq!(index.remove_bank(BankId(0)), 13_500);
    wait_until("the segment is rewritten", || index.footprint().segments[0].rows == 1_500);
    assert_eq!(index.remove_bank(BankId(1)), 1_500);
    wait_until("nothing is left", || index.footprint().segments.is_empty());
    assert!(index.is_empty());
}

fn pair(edit: &Edit<32>) -> (Hash, Entry) {
    match edit {
        Edit::Insert(hash, entry) => (*hash, *entry),
        Edit::Remove(..) => panic!("an insertion"),
    }
}

#[test]
fn loaded_pairs_replace_those_that_were_there() {
    let index = RadiusIndex::<32>::new();
    index.apply(&inserts(0..5_000));
    let again: Vec<_> = (4_000..9_000).map(|item| (hash_of(item), entry(item, 7))).collect();
    index.load([again.clone(), again[..100].to_vec()].concat()).unwrap();
    check_holds(&index, 0..9_000);
    assert_eq!(index.remove_bank(BankId(7)), 5_000);
    check_holds(&index, 0..4_000);
}

#[test]
fn hashes_that_come_and_go_leave_no_memory_behind() {
    let index = RadiusIndex::<32>::new();
    let kept = inserts(0..1_000);
    index.apply(&kept);
    for round in 0..300 {
        let passing = inserts(10_000 + round * 500..10_500 + round * 500);
        index.apply(&passing);
        let gone: Vec<_> = passing.iter().map(|edit| Edit::Remove(pair(edit).0, pair(edit).1.item)).collect();
        assert_eq!(index.apply(&gone), 500);
    }
    wait_until("dead rows are dropped", || {
        let footprint = index.footprint();
        footprint.tail_rows + footprint.segments.iter().map(|one| one.rows).sum::<usize>() < 6_000
    });
    check_holds(&index, 0..1_000);
}

/// Returns the index's answers to a set of queries.
fn answers(radius: &RadiusIndex<32>) -> Vec<Vec<Hit>> {
    let queries: Vec<Hash> = (0..400).map(|at| hash_of(at * 97)).collect();
    radius.search(&queries, Distance(100), &BankFilter::only([BankId(0)]), &Cancellation::never()).unwrap()
}

#[test]
fn a_saved_index_is_found_as_it_was_saved() {
    let folder = tempfile::tempdir().unwrap();
    let options = IndexOptions::default();
    let (radius_at, equality_at) = (folder.path().join("radius"), folder.path().join("equality"));
    let mut expected = (None, Vec::new(), Vec::new());
    for round in 0..4_u64 {
        let (radius, tag) = RadiusIndex::<32>::open(&radius_at, options).unwrap();
        let (equality, _) = EqualityIndex::<32>::open(&equality_at, options).unwrap();
        assert_eq!(tag, expected.0, "round {round}");
        let queries: Vec<Hash> = (0..30_000).map(hash_of).collect();
        if round > 0 {
            assert!(answers(&radius) == expected.1, "round {round}");
            assert!(equality.lookup(&queries, &BankFilter::all()) == expected.2, "round {round}");
        }
        for edits in
            [inserts(round * 7_000..(round + 1) * 7_000), removals(round * 5_000..round * 5_000 + 900)]
        {
            assert_eq!(radius.apply(&edits), equality.apply(&edits));
        }
        let tag = round.to_le_bytes();
        radius.save(&tag).unwrap();
        equality.save(&tag).unwrap();
        expected = (Some(tag.to_vec()), answers(&radius), equality.lookup(&queries, &BankFilter::all()));
        // Changes after the last checkpoint are not found again, even if they were merged.
        radius.apply(&inserts(50_000..60_000));
        radius.merge().unwrap();
        radius.remove_bank(BankId(0));
    }
}

fn removals(items: std::ops::Range<u64>) -> Vec<Edit<32>> {
    items.map(|item| Edit::Remove(hash_of(item), ItemId(item))).collect()
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn a_crash_at_any_time_leaves_one_checkpoint_or_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let options = IndexOptions::default();
    let index = RadiusIndex::<32>::begin(folder.path(), options).unwrap();
    index.apply(&inserts(0..3_000));
    index.save(b"one").unwrap();
    let (before, first) = (files(folder.path()), answers(&index));
    index.apply(&inserts(3_000..9_000));
    index.remove_bank(BankId(1));
    index.merge().unwrap();
    index.save(b"two").unwrap();
    let second = answers(&index);
    let both = files(folder.path());
    index.forget_before(b"two");
    let after = files(folder.path());
    drop(index);
    // New files appear one by one, with the manifest last; then old ones are deleted.
    let fresh = both.keys().filter(|path| !before.contains_key(*path));
    let mut steps = vec![before.clone()];
    for path in fresh {
        let mut next = steps.last().unwrap().clone();
        next.insert(path.with_extension("tmp"), both[path][..both[path].len() / 2].to_vec());
        steps.push(next.clone());
        next.remove(&path.with_extension("tmp"));
        next.insert(path.clone(), both[path].clone());
        steps.push(next);
    }
    steps.push(after);
    for step in steps {
        for path in files(folder.path()).keys() {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes) in &step {
            fs::write(path, bytes).unwrap();
        }
        let (index, tag) = RadiusIndex::<32>::open(folder.path(), options).unwrap();
        let expected = match tag.as_deref() {
            Some(b"one") => &first,
            Some(b"two") => &second,
            other => panic!("{other:?}"),
        };
        assert!(answers(&index) == *expected);
        let left = files(folder.path()).into_keys().filter(|path| path.extension().is_some());
        let kept = left.count();
        assert!(kept <= 2, "{kept} files are left of {}", step.len());
    }
}

#[test]
fn removed_hashes_are_in_no_file_once_dead_rows_are_cleared_however_few_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let options = IndexOptions { segment_rows_max: 6_000, ..IndexOptions::default() };
    let index = RadiusIndex::<32>::begin(folder.path(), options).unwrap();
    index.load(inserts(0..16_000).iter().map(pair).collect()).unwrap();
    index.save(b"one").unwrap();
    // The segments are too large for a merge, and too few of their rows are dead.
    index.apply(&removals(100..120));
    let mut removed: Vec<Hash> = (100..120).map(hash_of).collect();
    crate::measuring::permute(&mut removed);
    let removed: HashSet<Hash> = removed.into_iter().collect();
    let found = || {
        let mut found = BTreeSet::new();
        for file in files(folder.path()).into_values() {
            found.extend(
                file.windows(32)
                    .filter(|row| removed.contains(<&Hash>::try_from(*row).unwrap()))
                    .map(<[u8]>::to_vec),
            );
        }
        found.len()
    };
    index.clear_dead(&|| true).unwrap();
    assert_eq!(index.footprint().segments.iter().map(|one| one.dead).sum::<usize>(), 20);
    index.clear_dead(&|| false).unwrap();
    assert_eq!(index.footprint().segments.iter().map(|one| one.dead).sum::<usize>(), 0);
    assert_eq!(found(), 20, "a checkpoint still names the files before");
    index.save(b"two").unwrap();
    index.forget_before(b"two");
    assert_eq!(found(), 0);
    check_holds(&index, (0..100).chain(120..16_000));
}

#[test]
fn a_checkpoint_is_found_by_its_tag_until_it_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let options = IndexOptions::default();
    let index = RadiusIndex::<32>::begin(folder.path(), options).unwrap();
    let mut expected = Vec::new();
    for round in 0..4_u8 {
        index.apply(&inserts(u64::from(round) * 2_000..u64::from(round + 1) * 2_000));
        index.merge().unwrap();
        let saved = index.save(&[round]).unwrap();
        for file in saved {
            assert_eq!(fs::metadata(folder.path().join(&file.name)).unwrap().len(), file.bytes);
        }
        expected.push(answers(&index));
    }
    drop(index);
    let saved = files(folder.path());
    let restore = || {
        files(folder.path()).keys().for_each(|path| fs::remove_file(path).unwrap());
        saved.iter().for_each(|(path, bytes)| fs::write(path, bytes).unwrap());
    };
    for round in 0..4_u8 {
        restore();
        let index = RadiusIndex::<32>::open_tagged(folder.path(), options, &[round]).unwrap();
        assert!(answers(&index) == expected[usize::from(round)]);
        // Edits and checkpoints go on from there.
        index.apply(&inserts(50_000..50_010));
        index.save(b"next").unwrap();
        let then = answers(&index);
        index.forget_before(b"next");
        drop(index);
        let error = RadiusIndex::<32>::open_tagged(folder.path(), options, &[round]).unwrap_err();
        assert!(matches!(error, OpenError::NoSuchTag { .. }), "{error}");
        let (index, tag) = RadiusIndex::<32>::open(folder.path(), options).unwrap();
        assert!(tag.as_deref() == Some(b"next") && answers(&index) == then);
    }
    // Damage to another checkpoint does not matter; damage to the requested one does.
    let manifest = |number: usize| {
        let name = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("manifest");
        saved.keys().filter(name).nth(number).unwrap()
    };
    for damaged in 0..4 {
        restore();
        fs::write(manifest(damaged), b"").unwrap();
        let opened = RadiusIndex::<32>::open_tagged(folder.path(), options, &[2]);
        match damaged {
            2 => assert!(opened.unwrap_err().to_string().contains(manifest(2).to_str().unwrap())),
            _ => assert!(answers(&opened.unwrap()) == expected[2]),
        }
    }
}

#[test]
fn a_damaged_or_missing_file_is_named_and_a_new_start_is_possible() {
    let folder = tempfile::tempdir().unwrap();
    let options = IndexOptions::default();
    let index = RadiusIndex::<32>::begin(folder.path(), options).unwrap();
    index.apply(&inserts(0..3_000));
    index.save(b"").unwrap();
    drop(index);
    let saved = files(folder.path());
    let named = saved.keys().filter(|path| path.file_name().unwrap() != "lock");
    for path in named {
        for damage in 0..3 {
            let mut bytes = saved[path].clone();
            let middle = bytes.len() / 2;
            match damage {
                0 => bytes[middle] ^= 1,
                1 => bytes.truncate(middle),
                _ => bytes.clear(),
            }
            fs::write(path, bytes).unwrap();
            let error = RadiusIndex::<32>::open(folder.path(), options).unwrap_err();
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(error.to_string().contains(name), "{error} does not name {name}");
            assert!(matches!(error, OpenError::Segment(SegmentError::Refused { .. })), "{error}");
        }
        fs::write(path, &saved[path]).unwrap();
    }
    let segment = saved.keys().find(|path| path.extension().is_some()).unwrap();
    fs::remove_file(segment).unwrap();
    let error = RadiusIndex::<32>::open(folder.path(), options).unwrap_err();
    assert!(error.to_string().contains(segment.to_str().unwrap()), "{error}");
    let index = RadiusIndex::<32>::begin(folder.path(), options).unwrap();
    assert!(index.is_empty());
    drop(index);
    let (index, tag) = RadiusIndex::<32>::open(folder.path(), options).unwrap();
    assert!(index.is_empty() && tag.is_none());
}

#[test]
fn a_disk_that_takes_no_files_is_reported_loses_nothing_and_is_forgotten_when_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let index = RadiusIndex::<32>::begin(folder.path(), IndexOptions::default()).unwrap();
    fs::remove_dir_all(folder.path()).unwrap();
    // More rows than a tail holds.
    index.apply(&inserts(0..6_000));
    let wait_for = |is_reported: bool| {
        for _ in 0..3_000 {
            if index.footprint().fault.is_some() == is_reported {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the fault: {:?}", index.footprint().fault);
    };
    wait_for(true);
    assert_eq!(index.len(), 6_000);
    fs::create_dir(folder.path()).unwrap();
    wait_for(false);
    let found = index.search(&[hash_of(17)], Distance(0), &BankFilter::all(), &Cancellation::never());
    assert_eq!((index.len(), found.unwrap()[0].len()), (6_000, 1));
}

#[test]
fn an_index_of_another_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = IndexOptions::default();
    let index = RadiusIndex::<32>::begin(folder.path(), options).unwrap();
    index.apply(&inserts(0..100));
    index.save(b"").unwrap();
    drop(index);
    let lengths = RadiusIndex::<16>::open(folder.path(), options).unwrap_err().to_string();
    assert!(lengths.contains("another length"), "{lengths}");
    let kinds = EqualityIndex::<32>::open(folder.path(), options).unwrap_err().to_string();
    assert!(kinds.contains("permuted"), "{kinds}");
}

#[test]
fn a_folder_is_used_by_one_index_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let options = IndexOptions::default();
    let index = RadiusIndex::<32>::begin(folder.path(), options).unwrap();
    let error = RadiusIndex::<32>::open(folder.path(), options).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(index);
    RadiusIndex::<32>::open(folder.path(), options).unwrap();
}

#[test]
fn segments_hold_no_more_rows_than_they_may() {
    let options = IndexOptions { segment_rows_max: 10_000, ..IndexOptions::default() };
    let index = RadiusIndex::<32>::with_options(options);
    index.load(inserts(0..25_000).iter().map(pair).collect()).unwrap();
    index.apply(&inserts(25_000..40_000));
    index.merge().unwrap();
    let footprint = index.footprint();
    assert!(footprint.segments.iter().all(|segment| segment.rows <= 10_000), "{footprint:?}");
    check_holds(&index, 0..40_000);
}

#[test]
fn a_merge_that_fails_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("index");
    let index = RadiusIndex::<32>::begin(&place, IndexOptions::default()).unwrap();
    index.apply(&inserts(0..100));
    // The folder is moved away, so nothing can be written.
    let elsewhere = folder.path().join("gone");
    fs::rename(&place, &elsewhere).unwrap();
    index.apply(&inserts(100..6_000));
    wait_until("the fault is reported", || index.footprint().fault.is_some());
    assert!(index.merge().is_err());
    check_holds(&index, 0..6_000);
    fs::rename(&elsewhere, &place).unwrap();
    wait_until("it is tried again", || index.footprint().tails == 1);
    check_holds(&index, 0..6_000);
}
