//! Tests with a failing store: the errors of callers, and that no write is half done.

use crate::tests::failures::faulty::{Fault, Faulty};
use crate::tests::*;
use vigie_log::{Chain, Head, Sequence};

use crate::store::CommitError;
use crate::tests::writes::create;

on_both_stores! {
    a_sweeper_that_dies_ends_the_bank_at_once_and_the_store_is_closed,
    a_bank_that_cannot_load_its_store_closes_it,
    a_write_whose_time_runs_out_on_the_way_is_said_to_be_perhaps_done,
    a_store_that_refuses_loses_nothing_and_later_writes_go_on,
    a_commit_whose_news_was_lost_is_found_to_be_done,
    an_outcome_that_stays_unknown_is_said_to_be_and_the_key_settles_it,
    a_write_that_was_done_unseen_is_seen_once_the_store_can_be_read,
    a_commit_on_a_stale_head_is_refused_and_leaves_nothing,
    a_commit_that_fails_half_way_leaves_nothing_and_the_connection_goes_on,
}

async fn a_sweeper_that_dies_ends_the_bank_at_once_and_the_store_is_closed(bed: Bed) {
    let config = bed.config();
    let (store, gate) = Faulty::open(&config).await;
    let served = Served::start_on(config, store).await;
    served.create_bank("a").await.unwrap();
    gate.set(Fault::SweepPanics);
    // The sweeper may panic before the answer is sent.
    served.delete_bank("a").await.ok();
    let Served { task, shutdown: _kept, .. } = served;
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), task).await.unwrap();
    assert!(matches!(ended.unwrap(), Err(RunError::Sweeper)));
    assert!(gate.is_closed());
}

async fn a_bank_that_cannot_load_its_store_closes_it(bed: Bed) {
    let config = bed.config();
    let (store, gate) = Faulty::open(&config).await;
    gate.set(Fault::Unreadable);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SetClock(AtomicU64::new(NOW)));
    let telemetry = Telemetry::default();
    let source = Source::Open(store);
    let ended = server::run(config, source, listener, Shutdown::new(), clock, &telemetry).await;
    assert!(matches!(ended, Err(RunError::Store(_))));
    assert!(gate.is_closed());
}

async fn a_write_whose_time_runs_out_on_the_way_is_said_to_be_perhaps_done(bed: Bed) {
    let mut config = bed.config();
    config.serving.deadline_ms_default = 300;
    let (store, gate) = Faulty::open(&config).await;
    let served = Served::start_on(config, store).await;
    served.create_bank("a").await.unwrap();
    let closed = gate.close().await;
    let late = served.add_with_key("a", items(0..1), "k").await;
    refused(
        late,
        Code::DeadlineExceeded,
        "may have been done or not; repeat it with the same idempotency key",
    );
    drop(closed);
    let done = served.add_with_key("a", items(0..1), "k").await.unwrap();
    assert_eq!((done.item_ids, served.head().await.item_count), (vec![2], 1));
    served.stop().await;
}

async fn a_store_that_refuses_loses_nothing_and_later_writes_go_on(bed: Bed) {
    let config = bed.config();
    let (store, gate) = Faulty::open(&config).await;
    let served = Served::start_on(config.clone(), store).await;
    served.create_bank("a").await.unwrap();
    let before = served.head().await;

    gate.set(Fault::Refused);
    refused(served.add("a", items(0..3)).await, Code::Unavailable, "nothing was written");
    refused(served.create_bank("b").await, Code::Unavailable, "nothing was written");
    assert_eq!(served.head().await, before);
    assert_eq!(served.list_items("a").await.unwrap().len(), 0);

    gate.set(Fault::None);
    assert_eq!(served.create_bank("b").await.unwrap().bank.unwrap().id, 2);
    assert_eq!(served.add("a", items(0..3)).await.unwrap().item_ids, [3, 4, 5]);
    served.stop().await;
    assert_eq!(crate::verify(&config).await.unwrap().head.sequence.0, 5);
}

