//! A partial answer never looks complete.

use vigie_clients::{Code, partial_match};
use vigie_harness::in_process::{Calls, Cluster, as_of, soon};
use vigie_model::{Hash, MatchCall, MinCoverage, SearchOptions};
use vigie_tests::material::{generator, item, pdq, random_pdq};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_shard_fails_the_call_and_its_return_completes_it() {
    for calls in [Calls::OverSockets, Calls::AsFunctions] {
        lose_a_shard(calls).await;
    }
}

async fn lose_a_shard(calls: Calls) {
    let mut rng = generator(5);
    let mut cluster = Cluster::start_with(|config| config.calls = calls).await.unwrap();
    let bank = cluster.create_bank("known").await.unwrap();
    let hashes: Vec<_> = (0..40).map(|_| random_pdq(&mut rng)).collect();
    let items = hashes.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
    let (_, sequence) = cluster.add(&bank, items).await.unwrap();
    cluster.ask(vec![pdq(hashes[0])], as_of(sequence)).await.unwrap();
    // The hash count of a lost shard is the last one that it reported to the coordinator. The frontend may
    // have a coordinator of its own.
    let coordinator = cluster.coordinator_client().unwrap();
    let heard = || async {
        let topology = coordinator.describe_topology(soon()).await.unwrap();
        topology.replicas.iter().map(|replica| replica.hashes).sum::<u64>()
    };
    while heard().await < 40 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    cluster.stop_matcher(2).await.unwrap();
    let contents: Vec<_> = hashes.iter().map(|hash| pdq(*hash)).collect();
    let call = MatchCall {
        contents: contents.clone(),
        options: SearchOptions::default(),
        quality_floor: None,
        surface: Box::default(),
        classifiers: Vec::new(),
    };
    let error = cluster.matching.match_content(call, soon()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().starts_with("3 of 4 shards answered; shard 2: "), "{error}");

    let partial = partial_match(&error).expect("the partial answer is in the details");
    let found = partial.results.iter().filter(|one| !one.as_ref().unwrap().found.matches.is_empty()).count();
    assert!((15..40).contains(&found), "{found} of 40 on three of four shards");
    assert_eq!((partial.coverage.shards_answered, partial.coverage.shards_total), (3, 4));
    assert!(partial.coverage.hashes_searched < 40);
    if calls == Calls::OverSockets {
        assert_eq!(partial.coverage.hashes_total, 40, "what the lost shard held is still counted");
    }

    // A caller that accepts a lower coverage gets the answer, with the coverage stated in it.
    let options = SearchOptions { min_coverage: MinCoverage::new(0.75).unwrap(), ..SearchOptions::default() };
    let taken = cluster.ask(contents.clone(), options).await.unwrap();
    assert!(!taken.coverage.is_full());
    assert_eq!(taken.coverage.failures.len(), 1);

    cluster.start_matcher(2).await.unwrap();
    cluster.wait_ready(soon()).await.unwrap();
    let whole = cluster.ask(contents, as_of(sequence)).await.unwrap();
    assert!(whole.coverage.is_full());
    assert!(whole.results.iter().all(|one| one.as_ref().unwrap().found.matches.len() == 1));
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_single_matcher_nothing_is_answered() {
    let mut cluster = Cluster::start_with(|config| config.shard_count = 1).await.unwrap();
    cluster.stop_matcher(0).await.unwrap();
    let options = SearchOptions { min_coverage: MinCoverage::new(1e-9).unwrap(), ..SearchOptions::default() };
    let call = MatchCall {
        contents: vec![pdq([0; 32])],
        options,
        quality_floor: None,
        surface: Box::default(),
        classifiers: Vec::new(),
    };
    let error = cluster.matching.match_content(call, soon()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
}

/// Partial answers are sent in trailers, which have little space.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_shard_is_reported_however_large_the_partial_answer_is() {
    let mut rng = generator(6);
    let mut cluster = Cluster::start_with(|config| config.shard_count = 2).await.unwrap();
    let bank = cluster.create_bank("known").await.unwrap();
    let hash = random_pdq(&mut rng);
    let items = vec![item([Hash::pdq(hash)]).unwrap(); 300];
    let (_, sequence) = cluster.add(&bank, items).await.unwrap();
    cluster.ask(vec![pdq(hash)], as_of(sequence)).await.unwrap();
    cluster.stop_matcher(1).await.unwrap();

    for (query_count, omitted) in [(256, true), (1, false)] {
        let query = if omitted { hash } else { random_pdq(&mut rng) };
        let call = MatchCall {
            contents: vec![pdq(query); query_count],
            options: SearchOptions::default(),
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        let error = cluster.matching.match_content(call, soon()).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{error}");
        let partial = partial_match(&error).expect("the coverage is in the details");
        assert_eq!((partial.coverage.shards_answered, partial.coverage.shards_total), (1, 2));
        assert_eq!(partial.results_omitted, omitted);
        assert_eq!(partial.results.len(), if omitted { 0 } else { 1 });
    }
    // The part that did not fit into the trailers is in the answer to a caller that accepts a lower coverage.
    let options = SearchOptions { min_coverage: MinCoverage::new(0.5).unwrap(), ..SearchOptions::default() };
    let taken = cluster.ask(vec![pdq(hash); 256], options).await.unwrap();
    assert!(taken.results.iter().all(|one| one.as_ref().unwrap().found.matches.len() == 100));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_fewer_shards_nothing_is_lost_and_no_file_of_the_others_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let start = async |shards: u16| {
        let cluster = Cluster::start_with(|config| {
            (config.shard_count, config.calls) = (shards, Calls::AsFunctions);
            config.data.clone_from(&data);
        });
        cluster.await.unwrap()
    };
    let folders = || {
        let names = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with("matcher-")).count()
    };
    let cluster = start(3).await;
    let bank = cluster.create_bank("known").await.unwrap();
    let mut rng = generator(6);
    let hashes: Vec<_> = (0..40).map(|_| random_pdq(&mut rng)).collect();
    let items = hashes.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
    let (_, sequence) = cluster.add(&bank, items).await.unwrap();
    cluster.stop().await.unwrap();
    assert_eq!(folders(), 3);

    let cluster = start(1).await;
    let contents = hashes.iter().map(|hash| pdq(*hash)).collect();
    let whole = cluster.ask(contents, as_of(sequence)).await.unwrap();
    assert!(whole.results.iter().all(|one| one.as_ref().unwrap().found.matches.len() == 1));
    assert_eq!((whole.coverage.shards_total, folders()), (1, 1));
    cluster.stop().await.unwrap();
}
