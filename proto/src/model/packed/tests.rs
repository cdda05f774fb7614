use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message as _;
use vigie_model::{Distance, Frame, UnixMillis, VideoEvidence, VideoRuleKind, VideoSide};

use super::*;

fn a_hash() -> impl Strategy<Value = QueryHash> {
    let known = prop_oneof![
        any::<[u8; 32]>().prop_map(Hash::pdq),
        any::<[u8; 16]>().prop_map(Hash::md5),
        any::<[u8; 32]>().prop_map(Hash::sha256),
        vec(any::<[u8; 32]>(), 1..9).prop_map(|hashes| {
            let frame = |pdq| Frame { pdq, quality: 77, time_ms: 5_000 };
            Hash::of_frames(&hashes.into_iter().map(frame).collect::<Vec<_>>()).unwrap()
        }),
        // A hash of any length, of a type that this version does not know.
        vec(any::<u8>(), 1..40)
            .prop_map(|bytes| { Hash::from_peer(HashType::from_number(4_321).unwrap(), &bytes).unwrap() }),
    ];
    (known, 0_usize..8).prop_map(|(hash, at)| QueryHash { hash, variant: Variant::ALL[at] })
}

fn queries() -> impl Strategy<Value = Vec<Query>> {
    let one = a_hash().prop_map(|hash| vec![hash]);
    let several = vec(a_hash(), 0..10);
    vec(prop_oneof![3 => one, 1 => several].prop_map(|hashes| Query { hashes }), 1..40)
}

prop_compose! {
    fn a_match()(
        item in any::<u64>(),
        (bank, owned) in (1_u32..4, any::<bool>()),
        reference in "[a-z]{0,3}",
        labels in vec("[a-z]{1,4}", 0..3),
        hash_type in 1_u16..5,
        (distance, variant, exact, other_matches) in (0_u32..70, 0_usize..8, any::<bool>(), 0_u32..3),
        (added_at, positives, video) in (0_u64..3, 0_u32..4, 0_u32..4),
    ) -> Match {
        let name = if owned { format!("owner-{bank}/known") } else { format!("bank-{bank}") };
        Match {
            item: ItemId(item),
            bank: BankId(bank),
            bank_name: name.parse().unwrap(),
            external_reference: (!reference.is_empty()).then(|| reference.into()),
            labels: labels.into_iter().map(String::into_boxed_str).collect(),
            hash_type: HashType::from_number(hash_type).unwrap(),
            distance: Distance(distance),
            variant: Variant::ALL[variant],
            exact,
            other_matches,
            rendition: Rendition::default(),
            added_at: (added_at > 0).then_some(UnixMillis(added_at)),
            item_time_ms: (video > 2).then_some(positives),
            video: (video > 0).then(|| Box::new(VideoEvidence {
                query: VideoSide { frames: video, time_ms: 5, ..VideoSide::default() },
                item: VideoSide { frames_matched: 1, first_ms: video, ..VideoSide::default() },
                rules: [VideoRuleKind::ALL[video as usize - 1]].into_iter().collect(),
            })),
            facts: (positives > 0).then(|| Box::new(Facts { positives, ..Facts::default() })),
        }
    }
}

fn results() -> impl Strategy<Value = Vec<QueryMatches>> {
    let one =
        (vec(a_match(), 0..5), any::<bool>(), 0_u32..3).prop_map(|(matches, more, left_out)| QueryMatches {
            matches,
            limit_reached: more || left_out > 0,
            left_out,
            set_aside: more,
            common_frames: left_out,
        });
    vec(prop_oneof![1 => Just(QueryMatches::default()), 1 => one], 0..20)
}

fn over_the_wire<M: prost::Message + Default>(message: &M) -> M {
    M::decode(message.encode_to_vec().as_slice()).unwrap()
}

