//! A whole cluster on a simulated network: partitions, crashes, delays and wrong clocks, drawn from a seed.
//!
//! ```text
//! cargo test --package vigie-tests --test sim                        # a few seeds
//! VIGIE_SEEDS=1000 cargo test --release --package vigie-tests --test sim
//! VIGIE_SEED=17 cargo test --package vigie-tests --test sim -- --nocapture
//! ```
//!
//! Bank, matchers (two replicas of each of two shards) and coordinator are the real ones; their network, the bank's
//! disk and its clock are simulated. Under a workload of writers and readers, things go wrong for a while; then all is
//! mended, and everything that was acknowledged has to be there, on every replica, and nothing else.
//!
//! Odd seeds have members: two frontends, and three organisations who bank, share, revoke and search (`members`).

mod network;
mod cluster;
mod faults;
mod members;
mod scenario;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

/// Seeds of a short run.
const SEEDS: u64 = 4;

#[test]
fn what_was_acknowledged_holds_whatever_the_network_does() {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seeds = match number("VIGIE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("VIGIE_SEEDS").unwrap_or(SEEDS),
    };
    let (left, failed) = (Mutex::new(seeds.clone()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let Some(seed) = left.lock().unwrap().next() else { break };
                    let ended = catch_unwind(AssertUnwindSafe(|| scenario::run(seed)));
                    let fault = match ended {
                        Ok(Ok(ran)) => {
                            println!("VIGIE_SEED={seed}: {ran}");
                            continue;
                        }
                        Ok(Err(error)) => format!("{error:#}"),
                        Err(_) => "it panicked".to_owned(),
                    };
                    println!("VIGIE_SEED={seed}: FAILED: {fault}");
                    failed.lock().unwrap().push(seed);
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "these of {} seeds failed: {failed:?}", seeds.end - seeds.start);
}
