//! Tests of snapshots: saved, restored, interrupted and damaged.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use vigie_follow::Proof;
use vigie_index::Cancellation;
use vigie_model::change::Cursor;
use vigie_model::{ANSWER_BYTES_MAX, Bank, Change, FeedRange, ItemId, MemberId, Sequence, UnixMillis};

use super::{LOG, Replay, Step, identity, item_of, options, query, range};
use crate::saving::manifest::Manifest;
use crate::saving::plan::StorePlan;
use crate::saving::snapshot::{SaveError, save};
use crate::searching::search::search;
use crate::shard::indexes::IndexPlan;
use crate::shard::loading::Loading;
use crate::shard::state::Shard;

/// A log, and the state that results from it.
#[derive(Default)]
pub(super) struct Log {
    pub(super) replay: Replay,
    pub(super) changes: Vec<Change>,
    pub(super) members_on: bool,
}

impl Log {
    pub(super) fn take(&mut self, steps: impl IntoIterator<Item = Step>) {
        for step in steps {
            self.changes.extend(self.replay.take(step));
        }
    }

    /// Adds some changes of every kind.
    pub(super) fn take_some(&mut self, seed: u8) {
        self.take([Step::Create, Step::Create, Step::Rename(seed)]);
        self.take(
            (0..60_u8).map(|number| Step::Add(number, vec![number ^ seed, number.wrapping_mul(4) | 2])),
        );
        self.take((0..15).map(|number| Step::Remove(number * 5 + seed)));
        self.take((0..15).map(|number| Step::Hold(number * 3 + seed, number % 4 != 0)));
        self.take((0..30).map(|number| Step::Stand(number * 2 + seed, number)));
        self.take([Step::Enable(seed, false), Step::Delete(seed / 2)]);
    }

    /// Applies the missing part of the log to a shard. The shard must then equal the replay.
    pub(super) fn apply_to(&self, shard: &Shard) {
        let (after, through) = (shard.applied(), Sequence(self.replay.sequence));
        let changes = self.changes.iter().filter(|change| change.sequence > after).cloned().collect();
        let digest = Some(self.replay.digest());
        let range = FeedRange {
            through,
            head: through,
            digest,
            members_on: self.members_on,
            ..range(after.0, changes)
        };
        assert_eq!(shard.apply(range), Ok(Proof::Equal));
    }

    /// Brings a shard to the end of the log, and searches it.
    pub(super) fn bring_up(&self, shard: &Shard) {
        self.apply_to(shard);
        let queries: Vec<_> = (0..=255).map(|number| query(&[number])).collect();
        let answer =
            search(shard, &queries, &options(vec![], 6, 100), ANSWER_BYTES_MAX, &Cancellation::never())
                .unwrap();
        for (asked, result) in queries.iter().zip(answer.results) {
            let found: Vec<_> =
                result.matches.iter().map(|one| (one.item, one.distance, one.other_matches)).collect();
            assert_eq!(found, self.replay.search(asked, &[], 6));
            for one in &result.matches {
                assert_eq!(one.facts, self.replay.facts(Some(MemberId::HOST), one.item));
                assert_eq!(*one.labels, *self.replay.labels(one.item));
                assert_eq!(one.added_at, Some(UnixMillis(1_000 * one.item.0)));
            }
        }
        assert_eq!(shard.item_count(), self.replay.items.len() as u64);
    }
}

pub(super) fn plan(folder: &Path) -> StorePlan {
    StorePlan::new(IndexPlan::default(), Some(folder)).unwrap()
}

/// Loads a shard from the present state of the log.
pub(super) fn loaded(plan: &StorePlan, log: &Log) -> Shard {
    let bank = |(id, (name, enabled)): (&_, &(_, _))| Bank {
        id: *id,
        owner: vigie_model::MemberId::HOST,
        name: Clone::clone(name),
        enabled: *enabled,
        created_at: UnixMillis(0),
        item_count: 0,
        hash_count: 0,
        match_ratio: vigie_model::MatchRatio::ALWAYS,
    };
    let item = |(id, (bank, content)): (&_, &(_, _))| item_of(*id, *bank, Clone::clone(content));
    let sequence = Sequence(log.replay.sequence);
    let cursor = Cursor { log: LOG, sequence, chain: Some([3; 32]) };
    let banks = log.replay.banks.iter().map(bank).collect();
    let mut loading = Loading::begin(identity(), plan.begin().unwrap(), cursor, banks, log.members_on);
    let held: Vec<ItemId> = log.replay.held.iter().copied().collect();
    let standings = log.replay.standings.iter().map(|(item, standing)| (*item, Arc::clone(standing)));
    loading.take(log.replay.items.iter().map(item).collect(), &held, standings.collect()).unwrap();
    loading.finish(sequence).unwrap()
}

