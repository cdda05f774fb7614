//! Incidents in a whole cluster: the time from the opening of an incident until its item matches for every
//! member that subscribes to it.
//!
//! ```text
//! cargo test --release -p vigie-tests --test it -- members::incidents --ignored --nocapture
//! ```
#![allow(clippy::print_stdout, reason = "measurements are printed")]

use std::time::{Duration, Instant};

use vigie_clients::{IdempotencyKey, IncidentClient};
use vigie_consortium::cases::{CaseNote, IncidentType, IncidentTypes, IncidentWords};
use vigie_consortium::{Role, Text};
use vigie_harness::in_process::soon;
use vigie_model::{Hash, SearchOptions};
use vigie_tests::material::{generator, item, pdq_of_a_picture};

use super::{Client, Consortium, until_known};

/// Members that subscribe. One more member does not.
const MEMBERS: [&str; 4] = ["m-a", "m-b", "m-c", "m-d"];
/// The time limit for a member to follow, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// The largest accepted 99th percentile of the time from opening to a match.
const P99_MAX: Duration = Duration::from_millis(250);
const TYPE: &str = "crisis-protocol";

/// Repeats a member's query until it matches in this bank; the member has no other.
async fn until_matched(client: &Client, hash: &Hash, bank: &str) {
    let begun = Instant::now();
    loop {
        let answer = client.ask(hash.clone(), SearchOptions::default()).await.unwrap();
        let found = &answer.results[0].as_ref().unwrap().found.matches;
        if let Some(found) = found.first() {
            assert_eq!(found.bank_name.to_string(), format!("local/{bank}"));
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "an item of the incident does not match");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn until_all_matched(workers: &[Client], hash: &Hash, bank: &str) {
    let polls = workers.iter().map(|worker| until_matched(worker, hash, bank));
    futures::future::join_all(polls).await;
}

/// Opens incidents one after another. Returns the times from opening, and from the addition of another item,
/// to the match for the last member.
async fn measure(incidents: usize) -> [Vec<Duration>; 2] {
    let consortium = Consortium::start(&[&MEMBERS[..], &["apart"]].concat()).await;
    let host = consortium.operator.create(&consortium.cluster, None, &[Role::Administrator]).await;
    let mut workers = Vec::new();
    for member in MEMBERS {
        let (administrator, worker) = consortium.team(member).await;
        let types = IncidentTypes::only(&[TYPE]).unwrap();
        let client = IncidentClient::among(&[consortium.cluster.bank_url()], &administrator.network).unwrap();
        let subscribed = client.subscribe(types, IdempotencyKey::random(), soon()).await.unwrap();
        assert_eq!(subscribed.value, 0);
        workers.push(worker);
    }
    let (_, apart) = consortium.team("apart").await;
    let desk = IncidentClient::among(&[consortium.cluster.bank_url()], &host.network).unwrap();
    let mut rng = generator(21);
    let (mut opened_to, mut added_to) = (Vec::new(), Vec::new());
    for number in 0..incidents {
        let words = IncidentWords {
            of: IncidentType::new(TYPE).unwrap(),
            title: Text::new("an event").unwrap(),
            reason: CaseNote::new("declared").unwrap(),
        };
        let [first, second] = [(); 2].map(|()| Hash::pdq(pdq_of_a_picture(&mut rng)));
        let begun = Instant::now();
        let written = desk.open(words, None, IdempotencyKey::random(), soon()).await.unwrap();
        let (opened, since) = (written.value, written.sequence);
        assert_eq!(opened.members as usize, MEMBERS.len());
        let contents = vec![item([first.clone()]).unwrap()];
        host.bank.add_items(&opened.bank, contents, IdempotencyKey::random(), soon()).await.unwrap();
        until_all_matched(&workers, &first, opened.bank.name.as_str()).await;
        opened_to.push(begun.elapsed());

        let begun = Instant::now();
        let added = host.add(&opened.bank, second.clone()).await.1;
        until_all_matched(&workers, &second, opened.bank.name.as_str()).await;
        added_to.push(begun.elapsed());

        // No other member has the bank, and it is removed with its incident.
        if number == 0 {
            until_known(&apart, since).await;
            assert!(apart.finds(second.clone(), added).await.is_empty());
        }
        let reason = CaseNote::new("over").unwrap();
        let closed = desk.close(opened.number, reason, Some(0), IdempotencyKey::random(), soon()).await;
        if number == 0 {
            let sequence = closed.unwrap().sequence;
            until_known(&workers[0], sequence).await;
            assert!(workers[0].finds(second, sequence).await.is_empty());
        }
    }
    consortium.cluster.stop().await.unwrap();
    [opened_to, added_to]
}

/// Prints the median and the tail, and returns the 99th percentile.
fn percentiles(what: &str, mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let at = |percent: usize| times[((times.len() * percent).div_ceil(100)).clamp(1, times.len()) - 1];
    println!(
        "{what}, {} times, {} members: median {:.1?}, p99 {:.1?}, greatest {:.1?}",
        times.len(),
        MEMBERS.len(),
        at(50),
        at(99),
        at(100)
    );
    at(99)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incidents_item_matches_at_every_subscriber_and_at_nobody_else() {
    let [opened, added] = measure(2).await;
    assert_eq!((opened.len(), added.len()), (2, 2));
    percentiles("opened to matchable", opened);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn a_hundred_incidents_match_at_every_subscriber_in_time() {
    let [opened, added] = measure(200).await;
    percentiles("item added to an open incident to matchable", added);
    let p99 = percentiles("incident opened and item added to matchable", opened);
    assert!(p99 < P99_MAX, "{p99:.1?}");
}
