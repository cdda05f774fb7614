//! A short form of the fault rig; TESTING.md has the long one.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use vigie_harness::binary::vigie_binary;
use vigie_harness::isolation::Network;
use vigie_tests::faults::{self, FaultPlan, FaultReport};

async fn check(network: Option<Arc<Network>>, answers: u64) -> FaultReport {
    let given = std::env::var("VIGIE_SEED").ok().map(|seed| seed.parse().expect("VIGIE_SEED is a number"));
    let seed = given.unwrap_or_else(|| rand::rng().random());
    eprintln!("VIGIE_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let plan = FaultPlan {
        vigie: vigie_binary().to_owned(),
        folder: folder.path().to_owned(),
        shard_count: 2,
        replica_count: 2,
        network,
        readers: 12,
        answers,
        rounds_between_checks: 4,
        pause_max: Duration::from_millis(1_200),
        seed,
    };
    let report = faults::run(&plan, |line| eprintln!("{line}")).await.unwrap();
    eprintln!("{report:#?}");
    assert!(report.lookups.full > 0 && report.stopped + report.killed + report.cut_off > 0, "{report:?}");
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_claims_more_than_it_covers_while_replicas_are_stopped_and_killed() {
    check(None, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_claims_more_than_it_covers_while_replicas_are_cut_off() {
    match Network::new() {
        Ok(network) => {
            check(Some(network), 100).await;
        }
        Err(error) => {
            eprintln!("SKIPPED, no replica can be cut off: there are no network namespaces: {error:#}")
        }
    }
}