/// Returns the files below a folder, except locks.
pub(super) fn files_below(folder: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.file_name().unwrap() != "lock" {
            files.insert(path);
        }
    }
    files
}

/// Copies every file in its present state, as a crash would leave it.
pub(super) fn copy_of(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in files_below(folder) {
        let place = copy.path().join(file.strip_prefix(folder).unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(&file, place).unwrap();
    }
    copy
}

#[test]
fn a_shard_is_found_as_it_was_saved_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::default();
    log.take_some(1);
    let shard = loaded(&plan(folder.path()), &log);
    let (cursor, digest) = (shard.moment().cursor, shard.moment().digest);
    // The folder is free again, but the shard's files stay.
    drop(shard);
    assert!(plan(folder.path()).restore(identity()).unwrap().is_none(), "it was not saved");

    let mut plans = plan(folder.path());
    let mut shard = loaded(&plans, &log);
    for round in 0..6_u8 {
        let saved = plans.save(&shard).unwrap();
        assert_eq!(saved, shard.applied());
        let (then, moment) = (shard.item_count(), shard.moment());
        // Later changes are lost, and applied again after the restart.
        log.take_some(round * 3 + 2);
        log.bring_up(&shard);
        drop((shard, plans));
        plans = plan(folder.path());
        shard = plans.restore(identity()).unwrap().unwrap();
        assert_eq!((shard.applied(), shard.item_count()), (saved, then));
        assert_eq!((shard.moment().cursor, shard.moment().digest), (moment.cursor, moment.digest));
        assert_eq!(shard.hash_counts().iter().map(|one| one.hashes).sum::<u64>(), moment.digest.hashes);
        if round == 0 {
            assert_eq!((shard.moment().cursor, shard.moment().digest), (cursor, digest));
        }
        log.bring_up(&shard);
    }
}

#[test]
fn a_snapshot_is_the_files_that_its_manifest_names() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, plan) = (Log::default(), plan(folder.path()));
    log.take_some(1);
    let shard = loaded(&plan, &log);
    for round in 0..5 {
        plan.save(&shard).unwrap();
        let manifest = folder.path().join("manifest");
        let (read, _) = Manifest::read(&manifest).unwrap();
        let named = read.files.iter().map(|file| {
            let path = folder.path().join(&file.name);
            assert_eq!(fs::metadata(&path).unwrap().len(), file.bytes);
            path
        });
        assert_eq!(named.chain([manifest]).collect::<BTreeSet<_>>(), files_below(folder.path()));
        log.take_some(round);
        log.bring_up(&shard);
        shard.stores().indexes.merge().unwrap();
    }
}

#[test]
fn a_crash_at_any_step_leaves_one_snapshot_or_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, plans) = (Log::default(), plan(folder.path()));
    log.take_some(1);
    let shard = loaded(&plans, &log);
    let first = plans.save(&shard).unwrap();
    log.take_some(7);
    log.bring_up(&shard);
    shard.stores().indexes.merge().unwrap();
    shard.stores().records.flush().unwrap();
    let mut left = vec![("before", copy_of(folder.path()))];
    let mut stop = |step| {
        left.push((step, copy_of(folder.path())));
        Ok(())
    };
    let second = save(plans.snapshot_folder().unwrap(), &shard, &mut stop).unwrap();
    let steps: Vec<_> = left.iter().map(|(step, _)| *step).collect();
    assert_eq!(steps, ["before", "records", "pdq", "md5", "sha256", "manifest", "forgotten"]);
    log.take_some(4);
    for (step, folder) in left {
        let plans = plan(folder.path());
        let found = plans.restore(identity()).unwrap().unwrap();
        let expected = if matches!(step, "manifest" | "forgotten") { second } else { first };
        assert_eq!(found.applied(), expected, "{step}");
        log.bring_up(&found);
        // The shard can be saved again as if nothing had happened, and restored.
        let saved = plans.save(&found).unwrap();
        drop((found, plans));
        let found = plan(folder.path()).restore(identity()).unwrap().unwrap();
        assert_eq!(found.applied(), saved, "{step}");
        log.bring_up(&found);
    }
}

