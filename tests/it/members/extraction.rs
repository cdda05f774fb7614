//! The budget of near queries, and canaries, in a whole cluster.

use vigie_clients::{IdempotencyKey, MatchAnswer};
use vigie_consortium::{Capability, Quota};
use vigie_harness::in_process::{as_of, soon};
use vigie_model::{BankRef, Hash, ItemContent, ItemDraft};

use super::{Consortium, until_known};

/// Returns a hash with 128 set bits. Each listed byte adds two bits to its distance from the hash of an empty
/// list.
fn hash(bytes: impl IntoIterator<Item = usize>) -> Hash {
    let mut hash = [0x0f; 32];
    bytes.into_iter().for_each(|at| hash[at] ^= 0x11);
    Hash::pdq(hash)
}

/// Returns the distance of the only match, and whether the answer repeats one because the budget is spent.
fn found(answer: &MatchAnswer) -> (Option<u32>, bool) {
    let matched = answer.results[0].as_ref().unwrap();
    assert!(matched.found.matches.len() <= 1);
    (matched.found.matches.first().map(|found| found.distance.0), matched.near_budget_spent)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_repeats_an_answer_until_the_item_is_removed() {
    let consortium = Consortium::start(&["acme", "umbra"]).await;
    let ((acme, acme_work), (_, umbra_work)) =
        (consortium.team("acme").await, consortium.team("umbra").await);
    let known: BankRef = "known".parse().unwrap();
    acme.create_bank(&known).await;
    let (item, added) = acme_work.add(&known, hash([])).await;
    let canary: ItemContent = ItemDraft {
        hashes: vec![Hash::pdq([0xf0; 32])],
        labels: vec![ItemContent::CANARY_LABEL.to_owned()],
        ..ItemDraft::default()
    }
    .try_into()
    .unwrap();
    let added_canary =
        acme_work.bank.add_items(&known, vec![canary], IdempotencyKey::random(), soon()).await.unwrap();
    let shared = acme.share("known", "umbra", &[Capability::Match, Capability::SeeDetails]).await;
    until_known(&umbra_work, shared).await;
    until_known(&acme_work, shared).await;

    let canary = || Hash::pdq([0xf0; 32]);
    let as_of_canary = as_of(added_canary.sequence);
    assert_eq!(found(&umbra_work.ask(canary(), as_of_canary.clone()).await.unwrap()), (None, false));
    assert_eq!(found(&acme_work.ask(canary(), as_of_canary).await.unwrap()), (Some(0), false));

    let near = |bytes: std::ops::Range<usize>| {
        let umbra_work = &umbra_work;
        async move { found(&umbra_work.ask(hash(bytes), as_of(added)).await.unwrap()) }
    };
    for at in 0..usize::from(Quota::NEAR_QUERIES_DEFAULT.get()) {
        assert_eq!(near(at..at + 1).await, (Some(2), false));
    }
    // A match, one that is just too distant, and one in the owner's own bank.
    assert_eq!(near(0..2).await, (Some(2), true));
    assert_eq!(near(0..16).await, (Some(2), true));
    assert_eq!(near(0..18).await, (None, false));
    assert_eq!(found(&acme_work.ask(hash(0..2), as_of(added)).await.unwrap()), (Some(4), false));
    // A query that was answered before gets the same answer again.
    assert_eq!(near(5..6).await, (Some(2), false));
    let repeated = umbra_work.ask(hash(0..16), as_of(added)).await.unwrap();
    assert_eq!(repeated.results[0].as_ref().unwrap().found.matches[0].item, item);

    let removed = acme_work.bank.remove_items(&[item], IdempotencyKey::random(), soon()).await.unwrap();
    let after = umbra_work.ask(hash(0..3), as_of(removed.sequence)).await.unwrap();
    assert_eq!(found(&after), (None, false));
    consortium.cluster.stop().await.unwrap();
}
