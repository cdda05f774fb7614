//! The price of members: lookups a second of one member among many, with its key checked on every call, against the same cluster without
//! members, in one run.
//!
//! ```text
//! cargo test --release -p vigie-tests --test it -- members::cost --ignored --nocapture
//! ```
#![allow(clippy::print_stdout, reason = "measurements are printed")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::seq::index::sample;
use vigie_clients::{Code, IdempotencyKey, MatchClient, MemberWords};
use vigie_consortium::{Capability, Expiry, Flags, MemberName};
use vigie_harness::in_process::{Cluster, as_of, soon};
use vigie_model::{BankRef, Content, Hash, MatchCall, PdqHash, SearchOptions};
use vigie_tests::material::{generator, hashed, item};

use super::{Client, Consortium, until_known};

/// How large it is.
struct Form {
    members: usize,
    /// Banks of each member.
    banks: usize,
    items: usize,
    /// Turns without and with members, in pairs: many short ones, for the machine's own pace changes.
    pairs: usize,
    lasts: Duration,
}

const SHORT: Form = Form { members: 4, banks: 3, items: 500, pairs: 1, lasts: Duration::from_millis(300) };
const LONG: Form = Form { members: 200, banks: 10, items: 100_000, pairs: 31, lasts: Duration::from_secs(1) };

/// Lookups at once.
const AT_ONCE: usize = 32;
/// Calls at once, each of many lookups.
const BATCHES_AT_ONCE: usize = 8;

/// A hash with as many bits as that of a picture has.
pub(super) fn balanced(rng: &mut impl rand::Rng) -> PdqHash {
    let mut hash = PdqHash::default();
    sample(rng, 256, 128).into_iter().for_each(|bit| hash[bit / 8] |= 1 << (bit % 8));
    hash
}

/// Lookups a second, so many in a call.
pub(super) async fn rate(
    client: &MatchClient,
    asked: &Arc<Vec<PdqHash>>,
    batch: usize,
    lasts: Duration,
) -> f64 {
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let ask = |from: usize| {
        let (client, asked) = (client.clone(), Arc::clone(asked));
        let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
        tokio::spawn(async move {
            for first in (from..).step_by(batch) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let hashes = (first..first + batch).map(|at| asked[at % asked.len()]);
                let contents: Vec<Content> = hashes.map(|hash| hashed([Hash::pdq(hash)])).collect();
                let call = MatchCall {
                    contents,
                    options: SearchOptions::default(),
                    quality_floor: None,
                    surface: Box::default(),
                    classifiers: Vec::new(),
                };
                match client.match_content(call, soon()).await {
                    Ok(answer) => assert!(answer.results.iter().all(Result::is_ok)),
                    Err(error) => assert_eq!(error.code(), Code::ResourceExhausted, "{error}"),
                }
                answered.fetch_add(batch, Ordering::Relaxed);
            }
        })
    };
    let at_once = if batch == 1 { AT_ONCE } else { BATCHES_AT_ONCE };
    let tasks: Vec<_> = (0..at_once).map(|number| ask(number * 7)).collect();
    let begun = Instant::now();
    tokio::time::sleep(lasts).await;
    let count = answered.load(Ordering::Relaxed);
    let took = begun.elapsed();
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    count as f64 / took.as_secs_f64()
}

pub(super) async fn fill(client: &Client, bank: &BankRef, hashes: &[PdqHash]) {
    client.create_bank(bank).await;
    for batch in hashes.chunks(1_000) {
        let items = batch.iter().map(|hash| item([Hash::pdq(*hash)]).unwrap()).collect();
        client.bank.add_items(bank, items, IdempotencyKey::random(), soon()).await.unwrap();
    }
}

