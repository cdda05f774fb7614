//! A short form of the crash rig; TESTING.md has the long one.

use std::time::Duration;

use rand::RngExt as _;
use vigie_harness::binary::vigie_binary;
use vigie_tests::crash::{self, CrashPlan};

async fn check(store: impl Fn(&std::path::Path) -> String, kills: u64) {
    let given = std::env::var("VIGIE_SEED").ok().map(|seed| seed.parse().expect("VIGIE_SEED is a number"));
    let seed = given.unwrap_or_else(|| rand::rng().random());
    eprintln!("VIGIE_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let plan = CrashPlan {
        vigie: vigie_binary().to_owned(),
        folder: folder.path().to_owned(),
        store: store(folder.path()),
        shard_count: 2,
        writers: 3,
        readers: 1,
        kills,
        kills_between_checks: kills.div_ceil(2),
        pause_max: Duration::from_millis(800),
        seed,
    };
    let report = crash::run(&plan, |line| eprintln!("{line}")).await.unwrap();
    assert!(report.tally.added > 0 && report.tally.answers > 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_lose_nothing_on_sqlite() {
    check(|folder| format!("sqlite:{}", folder.join("bank.db").display()), 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_lose_nothing_on_postgresql() {
    let Some(server) = vigie_test_postgres::Server::shared() else { return };
    let database = server.database();
    check(|_| database.url(), 4).await;
}
