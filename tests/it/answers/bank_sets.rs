//! Searches that name their set of banks, through a coordinator.

use std::sync::Arc;

use vigie_clients::{
    BankClient, CallError, Code, CoordinatorClient, IdempotencyKey, MatchClient, Network, Priority,
};
use vigie_frontend::CoordinatorAt;
use vigie_harness::in_process::{Role, as_of, soon};
use vigie_model::{
    BankId, BankName, BankSet, Hash, MatchCall, Query, QueryHash, SearchAnswer, SearchOptions, Sequence,
    Variant,
};
use vigie_serving::ServingConfig;
use vigie_tests::material::{generator, item, pdq, random_pdq};

const SHARDS: u32 = 2;

fn of_banks(banks: &[u32], sequence: Sequence) -> SearchOptions {
    let set: BankSet = banks.iter().copied().map(BankId).collect();
    SearchOptions { bank_set: Some(Arc::new(set)), ..as_of(sequence) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_of_a_set_finds_and_counts_the_items_of_its_banks_only() {
    let data = tempfile::tempdir().unwrap();
    let serving = ServingConfig::default().without_lame_duck();
    let store = format!("sqlite:{}", data.path().join("bank.db").display());
    let bank_role =
        Role::start(vigie_bank::Config { store: store.into(), serving, ..vigie_bank::Config::default() });
    let bank_role = bank_role.await.unwrap();
    let mut matchers = Vec::new();
    for shard in 0..SHARDS {
        let config = vigie_matcher::Config {
            bank: bank_role.url(),
            shard,
            shard_count: SHARDS,
            serving,
            ..vigie_matcher::Config::default()
        };
        matchers.push(Role::start(config).await.unwrap());
    }
    let coordinator = vigie_coordinator::Config {
        matchers: matchers.iter().map(Role::url).collect(),
        serving,
        ..vigie_coordinator::Config::default()
    };
    let coordinator = Role::start(coordinator).await.unwrap();
    let frontend = vigie_frontend::Config {
        coordinator: CoordinatorAt::Endpoints(vec![coordinator.url()]),
        serving,
        ..vigie_frontend::Config::default()
    };
    let frontend = Role::start(frontend).await.unwrap();
    let bank = BankClient::new_on(&bank_role.url(), &Network::tcp()).unwrap();
    let client = CoordinatorClient::new(&coordinator.url()).unwrap();

    // Ten items in each of three banks, all near one hash.
    let (names, hash) = (["first", "second", "third"], random_pdq(&mut generator(5)));
    let mut sequence = Sequence::ZERO;
    for name in names {
        let name: BankName = name.parse().unwrap();
        bank.create_bank(&name, IdempotencyKey::random(), soon()).await.unwrap();
        let items = (0..10).map(|_| item([Hash::pdq(hash)]).unwrap()).collect();
        sequence = bank.add_items(&name, items, IdempotencyKey::random(), soon()).await.unwrap().sequence;
    }
    let query = Query { hashes: vec![QueryHash { hash: Hash::pdq(hash), variant: Variant::Original }] };
    let search = async |options: SearchOptions| -> Result<SearchAnswer, CallError> {
        loop {
            let queries = std::slice::from_ref(&query);
            let answer = client.search(queries, &options, Priority::Interactive, soon()).await;
            // The matchers are being found.
            if answer.as_ref().is_err_and(|error| error.code() == Code::Unavailable) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                continue;
            }
            return answer;
        }
    };
    let check = async |options: SearchOptions, expected: &[(&str, usize)]| {
        let answer = search(options).await.unwrap();
        let found = |name| {
            let matches = answer.results[0].matches.iter();
            matches.filter(|one| one.bank_name.to_string() == name).count()
        };
        assert_eq!(
            names.map(found),
            names.map(|name| { expected.iter().find(|(of, _)| *of == name).map_or(0, |(_, count)| *count) })
        );
        let count = expected.iter().map(|(_, count)| *count as u64).sum();
        let coverage = answer.coverage;
        assert!(coverage.is_full() && coverage.sequence_min >= sequence, "{coverage:?}");
        assert_eq!((coverage.hashes_searched, coverage.hashes_total), (count, count));
    };
    check(as_of(sequence), &[("first", 10), ("second", 10), ("third", 10)]).await;
    check(of_banks(&[1, 3], sequence), &[("first", 10), ("third", 10)]).await;
    check(of_banks(&[2, 9_999], sequence), &[("second", 10)]).await;
    check(of_banks(&[9_999], sequence), &[]).await;
    check(of_banks(&[], sequence), &[]).await;

    let second: BankName = "second".parse().unwrap();
    let disabled = bank.set_bank_enabled(&second, false, IdempotencyKey::random(), soon()).await.unwrap();
    check(of_banks(&[1, 2], disabled.sequence), &[("first", 10)]).await;

    let both = SearchOptions { banks: vec!["first".parse().unwrap()], ..of_banks(&[1], sequence) };
    assert_eq!(search(both).await.unwrap_err().code(), Code::InvalidArgument);
    let matching = MatchClient::new_on(&[frontend.url()], &Network::tcp()).unwrap();
    let options = of_banks(&[1], sequence);
    let call = MatchCall {
        contents: vec![pdq(hash)],
        options,
        quality_floor: None,
        surface: Box::default(),
        classifiers: Vec::new(),
    };
    let refused = matching.match_content(call, soon()).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("options.bank_set"), "{}", refused.message());
}
