//! Every role is restarted in turn, under load, where there are two of each but the bank.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use vigie_clients::{BankClient, Deadline, IdempotencyKey, MatchClient, MatcherClient, Network};
use vigie_frontend::CoordinatorAt;
use vigie_harness::in_process::{Role, as_of, soon};
use vigie_model::{BankName, Hash, ItemId, MatchCall, PdqHash, Sequence};
use vigie_serving::ServingConfig;
use vigie_tests::material::{generator, item, pdq, random_pdq};

const SHARDS: u32 = 2;

fn serving() -> ServingConfig {
    ServingConfig { lame_duck_ms: 300, ..ServingConfig::default() }
}

struct Deployment {
    bank: Role,
    matchers: Vec<Role>,
    coordinators: Vec<Role>,
    frontends: Vec<Role>,
    _data: tempfile::TempDir,
}

impl Deployment {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let store = format!("sqlite:{}", data.path().join("bank.db").display());
        let bank = Role::start(vigie_bank::Config {
            store: store.into(),
            serving: serving(),
            ..vigie_bank::Config::default()
        });
        let bank = bank.await.unwrap();
        let mut matchers = Vec::new();
        for number in 0..SHARDS * 2 {
            let config = vigie_matcher::Config {
                bank: bank.url(),
                shard: number % SHARDS,
                shard_count: SHARDS,
                index_folder: Some(data.path().join(format!("matcher-{number}"))),
                serving: serving(),
                ..vigie_matcher::Config::default()
            };
            matchers.push(Role::start(config).await.unwrap());
        }
        let endpoints: Vec<String> = matchers.iter().map(Role::url).collect();
        let mut coordinators = Vec::new();
        for _ in 0..2 {
            let config = vigie_coordinator::Config {
                matchers: endpoints.clone(),
                serving: serving(),
                ..vigie_coordinator::Config::default()
            };
            coordinators.push(Role::start(config).await.unwrap());
        }
        // One with a coordinator inside, one without.
        let remote = coordinators.iter().map(Role::url).collect();
        let embedded =
            vigie_coordinator::Config { matchers: endpoints, ..vigie_coordinator::Config::default() };
        let mut frontends = Vec::new();
        for coordinator in [CoordinatorAt::Endpoints(remote), CoordinatorAt::Embedded] {
            let config = vigie_frontend::Config {
                coordinator,
                embedded: embedded.clone(),
                serving: serving(),
                ..vigie_frontend::Config::default()
            };
            frontends.push(Role::start(config).await.unwrap());
        }
        Self { bank, matchers, coordinators, frontends, _data: data }
    }

    fn clients(&self) -> (BankClient, MatchClient) {
        let frontends: Vec<String> = self.frontends.iter().map(Role::url).collect();
        let matching = MatchClient::new_on(&frontends, &Network::tcp()).unwrap();
        (BankClient::new(&self.bank.url()).unwrap(), matching)
    }

    /// Waits for a matcher to be ready, as an orchestrator does before it goes on to the next.
    async fn matcher_ready(&self, number: usize) {
        let client = MatcherClient::new(&self.matchers[number].url()).unwrap();
        while !client.describe(soon()).await.is_ok_and(|replica| replica.unready_reason.is_none()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // And for the coordinators to have heard.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Searches until it is told to stop. Any error, any incomplete or wrong answer is a failure.
async fn search(
    client: MatchClient,
    known: Arc<[(PdqHash, ItemId)]>,
    sequence: Sequence,
    stop: Arc<AtomicBool>,
    seed: u64,
) -> u64 {
    let (mut rng, mut answers) = (generator(seed), 0);
    while !stop.load(Ordering::Relaxed) {
        let (hash, id) = known[rng.random_range(0..known.len())];
        let call = MatchCall {
            contents: vec![pdq(hash)],
            options: as_of(sequence),
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        let answer = client.match_content(call, Deadline::now() + Duration::from_secs(5)).await;
        let answer = answer.unwrap_or_else(|error| panic!("after {answers} answers: {error}"));
        assert!(answer.coverage.is_full(), "{:?}", answer.coverage);
        assert_eq!(answer.results[0].as_ref().unwrap().found.matches[0].item, id);
        answers += 1;
    }
    answers
}

/// Writes until it is told to stop; writes are made again while the bank is down.
async fn write(client: BankClient, bank: BankName, stop: Arc<AtomicBool>) -> u64 {
    let (mut rng, mut writes) = (generator(7), 0);
    while !stop.load(Ordering::Relaxed) {
        let new = item([Hash::pdq(random_pdq(&mut rng))]).unwrap();
        client.add_items(&bank, vec![new], IdempotencyKey::random(), soon()).await.unwrap();
        writes += 1;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    writes
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_is_restarted_in_turn_without_an_error_or_an_incomplete_answer() {
    let mut all = Deployment::start().await;
    let (bank, matching) = all.clients();
    let name: BankName = "known".parse().unwrap();
    bank.create_bank(&name, IdempotencyKey::random(), soon()).await.unwrap();
    let mut rng = generator(3);
    let hashes: Vec<PdqHash> = (0..200).map(|_| random_pdq(&mut rng)).collect();
    let items = hashes.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
    let added = bank.add_items(&name, items, IdempotencyKey::random(), soon()).await.unwrap();
    for number in 0..all.matchers.len() {
        all.matcher_ready(number).await;
    }
    let known: Arc<[_]> = hashes.into_iter().zip(added.value).collect();
    let stop = Arc::new(AtomicBool::new(false));
    let searching: Vec<_> = (0..4)
        .map(|seed| {
            let (client, known, stop) = (matching.clone(), Arc::clone(&known), Arc::clone(&stop));
            tokio::spawn(search(client, known, added.sequence, stop, seed))
        })
        .collect();
    let writing = tokio::spawn(write(bank, name, Arc::clone(&stop)));

    for number in 0..all.matchers.len() {
        all.matchers[number].restart().await.unwrap();
        all.matcher_ready(number).await;
    }
    for role in all.coordinators.iter_mut().chain(&mut all.frontends) {
        role.restart().await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    all.bank.restart().await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;

    stop.store(true, Ordering::Relaxed);
    for one in searching {
        let answers = one.await.unwrap();
        assert!(answers > 50, "{answers} answers");
    }
    assert!(writing.await.unwrap() > 10);
    let roles = all.frontends.iter_mut().chain(&mut all.coordinators).chain(&mut all.matchers);
    for role in roles.chain([&mut all.bank]) {
        role.stop().await.unwrap();
    }
}