#[test]
fn a_snapshot_that_fails_leaves_the_one_before_and_can_be_tried_again() {
    for fails_at in ["records", "pdq", "md5", "sha256", "manifest"] {
        let folder = tempfile::tempdir().unwrap();
        let (mut log, plans) = (Log::default(), plan(folder.path()));
        log.take_some(1);
        let shard = loaded(&plans, &log);
        let first = plans.save(&shard).unwrap();
        let mut last = first;
        // The save fails twice, with merges in between. No file that the first snapshot needs may be deleted.
        for seed in [5, 9] {
            log.take_some(seed);
            log.bring_up(&shard);
            let mut fail = |step| if step == fails_at { Err(SaveError::NotKept) } else { Ok(()) };
            save(plans.snapshot_folder().unwrap(), &shard, &mut fail).unwrap_err();
            shard.stores().indexes.merge().unwrap();
            if fails_at == "manifest" {
                last = shard.applied();
            }
            let crashed = copy_of(folder.path());
            let found = plan(crashed.path()).restore(identity()).unwrap().unwrap();
            assert_eq!(found.applied(), last, "{fails_at}");
            log.bring_up(&found);
        }
        let saved = plans.save(&shard).unwrap();
        drop((shard, plans));
        let found = plan(folder.path()).restore(identity()).unwrap().unwrap();
        assert_eq!(found.applied(), saved);
        log.bring_up(&found);
    }
}

#[test]
fn any_file_that_is_not_as_it_was_saved_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, plans) = (Log::default(), plan(folder.path()));
    log.take_some(1);
    let shard = loaded(&plans, &log);
    plans.save(&shard).unwrap();
    log.take_some(7);
    log.bring_up(&shard);
    plans.save(&shard).unwrap();
    drop((shard, plans));
    let whole = copy_of(folder.path());
    let files = files_below(whole.path());
    assert!(files.len() >= 8, "{files:?}");
    let check = |file: &Path, what: &str, damage: &dyn Fn(&Path)| {
        let copy = copy_of(whole.path());
        let path = copy.path().join(file.strip_prefix(whole.path()).unwrap());
        damage(&path);
        let plans = plan(copy.path());
        let name = path.file_name().unwrap().to_str().unwrap();
        match plans.restore(identity()) {
            Err(error) => assert!(error.to_string().contains(name), "{what} {name}: {error}"),
            Ok(None) => assert!(name == "manifest" && what == "missing", "{what} {name}"),
            Ok(Some(_)) => panic!("{what} {name} was not noticed"),
        }
        if what != "missing" {
            return;
        }
        // A new start is possible.
        plans.discard_snapshot().unwrap();
        assert!(plans.restore(identity()).unwrap().is_none());
        let shard = loaded(&plans, &log);
        plans.save(&shard).unwrap();
        drop((shard, plans));
        log.bring_up(&plan(copy.path()).restore(identity()).unwrap().unwrap());
    };
    let change = |path: &Path, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    for file in &files {
        let bytes = usize::try_from(fs::metadata(file).unwrap().len()).unwrap();
        for (what, at) in [("first", 0), ("header", 40), ("middle", bytes / 2), ("last", bytes - 1)] {
            check(file, what, &|path| change(path, &|bytes| bytes[at] ^= 4));
        }
        check(file, "cut", &|path| change(path, &|bytes| bytes.truncate(bytes.len() / 2)));
        check(file, "shorter", &|path| change(path, &|bytes| bytes.truncate(bytes.len() - 1)));
        check(file, "longer", &|path| change(path, &|bytes| bytes.push(0)));
        check(file, "empty", &|path| change(path, &Vec::clear));
        check(file, "missing", &|path| fs::remove_file(path).unwrap());
    }
}

#[test]
fn a_file_of_another_snapshot_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, plans) = (Log::default(), plan(folder.path()));
    // Both calls are needed for hashes of every type and an index of each.
    log.take_some(1);
    log.take_some(2);
    let shard = Arc::new(loaded(&plans, &log));
    plans.save(&shard).unwrap();
    let old = copy_of(folder.path());
    let old_manifest = Manifest::read(&old.path().join("manifest")).unwrap().0;
    log.take_some(7);
    log.bring_up(&shard);
    plans.save(&shard).unwrap();
    drop((shard, plans));
    let new_manifest = Manifest::read(&folder.path().join("manifest")).unwrap().0;
    // A file that is intact but different gets the expected name.
    let part = |manifest: &Manifest, part: &str| {
        let file = manifest.files.iter().find(|file| file.name.contains(part)).unwrap();
        file.name.clone()
    };
    for kind in ["/records/", "/pdq/", "/md5/", "/sha256/"] {
        let (from, to) = (part(&old_manifest, kind), part(&new_manifest, kind));
        let copy = copy_of(folder.path());
        if fs::read(old.path().join(&from)).unwrap() == fs::read(copy.path().join(&to)).unwrap() {
            continue;
        }
        fs::copy(old.path().join(&from), copy.path().join(&to)).unwrap();
        let error = plan(copy.path()).restore(identity()).unwrap_err().to_string();
        assert!(error.contains(&to), "{error}");
    }
}

