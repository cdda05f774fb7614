//! A wrong request of each kind gets the right code, and a message with advice.

use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use vigie_harness::in_process::Cluster;
use vigie_pictures::{draw, encode_jpeg, encode_png};
use vigie_proto::pb::bank::v1 as bank;
use vigie_proto::pb::bank::v1::bank_service_client::BankServiceClient;
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::pb::matching::v1::match_query::Content;
use vigie_proto::pb::matching::v1::match_service_client::MatchServiceClient;
use vigie_proto::pb::model::v1 as model;

async fn connect(url: String) -> Channel {
    Channel::from_shared(url).unwrap().connect().await.unwrap()
}

fn image(bytes: Vec<u8>) -> pb::MatchQuery {
    pb::MatchQuery { content: Some(Content::Image(bytes.into())) }
}

fn hashed(hash_type: i32, value: Vec<u8>) -> pb::MatchQuery {
    let hash = model::QueryHash { hash: Some(model::Hash { hash_type, value }), variant: 0 };
    let hashed = pb::HashedContent { hashes: vec![hash], pdq_quality: None };
    pb::MatchQuery { content: Some(Content::Hashed(hashed)) }
}

fn request(query: pb::MatchQuery, options: model::SearchOptions) -> pb::MatchRequest {
    pb::MatchRequest { queries: vec![query], options: Some(options), ..pb::MatchRequest::default() }
}

/// Returns a packed request of queries with one hash each.
fn packed(hash_type: i32, hash_bytes: u32, values: Vec<u8>) -> pb::MatchRequest {
    let run = model::PackedHashes { hash_type, hash_bytes, values: values.into(), variants: Vec::new() };
    let packed = model::PackedQueries { hash_counts: Vec::new(), runs: vec![run] };
    pb::MatchRequest { packed: Some(packed), ..pb::MatchRequest::default() }
}

