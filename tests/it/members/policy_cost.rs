//! The price of a policy: lookups a second of a member with a policy of ten rules over those of a member without one, on one cluster, by the
//! same queries, in turns of one run.
//!
//! ```text
//! cargo test --release -p vigie-tests --test it -- members::policy_cost --ignored --nocapture
//! ```
#![allow(clippy::print_stdout, reason = "measurements are printed")]

use std::sync::Arc;
use std::time::Duration;

use vigie_clients::{IdempotencyKey, PolicyClient, PolicySource};
use vigie_consortium::{
    BankRule, Capability, Charter, CharterDraft, Policy, PolicyDraft, Verdict, VerdictRuleDraft,
};
use vigie_harness::in_process::{as_of, soon};
use vigie_model::{BankRef, Hash, PdqHash, Sequence};
use vigie_tests::material::generator;

use super::cost::{balanced, fill, rate};
use super::{Client, Consortium, until_known};

/// How large it is.
struct Form {
    items: usize,
    /// Turns with and without a policy, in pairs: many short ones, for the machine's own pace changes.
    pairs: usize,
    lasts: Duration,
}

const SHORT: Form = Form { items: 300, pairs: 1, lasts: Duration::from_millis(150) };
const LONG: Form = Form { items: 100_000, pairs: 21, lasts: Duration::from_millis(700) };

/// The least share of lookups that a policy leaves, where one query in a hundred matches.
const RATIO_MIN: f64 = 0.9;

/// A policy as a platform has one: three bank rules, and ten rules of which none holds for what is known here but the last.
fn policy() -> Policy {
    let conditions = [
        "matches.exists(m, m.distance <= 10 && m.positives >= 2 && !m.disputed)",
        "matches.exists(m, 'ncmec/classification=A1' in m.classification)",
        "matches.exists(m, m.owner == 'ncmec' && m.exact)",
        "query.surface == 'avatar' && matches.size() > 0",
        "matches.exists(m, m.negatives > m.positives)",
        "matches.size() >= 3 && matches.all(m, m.distance <= 20)",
        "matches.exists(m, m.labels.exists(label, label == 'terrorism'))",
        "matches.exists(m, m.age_days > 365 && m.seen >= 5)",
        "matches.exists(m, m.bank == 'acme/other' && m.distance <= 16)",
        "matches.exists(m, m.distance <= 31)",
    ];
    let rules = conditions.iter().enumerate().map(|(number, condition)| VerdictRuleDraft {
        name: format!("rule-{number}"),
        condition: (*condition).to_owned(),
        verdict: Verdict::Block,
        shadow: false,
    });
    let of = |bank: &str| BankRule::of(bank.parse().unwrap());
    let banks = vec![
        BankRule { max_distance: Some(30), ..of("acme/known") },
        BankRule { positives_min: 2, ..of("acme/other") },
        BankRule { ignored: true, ..of("acme/third") },
    ];
    Policy::try_from(PolicyDraft { banks, rules: rules.collect(), scores: Vec::new() }).unwrap()
}

/// What is measured: a name, lookups in a call, and one in how many is known.
const WAYS: [(&str, usize, usize); 4] = [
    ("one at a time, 1 % match", 1, 100),
    ("one at a time, all match", 1, 1),
    ("64 in a call, 1 % match", 64, 100),
    ("64 in a call, all match", 64, 1),
];

