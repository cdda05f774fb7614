use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use tonic::{Code, Status};
use vigie_model::{Frame, Hash, HashType, Quality, QueryHash, SearchOptions, Variant, VectorClass};

use super::*;
use crate::pb::consortium::v1::Decision;
use crate::pb::model::v1 as model;

fn over_the_wire<M: prost::Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

fn call(contents: Vec<Content>) -> MatchCall {
    MatchCall {
        contents,
        options: SearchOptions::default(),
        quality_floor: Some(Quality::new(10).unwrap()),
        surface: "avatar".into(),
        classifiers: Vec::new(),
    }
}

fn a_hash() -> impl Strategy<Value = QueryHash> {
    let hash = prop_oneof![
        3 => any::<[u8; 32]>().prop_map(Hash::pdq),
        1 => any::<[u8; 16]>().prop_map(Hash::md5),
        1 => any::<[u8; 32]>().prop_map(Hash::sha256),
        1 => vec(any::<[u8; 32]>(), 1..4).prop_map(|hashes| {
            let frame = |pdq| Frame { pdq, quality: 77, time_ms: 5_000 };
            Hash::of_frames(&hashes.into_iter().map(frame).collect::<Vec<_>>()).unwrap()
        }),
    ];
    (hash, 0_usize..8).prop_map(|(hash, at)| QueryHash { hash, variant: Variant::ALL[at] })
}

fn contents() -> impl Strategy<Value = Vec<Content>> {
    let hashes = prop_oneof![3 => vec(a_hash(), 1), 1 => vec(a_hash(), 1..5)];
    vec(hashes.prop_map(|hashes| Content::Hashed { hashes, pdq_quality: None }), 1..40)
}

/// Returns results of few kinds, so that some are equal.
fn results() -> impl Strategy<Value = Vec<pb::MatchResult>> {
    let matched = (0_usize..3, 0_u32..3, any::<bool>(), 0_i32..3).prop_map(
        |(matches, distance, limit_reached, verdict)| {
            Outcome::Matched(pb::Matched {
                matches: vec![model::Match { distance, ..model::Match::default() }; matches],
                searches: vec![pb::HashTypeSearch { hash_type: 1, ..pb::HashTypeSearch::default() }],
                limit_reached,
                decision: (verdict > 0).then(|| Decision { verdict, ..Decision::default() }),
                ..pb::Matched::default()
            })
        },
    );
    let outcome = prop_oneof![
        1 => Just(Outcome::Failure(Status::unavailable("lost").into())),
        3 => matched,
        6 => Just(Outcome::Matched(pb::Matched::default())),
    ];
    vec(outcome.prop_map(|outcome| pb::MatchResult { outcome: Some(outcome) }), 0..60)
}

fn answer(results: Vec<pb::MatchResult>) -> pb::MatchResponse {
    pb::MatchResponse { results, sequence: 9, ..pb::MatchResponse::default() }
}

