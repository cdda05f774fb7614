//! The store on SQLite: flushes, full disks, abandoned transactions, paths.

use vigie_model::{BankRef, Hash, ItemContent, ItemDraft};

use super::*;
use crate::plan::write::Action;
use crate::tests::batch_of;

/// Returns a batch that adds a bank and `count` items to it.
fn batch(head: HeadRow, count: u8) -> Batch {
    let name: BankRef = format!("bank-{}", head.counts.next_bank).parse().unwrap();
    let draft = |byte| ItemDraft { hashes: vec![Hash::md5([byte; 16])], ..ItemDraft::default() };
    let items = (0..count).map(|byte| ItemContent::try_from(draft(byte)).unwrap().into()).collect();
    batch_of(
        head,
        &[
            Action::CreateBank { name: name.clone(), match_ratio: vigie_model::MatchRatio::ALWAYS }
                .by_everyone(),
            Action::AddItems { bank: name, items }.by_everyone(),
        ],
    )
}

async fn pages_max(store: &SqliteStore, pages: u32) {
    let mut writer = store.writer().await.unwrap();
    let pragma = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    sqlx::query(pragma).execute(&mut writer.connection).await.unwrap();
}

#[tokio::test]
async fn every_commit_is_flushed() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::File(directory.path().join("bank.db"));
    let store = SqliteStore::open(&location, 1).await.unwrap();
    let mut writer = store.writer().await.unwrap();
    let mode: String =
        sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut writer.connection).await.unwrap();
    let synchronous: i64 =
        sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut writer.connection).await.unwrap();
    // 2 is FULL: the log is flushed by each commit, and not only when it is moved to the file.
    assert_eq!((mode.as_str(), synchronous), ("wal", 2));
}

#[tokio::test]
async fn a_full_disk_refuses_the_batch_and_the_next_one_goes_through() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::File(directory.path().join("bank.db"));
    let store = SqliteStore::open(&location, 1).await.unwrap();
    // The database may not grow by a page.
    pages_max(&store, 1).await;
    let mut head = store.head_row().await.unwrap();
    assert!(store.load().await.unwrap().banks.is_empty());
    let refused = loop {
        match store.commit(&batch(head, 250)).await {
            Ok(()) => head = store.head_row().await.unwrap(),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, CommitError::Refused(StoreError::Database { .. })), "{refused:?}");
    assert_eq!(store.head_row().await.unwrap(), head);

    pages_max(&store, 10_000).await;
    store.commit(&batch(head, 250)).await.unwrap();
    assert_eq!(store.head_row().await.unwrap().counts.items, head.counts.items + 250);
}

#[tokio::test]
async fn an_abandoned_transaction_is_rolled_back_before_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::File(directory.path().join("bank.db"));
    let store = SqliteStore::open(&location, 1).await.unwrap();
    let head = store.head_row().await.unwrap();
    {
        let mut writer = store.writer().await.unwrap();
        writer.begin().await.unwrap();
        assert!(insert::batch(&mut writer.connection, &batch(head, 3)).await.unwrap());
    }
    store.commit(&batch(head, 5)).await.unwrap();
    assert_eq!(store.head_row().await.unwrap().counts.items, 5);
}

#[tokio::test]
async fn the_writer_does_not_wait_for_those_who_read() {
    let directory = tempfile::tempdir().unwrap();
    let location = Location::File(directory.path().join("bank.db"));
    let store = SqliteStore::open(&location, 1).await.unwrap();
    let _only_reader = store.reader().await.unwrap();
    let work = async {
        let Loaded { head, counts, .. } = store.load().await.unwrap();
        let head = HeadRow { head, counts };
        store.placements(&[ItemId(1)]).await.unwrap();
        store.recorded(&["k".to_owned()]).await.unwrap();
        store.commit(&batch(head, 3)).await.unwrap();
        assert_eq!(store.newest().await.unwrap(), Sequence(4));
        assert_eq!(store.outcome(&batch(head, 3).head).await.unwrap(), Some(true));
    };
    // Less than a read's wait for a connection.
    tokio::time::timeout(BUSY_MAX, work).await.unwrap();
}

#[tokio::test]
async fn the_folder_of_a_new_database_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("var/lib/bank.db");
    SqliteStore::open(&Location::File(path.clone()), 1).await.unwrap().close().await;
    assert!(path.exists());
}

#[tokio::test]
async fn what_cannot_be_opened_is_named_by_its_path() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "no database, and longer than the header of one".repeat(9)).unwrap();
    for path in [file.clone(), file.join("below/bank.db"), directory.path().to_owned()] {
        let error = SqliteStore::open(&Location::File(path), 1).await.unwrap_err().to_string();
        assert!(error.contains(&directory.path().display().to_string()), "{error}");
    }
    let error = SqliteStore::open_to_read(&directory.path().join("none.db")).await.unwrap_err();
    assert!(error.to_string().contains("none.db"), "{error}");
}
