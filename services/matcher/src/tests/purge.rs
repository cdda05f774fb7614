//! Tests that the hashes of removed items are in no file after a purge.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use vigie_follow::Proof;
use vigie_index::measuring::permute;
use vigie_model::{
    BankId, Change, ChangeKind, Hash, Item, ItemContent, ItemDraft, ItemId, MemberId, Sequence, UnixMillis,
};

use super::fake_bank::FakeBank;
use super::follow::{Follower, plan as follower_plan, whole};
use super::publication::publishing;
use super::snapshot::{files_below, plan};
use super::{Step, identity, name, range};
use crate::following::replica::Replica;
use crate::metrics::MatcherMetrics;
use crate::saving::plan::StorePlan;
use crate::shard::indexes::IndexPlan;
use crate::shard::pdq::PdqEngine;
use crate::shard::state::Shard;

/// Returns the bytes of a number, which occur in no other file.
fn bytes<const LENGTH: usize>(number: u64) -> [u8; LENGTH] {
    let mut bytes = *b"\xd1hashes\xe7that\xc3are\xb5purged some day";
    bytes[8..16].copy_from_slice(&number.to_be_bytes());
    bytes[..LENGTH].try_into().unwrap()
}

/// Returns an item with three hashes.
fn content(number: u64) -> ItemContent {
    let hashes =
        vec![Hash::pdq(bytes(number)), Hash::md5(bytes(number)), Hash::sha256(bytes(number ^ 0xffff))];
    ItemDraft { hashes, ..ItemDraft::default() }.try_into().unwrap()
}

/// Returns the byte sequences to search for: the hashes as they are, and the one that an index stores with
/// another order of bits.
fn needles(number: u64) -> [Vec<u8>; 4] {
    let mut permuted = [bytes::<32>(number)];
    permute(&mut permuted);
    [
        bytes::<32>(number).into(),
        permuted[0].into(),
        bytes::<16>(number).into(),
        bytes::<32>(number ^ 0xffff).into(),
    ]
}

/// Returns the content of all files below a folder.
fn read_below(folder: &Path) -> Vec<u8> {
    files_below(folder).into_iter().flat_map(|file| fs::read(file).unwrap_or_default()).collect()
}

fn holds(files: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(files, needle).is_some()
}

/// Returns how many of the byte sequences of a number are in the files.
fn found(files: &[u8], number: u64) -> usize {
    needles(number).iter().filter(|needle| holds(files, needle)).count()
}

/// A shard that is given changes, one range after another.
struct Fed {
    shard: Shard,
    sequence: u64,
}

impl Fed {
    fn take(&mut self, kinds: impl IntoIterator<Item = ChangeKind>) {
        let after = self.sequence;
        let changes: Vec<Change> = kinds
            .into_iter()
            .map(|kind| {
                self.sequence += 1;
                Change { sequence: Sequence(self.sequence), kind }
            })
            .collect();
        assert_eq!(self.shard.apply(range(after, changes)), Ok(Proof::None));
    }

    fn create(&mut self, bank: u32) {
        let (owner, created_at) = (MemberId::HOST, UnixMillis(0));
        self.take([ChangeKind::BankCreated {
            bank: BankId(bank),
            owner,
            name: name(&format!("bank-{bank}")),
            created_at,
        }]);
    }

    /// Adds items whose numbers are their ids, and returns the ids.
    fn add(&mut self, bank: u32, count: u64) -> Vec<u64> {
        let ids: Vec<u64> = (self.sequence + 1..=self.sequence + count).collect();
        self.take(ids.clone().into_iter().map(|id| {
            let (id, contributor, content) = (ItemId(id), MemberId::HOST, content(id));
            ChangeKind::ItemAdded(Item {
                id,
                bank: BankId(bank),
                added_at: UnixMillis(0),
                contributor,
                content,
            })
        }));
        ids
    }

    fn remove(&mut self, items: &[u64]) {
        self.take(items.iter().map(|id| ChangeKind::ItemRemoved { item: ItemId(*id), bank: BankId(1) }));
    }
}