proptest! {
    #[test]
    fn a_packed_request_is_the_same_call(contents in contents()) {
        let call = call(contents);
        let packed = pb::MatchRequest::of(call.clone(), Form::Packed);
        prop_assert!(packed.queries.is_empty() && packed.form() == Form::Packed);
        let plain = pb::MatchRequest::of(call.clone(), Form::Plain);
        prop_assert_eq!(plain.form(), Form::Plain);
        prop_assert_eq!(MatchCall::try_from(over_the_wire(&packed)).unwrap(), call.clone());
        prop_assert_eq!(MatchCall::try_from(plain).unwrap(), call);
    }

    #[test]
    fn nothing_is_lost_in_a_packed_answer(results in results()) {
        let plain = answer(results);
        prop_assert_eq!(&plain.clone().in_form(Form::Plain), &plain);
        let packed = plain.clone().in_form(Form::Packed);
        prop_assert_eq!(packed.query_count as usize, plain.results.len());
        // The numbers of queries are added, and nothing else.
        let counts = 16 + 2 * plain.results.len();
        prop_assert!(packed.encoded_len() <= plain.encoded_len() + counts);
        for one in packed.results.iter().filter_map(matched) {
            prop_assert!(Some(one) != packed.without_match.as_ref());
        }
        prop_assert_eq!(over_the_wire(&packed).expanded().unwrap(), plain.clone());
        prop_assert_eq!(plain.clone().expanded().unwrap(), plain);
    }

    /// After any change of a byte, the answer is an error or has a result for each query.
    #[test]
    fn a_damaged_answer_never_lacks_a_result(
        results in results(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = answer(results).in_form(Form::Packed).encode_to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(message) = pb::MatchResponse::decode(bytes.as_slice()) {
            let (queries, given) = (message.query_count as usize, message.results.len());
            if let Ok(read) = message.expanded() {
                prop_assert_eq!(read.results.len(), if queries == 0 { given } else { queries });
                prop_assert!(read.result_queries.is_empty() && read.without_match.is_none());
            }
        }
    }
}

#[test]
fn queries_without_a_match_cost_no_bytes() {
    let nothing = pb::MatchResult { outcome: Some(Outcome::Matched(pb::Matched::default())) };
    let one_lost = pb::MatchResult { outcome: Some(Outcome::Failure(Status::unavailable("lost").into())) };
    let mut results = vec![nothing; 256];
    results[7] = one_lost.clone();
    let packed = answer(results).in_form(Form::Packed);
    assert_eq!((packed.result_queries.as_slice(), packed.results.as_slice()), (&[7][..], &[one_lost][..]));
    assert_eq!(packed.without_match, Some(pb::Matched::default()));
    let none = answer(Vec::new());
    assert_eq!(none.clone().in_form(Form::Packed), none, "omitted results are no queries without a match");
}

#[test]
fn the_most_frequent_result_without_matches_is_left_out() {
    let of = |quality_floor| {
        let matched = pb::Matched { quality_floor, ..pb::Matched::default() };
        pb::MatchResult { outcome: Some(Outcome::Matched(matched)) }
    };
    let packed = answer([1, 2, 3, 2, 1, 2].map(of).to_vec()).in_form(Form::Packed);
    assert_eq!((packed.result_queries, packed.results), (vec![0, 2, 4], [1, 3, 1].map(of).to_vec()));
    assert_eq!(packed.without_match.unwrap().quality_floor, 2);
}

#[test]
fn contents_without_a_packed_form_are_sent_in_plain() {
    let hashes = vec![QueryHash { hash: Hash::md5([7; 16]), variant: Variant::Original }];
    let rated = Content::Hashed { hashes: hashes.clone(), pdq_quality: Some(Quality::new(61).unwrap()) };
    let image = Content::Image(bytes::Bytes::from_static(b"abc"));
    for other in [rated, image] {
        let call = call(vec![Content::Hashed { hashes: hashes.clone(), pdq_quality: None }, other]);
        let request = pb::MatchRequest::of(call.clone(), Form::Packed);
        assert_eq!(request, call.into());
    }
}

fn packed_request(packed: PackedQueries) -> pb::MatchRequest {
    pb::MatchRequest { packed: Some(packed), ..pb::MatchRequest::default() }
}

fn run(hash_type: i32, hash_bytes: u32, values: Vec<u8>) -> model::PackedHashes {
    model::PackedHashes { hash_type, hash_bytes, values: values.into(), variants: Vec::new() }
}

#[test]
fn each_fault_of_a_packed_request_is_named_with_its_field() {
    let of = |hash_counts: Vec<u32>, runs| packed_request(PackedQueries { hash_counts, runs });
    let good = || vec![run(1, 32, vec![7; 64])];
    assert_eq!(MatchCall::try_from(of(vec![], good())).unwrap().contents.len(), 2);
    let both = pb::MatchRequest { queries: vec![pb::MatchQuery::default()], ..of(vec![], good()) };
    let greedy = model::SearchOptions { limit: 1_000, ..model::SearchOptions::default() };
    let many = of(vec![], vec![run(1, 32, vec![7; 26 * 32])]);
    let far = model::MaxDistance { hash_type: 1, distance: 64 };
    let far = model::SearchOptions { max_distance: vec![far], ..model::SearchOptions::default() };
    let costly = of(vec![2; 128], vec![run(1, 32, vec![7; 256 * 32])]);
    let cases = [
        (both, "packed: comes with `queries`; a request has one of the two"),
        (pb::MatchRequest::default(), "queries: has 0 entries; it must have 1 to 256"),
        (of(vec![], vec![]), "packed.queries: has 0 entries; it must have 1 to 256"),
        (
            of(vec![], vec![run(1, 32, vec![7; 257 * 32])]),
            "packed.queries: has 257 entries; it must have 1 to 256",
        ),
        (of(vec![1, 0, 1], good()), "packed.hash_counts[1]: has 0 entries; it must have 1 to 64"),
        (
            of(vec![65], vec![run(1, 32, vec![7; 65 * 32])]),
            "packed.hash_counts[0]: has 65 entries; it must have 1 to 64",
        ),
        (of(vec![1], good()), "packed.hash_counts: count 1 hashes, of which 2 came"),
        (of(vec![2, u32::MAX], good()), "packed.hash_counts: count 4294967297 hashes, of which 2 came"),
        (
            of(vec![], vec![run(1, 32, vec![7; 65])]),
            "packed.runs[0].values: has 65 bytes, where hashes have 32 each",
        ),
        (
            of(vec![], vec![run(1, u32::MAX, vec![7; 64])]),
            "packed.runs[0].values: has 64 bytes, where hashes have 4294967295 each",
        ),
        (
            pb::MatchRequest { options: Some(greedy), ..many },
            "options.limit: times 26 queries is 26000 matches; at most 25600 may be asked for in one call",
        ),
    ];
    for (message, text) in cases {
        assert_eq!(MatchCall::try_from(message).unwrap_err().to_string(), text);
    }
    let costly = pb::MatchRequest { options: Some(far), ..costly };
    let plain = MatchCall::try_from(costly.clone()).unwrap_err();
    assert!(plain.field == "queries" && plain.reason.contains("218"), "{plain}");
}

/// The same wrong hash has the same message in both forms, apart from the path of its field.
#[test]
fn a_wrong_hash_is_refused_in_the_same_words_in_both_forms() {
    let undeclared = i32::from(VectorClass::ALL[2].hash_type(253).number());
    let vpdq = i32::from(HashType::VPDQ.number());
    let cases = [
        (1, 31, "values[0]"),
        (2, 32, "values[0]"),
        (vpdq, 35, "values[0]"),
        (0, 32, "hash_type"),
        (4_321, 32, "hash_type"),
        (-1, 32, "hash_type"),
        (70_000, 32, "hash_type"),
        (undeclared, 9, "hash_type"),
    ];
    for (hash_type, length, field) in cases {
        let value = vec![7; length];
        let hash = model::Hash { hash_type, value: value.clone() };
        let hash = model::QueryHash { hash: Some(hash), variant: 0 };
        let content = pb::HashedContent { hashes: vec![hash], pdq_quality: None };
        let query = pb::MatchQuery { content: Some(pb::match_query::Content::Hashed(content)) };
        let plain = pb::MatchRequest { queries: vec![query], ..pb::MatchRequest::default() };
        let plain = MatchCall::try_from(plain).unwrap_err();
        let runs = vec![run(1, 32, vec![9; 64]), run(hash_type, u32::try_from(length).unwrap(), value)];
        let packed = packed_request(PackedQueries { hash_counts: Vec::new(), runs });
        let packed = MatchCall::try_from(packed).unwrap_err();
        assert_eq!((packed.field, packed.reason), (format!("packed.runs[1].{field}"), plain.reason));
    }
    let mut wrong = run(1, 32, vec![7; 64]);
    wrong.variants = vec![1, 99];
    let packed = packed_request(PackedQueries { hash_counts: Vec::new(), runs: vec![wrong] });
    let invalid = MatchCall::try_from(packed).unwrap_err();
    assert_eq!(invalid.to_string(), "packed.runs[0].variants[1]: 99 is no variant that this version knows");
}

#[test]
fn each_fault_of_a_packed_answer_names_its_field() {
    let nothing = pb::MatchResult { outcome: Some(Outcome::Matched(pb::Matched::default())) };
    let found = pb::Matched { matches: vec![model::Match::default()], ..pb::Matched::default() };
    let mut results = vec![nothing; 5];
    results[1] = pb::MatchResult { outcome: Some(Outcome::Matched(found.clone())) };
    results[3] = results[1].clone();
    let whole = answer(results).in_form(Form::Packed);
    assert_eq!(whole.result_queries, [1, 3]);
    type Spoil = fn(&mut pb::MatchResponse);
    let faults: [(Spoil, &str); 9] = [
        (|message| message.query_count = 257, "query_count"),
        (|message| message.query_count = 0, "query_count"),
        (|message| message.query_count = 3, "result_queries"),
        (|message| message.result_queries = vec![3, 1], "result_queries"),
        (|message| message.result_queries = vec![1, 1], "result_queries"),
        (|message| message.result_queries = vec![1], "results"),
        (|message| drop(message.results.pop()), "results"),
        (|message| message.without_match = None, "without_match"),
        (
            |message| message.without_match.as_mut().unwrap().matches = vec![model::Match::default()],
            "without_match",
        ),
    ];
    for (number, (spoil, field)) in faults.into_iter().enumerate() {
        let mut message = whole.clone();
        spoil(&mut message);
        assert_eq!(message.expanded().unwrap_err().field, field, "fault {number}");
    }
}

#[test]
fn a_partial_answer_without_its_results_says_nothing_of_any_query() {
    let nothing = pb::MatchResult { outcome: Some(Outcome::Matched(pb::Matched::default())) };
    let found = pb::Matched {
        matches: vec![model::Match { bank: "x".repeat(60), ..model::Match::default() }; 200],
        ..pb::Matched::default()
    };
    let found = pb::MatchResult { outcome: Some(Outcome::Matched(found)) };
    let partial = |results| {
        let partial = answer(results).in_form(Form::Packed);
        let status = crate::status::with_partial(Code::Unavailable, "lost", partial);
        crate::status::message::<pb::MatchResponse>(&status).unwrap()
    };
    let small = partial(vec![nothing.clone(); 256]);
    assert!(!small.results_omitted && small.expanded().unwrap().results.len() == 256);
    let large = partial(vec![nothing, found]);
    assert_eq!(large, pb::MatchResponse { results_omitted: true, ..answer(Vec::new()) });
}
