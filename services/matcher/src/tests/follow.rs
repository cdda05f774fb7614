//! Tests of a replica that follows a bank.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vigie_follow::Reason;
use vigie_index::Cancellation;
use vigie_model::change::LogId;
use vigie_model::{ANSWER_BYTES_MAX, ReplicaDescription, Sequence, ShardIdentity};
use vigie_serving::{Reflection, Routes, Shutdown};

use super::fake_bank::FakeBank;
use super::{Step, options, query};
use crate::following::follow::{Patience, follow};
use crate::following::keeping::{Schedule, Sharing};
use crate::following::replica::Replica;
use crate::metrics::MatcherMetrics;
use crate::saving::plan::StorePlan;
use crate::searching::search::search;
use crate::shard::indexes::IndexPlan;
use crate::shard::pdq::PdqEngine;

/// A time limit that no step of these tests reaches.
const WITHIN: Duration = Duration::from_secs(20);

/// A replica, and the task that keeps it up to date.
pub(super) struct Follower {
    replica: Arc<Replica>,
    pub(super) metrics: MatcherMetrics,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<()>,
}

impl Follower {
    fn start(bank: &FakeBank, identity: ShardIdentity) -> Self {
        Self::start_on(bank, identity, StorePlan::new(IndexPlan::default(), None).unwrap(), 1_000)
    }

    /// Starts a replica with this plan, which saves its shard after this number of changes.
    fn start_on(bank: &FakeBank, identity: ShardIdentity, plan: StorePlan, changes: u64) -> Self {
        Self::start_sharing(bank, identity, plan, changes, Sharing::default())
    }

    /// Starts a replica that also publishes its shard, or starts from a published one.
    pub(super) fn start_sharing(
        bank: &FakeBank,
        identity: ShardIdentity,
        plan: StorePlan,
        changes: u64,
        sharing: Sharing,
    ) -> Self {
        Self::start_purging(bank, identity, plan, changes, sharing, Duration::from_secs(3_600))
    }

    /// Starts a replica that purges its files this long after a removal.
    pub(super) fn start_purging(
        bank: &FakeBank,
        identity: ShardIdentity,
        plan: StorePlan,
        changes: u64,
        sharing: Sharing,
        purge_after: Duration,
    ) -> Self {
        let metrics = MatcherMetrics::default();
        let replica = Arc::new(Replica::new(identity.into(), plan, metrics.clone()));
        let patience = Patience { open: WITHIN, silence: WITHIN };
        let health =
            Routes::new(Reflection { descriptors: vigie_proto::DESCRIPTORS, roles: vigie_proto::ROLES })
                .unwrap()
                .health();
        let shutdown = Shutdown::new();
        let schedule = Schedule { changes, every: Duration::from_secs(600), purge_after };
        let (replica, bank) = (Arc::clone(&replica), bank.client());
        let task = follow(Arc::clone(&replica), bank, patience, schedule, sharing, health, shutdown.clone());
        Self { replica, metrics, shutdown, task: tokio::spawn(task) }
    }