proptest! {
    #[test]
    fn queries_come_as_they_were_sent(queries in queries()) {
        let message = pb::PackedQueries::of(&queries);
        prop_assert_eq!(packed_queries(over_the_wire(&message), Sender::Peer).unwrap(), queries);
    }

    #[test]
    fn answers_come_as_they_were_given_and_are_not_larger_than_in_plain(results in results()) {
        let message: pb::PackedMatches = results.iter().cloned().collect();
        let read: Vec<QueryMatches> = over_the_wire(&message).try_into().unwrap();
        prop_assert_eq!(&read, &results);
        let bytes: usize = results.iter().map(QueryMatches::bytes).sum();
        // Allows a margin for the counts of each query.
        prop_assert!(message.encoded_len() <= bytes + 16 + 8 * results.len());
    }

    /// After any change of bytes, reading returns an error, or queries within the bounds.
    #[test]
    fn damaged_queries_never_pass_a_bound(queries in queries(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = pb::PackedQueries::of(&queries).encode_to_vec();
        let at = at.index(bytes.len().max(1));
        if let Some(one) = bytes.get_mut(at) {
            *one = byte;
        }
        if let Ok(message) = pb::PackedQueries::decode(bytes.as_slice())
            && let Ok(read) = packed_queries(message, Sender::Peer)
        {
            prop_assert!((1..=Query::BATCH_MAX).contains(&read.len()));
            prop_assert!(read.iter().all(|query| query.hashes.len() <= Query::HASHES_MAX));
        }
    }

    #[test]
    fn damaged_answers_are_an_error_or_have_as_many_results(
        results in results(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let message: pb::PackedMatches = results.into_iter().collect();
        let mut bytes = message.encode_to_vec();
        let at = at.index(bytes.len().max(1));
        if let Some(one) = bytes.get_mut(at) {
            *one = byte;
        }
        if let Ok(message) = pb::PackedMatches::decode(bytes.as_slice()) {
            let (queries, matches) = (message.query_count, message.item_ids.len());
            if let Ok(read) = Vec::<QueryMatches>::try_from(message) {
                prop_assert_eq!(read.len(), queries as usize);
                prop_assert_eq!(read.iter().map(|one| one.matches.len()).sum::<usize>(), matches);
            }
        }
    }
}

#[test]
fn a_lookup_of_one_hash_each_says_nothing_but_the_hashes() {
    let query =
        |byte| Query { hashes: vec![QueryHash { hash: Hash::pdq([byte; 32]), variant: Variant::Original }] };
    let queries: Vec<Query> = (0..64).map(query).collect();
    let message = pb::PackedQueries::of(&queries);
    assert!(message.hash_counts.is_empty() && message.runs[0].variants.is_empty());
    assert!(message.encoded_len() < 64 * 32 + 16, "{}", message.encoded_len());
    let nothing: pb::PackedMatches = (0..64).map(|_| QueryMatches::default()).collect();
    assert_eq!(nothing.encoded_len(), 2, "no query has found anything");
}

#[test]
fn each_fault_of_a_request_names_its_field() {
    let run = pb::PackedHashes { hash_type: 1, hash_bytes: 32, values: vec![7; 64].into(), variants: vec![] };
    let whole = pb::PackedQueries { hash_counts: vec![], runs: vec![run.clone()] };
    assert_eq!(packed_queries(whole.clone(), Sender::Peer).unwrap().len(), 2);
    let of_run = |run| pb::PackedQueries { runs: vec![run], ..whole.clone() };
    let faults = [
        (of_run(pb::PackedHashes { hash_bytes: 0, ..run.clone() }), "runs[0].values"),
        (of_run(pb::PackedHashes { hash_bytes: 513, ..run.clone() }), "runs[0].values"),
        (of_run(pb::PackedHashes { hash_bytes: 31, ..run.clone() }), "runs[0].values"),
        (of_run(pb::PackedHashes { hash_bytes: 16, ..run.clone() }), "runs[0].values[0]"),
        (of_run(pb::PackedHashes { values: vec![].into(), ..run.clone() }), "runs[0].values"),
        (of_run(pb::PackedHashes { hash_type: 0, ..run.clone() }), "runs[0].hash_type"),
        (of_run(pb::PackedHashes { variants: vec![1], ..run.clone() }), "runs[0].variants"),
        (of_run(pb::PackedHashes { variants: vec![1, 99], ..run.clone() }), "runs[0].variants[1]"),
        (pb::PackedQueries { hash_counts: vec![1], ..whole.clone() }, "hash_counts"),
        (pb::PackedQueries { hash_counts: vec![2, u32::MAX], ..whole.clone() }, "hash_counts"),
        (pb::PackedQueries { hash_counts: vec![], runs: vec![] }, "queries"),
        (pb::PackedQueries { hash_counts: vec![0; 257], runs: vec![] }, "queries"),
        (of_run(pb::PackedHashes { values: vec![7; 257 * 32].into(), ..run.clone() }), "queries"),
    ];
    for (message, field) in faults {
        for sender in [Sender::Peer, Sender::Client] {
            assert_eq!(packed_queries(message.clone(), sender).unwrap_err().field, field, "{message:?}");
        }
    }
    let many = pb::PackedHashes { values: vec![7; 65 * 32].into(), ..run };
    let too_many = pb::PackedQueries { hash_counts: vec![65], runs: vec![many] };
    assert_eq!(packed_queries(too_many, Sender::Peer).unwrap_err().field, "hash_counts[0]");
}

#[test]
fn each_fault_of_an_answer_names_its_field() {
    let found = Match {
        item: ItemId(5),
        bank: BankId(1),
        bank_name: "known".parse().unwrap(),
        external_reference: Some("a".into()),
        labels: ["b".into()].into(),
        hash_type: HashType::PDQ,
        distance: Distance(3),
        variant: Variant::FlipX,
        exact: false,
        other_matches: 1,
        rendition: Rendition::default(),
        added_at: Some(UnixMillis(4)),
        facts: Some(Box::default()),
        video: None,
        item_time_ms: Some(7),
    };
    let one = QueryMatches {
        matches: vec![found; 2],
        limit_reached: true,
        left_out: 4,
        set_aside: true,
        common_frames: 1,
    };
    let whole: pb::PackedMatches = [one].into_iter().collect();
    type Spoil = fn(&mut pb::PackedMatches);
    let faults: [(Spoil, &str); 21] = [
        (|message| message.facts_of = vec![1, 0], "facts_of"),
        (|message| message.facts_of[1] = 2, "facts_of"),
        (|message| drop(message.facts.pop()), "facts"),
        (|message| message.added_at_unix_ms.truncate(1), "added_at_unix_ms"),
        (|message| message.query_count = 257, "query_count"),
        (|message| message.query_count = 2, "match_counts"),
        (|message| message.match_counts[0] = 1, "match_counts"),
        (|message| message.match_counts[0] = u32::MAX, "match_counts"),
        (|message| message.match_counts.clear(), "match_counts"),
        (|message| message.left_out.push(1), "left_out"),
        (|message| message.limit_reached.push(1), "limit_reached"),
        (|message| message.set_aside.push(1), "set_aside"),
        (|message| message.banks.clear(), "bank_numbers"),
        (|message| message.banks[0].name.clear(), "banks[0].name"),
        (|message| message.hash_types.truncate(1), "hash_types"),
        (|message| message.distances[1] = 70_000, "distance"),
        (|message| message.variants = vec![1], "variants"),
        (|message| message.external_references.truncate(1), "external_references"),
        (|message| message.label_counts[0] = 2, "label_counts"),
        (|message| message.inexact = vec![1, 0], "inexact"),
        (|message| message.other_matches.push(1), "other_matches"),
    ];
    for (number, (spoil, field)) in faults.into_iter().enumerate() {
        let mut message = whole.clone();
        spoil(&mut message);
        let read = Vec::<QueryMatches>::try_from(message);
        assert_eq!(read.unwrap_err().field, field, "fault {number}");
    }
}
