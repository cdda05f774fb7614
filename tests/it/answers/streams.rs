//! Many requests on one stream.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use rand::RngExt as _;
use vigie_clients::{Code, MatchAnswer, partial_match};
use vigie_harness::in_process::{Calls, Cluster, as_of, soon};
use vigie_model::{
    Content, Hash, HashType, ItemDraft, Limit, MatchCall, MaxDistances, PdqHash, Quality, QueryHash,
    SearchOptions, Sequence, Variant,
};
use vigie_tests::material::{call, flipped, generator, hashed, item, pdq, random_pdq};

#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_a_stream_is_answered_once_and_a_bad_one_harms_no_other() {
    let mut rng = generator(8);
    let cluster = Cluster::start().await.unwrap();
    let bank = cluster.create_bank("known").await.unwrap();
    let hashes: Vec<_> = (0..50).map(|_| random_pdq(&mut rng)).collect();
    let items = hashes.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
    let (ids, sequence) = cluster.add(&bank, items).await.unwrap();

    let calls: Vec<(u64, MatchCall)> = (0..500_u64)
        .map(|number| {
            let known = hashes[usize::try_from(number).unwrap() % 50];
            let call = match number % 5 {
                0 => call(vec![Content::Image(bytes::Bytes::new())], SearchOptions::default()),
                1 => call(vec![pdq(known), Content::Image(bytes::Bytes::new())], as_of(sequence)),
                _ => call(vec![pdq(known)], as_of(sequence)),
            };
            (number, call)
        })
        .collect();
    let answers = cluster.matching.match_stream(futures::stream::iter(calls)).await.unwrap();
    let answers: Vec<_> = answers.map(|answer| answer.unwrap()).collect().await;
    let by_id: BTreeMap<u64, _> = answers.into_iter().collect();
    assert_eq!(by_id.len(), 500);
    for (number, answer) in by_id {
        let known = ids[usize::try_from(number).unwrap() % 50];
        if number % 5 == 0 {
            assert_eq!(answer.unwrap_err().code(), Code::InvalidArgument);
            continue;
        }
        let answer = answer.unwrap();
        assert!(answer.coverage.is_full());
        assert_eq!(answer.results[0].as_ref().unwrap().found.matches[0].item, known);
        if number % 5 == 1 {
            let failure = answer.results[1].as_ref().unwrap_err();
            assert_eq!(failure.code, Code::InvalidArgument);
            assert!(failure.message.contains("queries[1].image"), "{}", failure.message);
        }
    }
    cluster.stop().await.unwrap();
}

