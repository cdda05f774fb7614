//! What a call costs where its search runs on the thread that answers it, and where it is handed to another.

use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{MatcherClient, Priority};
use vigie_model::{Hash, SearchOptions};

use super::loaded::{Loaded, bare, query_of, random_hashes};
use crate::config::Config;

/// Callers at once, each with one call after the other.
const CALLERS: usize = 64;
const ROUND: Duration = Duration::from_secs(2);
const WITHIN: Duration = Duration::from_secs(20);

/// How long each call of a round took.
async fn round(client: &MatcherClient, hashes: usize) -> Vec<Duration> {
    let ends = Instant::now() + ROUND;
    let callers = (0..CALLERS as u64).map(|seed| {
        let client = client.clone();
        tokio::spawn(async move {
            let (mut hash, mut took) = (random_hashes(1_000 + seed), Vec::new());
            while Instant::now() < ends {
                let queries = vec![query_of(hash.by_ref().take(hashes).map(Hash::Pdq))];
                let begun = Instant::now();
                client
                    .search(&queries, &SearchOptions::default(), Priority::Interactive, begun + WITHIN)
                    .await
                    .unwrap();
                took.push(begun.elapsed());
            }
            took
        })
    });
    let took = futures::future::join_all(callers).await;
    took.into_iter().flat_map(Result::unwrap).collect()
}

/// Searches a second, and the median and the 99th percentile of their calls.
fn figures(took: &mut [Duration], rounds: u32) -> (f64, Duration, Duration) {
    took.sort_unstable();
    let rate = took.len() as f64 / (ROUND * rounds).as_secs_f64();
    (rate, took[took.len() / 2], took[took.len() * 99 / 100])
}

/// `cargo test --release -p vigie-matcher -- --ignored --nocapture thread_hop`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, for a release build and an idle machine"]
async fn a_short_search_is_quicker_without_a_thread_hop() {
    let hashes = random_hashes(1).take(1_000_000);
    let loaded = Loaded::new(hashes.map(|hash| bare(vec![Hash::Pdq(hash)])));
    let always_hops = loaded.serve(Config { search_inline_us_max: 0, ..Config::default() }).await;
    let stays = loaded.serve(Config::default()).await;
    for hashes in [1, 8] {
        let (mut hopped, mut stayed, rounds) = (Vec::new(), Vec::new(), 5);
        for _ in 0..rounds {
            hopped.extend(round(&always_hops, hashes).await);
            stayed.extend(round(&stays, hashes).await);
        }
        let (before, after) = (figures(&mut hopped, rounds), figures(&mut stayed, rounds));
        println!(
            "{hashes} hashes, {CALLERS} callers: {:.0}/s p50 {:?} p99 {:?} with a hop; {:.0}/s p50 {:?} p99 {:?} without: {:.2} times",
            before.0,
            before.1,
            before.2,
            after.0,
            after.1,
            after.2,
            after.0 / before.0,
        );
        assert!(after.0 > before.0, "{before:?} {after:?}");
    }
}
