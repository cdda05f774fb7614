//! Tests of writes: their answers, what survives a restart, and their concurrency.

use std::time::Duration;

use futures::future::join_all;
use tokio::sync::Notify;
use tokio::time::Instant;
use vigie_proto::status::retry_after;

use vigie_log::{Feed, Log, LogRead, LogStore, Shutdown, Sweeper, WriteRefused, Writer};

use super::failures::faulty::Faulty;
use super::*;
use crate::error::Error;
use crate::log::BankLog;
use crate::plan::answer::Answer;
use crate::plan::write::{Action, Write};
use crate::store::Rows;
use crate::upkeep::erase::Eraser;

on_both_stores! {
    what_was_acknowledged_survives_a_restart,
    the_id_of_a_deleted_bank_is_not_used_again,
    a_rejected_write_does_not_disturb_the_others_of_its_group,
    a_full_queue_refuses_at_once_and_says_when_to_come_back,
    a_write_whose_time_is_over_before_it_begins_is_not_begun,
    what_waits_when_the_bank_stops_is_written_and_what_comes_later_is_not,
    a_deleted_bank_takes_its_items_along_at_once_and_the_sweep_goes_on_after_a_restart,
    a_deletion_reports_how_many_items_it_removed,
    a_thousand_items_of_64_hashes_fit_into_one_write,
    ; threads:
    concurrent_writers_get_dense_sequences_and_a_chain_that_holds,
    two_writers_on_one_file_never_number_two_changes_alike,
}

async fn what_was_acknowledged_survives_a_restart(bed: Bed) {
    let config = bed.config();
    let first = Served::start(config.clone()).await;
    let created = first.create_bank("a").await.unwrap();
    assert_eq!((created.sequence, created.bank.unwrap().id), (1, 1));
    let added = first.add("a", items(0..3)).await.unwrap();
    assert_eq!((added.item_ids, added.sequence), (vec![2, 3, 4], 4));
    assert_eq!(first.remove(vec![3]).await.unwrap().sequence, 5);
    let head = first.head().await;
    assert_eq!((head.bank_count, head.item_count, head.hash_count), (1, 2, 4));
    first.stop().await;

    let second = Served::start(config).await;
    assert_eq!(second.head().await, head);
    assert_eq!(second.item(4).await.unwrap().item.unwrap().content.unwrap(), item(2));
    refused(second.item(3).await, Code::NotFound, "no item 3");
    assert_eq!(second.add("a", items(9..10)).await.unwrap().item_ids, [6]);
    second.stop().await;
}

async fn the_id_of_a_deleted_bank_is_not_used_again(bed: Bed) {
    let config = bed.config();
    let first = Served::start(config.clone()).await;
    for (name, id) in [("a", 1), ("b", 2)] {
        assert_eq!(first.create_bank(name).await.unwrap().bank.unwrap().id, id);
    }
    first.delete_bank("b").await.unwrap();
    first.stop().await;
    let second = Served::start(config).await;
    assert_eq!(second.create_bank("b").await.unwrap().bank.unwrap().id, 3);
    second.stop().await;
}

async fn concurrent_writers_get_dense_sequences_and_a_chain_that_holds(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config.clone()).await;
    served.create_bank("a").await.unwrap();
    let writer = |writer: u64| {
        let served = &served;
        async move {
            let mut ids = Vec::new();
            for round in 0..5 {
                let first = writer * 1_000 + round * 10;
                let added = served.add("a", items(first..first + 1 + writer % 3)).await.unwrap();
                ids.extend(added.item_ids);
            }
            ids
        }
    };
    let mut ids: Vec<u64> = join_all((0..32).map(writer)).await.concat();
    ids.sort_unstable();
    let head = served.head().await;
    assert_eq!(ids, (2..=head.sequence).collect::<Vec<_>>());
    assert_eq!(head.item_count, ids.len() as u64);
    served.stop().await;
    assert_eq!(crate::verify(&config).await.unwrap().head.sequence.0, head.sequence);
}