/// Returns a request of one of the kinds that may be on the same stream.
fn any_call(kind: usize, known: PdqHash, rng: &mut impl rand::Rng) -> MatchCall {
    let digest = Hash::md5(known[..16].try_into().unwrap());
    let near = |bits| MaxDistances::default().with(HashType::PDQ, bits).unwrap();
    let named = |name: &str| SearchOptions { banks: vec![name.parse().unwrap()], ..SearchOptions::default() };
    let (contents, options) = match kind {
        0 => (vec![pdq(flipped(&known, 12, rng))], SearchOptions::default()),
        1 => (vec![pdq(random_pdq(rng))], SearchOptions::default()),
        2 => (vec![hashed([digest])], SearchOptions::default()),
        3 => (
            vec![pdq(known), hashed([digest.clone()]), hashed([Hash::pdq(known), digest])],
            SearchOptions::default(),
        ),
        4 => (vec![pdq(known)], SearchOptions { limit: Limit::new(3).unwrap(), ..SearchOptions::default() }),
        5 => (vec![pdq(known)], SearchOptions { max_distances: near(5), ..SearchOptions::default() }),
        6 => (vec![pdq(known)], SearchOptions { max_distances: near(60), ..SearchOptions::default() }),
        7 => (vec![pdq(known)], named("nowhere")),
        8 => (vec![pdq(known)], named("other")),
        9 => (vec![Content::Image(bytes::Bytes::new())], SearchOptions::default()),
        10 => {
            let hashes = vec![QueryHash { hash: Hash::pdq(known), variant: Variant::Original }];
            let pdq_quality = Some(Quality::new(20).unwrap());
            (vec![Content::Hashed { hashes, pdq_quality }], SearchOptions::default())
        }
        _ => (vec![pdq(known); 20], SearchOptions::default()),
    };
    call(contents, options)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_share_a_search_get_what_each_gets_by_itself() {
    for (way, shard_count) in [(Calls::OverSockets, 2), (Calls::AsFunctions, 1), (Calls::AsFunctions, 3)] {
        let mut rng = generator(u64::from(shard_count));
        let cluster = Cluster::start_with(|config| {
            (config.shard_count, config.calls) = (shard_count, way);
        });
        let mut cluster = cluster.await.unwrap();
        let hashes: Vec<PdqHash> = (0..12).map(|_| random_pdq(&mut rng)).collect();
        let mut sequence = Sequence::ZERO;
        for name in ["known", "other"] {
            let bank = cluster.create_bank(name).await.unwrap();
            // Some hashes have so many items, with so many labels, that an answer to several queries is
            // large.
            let copies = |at: usize| if at < 2 { 150 } else { 1 };
            let items = hashes.iter().enumerate().flat_map(|(at, hash)| {
                (0..copies(at)).map(move |copy| {
                    let hashes = vec![Hash::pdq(*hash), Hash::md5(hash[..16].try_into().unwrap())];
                    let labels = (0..10).map(|label| format!("{copy:03}-{label}-{}", "x".repeat(90)));
                    let labels = labels.collect();
                    ItemDraft { hashes, labels, ..ItemDraft::default() }.try_into().unwrap()
                })
            });
            sequence = cluster.add(&bank, items.collect()).await.unwrap().1;
        }
        cluster.ask(vec![pdq(hashes[0])], as_of(sequence)).await.unwrap();

        let calls: Vec<(u64, MatchCall)> = (0..600)
            .map(|number| {
                let known = hashes[rng.random_range(0..hashes.len())];
                // Mostly runs of one kind, so that there are groups.
                let kind = if rng.random_bool(0.7) { 0 } else { rng.random_range(0..12) };
                (number, any_call(kind, known, &mut rng))
            })
            .collect();
        // More requests at once than fit into one answer.
        let much = (calls.len() as u64..).take(100).map(|number| (number, any_call(0, hashes[0], &mut rng)));
        let calls: Vec<_> = calls.into_iter().chain(much.collect::<Vec<_>>()).collect();
        let answers = cluster.matching.match_stream(futures::stream::iter(calls.clone())).await.unwrap();
        let answers: BTreeMap<u64, _> = answers.map(|answer| answer.unwrap()).collect().await;
        assert_eq!(answers.len(), calls.len());
        for (number, call) in calls {
            let alone = cluster.matching.match_content(call, soon()).await;
            let shown = |answer: &MatchAnswer| {
                let coverage = &answer.coverage;
                let (searched, total) = (coverage.hashes_searched, coverage.hashes_total);
                let shards = (coverage.shards_answered, coverage.shards_total);
                format!("{:?} {searched} {total} {shards:?} {}", answer.results, coverage.sequence_min)
            };
            let alone = alone.as_ref().map(shown).map_err(|error| (error.code(), error.message()));
            let shared = answers[&number].as_ref();
            let shared = shared.map(shown).map_err(|failure| (failure.code(), failure.message()));
            assert_eq!(shared, alone, "{number} of {way:?}, {shard_count} shards");
        }
        // With a lost shard, every answer lacks it.
        cluster.stop_matcher(0).await.unwrap();
        let calls: Vec<_> = (0..40).map(|number| (number, any_call(0, hashes[2], &mut rng))).collect();
        let mut answers = cluster.matching.match_stream(futures::stream::iter(calls)).await.unwrap();
        while let Some(answer) = answers.next().await {
            let error = answer.unwrap().1.unwrap_err();
            let partial = partial_match(&error).unwrap();
            assert_eq!(error.code(), Code::Unavailable);
            assert_eq!(partial.coverage.shards_answered + 1, partial.coverage.shards_total, "{error}");
        }
        cluster.stop().await.unwrap();
    }
}
