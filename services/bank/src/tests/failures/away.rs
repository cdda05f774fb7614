//! Tests with PostgreSQL out of reach, at a bank's start and for a while under writers; and of the probes of
//! standby banks.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use vigie_telemetry::Condition;

use crate::tests::failures::disasters::{check, write};
use crate::tests::failures::standby::served_by;
use crate::tests::*;

/// Starts a bank on the configured store, with the telemetry that its probes read.
async fn start(bed: &Bed) -> (Served, Telemetry) {
    let telemetry = Telemetry::default();
    let source = Source::At(Location::parse(&bed.config().store).unwrap());
    (Served::start_from(bed.config(), source, telemetry.clone()).await, telemetry)
}

async fn becomes(telemetry: &Telemetry, expected: impl Fn(&Condition) -> bool) -> Condition {
    for _ in 0..600 {
        let condition = telemetry.condition();
        if expected(&condition) {
            return condition;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the bank stays {:?}", telemetry.condition());
}

#[tokio::test]
async fn a_bank_that_starts_before_its_server_says_so_and_serves_once_it_is_there() {
    let Some(server) = Server::start("") else { return };
    let server: &'static Server = Box::leak(Box::new(server));
    let bed = Bed::Postgres(server.database());
    tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    let (served, telemetry) = start(&bed).await;
    let Condition::Unready(reason) = becomes(&telemetry, |now| matches!(now, Condition::Unready(_))).await
    else {
        unreachable!()
    };
    assert!(reason.starts_with("waiting for the store: cannot open the database postgres://"), "{reason}");
    assert!(reason.contains("No such file") || reason.contains("refused"), "{reason}");
    refused(served.create_bank("a").await, Code::Unavailable, "standby: ");
    // The pauses between its attempts have grown by now, and the bank is still running.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!served.task.is_finished());
    tokio::task::spawn_blocking(|| server.start_again()).await.unwrap();
    assert_eq!(served_by(&served, "a").await, 1);
    assert_eq!(telemetry.condition(), Condition::Ready);
    served.stop().await;
    server.stop();
}

#[tokio::test]
async fn a_bank_that_waits_for_its_server_stops_when_it_is_asked_to() {
    let Some(server) = Server::start("") else { return };
    let server: &'static Server = Box::leak(Box::new(server));
    let bed = Bed::Postgres(server.database());
    tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
    let (served, _telemetry) = start(&bed).await;
    served.stop().await;
}

#[tokio::test]
async fn what_only_a_person_can_mend_ends_the_bank() {
    let Some(bed) = Bed::postgres() else { return };
    let Bed::Postgres(database) = &bed else { return };
    let store = database.url().replace(database.name(), "nowhere");
    let source = Source::At(Location::parse(&store.as_str().into()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SetClock(AtomicU64::new(NOW)));
    let telemetry = Telemetry::default();
    let ended = server::run(bed.config(), source, listener, Shutdown::new(), clock, &telemetry).await;
    let Err(RunError::Store(failure)) = ended else { panic!("{ended:?}") };
    assert!(std::error::Error::source(&failure).unwrap().to_string().contains("\"nowhere\" does not exist"));
}

#[tokio::test]
async fn a_bank_beside_one_that_serves_is_ready_to_take_over() {
    let Some(bed) = Bed::postgres() else { return };
    let (first, serves) = start(&bed).await;
    becomes(&serves, |now| *now == Condition::Ready).await;
    let (second, stands_by) = start(&bed).await;
    let standby = Condition::Standby("standing by: another bank serves".into());
    becomes(&stands_by, |now| *now == standby).await;
    first.stop().await;
    becomes(&stands_by, |now| *now == Condition::Ready).await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_for_a_while_under_writers_loses_nothing_and_the_bank_recovers() {
    let Some(server) = Server::start("") else { return };
    let server: &'static Server = Box::leak(Box::new(server));
    let bed = Bed::Postgres(server.database());
    let (served, telemetry) = start(&bed).await;
    served.create_bank("a").await.unwrap();
    // Longer than a term continues without the store. `VIGIE_OUTAGE_SECONDS=120` is the long form.
    let seconds = std::env::var("VIGIE_OUTAGE_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let away = Duration::from_secs(seconds.unwrap_or(12));
    let until = Instant::now() + away + Duration::from_secs(4);
    let outage = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
        let out_of_reach = Condition::Unready("standing by: the store is out of reach".into());
        let back = Instant::now() + away;
        becomes(&telemetry, |now| *now == out_of_reach).await;
        tokio::time::sleep_until(back).await;
        tokio::task::spawn_blocking(|| server.start_again()).await.unwrap();
        becomes(&telemetry, |now| *now == Condition::Ready).await;
    };
    let writers = join_all((0..8).map(|writer| write(&served, writer, until)));
    let (ledgers, ()) = tokio::join!(writers, outage);
    check(&bed, served, ledgers, 1).await;
    server.stop();
}
