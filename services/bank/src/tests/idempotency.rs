//! Tests of idempotency keys: a write is done once, however often it is sent.

use super::failures::faulty::Faulty;
use super::writes::{BareLog, create, in_a_minute};
use super::*;

on_both_stores! {
    a_repeated_write_gets_the_first_answer_even_after_a_restart,
    a_key_that_comes_with_another_request_is_refused,
    a_key_sent_twice_at_once_does_its_work_once,
    a_refused_write_leaves_its_key_free,
    keys_are_forgotten_after_their_time_and_not_before,
    a_running_bank_forgets_keys_past_their_time,
}

async fn a_repeated_write_gets_the_first_answer_even_after_a_restart(bed: Bed) {
    let config = bed.config();
    let first = Served::start(config.clone()).await;
    let create = |name: &str| pb::CreateBankRequest {
        name: name.into(),
        idempotency_key: "c".into(),
        ..Default::default()
    };
    let created = first.bank.clone().create_bank(create("a")).await.unwrap().into_inner();
    let added = first.add_with_key("a", items(0..3), "k").await.unwrap();
    assert_eq!(first.add_with_key("a", items(0..3), "k").await.unwrap(), added);
    first.stop().await;

    let second = Served::start(config).await;
    assert_eq!(second.add_with_key("a", items(0..3), "k").await.unwrap(), added);
    assert_eq!(second.bank.clone().create_bank(create("a")).await.unwrap().into_inner(), created);
    let head = second.head().await;
    assert_eq!((head.sequence, head.item_count), (4, 3));
    second.stop().await;
}

async fn a_key_that_comes_with_another_request_is_refused(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    served.add_with_key("a", items(0..3), "k").await.unwrap();
    for other in [items(0..2), items(1..4)] {
        let refusal = served.add_with_key("a", other, "k").await;
        refused(refusal, Code::InvalidArgument, "idempotency_key: was used before with another request");
    }
    let other = pb::DeleteBankRequest { name: "a".into(), idempotency_key: "k".into() };
    refused(served.bank.clone().delete_bank(other).await, Code::InvalidArgument, "idempotency_key");
    assert_eq!(served.head().await.item_count, 3);
    served.stop().await;
}

async fn a_key_sent_twice_at_once_does_its_work_once(bed: Bed) {
    let config = bed.config();
    let (store, gate) = Faulty::open(&config).await;
    let bare = BareLog::start(&store, &config);
    let closed = gate.close().await;
    let first = bare.log.write(create("a"), None, in_a_minute());
    let rest = async {
        gate.commit_waits().await;
        // Both are queued before the commit above continues, and so are in one group.
        let send = || bare.log.write(create("b"), Some("k".into()), in_a_minute());
        let (one, two, ()) = tokio::join!(send(), send(), async { drop(closed) });
        assert_eq!(one.unwrap(), two.unwrap());
    };
    let (first, ()) = tokio::join!(first, rest);
    first.unwrap();
    assert_eq!(gate.lookups(), [2]);
    assert_eq!(store.head().await.unwrap().sequence.0, 2);
    bare.stop().await;
}

async fn a_refused_write_leaves_its_key_free(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    refused(served.add_with_key("a", items(0..1), "k").await, Code::NotFound, "no bank called a");
    served.create_bank("a").await.unwrap();
    assert_eq!(served.add_with_key("a", items(0..1), "k").await.unwrap().item_ids, [2]);
    served.stop().await;
}

/// Returns the keys that a bank still has, with a sweeper that keeps them for an hour.
async fn swept(bed: Bed, step_ms: u64) -> Vec<String> {
    let config = Config { idempotency_hours: 1, sweep_rows_max: 1, ..bed.config() };
    let store = open(&config).await;
    let bare = BareLog::start(&store, &config);
    for (name, key) in [("a", "1"), ("b", "2"), ("c", "3")] {
        bare.log.write(create(name), Some(key.into()), in_a_minute()).await.unwrap();
        bare.clock.0.fetch_add(1_000, Ordering::Relaxed);
    }
    bare.clock.0.store(NOW + 3_600_000 + step_ms, Ordering::Relaxed);
    let sweeper = bare.sweeper(&store, &config);
    while sweeper.step().await.unwrap() {}
    bare.stop().await;
    let keys = ["1".to_owned(), "2".to_owned(), "3".to_owned()];
    store.recorded(&keys).await.unwrap().into_iter().map(|record| record.key).collect()
}

async fn keys_are_forgotten_after_their_time_and_not_before(bed: Bed) {
    assert_eq!(swept(bed.another(), 0).await, ["1", "2", "3"]);
    assert_eq!(swept(bed.another(), 1).await, ["2", "3"]);
    assert_eq!(swept(bed.another(), 1_001).await, ["3"]);
}

async fn a_running_bank_forgets_keys_past_their_time(bed: Bed) {
    let config = bed.config();
    let served = Served::start(Config { idempotency_hours: 2, ..config.clone() }).await;
    served.create_bank("a").await.unwrap();
    served.add_with_key("a", items(0..1), "k").await.unwrap();
    served.clock.0.fetch_add(7_200_001, Ordering::Relaxed);
    // A deletion wakes the sweeper.
    served.create_bank("gone").await.unwrap();
    served.delete_bank("gone").await.unwrap();
    let observer = open_beside(&config).await;
    while !observer.recorded(&["k".to_owned()]).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(served.add_with_key("a", items(0..1), "k").await.unwrap().item_ids, [5]);
    served.stop().await;
}
