//! Matchers that search PDQ hashes by HNSW report that they do, and their recall.

use std::time::Duration;

use vigie::local_cluster::LocalClusterConfig;
use vigie_clients::IdempotencyKey;
use vigie_harness::binary::run;
use vigie_harness::in_process::{Cluster, as_of, soon};
use vigie_matcher::PdqEngine;
use vigie_model::{Hash, PdqHash, ReplicaView, SearchOptions};
use vigie_tests::material::{flipped, generator, hashed, item, pdq, random_pdq};

/// Builds graphs even of few hashes, and uses no scans instead.
fn by_hnsw(config: &mut LocalClusterConfig) {
    config.shard_count = 2;
    config.matcher.pdq_engine = PdqEngine::Hnsw;
    config.matcher.hnsw.list_rows_build = 200;
    config.matcher.hnsw.scan_rows_per_ef = 0;
}

/// Waits until the coordinator knows this number of hashes, and the recall on each shard.
async fn wait_for_recall(cluster: &Cluster, hashes: u64) {
    let (coordinator, deadline) = (cluster.coordinator_client().unwrap(), soon());
    loop {
        let replicas = coordinator.describe_topology(deadline).await.unwrap().replicas;
        let is_measured = |replica: &ReplicaView| replica.hash_counts.iter().any(|one| one.recall.is_some());
        if replicas.iter().map(|one| one.hashes).sum::<u64>() == hashes && replicas.iter().all(is_measured) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_by_hnsw_say_that_they_are_approximate() {
    let cluster = Cluster::start_with(by_hnsw).await.unwrap();
    let bank = cluster.create_bank("hashes").await.unwrap();
    let mut rng = generator(1);
    let hashes: Vec<PdqHash> = (0..1_000).map(|_| random_pdq(&mut rng)).collect();
    let items = hashes.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
    let (ids, sequence) = cluster.add(&bank, items).await.unwrap();
    wait_for_recall(&cluster, 1_000).await;

    let mut found = 0;
    for (hash, id) in hashes.iter().zip(&ids).step_by(20) {
        let matched = cluster.ask_one(pdq(flipped(hash, 20, &mut rng)), as_of(sequence)).await.unwrap();
        assert!(!matched.searches[0].exact);
        for one in &matched.found.matches {
            assert_eq!((one.item, one.distance.0, one.exact), (*id, 20, false));
            found += 1;
        }
    }
    assert!(found >= 40, "{found} of 50");
    // An exact search compares every hash.
    for (hash, id) in hashes.iter().zip(&ids).step_by(20) {
        let options = SearchOptions { exact: true, ..as_of(sequence) };
        let matched = cluster.ask_one(pdq(flipped(hash, 30, &mut rng)), options).await.unwrap();
        assert!(matched.searches[0].exact);
        let [one] = &matched.found.matches[..] else { panic!("{:?}", matched.found.matches) };
        assert_eq!((one.item, one.distance.0, one.exact), (*id, 30, true));
    }

    let environment = [
        ("VIGIE_BANK".to_owned(), cluster.bank_url()),
        ("VIGIE_COORDINATOR".to_owned(), cluster.coordinator_url()),
    ];
    let status = |args: &'static [&'static str]| {
        let environment = environment.clone();
        tokio::task::spawn_blocking(move || run(args, &environment).unwrap())
    };
    let printed = status(&["status"]).await.unwrap();
    let line = printed.lines.iter().find(|line| line.starts_with("pdq: ")).unwrap();
    assert!(line.starts_with("pdq: 1000 hashes, approximate (hnsw), recall "), "{line}");
    assert!(line.ends_with(" over 200 samples"), "{line}");
    let reported = &status(&["status", "--json"]).await.unwrap().json().unwrap()[0]["hash_types"];
    assert_eq!(reported[0]["exact"], false);
    assert!(reported[0]["recall"]["value"].as_f64().unwrap() > 0.3, "{reported}");
    assert_eq!((&reported[1]["exact"], &reported[1]["recall"]), (&true.into(), &serde_json::Value::Null));

    // Digests are still searched exactly.
    let md5 = Hash::md5([7; 16]);
    let (_, sequence) = cluster.add(&bank, vec![item([md5.clone()]).unwrap()]).await.unwrap();
    let matched = cluster.ask_one(hashed([md5]), as_of(sequence)).await.unwrap();
    assert!(matched.searches[0].exact && matched.found.matches[0].exact);

    // A removed item is gone at once, from the graph and from the list.
    let removed = cluster.bank.remove_items(&ids[..1], IdempotencyKey::random(), soon()).await.unwrap();
    let matched = cluster.ask_one(pdq(hashes[0]), as_of(removed.sequence)).await.unwrap();
    assert!(matched.found.matches.is_empty());
    cluster.stop().await.unwrap();
}