/// Measures the times of a snapshot: saving, which blocks changes for as long, opening, publishing, and
/// starting from a published one; and the time of loading without the bank and the network. Run `cargo test
/// --release -p vigie-matcher measure -- --ignored --nocapture`, with `VIGIE_ITEMS` for a number other than a
/// million.
#[tokio::test]
#[ignore = "measures"]
async fn measure() {
    let folder = tempfile::tempdir_in(".").unwrap();
    let plans = plan(folder.path());
    let timed = |what: &str, begun: std::time::Instant| println!("{what:>24}: {:?}", begun.elapsed());
    let mut state = 88_172_645_463_325_252_u64;
    let mut item = |id: u64| {
        let mut bytes = [0; 32];
        for byte in &mut bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state.to_le_bytes()[3];
        }
        let draft = vigie_model::ItemDraft {
            hashes: vec![
                vigie_model::Hash::pdq(bytes),
                vigie_model::Hash::md5(bytes[..16].try_into().unwrap()),
            ],
            labels: vec!["violent-extremism".to_owned()],
            external_reference: format!("case-{id}"),
        };
        let content = draft.try_into().unwrap();
        vigie_model::Item {
            id: vigie_model::ItemId(id),
            bank: vigie_model::BankId(1),
            added_at: UnixMillis(0),
            contributor: vigie_model::MemberId::HOST,
            content,
        }
    };
    let resident = || {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let lines = status.lines().filter(|line| line.starts_with("Rss"));
        lines.for_each(|line| println!("{:>24}  {line}", ""));
    };
    let items = std::env::var("VIGIE_ITEMS").map_or(1_000_000, |items| items.parse::<u64>().unwrap());
    let bank = Bank {
        id: vigie_model::BankId(1),
        owner: vigie_model::MemberId::HOST,
        name: "known".parse().unwrap(),
        enabled: true,
        created_at: UnixMillis(0),
        item_count: 0,
        hash_count: 0,
        match_ratio: vigie_model::MatchRatio::ALWAYS,
    };
    let cursor = Cursor { log: LOG, sequence: Sequence(items + 1), chain: None };
    let mut loading = Loading::begin(identity(), plans.begin().unwrap(), cursor, vec![bank], false);
    let mut loaded = std::time::Duration::ZERO;
    for first in (2..=items).step_by(1_000) {
        let page = (first..first + 1_000).map(&mut item).collect();
        let begun = std::time::Instant::now();
        loading.take(page, &[], vec![]).unwrap();
        loaded += begun.elapsed();
    }
    let begun = std::time::Instant::now();
    let shard = loading.finish(cursor.sequence).unwrap();
    println!("{:>24}: {:?}", format!("load {items} items"), loaded + begun.elapsed());
    resident();
    for (what, changes) in
        [("save them", 0), ("save 1,000 changes", 1_000), ("save 200,000 changes", 200_000)]
    {
        let after = shard.applied();
        let ids = after.0 + 1..=after.0 + changes;
        let kind = |item: vigie_model::Item| vigie_model::ChangeKind::ItemAdded(item);
        let changes: Vec<Change> =
            ids.map(|id| Change { sequence: Sequence(id), kind: kind(item(id)) }).collect();
        let begun = std::time::Instant::now();
        shard.apply(range(after.0, changes)).unwrap();
        timed("apply before", begun);
        let begun = std::time::Instant::now();
        plans.save(&shard).unwrap();
        timed(what, begun);
    }
    let store = tempfile::tempdir_in(".").unwrap();
    let objects = super::publication::objects_in(store.path());
    for what in ["publish", "publish again"] {
        let begun = std::time::Instant::now();
        super::publication::publish(&plans, store.path(), &mut Default::default(), |_| false).await.unwrap();
        timed(what, begun);
    }
    let bytes: u64 = files_below(store.path()).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    println!("{:>24}: {} MiB", "published", bytes >> 20);
    drop((shard, plans));
    let new = tempfile::tempdir_in(".").unwrap();
    let begun = std::time::Instant::now();
    let shard = super::publication::bootstrapped(&objects, &new).await.unwrap().unwrap();
    timed("begin with it", begun);
    println!("{:>24}: {} items, {}", "held", shard.item_count(), shard.moment().digest);
    drop(shard);
    let begun = std::time::Instant::now();
    let shard = plan(folder.path()).restore(identity()).unwrap().unwrap();
    timed("open", begun);
    println!("{:>24}: {} items, {}", "held", shard.item_count(), shard.moment().digest);
    resident();
}
