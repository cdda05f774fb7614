//! Calls, answers and fingerprints on the wire and back.

use super::*;
use crate::pb::model::v1 as pb_model;
use vigie_model::{
    ClassScore, Classification, DecodeFailure, DecodeFailureKind, Distance, SearchOptions, Verdict, Way,
};

#[test]
fn a_query_without_content_says_what_to_send() {
    let message = pb::MatchRequest { queries: vec![pb::MatchQuery::default()], ..Default::default() };
    let invalid = MatchCall::try_from(message).unwrap_err();
    assert_eq!(invalid.to_string(), "queries[0].content: is missing; send an image, a video or its hashes");
}

#[test]
fn a_request_without_queries_is_refused() {
    let invalid = MatchCall::try_from(pb::MatchRequest::default()).unwrap_err();
    assert_eq!(invalid.to_string(), "queries: has 0 entries; it must have 1 to 256");
}

fn classified() -> Classification {
    let score = ClassScore { class: "nude".into(), score: 0.5, threshold: None };
    Classification {
        model: "nsfw".into(),
        version: 2,
        is_shadow: false,
        scores: vec![score],
        unavailable: None,
    }
}

#[test]
fn calls_and_answers_survive_the_wire() {
    let call = MatchCall {
        contents: vec![
            Content::Image(bytes::Bytes::from_static(b"abc")),
            Content::Hashed {
                hashes: vec![QueryHash { hash: Hash::md5([7; 16]), variant: Variant::FlipMinus1 }],
                pdq_quality: Some(Quality::new(61).unwrap()),
            },
        ],
        options: SearchOptions::default(),
        quality_floor: Some(Quality::new(10).unwrap()),
        surface: "avatar".into(),
        classifiers: vec!["nsfw".into(), "weapons-2".into()],
    };
    assert_eq!(MatchCall::try_from(pb::MatchRequest::from(call.clone())).unwrap(), call);

    let matched = Matched {
        found: QueryMatches::default(),
        searches: vec![HashTypeSearch {
            hash_type: HashType::PDQ,
            max_distance: Distance(31),
            exact: true,
            skipped: Some(SkipReason::QualityBelowFloor),
        }],
        pdq_quality: Some(Quality::new(3).unwrap()),
        quality_floor: Quality::FLOOR_DEFAULT,
        source: Source::Hashed,
        near_budget_spent: true,
        decision: Some(Decided {
            verdict: Verdict::Review,
            rule: "near".into(),
            policy_version: 4,
            shadow_verdict: Some(Verdict::Block),
            failure: Some("a rule failed".into()),
            suppressed: 2,
            id: Some([9; 16]),
            by_score: true,
        }),
        classifications: vec![classified()],
    };
    let decoded = Decoded {
        width: 640,
        height: 480,
        frames_seen: 3,
        frames_left_out: 2,
        frames_below_floor: 1,
        ways_left_out: 4,
    };
    let failure = DecodeFailure { kind: DecodeFailureKind::Corrupt, message: "it is".to_owned() };
    for source in [Source::Hashed, Source::Decoded(decoded), Source::Undecoded(failure)] {
        let matched = Matched { source, ..matched.clone() };
        assert_eq!(Matched::try_from(pb::Matched::from(matched.clone())).unwrap(), matched);
    }
}

#[test]
fn what_a_newer_frontend_says_costs_no_answer() {
    let search = pb::HashTypeSearch { hash_type: 1, max_distance: 31, exact: true, skip_reason: 77 };
    assert_eq!(HashTypeSearch::try_from(search).unwrap().skipped, Some(SkipReason::Other));
}

#[test]
fn an_image_of_a_frontend_that_counts_no_frames_is_not_known_to_be_whole() {
    let message = pb::Matched { width: 640, height: 480, ..pb::Matched::default() };
    let Source::Decoded(decoded) = Matched::try_from(message).unwrap().source else {
        panic!("it was decoded")
    };
    assert!(!decoded.is_whole());
}

fn fingerprint() -> ImageFingerprint {
    let hashes = |first: u8| PictureHashes {
        pdq: [0, 1, 2, 3, 4, 5, 6, 7].map(|more| [first + more; 32]),
        quality: Quality::new(80).unwrap(),
    };
    let frame = |number: u32| FrameFingerprint {
        number,
        time: None,
        plain: hashes(1),
        further: vec![(Way::Scaled, hashes(30))],
    };
    let picture = PictureFingerprint {
        width: 3,
        height: 4,
        first: frame(0),
        later: vec![frame(1)],
        frames_left_out: 5,
        later_fault: None,
    };
    ImageFingerprint { picture, digests: vec![Hash::md5([9; 16]), Hash::sha256([9; 32])] }
}

#[test]
fn fingerprints_survive_the_wire_with_digests_that_this_version_does_not_know() {
    let mut message = pb::HashResponse::from(fingerprint());
    assert_eq!(ImageFingerprint::try_from(message.clone()).unwrap(), fingerprint());
    let unknown = pb_model::Hash { hash_type: 4_000, value: vec![1; 20] };
    message.hashes.push(pb_model::QueryHash { hash: Some(unknown), variant: 1 });
    assert_eq!(ImageFingerprint::try_from(message).unwrap().digests.len(), 3);
}

#[test]
fn a_fingerprint_of_a_frontend_that_hashes_the_first_frame_only_is_read() {
    let mut message = pb::HashResponse::from(fingerprint());
    message.picture = None;
    let read = ImageFingerprint::try_from(message.clone()).unwrap();
    assert_eq!(read.picture.first.plain, fingerprint().picture.first.plain);
    assert_eq!((read.picture.frames_seen(), read.digests.len()), (1, 2));
    message.picture = Some((&fingerprint().picture).into());
    message.hashes[0].hash.as_mut().unwrap().value[0] ^= 1;
    let invalid = ImageFingerprint::try_from(message).unwrap_err();
    assert!(invalid.to_string().starts_with("picture: has other hashes"), "{invalid}");
}

#[test]
fn a_fingerprint_from_which_a_hash_is_missing_is_refused() {
    let whole = pb::HashResponse::from(fingerprint());
    for missing in 0..whole.hashes.len() {
        let mut message = whole.clone();
        message.hashes.remove(missing);
        let invalid = ImageFingerprint::try_from(message).unwrap_err();
        assert!(invalid.to_string().starts_with("hashes: hold no "), "{invalid}");
    }
    let mut message = whole;
    message.hashes.push(message.hashes[8].clone());
    assert_eq!(ImageFingerprint::try_from(message).unwrap_err().to_string(), "hashes: hold md5 twice");
}
