//! Many requests on one stream.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use vigie_clients::Code;
use vigie_harness::in_process::{Cluster, as_of};
use vigie_model::{Content, Hash, MatchCall, SearchOptions};
use vigie_tests::material::{generator, item, pdq, random_pdq};

#[tokio::test(flavor = "multi_thread")]
async fn every_request_of_a_stream_is_answered_once_and_a_bad_one_harms_no_other() {
    let mut rng = generator(8);
    let cluster = Cluster::start().await.unwrap();
    let bank = cluster.create_bank("known").await.unwrap();
    let hashes: Vec<_> = (0..50).map(|_| random_pdq(&mut rng)).collect();
    let items = hashes.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
    let (ids, sequence) = cluster.add(&bank, items).await.unwrap();

    let call = |contents, options| MatchCall { contents, options, quality_floor: None };
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