async fn run(form: Form) {
    let mut rng = generator(11);
    let hashes: Vec<PdqHash> = (0..form.items).map(|_| balanced(&mut rng)).collect();
    let known: BankRef = "known".parse().unwrap();

    // Without members.
    let plain = Cluster::start_with(|config| config.shard_count = 2).await.unwrap();
    let everyone = Client::on(&plain, vigie_consortium::PrincipalId(0), vigie_clients::Network::tcp());
    fill(&everyone, &known, &hashes).await;

    // With many, of whom one is asked for.
    let consortium = Consortium::start(&[]).await;
    let operator = &consortium.operator;
    let name = |number: usize| format!("m-{number}").parse::<MemberName>().unwrap();
    for number in 0..form.members {
        let key = IdempotencyKey::random();
        operator.members.create_member(&name(number), &MemberWords::default(), key, soon()).await.unwrap();
    }
    let (first, worker) = consortium.team("m-0").await;
    fill(&first, &known, &hashes).await;
    let mut sequence = first.bank.log_head(soon()).await.unwrap().sequence;
    for number in 1..form.members {
        let other = operator
            .create(
                &consortium.cluster,
                Some(name(number).as_str()),
                &[vigie_consortium::Role::Administrator],
            )
            .await;
        for bank in 0..form.banks {
            let bank: BankRef = format!("b-{bank}").parse().unwrap();
            other.create_bank(&bank).await;
            // Each is shared with the next member, and every tenth with the first.
            let with = if number % 10 == 0 { 0 } else { (number + 1) % form.members };
            if with != number {
                let (rights, key) = (Flags::one(Capability::Match), IdempotencyKey::random());
                let put =
                    other.members.put_grant(&bank, &name(with), rights, Expiry::NEVER, key, soon()).await;
                sequence = put.unwrap().sequence;
            }
        }
    }
    until_known(&worker, sequence).await;
    // Both have all items.
    let probe = |hash: PdqHash| MatchCall {
        contents: vec![hashed([Hash::pdq(hash)])],
        options: as_of(sequence),
        quality_floor: None,
        surface: Box::default(),
        classifiers: Vec::new(),
    };
    let head = everyone.bank.log_head(soon()).await.unwrap().sequence;
    let of_plain = MatchCall { options: as_of(head), ..probe(hashes[0]) };
    everyone.matching.match_content(of_plain, soon()).await.unwrap();
    let answer = worker.matching.match_content(probe(hashes[0]), soon()).await.unwrap();
    assert_eq!(answer.results[0].as_ref().unwrap().found.matches.len(), 1);

    let asked = Arc::new(hashes.iter().copied().take(5_000).collect::<Vec<_>>());
    let (mut without, mut with, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..form.pairs {
        let (everyone, worker) = (&everyone.matching, &worker.matching);
        // Which of them is first changes.
        let (first, second) = if pair % 2 == 0 { (everyone, worker) } else { (worker, everyone) };
        let one = rate(first, &asked, 1, form.lasts).await;
        let other = rate(second, &asked, 1, form.lasts).await;
        let (plain, of_member) = if pair % 2 == 0 { (one, other) } else { (other, one) };
        without.push(plain);
        with.push(of_member);
        ratios.push(of_member / plain);
    }
    for figures in [&mut without, &mut with, &mut ratios] {
        figures.sort_unstable_by(f64::total_cmp);
    }
    let at = |figures: &[f64], quarter: usize| figures[figures.len() * quarter / 4];
    let middle = |figures: &[f64]| at(figures, 2);
    println!(
        "lookups/s: {:.0} without members, {:.0} with {} of them; ratio {:.3} (quartiles {:.3} and {:.3} of {} pairs)",
        middle(&without),
        middle(&with),
        form.members,
        middle(&ratios),
        at(&ratios, 1),
        at(&ratios, 3),
        form.pairs
    );
    assert!(middle(&with) > 0.0 && middle(&without) > 0.0);
    plain.stop().await.unwrap();
    consortium.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_among_others_is_answered() {
    Box::pin(run(SHORT)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn a_member_among_two_hundred_is_answered_as_quickly() {
    Box::pin(run(LONG)).await;
}
