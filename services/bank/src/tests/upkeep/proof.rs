//! Tests of the proof of the log: alterations are found and named.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use vigie_model::{BankId, ItemId, Sequence};

use crate::tests::*;
use crate::{VerifyError, verify};

on_both_stores! {
    one_altered_byte_is_found_and_its_change_named,
    an_altered_item_is_named,
    an_item_that_is_missing_or_back_again_is_found,
    a_change_moved_to_another_shard_is_found,
    a_missing_change_is_named,
    a_log_cut_short_is_found,
    a_batch_with_another_chain_is_named,
    a_log_is_proven_while_its_bank_runs,
    a_damaged_change_stops_its_followers_and_not_the_bank,
    a_damaged_item_is_served_as_the_log_proves_it_was_added,
    a_damaged_item_that_nothing_proves_is_named_to_its_followers,
}

impl Bed {
    /// Alters stored data.
    pub(in crate::tests) async fn alter(&self, statement: &str) {
        match self {
            Self::Sqlite(directory) => {
                let options = SqliteConnectOptions::new().filename(directory.path().join("bank.db"));
                let mut connection: SqliteConnection = options.connect().await.unwrap();
                connection.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
                connection.close().await.unwrap();
            }
            Self::Postgres(database) => drop(database.sql(statement)),
        }
    }

    /// Returns an expression of a payload with one byte changed.
    pub(in crate::tests) const fn altered_payload(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "CAST(substr(payload, 1, 30) || x'ff' || substr(payload, 32) AS BLOB)",
            Self::Postgres(_) => "set_byte(payload, 30, 255)",
        }
    }
}

/// Runs a log of 1 + 40 + 1 + 1 changes in four batches, alters it by a statement, and returns the error.
async fn altered(bed: &Bed, statement: &str) -> VerifyError {
    let bed = bed.another();
    let config = bed.config();
    let served = Served::start(config.clone()).await;
    served.create_bank("a").await.unwrap();
    served.add("a", items(0..40)).await.unwrap();
    served.add("a", items(40..41)).await.unwrap();
    served.remove(vec![5]).await.unwrap();
    served.stop().await;
    assert_eq!(verify(&config).await.unwrap().head.sequence, Sequence(43));

    bed.alter(statement).await;
    verify(&config).await.unwrap_err()
}

async fn one_altered_byte_is_found_and_its_change_named(bed: Bed) {
    let statement = format!("UPDATE changes SET payload = {} WHERE sequence = 17", bed.altered_payload());
    assert!(matches!(altered(&bed, &statement).await, VerifyError::Altered(Sequence(17))));
}

async fn an_altered_item_is_named(bed: Bed) {
    let statement = "UPDATE items SET payload = (SELECT payload FROM items WHERE id = 18) WHERE id = 17";
    let error = altered(&bed, statement).await;
    assert!(matches!(&error, VerifyError::Unreadable { row } if row.contains("17")), "{error}");
    // One byte of its hash.
    let statement = format!("UPDATE items SET payload = {} WHERE id = 17", bed.altered_payload());
    assert!(matches!(altered(&bed, &statement).await, VerifyError::ItemAltered(ItemId(17))));
}

async fn an_item_that_is_missing_or_back_again_is_found(bed: Bed) {
    let error = altered(&bed, "DELETE FROM items WHERE id = 17").await;
    assert!(matches!(error, VerifyError::DigestAltered { bank: BankId(1), .. }), "{error}");
    let error = altered(
        &bed,
        "UPDATE digests SET sum_2 = sum_2 + 1 WHERE partition = (SELECT max(partition) FROM items)",
    )
    .await;
    assert!(matches!(error, VerifyError::DigestAltered { bank: BankId(1), .. }), "{error}");
    let error = altered(&bed, "UPDATE head SET item_count = item_count + 1").await;
    assert!(matches!(error, VerifyError::CountsAltered { items: 40, .. }), "{error}");
}

async fn a_change_moved_to_another_shard_is_found(bed: Bed) {
    let statement = "UPDATE changes SET partition = (partition + 1) % 4096 WHERE sequence = 9";
    assert!(matches!(altered(&bed, statement).await, VerifyError::Altered(Sequence(9))));
}

async fn a_missing_change_is_named(bed: Bed) {
    let statement = "DELETE FROM changes WHERE sequence = 41";
    assert!(matches!(altered(&bed, statement).await, VerifyError::Missing(Sequence(41))));
}

async fn a_log_cut_short_is_found(bed: Bed) {
    let statement = "DELETE FROM batches WHERE last_sequence = 43";
    let error = altered(&bed, statement).await;
    assert!(matches!(error, VerifyError::HeadAltered { end: Sequence(42), head: Sequence(43) }), "{error:?}");
}