    pub(super) async fn until(
        &self,
        what: &str,
        is_so: impl Fn(&ReplicaDescription) -> bool,
    ) -> ReplicaDescription {
        let begun = std::time::Instant::now();
        loop {
            let described = self.replica.describe();
            if is_so(&described) {
                return described;
            }
            assert!(begun.elapsed() < WITHIN, "still waiting until {what}: {described:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until the replica is up to date with the bank, and compares both.
    pub(super) async fn check_equal(&self, bank: &FakeBank) {
        let head = Sequence(bank.held().replay.sequence);
        let ready = |one: &ReplicaDescription| one.unready_reason.is_none() && one.sequence >= head;
        let described = self.until("it is ready", ready).await;
        let identity = described.shards.whole();
        assert_eq!(described.digest, bank.held().replay.digest_of(identity));
        let shard = self.replica.now_at_least(head).unwrap().unwrap();
        let options = options(vec![], 8, 100);
        let queries: Vec<_> = (0..30).map(|number| query(&[number * 8 + 2])).collect();
        let answer = search(&shard, &queries, &options, ANSWER_BYTES_MAX, &Cancellation::never()).unwrap();
        for (asked, result) in queries.iter().zip(answer.results) {
            let found: Vec<_> =
                result.matches.iter().map(|one| (one.item, one.distance, one.other_matches)).collect();
            let mut expected = bank.held().replay.search(asked, &[], 8);
            expected.retain(|(item, ..)| identity.holds(*item));
            assert_eq!(found, expected);
        }
    }

    /// Stops the replica, and waits until its folder is free, because another thread may still be working in
    /// it.
    pub(super) async fn stop(self) {
        let Self { replica, shutdown, task, .. } = self;
        shutdown.cancel();
        task.await.unwrap();
        let replica = {
            let last = replica;
            Arc::downgrade(&last)
        };
        let begun = std::time::Instant::now();
        while replica.strong_count() > 0 {
            assert!(begun.elapsed() < WITHIN, "something still uses the replica that has stopped");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// Returns steps that make two banks with items in both, some of them removed again.
pub(super) fn some_steps() -> Vec<Step> {
    let mut steps = vec![Step::Create, Step::Create, Step::Rename(1)];
    steps.extend((0..60_u8).map(|number| Step::Add(number, vec![number * 4 + 2, number])));
    steps.extend((0..10).map(|number| Step::Remove(number * 3)));
    steps.extend((0..10).map(|number| Step::Hold(number * 4, true)));
    steps.extend((0..30).map(|number| Step::Stand(number * 2, number)));
    steps
}

pub(super) fn whole() -> ShardIdentity {
    ShardIdentity::new(0, 1).unwrap()
}

#[tokio::test]
async fn a_shard_loads_the_banks_state_and_follows_from_there() {
    for identity in [whole(), ShardIdentity::new(1, 3).unwrap()] {
        let bank = FakeBank::start(some_steps()).await;
        // The log alone is not enough to build the shard.
        bank.held().floor = Sequence(30);
        let follower = Follower::start(&bank, identity);
        follower.check_equal(&bank).await;
        bank.take((0..40).map(|number| Step::Add(number, vec![number])));
        bank.take([
            Step::Hold(4, false),
            Step::Hold(20, true),
            Step::Stand(4, 0),
            Step::Stand(6, 2),
            Step::Stand(7, 3),
            Step::Stand(0, 4),
            Step::Remove(0),
            Step::Delete(0),
            Step::Remove(1),
        ]);
        follower.check_equal(&bank).await;
        assert_eq!(bank.held().loads, 1);
        follower.stop().await;
    }
}

#[tokio::test]
async fn changes_made_while_the_state_is_read_come_from_the_log() {
    let bank = FakeBank::start(some_steps()).await;
    bank.held().while_loading = vec![
        // Items are released, held, held and released again, and held and then removed.
        Step::Hold(8, false),
        Step::Hold(2, true),
        Step::Hold(5, true),
        Step::Hold(5, false),
        Step::Hold(3, true),
        // Items get a standing, another one, and none again.
        Step::Stand(2, 3),
        Step::Stand(3, 1),
        Step::Stand(4, 2),
        Step::Stand(4, 5),
        Step::Stand(6, 4),
        Step::Stand(6, 0),
        Step::Remove(3),
        Step::Add(0, vec![9]),
        Step::Delete(0),
        Step::Create,
        Step::Add(1, vec![10]),
        Step::Remove(0),
    ];
    let follower = Follower::start(&bank, whole());
    follower.check_equal(&bank).await;
    assert_eq!(bank.held().loads, 1);
    follower.stop().await;
}

#[tokio::test]
async fn a_state_that_is_refused_or_breaks_off_is_asked_for_again() {
    let bank = FakeBank::start(some_steps()).await;
    bank.held().refused_loads = 2;
    bank.held().broken_loads = 2;
    let follower = Follower::start(&bank, whole());
    follower.check_equal(&bank).await;
    assert_eq!(bank.held().loads, 3);
    follower.stop().await;
}

#[tokio::test]
async fn a_shard_is_not_ready_before_a_digest_was_equal() {
    let bank = FakeBank::start(some_steps()).await;
    bank.held().sends_digests = false;
    let head = Sequence(bank.held().replay.sequence);
    let follower = Follower::start(&bank, whole());
    let waits = |one: &ReplicaDescription| {
        one.sequence == head && one.unready_reason.as_deref() == Some("waiting for the bank's digest")
    };
    follower.until("it has everything", waits).await;
    bank.held().sends_digests = true;
    follower.check_equal(&bank).await;
    follower.stop().await;
}

#[tokio::test]
async fn a_differing_digest_and_another_log_rebuild_the_shard() {
    let bank = FakeBank::start(some_steps()).await;
    let follower = Follower::start(&bank, whole());
    follower.check_equal(&bank).await;
    bank.held().wrong_digests = 1;
    follower.until("it is rebuilt", |_| follower.metrics.rebuilds(Reason::Digest) == 1).await;
    follower.check_equal(&bank).await;
    assert_eq!(bank.held().loads, 2);
    bank.end_streams(LogId([9; 16]));
    follower.until("it is rebuilt", |_| follower.metrics.rebuilds(Reason::Log) == 1).await;
    follower.check_equal(&bank).await;
    follower.stop().await;
}

pub(super) fn plan(engine: PdqEngine, folder: &Path) -> StorePlan {
    StorePlan::new(IndexPlan { pdq_engine: engine, ..IndexPlan::default() }, Some(folder)).unwrap()
}

#[tokio::test]
async fn a_restarted_shard_goes_on_from_its_snapshot() {
    let (bank, folder) = (FakeBank::start(some_steps()).await, tempfile::tempdir().unwrap());
    for round in 0..4_u8 {
        // The bank keeps only the required part of its log.
        let head = Sequence(bank.held().replay.sequence);
        bank.held().floor = head;
        bank.take([Step::Add(round, vec![round * 8 + 2]), Step::Remove(round), Step::Create]);
        let follower = Follower::start_on(&bank, whole(), plan(PdqEngine::Exact, folder.path()), 1_000);
        follower.check_equal(&bank).await;
        bank.take([Step::Add(round, vec![round * 8 + 3]), Step::Delete(round)]);
        follower.check_equal(&bank).await;
        let metrics = follower.metrics.clone();
        follower.stop().await;
        assert_eq!((metrics.snapshots(), metrics.refused_snapshots()), (1, 0), "round {round}");
    }
    assert_eq!(bank.held().loads, 1);
}

#[tokio::test]
async fn a_snapshot_is_saved_after_so_many_changes() {
    let (bank, folder) = (FakeBank::start(some_steps()).await, tempfile::tempdir().unwrap());
    let follower = Follower::start_on(&bank, whole(), plan(PdqEngine::Exact, folder.path()), 5);
    follower.until("it is saved", |_| follower.metrics.snapshots() == 1).await;
    follower.check_equal(&bank).await;
    bank.take((0..4).map(|number| Step::Add(0, vec![number])));
    follower.check_equal(&bank).await;
    assert_eq!(follower.metrics.snapshots(), 1);
    bank.take([Step::Create]);
    follower.until("it is saved", |_| follower.metrics.snapshots() == 2).await;
    follower.task.abort();
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_used_is_discarded_and_the_state_loaded() {
    let (bank, folder) = (FakeBank::start(some_steps()).await, tempfile::tempdir().unwrap());
    let start = |identity, engine| Follower::start_on(&bank, identity, plan(engine, folder.path()), 1_000);
    let manifest = folder.path().join("manifest");
    let check = async |follower: Follower, loads: u32, refused: u64| {
        follower.check_equal(&bank).await;
        assert_eq!((bank.held().loads, follower.metrics.refused_snapshots()), (loads, refused));
        follower.stop().await;
    };
    check(start(whole(), PdqEngine::Exact), 1, 0).await;
    // The manifest is damaged.
    let mut bytes = std::fs::read(&manifest).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&manifest, bytes).unwrap();
    check(start(whole(), PdqEngine::Exact), 2, 1).await;
    // The snapshot is of another shard.
    check(start(ShardIdentity::new(0, 2).unwrap(), PdqEngine::Exact), 3, 1).await;
    // The snapshot is of another engine, and the new engine makes none.
    check(start(ShardIdentity::new(0, 2).unwrap(), PdqEngine::Hnsw), 4, 1).await;
    assert!(!manifest.exists());
    check(start(whole(), PdqEngine::Hnsw), 5, 0).await;
    check(start(whole(), PdqEngine::Exact), 6, 0).await;
    check(start(whole(), PdqEngine::Exact), 6, 0).await;
    // The bank has another log.
    bank.end_streams(LogId([9; 16]));
    let follower = start(whole(), PdqEngine::Exact);
    follower.until("it is rebuilt", |_| follower.metrics.rebuilds(Reason::Log) == 1).await;
    check(follower, 7, 0).await;
}

#[tokio::test]
async fn a_contradiction_discards_the_snapshot_too() {
    let (bank, folder) = (FakeBank::start(some_steps()).await, tempfile::tempdir().unwrap());
    let follower = Follower::start_on(&bank, whole(), plan(PdqEngine::Exact, folder.path()), 5);
    follower.until("it is saved", |_| follower.metrics.snapshots() == 1).await;
    let manifest = folder.path().join("manifest");
    assert!(manifest.exists());
    bank.held().refused_loads = u32::MAX;
    bank.held().wrong_digests = 1;
    follower.until("it is rebuilt", |_| follower.metrics.rebuilds(Reason::Digest) == 1).await;
    follower.until("the snapshot is gone", |_| !manifest.exists()).await;
    follower.stop().await;
    assert!(!manifest.exists(), "what is not ready is not saved");
}