/// Returns a PNG of a few bytes that declares 60,000 x 60,000 pixels.
fn bomb() -> Vec<u8> {
    let mut file = encode_png(&image::RgbImage::new(8, 8));
    file[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
    file[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
    let checksum = crc32(&file[12..29]);
    file[29..33].copy_from_slice(&checksum.to_be_bytes());
    file
}

/// The checksum of PNG chunks (ISO 3309), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1)))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_match_request_is_refused_in_words() {
    let cluster = Cluster::start().await.unwrap();
    let name = cluster.create_bank("switched-off").await.unwrap();
    let off = cluster
        .bank
        .set_bank_enabled(
            &name,
            false,
            vigie_clients::IdempotencyKey::random(),
            vigie_harness::in_process::soon(),
        )
        .await
        .unwrap();
    let client =
        MatchServiceClient::new(connect(cluster.frontend_url()).await).max_encoding_message_size(64 << 20);

    let options = model::SearchOptions::default;
    let jpeg = encode_jpeg(&draw(1, 640, 480), 90);
    let truncated = jpeg[..jpeg.len() / 2].to_vec();
    let far = model::SearchOptions {
        max_distance: vec![model::MaxDistance { hash_type: 1, distance: 300 }],
        ..options()
    };
    let negative = model::SearchOptions { limit: -3, ..options() };
    let unknown_bank = model::SearchOptions { banks: vec!["nowhere".into()], ..options() };
    let disabled = model::SearchOptions {
        banks: vec!["switched-off".into()],
        min_sequence: off.sequence.0,
        ..options()
    };
    let share = model::SearchOptions { min_coverage: Some(1.5), ..options() };
    let good = || hashed(1, vec![7; 32]);
    let nothing = pb::MatchRequest::default();
    let greedy = model::SearchOptions { limit: 1_000, ..options() };
    let many =
        pb::MatchRequest { queries: vec![good(); 26], options: Some(greedy), ..pb::MatchRequest::default() };

    let both = pb::MatchRequest { queries: vec![good()], ..packed(1, 32, vec![7; 32]) };
    let packed_unknown =
        pb::MatchRequest { options: Some(unknown_bank.clone()), ..packed(1, 32, vec![7; 64]) };

    let invalid = Code::InvalidArgument;
    let cases = [
        (both, invalid, "packed", "comes with `queries`"),
        (packed(1, 32, vec![7; 33]), invalid, "packed.runs[0].values", "32 each"),
        (packed(1, 31, vec![7; 62]), invalid, "packed.runs[0].values[0]", "32 bytes"),
        (packed(109, 32, vec![7; 32]), invalid, "packed.runs[0].hash_type", "no hash type"),
        (packed(1, 32, vec![7; 257 * 32]), invalid, "packed.queries", "1 to 256"),
        (packed_unknown, Code::NotFound, "", "no bank named nowhere"),
        (request(image(vec![]), options()), invalid, "queries[0].image", "empty"),
        (
            request(hashed(1, vec![7; 31]), options()),
            invalid,
            "queries[0].hashed.hashes[0].hash.value",
            "32 bytes",
        ),
        (
            request(hashed(2, vec![7; 32]), options()),
            invalid,
            "queries[0].hashed.hashes[0].hash.value",
            "16 bytes",
        ),
        (
            request(hashed(0, vec![7; 32]), options()),
            invalid,
            "queries[0].hashed.hashes[0].hash.hash_type",
            "required",
        ),
        (
            request(hashed(109, vec![7; 32]), options()),
            invalid,
            "queries[0].hashed.hashes[0].hash.hash_type",
            "no hash type",
        ),
        (request(good(), far), invalid, "options.max_distance[0].distance", "0 to 64"),
        (request(good(), negative), invalid, "options.limit", "1 to 1000"),
        (request(good(), share), invalid, "options.min_coverage", "0.0 to 1.0"),
        (request(pb::MatchQuery::default(), options()), invalid, "queries[0].content", "video or its hashes"),
        (nothing, invalid, "queries", "1 to 256"),
        (many, invalid, "options.limit", "at most 25600"),
        (request(good(), unknown_bank), Code::NotFound, "", "no bank named nowhere"),
        (request(good(), disabled), Code::FailedPrecondition, "", "disabled"),
    ];
    for (request, code, field, words) in cases {
        let status = client.clone().r#match(request).await.unwrap_err();
        check(&status, code, field, words);
    }

    // An undecodable image is not a wrong request: its digests are searched, and the answer reports the
    // failure.
    let undecodable =
        [(truncated, "truncated"), (bomb(), "60000 x 60000"), (b"hello".to_vec(), "no known image format")];
    for (file, words) in undecodable {
        let answer = client.clone().r#match(request(image(file), options())).await.unwrap().into_inner();
        let Some(pb::match_result::Outcome::Matched(matched)) = &answer.results[0].outcome else {
            panic!("{answer:?}");
        };
        let failure = matched.decode_failure.as_ref().unwrap();
        assert!(failure.message.contains(words), "{failure:?}");
        let skipped: Vec<_> = matched.searches.iter().map(|one| (one.hash_type, one.skip_reason)).collect();
        assert_eq!(skipped, [(1, 2), (2, 0), (3, 0), (4, 0), (5, 0)], "PDQ alone was not searched");
        assert!(answer.coverage.is_some_and(|coverage| coverage.shards_answered > 0));
    }
    cluster.stop().await.unwrap();
}

fn check(status: &Status, code: Code, field: &str, words: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    assert!(status.message().contains(words), "{words} in {}", status.message());
    if code == Code::InvalidArgument && !field.is_empty() {
        let violations = status.get_details_bad_request().expect("the field is named").field_violations;
        assert_eq!(violations[0].field, field, "{}", status.message());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_30_mb_is_refused_by_its_length() {
    let cluster = Cluster::start().await.unwrap();
    let mut client =
        MatchServiceClient::new(connect(cluster.frontend_url()).await).max_encoding_message_size(64 << 20);
    for _ in 0..10 {
        let status =
            client.r#match(request(image(vec![1; 30_000_000]), Default::default())).await.unwrap_err();
        check(&status, Code::InvalidArgument, "", "at most 21048576 are accepted");
    }
    // An image above the image limit and below the message limit is not decoded, but its digests are
    // searched.
    let answer = client.r#match(request(image(vec![1; 20_500_000]), Default::default())).await.unwrap();
    let answer = answer.into_inner();
    let Some(pb::match_result::Outcome::Matched(matched)) = &answer.results[0].outcome else {
        panic!("{answer:?}");
    };
    let failure = matched.decode_failure.as_ref().unwrap();
    assert_eq!(failure.kind, "too_large_input");
    assert!(failure.message.contains("20000000 bytes are accepted"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_write_is_refused_in_words() {
    let cluster = Cluster::start().await.unwrap();
    cluster.create_bank("known").await.unwrap();
    let client = BankServiceClient::new(connect(cluster.bank_url()).await);
    let content = |value: Vec<u8>| bank::ItemContent {
        hashes: vec![model::Hash { hash_type: 1, value }],
        ..Default::default()
    };
    let add = |name: &str, items: Vec<bank::ItemContent>| {
        let (mut client, name) = (client.clone(), name.to_owned());
        async move {
            let request = bank::AddItemsRequest { bank: name, items, idempotency_key: String::new() };
            client.add_items(request).await.unwrap_err()
        }
    };
    let no_hash = bank::ItemContent::default();
    check(&add("nowhere", vec![content(vec![1; 32])]).await, Code::NotFound, "", "nowhere");
    check(&add("no name", vec![content(vec![1; 32])]).await, Code::InvalidArgument, "bank", "A-Z");
    check(&add("known", vec![]).await, Code::InvalidArgument, "items", "1 to 1000");
    check(&add("known", vec![no_hash]).await, Code::InvalidArgument, "items[0].hashes", "1 to 64");
    let wrong = vec![content(vec![1; 32]), content(vec![1; 5])];
    check(&add("known", wrong).await, Code::InvalidArgument, "items[1].hashes[0].value", "32 bytes");

    let mut client = client.clone();
    let twice = bank::CreateBankRequest { name: "known".into(), ..Default::default() };
    check(&client.create_bank(twice).await.unwrap_err(), Code::AlreadyExists, "", "known");
    let missing = bank::RemoveItemsRequest { item_ids: vec![99], ..Default::default() };
    check(&client.remove_items(missing).await.unwrap_err(), Code::NotFound, "", "99");
    let page = bank::ListBanksRequest { after_id: 0, page_size: -1 };
    check(&client.list_banks(page).await.unwrap_err(), Code::InvalidArgument, "page_size", "1 to 1000");
}
