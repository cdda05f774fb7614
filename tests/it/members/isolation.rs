//! A member sees only its own banks and those granted to it, by its own names, and nothing reveals that there
//! is more.

use rand::RngExt as _;
use vigie_clients::{Code, IdempotencyKey};
use vigie_consortium::{Capability, Role};
use vigie_harness::in_process::{as_of, soon};
use vigie_model::{BankRef, Hash, ItemId, SearchOptions, Sequence};
use vigie_tests::material::generator;

use super::{Client, Consortium, until_known};

fn bank(name: &str) -> BankRef {
    name.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_is_there_for_its_owner_and_for_those_with_whom_it_is_shared() {
    let consortium = Consortium::start(&["acme", "umbra"]).await;
    let ((acme, acme_work), (umbra, umbra_work)) =
        (consortium.team("acme").await, consortium.team("umbra").await);
    acme.create_bank(&bank("known")).await;
    // Another member may use the same name.
    let created = umbra.create_bank(&bank("known")).await;
    let hash = Hash::md5([7; 16]);
    let (item, added) = acme_work.add(&bank("known"), hash.clone()).await;
    until_known(&acme_work, created).await;
    assert_eq!(acme_work.finds(hash.clone(), added).await, ["known"]);
    assert_eq!(umbra_work.finds(hash.clone(), added).await, <[&str; 0]>::default());

    // A bank that is not shared gets the same answer as one that never existed.
    let named = |name: &str| SearchOptions { banks: vec![bank(name)], ..SearchOptions::default() };
    let hidden = umbra_work.ask(hash.clone(), named("acme/known")).await.unwrap_err();
    let never = umbra_work.ask(hash.clone(), named("acme/other")).await.unwrap_err();
    assert_eq!((hidden.code(), never.code()), (Code::NotFound, Code::NotFound));
    assert_eq!(hidden.message().replace("known", "other"), never.message());
    for name in ["acme/known", "acme/other"] {
        assert_eq!(umbra_work.bank.get_bank(&bank(name), soon()).await.unwrap_err().code(), Code::NotFound);
    }
    let hidden = umbra_work.bank.get_item(item, soon()).await.unwrap_err();
    let never = umbra_work.bank.get_item(ItemId(item.0 + 1_000), soon()).await.unwrap_err();
    assert_eq!((hidden.code(), never.code()), (Code::NotFound, Code::NotFound));
    assert_eq!(umbra.bank.log_head(soon()).await.unwrap().items, 0);

    // Shared with the right to match only: the match is visible, the item is not.
    let shared = acme.share("known", "umbra", &[Capability::Match]).await;
    until_known(&umbra_work, shared).await;
    let answer = umbra_work.ask(hash.clone(), as_of(added)).await.unwrap();
    let found = &answer.results[0].as_ref().unwrap().found.matches[0];
    assert_eq!((found.bank_name.to_string().as_str(), found.item), ("acme/known", ItemId(0)));
    let items = vec![vigie_tests::material::item([hash.clone()]).unwrap()];
    let shared = bank("acme/known");
    let refused = umbra_work.bank.add_items(&shared, items, IdempotencyKey::random(), soon()).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);

    // An alias belongs to the other member.
    let alias = "theirs".parse().unwrap();
    let key = IdempotencyKey::random();
    let named_so = umbra.members.set_alias(&bank("acme/known"), Some(&alias), key, soon()).await.unwrap();
    until_known(&umbra_work, named_so.sequence).await;
    assert_eq!(umbra_work.finds(hash.clone(), added).await, ["theirs"]);
    let granted = acme.members.list_grants_of(&bank("known"), None, 10, soon()).await.unwrap();
    assert_eq!(granted.value[0].grant.alias, None);
    assert_eq!(granted.value[0].member.as_ref().map(|name| name.as_str()), Some("umbra"));

    // A contributor may remove what it added, and nothing else.
    let shared = acme.share("known", "umbra", &[Capability::Match, Capability::Contribute]).await;
    until_known(&umbra_work, shared).await;
    let (own, _) = umbra_work.add(&bank("theirs"), Hash::md5([8; 16])).await;
    let remove = |client: &Client, item| {
        let bank = client.bank.clone();
        async move { bank.remove_items(&[item], IdempotencyKey::random(), soon()).await }
    };
    assert_eq!(remove(&umbra_work, item).await.unwrap_err().code(), Code::NotFound);
    remove(&umbra_work, own).await.unwrap();
    remove(&acme_work, item).await.unwrap();

    // Idempotency keys are separate for each member.
    let key = || IdempotencyKey::named("import 1");
    for client in [&acme, &umbra] {
        client.bank.create_bank(&bank("imported"), key(), soon()).await.unwrap();
    }
    consortium.cluster.stop().await.unwrap();
}

/// The banks of three members as a naive model, from which each member's right answer follows.
struct Model {
    /// Owner, live items, and with whom it is shared, for each bank.
    banks: Vec<(usize, Vec<u8>, Vec<bool>)>,
    /// Number of banks in earlier runs of the model.
    before: usize,
}

