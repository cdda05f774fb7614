//! Keys: a write is done once, however often it is sent.

use super::faulty::Faulty;
use super::*;

#[tokio::test]
async fn a_repeated_write_gets_the_first_answer_even_after_a_restart() {
    let (_directory, config) = on_file();
    let first = Served::start(config.clone()).await;
    let create = |name: &str| pb::CreateBankRequest { name: name.into(), idempotency_key: "c".into() };
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

#[tokio::test]
async fn a_key_that_comes_with_another_request_is_refused() {
    let (_directory, config) = on_file();
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    served.add_with_key("a", items(0..3), "k").await.unwrap();
    for other in [items(0..2), items(1..4)] {
        let refusal = served.add_with_key("a", other, "k").await;
        refused(refusal, Code::InvalidArgument, "idempotency_key: came before with another request");
    }
    let other = pb::DeleteBankRequest { name: "a".into(), idempotency_key: "k".into() };
    refused(served.bank.clone().delete_bank(other).await, Code::InvalidArgument, "idempotency_key");
    assert_eq!(served.head().await.item_count, 3);
    served.stop().await;
}

#[tokio::test]
async fn a_key_sent_twice_at_once_does_its_work_once() {
    let (_directory, config) = on_file();
    let (store, gate) = Faulty::open(&config).await;
    let served = Served::start_on(config, store).await;
    served.create_bank("a").await.unwrap();
    let closed = gate.close().await;
    let first = served.add("a", items(9..10));
    let rest = async {
        gate.commit_waits().await;
        // All of these wait for the commit above, and so come into one group.
        let send = || served.add_with_key("a", items(0..2), "k");
        let (one, two) = (send(), send());
        let release = async {
            tokio::task::yield_now().await;
            drop(closed);
        };
        let (one, two, ()) = tokio::join!(one, two, release);
        assert_eq!(one.unwrap(), two.unwrap());
    };
    let (first, ()) = tokio::join!(first, rest);
    first.unwrap();
    assert_eq!(served.head().await.item_count, 3);
    served.stop().await;
}

#[tokio::test]
async fn a_refused_write_leaves_its_key_free() {
    let (_directory, config) = on_file();
    let served = Served::start(config).await;
    refused(served.add_with_key("a", items(0..1), "k").await, Code::NotFound, "no bank called a");
    served.create_bank("a").await.unwrap();
    assert_eq!(served.add_with_key("a", items(0..1), "k").await.unwrap().item_ids, [2]);
    served.stop().await;
}

#[tokio::test]
async fn keys_are_forgotten_after_their_time() {
    let (_directory, config) = on_file();
    let served = Served::start(config.clone()).await;
    served.create_bank("a").await.unwrap();
    served.add_with_key("a", items(0..1), "old").await.unwrap();
    served.clock.0.fetch_add(10_000, Ordering::Relaxed);
    served.add_with_key("a", items(1..2), "new").await.unwrap();
    served.stop().await;

    let location = Location::parse(&config.store).unwrap();
    let store = SqliteStore::open(&location, true, 1).await.unwrap();
    let keys = ["old".to_owned(), "new".to_owned()];
    assert_eq!(store.recorded(&keys).await.unwrap().len(), 2);
    assert!(store.sweep_keys(UnixMillis(NOW + 10_000), 1).await.unwrap());
    assert!(!store.sweep_keys(UnixMillis(NOW + 10_000), 1).await.unwrap());
    let left: Vec<_> = store.recorded(&keys).await.unwrap().into_iter().map(|record| record.key).collect();
    assert_eq!(left, ["new"]);
}
