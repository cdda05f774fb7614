//! `kill -9` during a bulk add: what was acknowledged is there, and nothing is half there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::watch;
use vigie_clients::{BankClient, Deadline, IdempotencyKey, MatchClient};
use vigie_harness::binary::vigie_binary;
use vigie_harness::in_process::soon;
use vigie_harness::up::UpProcess;
use vigie_model::{BankName, Hash, ItemContent, ItemId, MatchCall, PdqHash, SearchOptions};
use vigie_tests::material::{generator, item, pdq, random_pdq};

const WRITERS: u64 = 4;
const BATCH: usize = 50;
/// Batches that are acknowledged before the time is drawn at which to kill: a round without them would show nothing.
const ACKNOWLEDGED_MIN: u64 = 10;

/// What a writer tried to add in one call, and whether it was acknowledged.
#[derive(Debug, Clone)]
struct Attempt {
    hashes: Vec<PdqHash>,
    acknowledged: Option<Vec<ItemId>>,
}

type Ledger = Arc<Mutex<Vec<Attempt>>>;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_cluster_keeps_every_acknowledged_item_and_no_half_of_another() {
    let data = tempfile::tempdir().unwrap();
    let given = std::env::var("VIGIE_SEED").ok().map(|seed| seed.parse().expect("VIGIE_SEED is a number"));
    let seed = given.unwrap_or_else(|| rand::rng().random());
    println!("VIGIE_SEED={seed}");
    let mut rng = generator(seed);
    let ledger = Ledger::default();
    for round in 0..4 {
        let pause = Duration::from_millis(rng.random_range(0..600));
        add_until_killed(data.path(), round, pause, rng.random(), &ledger).await;
        verify(data.path(), &ledger).await;
    }
}

fn bank_name() -> BankName {
    "known".parse().unwrap()
}

/// An item has two hashes, so that half an item could be seen.
fn two_hashes(hash: &PdqHash) -> ItemContent {
    let mut md5 = [0; 16];
    md5.copy_from_slice(&hash[..16]);
    item([Hash::pdq(*hash), Hash::md5(md5)]).unwrap()
}

async fn add_until_killed(data: &Path, round: u64, pause: Duration, seed: u64, ledger: &Ledger) {
    let up = UpProcess::start(vigie_binary(), data).unwrap();
    let bank = BankClient::new(&up.bank).unwrap();
    if round == 0 {
        bank.create_bank(&bank_name(), IdempotencyKey::random(), soon()).await.unwrap();
    }
    let acknowledged = watch::Sender::new(0);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (bank, ledger, counted) = (bank.clone(), Arc::clone(ledger), acknowledged.clone());
            let mut rng = generator(seed ^ writer);
            tokio::spawn(async move {
                loop {
                    let hashes: Vec<_> = (0..BATCH).map(|_| random_pdq(&mut rng)).collect();
                    let items = hashes.iter().map(two_hashes).collect();
                    let deadline = Deadline::now() + Duration::from_secs(2);
                    let added = bank.add_items(&bank_name(), items, IdempotencyKey::random(), deadline).await;
                    let acknowledged = added.ok().map(|added| added.value);
                    let lost = acknowledged.is_none();
                    ledger.lock().unwrap().push(Attempt { hashes, acknowledged });
                    if lost {
                        return;
                    }
                    counted.send_modify(|count| *count += 1);
                }
            })
        })
        .collect();
    let mut acknowledged = acknowledged.subscribe();
    let enough = acknowledged.wait_for(|count| *count >= ACKNOWLEDGED_MIN);
    tokio::time::timeout(Duration::from_secs(60), enough).await.unwrap().unwrap();
    // Not a wait for anything: the moment of the kill is what the test draws.
    tokio::time::sleep(pause).await;
    tokio::task::spawn_blocking(|| up.kill()).await.unwrap().unwrap();
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn verify(data: &Path, ledger: &Ledger) {
    let up = UpProcess::start(vigie_binary(), data).unwrap();
    let bank = BankClient::new(&up.bank).unwrap();
    let frontend = MatchClient::new(&up.frontend).unwrap();
    let attempts = ledger.lock().unwrap().clone();

    // Every item of the bank, as the bank tells it.
    let mut kept: BTreeMap<ItemId, Vec<Hash>> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = bank.list_items(&bank_name(), after, 1_000, soon()).await.unwrap();
        after = page.next_after;
        kept.extend(page.items.into_iter().map(|item| (item.id, item.content.hashes().to_vec())));
        if after.is_none() {
            break;
        }
    }
    assert!(kept.values().all(|hashes| hashes.len() == 2), "an item has lost a hash");
    let by_hash: BTreeMap<Hash, ItemId> = kept.iter().map(|(id, hashes)| (hashes[0].clone(), *id)).collect();

    let mut expected = 0;
    for Attempt { hashes, acknowledged } in &attempts {
        let found: Vec<Option<ItemId>> =
            hashes.iter().map(|hash| by_hash.get(&Hash::pdq(*hash)).copied()).collect();
        let there = found.iter().flatten().count();
        expected += there;
        match acknowledged {
            Some(ids) => {
                assert_eq!(found, ids.iter().copied().map(Some).collect::<Vec<_>>(), "an acknowledged batch")
            }
            None => {
                assert!(there == 0 || there == BATCH, "{there} of {BATCH} items of an unacknowledged batch")
            }
        }
    }
    assert_eq!(kept.len(), expected, "the bank holds an item that nobody sent");
    let head = bank.log_head(soon()).await.unwrap();
    assert_eq!(
        (head.items, head.hashes),
        (u64::try_from(kept.len()).unwrap(), u64::try_from(2 * kept.len()).unwrap())
    );

    // And the cluster that was started again matches every acknowledged one.
    let options = SearchOptions { min_sequence: head.sequence, ..SearchOptions::default() };
    for Attempt { hashes, acknowledged } in attempts.iter() {
        let Some(ids) = acknowledged else { continue };
        let contents = hashes.iter().map(|hash| pdq(*hash)).collect();
        let call = MatchCall {
            contents,
            options: options.clone(),
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        let answer = frontend.match_content(call, soon()).await.unwrap();
        for (result, id) in answer.results.into_iter().zip(ids) {
            let found = result.unwrap().found.matches;
            assert_eq!(found.iter().map(|one| one.item).collect::<Vec<_>>(), [*id]);
        }
    }
    tokio::task::spawn_blocking(|| up.kill()).await.unwrap().unwrap();
}
