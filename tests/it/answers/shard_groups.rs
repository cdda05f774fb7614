//! Matchers that serve several shards of a cluster, beside matchers of single shards.

use std::time::Duration;

use vigie_clients::{Code, CoordinatorClient, Deadline, Priority, partial_search};
use vigie_harness::in_process::{Cluster, Role, Slot, as_of, soon};
use vigie_model::{
    Hash, HashType, ItemId, Limit, MaxDistances, MinCoverage, PdqHash, Query, QueryHash, QueryMatches,
    SearchOptions, Sequence, ShardGroup, ShardIdentity, Topology, Variant,
};
use vigie_serving::ServingConfig;
use vigie_telemetry::Telemetry;
use vigie_tests::material::{distance, flipped, generator, item, random_pdq};
use vigie_tests::metrics::Exposition;

const RADIUS: u32 = 31;

/// A bank with near-duplicates, and queries for them.
struct World {
    cluster: Cluster,
    known: Vec<(ItemId, PdqHash)>,
    sequence: Sequence,
    queries: Vec<PdqHash>,
}

/// A coordinator of a cluster of 4 shards, with the matchers of its configuration.
struct Sharded {
    client: CoordinatorClient,
    telemetry: Telemetry,
    _coordinator: Role,
}

impl World {
    async fn start() -> Self {
        let mut rng = generator(31);
        let cluster = Cluster::start_with(|config| config.shard_count = 1).await.unwrap();
        let bank = cluster.create_bank("known").await.unwrap();
        let centres: Vec<_> = (0..20).map(|_| random_pdq(&mut rng)).collect();
        let hashes: Vec<_> =
            (0..400_usize).map(|index| flipped(&centres[index % 20], (index * 7) % 50, &mut rng)).collect();
        let items = hashes.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
        let (ids, sequence) = cluster.add(&bank, items).await.unwrap();
        let queries = centres.iter().map(|centre| flipped(centre, 3, &mut rng)).collect();
        Self { cluster, known: ids.into_iter().zip(hashes).collect(), sequence, queries }
    }

    async fn matcher(&self, shard: u32, shards_served: u32) -> Role {
        let config = vigie_matcher::Config {
            bank: self.cluster.bank_url(),
            shard,
            shard_count: 4,
            shards_served,
            serving: ServingConfig { lame_duck_ms: 500, ..ServingConfig::default() },
            processes: self.cluster.processes().clone(),
            ..vigie_matcher::Config::default()
        };
        Role::start(config).await.unwrap()
    }

    async fn coordinator(&self, matchers: &[&Role]) -> Sharded {
        let config = vigie_coordinator::Config {
            matchers: matchers.iter().map(|matcher| matcher.url()).collect(),
            processes: self.cluster.processes().clone(),
            ..vigie_coordinator::Config::default()
        };
        let telemetry = Telemetry::default();
        let coordinator = Slot::take().await.unwrap().start(config, telemetry.clone()).unwrap();
        let client = CoordinatorClient::new_on(&[coordinator.url()], self.cluster.network()).unwrap();
        Sharded { client, telemetry, _coordinator: coordinator }
    }

    fn options(&self) -> SearchOptions {
        SearchOptions {
            max_distances: MaxDistances::default().with(HashType::PDQ, RADIUS).unwrap(),
            limit: Limit::new(1_000).unwrap(),
            ..as_of(self.sequence)
        }
    }

    fn asked(&self) -> Vec<Query> {
        let query = |hash: &PdqHash| Query {
            hashes: vec![QueryHash { hash: Hash::pdq(*hash), variant: Variant::Original }],
        };
        self.queries.iter().map(query).collect()
    }

    /// Compares answers with a linear scan over the known items that `is_served` selects.
    fn check(&self, results: &[QueryMatches], is_served: impl Fn(ItemId) -> bool) {
        for (query, result) in self.queries.iter().zip(results) {
            let served = self.known.iter().filter(|(id, _)| is_served(*id));
            let mut expected: Vec<_> = served
                .map(|(id, hash)| (distance(query, hash), *id))
                .filter(|(distance, _)| *distance <= RADIUS)
                .collect();
            expected.sort_unstable();
            let found: Vec<_> = result.matches.iter().map(|one| (one.distance.0, one.item)).collect();
            assert_eq!(found, expected);
        }
        assert_eq!(results.len(), self.queries.len());
    }

    /// Checks that one search finds everything once, with full coverage.
    async fn check_whole(&self, sharded: &Sharded) {
        let searched =
            sharded.client.search(&self.asked(), &self.options(), Priority::Interactive, soon()).await;
        let answer = searched.unwrap();
        self.check(&answer.results, |_| true);
        let coverage = answer.coverage;
        assert_eq!((coverage.shards_answered, coverage.shards_total), (4, 4));
        let known = self.known.len() as u64;
        assert_eq!((coverage.hashes_searched, coverage.hashes_total), (known, known));
    }
}

