//! Several generators together send what a single one would send.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpListener;
use vigie_net::TlsArgs;

use super::service::{response, serve};
use crate::cli::TargetArguments;
use crate::run::join::{Followers, follow};
use crate::run::lanes::schedule::Schedule;
use crate::run::leftovers::Leftovers;
use crate::run::prepare::{Others, Prepared};
use crate::run::scenario::Scenario;

#[tokio::test]
async fn generators_share_the_schedule_and_their_histograms_are_merged() {
    let scenario = Scenario::parse(
        "name = 'join'
        data = { shape = 'uniform', hashes = 100 }
        questions = { pool = 20, matching = 0.0 }
        arrivals = { spacing = 'poisson', rate = 200 }
        drive = { warm_up = '0s', duration = '3s', deadline = '60s', lanes = 2, connections = 6 }",
    )
    .unwrap();
    let asked = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&asked);
    let url = serve(Arc::new(move |request| {
        asked.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move { Ok(response(vec![Default::default(); request.queries.len()], 0)) })
    }));
    let target = TargetArguments { target: vec![url], ..TargetArguments::default() };
    let prepared = Prepared::new(&scenario, &target, &Leftovers::default()).await.unwrap();
    let before = counted.load(Ordering::Relaxed);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let leader = listener.local_addr().unwrap().to_string();
    let followers: Vec<_> = (0..2)
        .map(|_| {
            let leader = leader.clone();
            tokio::spawn(async move { follow(&leader, &TlsArgs::default()).await })
        })
        .collect();
    let others =
        Others { followers: Some(Followers::gather(&listener, 2).await.unwrap()), ..Others::default() };
    let result = prepared.run(&scenario, others, |_, _| {}).await.unwrap();
    for follower in followers {
        follower.await.unwrap().unwrap();
    }
    let due = Schedule::new(&scenario.stages(), scenario.arrivals.spacing, scenario.seed).count() as u64;
    assert_eq!(result.generator.processes, 3);
    assert_eq!(result.generator.lanes, 6);
    assert_eq!((result.summary.sent, result.summary.failed), (due, 0));
    assert_eq!(counted.load(Ordering::Relaxed) - before, due);
    assert_eq!(result.summary.latency.count, due);
    assert_eq!(result.record.totals.verdict.judged, due);
}
