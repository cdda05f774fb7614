//! Tests of listed opinions: their readers, the names shown, and that a follower misses none.

use std::collections::BTreeSet;

use pb_model::OpinionKind::{Negative, Positive, Seen};
use vigie_proto::pb::consortium::v1 as members;

use crate::tests::opinions::people::{People, disputing, opinion};
use crate::tests::*;

on_both_stores! {
    each_sees_the_opinions_that_concern_it,
    a_member_is_named_where_it_has_agreed_to_it,
    whoever_follows_a_page_at_a_time_misses_no_opinion,
}

/// Returns the members' names and items of opinions, sorted.
fn said(opinions: &[members::Opinion]) -> BTreeSet<(String, u64)> {
    opinions.iter().map(|one| (one.member.clone(), one.item_id)).collect()
}

async fn each_sees_the_opinions_that_concern_it(bed: Bed) {
    let people = People::start(bed.config()).await;
    let [one, two, three] = &people.others[..] else { panic!() };
    for member in ["acme", "one", "two", "three"] {
        people.consortium.operator.agrees_to_be_named(member, true).await;
    }
    let own = people.add(0..1).await[0];
    let contributor = people.contributor_of("one").await;
    let of_one = contributor.add("acme/known", items(1..2)).await.unwrap()[0];
    for item in [own, of_one] {
        two.put(vec![disputing(item)]).await.unwrap();
        three.says(item, Seen).await;
    }
    one.says(own, Positive).await;
    let expected = |all: &[(&str, u64)]| all.iter().map(|(name, item)| ((*name).to_owned(), *item)).collect();
    let everything: BTreeSet<_> =
        expected(&[("two", own), ("three", own), ("one", own), ("two", of_one), ("three", of_one)]);
    assert_eq!(said(&people.owner.listed_opinions("known", 0, false).await), everything);
    // A contributor sees the opinions on its items, and its own.
    let of_contributor: BTreeSet<_> = expected(&[("one", own), ("two", of_one), ("three", of_one)]);
    assert_eq!(said(&one.listed_opinions("acme/known", 0, false).await), of_contributor);
    assert_eq!(said(&contributor.listed_opinions("acme/known", 1, false).await), of_contributor);
    assert_eq!(said(&one.listed_opinions("acme/known", 0, true).await), expected(&[("one", own)]));
    // Other members see only their own.
    assert_eq!(
        said(&two.listed_opinions("acme/known", 0, false).await),
        expected(&[("two", own), ("two", of_one)])
    );
    assert_eq!(said(&people.owner.listed_opinions("known", 0, true).await), BTreeSet::new());
    // The item shows the dispute, but not who opened it.
    let dispute = one.item(of_one).await.unwrap().dispute.unwrap();
    assert_eq!((dispute.opened_at_unix_ms, dispute.opened_by_member_id), (NOW, 0));
    people.consortium.served.stop().await;
}

async fn a_member_is_named_where_it_has_agreed_to_it(bed: Bed) {
    let people = People::start(bed.config()).await;
    let [one, two, ..] = &people.others[..] else { panic!() };
    people.consortium.operator.agrees_to_be_named("two", true).await;
    let item = people.add(0..1).await[0];
    one.put(vec![disputing(item)]).await.unwrap();
    two.says(item, Positive).await;
    let names = async || said(&people.owner.listed_opinions("known", 0, false).await);
    let expected =
        |first: &str, second: &str| BTreeSet::from([(first.to_owned(), item), (second.to_owned(), item)]);
    assert_eq!(names().await, expected("", "two"));
    assert_eq!(people.owner.disputes(false).await[0].opened_by, "");
    assert_eq!(one.disputes(false).await[0].opened_by, "one", "to itself it is named");
    assert_eq!(two.disputes(false).await, []);
    assert_eq!(
        said(&one.listed_opinions("acme/known", 0, false).await),
        BTreeSet::from([("one".to_owned(), item)])
    );
    people.consortium.operator.agrees_to_be_named("one", true).await;
    people.consortium.operator.agrees_to_be_named("two", false).await;
    assert_eq!(names().await, expected("one", ""));
    assert_eq!(people.owner.disputes(false).await[0].opened_by, "one");
    people.consortium.served.stop().await;
}

/// A follower reads pages of one item while items change otherwise, which moves them to later pages.
async fn whoever_follows_a_page_at_a_time_misses_no_opinion(bed: Bed) {
    let people = People::start(bed.config()).await;
    let [one, two, three] = &people.others[..] else { panic!() };
    let ids = people.add(0..12).await;
    let all = |kind| ids.iter().map(|item| opinion(*item, kind)).collect::<Vec<_>>();
    one.put(all(Positive)).await.unwrap();
    two.put(all(Negative)).await.unwrap();
    // Older opinions on items that changed later.
    for item in ids.iter().step_by(3) {
        three.says(*item, Seen).await;
        people.owner.hold_here(&[*item], true).await.unwrap();
    }
    people.consortium.administrator.update(ids[4], "another note").await.unwrap();
    for page_size in [1, 2, 5, 1_000] {
        let listed = people.owner.listed_opinions("known", page_size, false).await;
        assert_eq!(listed.len(), 12 + 12 + 4, "by pages of {page_size}");
    }
    // Nothing is repeated if nothing changed, and changes come after the cursor.
    let page = |after_sequence| members::ListOpinionsRequest {
        bank: "known".into(),
        after_sequence,
        ..Default::default()
    };
    let end = people.owner.list(page(0)).await.unwrap();
    assert!(!end.has_more);
    let none = people.owner.list(page(end.next_after_sequence)).await.unwrap();
    assert_eq!((none.opinions.len(), none.has_more), (0, false));
    three.says(ids[1], Positive).await;
    let news = people.owner.list(page(none.next_after_sequence)).await.unwrap();
    let newest = news.opinions.iter().max_by_key(|one| one.sequence).unwrap();
    assert_eq!((newest.item_id, newest.kind()), (ids[1], Positive));
    assert!(newest.sequence > none.sequence && news.next_after_sequence >= newest.sequence);
    // Each item's opinion has a change of its own.
    let put = two.put(all(Positive)).await.unwrap();
    let listed = people.owner.listed_opinions("known", 0, false).await;
    let of_two: BTreeSet<u64> =
        listed.iter().map(|one| one.sequence).filter(|at| *at > news.sequence).collect();
    assert_eq!(of_two.len(), 12);
    assert!(of_two.iter().all(|at| *at <= put.sequence));
    refused(people.owner.list(page(put.sequence + 1_000)).await, Code::OutOfRange, "");
    // The opinions on one item, as each reader sees them.
    let on = |item_id, bank: &str| members::ListOpinionsRequest {
        bank: bank.into(),
        item_id,
        after_sequence: put.sequence + 1_000,
        ..Default::default()
    };
    let of_item = people.owner.list(on(ids[3], "known")).await.unwrap();
    assert!(of_item.opinions.iter().all(|one| one.item_id == ids[3]) && !of_item.has_more);
    assert_eq!(of_item.opinions.len(), 3);
    assert_eq!(two.list(on(ids[3], "acme/known")).await.unwrap().opinions.len(), 1);
    assert_eq!(people.owner.list(on(9_999, "known")).await.unwrap().opinions, []);
    people.consortium.administrator.create_bank("beside").await.unwrap();
    assert_eq!(people.owner.list(on(ids[3], "beside")).await.unwrap().opinions, []);
    people.consortium.served.stop().await;
}
