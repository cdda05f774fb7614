//! A removed hash in the files of a whole deployment, before and after its purge.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use vigie_clients::IdempotencyKey;
use vigie_harness::in_process::{Cluster, as_of, soon};
use vigie_model::{Hash, SearchOptions};
use vigie_tests::material::{generator, item, pdq, random_pdq};

/// Returns whether a file below a folder contains some bytes.
fn is_in_a_file(folder: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return is_in_a_file(&path, bytes);
        }
        // A file may disappear while the folder is read.
        let file = fs::read(&path).unwrap_or_default();
        memchr::memmem::find(&file, bytes).is_some()
    })
}

async fn start(data: &Path) -> Cluster {
    let edit = |config: &mut vigie::local_cluster::LocalClusterConfig| {
        config.data = data.to_owned();
        config.matcher.purge_hours = 0;
        config.matcher.snapshot_changes = 1;
    };
    Cluster::start_with(edit).await.unwrap()
}

/// Makes all purges due, as if their hours had passed.
async fn let_the_hours_pass(store: &Path) {
    let options = SqliteConnectOptions::new().filename(store);
    let mut connection = options.connect().await.unwrap();
    let changed =
        sqlx::query("UPDATE purges SET purge_at_ms = 1, erase_at_ms = 1").execute(&mut connection).await;
    assert_eq!(changed.unwrap().rows_affected(), 1);
    connection.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_hash_is_in_no_file_of_the_deployment_once_its_hours_have_passed() {
    let data = tempfile::tempdir().unwrap();
    let mut rng = generator(12);
    let hashes: Vec<[u8; 32]> = (0..60).map(|_| random_pdq(&mut rng)).collect();
    let of = |hash: &[u8; 32]| item([Hash::pdq(*hash), Hash::sha256(hash.map(|byte| !byte))]).unwrap();
    let is_anywhere = |hash: &[u8; 32]| {
        is_in_a_file(data.path(), hash) || is_in_a_file(data.path(), &hash.map(|byte| !byte))
    };

    let cluster = start(data.path()).await;
    let bank = cluster.create_bank("known").await.unwrap();
    let (ids, _) = cluster.add(&bank, hashes.iter().map(of).collect()).await.unwrap();
    let removed = cluster.bank.remove_items(&ids[..1], IdempotencyKey::random(), soon()).await.unwrap();
    let answer = cluster.ask_one(pdq(hashes[0]), as_of(removed.sequence)).await.unwrap();
    assert_eq!(answer.found.matches, []);
    assert!(is_anywhere(&hashes[0]), "the bank's log has it");
    cluster.stop().await.unwrap();
    assert!(is_anywhere(&hashes[0]));

    let_the_hours_pass(&data.path().join("bank.db")).await;
    let cluster = start(data.path()).await;
    let begun = Instant::now();
    while is_anywhere(&hashes[0]) {
        assert!(begun.elapsed() < Duration::from_secs(60), "still waiting until it is purged");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // All other hashes are still there.
    assert!(hashes[1..].iter().all(is_anywhere));
    for (hash, id) in hashes.iter().zip(&ids).skip(1) {
        let answer = cluster.ask_one(pdq(*hash), SearchOptions::default()).await.unwrap();
        assert!(answer.found.matches.iter().any(|found| found.item == *id));
    }
    cluster.stop().await.unwrap();
    assert!(!is_anywhere(&hashes[0]));
    let store = format!("sqlite:{}", data.path().join("bank.db").display());
    let config = vigie_bank::Config { store: store.into(), ..vigie_bank::Config::default() };
    assert_eq!(vigie_bank::verify(&config).await.unwrap().purged.count(), 1);
}
