//! Against a service that stalls for some time in each cycle, the latency has to equal the computed one.
//!
//! The share `stall / cycle` of evenly spaced requests arrives during a stall and waits for the rest of it,
//! which is uniformly distributed between zero and the whole stall. So a share `q` of the requests takes
//! longer than `stall * (1 - q * cycle / stall)`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use vigie_clients::Network;

use super::service::{Behaviour, response, serve};
use crate::judge::truth::Truth;
use crate::run::lanes::kind::Kind;
use crate::run::scenario::Scenario;
use crate::run::target::Targets;
use crate::run::target::call::{Asked, Call};
use crate::run::target::vigie::Options;

/// Returns a service that stalls for the first `stall` of each `cycle`.
fn stalling(stall: Duration, cycle: Duration) -> Behaviour {
    let begin = Instant::now();
    Arc::new(move |request| {
        let at = Duration::from_nanos_u128(begin.elapsed().as_nanos() % cycle.as_nanos());
        Box::pin(async move {
            if let Some(left) = stall.checked_sub(at) {
                tokio::time::sleep(left).await;
            }
            Ok(response(vec![Default::default(); request.queries.len()], 0))
        })
    })
}

fn scenario(rate: u32, duration: &str) -> Scenario {
    Scenario::parse(&format!(
        "name = 'stall'
        data = {{ shape = 'uniform', hashes = 10 }}
        questions = {{ pool = 10, matching = 0.0 }}
        arrivals = {{ spacing = 'constant', rate = {rate} }}
        drive = {{ warm_up = '0s', duration = '{duration}', deadline = '20s', connections = 4 }}"
    ))
    .unwrap()
}

/// Checks that each quantile is at least the computed one, and at most `slack_ms` above.
async fn check(stall: Duration, cycle: Duration, scenario: Scenario, slack_ms: f64) -> Targets {
    let targets = serve(stalling(stall, cycle));
    let targets = Targets::vigie(&[targets], &Network::tcp(), Options::new(&scenario, Vec::new())).unwrap();
    let truth = Arc::new(Truth::establish(&scenario, |_| {}).unwrap());
    let result = super::run(&scenario, truth, &targets, 0).await;
    assert_eq!(result.summary.failed, 0);
    let latency = result.record.totals.all_kinds().latency;
    for longer in [0.01, 0.02, 0.05] {
        let expected = (1.0 - longer * cycle.as_secs_f64() / stall.as_secs_f64()) * stall.as_secs_f64() * 1e3;
        let measured = latency.quantile_ms(1.0 - longer).unwrap();
        // A quantile may be off by the gap between arrivals, which is a few milliseconds.
        assert!(measured >= expected - 15.0, "{longer}: {measured} ms for {expected} ms");
        // On a machine that is too busy to send in time, latencies include more than the stall.
        let busy = result.generator.ran_late;
        assert!(busy || measured <= expected + slack_ms, "{longer}: {measured} ms for {expected} ms");
    }
    targets
}

#[tokio::test]
async fn a_stall_shows_in_every_request_that_it_made_wait_and_a_closed_loop_would_hide_it() {
    let (stall, cycle) = (Duration::from_millis(400), Duration::from_millis(2_000));
    let targets = check(stall, cycle, scenario(250, "6s"), 120.0).await;

    // The same service with a caller that waits for each answer.
    let endpoint = targets.open_one().unwrap();
    endpoint.opened(Duration::from_secs(20)).await.unwrap();
    let begin = Instant::now();
    let mut hist = crate::run::record::hist::Hist::default();
    while begin.elapsed() < 2 * cycle {
        let sent = Instant::now();
        let asks = [Asked::Hash([1; 32])];
        let call = Call { asks: &asks, min_sequence: vigie_model::Sequence(0), kind: Kind::Lookup };
        endpoint.ask(&call, sent + Duration::from_secs(20)).await.unwrap();
        hist.record(sent.elapsed());
    }
    assert!(hist.max_ms().unwrap() > 300.0, "it was made to wait, if only once or twice");
    let hidden = hist.quantile_ms(0.95).unwrap();
    assert!(hidden < 200.0, "a closed loop reports {hidden} ms of {} requests", hist.count());
}

#[tokio::test]
#[ignore = "takes 40 seconds, and wants a quiet machine"]
async fn a_second_in_ten_makes_a_99th_percentile_of_900_milliseconds() {
    let (stall, cycle) = (Duration::from_secs(1), Duration::from_secs(10));
    // The thousand requests of a stall are answered one after the other, in this process: 15 us each, with
    // two cores.
    check(stall, cycle, scenario(1_000, "40s"), 30.0).await;
}
