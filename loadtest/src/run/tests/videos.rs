//! A service that matches videos and sometimes lies: exactly its wrong evidence has to be counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use vigie_clients::Network;
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::model::v1 as model;

use super::service::{response, serve};
use crate::judge::evidence::Side;
use crate::judge::oracle::{Identity, Verdict};
use crate::judge::truth::Truth;
use crate::judge::videos::Expected;
use crate::run::scenario::Scenario;
use crate::run::target::Targets;
use crate::run::target::vigie::Options;

/// Counts of the service's matches and lies.
#[derive(Debug, Default)]
struct Lies {
    matches: AtomicU64,
    dropped: AtomicU64,
    bent: AtomicU64,
    /// Evidence that is missing, differs, or names a rule that does not hold.
    other: AtomicU64,
    /// A frame reported as too common, so that the answer may lack a match.
    common: AtomicU64,
}

fn match_of(expected: &Expected) -> model::Match {
    let side = |side: Side| {
        Some(model::VideoSide {
            frames: side.frames,
            frames_matched: side.frames_matched,
            time_ms: side.time_ms,
            time_matched_ms: side.time_matched_ms,
            first_ms: side.first_ms,
        })
    };
    let evidence = expected.evidence;
    let rules = (0..3).filter(|bit| evidence.rules >> bit & 1 == 1).map(|bit| bit + 1);
    model::Match {
        external_reference: Identity::Video(expected.video).reference(),
        distance: expected.distance.into(),
        video: Some(model::VideoEvidence {
            query: side(evidence.query),
            item: side(evidence.item),
            rules: rules.collect(),
        }),
        ..model::Match::default()
    }
}

fn answer(expected: &[Expected], lies: &Lies) -> pb::Matched {
    let add = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
    let mut matched = pb::Matched::default();
    for expected in expected {
        let mut one = match_of(expected);
        match add(&lies.matches) % 50 {
            10 => {
                add(&lies.dropped);
                continue;
            }
            20 => {
                add(&lies.bent);
                one.distance += 1;
            }
            30 => {
                let evidence = one.video.as_mut().unwrap();
                match add(&lies.other) % 5 {
                    0 => evidence.query.as_mut().unwrap().frames_matched += 1,
                    1 => evidence.item.as_mut().unwrap().first_ms += 40,
                    2 => evidence.rules.push(9),
                    3 => evidence.rules.push(evidence.rules[0]),
                    _ => one.video = None,
                }
            }
            40 if matched.common_frames == 0 => {
                add(&lies.common);
                matched.common_frames = 1;
                // An answer with common frames does not count as lacking this match.
                continue;
            }
            _ => {}
        }
        matched.matches.push(one);
    }
    matched
}

#[tokio::test]
async fn wrong_evidence_of_a_service_is_counted_and_nothing_else() {
    let scenario = Scenario::parse(
        "name = 'videos'
        data = { shape = 'uniform', hashes = 100, videos = 120, video_frames = 24 }
        questions = { pool = 10, matching = 0.9, videos = 100, distances = [0, 8, 30], video_rules = ['threatexchange', 'clip_of_known', 'contains_known'] }
        arrivals = { spacing = 'poisson', rate = 250 }
        mix = { lookup = 0, video = 1 }
        drive = { warm_up = '0s', duration = '3s', deadline = '60s' }",
    )
    .unwrap();
    let truth = Arc::new(Truth::establish(&scenario, |_| {}).unwrap());
    let known: HashMap<Vec<u8>, Vec<Expected>> =
        truth.videos().all().map(|question| (question.hash.to_vec(), question.expected.clone())).collect();
    let lies = Arc::new(Lies::default());
    let (lying, rules) = (Arc::clone(&lies), model::VideoRuleKind::Threatexchange);
    let url = serve(Arc::new(move |request| {
        let options = request.options.as_ref().unwrap();
        assert_eq!((options.video_rules.len(), options.video_rules[0].kind()), (3, rules));
        assert!(options.max_distance.iter().any(|one| one.hash_type() == model::HashType::Vpdq));
        let answer = |query: &pb::MatchQuery| {
            let Some(pb::match_query::Content::Hashed(hashed)) = &query.content else { panic!("no hash") };
            let hash = hashed.hashes[0].hash.as_ref().unwrap();
            assert_eq!(hash.hash_type(), model::HashType::Vpdq);
            answer(&known[&hash.value], &lying)
        };
        let results = request.queries.iter().map(answer).collect();
        Box::pin(async move { Ok(response(results, 1)) })
    }));
    let targets = Targets::vigie(&[url], &Network::tcp(), Options::new(&scenario, Vec::new())).unwrap();
    let result = super::run(&scenario, truth, &targets, 1).await;

    assert_eq!((result.summary.failed, result.record.totals.unsent), (0, 0));
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let verdict = result.record.totals.verdict;
    // A dropped match does not count as missed if its answer has a common frame.
    let (dropped, common) = (count(&lies.dropped), count(&lies.common));
    assert!((dropped.saturating_sub(common)..=dropped).contains(&verdict.missed), "{verdict:?} {lies:?}");
    let expected = Verdict {
        judged: result.summary.answered,
        right: count(&lies.matches) - dropped - common - count(&lies.bent) - count(&lies.other),
        missed: verdict.missed,
        wrong_distance: count(&lies.bent),
        wrong_evidence: count(&lies.other),
        incomplete: common,
        ..Verdict::default()
    };
    assert_eq!(verdict, expected);
    assert!(
        verdict.missed >= 5 && verdict.wrong_distance >= 5 && verdict.wrong_evidence >= 5 && common >= 5,
        "{verdict:?}"
    );
}