async fn two_writers_on_one_file_never_number_two_changes_alike(bed: Bed) {
    let config = bed.config();
    let mut logs = Vec::new();
    for _ in 0..2 {
        logs.push(BareLog::start(&open_beside(&config).await, &config));
    }
    let writer = |writer: usize| {
        let log = &logs[writer % 2].log;
        async move {
            let mut sequences = Vec::new();
            while sequences.len() < 10 {
                let name = format!("{writer}-{}", sequences.len());
                match log.write(create(&name), None, in_a_minute()).await {
                    Ok(Answer::Bank { sequence, .. }) => sequences.push(sequence.0),
                    // The other was quicker each time; the code asks for a retry.
                    other => assert_eq!(other, Err(Error::Log(WriteRefused::Contended))),
                }
            }
            sequences
        }
    };
    let mut sequences: Vec<u64> = join_all((0..6).map(writer)).await.concat();
    sequences.sort_unstable();
    assert_eq!(sequences, (1..=60).collect::<Vec<_>>());
    for bare in logs {
        bare.stop().await;
    }
    assert_eq!(crate::verify(&config).await.unwrap().head.banks, 60);
}

#[tokio::test]
async fn a_second_bank_on_one_file_does_not_start_until_the_first_has_stopped() {
    let (directory, config) = on_file();
    let first = Served::start(config.clone()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let running = tokio::spawn(crate::run(config.clone(), listener, Shutdown::new()));
    let error = running.await.unwrap().unwrap_err();
    let text = std::error::Error::source(&error).unwrap().to_string();
    let path = directory.path().join("bank.db").display().to_string();
    assert_eq!(text, format!("another bank runs on {path}: it holds {path}.lock"));
    first.create_bank("a").await.unwrap();
    first.stop().await;
    Served::start(config).await.stop().await;
}

async fn a_rejected_write_does_not_disturb_the_others_of_its_group(bed: Bed) {
    let config = bed.config();
    let (store, gate) = Faulty::open(&config).await;
    let served = Served::start_on(config, store).await;
    served.create_bank("a").await.unwrap();
    let closed = gate.close().await;
    let first = served.add("a", items(0..1));
    let rest = async {
        gate.commit_waits().await;
        let (good, taken, unknown) =
            (served.add("a", items(1..2)), served.create_bank("a"), served.remove(vec![77]));
        let open = async { drop(closed) };
        let (good, taken, unknown, ()) = tokio::join!(good, taken, unknown, open);
        assert_eq!(good.unwrap().item_ids, [3]);
        refused(taken, Code::AlreadyExists, "a bank called a already");
        refused(unknown, Code::NotFound, "no item 77");
    };
    let (first, ()) = tokio::join!(first, rest);
    assert_eq!(first.unwrap().item_ids, [2]);
    assert_eq!(served.head().await.sequence, 3);
    served.stop().await;
}

async fn a_full_queue_refuses_at_once_and_says_when_to_come_back(bed: Bed) {
    let config = bed.config();
    let config = Config { write_queue_max: 2, ..config };
    let (store, gate) = Faulty::open(&config).await;
    let served = Served::start_on(config, store).await;
    served.create_bank("a").await.unwrap();
    let closed = gate.close().await;
    let first = served.add("a", items(0..1));
    let rest = async {
        gate.commit_waits().await;
        let writes = (1..5).map(|number| served.add("a", items(number..number + 1)));
        let mut writes: futures::stream::FuturesUnordered<_> = writes.collect();
        for _ in 0..2 {
            let refusal = futures::StreamExt::next(&mut writes).await.unwrap();
            let refusal = refused(refusal, Code::ResourceExhausted, "too many writes");
            assert!(retry_after(&refusal).is_some());
        }
        drop(closed);
        let accepted: Vec<_> = futures::StreamExt::collect(writes).await;
        assert!(accepted.iter().all(Result::is_ok), "{accepted:?}");
    };
    let (first, ()) = tokio::join!(first, rest);
    first.unwrap();
    assert_eq!(served.head().await.item_count, 3);
    served.stop().await;
}

/// A log without a server.
pub(super) struct BareLog {
    pub(super) log: Log<BankLog>,
    pub(super) feed: Arc<Feed<BankLog>>,
    application: Arc<BankLog>,
    wake: Arc<Notify>,
    pub(super) clock: Arc<SetClock>,
    stop: Shutdown,
    writer: JoinHandle<()>,
}

impl BareLog {
    pub(super) fn start(store: &Arc<dyn Store>, config: &Config) -> Self {
        let clock = Arc::new(SetClock(AtomicU64::new(NOW)));
        let read: Arc<dyn LogRead<Error = StoreError>> = Arc::clone(store) as _;
        let feed = Arc::new(Feed::new(read, server::feed_limits(config)));
        let salts = Arc::new(vigie_audit::salt::Salts::new().unwrap());
        let application = Arc::new(BankLog::new(
            Arc::clone(store),
            config.banks_max,
            Arc::clone(&clock) as _,
            salts,
            Eraser::new(config.purge_rewrites, Arc::default()),
        ));
        let (wake, stop) = (Arc::new(Notify::new()), Shutdown::new());
        let limits = server::write_limits(config);
        let (log_store, waker) = (Self::log_store(store), Arc::clone(&wake));
        let dyn_clock = Arc::clone(&clock) as Arc<dyn Clock>;
        let user = Arc::clone(&application);
        let (log, writer) = Writer::new(user, log_store, Arc::clone(&feed), waker, dyn_clock, limits);
        let writer = tokio::spawn(writer.run(stop.clone()));
        Self { log, feed, application, wake, clock, stop, writer }
    }

    fn log_store(store: &Arc<dyn Store>) -> Arc<dyn LogStore<Rows, Error = StoreError>> {
        Arc::clone(store) as _
    }

    /// Returns a sweeper for the store, with these settings.
    pub(super) fn sweeper(&self, store: &Arc<dyn Store>, config: &Config) -> Sweeper<BankLog> {
        Sweeper {
            application: Arc::clone(&self.application),
            store: Self::log_store(store),
            feed: Arc::clone(&self.feed),
            wake: Arc::clone(&self.wake),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            keep: server::keep(config),
            cut_from: Instant::now(),
            rows_max: config.sweep_rows_max,
        }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.writer.await.unwrap();
    }
}

pub(super) fn create(name: &str) -> Write {
    Action::CreateBank { name: name.parse().unwrap(), match_ratio: vigie_model::MatchRatio::ALWAYS }
        .by_everyone()
}

pub(super) fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn a_write_whose_time_is_over_before_it_begins_is_not_begun(bed: Bed) {
    let config = bed.config();
    let (store, gate) = Faulty::open(&config).await;
    let bare = BareLog::start(&store, &config);
    let closed = gate.close().await;
    let first = bare.log.write(create("a"), None, in_a_minute());
    let rest = async {
        gate.commit_waits().await;
        let late = bare.log.write(create("late"), None, Instant::now());
        let (late, ()) = tokio::join!(late, async { drop(closed) });
        assert_eq!(late, Err(Error::Log(WriteRefused::TooLate)));
    };
    let (first, ()) = tokio::join!(first, rest);
    first.unwrap();
    assert_eq!(store.head().await.unwrap().sequence.0, 1);
    bare.stop().await;
}

async fn what_waits_when_the_bank_stops_is_written_and_what_comes_later_is_not(bed: Bed) {
    let config = bed.config();
    let (store, gate) = Faulty::open(&config).await;
    let bare = BareLog::start(&store, &config);
    let closed = gate.close().await;
    let first = bare.log.write(create("a"), None, in_a_minute());
    let rest = async {
        gate.commit_waits().await;
        let waiting = bare.log.write(create("b"), None, in_a_minute());
        let stop = async {
            bare.stop.cancel();
            drop(closed);
        };
        tokio::join!(waiting, stop).0.unwrap();
    };
    let (first, ()) = tokio::join!(first, rest);
    first.unwrap();
    bare.writer.await.unwrap();
    assert_eq!(bare.log.write(create("c"), None, in_a_minute()).await, Err(Error::Stopping));
    assert_eq!(store.head().await.unwrap().sequence.0, 2);
}

async fn a_deleted_bank_takes_its_items_along_at_once_and_the_sweep_goes_on_after_a_restart(bed: Bed) {
    let config = bed.config();
    let first = Served::start(config.clone()).await;
    first.create_bank("kept").await.unwrap();
    first.create_bank("gone").await.unwrap();
    first.add("kept", items(0..5)).await.unwrap();
    let gone = first.add("gone", items(5..1_005)).await.unwrap().item_ids;
    first.stop().await;

    // Deleted, and half swept, by a bank that then stops.
    let store = open_beside(&config).await;
    let bare = BareLog::start(&store, &config);
    let deletion = Action::DeleteBank { name: "gone".parse().unwrap() }.by_everyone();
    bare.log.write(deletion, None, in_a_minute()).await.unwrap();
    let sweeper = bare.sweeper(&store, &Config { sweep_rows_max: 300, ..config.clone() });
    bare.stop().await;
    assert!(sweeper.step().await.unwrap());
    store.close().await;
    drop((sweeper, store));

    let second = Served::start(Config { sweep_rows_max: 300, ..config.clone() }).await;
    refused(second.list_items("gone").await, Code::NotFound, "no bank called gone");
    refused(second.item(gone[999]).await, Code::NotFound, "no item");
    refused(second.remove(vec![gone[999]]).await, Code::NotFound, "no item");
    let head = second.head().await;
    assert_eq!((head.bank_count, head.item_count, head.hash_count), (1, 5, 10));
    let observer = open_beside(&config).await;
    let rows: Vec<_> = gone.iter().map(|id| vigie_model::ItemId(*id)).collect();
    while !observer.placements(&rows).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(second.list_items("kept").await.unwrap().len(), 5);
    // The name is free, and the new bank has nothing of the old one.
    second.create_bank("gone").await.unwrap();
    assert_eq!(second.list_items("gone").await.unwrap().len(), 0);
    second.stop().await;
}

async fn a_deletion_reports_how_many_items_it_removed(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    served.add("a", items(0..7)).await.unwrap();
    served.remove(vec![2]).await.unwrap();
    assert_eq!(served.delete_bank("a").await.unwrap().item_count, 6);
    refused(served.delete_bank("a").await, Code::NotFound, "no bank called a");
    served.stop().await;
}

#[tokio::test]
async fn a_bank_in_memory_works_as_one_on_disk() {
    let config = Config { store: "sqlite::memory:".into(), ..Config::default() };
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    let adds = join_all((0..8).map(|number| served.add("a", items(number..number + 1)))).await;
    assert!(adds.iter().all(Result::is_ok));
    assert_eq!(served.list_items("a").await.unwrap().len(), 8);
    served.stop().await;
}

async fn a_thousand_items_of_64_hashes_fit_into_one_write(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    let large = |number: u64| {
        let hash = |salt: u64| pb_model::Hash {
            hash_type: pb_model::HashType::Pdq.into(),
            value: [(number * 64 + salt).to_be_bytes(); 4].concat(),
        };
        pb::ItemContent { hashes: (0..64).map(hash).collect(), ..Default::default() }
    };
    let added = served.add("a", (0..1_000).map(large).collect()).await.unwrap();
    assert_eq!(added.item_ids.len(), 1_000);
    assert_eq!(served.head().await.hash_count, 64_000);
    served.stop().await;
}
