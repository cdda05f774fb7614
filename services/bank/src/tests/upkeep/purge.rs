//! Tests of purged changes: the bytes are gone, the proof holds, and followers that need them load the state.

use vigie_log::Sequence as LogSequence;
use vigie_model::{FeedRange, Partition, Sequence, ShardIdentity};

use crate::tests::*;
use crate::{VerifyError, verify};

on_both_stores! {
    a_purge_is_distinguished_from_a_forgery,
    a_change_that_is_there_twice_is_found,
    a_follower_that_needs_a_purged_change_is_sent_to_load_the_state,
    a_purge_disturbs_nothing_else,
}

/// Runs a log of 1 + 40 + 1 changes: a bank, items, and the removal of item 17. Two changes are purged: the
/// addition of item 17, and that of item 20, which still exists.
async fn purged(bed: &Bed) -> (Bed, Config) {
    let bed = bed.another();
    let config = bed.config();
    let served = Served::start(config.clone()).await;
    served.create_bank("a").await.unwrap();
    served.add_with_key("a", items(0..40), "k").await.unwrap();
    served.remove(vec![17]).await.unwrap();
    served.stop().await;
    let store = open(&config).await;
    assert!(store.purge(LogSequence(17)).await.unwrap());
    assert!(store.purge(LogSequence(20)).await.unwrap());
    // There is nothing left to purge, and no such change.
    assert!(!store.purge(LogSequence(20)).await.unwrap());
    assert!(!store.purge(LogSequence(99)).await.unwrap());
    store.close().await;
    (bed, config)
}

async fn a_purge_is_distinguished_from_a_forgery(bed: Bed) {
    let (at, config) = purged(&bed).await;
    let verified = verify(&config).await.unwrap();
    assert_eq!(verified.head.sequence, Sequence(42));
    assert_eq!((verified.purged.count(), verified.purged.to_string().as_str()), (2, "17, 20"));
    drop(at);

    let other_digest = "digest = (SELECT digest FROM changes WHERE sequence = 3)";
    let other_payload = "payload = (SELECT payload FROM changes WHERE sequence = 3)";
    let altered = bed.altered_payload();
    let statements = [
        (
            format!("UPDATE changes SET {other_payload} WHERE sequence = 17"),
            "change 17 is not what was written",
        ),
        (
            format!("UPDATE changes SET {other_digest}, {other_payload} WHERE sequence = 18"),
            "change 18 is not what was written",
        ),
        (format!("UPDATE changes SET {other_digest} WHERE sequence = 17"), "changes 2 to 41 are not those"),
        (
            format!("UPDATE changes SET payload = {altered} WHERE sequence = 30"),
            "change 30 is not what was written",
        ),
        ("DELETE FROM changes WHERE sequence = 17".to_owned(), "change 17 is missing"),
        (
            "UPDATE batches SET chain = (SELECT chain FROM head) WHERE last_sequence = 41".to_owned(),
            "changes 2 to 41",
        ),
    ];
    for (statement, fault) in statements {
        let (at, config) = purged(&bed).await;
        at.alter(&statement).await;
        let error = verify(&config).await.unwrap_err();
        assert!(error.to_string().contains(fault), "{error}");
    }
    // A living item whose change was purged is compared with the digest of its change.
    let (at, config) = purged(&bed).await;
    at.alter(&format!("UPDATE items SET payload = {altered} WHERE id = 20")).await;
    let error = verify(&config).await.unwrap_err();
    assert!(matches!(error, VerifyError::ItemAltered(vigie_model::ItemId(20))), "{error}");
}

