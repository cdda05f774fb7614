//! The packed form of hash queries: the same answers in fewer bytes.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use prost::Message as _;
use rand::RngExt as _;
use tonic::Code;
use vigie_clients::{MatchAnswer, partial_match};
use vigie_harness::in_process::{Calls, Cluster, as_of, soon};
use vigie_model::{
    Content, Hash, HashType, ItemDraft, Limit, MatchCall, MaxDistances, PdqHash, Query, QueryHash,
    SearchOptions, Sequence, Variant,
};
use vigie_proto::Form;
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::matching::v1::match_service_client::MatchServiceClient;
use vigie_proto::pb::matching::v1::match_stream_response::Outcome;
use vigie_tests::material::{call, flipped, generator, hashed, pdq, random_pdq};

fn md5(of: &PdqHash) -> Hash {
    Hash::md5(of[..16].try_into().unwrap())
}

/// Returns a query of one of the kinds that may be in a batch; most match nothing.
fn any_content(known: &[PdqHash], rng: &mut impl rand::Rng) -> Content {
    let one = known[rng.random_range(0..known.len())];
    match rng.random_range(0..12) {
        0 => pdq(one),
        1 => pdq(flipped(&one, 2 * rng.random_range(0..20), rng)),
        2 => hashed([md5(&one)]),
        3 => hashed([Hash::pdq(random_pdq(rng)), md5(&one)]),
        4 => {
            let variant = Variant::ALL[rng.random_range(0..Variant::ALL.len())];
            let hashes = [random_pdq(rng), one].map(|hash| QueryHash { hash: Hash::pdq(hash), variant });
            Content::Hashed { hashes: hashes.into(), pdq_quality: None }
        }
        5 => hashed([md5(&random_pdq(rng))]),
        6 => hashed((0..Query::HASHES_MAX).map(|_| md5(&random_pdq(rng))).collect::<Vec<_>>()),
        _ => pdq(random_pdq(rng)),
    }
}

fn any_call(known: &[PdqHash], rng: &mut impl rand::Rng) -> MatchCall {
    let near = |bits| MaxDistances::default().with(HashType::PDQ, bits).unwrap();
    let options = match rng.random_range(0..6) {
        0 => SearchOptions { limit: Limit::new(2).unwrap(), ..SearchOptions::default() },
        1 => SearchOptions { max_distances: near(8), ..SearchOptions::default() },
        2 => SearchOptions { banks: vec!["other".parse().unwrap()], ..SearchOptions::default() },
        _ => SearchOptions::default(),
    };
    let count = if rng.random_bool(0.2) { Query::BATCH_MAX } else { rng.random_range(1..20) };
    call((0..count).map(|_| any_content(known, rng)).collect(), options)
}

/// Returns everything in an answer that does not depend on the time at which it was given.
fn shown(answer: &MatchAnswer) -> String {
    let coverage = &answer.coverage;
    let (searched, total) = (coverage.hashes_searched, coverage.hashes_total);
    let shards = (coverage.shards_answered, coverage.shards_total);
    format!("{:?} {searched} {total} {shards:?} {} {}", answer.results, answer.sequence, answer.directory)
}