impl Model {
    /// Returns the names of the banks in which a member finds a hash, one entry per item.
    fn found(&self, member: usize, byte: u8) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for (at, (owner, items, shared)) in self.banks.iter().enumerate() {
            let name = self.name(at);
            let name = if *owner == member { name } else { format!("{}/{name}", MEMBERS[*owner]) };
            if *owner == member || shared[member] {
                let count = items.iter().filter(|item| **item == byte).count();
                found.extend(std::iter::repeat_n(name, count));
            }
        }
        found.sort();
        found
    }

    fn name(&self, at: usize) -> String {
        format!("b-{}", self.before + at)
    }
}

const MEMBERS: [&str; 3] = ["m-a", "m-b", "m-c"];

/// The clients of three members on one cluster, and its state.
struct Isolated {
    consortium: Consortium,
    teams: Vec<(Client, Client)>,
    /// Number of banks that have been created.
    banks: usize,
}

impl Isolated {
    async fn start() -> Self {
        let consortium = Consortium::start(&MEMBERS).await;
        let mut teams = Vec::new();
        for member in MEMBERS {
            teams.push(consortium.team(member).await);
        }
        Self { consortium, teams, banks: 0 }
    }

    /// Creates banks and makes random changes from a seed; every member searches after each change. The banks
    /// are deleted at the end.
    async fn check(&mut self, seed: u64, steps: u32) {
        let teams = &self.teams;
        let (mut rng, mut sequence, mut directory) = (generator(seed), Sequence::ZERO, Sequence::ZERO);
        let mut model = Model { banks: Vec::new(), before: self.banks };
        for at in 0..6 {
            let owner = at % 3;
            directory = teams[owner].0.create_bank(&bank(&model.name(at))).await;
            model.banks.push((owner, Vec::new(), vec![false; 3]));
        }
        self.banks += model.banks.len();
        let hash = |byte: u8| Hash::md5([byte; 16]);
        for _ in 0..steps {
            let at = rng.random_range(0..model.banks.len());
            let (owner, name) = (model.banks[at].0, model.name(at));
            let to = (owner + rng.random_range(1..3)) % 3;
            match rng.random_range(0..3) {
                0 => {
                    let byte = rng.random_range(0..4);
                    sequence = teams[owner].1.add(&bank(&name), hash(byte)).await.1;
                    model.banks[at].1.push(byte);
                }
                1 => {
                    directory = teams[owner].0.share(&name, MEMBERS[to], &[Capability::Match]).await;
                    model.banks[at].2[to] = true;
                }
                _ if model.banks[at].2[to] => {
                    let (to_name, key) = (MEMBERS[to].parse().unwrap(), IdempotencyKey::random());
                    let taken =
                        teams[owner].0.members.revoke_grant(&bank(&name), &to_name, key, soon()).await;
                    directory = taken.unwrap().sequence;
                    model.banks[at].2[to] = false;
                }
                _ => continue,
            }
            for (member, (_, worker)) in teams.iter().enumerate() {
                until_known(worker, directory).await;
                let byte = rng.random_range(0..4);
                let found = worker.finds(hash(byte), sequence).await;
                assert_eq!(found, model.found(member, byte), "seed {seed}, {}", MEMBERS[member]);
            }
        }
        for (at, (owner, ..)) in model.banks.iter().enumerate() {
            let (name, key) = (bank(&model.name(at)), IdempotencyKey::random());
            teams[*owner].0.bank.delete_bank(&name, key, soon()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_shared_and_taken_back_each_member_finds_what_the_model_says() {
    let mut isolated = Isolated::start().await;
    isolated.check(18, 40).await;
    isolated.consortium.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn a_thousand_seeds_find_what_the_model_says() {
    let seeds = std::env::var("VIGIE_SEEDS").map_or(1_000, |seeds| seeds.parse().unwrap());
    let mut isolated = Isolated::start().await;
    for seed in 0..seeds {
        isolated.check(seed, 12).await;
    }
    isolated.consortium.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_sees_no_item_and_members_outlive_a_restart() {
    let consortium = Consortium::start(&["acme"]).await;
    let (acme, acme_work) = consortium.team("acme").await;
    acme.create_bank(&bank("known")).await;
    let (item, _) = acme_work.add(&bank("known"), Hash::md5([1; 16])).await;
    let operator = &consortium.operator;
    let denied = |code: Code| assert_eq!(code, Code::PermissionDenied);
    denied(operator.bank.get_item(item, soon()).await.unwrap_err().code());
    denied(operator.bank.list_items(&bank("acme/known"), None, 10, soon()).await.unwrap_err().code());
    denied(operator.ask(Hash::md5([1; 16]), SearchOptions::default()).await.unwrap_err().code());
    // An operator sees counts, and cannot create principals that read hashes.
    assert_eq!(operator.bank.log_head(soon()).await.unwrap().items, 1);
    let contributor = vigie_clients::NewPrincipal {
        member: Some("acme".parse().unwrap()),
        roles: vigie_consortium::Roles::one(Role::Contributor),
        credential: vigie_clients::NewCredential::ApiKey,
        expiry: vigie_consortium::Expiry::NEVER,
        note: vigie_consortium::Text::default(),
    };
    let refused = operator.members.create_principal(contributor, IdempotencyKey::random(), soon()).await;
    denied(refused.unwrap_err().code());
    // The last operator cannot be revoked.
    let last = operator.members.revoke_principal(operator.id, IdempotencyKey::random(), soon()).await;
    assert_eq!(last.unwrap_err().code(), Code::FailedPrecondition);
    consortium.cluster.stop().await.unwrap();
}