async fn a_change_that_is_there_twice_is_found(bed: Bed) {
    // SQLite's key is the row itself, which cannot exist twice.
    if matches!(bed, Bed::Sqlite(_)) {
        return;
    }
    for doubled in [2, 30, 41] {
        let (at, config) = purged(&bed).await;
        at.alter(&format!(
            "ALTER TABLE changes DROP CONSTRAINT changes_pkey; \
             INSERT INTO changes SELECT * FROM changes WHERE sequence = {doubled}"
        ))
        .await;
        let error = verify(&config).await.unwrap_err();
        assert!(matches!(error, VerifyError::Doubled(Sequence(found)) if found == doubled), "{error}");
    }
}

async fn watch(served: &Served, after: u64, shard: ShardIdentity) -> Result<u64, Status> {
    let head = served.head().await;
    let first = pb::WatchRequest { shard_count: 1, ..Default::default() };
    let mut ranges = served.feed.clone().watch(first).await?.into_inner();
    let log_id = ranges.message().await?.unwrap().log_id;
    let log_id = if after == 0 { Vec::new() } else { log_id };
    let (number, shard_count) = (shard.shard().0.into(), shard.shard_count().get().into());
    let request =
        pb::WatchRequest { after_sequence: after, shard: number, shard_count, log_id, ..Default::default() };
    let mut ranges = served.feed.clone().watch(request).await?.into_inner();
    loop {
        let range: FeedRange = ranges.message().await?.unwrap().try_into().unwrap();
        if range.through.0 == head.sequence {
            return Ok(range.through.0);
        }
    }
}

async fn a_follower_that_needs_a_purged_change_is_sent_to_load_the_state(bed: Bed) {
    let (_at, config) = purged(&bed).await;
    let served = Served::start(config).await;
    let all = ShardIdentity::new(0, 1).unwrap();
    for (after, purged) in [(0, 17), (16, 17), (17, 20), (19, 20)] {
        let text = format!("change {purged} was purged, and the cursor is");
        refused(watch(&served, after, all).await, Code::OutOfRange, &text);
    }
    for after in [20, 41, 42] {
        assert_eq!(watch(&served, after, all).await.unwrap(), 42);
    }
    // Of two shards each needs only its own changes.
    for number in 0..2 {
        let shard = ShardIdentity::new(number, 2).unwrap();
        let needs = [17, 20].map(|id| shard.holds(vigie_model::ItemId(id)));
        let outcome = watch(&served, 1, shard).await;
        match needs {
            [false, false] => assert_eq!(outcome.unwrap(), 42),
            [true, _] => drop(refused(outcome, Code::OutOfRange, "change 17 was purged")),
            [false, true] => drop(refused(outcome, Code::OutOfRange, "change 20 was purged")),
        }
    }
    assert_ne!(Partition::of(vigie_model::ItemId(17)), Partition::of(vigie_model::ItemId(20)));
    served.stop().await;
}

async fn a_purge_disturbs_nothing_else(bed: Bed) {
    let (_at, config) = purged(&bed).await;
    let served = Served::start(config.clone()).await;
    // The key of the write whose change was purged, the existing item, the removed one.
    assert_eq!(served.add_with_key("a", items(0..40), "k").await.unwrap().sequence, 41);
    assert_eq!(served.item(20).await.unwrap().item.unwrap().content.unwrap(), item(18));
    refused(served.item(17).await, Code::NotFound, "no item 17");
    refused(served.remove(vec![17]).await, Code::NotFound, "no item 17");
    // The loaded state includes the purged changes.
    let all = ShardIdentity::new(0, 1).unwrap();
    let mut parts = served.feed.clone().load(pb::LoadRequest::from(all)).await.unwrap().into_inner();
    let mut loaded = 0;
    while let Some(part) = parts.message().await.unwrap() {
        if let vigie_model::StatePart::Items { items, .. } = part.try_into().unwrap() {
            loaded += items.len();
        }
    }
    assert_eq!(loaded, 39);
    served.remove(vec![20]).await.unwrap();
    served.delete_bank("a").await.unwrap();
    served.stop().await;
    assert_eq!(verify(&config).await.unwrap().purged.count(), 2);
}
