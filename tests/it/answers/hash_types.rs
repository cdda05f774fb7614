//! Every hash type of the table from end to end, and clusters whose processes know different ones.

use rand::RngExt as _;
use vigie_clients::{BankClient, Code, IdempotencyKey, MatchClient, MatcherClient, Network};
use vigie_frontend::CoordinatorAt;
use vigie_harness::in_process::{Role, as_of, soon};
use vigie_model::{
    BankName, Content, Hash, HashType, HashTypeSet, ItemId, MatchCall, SearchOptions, Sequence,
};
use vigie_serving::ServingConfig;
use vigie_tests::material::{generator, hashed, image_item, item, pdq, random_pdq};

const SHARDS: u32 = 2;

/// A bank, two replicas of each shard, and a frontend with a coordinator inside.
struct Deployment {
    matchers: Vec<Role>,
    bank: BankClient,
    matching: MatchClient,
    name: BankName,
    _roles: [Role; 2],
    _data: tempfile::TempDir,
}

impl Deployment {
    /// Every second replica of each shard does as if it did not know `lacks`.
    async fn start(lacks: &[HashType]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let serving = ServingConfig::default().without_lame_duck();
        let store = format!("sqlite:{}", data.path().join("bank.db").display());
        let bank_role =
            Role::start(vigie_bank::Config { store: store.into(), serving, ..vigie_bank::Config::default() });
        let bank_role = bank_role.await.unwrap();
        let mut matchers = Vec::new();
        for number in 0..SHARDS * 2 {
            let types = if number < SHARDS { &[][..] } else { lacks };
            let config = vigie_matcher::Config {
                bank: bank_role.url(),
                shard: number % SHARDS,
                shard_count: SHARDS,
                index_folder: Some(data.path().join(format!("matcher-{number}"))),
                lacks: types.iter().copied().collect::<HashTypeSet>(),
                serving,
                ..vigie_matcher::Config::default()
            };
            matchers.push(Role::start(config).await.unwrap());
        }
        let embedded = vigie_coordinator::Config {
            matchers: matchers.iter().map(Role::url).collect(),
            ..vigie_coordinator::Config::default()
        };
        let frontend = vigie_frontend::Config {
            coordinator: CoordinatorAt::Embedded,
            embedded,
            ..vigie_frontend::Config::default()
        };
        let frontend = Role::start(frontend).await.unwrap();
        let network = Network::tcp();
        let bank = BankClient::new_on(&bank_role.url(), &network).unwrap();
        let matching = MatchClient::new_on(&[frontend.url()], &network).unwrap();
        let name: BankName = "known".parse().unwrap();
        bank.create_bank(&name, IdempotencyKey::random(), soon()).await.unwrap();
        let deployment = Self { matchers, bank, matching, name, _roles: [bank_role, frontend], _data: data };
        deployment.all_ready().await;
        deployment
    }

    /// Waits until every matcher that runs is ready: the bank's digest has proved it then.
    async fn all_ready(&self) {
        let network = Network::tcp();
        for matcher in self.matchers.iter().filter(|matcher| matcher.is_running()) {
            let client = MatcherClient::new_on(&matcher.url(), &network).unwrap();
            while !client.describe(soon()).await.is_ok_and(|one| one.unready_reason.is_none()) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        }
    }

    async fn add(&self, hashes: Vec<Hash>) -> (ItemId, Sequence) {
        let content = item(hashes).unwrap();
        let added =
            self.bank.add_items(&self.name, vec![content], IdempotencyKey::random(), soon()).await.unwrap();
        (added.value[0], added.sequence)
    }

    async fn remove(&self, item: ItemId) -> Sequence {
        self.bank.remove_items(&[item], IdempotencyKey::random(), soon()).await.unwrap().sequence
    }

