//! Another `shard_count`, under load, behind a frontend that is its own coordinator.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt as _;
use vigie_clients::{Deadline, MatchClient, MatcherClient};
use vigie_frontend::CoordinatorAt;
use vigie_harness::in_process::{Cluster, Role, Slot, as_of, soon};
use vigie_model::{Hash, ItemId, MatchCall, PdqHash, Sequence};
use vigie_serving::ServingConfig;
use vigie_telemetry::Telemetry;
use vigie_tests::material::{generator, item, pdq, random_pdq};

/// What searches are held to, and what they saw.
struct Load {
    known: Vec<(PdqHash, ItemId)>,
    sequence: Sequence,
    stop: AtomicBool,
    shards_seen: Mutex<BTreeSet<u16>>,
}

impl Load {
    /// Searches until it is told to stop; every answer has to be full and exact.
    async fn run(&self, client: &MatchClient, seed: u64) -> u64 {
        let (mut rng, mut answers) = (generator(seed), 0);
        while !self.stop.load(Ordering::Relaxed) {
            let known = rng.random_bool(0.5).then(|| self.known[rng.random_range(0..self.known.len())]);
            let hash = known.map_or_else(|| random_pdq(&mut rng), |(hash, _)| hash);
            let options = as_of(self.sequence);
            let call = MatchCall {
                contents: vec![pdq(hash)],
                options,
                quality_floor: None,
                surface: Box::default(),
                classifiers: Vec::new(),
            };
            let answer = client.match_content(call, soon()).await.unwrap();
            let found = &answer.results[0].as_ref().unwrap().found.matches;
            let items: Vec<ItemId> = found.iter().map(|found| found.item).collect();
            assert_eq!(items, known.map(|(_, item)| item).into_iter().collect::<Vec<_>>());
            assert!(answer.coverage.is_full(), "{:?}", answer.coverage);
            self.shards_seen.lock().unwrap().insert(answer.coverage.shards_total);
            answers += 1;
        }
        answers
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_given_another_shard_count_without_an_error_or_an_incomplete_answer() {
    let lame_duck = ServingConfig { lame_duck_ms: 500, ..ServingConfig::default() };
    let mut cluster = Cluster::start_with(|config| {
        config.shard_count = 2;
        config.matcher.serving = lame_duck;
    })
    .await
    .unwrap();
    let mut rng = generator(91);
    let bank = cluster.create_bank("known").await.unwrap();
    let hashes: Vec<_> = (0..300).map(|_| random_pdq(&mut rng)).collect();
    let items = hashes.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
    let (ids, sequence) = cluster.add(&bank, items).await.unwrap();

    // The second set has its places in the configuration before it runs.
    let mut places = Vec::new();
    for _ in 0..3 {
        places.push(Slot::take().await.unwrap());
    }
    let new = places.iter().map(Slot::url);
    let matchers = (0..2).map(|shard| cluster.matcher_url(shard)).chain(new).collect();
    let config = vigie_frontend::Config {
        coordinator: CoordinatorAt::Embedded,
        embedded: vigie_coordinator::Config { matchers, ..vigie_coordinator::Config::default() },
        processes: cluster.processes().clone(),
        ..vigie_frontend::Config::default()
    };
    let frontend = Role::start(config).await.unwrap();

    let client = MatchClient::new(&frontend.url()).unwrap();
    let load = Arc::new(Load {
        known: hashes.into_iter().zip(ids).collect(),
        sequence,
        stop: AtomicBool::new(false),
        shards_seen: Mutex::default(),
    });
    // Until the first set has been found there is nobody to ask.
    let give_up = Deadline::now() + Duration::from_secs(30);
    loop {
        let call = MatchCall {
            contents: vec![pdq([0; 32])],
            options: as_of(sequence),
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        match client.match_content(call, soon()).await {
            Ok(_) => break,
            Err(error) => assert!(Deadline::now() < give_up, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let searching: Vec<_> = (0..4)
        .map(|seed| {
            let (load, client) = (Arc::clone(&load), client.clone());
            tokio::spawn(async move { load.run(&client, seed).await })
        })
        .collect();

    let mut set = Vec::new();
    for (shard, place) in (0..).zip(places) {
        let config = vigie_matcher::Config {
            bank: cluster.bank_url(),
            shard,
            shard_count: 3,
            processes: cluster.processes().clone(),
            ..vigie_matcher::Config::default()
        };
        set.push(place.start(config, Telemetry::default()).unwrap());
    }
    for matcher in &set {
        let matcher = MatcherClient::new_on(&matcher.url(), cluster.network()).unwrap();
        while !matcher.describe(soon()).await.is_ok_and(|replica| replica.unready_reason.is_none()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    cluster.stop_matcher(0).await.unwrap();
    cluster.stop_matcher(1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    load.stop.store(true, Ordering::Relaxed);
    let mut answers = 0;
    for one in searching {
        answers += one.await.unwrap();
    }
    assert!(answers > 100, "{answers} answers");
    assert_eq!(*load.shards_seen.lock().unwrap(), [2, 3].into());
}
