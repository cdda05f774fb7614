//! Expensive searches.
//!
//! ```text
//! cargo test --release -p vigie-tests --test it -- bounded::cost --ignored --nocapture
//! ```

use std::time::Duration;

use tonic::Code;
use vigie_model::PdqHash;
use vigie_tests::material::{flipped, generator, random_pdq};

use super::{GREEDY, Greedy, Ground, Measure, client, matched, plain_item, query, request};

/// The size and the length of a run.
struct Form {
    hashes: usize,
    at_once: usize,
    lasts: Duration,
    noise: Duration,
    is_short: bool,
}

const SHORT: Form = Form {
    hashes: 5_000,
    at_once: 16,
    lasts: Duration::from_secs(3),
    noise: Duration::from_millis(50),
    is_short: true,
};
const LONG: Form = Form {
    hashes: 200_000,
    at_once: 64,
    lasts: Duration::from_secs(20),
    noise: Duration::from_millis(5),
    is_short: false,
};

async fn run(form: Form) {
    let ground = Ground::start(|cluster| cluster).await;
    let (mut rng, bank) = (generator(43), ground.cluster.bank_client().unwrap());
    // Near-duplicates: most of the compared hashes are close to the query.
    let centres: Vec<PdqHash> = (0..50).map(|_| random_pdq(&mut rng)).collect();
    let hashes: Vec<PdqHash> =
        (0..form.hashes).map(|at| flipped(&centres[at % 50], 20 + at % 40, &mut rng)).collect();
    ground.add(&bank, hashes.iter().map(|hash| plain_item(*hash)).collect()).await;
    ground.wait_for(request(vec![query([hashes[form.hashes - 1]])], 0, 1), 1).await;

    // The most expensive request is refused, with the limits that would be accepted.
    let of = |queries: usize, hashes: usize| {
        (0..queries)
            .map(|at| query((0..hashes).map(|more| centres[(at * 7 + more) % 50])))
            .collect::<Vec<_>>()
    };
    let mut greedy = client(ground.url(), GREEDY).await;
    let refused = greedy.r#match(request(of(256, 64), 64, 1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let accepted = "ask for at most 218 within 64 bits, or within at most 31";
    assert!(refused.message().contains(accepted), "{}", refused.message());
    let most = request(of(218, 1), 64, 1);
    let answer = greedy.r#match(most.clone()).await.unwrap().into_inner();
    assert!(matched(&answer).all(|one| one.matches.len() == 1));

    let alone = ground.quiet().p99(form.lasts).await;
    let greedy = Greedy::start(ground.url(), form.at_once, &most, |_| {});
    let beside = ground.quiet().p99(form.lasts).await;
    let of_greedy = greedy.end().await;
    Measure { alone, noise: form.noise, of_greedy: form.is_short.then_some(of_greedy) }.check(beside);
    ground.check_memory();
}

#[tokio::test(flavor = "multi_thread")]
async fn costly_searches_harm_nobody() {
    run(SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn costly_searches_harm_nobody_for_long() {
    run(LONG).await;
}