async fn a_commit_whose_news_was_lost_is_found_to_be_done(bed: Bed) {
    let config = bed.config();
    let (store, gate) = Faulty::open(&config).await;
    let served = Served::start_on(config, store).await;
    gate.set(Fault::UnknownDone);
    assert_eq!(served.create_bank("a").await.unwrap().sequence, 1);
    gate.set(Fault::None);
    assert_eq!(served.add("a", items(0..1)).await.unwrap().item_ids, [2]);
    served.stop().await;
}

async fn an_outcome_that_stays_unknown_is_said_to_be_and_the_key_settles_it(bed: Bed) {
    let answered = match &bed {
        Bed::Sqlite(_) => "may or may not be stored",
        // PostgreSQL knows the outcome for certain.
        Bed::Postgres(_) => "nothing was written",
    };
    let config = bed.config();
    let (store, gate) = Faulty::open(&config).await;
    let served = Served::start_on(config.clone(), store).await;
    served.create_bank("a").await.unwrap();
    gate.set(Fault::UnknownNotDone);
    refused(served.add_with_key("a", items(0..1), "k").await, Code::Unavailable, answered);
    gate.set(Fault::None);
    let done = served.add_with_key("a", items(0..1), "k").await.unwrap();
    assert_eq!(served.add_with_key("a", items(0..1), "k").await.unwrap(), done);
    assert_eq!(served.head().await.item_count, 1);
    served.stop().await;
    crate::verify(&config).await.unwrap();
}

async fn a_write_that_was_done_unseen_is_seen_once_the_store_can_be_read(bed: Bed) {
    let config = bed.config();
    let (store, gate) = Faulty::open(&config).await;
    let served = Served::start_on(config.clone(), store).await;
    assert_eq!(served.head().await.sequence, 0);
    gate.set(Fault::Unreadable);
    refused(served.create_bank("a").await, Code::Unavailable, "may or may not be stored");
    refused(served.create_bank("b").await, Code::Unavailable, "nothing was written");
    refused(served.item(1).await, Code::Unavailable, "cannot be read");
    gate.set(Fault::None);
    refused(served.create_bank("a").await, Code::AlreadyExists, "a bank called a");
    assert_eq!(served.create_bank("b").await.unwrap().sequence, 2);
    served.stop().await;
    crate::verify(&config).await.unwrap();
}

async fn a_commit_on_a_stale_head_is_refused_and_leaves_nothing(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config.clone()).await;
    served.create_bank("a").await.unwrap();
    let store = open_beside(&config).await;
    let before = served.head().await;

    let HeadRow { head, counts } = store.head_row().await.unwrap();
    let stale = [Head { sequence: Sequence(0), ..head }, Head { chain: Chain::GENESIS, ..head }];
    for head in stale {
        let batch = batch_of(HeadRow { head, counts }, &[create("b")]);
        assert!(matches!(store.commit(&batch).await, Err(CommitError::StaleHead)));
    }
    assert_eq!(served.head().await, before);
    assert_eq!(store.batches(Sequence(0), 10).await.unwrap().len(), 1);
    served.stop().await;
}

async fn a_commit_that_fails_half_way_leaves_nothing_and_the_connection_goes_on(bed: Bed) {
    let config = bed.config();
    let store = open_beside(&config).await;
    let head = store.head_row().await.unwrap();
    let batch_of = |names: &[&str]| {
        let writes: Vec<_> = names.iter().map(|name| create(name)).collect();
        batch_of(head, &writes)
    };
    // The head, the batch and the changes are written before the two banks collide.
    let mut colliding = batch_of(&["a", "b"]);
    colliding.rows.banks_set[1].name = "a".parse().unwrap();
    assert!(matches!(store.commit(&colliding).await, Err(CommitError::Refused(_))));
    assert_eq!(store.head_row().await.unwrap(), head);
    store.commit(&batch_of(&["a", "b"])).await.unwrap();
    assert_eq!(store.load().await.unwrap().banks.len(), 2);
}