/// The share of lookups that a policy leaves, by way.
async fn measure(form: &Form, with: &Client, without: &Client, hashes: &[PdqHash]) -> Vec<f64> {
    let mut rng = generator(13);
    let mut middles = Vec::new();
    for (name, batch, one_in) in WAYS {
        let asked = (0..5_000)
            .map(|at| if at % one_in == 0 { hashes[at % hashes.len()] } else { balanced(&mut rng) });
        let asked = Arc::new(asked.collect::<Vec<_>>());
        let (mut figures, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
        for pair in 0..form.pairs {
            // Which of them is first changes.
            let both = if pair % 2 == 0 { [with, without] } else { [without, with] };
            let one = rate(&both[0].matching, &asked, batch, form.lasts).await;
            let other = rate(&both[1].matching, &asked, batch, form.lasts).await;
            let (of_policy, plain) = if pair % 2 == 0 { (one, other) } else { (other, one) };
            figures[0].push(of_policy);
            figures[1].push(plain);
            ratios.push(of_policy / plain);
        }
        for sorted in figures.iter_mut().chain([&mut ratios]) {
            sorted.sort_unstable_by(f64::total_cmp);
        }
        let at = |figures: &[f64], quarter: usize| figures[(figures.len() - 1) * quarter / 4];
        println!(
            "{name}: {:.0} lookups/s with a policy, {:.0} without; ratio {:.3} (quartiles {:.3} and {:.3} of {} pairs)",
            at(&figures[0], 2),
            at(&figures[1], 2),
            at(&ratios, 2),
            at(&ratios, 1),
            at(&ratios, 3),
            form.pairs
        );
        middles.push(at(&ratios, 2));
    }
    middles
}

/// The decision on a hash, and its matches.
async fn asked(client: &Client, hash: PdqHash, sequence: Sequence) -> (Option<Verdict>, usize) {
    let answer = client.ask(Hash::pdq(hash), as_of(sequence)).await.unwrap();
    let matched = answer.results[0].as_ref().unwrap();
    (matched.decision.as_ref().map(|decided| decided.verdict), matched.found.matches.len())
}

/// Returns the ratios of banks whose items match at once, and of the same with one whose items are confirmed first.
async fn run(form: Form) -> [Vec<f64>; 2] {
    let mut rng = generator(12);
    let hashes: Vec<PdqHash> = (0..form.items).map(|_| balanced(&mut rng)).collect();
    let consortium = Consortium::start(&["acme", "umbra", "plain"]).await;
    let (acme, _) = consortium.team("acme").await;
    let (umbra, with) = consortium.team("umbra").await;
    let (_, without) = consortium.team("plain").await;
    let known: BankRef = "known".parse().unwrap();
    fill(&acme, &known, &hashes).await;
    for member in ["umbra", "plain"] {
        acme.share("known", member, &[Capability::Match, Capability::SeeDetails]).await;
    }
    let policies = PolicyClient::among(&[consortium.cluster.bank_url()], &umbra.network).unwrap();
    let (set, key) = (policy(), IdempotencyKey::random());
    let set = policies.set_policy(PolicySource::Given(&set), None, false, key, soon()).await.unwrap();
    for client in [&with, &without] {
        until_known(client, set.sequence).await;
    }
    // One is decided about and the other is not, of the same matches.
    let stranger = balanced(&mut rng);
    assert_eq!(asked(&with, hashes[0], set.sequence).await, (Some(Verdict::Block), 1));
    assert_eq!(asked(&with, stranger, set.sequence).await, (Some(Verdict::Allow), 0));
    assert_eq!(asked(&without, hashes[0], set.sequence).await, (None, 1));
    let plain = measure(&form, &with, &without, &hashes).await;

    println!("with a bank beside it whose items are confirmed first:");
    let tried: BankRef = "tried".parse().unwrap();
    acme.create_bank(&tried).await;
    let charter =
        Charter::try_from(CharterDraft { confirmations_min: 2, ..CharterDraft::default() }).unwrap();
    acme.members.set_charter(&tried, charter, IdempotencyKey::random(), soon()).await.unwrap();
    let (_, added) = acme.add(&tried, Hash::pdq(stranger)).await;
    let mut shared = added;
    for member in ["umbra", "plain"] {
        shared = acme.share("tried", member, &[Capability::Match, Capability::SeeDetails]).await;
    }
    for client in [&with, &without] {
        until_known(client, shared).await;
    }
    assert_eq!(asked(&with, stranger, shared).await, (Some(Verdict::Allow), 0));
    let confirmed = measure(&form, &with, &without, &hashes).await;
    consortium.cluster.stop().await.unwrap();
    [plain, confirmed]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_a_policy_is_answered_as_one_without_is() {
    Box::pin(run(SHORT)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long"]
async fn a_policy_leaves_nine_lookups_of_ten() {
    let [plain, _] = Box::pin(run(LONG)).await;
    assert!(plain[0] >= RATIO_MIN, "{plain:?}");
}
