//! Hash types of vectors: declared in the bank, searched by matchers that know no declaration, within each
//! bank's own distance.

use rand::RngExt as _;
use tonic::Code;
use tonic::transport::Channel;
use vigie_clients::{ConsortiumClient, HashTypeClient, IdempotencyKey, Network, NewHashType};
use vigie_consortium::{BankRef, Charter, CharterDraft};
use vigie_harness::binary::run;
use vigie_harness::in_process::{Cluster, as_of, soon};
use vigie_model::{Distance, Hash, HashType, Matched, MaxDistances, SearchOptions, Sequence, VectorClass};
use vigie_proto::pb::bank::v1 as pb_bank;
use vigie_proto::pb::bank::v1::bank_service_client::BankServiceClient;
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::matching::v1::match_service_client::MatchServiceClient;
use vigie_proto::pb::model::v1 as model;
use vigie_tests::material::{call, generator, hashed, item};

const ELEMENTS: usize = 24;

/// Declares a type of 24 elements with the cosine distance.
async fn declare(cluster: &Cluster, name: &str) -> HashType {
    let client = HashTypeClient::among(&[cluster.bank_url()], &Network::tcp()).unwrap();
    let new = NewHashType {
        name: name.to_owned(),
        class: VectorClass::ALL[0],
        elements: u16::try_from(ELEMENTS).unwrap(),
        distance_default: Distance(100_000),
        distance_max: Distance(900_000),
    };
    client.declare(new, IdempotencyKey::random(), soon()).await.unwrap().value.hash_type
}

async fn set_distance(cluster: &Cluster, bank: &BankRef, hash_type: HashType, distance: u32) -> Sequence {
    let client = ConsortiumClient::among(&[cluster.bank_url()], &Network::tcp()).unwrap();
    let vector_distances = vec![(hash_type, Distance(distance))];
    let charter = Charter::try_from(CharterDraft { vector_distances, ..CharterDraft::default() }).unwrap();
    client.set_charter(bank, charter, IdempotencyKey::random(), soon()).await.unwrap().sequence
}

fn vector(hash_type: HashType, elements: &[f32]) -> Hash {
    let bytes: Vec<u8> = elements.iter().flat_map(|element| element.to_le_bytes()).collect();
    Hash::from_bytes(hash_type, &bytes).unwrap()
}

/// Returns a vector at this angle to the first axis: its cosine distance from the axis is one minus the
/// cosine.
fn at_angle(hash_type: HashType, degrees: f32) -> Hash {
    let mut elements = [0.0; ELEMENTS];
    (elements[0], elements[1]) = (degrees.to_radians().cos(), degrees.to_radians().sin());
    vector(hash_type, &elements)
}

async fn ask(cluster: &Cluster, hash: Hash, options: SearchOptions) -> Matched {
    cluster.ask_one(hashed([hash]), options).await.unwrap()
}

