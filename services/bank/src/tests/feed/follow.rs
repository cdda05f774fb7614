//! Tests of followers: every change once, in order, from any cursor.

use std::collections::BTreeMap;

use futures::future::join_all;
use vigie_model::change::{Cursor, LogId};
use vigie_model::{FeedRange, Sequence, ShardIdentity};

use crate::tests::failures::faulty::{Fault, Faulty};
use crate::tests::*;

on_both_stores! {
    a_follower_resumes_at_any_cursor,
    a_follower_hears_of_the_head_at_once_and_then_in_every_silence,
    a_shard_receives_progress_without_changes_of_its_own,
    a_cursor_beyond_the_head_is_refused,
    a_log_keeps_its_id_and_its_followers_over_a_restart,
    a_follower_that_waits_for_its_turn_hears_signs_of_life,
    one_follower_too_many_is_refused_until_another_goes,
    one_client_does_not_have_all_followers,
    streams_end_when_the_bank_stops,
    ; threads:
    the_shards_together_see_every_change_once_and_in_order,
    a_follower_that_falls_out_of_memory_reads_from_the_store,
}

struct Followed {
    ranges: tonic::Streaming<pb::WatchResponse>,
    cursor: Sequence,
}

impl Served {
    async fn watch(&self, after: u64, shard: u32, shard_count: u32) -> Result<Followed, Status> {
        let log_id = if after == 0 { Vec::new() } else { self.log_id().await };
        let request =
            pb::WatchRequest { after_sequence: after, shard, shard_count, log_id, ..Default::default() };
        let ranges = self.feed.clone().watch(request).await?.into_inner();
        Ok(Followed { ranges, cursor: Sequence(after) })
    }

    /// Continues from a follower's cursor.
    async fn go_on(&self, from: Cursor) -> Result<Followed, Status> {
        let request = pb::WatchRequest::from((Some(from), ShardIdentity::new(0, 1).unwrap()));
        let ranges = self.feed.clone().watch(request).await?.into_inner();
        Ok(Followed { ranges, cursor: from.sequence })
    }

    async fn log_id(&self) -> Vec<u8> {
        let request = pb::WatchRequest { shard_count: 1, ..Default::default() };
        let mut ranges = self.feed.clone().watch(request).await.unwrap().into_inner();
        ranges.message().await.unwrap().unwrap().log_id
    }

    /// Returns the cursor of a follower of everything that has caught up.
    async fn caught_up(&self) -> Cursor {
        let head = self.head().await;
        let mut followed = self.watch(0, 0, 1).await.unwrap();
        loop {
            let end = followed.next().await.unwrap().end();
            if end.sequence.0 == head.sequence {
                assert_eq!(end.chain.map(Vec::from).unwrap_or_default(), head.chain);
                return end;
            }
        }
    }
}

impl Followed {
    /// Returns the next message, which must continue the one before.
    async fn next(&mut self) -> Option<FeedRange> {
        let range: FeedRange = self.ranges.message().await.unwrap()?.try_into().unwrap();
        assert_eq!(range.after, self.cursor);
        assert!(range.head >= range.through);
        self.cursor = range.through;
        Some(range)
    }

    /// Returns all changes up to a sequence.
    async fn until(&mut self, through: u64) -> Vec<vigie_model::Change> {
        let mut changes = Vec::new();
        while self.cursor < Sequence(through) {
            changes.extend(self.next().await.unwrap().changes);
        }
        changes
    }
}

/// Runs followers of all shards from the beginning, while writers write.
async fn check(bed: &Bed, config: Config, shard_count: u32) {
    let at = bed.another().config();
    let config = Config { store: at.store, heartbeat_ms: at.heartbeat_ms, ..config };
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    served.create_bank("b").await.unwrap();
    let writer = |writer: u64| {
        let served = &served;
        async move {
            for round in 0..10 {
                let first = writer * 1_000 + round * 10;
                let added = served.add("a", items(first..first + 7)).await.unwrap();
                served.remove(added.item_ids[..2].to_vec()).await.unwrap();
            }
        }
    };
    let end = 2 + 4 * 10 * 9;
    let follower = |shard| {
        let served = &served;
        async move { served.watch(0, shard, shard_count).await.unwrap().until(end).await }
    };
    let (_, followed) = tokio::join!(join_all((0..4).map(writer)), join_all((0..shard_count).map(follower)));
    assert_eq!(served.head().await.sequence, end);

    let all = served.watch(0, 0, 1).await.unwrap().until(end).await;
    assert_eq!(all.iter().map(|change| change.sequence.0).collect::<Vec<_>>(), (1..=end).collect::<Vec<_>>());
    let mut union = BTreeMap::new();
    for (shard, changes) in (0..).zip(&followed) {
        let identity = ShardIdentity::new(shard, shard_count).unwrap();
        let expected: Vec<_> = all
            .iter()
            .filter(|change| {
                let partition = change.kind.partition();
                partition
                    .is_none_or(|partition| identity.shard_count().shard_of(partition) == identity.shard())
            })
            .cloned()
            .collect();
        assert_eq!(*changes, expected, "shard {shard}");
        union.extend(changes.iter().map(|change| (change.sequence, change.clone())));
    }
    assert_eq!(union.into_values().collect::<Vec<_>>(), all);
    served.stop().await;
}

