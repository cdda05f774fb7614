//! Searches that are much work.
//!
//! ```text
//! cargo test --release -p vigie-tests --test it -- bounded::cost --ignored --nocapture
//! ```

use std::time::{Duration, Instant};

use tonic::Code;
use vigie_model::PdqHash;
use vigie_tests::material::{flipped, generator, random_pdq};

use super::{GREEDY, Ground, check_quiet, client, is_held_back, matched, plain_item, query, request};

/// How much of it is done.
struct Form {
    hashes: usize,
    at_once: usize,
    lasts: Duration,
    noise: Duration,
}

const SHORT: Form =
    Form { hashes: 5_000, at_once: 16, lasts: Duration::from_secs(3), noise: Duration::from_millis(50) };
const LONG: Form =
    Form { hashes: 200_000, at_once: 64, lasts: Duration::from_secs(20), noise: Duration::from_millis(5) };

async fn run(form: Form) {
    let ground = Ground::start(|cluster| cluster).await;
    let (mut rng, bank) = (generator(43), ground.cluster.bank_client().unwrap());
    // Near-duplicates: most of what a search looks at is close to what is asked.
    let centres: Vec<PdqHash> = (0..50).map(|_| random_pdq(&mut rng)).collect();
    let hashes: Vec<PdqHash> =
        (0..form.hashes).map(|at| flipped(&centres[at % 50], 20 + at % 40, &mut rng)).collect();
    ground.add(&bank, hashes.iter().map(|hash| plain_item(*hash)).collect()).await;
    ground.wait_for(request(vec![query([hashes[form.hashes - 1]])], 0, 1), 1).await;

    // The most of all is refused, with what would be accepted.
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

    let (alone, lasts) = ground.alone(form.lasts).await;
    let quiet = ground.quiet().await;
    let until = Instant::now() + lasts;
    let asking: Vec<_> = (0..form.at_once)
        .map(|_| {
            let (url, most) = (ground.url().to_owned(), most.clone());
            tokio::spawn(async move {
                let (mut client, mut answered) = (client(&url, GREEDY).await, 0);
                while Instant::now() < until {
                    match client.r#match(most.clone()).await {
                        Ok(_) => answered += 1,
                        Err(status) => assert!(is_held_back(status.code()), "{status:?}"),
                    }
                }
                answered
            })
        })
        .collect();
    let mut answered = 0;
    for one in asking {
        answered += one.await.unwrap();
    }
    check_quiet(alone, quiet.p99().await, form.noise);
    println!("{answered} costly searches");
    assert!(answered > 0);
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
