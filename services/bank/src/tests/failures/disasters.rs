//! Tests with PostgreSQL that restarts, loses connections, runs out of disk space, and has many writers:
//! every acknowledged write is kept, once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use vigie_log::{ChangeRange, Sequence, Slice};

use crate::plan::audit::Audit;
use crate::store::{CommitError, Loaded};
use crate::tests::failures::standby::terminate;
use crate::tests::writes::create;
use crate::tests::*;

/// The items that writers sent, and the ids in the answers: `None` if no answer arrived.
pub(super) type Ledger = BTreeMap<u64, Option<u64>>;

/// Adds items one by one, each with its own number, until `until`; continues after refusals.
pub(super) async fn write(served: &Served, writer: u64, until: Instant) -> Ledger {
    let mut ledger = Ledger::new();
    for number in writer * 1_000_000.. {
        if Instant::now() >= until {
            break;
        }
        match served.add("a", vec![item(number)]).await {
            Ok(added) => drop(ledger.insert(number, Some(added.item_ids[0]))),
            Err(status) => {
                let refused = status.message().contains("nothing was written");
                if !refused {
                    ledger.insert(number, None);
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    ledger
}

/// Compares the stored items with the acknowledged ones: each of these is stored once, and any others are
/// ones without an answer.
pub(super) async fn check(bed: &Bed, served: Served, ledgers: Vec<Ledger>, acknowledged_min: u32) {
    // Commits that were under way have ended before anything else is numbered.
    crate::tests::failures::standby::served_by(&served, "last").await;
    let (mut kept, mut after_id) = (BTreeMap::new(), 0);
    loop {
        let request =
            pb::ListItemsRequest { bank: "a".into(), page_size: 1_000, after_id, ..Default::default() };
        let page = served.bank.clone().list_items(request).await.unwrap().into_inner().items;
        for item in &page {
            let reference = &item.content.as_ref().unwrap().external_reference;
            let number: u64 = reference.strip_prefix("case-").unwrap().parse().unwrap();
            assert_eq!(kept.insert(number, item.id), None, "{number} is there twice");
            after_id = item.id;
        }
        if page.len() < 1_000 {
            break;
        }
    }
    let (mut acknowledged, mut unanswered) = (0_u32, 0_u32);
    for (number, id) in ledgers.into_iter().flatten() {
        match (id, kept.remove(&number)) {
            (Some(id), found) => {
                assert_eq!(found, Some(id), "{number} was acknowledged");
                acknowledged += 1;
            }
            (None, _) => unanswered += 1,
        }
    }
    assert_eq!(kept, BTreeMap::new(), "nobody sent these, or they were said not to be written");
    println!("{acknowledged} acknowledged, {unanswered} unanswered");
    assert!(acknowledged >= acknowledged_min, "{acknowledged}");
    served.stop().await;
    // The log is dense and in order, and each item matches its change.
    crate::verify(&bed.config()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_crashes_under_writers_loses_nothing_and_the_bank_goes_on() {
    let Some(server) = Server::start("") else { return };
    let server: &'static Server = Box::leak(Box::new(server));
    let bed = Bed::Postgres(server.database());
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let until = Instant::now() + Duration::from_secs(6);
    let crashes = async {
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(900)).await;
            tokio::task::spawn_blocking(|| server.crash_and_restart()).await.unwrap();
        }
    };
    let writers = join_all((0..8).map(|writer| write(&served, writer, until)));
    let (ledgers, ()) = tokio::join!(writers, crashes);
    check(&bed, served, ledgers, 51).await;
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_end_in_the_middle_of_commits_lose_nothing() {
    let Some(bed) = Bed::postgres() else { return };
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    let ends = async {
        while Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(40)).await;
            terminate(&bed, "application_name = 'vigie-bank' AND pid NOT IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')").await;
        }
    };
    let writers = join_all((0..8).map(|writer| write(&served, writer, until)));
    let (ledgers, ()) = tokio::join!(writers, ends);
    check(&bed, served, ledgers, 51).await;
}

/// Plans the next batch of a writer by itself: a new bank.
fn plan(loaded: Loaded, name: &str) -> Batch {
    let directory = loaded.directory();
    let mut state = State::new(loaded.counts, loaded.banks, directory, Audit::empty());
    let draft = Draft::new(loaded.head, UnixMillis(NOW));
    let mut planner = Planner::new(&mut state, Known::default(), draft, 10_000);
    planner.plan(&create(name)).unwrap();
    let planned = planner.finish();
    planned.draft.seal(planned.rows, Vec::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_polls_the_log_of_many_writers_misses_no_change() {
    const WRITERS: u64 = 6;
    const EACH: u64 = 30;
    let Some(bed) = Bed::postgres() else { return };
    let config = Config { read_connections_max: 1, ..bed.config() };
    let reader = open(&config).await;
    let Bed::Postgres(database) = &bed else { return };
    // A pause between the numbering of the changes and the commit, different each time: a client that polls
    // could miss a change here.
    database.sql(
        "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_sleep(random() * 0.02); RETURN NULL; END $$; \
         CREATE TRIGGER pause AFTER INSERT ON changes FOR EACH STATEMENT EXECUTE FUNCTION pause()",
    );
    let writer = async |writer: u64| {
        let store = open(&config).await;
        for number in 0..EACH {
            loop {
                let batch = plan(store.load().await.unwrap(), &format!("{writer}-{number}"));
                match store.commit(&batch).await {
                    Ok(()) => break,
                    Err(CommitError::StaleHead) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
        store.close().await;
    };
    let follower = async {
        let (mut seen, mut names) = (Sequence::ZERO, BTreeSet::new());
        while seen.0 < WRITERS * EACH {
            let range = ChangeRange {
                after: seen,
                through: Sequence(u64::MAX >> 1),
                slice: Slice::ALL,
                count_max: 1_000,
                bytes_max: 1 << 20,
            };
            for change in reader.changes(&range).await.unwrap().changes {
                assert_eq!(change.sequence, seen.next());
                seen = change.sequence;
                assert!(names.insert(change.bytes), "one change came twice");
            }
        }
    };
    tokio::join!(join_all((0..WRITERS).map(writer)), follower);
    reader.close().await;
    assert_eq!(crate::verify(&bed.config()).await.unwrap().head.banks, WRITERS * EACH);
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_the_next_ones_go_through() {
    let Some(bed) = Bed::postgres() else { return };
    let Bed::Postgres(database) = &bed else { return };
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let before = served.head().await;
    // The error that PostgreSQL reports when a file cannot grow.
    database.sql(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$; \
         CREATE TRIGGER full_disk BEFORE INSERT ON items FOR EACH STATEMENT EXECUTE FUNCTION full_disk()",
    );
    for _ in 0..3 {
        refused(served.add("a", items(0..10)).await, Code::Unavailable, "nothing was written");
    }
    assert_eq!(served.head().await, before);
    database.sql("DROP TRIGGER full_disk ON items");
    assert_eq!(served.add("a", items(0..10)).await.unwrap().sequence, 11);
    served.stop().await;
    crate::verify(&bed.config()).await.unwrap();
}

#[tokio::test]
async fn the_outcome_of_a_commit_is_certain_once_its_transaction_has_ended() {
    let Some(bed) = Bed::postgres() else { return };
    let Bed::Postgres(database) = &bed else { return };
    let store = open(&bed.config()).await;
    let batch = plan(store.load().await.unwrap(), "a");
    assert_eq!(store.outcome(&batch.head).await.unwrap(), Some(false));
    // Its transaction is under way, and holds the head for a second after its last statement but one.
    database.sql(
        "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$; \
         CREATE TRIGGER pause AFTER INSERT ON changes FOR EACH STATEMENT EXECUTE FUNCTION pause()",
    );
    let asked = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        store.outcome(&batch.head).await.unwrap()
    };
    let (committed, outcome) = tokio::join!(store.commit(&batch), asked);
    committed.unwrap();
    assert_eq!(outcome, Some(true));
    assert!(matches!(store.commit(&batch).await, Err(CommitError::StaleHead)));
    store.close().await;
}

#[tokio::test]
async fn a_server_that_does_not_flush_is_refused_unless_the_settings_allow_it() {
    let Some(bed) = Bed::postgres() else { return };
    let Bed::Postgres(database) = &bed else { return };
    let name = database.name();
    database.sql(&format!("ALTER DATABASE {name} SET synchronous_commit = off"));
    let location = Location::parse(&bed.config().store).unwrap();
    let refusal = store::open(&location, &bed.config()).await.map(drop).unwrap_err();
    assert!(refusal.to_string().contains("synchronous_commit = off"), "{refusal}");
    let allowed = Config { allow_unflushed: true, ..bed.config() };
    store::open(&location, &allowed).await.unwrap().close().await;
}

#[tokio::test]
async fn a_schema_is_brought_up_to_date_once_however_often_it_is_asked() {
    let Some(bed) = Bed::postgres() else { return };
    let config = bed.config();
    let all = join_all((0..4).map(|_| crate::migrate(&config))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    let served = Served::start(config).await;
    assert_eq!(served.head().await.sequence, 0);
    served.stop().await;
}