impl Sharded {
    /// Waits until the coordinator's topology is as expected.
    async fn until(&self, what: &str, is_so: impl Fn(&Topology) -> bool) -> Topology {
        let give_up = Deadline::now() + Duration::from_secs(30);
        loop {
            let topology = self.client.describe_topology(soon()).await.unwrap();
            if is_so(&topology) {
                return topology;
            }
            assert!(Deadline::now() < give_up, "still waiting until {what}: {topology:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns the number of calls to matchers so far.
    fn calls(&self) -> f64 {
        let text = self.telemetry.exposition().unwrap();
        Exposition::parse(&text).unwrap().sum("vigie_coordinator_shard_searches_total", &[])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_to_a_matcher_of_two_shards_answers_for_both_and_its_loss_is_that_of_both() {
    let world = World::start().await;
    let mut pair = world.matcher(0, 2).await;
    let (one, three) = (world.matcher(1, 1).await, world.matcher(3, 1).await);
    let sharded = world.coordinator(&[&pair, &one, &three]).await;
    let known = world.known.len() as u64;
    let is_loaded =
        |topology: &Topology| topology.ready_count() == 3 && topology.hashes_of(HashType::PDQ) == known;
    let topology = sharded.until("all matchers hold everything", is_loaded).await;
    assert!(topology.is_whole());
    assert_eq!(topology.replicas[0].shards, ShardGroup::new(0, 4, 2).ok());

    let before = sharded.calls();
    for _ in 0..10 {
        world.check_whole(&sharded).await;
    }
    assert!((sharded.calls() - before - 30.0).abs() < 0.5, "{} calls", sharded.calls() - before);

    pair.stop().await.unwrap();
    let topology = sharded.until("the pair is lost", |topology| topology.ready_count() == 2).await;
    assert!(!topology.is_whole());
    let (asked, options) = (world.asked(), world.options());
    let search = |options| {
        let (client, asked) = (sharded.client.clone(), asked.clone());
        async move { client.search(&asked, &options, Priority::Interactive, soon()).await }
    };
    let error = search(options.clone()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(error.message().starts_with("2 of 4 shards answered; shard 0: "), "{error}");
    let partial = partial_search(&error).expect("the partial answer is in the details");
    let accepted = search(SearchOptions { min_coverage: MinCoverage::new(0.5).unwrap(), ..options });
    let accepted = accepted.await.unwrap();
    for coverage in [&partial.coverage, &accepted.coverage] {
        assert_eq!((coverage.shards_answered, coverage.shards_total), (2, 4));
        let lost: Vec<u16> = coverage.failures.iter().map(|failure| failure.shard.0).collect();
        assert_eq!(lost, [0, 2]);
        assert_eq!(coverage.hashes_total, known, "what the lost shards held is still counted");
    }
    let is_served = |item| [1, 3].into_iter().any(|one| ShardIdentity::new(one, 4).unwrap().holds(item));
    world.check(&accepted.results, is_served);
}

#[tokio::test(flavor = "multi_thread")]
async fn matchers_of_single_shards_take_over_from_one_of_both_without_an_incomplete_answer() {
    let world = World::start().await;
    let mut pair = world.matcher(0, 2).await;
    let singles = [
        world.matcher(0, 1).await,
        world.matcher(1, 1).await,
        world.matcher(2, 1).await,
        world.matcher(3, 1).await,
    ];
    let [zero, one, two, three] = &singles;
    let sharded = world.coordinator(&[&pair, zero, one, two, three]).await;
    let known = world.known.len() as u64;
    let is_loaded =
        |topology: &Topology| topology.ready_count() == 5 && topology.hashes_of(HashType::PDQ) == known;
    sharded.until("all matchers hold everything", is_loaded).await;
    let before = sharded.calls();
    world.check_whole(&sharded).await;
    assert!((sharded.calls() - before - 3.0).abs() < 0.5, "the pair is asked for both of its shards");

    let mut stopping = std::pin::pin!(pair.stop());
    let mut answers = 0;
    loop {
        tokio::select! {
            biased;
            stopped = &mut stopping => {
                stopped.unwrap();
                break;
            }
            () = world.check_whole(&sharded) => answers += 1,
        }
    }
    assert!(answers > 0, "nothing was asked meanwhile");
    sharded.until("the pair is lost", |topology| topology.ready_count() == 4 && topology.is_whole()).await;
    let before = sharded.calls();
    world.check_whole(&sharded).await;
    assert!((sharded.calls() - before - 4.0).abs() < 0.5);
}
