//! Tests of probation: items that wait for confirmations, by the present charter.

use pb_model::OpinionKind::{Negative, Positive, Seen};

use crate::tests::opinions::people::{People, facts};
use crate::tests::*;
use crate::verify;

on_both_stores! {
    an_item_is_in_probation_until_enough_members_confirm_it,
    a_charter_that_changes_brings_its_items_up_to_it,
    a_charter_that_changed_just_before_the_bank_stopped_counts_all_the_same,
    items_without_a_word_are_in_probation_too,
}

async fn in_probation(people: &People, item: u64) -> bool {
    facts(&people.owner.item(item).await.unwrap()).probation
}

async fn an_item_is_in_probation_until_enough_members_confirm_it(bed: Bed) {
    let people = People::start(bed.config()).await;
    let [one, two, three] = &people.others[..] else { panic!() };
    people.charter(3, 0).await;
    let item = people.add(0..1).await[0];
    assert!(in_probation(&people, item).await);
    // The contributor counts once, and a match that nobody has reviewed does not count.
    people.owner.says(item, Positive).await;
    one.says(item, Seen).await;
    two.says(item, Positive).await;
    assert!(in_probation(&people, item).await);
    one.says(item, Positive).await;
    assert!(!in_probation(&people, item).await);
    // A contributor with another opinion confirms nothing, and another member confirms instead.
    people.owner.says(item, Negative).await;
    assert!(in_probation(&people, item).await);
    three.says(item, Positive).await;
    assert!(!in_probation(&people, item).await);
    two.takes_back(&[item]).await.unwrap();
    assert!(in_probation(&people, item).await);
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn items_without_a_word_are_in_probation_too(bed: Bed) {
    let people = People::start(bed.config()).await;
    people.charter(2, 0).await;
    let contributor = people.contributor_of("one").await;
    let bare =
        |number| pb::ItemContent { external_reference: String::new(), labels: Vec::new(), ..item(number) };
    let of_one = contributor.add("acme/known", vec![bare(1)]).await.unwrap()[0];
    let own = people.consortium.contributor.add("known", vec![bare(2)]).await.unwrap()[0];
    assert!(in_probation(&people, of_one).await && in_probation(&people, own).await);
    people.owner.says(of_one, Positive).await;
    assert!(!in_probation(&people, of_one).await && in_probation(&people, own).await);
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_charter_that_changes_brings_its_items_up_to_it(bed: Bed) {
    let people = People::start(bed.config()).await;
    let one = &people.others[0];
    let ids = people.add(0..5).await;
    one.says(ids[0], Positive).await;
    one.says(ids[1], Negative).await;
    people.charter(2, 1).await;
    people.until(ids[0], |item| !facts(item).probation).await;
    people
        .until(ids[1], |item| facts(item).probation && item.dispute.is_some() && !item.holds.is_empty())
        .await;
    for item in &ids[2..] {
        people.until(*item, |item| facts(item).probation && item.holds.is_empty()).await;
    }
    people.charter(0, 2).await;
    for item in &ids {
        people.until(*item, |item| !facts(item).probation && item.holds.is_empty()).await;
    }
    // The opinion that disputes nothing no longer opens a dispute.
    assert_eq!(people.owner.disputes(false).await, []);
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_charter_that_changed_just_before_the_bank_stopped_counts_all_the_same(bed: Bed) {
    let people = People::start(bed.config()).await;
    let ids = people.add(0..3).await;
    people.charter(2, 1).await;
    people.others[0].says(ids[0], Negative).await;
    for item in &ids {
        people.until(*item, |item| facts(item).probation).await;
    }
    people.charter(0, 0).await;
    let owner = people.owner.1.clone();
    people.consortium.served.stop().await;
    let served = Served::start(bed.config()).await;
    let by = crate::tests::members::By(served.channel.clone(), owner);
    let begun = std::time::Instant::now();
    for item in &ids {
        loop {
            let found = by.item(*item).await.unwrap();
            if !facts(&found).probation && found.holds.is_empty() {
                break;
            }
            assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{found:?}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}