async fn the_shards_together_see_every_change_once_and_in_order(bed: Bed) {
    check(&bed, Config::default(), 3).await;
}

async fn a_follower_that_falls_out_of_memory_reads_from_the_store(bed: Bed) {
    let small = Config { recent_changes_max: 3, feed_changes_max: 4, ..Config::default() };
    check(&bed, small, 2).await;
    let by_bytes = Config { recent_bytes_max: 400, feed_bytes_max: 300, ..Config::default() };
    check(&bed, by_bytes, 2).await;
    check(&bed, Config { recent_changes_max: 0, ..Config::default() }, 1).await;
}

async fn a_follower_resumes_at_any_cursor(bed: Bed) {
    let config = bed.config();
    let config = Config { recent_changes_max: 10, ..config };
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    for number in 0..30 {
        served.add("a", items(number..number + 1)).await.unwrap();
    }
    for cursor in 0..=31 {
        let changes = served.watch(cursor, 0, 1).await.unwrap().until(31).await;
        let sequences: Vec<_> = changes.iter().map(|change| change.sequence.0).collect();
        assert_eq!(sequences, (cursor + 1..=31).collect::<Vec<_>>());
    }
    served.stop().await;
}

async fn a_follower_hears_of_the_head_at_once_and_then_in_every_silence(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    let mut followed = served.watch(0, 0, 1).await.unwrap();
    for _ in 0..3 {
        let range = followed.next().await.unwrap();
        assert_eq!((range.through, range.head), (Sequence(0), Sequence(0)));
    }
    served.create_bank("a").await.unwrap();
    let mut late = served.watch(0, 0, 1).await.unwrap();
    let first = late.next().await.unwrap();
    assert_eq!((first.through, first.head, first.changes.len()), (Sequence(0), Sequence(1), 0));
    assert_eq!(late.next().await.unwrap().changes.len(), 1);
    served.stop().await;
}

async fn a_shard_receives_progress_without_changes_of_its_own(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    let added = served.add("a", items(0..1)).await.unwrap();
    let holds = |shard| ShardIdentity::new(shard, 2).unwrap().holds(vigie_model::ItemId(added.item_ids[0]));
    let other = (0..2).find(|shard| !holds(*shard)).unwrap();
    let changes = served.watch(1, other, 2).await.unwrap().until(added.sequence).await;
    assert!(changes.is_empty());
    served.stop().await;
}