async fn a_batch_with_another_chain_is_named(bed: Bed) {
    let statement = "UPDATE batches SET chain = (SELECT chain FROM batches WHERE last_sequence = 42) WHERE last_sequence = 41";
    let error = altered(&bed, statement).await;
    let expected = VerifyError::BatchAltered { first: Sequence(2), last: Sequence(41) };
    assert_eq!(error.to_string(), expected.to_string());
}

async fn a_log_is_proven_while_its_bank_runs(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config.clone()).await;
    served.create_bank("a").await.unwrap();
    served.add("a", items(0..9)).await.unwrap();
    assert_eq!(verify(&config).await.unwrap().head.sequence, Sequence(10));
    assert_eq!(served.add("a", items(9..10)).await.unwrap().sequence, 11);
    served.stop().await;
    assert_eq!(verify(&config).await.unwrap().head.sequence, Sequence(11));
}

/// Returns the items that a follower is sent, or the refusal.
pub(in crate::tests) async fn loaded(served: &Served) -> Result<Vec<vigie_model::Item>, tonic::Status> {
    let request = pb::LoadRequest { shard: 0, shard_count: 1 };
    let mut parts = served.feed.clone().load(request).await?.into_inner();
    let mut loaded = Vec::new();
    while let Some(part) = parts.message().await? {
        if let vigie_model::StatePart::Items { items, .. } = part.try_into().unwrap() {
            loaded.extend(items);
        }
    }
    Ok(loaded)
}

async fn a_damaged_item_is_served_as_the_log_proves_it_was_added(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    served.add("a", items(0..30)).await.unwrap();
    let whole = loaded(&served).await.unwrap();
    bed.alter(&format!("UPDATE items SET payload = {} WHERE id = 17", bed.altered_payload())).await;
    assert_eq!(loaded(&served).await.unwrap(), whole);
    served.stop().await;
}

async fn a_damaged_item_that_nothing_proves_is_named_to_its_followers(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    served.add("a", items(0..30)).await.unwrap();
    // Its change is damaged too.
    for table in ["items SET payload = {} WHERE id = 17", "changes SET payload = {} WHERE sequence = 17"] {
        bed.alter(&format!("UPDATE {}", table.replace("{}", bed.altered_payload()))).await;
    }
    let refused = loaded(&served).await.unwrap_err();
    assert_eq!(refused.code(), Code::DataLoss, "{refused}");
    let text = refused.message();
    assert!(text.starts_with("item 17 is damaged") && text.contains("restore the newest backup"), "{text}");
    served.stop().await;
}

/// A SQLite index whose entries differ from its table: reads through it miss rows.
#[tokio::test]
async fn a_broken_index_of_the_database_is_named() {
    let (directory, config) = on_file();
    let served = Served::start(config.clone()).await;
    served.create_bank("a").await.unwrap();
    served.add("a", items(0..40)).await.unwrap();
    served.stop().await;
    assert_eq!(verify(&config).await.unwrap().structure_unchecked, None);
    let bed = Bed::Sqlite(directory);
    // The schema names other columns for the index than it was built for.
    bed.alter(
        "PRAGMA writable_schema = ON; \
         UPDATE sqlite_schema SET sql = 'CREATE INDEX items_by_bank ON items (partition, id)' \
         WHERE name = 'items_by_bank'",
    )
    .await;
    let error = verify(&config).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, VerifyError::Damaged { .. }), "{text}");
    assert!(text.contains("items_by_bank") && text.contains("REINDEX"), "{text}");
}

#[tokio::test]
async fn to_prove_a_log_that_is_not_there_creates_none() {
    let (directory, config) = on_file();
    assert!(matches!(verify(&config).await, Err(VerifyError::Store(_))));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

async fn a_damaged_change_stops_its_followers_and_not_the_bank(bed: Bed) {
    let config = Config { recent_changes_max: 0, ..bed.config() };
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    bed.alter("UPDATE changes SET digest = chain FROM head").await;

    let request = pb::WatchRequest { shard_count: 1, ..Default::default() };
    let mut ranges = served.feed.clone().watch(request).await.unwrap().into_inner();
    // Heartbeats may come first, while the store is read.
    let failure = loop {
        match ranges.message().await {
            Ok(range) => assert!(range.unwrap().changes.is_empty()),
            failed => break failed,
        }
    };
    refused(failure, Code::Internal, "the bank is at fault");
    assert_eq!(served.create_bank("b").await.unwrap().sequence, 2);
    served.stop().await;
}
