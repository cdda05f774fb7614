//! Targets that speak HMA's protocol: the faults that the oracle finds in their answers, filling, and
//! comparison.

mod service;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Parser as _;
use serde_json::Value;
use vigie_clients::Network;

use self::service::{Faults, Service};
use crate::Exit;
use crate::cli::{Cli, Command, HmaCall};
use crate::judge::truth::Truth;
use crate::run::command::versus;
use crate::run::scenario::Scenario;
use crate::run::target::Targets;
use crate::run::target::hma::contents::Contents;

fn scenario(arrivals: &str) -> Scenario {
    Scenario::parse(&format!(
        "name = 'hma'
        data = {{ shape = 'pdq', hashes = 2000 }}
        questions = {{ pool = 300, matching = 0.9 }}
        arrivals = {{ {arrivals} }}
        drive = {{ warm_up = '0s', duration = '2s', deadline = '60s', connections = 3 }}"
    ))
    .unwrap()
}

/// Runs against a service with these faults. The result has to contain exactly the faults that the service
/// counted.
async fn check(arrivals: &str, call: HmaCall, faults: Faults) {
    let scenario = scenario(arrivals);
    let truth = Arc::new(Truth::establish(&scenario, |_| {}).unwrap());
    let (url, service) = Service::start(faults);
    service.add(truth.rows.rows(0, truth.rows.count()));
    let contents = Contents::of_rows(&service.ids()).unwrap();
    let targets = Targets::hma(&[url], &Network::tcp(), call, contents).unwrap();
    let result = super::run(&scenario, truth, &targets, 0).await;
    let count = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
    let counts = &service.counts;
    let totals = &result.record.totals;
    assert_eq!(result.summary.sent, count(&counts.lookups));
    assert_eq!(result.summary.failed, count(&counts.refused), "{:?}", totals.all_kinds().failures);
    assert_eq!(
        totals.all_kinds().failures.get("UNAVAILABLE").copied().unwrap_or_default(),
        result.summary.failed
    );
    let verdict = totals.verdict;
    assert_eq!(
        (verdict.missed, verdict.false_matches, verdict.wrong_distance),
        (count(&counts.dropped), count(&counts.invented), count(&counts.bent)),
        "{counts:?}"
    );
    for (fault, counted) in [
        (faults.refuse, &counts.refused),
        (faults.drop, &counts.dropped),
        (faults.invent, &counts.invented),
        (faults.bend, &counts.bent),
    ] {
        assert!(fault.is_none() || count(counted) >= 3, "{faults:?}: too few to mean anything: {counts:?}");
    }
    assert!(verdict.right > 300 && totals.coverage_min.is_none(), "{verdict:?}");
}

#[tokio::test]
async fn an_honest_service_is_right_in_an_open_and_in_a_closed_loop() {
    check("spacing = 'poisson', rate = 300", HmaCall::RawLookup, Faults::default()).await;
    check("closed = 3", HmaCall::Lookup, Faults::default()).await;
}

#[tokio::test]
async fn every_wrong_answer_of_raw_lookups_is_counted_as_what_it_is() {
    let faults =
        Faults { refuse: Some(50), drop: Some(40), invent: Some(30), bend: Some(70), ..Faults::default() };
    check("spacing = 'poisson', rate = 300", HmaCall::RawLookup, faults).await;
}

#[tokio::test]
async fn every_wrong_answer_of_lookups_by_bank_is_counted_as_what_it_is() {
    let faults =
        Faults { refuse: Some(60), drop: Some(45), invent: Some(35), bend: Some(80), ..Faults::default() };
    check("closed = 3", HmaCall::Lookup, faults).await;
}

