//! Small requests with large answers, and streams of answers that nobody reads.
//!
//! ```text
//! cargo test --release -p vigie-tests --test it -- bounded::answers --ignored --nocapture
//! ```

use std::time::{Duration, Instant};

use prost::Message as _;
use vigie_harness::in_process::soon;
use vigie_model::{Hash, ItemContent, ItemDraft, PdqHash};
use vigie_tests::material::{flipped, generator, random_pdq};

use super::{GREEDY, Ground, check_quiet, client, is_held_back, matched, pb, query, request};

/// The answers that gRPC clients accept by default.
const ACCEPTED: usize = 4 << 20;
/// What the answer to the largest query is, and what the bank holds near it.
const LIMIT: usize = 1_000;
const QUERIES: usize = 25;

/// How much of it is done.
struct Form {
    large_items: usize,
    at_once: usize,
    streams: usize,
    lasts: Duration,
    noise: Duration,
}

const SHORT: Form = Form {
    large_items: 1_050,
    at_once: 60,
    streams: 60,
    lasts: Duration::from_secs(3),
    noise: Duration::from_millis(100),
};
const LONG: Form = Form {
    large_items: 3_000,
    at_once: 60,
    streams: 200,
    lasts: Duration::from_secs(20),
    noise: Duration::from_millis(5),
};

/// An item at all its bounds.
fn large_item(hash: PdqHash, number: usize) -> ItemContent {
    let label = |at: usize| format!("{:>128}", number * 100 + at);
    let hashes = vec![Hash::pdq(hash)];
    let labels = (0..ItemContent::LABELS_MAX).map(label).collect();
    let external_reference = format!("{number:>512}");
    ItemDraft { hashes, labels, external_reference }.try_into().unwrap()
}

/// Every match of the nearest, in order, at least one for each query, and all that is not there is counted.
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
    // Each of its queries is a copy of an item, and all items are near it.
    let asked =
        request((0..QUERIES).map(|at| query([hashes[at]])).collect(), 31, i32::try_from(LIMIT).unwrap());
    ground.wait_for(asked.clone(), LIMIT).await;
    check(&client(ground.url(), GREEDY).await.r#match(asked.clone()).await.unwrap().into_inner());

    let (alone, lasts) = ground.alone(form.lasts).await;
    let quiet = ground.quiet().await;
    let until = Instant::now() + lasts;
    let greedy: Vec<_> = (0..form.at_once)
        .map(|_| {
            let (url, asked) = (ground.url().to_owned(), asked.clone());
            tokio::spawn(async move {
                let (mut client, mut answered) = (client(&url, GREEDY).await, 0);
                while Instant::now() < until {
                    match client.r#match(asked.clone()).await {
                        Ok(answer) => {
                            check(answer.get_ref());
                            answered += 1;
                        }
                        Err(status) => assert!(is_held_back(status.code()), "{status:?}"),
                    }
                }
                answered
            })
        })
        .collect();
    let mut answered = 0;
    for one in greedy {
        answered += one.await.unwrap();
    }
    check_quiet(alone, quiet.p99().await, form.noise);
    println!("{answered} large answers");
    assert!(answered > 0);

    // And streams, each with many such requests, whose answers nobody reads.
    let quiet = ground.quiet().await;
    let mut unread = Vec::new();
    for _ in 0..form.streams {
        let mut client = client(ground.url(), GREEDY).await;
        let asked = asked.clone();
        let requests = (0..64)
            .map(move |request_id| pb::MatchStreamRequest { request_id, request: Some(asked.clone()) });
        unread.push((client.match_stream(futures::stream::iter(requests)).await, client));
    }
    tokio::time::sleep(lasts).await;
    check_quiet(alone, quiet.p99().await, form.noise);
    ground.check_memory();

    // Pages of such items are cut too, and lose none.
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