    /// The items that match, of an answer that covers everything.
    async fn ask(
        &self,
        content: Content,
        options: SearchOptions,
    ) -> Result<Vec<ItemId>, vigie_clients::CallError> {
        let call = MatchCall {
            contents: vec![content],
            options,
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        let answer = self.matching.match_content(call, soon()).await?;
        assert!(answer.coverage.is_full(), "{:?}", answer.coverage);
        let matched = answer.results.into_iter().next().unwrap().unwrap();
        Ok(matched.found.matches.iter().map(|found| found.item).collect())
    }
}

fn random_hash(hash_type: HashType, rng: &mut impl rand::Rng) -> Hash {
    Hash::sample(hash_type, rng.random())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hash_type_is_banked_matched_kept_over_restarts_and_removed() {
    let mut rng = generator(31);
    let mut deployment = Deployment::start(&[]).await;
    let mut known = Vec::new();
    for hash_type in HashType::known() {
        let hash = random_hash(hash_type, &mut rng);
        let (id, sequence) = deployment.add(vec![hash.clone()]).await;
        assert_eq!(
            deployment.ask(hashed([hash.clone()]), as_of(sequence)).await.unwrap(),
            [id],
            "{hash_type}"
        );
        known.push((hash, id));
    }
    // Each saves its shard and opens it again; the bank's digest proves it before it is ready.
    for matcher in &mut deployment.matchers {
        matcher.restart().await.unwrap();
    }
    deployment.all_ready().await;
    for (hash, id) in known {
        let (options, hash_type) = (SearchOptions::default(), hash.hash_type());
        assert_eq!(deployment.ask(hashed([hash.clone()]), options).await.unwrap(), [id], "{hash_type}");
        let sequence = deployment.remove(id).await;
        assert_eq!(deployment.ask(hashed([hash]), as_of(sequence)).await.unwrap(), [], "{hash_type}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_recognised_by_each_of_its_digests() {
    let deployment = Deployment::start(&[]).await;
    let bytes = |x: u32, y: u32| [x, y, x * y].map(|value| u8::try_from(value % 256).unwrap());
    let picture = image::RgbImage::from_fn(200, 160, |x, y| image::Rgb(bytes(x, y)));
    let mut file = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut file, image::ImageFormat::Png).unwrap();
    let content = image_item(file.get_ref()).unwrap();
    let digests: Vec<Hash> =
        content.hashes().iter().filter(|hash| hash.hash_type() != HashType::PDQ).cloned().collect();
    assert!(digests.len() >= 2);
    for digest in digests {
        let (id, sequence) = deployment.add(vec![digest.clone()]).await;
        let found =
            deployment.ask(Content::Image(file.get_ref().clone().into()), as_of(sequence)).await.unwrap();
        assert_eq!(found, [id], "{}", digest.hash_type());
        deployment.remove(id).await;
    }
}

/// A rollout: one replica of each shard is of a version that does not know a type.
#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_one_replica_of_each_shard_lacks_is_searched_on_the_other() {
    let mut rng = generator(32);
    let mut deployment = Deployment::start(&[HashType::SHA256]).await;
    let mut kept = Vec::new();
    for round in 0..30 {
        let (digest, picture) = (random_hash(HashType::SHA256, &mut rng), random_pdq(&mut rng));
        let (id, sequence) = deployment.add(vec![digest.clone(), Hash::pdq(picture)]).await;
        assert_eq!(deployment.ask(hashed([digest.clone()]), as_of(sequence)).await.unwrap(), [id]);
        assert_eq!(deployment.ask(pdq(picture), as_of(sequence)).await.unwrap(), [id]);
        if round % 3 == 0 {
            let sequence = deployment.remove(id).await;
            assert_eq!(deployment.ask(hashed([digest]), as_of(sequence)).await.unwrap(), []);
        } else {
            kept.push((digest, picture, id));
        }
    }
    // Those that lack the type hold the same as the bank, and prove it after a restart from their own snapshot.
    for matcher in deployment.matchers.iter_mut().skip(SHARDS as usize) {
        matcher.restart().await.unwrap();
    }
    deployment.all_ready().await;
    for (digest, _, id) in &kept {
        assert_eq!(deployment.ask(hashed([digest.clone()]), SearchOptions::default()).await.unwrap(), [*id]);
    }
    // Without the others the shards are missing for that type, and for no other.
    for matcher in deployment.matchers.iter_mut().take(SHARDS as usize) {
        matcher.stop().await.unwrap();
    }
    let (digest, picture, id) = &kept[0];
    let failed = deployment.ask(hashed([digest.clone()]), SearchOptions::default()).await.unwrap_err();
    assert_eq!(failed.code(), Code::Unavailable);
    assert!(failed.message().contains("hashes of type 3"), "{}", failed.message());
    assert_eq!(deployment.ask(pdq(*picture), SearchOptions::default()).await.unwrap(), [*id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn types_that_the_bank_and_the_frontend_do_not_know_are_refused() {
    let deployment = Deployment::start(&[]).await;
    let unknown = HashType::from_number(4_321).unwrap();
    let hash = Hash::from_peer(unknown, &[7; 20]).unwrap();
    let content = item([hash.clone()]).unwrap();
    let refused = deployment
        .bank
        .add_items(&deployment.name, vec![content], IdempotencyKey::random(), soon())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(
        refused.message().contains("4321 is no hash type that this version knows"),
        "{}",
        refused.message()
    );
    let refused = deployment.ask(hashed([hash]), SearchOptions::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}