#[tokio::test]
async fn a_closed_loop_keeps_as_many_requests_under_way_as_it_says() {
    // Each request lasts until its deadline of 200 ms, because there is no answer: five callers make 25
    // requests a second.
    let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut scenario = scenario("closed = 5");
    scenario.drive.deadline = "200ms".parse().unwrap();
    scenario.drive.connections = 5;
    let truth = Arc::new(Truth::establish(&scenario, |_| {}).unwrap());
    let targets = Targets::hma(&[url], &Network::tcp(), HmaCall::default(), Contents::From(1)).unwrap();
    let result = super::run(&scenario, truth, &targets, 0).await;
    assert_eq!((result.summary.answered, result.generator.late_or_unsent), (0, 0));
    assert!((25..=50).contains(&result.summary.sent), "{}", result.summary.sent);
}

fn versus(words: &[&str]) -> (anyhow::Result<Exit>, Vec<Value>) {
    let fixed =
        ["vigie-loadtest", "versus", "--json", "--duration", "1s", "--rounds", "1", "--hashes", "500"];
    let Command::Versus(arguments) = Cli::parse_from(fixed.iter().chain(words).copied()).command else {
        panic!("another command");
    };
    let mut out = Vec::new();
    let exit = versus::run(&arguments, &mut out);
    (exit, serde_json::from_slice(&out).unwrap_or_default())
}

fn turn(row: &Value) -> &Value {
    &row["turns"][0]
}

#[test]
fn two_services_are_filled_compared_in_turns_and_known_again() {
    let folder = tempfile::tempdir().unwrap();
    let ids = ["a.csv", "b.csv"].map(|name| folder.path().join(name).to_str().unwrap().to_owned());
    // Like HMA, the first service finds added contents only after some time.
    let late = Faults { stale: Duration::from_millis(700), ..Faults::default() };
    let (a, _) = Service::start(late);
    let (b, liar) = Service::start(Faults { refuse: Some(20), drop: Some(15), ..Faults::default() });
    // Two extra contents, so that content ids do not equal row numbers.
    liar.add([[0; 32]; 2]);
    let words = ["--target", &a, "--target", &b, "--ids", &ids[0], "--ids", &ids[1], "--fill", "LOAD"];
    let (exit, rows) = versus(&[&words[..], &["--connections", "1,4", "--rate", "100"]].concat());
    assert_eq!(exit.unwrap(), Exit::ThresholdMissed, "B loses matches");
    assert_eq!(rows.len(), 6, "two targets in two closed loops and an open one");
    for pair in rows.chunks(2) {
        assert_eq!((pair[0]["target"].as_str(), pair[1]["target"].as_str()), (Some(&*a), Some(&*b)));
        let (honest, liar) = (turn(&pair[0]), turn(&pair[1]));
        for figure in ["refused", "failed", "wrong", "missed"] {
            assert_eq!(honest[figure], 0, "{figure} of {honest}");
        }
        assert!(honest["sent"].as_u64() > Some(50) && honest["p99_ms"].as_f64().is_some(), "{honest}");
        assert!(liar["refused"].as_u64() > Some(1), "{liar}");
        assert_eq!((&liar["wrong"], &liar["failed"]), (&0.into(), &0.into()), "{liar}");
    }
    assert!(rows.iter().skip(1).step_by(2).any(|row| turn(row)["missed"].as_u64() > Some(0)));
    assert!(ids.iter().all(|path| Path::new(path).is_file()));
    // The files of ids exist, so nothing is added again.
    let before = liar.ids().len();
    let (exit, _) = versus(&[&words[..], &["--connections", "2"]].concat());
    exit.unwrap();
    assert_eq!((liar.ids().len(), before), (502, 502));
}

#[test]
fn a_bank_that_is_there_already_is_not_filled_again_without_its_ids() {
    let (a, service) = Service::start(Faults::default());
    let words = ["--target", &a, "--target", &a, "--fill", "LOAD", "--connections", "1"];
    let error = format!("{:#}", versus(&words).0.unwrap_err());
    assert!(error.contains("bank LOAD already exists") && error.contains("give the ids"), "{error}");
    assert_eq!(service.ids().len(), 500);
}