#[test]
fn what_was_removed_is_in_no_file_after_a_purge() {
    let folder = tempfile::tempdir().unwrap();
    let plan: StorePlan = plan(folder.path());
    let mut fed = Fed { shard: Shard::empty(identity(), plan.begin().unwrap()), sequence: 0 };
    fed.create(1);
    fed.create(2);
    let (kept, gone) = (fed.add(1, 240), fed.add(2, 20));
    plan.save(&fed.shard).unwrap();
    let removed: Vec<u64> = kept.iter().copied().filter(|id| id % 12 == 0).collect();
    fed.remove(&removed);
    fed.take([ChangeKind::BankDeleted { bank: BankId(2) }]);
    // Some items are added and removed before they get into a file, and others stay.
    let passing = fed.add(1, 5);
    fed.remove(&passing);
    let later = fed.add(1, 5);
    plan.save(&fed.shard).unwrap();

    // Saving alone does not remove the hashes.
    let files = read_below(folder.path());
    assert!(removed.iter().chain(&gone).all(|id| found(&files, *id) == 4));
    assert!(passing.iter().all(|id| found(&files, *id) == 0));
    let ago = |age| fed.shard.removals().are_older_than(age);
    assert!(ago(Duration::ZERO) && !ago(Duration::from_secs(3_600)));

    assert!(!fed.shard.clear_removed(&AtomicBool::new(true)).unwrap(), "it was asked to stop");
    assert!(ago(Duration::ZERO));
    assert!(fed.shard.clear_removed(&AtomicBool::new(false)).unwrap());
    plan.save(&fed.shard).unwrap();
    assert!(!fed.shard.removals().are_older_than(Duration::ZERO));
    let files = read_below(folder.path());
    let left: Vec<_> = removed.iter().chain(&gone).filter(|id| found(&files, **id) > 0).collect();
    assert!(left.is_empty(), "{left:?}");
    let living = || kept.iter().filter(|id| !removed.contains(id)).chain(&later);
    assert!(living().all(|id| found(&files, *id) == 4));

    // The remaining shard works like any other.
    let (count, digest) = (fed.shard.item_count(), fed.shard.moment().digest);
    assert_eq!(count, living().count() as u64);
    drop(fed);
    let restored = plan.restore(identity()).unwrap().unwrap();
    assert_eq!((restored.item_count(), restored.moment().digest), (count, digest));
    assert_eq!(restored.removals().oldest_ms(), None);
}

#[test]
fn removals_from_before_a_restart_are_as_old_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let plan: StorePlan = plan(folder.path());
    let mut fed = Fed { shard: Shard::empty(identity(), plan.begin().unwrap()), sequence: 0 };
    fed.create(1);
    let ids = fed.add(1, 30);
    plan.save(&fed.shard).unwrap();
    fed.remove(&ids[..3]);
    plan.save(&fed.shard).unwrap();
    let oldest = fed.shard.removals().oldest_ms();
    drop(fed);
    let restored = plan.restore(identity()).unwrap().unwrap();
    assert!(oldest.is_some());
    assert_eq!(restored.removals().oldest_ms(), oldest);
}

#[test]
fn a_purge_that_fails_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let plan: StorePlan = plan(folder.path());
    let mut fed = Fed { shard: Shard::empty(identity(), plan.begin().unwrap()), sequence: 0 };
    fed.create(1);
    let ids = fed.add(1, 240);
    plan.save(&fed.shard).unwrap();
    fed.remove(&ids[..20]);
    plan.save(&fed.shard).unwrap();
    let metrics = MatcherMetrics::default();
    let replica =
        Replica::new(identity().into(), StorePlan::new(IndexPlan::default(), None).unwrap(), metrics.clone());
    assert!(!replica.clear_removed(&fed.shard, &AtomicBool::new(true)));
    assert_eq!(metrics.failed_purges(), 0, "it was asked to stop");
    // The folder is gone, so nothing can be written.
    fs::remove_dir_all(folder.path()).unwrap();
    assert!(!replica.clear_removed(&fed.shard, &AtomicBool::new(false)));
    assert_eq!(metrics.failed_purges(), 1);
}

#[tokio::test]
async fn a_replica_purges_its_folder_and_what_it_published() {
    // SHA-256 digests with 31 and with 17 in every byte: see `super::hash`.
    let (removed, kept) = ([31; 32], [17; 32]);
    let steps = [Step::Create, Step::Add(0, vec![249]), Step::Add(0, vec![137])];
    let bank =
        FakeBank::start(steps.into_iter().chain((0..30).map(|number| Step::Add(0, vec![number])))).await;
    let (folder, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let start = |purge_after| {
        let plan = follower_plan(PdqEngine::Exact, folder.path());
        Follower::start_purging(&bank, whole(), plan, 1, publishing(store.path()), purge_after)
    };
    let find = |what: &[u8]| [folder.path(), store.path()].map(|place| holds(&read_below(place), what));
    let follower = start(Duration::from_secs(3_600));
    follower.check_equal(&bank).await;
    follower.until("it is published", |_| find(&removed) == [true; 2]).await;
    bank.take([Step::Remove(0)]);
    follower.check_equal(&bank).await;
    let published = follower.metrics.publications().0;
    follower.until("it is published again", |_| follower.metrics.publications().0 > published).await;
    follower.stop().await;
    assert_eq!(find(&removed), [true; 2], "an hour has not passed");

    let follower = start(Duration::ZERO);
    follower.until("it is purged", |_| find(&removed) == [false; 2]).await;
    follower.check_equal(&bank).await;
    follower.stop().await;
    assert_eq!(find(&kept), [true; 2]);
    assert_eq!(bank.held().loads, 1);
}