/// Fills two banks. The first hashes have so many items, with so many labels, that answers are cut.
async fn fill(cluster: &Cluster, known: &[PdqHash]) -> Sequence {
    let mut sequence = Sequence::ZERO;
    for name in ["known", "other"] {
        let bank = cluster.create_bank(name).await.unwrap();
        let copies = |at: usize| if at < 2 { 120 } else { 1 };
        let items = known.iter().enumerate().flat_map(|(at, hash)| {
            (0..copies(at)).map(move |copy| {
                let labels = (0..10).map(|label| format!("{copy:03}-{label}-{}", "x".repeat(90)));
                let (hashes, labels) = (vec![Hash::pdq(*hash), md5(hash)], labels.collect());
                ItemDraft { hashes, labels, ..ItemDraft::default() }.try_into().unwrap()
            })
        });
        sequence = cluster.add(&bank, items.collect()).await.unwrap().1;
    }
    cluster.ask(vec![pdq(known[0])], as_of(sequence)).await.unwrap();
    sequence
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packed_call_gets_the_answer_of_the_plain_one() {
    for (way, shard_count) in [(Calls::OverSockets, 2), (Calls::AsFunctions, 1)] {
        let mut rng = generator(40 + u64::from(shard_count));
        let cluster = Cluster::start_with(|config| {
            (config.shard_count, config.calls) = (shard_count, way);
        });
        let mut cluster = cluster.await.unwrap();
        let known: Vec<PdqHash> = (0..12).map(|_| random_pdq(&mut rng)).collect();
        let sequence = fill(&cluster, &known).await;
        let (mut matching, mut silent) = (0, 0);
        let large = call(vec![pdq(known[0]); 64], as_of(sequence));
        for number in 0..40 {
            let call = if number == 0 { large.clone() } else { any_call(&known, &mut rng) };
            let plain = cluster.matching.match_content(call.clone(), soon()).await.unwrap();
            let packed = cluster.matching.match_packed(call.clone(), soon()).await.unwrap();
            assert_eq!(packed.results.len(), call.contents.len());
            assert_eq!(shown(&packed), shown(&plain), "{number} of {way:?}, {shard_count} shards");
            let results = plain.results.iter().map(|result| result.as_ref().unwrap());
            let found = results.clone().filter(|matched| !matched.found.matches.is_empty()).count();
            (matching, silent) = (matching + found, silent + plain.results.len() - found);
            assert!(number > 0 || results.clone().all(|matched| matched.found.is_cut()), "it is bounded");
        }
        assert!(matching > 100 && silent > 500, "{matching} {silent}");

        // With a lost shard, the partial answer is the same too. More of it fits into a status.
        cluster.stop_matcher(0).await.unwrap();
        let few = call(vec![pdq(known[3]), pdq(random_pdq(&mut rng))], SearchOptions::default());
        let many = (0..256).map(|_| pdq(random_pdq(&mut rng))).collect();
        let many = call(many, SearchOptions::default());
        for call in [few, many] {
            let plain = cluster.matching.match_content(call.clone(), soon()).await.unwrap_err();
            let packed = cluster.matching.match_packed(call.clone(), soon()).await.unwrap_err();
            assert_eq!((packed.code(), plain.code()), (Code::Unavailable, Code::Unavailable));
            let [plain, packed] = [plain, packed].map(|error| partial_match(&error).unwrap());
            if plain.results_omitted {
                assert!(shard_count == 1 || packed.results.len() == call.contents.len());
            } else {
                assert_eq!(shown(&packed), shown(&plain));
            }
        }
        cluster.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_without_a_match_take_no_bytes_of_a_packed_answer() {
    let cluster = Cluster::start_with(|config| config.shard_count = 2).await.unwrap();
    let mut rng = generator(43);
    let known: Vec<PdqHash> = (0..4).map(|_| random_pdq(&mut rng)).collect();
    let sequence = fill(&cluster, &known).await;
    let mut contents: Vec<Content> = (0..256).map(|_| pdq(random_pdq(&mut rng))).collect();
    contents[17] = pdq(known[2]);
    contents[200] = hashed([md5(&random_pdq(&mut rng))]);
    let call = call(contents, as_of(sequence));
    let mut client = MatchServiceClient::connect(cluster.frontend_url()).await.unwrap();
    let [plain, packed] = [Form::Plain, Form::Packed].map(|form| pb::MatchRequest::of(call.clone(), form));
    assert!(packed.encoded_len() < 256 * 34 && plain.encoded_len() > 256 * 40);
    let plain = client.r#match(plain).await.unwrap().into_inner();
    let packed = client.r#match(packed).await.unwrap().into_inner();
    assert_eq!((plain.query_count, plain.results.len()), (0, 256));
    // The query of another type reports another search, so its result is not left out.
    assert_eq!((packed.query_count, &packed.result_queries[..]), (256, &[17, 200][..]));
    let (left_out, least_bytes) = (254, 13);
    assert!(packed.encoded_len() + left_out * least_bytes < plain.encoded_len());
    assert_eq!(packed.expanded().unwrap().results, plain.results);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_both_forms_share_a_stream() {
    let cluster = Cluster::start_with(|config| config.shard_count = 2).await.unwrap();
    let mut rng = generator(44);
    let known: Vec<PdqHash> = (0..12).map(|_| random_pdq(&mut rng)).collect();
    fill(&cluster, &known).await;
    let calls: Vec<MatchCall> = (0..300)
        .map(|_| {
            // Mostly requests that can share a search.
            let alike = call(vec![pdq(flipped(&known[3], 6, &mut rng))], SearchOptions::default());
            if rng.random_bool(0.7) { alike } else { any_call(&known, &mut rng) }
        })
        .collect();
    let form = |number: u64| if number.is_multiple_of(2) { Form::Plain } else { Form::Packed };
    let request = |(request_id, call): (u64, &MatchCall)| {
        let mut request = pb::MatchRequest::of(call.clone(), form(request_id));
        if request_id == 101 {
            // A request of both forms.
            request.queries.push(pb::MatchQuery::default());
        }
        pb::MatchStreamRequest { request_id, request: Some(request) }
    };
    let requests: Vec<_> = (0..).zip(&calls).map(request).collect();
    let mut client = MatchServiceClient::connect(cluster.frontend_url()).await.unwrap();
    let answers = client.match_stream(futures::stream::iter(requests)).await.unwrap().into_inner();
    let answers: BTreeMap<u64, Outcome> = answers
        .map(|answer| answer.map(|answer| (answer.request_id, answer.outcome.unwrap())).unwrap())
        .collect()
        .await;
    assert_eq!(answers.len(), calls.len());
    for ((number, outcome), call) in answers.into_iter().zip(calls) {
        let response = match outcome {
            Outcome::Response(response) => response,
            Outcome::Failure(failure) => {
                assert_eq!((number, Code::from(failure.code)), (101, Code::InvalidArgument));
                continue;
            }
        };
        assert_eq!(response.query_count > 0, form(number) == Form::Packed, "{number}");
        let alone = cluster.matching.match_content(call, soon()).await.unwrap();
        assert_eq!(shown(&MatchAnswer::try_from(response).unwrap()), shown(&alone), "{number}");
    }
    cluster.stop().await.unwrap();
}
