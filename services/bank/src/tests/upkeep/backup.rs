//! Tests of copies of a store: they have the state of one moment, are proven, and their log continues.

use std::path::Path;

use vigie_model::change::Cursor;
use vigie_model::{FeedRange, Sequence, ShardIdentity};

use crate::tests::*;
use crate::{BackupError, VerifyError, backup, restore, verify};

fn embedded(path: &Path) -> Config {
    Config {
        store: format!("sqlite:{}", path.display()).into(),
        heartbeat_ms: 20,
        serving: vigie_serving::ServingConfig::default().without_lame_duck(),
        ..Config::default()
    }
}

/// Follows everything from a cursor to the head.
async fn follow(served: &Served, from: Option<Cursor>) -> Result<(Cursor, usize), Status> {
    let head = served.head().await.sequence;
    let request = pb::WatchRequest::from((from, ShardIdentity::new(0, 1).unwrap()));
    let mut ranges = served.feed.clone().watch(request).await?.into_inner();
    let mut changes = 0;
    loop {
        let range: FeedRange = ranges.message().await?.unwrap().try_into().unwrap();
        changes += range.changes.len();
        if range.through == Sequence(head) {
            return Ok((range.end(), changes));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_writes_is_proven_and_a_follower_goes_on_with_what_is_restored() {
    let (directory, config) = on_file();
    let served = Served::start(config.clone()).await;
    served.create_bank("a").await.unwrap();
    served.add("a", items(0..500)).await.unwrap();
    let (cursor, _) = follow(&served, None).await.unwrap();
    let file = directory.path().join("copy.db");
    let writes = async {
        for number in 500..600 {
            served.add("a", items(number..number + 1)).await.unwrap();
        }
    };
    let (copied, ()) = tokio::join!(backup(&config, &file), writes);
    let copied = copied.unwrap();
    assert!((501..=601).contains(&copied.sequence.0), "{}", copied.sequence);
    let (beyond, _) = follow(&served, None).await.unwrap();
    served.stop().await;

    let other = embedded(&directory.path().join("other/bank.db"));
    assert_eq!(restore(&other, &file).await.unwrap(), copied);
    assert_eq!(verify(&other).await.unwrap().head, copied);
    let restored = Served::start(other).await;
    assert_eq!(restored.head().await.sequence, copied.sequence.0);
    restored.create_bank("b").await.unwrap();
    let (end, changes) = follow(&restored, Some(cursor)).await.unwrap();
    assert_eq!(end.log, cursor.log);
    assert_eq!(changes as u64, copied.sequence.0 + 1 - 501);
    if beyond.sequence > copied.sequence {
        let refusal = follow(&restored, Some(beyond)).await.map(drop);
        refused(refusal, Code::OutOfRange, "");
    }
    restored.stop().await;
}

#[tokio::test]
async fn nothing_that_is_there_is_replaced() {
    let (directory, config) = on_file();
    let served = Served::start(config.clone()).await;
    served.create_bank("a").await.unwrap();
    let file = directory.path().join("copy.db");
    backup(&config, &file).await.unwrap();
    assert!(matches!(backup(&config, &file).await, Err(BackupError::Exists(_))));
    assert!(matches!(restore(&config, &file).await, Err(BackupError::Exists(_))));
    served.stop().await;
    let names = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with("bank.db"));
    assert_eq!(names, ["copy.db"]);
}

#[tokio::test]
async fn a_damaged_copy_does_not_become_a_store() {
    let bed = Bed::sqlite();
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    served.add("a", items(0..20)).await.unwrap();
    served.stop().await;
    bed.alter("UPDATE changes SET digest = zeroblob(32) WHERE sequence = 9").await;
    let Bed::Sqlite(directory) = &bed else { return };
    let (file, other) = (directory.path().join("bank.db"), directory.path().join("other.db"));
    let refusal = restore(&embedded(&other), &file).await.unwrap_err();
    assert!(matches!(refusal, BackupError::Unsound(VerifyError::Altered(Sequence(9)))), "{refusal}");
    assert!(!other.exists());
    let refusal = backup(&bed.config(), &directory.path().join("copy.db")).await.unwrap_err();
    assert!(matches!(refusal, BackupError::Unsound(_)), "{refusal}");
    assert!(matches!(
        backup(&Config { store: "sqlite::memory:".into(), ..bed.config() }, &other).await,
        Err(BackupError::NotEmbedded)
    ));
}

#[tokio::test]
async fn a_dump_of_a_database_restores_to_a_log_that_goes_on() {
    let Some(bed) = Bed::postgres() else { return };
    let Some(Bed::Postgres(other)) = Bed::postgres() else { return };
    let Bed::Postgres(database) = &bed else { return };
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    served.add("a", items(0..300)).await.unwrap();
    let (cursor, _) = follow(&served, None).await.unwrap();
    served.add("a", items(300..310)).await.unwrap();
    let head = served.head().await;

    // While the bank runs.
    let server = Server::shared().unwrap();
    let file = server.folder().join(format!("{}.dump", database.name()));
    let file = file.to_str().unwrap();
    server.run("pg_dump", ["--format=custom", "--file", file, database.name()]);
    served.stop().await;
    server.run("pg_restore", ["--exit-on-error", "--single-transaction", "--dbname", other.name(), file]);

    let config = Config { store: other.url().into(), ..bed.config() };
    assert_eq!(verify(&config).await.unwrap().head.sequence.0, head.sequence);
    let restored = Served::start(config).await;
    assert_eq!(restored.head().await, head);
    let (end, changes) = follow(&restored, Some(cursor)).await.unwrap();
    assert_eq!((end.log, changes), (cursor.log, 10));
    assert_eq!(restored.add("a", items(310..311)).await.unwrap().sequence, head.sequence + 1);
    restored.stop().await;
}
