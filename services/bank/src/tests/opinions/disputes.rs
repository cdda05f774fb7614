//! Tests of items that members call wrong: holds, the disputes that open, and their resolution.

use pb_model::OpinionKind::{Negative, Positive};
use vigie_proto::pb::consortium::v1 as members;

use crate::tests::beside::statistics::own_of;
use crate::tests::opinions::people::{DAY_MS, People, disputing, facts, is_held, opinion};
use crate::tests::*;
use crate::verify;

on_both_stores! {
    enough_negatives_hold_an_item_and_open_a_dispute,
    one_member_holds_no_item_of_others_where_two_are_asked_for,
    a_dispute_that_is_resolved_counts_no_earlier_negative,
    an_item_is_reclassified_by_its_owner,
    a_dispute_ends_with_its_item,
    a_removed_item_comes_back_with_what_was_said_of_it,
    two_people_remove_a_disputed_item,
}

async fn enough_negatives_hold_an_item_and_open_a_dispute(bed: Bed) {
    let people = People::start(bed.config()).await;
    let [one, two, three] = &people.others[..] else { panic!() };
    people.charter(0, 2).await;
    let item = people.add(0..1).await[0];
    let state = async || {
        let found = people.owner.item(item).await.unwrap();
        (is_held(&found), found.dispute.is_some(), facts(&found).dispute_open)
    };
    one.says(item, Negative).await;
    assert_eq!(state().await, (false, false, false));
    people.later(5);
    two.says(item, Negative).await;
    assert_eq!(state().await, (true, true, true));
    let dispute = &people.owner.disputes(false).await[0];
    let expected = (item, "known", NOW + 5, NOW + 5 + 14 * DAY_MS, pb_model::Resolution::Unspecified, 0);
    let of = |one: &members::Dispute| {
        (
            one.item_id,
            one.bank.clone(),
            one.opened_at_unix_ms,
            one.due_at_unix_ms,
            one.resolution(),
            one.resolved_at_unix_ms,
        )
    };
    let (id, bank, opened, due, resolution, resolved) = of(dispute);
    assert_eq!((id, &*bank, opened, due, resolution, resolved), expected);
    // The first member that called it wrong opened it.
    assert_eq!(one.disputes(false).await.len(), 1);
    assert_eq!(one.disputes(false).await[0].bank, "acme/known");
    assert_eq!(two.disputes(false).await, []);
    // Withdrawing a negative opinion lifts the hold, and so does changing it.
    two.takes_back(&[item]).await.unwrap();
    assert_eq!(state().await, (false, false, false));
    assert_eq!(people.owner.disputes(false).await, []);
    three.says(item, Negative).await;
    assert_eq!(state().await, (true, true, true));
    one.says(item, Positive).await;
    assert_eq!(state().await, (false, false, false));
    // Holds of other kinds stay.
    two.says(item, Negative).await;
    people.consortium.administrator.update(item, "another note").await.unwrap();
    assert_eq!(state().await, (true, true, true));
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

/// A member's every action with its opinions, on an item of the owner and one of another member.
async fn one_member_holds_no_item_of_others_where_two_are_asked_for(bed: Bed) {
    let people = People::start(bed.config()).await;
    let [one, two, ..] = &people.others[..] else { panic!() };
    people.charter(2, 2).await;
    let own = people.add(0..1).await[0];
    let contributor = people.contributor_of("two").await;
    let of_two = contributor.add("acme/known", items(1..2)).await.unwrap()[0];
    two.says(own, Positive).await;
    people.owner.says(of_two, Positive).await;
    let is_whole = async || {
        for item in [own, of_two] {
            let found = people.owner.item(item).await.unwrap();
            assert!(found.holds.is_empty() && !facts(&found).probation, "{found:?}");
        }
    };
    for item in [own, of_two] {
        let hashes = people.owner.item(item).await.unwrap().content.unwrap().hashes;
        one.put(vec![disputing(item)]).await.unwrap();
        let on = |hash: &pb_model::Hash| members::NewOpinion { hash: Some(hash.clone()), ..disputing(item) };
        one.put(hashes.iter().map(on).collect()).await.unwrap();
        one.hold_here(&[item], true).await.unwrap();
    }
    is_whole().await;
    // Waiting does not help either, in a bank that requires two.
    people.later(15 * DAY_MS);
    People::settle().await;
    is_whole().await;
    one.takes_back(&[own, of_two]).await.unwrap();
    one.put(vec![disputing(own), disputing(of_two)]).await.unwrap();
    people.later(90 * DAY_MS);
    People::settle().await;
    is_whole().await;
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_dispute_that_is_resolved_counts_no_earlier_negative(bed: Bed) {
    let people = People::start(bed.config()).await;
    let [one, two, three] = &people.others[..] else { panic!() };
    people.charter(0, 2).await;
    let ids = people.add(0..2).await;
    let item = ids[0];
    refused(
        people.owner.resolve(item, pb_model::Resolution::Kept).await,
        Code::FailedPrecondition,
        "dispute",
    );
    one.says(item, Negative).await;
    two.put(vec![disputing(item)]).await.unwrap();
    // Only the owner may resolve it, and with one outcome.
    refused(two.resolve(item, pb_model::Resolution::Kept).await, Code::PermissionDenied, "");
    refused(
        people.consortium.contributor.resolve(item, pb_model::Resolution::Kept).await,
        Code::PermissionDenied,
        "",
    );
    refused(people.owner.resolve(9_999, pb_model::Resolution::Kept).await, Code::NotFound, "no item");
    refused(
        people.owner.resolve(item, pb_model::Resolution::Unspecified).await,
        Code::InvalidArgument,
        "resolution",
    );
    refused(
        people.owner.resolve(item, pb_model::Resolution::Reclassified).await,
        Code::InvalidArgument,
        "classification",
    );
    people.later(10);
    people.owner.resolve(item, pb_model::Resolution::Kept).await.unwrap();
    let found = people.owner.item(item).await.unwrap();
    assert!(!is_held(&found) && found.dispute.is_none());
    assert_eq!((facts(&found).negatives, facts(&found).dispute_open), (2, false), "they are still said");
    let resolved = people.owner.disputes(true).await;
    assert_eq!(
        (resolved.len(), resolved[0].resolution(), resolved[0].resolved_at_unix_ms),
        (1, pb_model::Resolution::Kept, NOW + 10)
    );
    assert_eq!(one.disputes(true).await.len(), 1, "who opened it learns of the outcome");
    // One more opinion counts as one, and not as three.
    people.later(11);
    three.says(item, Negative).await;
    assert!(!is_held(&people.owner.item(item).await.unwrap()));
    // A repeated opinion is not new; one that was withdrawn and put again is.
    assert_eq!(two.put(vec![disputing(item)]).await.unwrap().changed_count, 0);
    two.takes_back(&[item]).await.unwrap();
    two.put(vec![disputing(item)]).await.unwrap();
    let found = people.owner.item(item).await.unwrap();
    assert!(is_held(&found) && found.dispute.unwrap().opened_at_unix_ms == NOW + 11);
    people.later(12);
    people.consortium.administrator.resolve(item, pb_model::Resolution::Kept).await.unwrap();
    assert_eq!(people.owner.disputes(true).await.len(), 2);
    // A charter that requires fewer does not revive earlier negative opinions.
    people.charter(0, 1).await;
    one.says(ids[1], Negative).await;
    people.until(ids[1], is_held).await;
    People::settle().await;
    assert!(!is_held(&people.owner.item(item).await.unwrap()));
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn an_item_is_reclassified_by_its_owner(bed: Bed) {
    let people = People::start(bed.config()).await;
    let charter = members::Charter { taxonomies: vec!["iwf".into()], ..Default::default() };
    people.consortium.administrator.set_charter(charter).await.unwrap();
    let item = people.add(0..1).await[0];
    people.others[0].put(vec![disputing(item)]).await.unwrap();
    let class = |taxonomy: &str, dimension: &str, value: &str| {
        vec![pb_model::Class { taxonomy: taxonomy.into(), dimension: dimension.into(), value: value.into() }]
    };
    let resolve = |classes| people.owner.resolve_as(item, pb_model::Resolution::Reclassified, classes);
    refused(resolve(class("ncmec", "classification", "A1")).await, Code::InvalidArgument, "");
    let kept = people.owner.resolve_as(item, pb_model::Resolution::Kept, class("iwf", "category", "C")).await;
    refused(kept, Code::InvalidArgument, "classification");
    people.later(1);
    resolve(class("iwf", "category", "C")).await.unwrap();
    let found = people.owner.item(item).await.unwrap();
    assert_eq!(facts(&found).classes, ["iwf/category=C"]);
    assert_eq!(found.content.unwrap().details.unwrap().classification, class("iwf", "category", "C"));
    assert_eq!(people.owner.disputes(true).await[0].resolution(), pb_model::Resolution::Reclassified);
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_dispute_ends_with_its_item(bed: Bed) {
    let people = People::start(bed.config()).await;
    let one = &people.others[0];
    let ids = people.add(0..5).await;
    one.put(ids.iter().map(|item| disputing(*item)).collect()).await.unwrap();
    assert_eq!(people.owner.disputes(false).await.len(), 5);
    people.later(1);
    people.owner.resolve(ids[0], pb_model::Resolution::Removed).await.unwrap();
    refused(people.owner.item(ids[0]).await, Code::NotFound, "no item");
    people.later(2);
    people.consortium.contributor.remove(vec![ids[1]]).await.unwrap();
    let open: Vec<_> = people.owner.disputes(false).await.iter().map(|one| one.item_id).collect();
    assert_eq!(open, ids[2..]);
    let outcome = |one: &members::Dispute| (one.item_id, one.resolution());
    let removed = [(ids[0], pb_model::Resolution::Removed), (ids[1], pb_model::Resolution::Removed)];
    assert_eq!(people.owner.disputes(true).await.iter().map(outcome).collect::<Vec<_>>(), removed);
    assert_eq!(one.disputes(true).await.iter().map(outcome).collect::<Vec<_>>(), removed);
    refused(one.put(vec![opinion(ids[0], Positive)]).await, Code::NotFound, "no item");
    // After its bank is deleted, no list has the disputes about its items.
    people.consortium.administrator.delete_bank("known").await.unwrap();
    for by in [&people.owner, one] {
        assert_eq!((by.disputes(false).await, by.disputes(true).await), (vec![], vec![]));
    }
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_removed_item_comes_back_with_what_was_said_of_it(bed: Bed) {
    let people = People::start(bed.config()).await;
    let [one, two, ..] = &people.others[..] else { panic!() };
    people.charter(2, 2).await;
    let ids = people.add(0..3).await;
    one.says(ids[0], Positive).await;
    for by in [one, two] {
        by.says(ids[1], Negative).await;
    }
    one.hold_here(&ids[2..], true).await.unwrap();
    let administrator = people.consortium.operator.principal("one", members::Role::Administrator).await;
    assert_eq!(own_of(&administrator, "disputes_opened").await, Some(1));
    people.consortium.contributor.remove(ids.clone()).await.unwrap();
    assert_eq!(one.held_here(0, 0).await.unwrap(), []);
    let back = people.consortium.contributor.restore(ids.clone()).await.unwrap();
    let found = people.owner.item(back[0]).await.unwrap();
    assert_eq!((facts(&found).positives, facts(&found).probation), (1, false));
    let found = people.owner.item(back[1]).await.unwrap();
    assert!(is_held(&found) && facts(&found).dispute_open && facts(&found).negatives == 2);
    assert_eq!(people.owner.disputes(false).await[0].item_id, back[1]);
    assert_eq!(own_of(&administrator, "disputes_opened").await, Some(1), "it is the same dispute");
    assert!(facts(&people.owner.item(back[2]).await.unwrap()).probation);
    assert_eq!(one.held_here(0, 0).await.unwrap()[0].item_id, back[2]);
    // A resolved dispute stays resolved.
    people.later(7);
    people.owner.resolve(back[1], pb_model::Resolution::Kept).await.unwrap();
    people.consortium.contributor.remove(back[1..2].to_vec()).await.unwrap();
    let again = people.consortium.contributor.restore(back[1..2].to_vec()).await.unwrap()[0];
    let found = people.owner.item(again).await.unwrap();
    assert!(!is_held(&found) && found.dispute.is_none());
    // A dispute that opens later is another one.
    people.later(8);
    one.takes_back(&[again]).await.unwrap();
    one.put(vec![disputing(again)]).await.unwrap();
    assert_eq!(own_of(&administrator, "disputes_opened").await, Some(2));
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn two_people_remove_a_disputed_item(bed: Bed) {
    let people = People::start(bed.config()).await;
    people.consortium.administrator.two_people("known", 1).await.unwrap();
    let item = people.add(0..1).await[0];
    people.others[0].put(vec![disputing(item)]).await.unwrap();
    refused(people.owner.resolve(item, pb_model::Resolution::Removed).await, Code::FailedPrecondition, "");
    people.owner.item(item).await.unwrap();
    people.consortium.administrator.resolve(item, pb_model::Resolution::Removed).await.unwrap();
    refused(people.owner.item(item).await, Code::NotFound, "no item");
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}