async fn a_cursor_beyond_the_head_is_refused(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    assert!(served.watch(1, 0, 1).await.is_ok());
    for cursor in [2, u64::MAX] {
        let refusal = served.watch(cursor, 0, 1).await.map(drop);
        refused(refusal, Code::OutOfRange, "beyond the head of the log, 1");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_follower_of_another_log_is_refused_however_far_this_one_has_come() {
    let in_memory = || Config { store: "sqlite::memory:".into(), ..Config::default() };
    let first = Served::start(in_memory()).await;
    first.create_bank("a").await.unwrap();
    let cursor = first.caught_up().await;
    first.stop().await;

    let second = Served::start(in_memory()).await;
    for name in ["b", "c", "d"] {
        second.create_bank(name).await.unwrap();
    }
    for chain in [cursor.chain, None] {
        let refusal = second.go_on(Cursor { chain, ..cursor }).await.map(drop);
        refused(refusal, Code::OutOfRange, "the cursor is of the log");
    }
    let nowhere = Cursor { log: LogId([0; 16]), sequence: Sequence(0), chain: None };
    refused(second.go_on(nowhere).await.map(drop), Code::OutOfRange, "the cursor is of the log");
    second.stop().await;
}

async fn a_log_keeps_its_id_and_its_followers_over_a_restart(bed: Bed) {
    let config = bed.config();
    let first = Served::start(config.clone()).await;
    first.create_bank("a").await.unwrap();
    let cursor = first.caught_up().await;
    first.stop().await;
    let second = Served::start(config).await;
    second.create_bank("b").await.unwrap();
    let changes = second.go_on(cursor).await.unwrap().until(2).await;
    assert_eq!(changes.len(), 1);
    second.stop().await;
}

#[tokio::test]
async fn a_log_restored_from_a_backup_refuses_those_who_followed_it_further() {
    let (directory, config) = on_file();
    let before = Served::start(config.clone()).await;
    before.create_bank("a").await.unwrap();
    let shared = before.caught_up().await;
    before.stop().await;
    let backup = directory.path().join("backup.db");
    std::fs::copy(directory.path().join("bank.db"), &backup).unwrap();
    let lost = Served::start(config.clone()).await;
    lost.create_bank("b").await.unwrap();
    let cursor = lost.caught_up().await;
    lost.stop().await;

    let restored =
        Served::start(Config { store: format!("sqlite:{}", backup.display()).into(), ..config }).await;
    restored.create_bank("c").await.unwrap();
    restored.add("c", items(0..3)).await.unwrap();
    assert_eq!(restored.caught_up().await.log, cursor.log);
    refused(restored.go_on(cursor).await.map(drop), Code::OutOfRange, "another chain at 2");
    // A batch ended here in the lost log, but none does in the restored one.
    let inside = Cursor { sequence: Sequence(4), ..cursor };
    refused(restored.go_on(inside).await.map(drop), Code::OutOfRange, "another chain at 4");
    // A follower at a cursor that both logs have continues.
    assert_eq!(restored.go_on(shared).await.unwrap().until(5).await.len(), 4);
    restored.stop().await;
}

async fn a_follower_that_waits_for_its_turn_hears_signs_of_life(bed: Bed) {
    let config = bed.config();
    let config = Config { recent_changes_max: 0, ..config };
    let (store, gate) = Faulty::open(&config).await;
    let served = Served::start_on(config, store).await;
    served.create_bank("a").await.unwrap();
    gate.set(Fault::SlowReads);
    // More followers than may read at once.
    let mut followers = Vec::new();
    for _ in 0..6 {
        followers.push(served.watch(0, 0, 1).await.unwrap());
    }
    for followed in &mut followers {
        for _ in 0..3 {
            let range = followed.next().await.unwrap();
            assert_eq!((range.through, range.head), (Sequence(0), Sequence(1)));
        }
    }
    gate.set(Fault::None);
    for followed in &mut followers {
        assert_eq!(followed.until(1).await.len(), 1);
    }
    served.stop().await;
}

async fn one_follower_too_many_is_refused_until_another_goes(bed: Bed) {
    let config = bed.config();
    let served = Served::start(Config { followers_max: 2, ..config }).await;
    let (one, _two) = (served.watch(0, 0, 1).await.unwrap(), served.watch(0, 0, 1).await.unwrap());
    let refusal =
        refused(served.watch(0, 0, 1).await.map(drop), Code::ResourceExhausted, "too many followers");
    assert!(vigie_proto::status::retry_after(&refusal).is_some());
    drop(one);
    while served.watch(0, 0, 1).await.is_err() {
        tokio::task::yield_now().await;
    }
    served.stop().await;
}

async fn one_client_does_not_have_all_followers(bed: Bed) {
    let config = bed.config();
    let served = Served::start(Config { followers_per_client_max: 2, ..config }).await;
    let watch = || served.watch(0, 0, 1);
    let (one, _two) = (watch().await.unwrap(), watch().await.unwrap());
    let refusal = refused(watch().await.map(drop), Code::ResourceExhausted, "this client has 2 followers");
    assert!(vigie_proto::status::retry_after(&refusal).is_some());
    // A client that loads the state counts as a follower too.
    let load = pb::LoadRequest { shard: 0, shard_count: 1 };
    refused(served.feed.clone().load(load).await.map(drop), Code::ResourceExhausted, "2 followers");
    drop(one);
    while watch().await.is_err() {
        tokio::task::yield_now().await;
    }
    served.stop().await;
}

async fn streams_end_when_the_bank_stops(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    let mut followed = served.watch(0, 0, 1).await.unwrap();
    followed.next().await.unwrap();
    let ended = async { while followed.next().await.is_some() {} };
    tokio::join!(ended, served.stop());
}
