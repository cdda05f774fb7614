//! 8 shards of 2 replicas, one of them 200 ms slower than the rest.
//!
//! ```text
//! cargo test --release --package vigie-tests --test it -- slow_replica --ignored --nocapture
//! ```

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use rand::RngExt as _;
use tokio::time::Instant;
use vigie_clients::{Network, Priority};
use vigie_coordinator::Coordinator;
use vigie_harness::in_process::{Cluster, Replicas};
use vigie_model::{Hash, ItemId, PdqHash, Query, QueryHash, SearchOptions, Variant};
use vigie_telemetry::Telemetry;
use vigie_tests::material::{generator, item, random_pdq};

const SHARDS: u32 = 8;
const REPLICAS: u32 = 2;
const DELAY: Duration = Duration::from_millis(200);
/// Searches per second, at random moments that do not wait for answers.
const RATE: f64 = 100.0;

/// 16 matchers behind a coordinator; the link to one of them can be slowed down.
struct Replicated {
    cluster: Cluster,
    coordinator: Arc<Coordinator>,
    registry: Registry,
    replicas: Replicas,
    known: Arc<[(PdqHash, ItemId)]>,
}

impl Replicated {
    async fn start() -> Self {
        let cluster = Cluster::start_with(|config| config.shard_count = 1).await.unwrap();
        let mut rng = generator(23);
        let bank = cluster.create_bank("known").await.unwrap();
        let hashes: Vec<_> = (0..4_000).map(|_| random_pdq(&mut rng)).collect();
        let items = hashes.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
        let (ids, _) = cluster.add(&bank, items).await.unwrap();
        let config = vigie_matcher::Config { bank: cluster.bank_url(), ..vigie_matcher::Config::default() };
        let replicas = Replicas::start(SHARDS, REPLICAS, &config, Telemetry::default).await.unwrap();
        let matchers = replicas.urls();
        let mut registry = Registry::default();
        let config = vigie_coordinator::Config { matchers, ..vigie_coordinator::Config::default() };
        let coordinator = Coordinator::start(&config, &Network::tcp(), &mut registry).unwrap();
        while coordinator.topology().ready_count() < 16 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let known = hashes.into_iter().zip(ids).collect();
        Self { cluster, coordinator: Arc::new(coordinator), registry, replicas, known }
    }

    /// Returns the latencies of all searches during `lasts`, from their intended start; every answer is
    /// complete and exact.
    async fn drive(&self, lasts: Duration) -> Vec<Duration> {
        let (mut rng, begun) = (generator(29), Instant::now());
        let (mut due, mut running) = (begun, Vec::new());
        while due < begun + lasts {
            let (hash, id) = self.known[rng.random_range(0..self.known.len())];
            let coordinator = Arc::clone(&self.coordinator);
            tokio::time::sleep_until(due).await;
            running.push(tokio::spawn(async move {
                let query =
                    Query { hashes: vec![QueryHash { hash: Hash::pdq(hash), variant: Variant::Original }] };
                let deadline = due + Duration::from_secs(10);
                let options = SearchOptions::default();
                let answer =
                    coordinator.search(vec![query], options, Priority::Interactive, deadline).await.unwrap();
                let found: Vec<ItemId> = answer.results[0].matches.iter().map(|found| found.item).collect();
                assert_eq!(found, [id]);
                assert!(answer.coverage.is_full());
                due.elapsed()
            }));
            // Arrivals are a Poisson process.
            due += Duration::from_secs_f64(-rng.random::<f64>().max(1e-12).ln() / RATE);
        }
        let mut latencies = Vec::new();
        for one in running {
            latencies.push(one.await.unwrap());
        }
        latencies.sort_unstable();
        latencies
    }

    /// Returns the number of extra calls, and of searches of shards.
    fn calls(&self) -> (u64, u64) {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let value = |name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}_total ")));
            line.unwrap().parse().unwrap()
        };
        let extra = value("vigie_coordinator_hedges") + value("vigie_coordinator_retries");
        (extra, value("vigie_coordinator_shard_searches"))
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn one_slow_replica_is_not_noticed() {
    let replicated = Replicated::start().await;
    replicated.drive(Duration::from_secs(5)).await;
    let (mut healthy, mut slow) = (Vec::new(), Vec::new());
    let (mut extra, mut asked) = (0, 0);
    // In alternation, because the machine may have other load.
    for _ in 0..3 {
        healthy.extend(replicated.drive(Duration::from_secs(10)).await);
        let before = replicated.calls();
        replicated.replicas.link().delay_answers(DELAY);
        slow.extend(replicated.drive(Duration::from_secs(10)).await);
        replicated.replicas.link().delay_answers(Duration::ZERO);
        let after = replicated.calls();
        (extra, asked) = (extra + after.0 - before.0, asked + after.1 - before.1);
    }
    for times in [&mut healthy, &mut slow] {
        times.sort_unstable();
    }
    let at = |times: &[Duration], thousandths: usize| times[(times.len() - 1) * thousandths / 1_000];
    for (what, times) in [("healthy", &healthy), ("one replica 200 ms slower", &slow)] {
        let (p50, p99, p999) = (at(times, 500), at(times, 990), at(times, 999));
        println!("{what}: {} searches, p50 {p50:.1?}, p99 {p99:.1?}, p99.9 {p999:.1?}", times.len());
    }
    let ratio = at(&slow, 990).as_secs_f64() / at(&healthy, 990).as_secs_f64();
    let share = 100.0 * extra as f64 / asked as f64;
    println!("p99 {ratio:.2}x; extra calls {share:.2} % ({extra} of {asked})");
    assert!(share <= 6.0 && ratio <= 1.5);
    replicated.cluster.stop().await.unwrap();
}
