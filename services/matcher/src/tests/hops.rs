//! Measures the cost of a call when its search runs on the thread that answers it, and when it is passed to
//! another thread.

use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{MatcherClient, Priority};
use vigie_model::{Hash, SearchOptions};

use super::loaded::{Loaded, bare, query_of, random_hashes};
use crate::config::Config;

/// The number of concurrent callers; each makes one call after the other.
const CALLERS: usize = 64;
const ROUND: Duration = Duration::from_secs(2);
const WITHIN: Duration = Duration::from_secs(20);

/// The results of some rounds.
#[derive(Default)]
struct Rounds {
    took: Vec<Duration>,
    /// The processor time of callers and matcher together, so that other processes on the machine do not
    /// count.
    computed: Duration,
    rounds: u32,
}

fn process_time() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime).try_into().unwrap()
}

impl Rounds {
    async fn add(&mut self, client: &MatcherClient, hashes: usize) {
        let before = process_time();
        self.took.extend(round(client, hashes).await);
        self.computed += process_time() - before;
        self.rounds += 1;
    }

    fn each(&self) -> Duration {
        self.computed / u32::try_from(self.took.len()).unwrap()
    }
}

impl std::fmt::Display for Rounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut took = self.took.clone();
        took.sort_unstable();
        let rate = took.len() as f64 / (ROUND * self.rounds).as_secs_f64();
        let (half, most) = (took[took.len() / 2], took[took.len() * 99 / 100]);
        write!(f, "{rate:.0}/s, p50 {half:?}, p99 {most:?}, {:?} of the processor each", self.each())
    }
}

/// Runs a round, and returns the duration of each call.
async fn round(client: &MatcherClient, hashes: usize) -> Vec<Duration> {
    let ends = Instant::now() + ROUND;
    let callers = (0..CALLERS as u64).map(|seed| {
        let client = client.clone();
        tokio::spawn(async move {
            let (mut hash, mut took) = (random_hashes(1_000 + seed), Vec::new());
            while Instant::now() < ends {
                let queries = vec![query_of(hash.by_ref().take(hashes).map(Hash::pdq))];
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

/// `cargo test --release -p vigie-matcher -- --ignored --nocapture thread_hop`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, for a release build and an idle machine"]
async fn a_short_search_is_quicker_without_a_thread_hop() {
    let hashes = random_hashes(1).take(1_000_000);
    let loaded = Loaded::new(hashes.map(|hash| bare(vec![Hash::pdq(hash)])));
    let always_hops = loaded.serve(Config { search_inline_us_max: 0, ..Config::default() }).await;
    let stays = loaded.serve(Config::default()).await;
    for hashes in [1, 8] {
        let (mut hopped, mut stayed) = (Rounds::default(), Rounds::default());
        for _ in 0..5 {
            hopped.add(&always_hops, hashes).await;
            stayed.add(&stays, hashes).await;
        }
        let ratio = hopped.each().as_secs_f64() / stayed.each().as_secs_f64();
        println!("{hashes} hashes, {CALLERS} callers, with a hop: {hopped}");
        println!("{hashes} hashes, {CALLERS} callers, without:    {stayed}; {ratio:.2} times less");
        assert!(ratio > 1.0);
    }
}