/// Repeats a query until the frontend, which follows the directory, knows of a change.
async fn ask_until(
    cluster: &Cluster,
    hash: &Hash,
    options: &SearchOptions,
    is_so: impl Fn(&Matched) -> bool,
) -> Matched {
    let deadline = soon();
    loop {
        let matched = ask(cluster, hash.clone(), options.clone()).await;
        if is_so(&matched) {
            return matched;
        }
        assert!(tokio::time::Instant::now() < deadline, "{:?}", matched.searches);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_vectors_are_found_within_the_distance_of_each_bank_until_they_are_removed() {
    let cluster = Cluster::start_with(|config| {
        config.shard_count = 2;
        // Builds graphs even of few vectors, and uses no scans instead.
        config.matcher.hnsw.list_rows_build = 100;
        config.matcher.hnsw.scan_rows_per_ef = 0;
    });
    let cluster = cluster.await.unwrap();
    let hash_type = declare(&cluster, "it_vectors").await;
    assert_eq!(hash_type.name(), Some("it_vectors"), "the bank of this process has registered it");
    let (near, far) = (cluster.create_bank("near").await.unwrap(), cluster.create_bank("far").await.unwrap());
    let mut rng = generator(1);
    let mut random = || {
        let elements: Vec<f32> = (0..ELEMENTS).map(|_| rng.random_range(-1.0..1.0)).collect();
        vector(hash_type, &elements)
    };
    let others = (0..600).map(|_| item([random()]).unwrap()).collect();
    cluster.add(&far, others).await.unwrap();
    // Cosine distances from the axis: 0.0152, 0.0603 and 0.2340.
    let angles = [10.0, 20.0, 40.0];
    let items = || angles.iter().map(|angle| item([at_angle(hash_type, *angle)]).unwrap()).collect();
    let (near_ids, _) = cluster.add(&near, items()).await.unwrap();
    let (far_ids, sequence) = cluster.add(&far, items()).await.unwrap();

    let axis = at_angle(hash_type, 0.0);
    let both = SearchOptions { banks: vec![near.clone().into(), far.clone().into()], ..as_of(sequence) };
    let found = |matched: &Matched| -> Vec<u64> {
        let mut ids: Vec<u64> = matched.found.matches.iter().map(|one| one.item.0).collect();
        ids.sort_unstable();
        ids
    };
    let ids = |of_near: usize, of_far: usize| -> Vec<u64> {
        let mut ids: Vec<u64> = near_ids[..of_near].iter().chain(&far_ids[..of_far]).map(|id| id.0).collect();
        ids.sort_unstable();
        ids
    };
    // Some of the 600 other vectors may be near; an exact search gives the right answer.
    let exact = SearchOptions { exact: true, ..both.clone() };
    let matched = ask(&cluster, axis.clone(), exact.clone()).await;
    assert!(matched.searches[0].exact);
    assert_eq!(
        (matched.searches[0].hash_type, matched.searches[0].max_distance),
        (hash_type, Distance(100_000))
    );
    assert_eq!(found(&matched), ids(2, 2));
    assert_eq!(matched.found.matches[0].distance, Distance(15_192));
    let call = call(vec![hashed([axis.clone()])], exact.clone());
    let packed = cluster.matching.match_packed(call, soon()).await.unwrap();
    assert_eq!(packed.results, [Ok(matched)]);
    let approximate = ask(&cluster, axis.clone(), both.clone()).await;
    assert!(!approximate.searches[0].exact);
    assert_eq!(found(&approximate), ids(2, 2));

    // Each bank has a distance of its own, and a caller may request a smaller one.
    set_distance(&cluster, &near.clone().into(), hash_type, 30_000).await;
    set_distance(&cluster, &far.clone().into(), hash_type, 235_000).await;
    let is_far = |matched: &Matched| matched.searches[0].max_distance == Distance(235_000);
    let matched = ask_until(&cluster, &axis, &exact, is_far).await;
    let of_named = |matched: &Matched| {
        let known = ids(3, 3);
        found(matched).into_iter().filter(|id| known.contains(id)).collect::<Vec<_>>()
    };
    assert_eq!(of_named(&matched), ids(1, 3));
    let asked = |distance| MaxDistances::default().with(hash_type, distance).unwrap();
    let closer = SearchOptions { max_distances: asked(100_000), ..exact.clone() };
    assert_eq!(found(&ask(&cluster, axis.clone(), closer).await), ids(1, 2));
    let wider = SearchOptions { max_distances: asked(900_000), ..exact.clone() };
    assert_eq!(of_named(&ask(&cluster, axis.clone(), wider).await), ids(1, 3));
    let one = SearchOptions { banks: vec![near.clone().into()], ..exact.clone() };
    let matched = ask(&cluster, axis.clone(), one).await;
    assert_eq!((found(&matched), matched.searches[0].max_distance), (ids(1, 0), Distance(100_000)));

    // A removed item is no longer found, neither exactly nor approximately.
    let removed = cluster.bank.remove_items(&near_ids[..1], IdempotencyKey::random(), soon()).await.unwrap();
    for is_exact in [true, false] {
        let options = SearchOptions { exact: is_exact, min_sequence: removed.sequence, ..both.clone() };
        let matched = ask(&cluster, axis.clone(), options).await;
        assert!(!found(&matched).contains(&near_ids[0].0));
        assert!(found(&matched).contains(&far_ids[0].0));
    }
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_that_are_not_declared_or_have_another_length_are_refused() {
    let cluster = Cluster::start().await.unwrap();
    let hash_type = declare(&cluster, "it_refused").await;
    let bank = cluster.create_bank("known").await.unwrap();
    // Requests of a client that does not know the declarations.
    let channel = |url: String| Channel::from_shared(url).unwrap();
    let mut banks = BankServiceClient::new(channel(cluster.bank_url()).connect().await.unwrap());
    let mut matching = MatchServiceClient::new(channel(cluster.frontend_url()).connect().await.unwrap());
    let undeclared = VectorClass::ALL[1].hash_type(250);
    for (hash_type, elements, says) in [
        (undeclared, 24, "declare it first with `vigie hash-type declare`"),
        (hash_type, 23, "a it_refused hash has 24 elements (96 bytes), not 92 bytes"),
    ] {
        let value = 1.0_f32.to_le_bytes().repeat(elements);
        let run = model::PackedHashes {
            hash_type: hash_type.number().into(),
            hash_bytes: u32::try_from(value.len()).unwrap(),
            values: value.clone().into(),
            variants: Vec::new(),
        };
        let packed = model::PackedQueries { hash_counts: Vec::new(), runs: vec![run] };
        let hash = model::Hash { hash_type: hash_type.number().into(), value };
        let content = pb_bank::ItemContent { hashes: vec![hash.clone()], ..Default::default() };
        let request =
            pb_bank::AddItemsRequest { bank: bank.to_string(), items: vec![content], ..Default::default() };
        let refused = banks.add_items(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains(says), "{refused}");
        let hashes = vec![model::QueryHash { hash: Some(hash), variant: 0 }];
        let hashed = pb::HashedContent { hashes, pdq_quality: None };
        let query = pb::MatchQuery { content: Some(pb::match_query::Content::Hashed(hashed)) };
        let plain = pb::MatchRequest { queries: vec![query], ..Default::default() };
        for request in [plain, pb::MatchRequest { packed: Some(packed), ..Default::default() }] {
            let refused = matching.r#match(request).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument);
            assert!(refused.message().contains(says), "{refused}");
        }
    }
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_declare_types_and_know_their_names() {
    let cluster = Cluster::start().await.unwrap();
    cluster.create_bank("known").await.unwrap();
    let environment = [
        ("VIGIE_BANK".to_owned(), cluster.bank_url()),
        ("VIGIE_FRONTEND".to_owned(), cluster.frontend_url()),
    ];
    let vigie = async |args: &'static [&'static str]| {
        let environment = environment.clone();
        tokio::task::spawn_blocking(move || run(args, &environment).unwrap()).await.unwrap()
    };
    let declared =
        vigie(&["hash-type", "declare", "it_typed", "--elements", "3", "--metric", "cosine", "--json"]).await;
    let declared = declared.json().unwrap()[0].clone();
    assert_eq!((&declared["hash_type"], &declared["distance"]), (&"it_typed".into(), &"0.100000".into()));
    let listed = vigie(&["hash-type", "list", "--json"]).await;
    assert_eq!(listed.json().unwrap()[0]["number"], declared["number"]);
    let set =
        vigie(&["bank", "charter", "set", "known", "--vector-distances", "it_typed=0.25", "--json"]).await;
    assert_eq!(set.json().unwrap()[0]["vector_distances"]["it_typed"], "0.250000");
    let refused = vigie(&["bank", "charter", "set", "known", "--vector-distances", "it_typed=0.6"]).await;
    assert!(refused.stderr.contains("0.500000"), "{}", refused.stderr);
    cluster.stop().await.unwrap();
}
