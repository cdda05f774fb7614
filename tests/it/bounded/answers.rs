//! Small requests with large answers, and streams whose answers are not read.
//!
//! ```text
//! cargo test --release -p vigie-tests --test it -- bounded::answers --ignored --nocapture
//! ```

use std::time::Duration;

use prost::Message as _;
use vigie_harness::in_process::soon;
use vigie_model::{Hash, ItemContent, ItemDraft, PdqHash};
use vigie_tests::material::{flipped, generator, random_pdq};

use super::{GREEDY, Greedy, Ground, Measure, client, matched, pb, query, request};

/// The largest answer that gRPC clients accept by default, in bytes.
const ACCEPTED: usize = 4 << 20;
/// The match limit and the number of queries of the request with the largest answer.
const LIMIT: usize = 1_000;
const QUERIES: usize = 25;

/// The size and the length of a run.
struct Form {
    large_items: usize,
    at_once: usize,
    streams: usize,
    lasts: Duration,
    noise: Duration,
    is_short: bool,
}

const SHORT: Form = Form {
    large_items: 1_050,
    at_once: 60,
    streams: 60,
    lasts: Duration::from_secs(3),
    noise: Duration::from_millis(100),
    is_short: true,
};
const LONG: Form = Form {
    large_items: 3_000,
    at_once: 60,
    streams: 200,
    lasts: Duration::from_secs(20),
    noise: Duration::from_millis(5),
    is_short: false,
};

/// Returns an item whose fields all have their largest size.
fn large_item(hash: PdqHash, number: usize) -> ItemContent {
    let label = |at: usize| format!("{:>128}", number * 100 + at);
    let hashes = vec![Hash::pdq(hash)];
    let labels = (0..ItemContent::LABELS_MAX).map(label).collect();
    let external_reference = format!("{number:>512}");
    ItemDraft { hashes, labels, external_reference }.try_into().unwrap()
}

/// Checks that each query has its nearest matches in order, at least one, and that the omitted ones are
/// counted.
fn check(answer: &pb::MatchResponse) {
    assert!(answer.encoded_len() < ACCEPTED && answer.truncated);
    assert_eq!(answer.results.len(), QUERIES);
    let few = matched(answer).map(|one| one.matches.len()).min().unwrap();
    let many = matched(answer).map(|one| one.matches.len()).max().unwrap();
    assert!(few >= 1 && many <= few + 1, "{few} to {many} matches of equal size for each query");
    for one in matched(answer) {
        assert!(one.truncated && one.limit_reached);
        assert_eq!(one.matches.len() + one.matches_left_out as usize, LIMIT);
        assert_eq!(one.matches[0].distance, 0, "the best match is there");
        assert!(one.matches.is_sorted_by_key(|found| (found.distance, found.item_id)));
    }
}

async fn run(form: Form) {
    let ground = Ground::start(|cluster| cluster).await;
    let (mut rng, bank) = (generator(42), ground.cluster.bank_client().unwrap());
    let centre = random_pdq(&mut rng);
    let hashes: Vec<PdqHash> = (0..form.large_items)
        .map(|number| flipped(&centre, number * 15 / form.large_items, &mut rng))
        .collect();
    let items = hashes.iter().enumerate().map(|(number, hash)| large_item(*hash, number)).collect();
    ground.add(&bank, items).await;
    // Each query is a copy of an item, and all items are near it.
    let asked =
        request((0..QUERIES).map(|at| query([hashes[at]])).collect(), 31, i32::try_from(LIMIT).unwrap());
    ground.wait_for(asked.clone(), LIMIT).await;
    check(&client(ground.url(), GREEDY).await.r#match(asked.clone()).await.unwrap().into_inner());

    let alone = ground.quiet().p99(form.lasts).await;
    let greedy = Greedy::start(ground.url(), form.at_once, &asked, check);
    let beside = ground.quiet().p99(form.lasts).await;
    let of_greedy = greedy.end().await;
    let measure = Measure { alone, noise: form.noise, of_greedy: form.is_short.then_some(of_greedy) };
    measure.check(beside);

    // In addition, streams with many such requests, whose answers are not read.
    let mut unread = Vec::new();
    for _ in 0..form.streams {
        let mut client = client(ground.url(), GREEDY).await;
        let asked = asked.clone();
        let requests = (0..64)
            .map(move |request_id| pb::MatchStreamRequest { request_id, request: Some(asked.clone()) });
        unread.push((client.match_stream(futures::stream::iter(requests)).await, client));
    }
    measure.check(ground.quiet().p99(form.lasts).await);
    ground.check_memory();

    // Pages of such items are shortened too, and no item is lost.
    let (mut after, mut listed) = (None, 0);
    loop {
        let page = bank.list_items(&ground.bank, after, 1_000, soon()).await.unwrap();
        listed += page.items.len();
        after = page.next_after;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(listed, ground.known.len() + form.large_items);
    drop(unread);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_requests_with_large_answers_harm_nobody() {
    run(SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn small_requests_with_large_answers_harm_nobody_for_long() {
    run(LONG).await;
}
