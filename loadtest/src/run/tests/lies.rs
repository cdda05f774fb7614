//! Against a service that sometimes lies, the reported counts have to equal those of its lies.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use vigie_clients::Network;
use vigie_model::MatchCall;
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::model::v1 as model;

use super::service::{Behaviour, response, serve};
use crate::Hash;
use crate::judge::oracle::{Identity, Verdict};
use crate::judge::truth::Truth;
use crate::run::scenario::Scenario;
use crate::run::target::Targets;
use crate::run::target::vigie::Options;

/// The sequence of the log before the run.
const SEQUENCE: u64 = 10;

/// Counts of a service's answers and lies.
#[derive(Debug, Default)]
struct Lies {
    answers: AtomicU64,
    matches: AtomicU64,
    dropped: AtomicU64,
    bent: AtomicU64,
    invented: AtomicU64,
    stale: AtomicU64,
}

/// Counts a call, and returns whether the lie is due, once in `every` calls.
fn turn(counter: &AtomicU64, every: u64) -> bool {
    counter.fetch_add(1, Ordering::Relaxed) % every == every - 1
}

fn lying(truth: &Truth, lies: Arc<Lies>) -> Behaviour {
    let known: Arc<HashMap<Hash, Vec<(u32, u16)>>> = Arc::new(truth.listed().into_iter().collect());
    Arc::new(move |request| {
        let (known, lies) = (Arc::clone(&known), Arc::clone(&lies));
        Box::pin(async move {
            let form = request.form();
            let call = MatchCall::try_from(request).unwrap();
            let min_sequence = call.options.min_sequence.0;
            let queries = call.contents.into_iter().map(pb::MatchQuery::from);
            let results = queries.map(|query| answer(&query, &known, &lies)).collect();
            assert_eq!(min_sequence, SEQUENCE, "the run asks for what it knows");
            let stale = turn(&lies.answers, 100);
            lies.stale.fetch_add(stale.into(), Ordering::Relaxed);
            Ok(response(results, min_sequence - u64::from(stale)).in_form(form))
        })
    })
}

fn answer(query: &pb::MatchQuery, known: &HashMap<Hash, Vec<(u32, u16)>>, lies: &Lies) -> pb::Matched {
    let Some(pb::match_query::Content::Hashed(hashed)) = &query.content else { panic!("no hash") };
    let hash: Hash = hashed.hashes[0].hash.as_ref().unwrap().value.as_slice().try_into().unwrap();
    let match_of = |item: Identity, distance: u16| model::Match {
        external_reference: item.reference(),
        distance: distance.into(),
        ..model::Match::default()
    };
    let mut matches = Vec::new();
    for &(row, distance) in &known[&hash] {
        // Each lie happens once in a thousand matches, at different ones.
        match lies.matches.fetch_add(1, Ordering::Relaxed) % 1_000 {
            300 => drop(lies.dropped.fetch_add(1, Ordering::Relaxed)),
            600 => {
                lies.bent.fetch_add(1, Ordering::Relaxed);
                matches.push(match_of(Identity::Row(row), (distance + 1) % 32));
            }
            900 => {
                // A right match, and an invented one with it: an unknown item, one that is too distant, or a
                // repetition.
                matches.push(match_of(Identity::Row(row), distance));
                let invented = match lies.invented.fetch_add(1, Ordering::Relaxed) % 3 {
                    0 => match_of(Identity::Unknown, 5),
                    1 => match_of(Identity::Row((row + 7) % 1_000), 5),
                    _ => match_of(Identity::Row(row), distance),
                };
                matches.push(invented);
            }
            _ => matches.push(match_of(Identity::Row(row), distance)),
        }
    }
    pb::Matched { matches, ..pb::Matched::default() }
}

#[tokio::test]
async fn every_lie_of_a_service_is_counted_and_nothing_else() {
    let scenario = Scenario::parse(
        "name = 'lies'
        data = { shape = 'uniform', hashes = 2000 }
        questions = { pool = 500, matching = 0.8 }
        arrivals = { spacing = 'poisson', rate = 250 }
        mix = { lookup = 2, batch = 1, packed = 1, stream = 1, batch_size = 64 }
        drive = { warm_up = '0s', duration = '4s', deadline = '60s', read_your_writes = true }",
    )
    .unwrap();
    let truth = Arc::new(Truth::establish(&scenario, |_| {}).unwrap());
    let lies = Arc::new(Lies::default());
    let url = serve(lying(&truth, Arc::clone(&lies)));
    let targets = Targets::vigie(&[url], &Network::tcp(), Options::new(&scenario, Vec::new())).unwrap();
    let result = super::run(&scenario, truth, &targets, SEQUENCE).await;

    assert_eq!((result.summary.failed, result.record.totals.unsent), (0, 0));
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let matches = count(&lies.matches);
    assert!(matches > 5_000 && count(&lies.stale) >= 5, "{lies:?}");
    assert_eq!(result.summary.answered, count(&lies.answers));
    let expected = Verdict {
        judged: result.record.totals.verdict.judged,
        right: matches - count(&lies.dropped) - count(&lies.bent),
        missed: count(&lies.dropped),
        false_matches: count(&lies.invented),
        wrong_distance: count(&lies.bent),
        incomplete: 0,
        stale: count(&lies.stale),
        ..Verdict::default()
    };
    assert_eq!(result.record.totals.verdict, expected);
    assert!(expected.missed >= 5 && expected.false_matches >= 5 && expected.wrong_distance >= 5);
}
