//! The limit in front of a simulated server. The assertions hold for every seed that was tried; one seed is
//! run.

use super::*;
use crate::admission::simulation::{Cost, Report, Server, Source, run};

fn at_load(server: &Server, load: f64) -> Report {
    run(server, &[Source::interactive("a", load)], 7)
}

/// Checks that goodput and latency hold under overload, and that a healthy server refuses almost nothing.
fn check(name: &str, workers: usize, cost: Cost, seconds: f64) {
    let server = Server::new(workers, cost, seconds);
    let reports: Vec<_> =
        [0.5, 0.8, 1.0, 2.0, 5.0].iter().map(|load| (*load, at_load(&server, *load))).collect();
    let peak = reports.iter().map(|(_, report)| report.goodput).fold(0.0, f64::max).min(1.0);
    let healthy = reports[1].1.outcomes[0].quantile(0.99);
    for (load, report) in &reports {
        let outcome = &report.outcomes[0];
        let p99 = outcome.quantile(0.99);
        let context = format!(
            "{name} at {load}: goodput {:.3} of {peak:.3}, accepted {:.3}, p99 {:.1} ms of {:.1} ms, limit {}, least {}",
            report.goodput,
            outcome.accepted_share(),
            p99 * 1e3,
            healthy * 1e3,
            report.limit,
            report.limit_least
        );
        println!("{context}");
        if *load < 0.9 {
            assert!(outcome.accepted_share() >= 0.98, "a healthy server refuses: {context}");
        }
        if *load >= 2.0 {
            assert!(report.goodput >= 0.9 * peak, "overload costs goodput: {context}");
            // A latency within the target is never too long.
            assert!(p99 <= (3.0 * healthy).max(0.008), "overload costs latency: {context}");
        }
    }
}

#[test]
fn equal_calls_keep_goodput_and_latency_under_overload() {
    check("0.5 ms, 2 workers", 2, Cost::Fixed(0.0005), 12.0);
    check("5 ms, 2 workers", 2, Cost::Fixed(0.005), 60.0);
    check("0.1 ms, 4 workers", 4, Cost::Exponential(0.0001), 4.0);
}

#[test]
fn varied_calls_keep_goodput_and_latency_under_overload() {
    check("exponential 10 ms, 4 workers", 4, Cost::Exponential(0.010), 90.0);
    check("exponential 20 ms, 64 workers", 64, Cost::Exponential(0.020), 20.0);
    check("exponential 100 ms, 1 worker", 1, Cost::Exponential(0.100), 600.0);
}

#[test]
fn a_heavy_tail_keeps_goodput_and_latency_under_overload() {
    check("log-normal 10 ms, 4 workers", 4, Cost::LogNormal(0.010, 1.5), 120.0);
    check("log-normal 10 ms, 32 workers", 32, Cost::LogNormal(0.010, 1.5), 24.0);
}

#[test]
fn lookups_beside_batches_keep_goodput_and_latency_under_overload() {
    check("1 and 100 ms in classes, 2 workers", 2, Cost::Mixed(0.001, 0.1, 0.1, true), 200.0);
    check("1 and 100 ms in classes, 16 workers", 16, Cost::Mixed(0.001, 0.1, 0.1, true), 40.0);
    check("1 and 100 ms in one class, 4 workers", 4, Cost::Mixed(0.001, 0.1, 0.05, false), 200.0);
}

#[test]
fn a_server_that_becomes_slower_is_learned_and_so_is_its_recovery() {
    for (load, least) in [(2.0, 0.85), (5.0, 0.85)] {
        let server = Server {
            // Ten times as slow from the 20th second on; counted from the 40th.
            slower: Some((10.0, 20.0, 80.0)),
            warm_up: 40.0,
            ..Server::new(32, Cost::Exponential(0.010), 80.0)
        };
        let report = at_load(&server, load);
        assert!(report.goodput >= least, "slow: {} at a limit of {}", report.goodput, report.limit);

        let server = Server { slower: Some((10.0, 5.0, 20.0)), warm_up: 40.0, ..server };
        let report = at_load(&server, load);
        assert!(report.goodput >= least, "again quick: {} at {}", report.goodput, report.limit);
    }
}

#[test]
fn the_limit_stays_in_its_range_whatever_is_recorded() {
    let aim =
        Aim { limit_min: 4, limit_max: 40, limit_initial: 10, latency_target: Duration::from_millis(5) };
    for took in [Duration::ZERO, Duration::from_micros(1), Duration::from_secs(3_600)] {
        let mut limit = AdaptiveLimit::new(aim, Duration::ZERO);
        let mut now = Duration::ZERO;
        for call in 0..20_000_u32 {
            now += Duration::from_millis(5);
            let allowed = limit.at(now, Priority::Interactive).slots;
            assert!((1..=40).contains(&allowed), "{allowed}");
            let evidence = limit.admit(1 + usize::try_from(call).unwrap() % allowed);
            limit.reached(now, Priority::Interactive);
            limit.record(now, Class(call), took, evidence, allowed);
        }
        assert!((4..=40).contains(&limit.learned()));
        assert!(limit.classes.len() <= Tuning::CLASSES_MAX + 1);
    }
}

#[test]
fn a_limit_that_is_not_reached_does_not_move() {
    let report = at_load(&Server::new(4, Cost::Exponential(0.010), 60.0), 0.5);
    assert_eq!((report.limit, report.limit_least), (128, 128));
}
