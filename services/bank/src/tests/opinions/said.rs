//! Tests of putting and withdrawing opinions: which opinions count, and who may put them.

use pb_model::OpinionKind::{Negative, Positive, Seen};
use vigie_proto::pb::consortium::v1 as members;

use crate::tests::opinions::people::{DAY_MS, People, disputing, facts, opinion};
use crate::tests::*;
use crate::verify;

on_both_stores! {
    the_newest_opinion_of_each_member_counts,
    a_match_that_was_seen_counts_once_a_day,
    what_is_taken_back_counts_no_more,
    nobody_speaks_of_what_it_may_not_see,
    an_opinion_is_put_in_one_way,
}

async fn counts(people: &People, item: u64) -> (u32, u32, u32) {
    let facts = facts(&people.owner.item(item).await.unwrap());
    (facts.positives, facts.negatives, facts.seen)
}

async fn the_newest_opinion_of_each_member_counts(bed: Bed) {
    let people = People::start(bed.config()).await;
    let [one, two, three] = &people.others[..] else { panic!() };
    let item = people.add(0..1).await[0];
    assert_eq!(people.owner.item(item).await.unwrap().facts, None);
    for (by, kind, expected) in [
        (one, Positive, (1, 0, 0)),
        (two, Positive, (2, 0, 0)),
        (three, Seen, (2, 0, 1)),
        (two, Negative, (1, 1, 1)),
        (three, Negative, (1, 2, 0)),
        (&people.owner, Positive, (2, 2, 0)),
    ] {
        assert_eq!(by.says(item, kind).await, 1);
        assert_eq!(counts(&people, item).await, expected);
    }
    // A repeated opinion is not new, and no change.
    let before = people.head().await;
    assert_eq!(two.says(item, Negative).await, 0);
    assert_eq!(people.head().await, before);
    // An opinion on a hash belongs to the same member: the newest of the two counts.
    let hash = people.owner.item(item).await.unwrap().content.unwrap().hashes[1].clone();
    let on_hash = members::NewOpinion { hash: Some(hash), ..opinion(item, Positive) };
    assert_eq!(two.put(vec![on_hash]).await.unwrap().changed_count, 1);
    assert_eq!(counts(&people, item).await, (3, 1, 0));
    // Each member sees its own opinion.
    let mine = async |by: &crate::tests::members::By| facts(&by.item(item).await.unwrap()).mine();
    assert_eq!((mine(one).await, mine(three).await), (Positive, Negative));
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_match_that_was_seen_counts_once_a_day(bed: Bed) {
    let people = People::start(bed.config()).await;
    let [one, two, ..] = &people.others[..] else { panic!() };
    let item = people.add(0..1).await[0];
    // The day on which the clock begins ends within a day.
    let next = DAY_MS - NOW % DAY_MS;
    assert_eq!(one.says(item, Seen).await, 1);
    people.later(next - 1);
    assert_eq!(one.says(item, Seen).await, 0);
    people.later(next);
    assert_eq!(one.says(item, Seen).await, 1);
    assert_eq!(counts(&people, item).await, (0, 0, 1));
    // It does not replace the opinion of a person.
    assert_eq!(two.says(item, Positive).await, 1);
    people.later(next + 5 * DAY_MS);
    assert_eq!(two.says(item, Seen).await, 0);
    assert_eq!(counts(&people, item).await, (1, 0, 1));
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn what_is_taken_back_counts_no_more(bed: Bed) {
    let people = People::start(bed.config()).await;
    let [one, two, ..] = &people.others[..] else { panic!() };
    let ids = people.add(0..3).await;
    for item in &ids[..2] {
        one.says(*item, Positive).await;
        two.says(*item, Negative).await;
    }
    // Withdrawing from an item without an opinion changes nothing.
    assert_eq!(one.takes_back(&ids).await.unwrap().changed_count, 2);
    assert_eq!(one.takes_back(&ids).await.unwrap().changed_count, 0);
    assert_eq!(counts(&people, ids[0]).await, (0, 1, 0));
    two.takes_back(&ids[1..2]).await.unwrap();
    assert_eq!(people.owner.item(ids[1]).await.unwrap().facts, None, "nobody says anything any more");
    // A follower is sent the withdrawal.
    let listed = one.listed_opinions("acme/known", 0, true).await;
    let kinds: Vec<_> = listed.iter().map(|one| (one.item_id, one.kind())).collect();
    assert_eq!(
        kinds,
        [(ids[0], pb_model::OpinionKind::Unspecified), (ids[1], pb_model::OpinionKind::Unspecified)]
    );
    assert_eq!(one.says(ids[0], Seen).await, 1);
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn nobody_speaks_of_what_it_may_not_see(bed: Bed) {
    let people = People::start(bed.config()).await;
    let item = people.add(0..1).await[0];
    let consortium = &people.consortium;
    let stranger = People::reviewer(consortium, "stranger", &[]).await;
    let matcher = People::reviewer(consortium, "matcher", &[members::Capability::Match]).await;
    let sees = [members::Capability::Match, members::Capability::SeeHashes];
    let reader = People::reviewer(consortium, "reader", &sees).await;
    let hash = people.owner.item(item).await.unwrap().content.unwrap().hashes[0].clone();
    for by in [&stranger, &matcher] {
        for (of, of_missing) in [
            (
                by.put(vec![opinion(item, Positive)]).await.err(),
                by.put(vec![opinion(9_999, Positive)]).await.err(),
            ),
            (by.takes_back(&[item]).await.err(), by.takes_back(&[9_999]).await.err()),
        ] {
            let (of, of_missing) = (of.unwrap(), of_missing.unwrap());
            assert_eq!((of.code(), of_missing.code()), (Code::NotFound, Code::NotFound));
            assert_eq!(of.message().replace(&item.to_string(), "9999"), of_missing.message());
            assert_eq!(of.details().len(), of_missing.details().len());
        }
        // A right hash and a wrong one get the same answer.
        let with = |hash: &pb_model::Hash| {
            vec![members::NewOpinion { hash: Some(hash.clone()), ..opinion(item, Positive) }]
        };
        let other = pb_model::Hash { value: vec![9; 32], ..hash.clone() };
        let (right, wrong) =
            (by.put(with(&hash)).await.unwrap_err(), by.put(with(&other)).await.unwrap_err());
        assert_eq!((right.code(), right.message()), (wrong.code(), wrong.message()));
    }
    // A caller that may read the item knows that it exists.
    refused(reader.put(vec![opinion(item, Positive)]).await, Code::PermissionDenied, "");
    refused(reader.put(vec![opinion(9_999, Positive)]).await, Code::NotFound, "no item");
    // Only reviewers may put opinions, and a request puts all or none.
    for by in [&consortium.contributor, &consortium.administrator, &consortium.operator, &consortium.auditor]
    {
        refused(by.put(vec![opinion(item, Positive)]).await, Code::PermissionDenied, "");
        refused(by.takes_back(&[item]).await, Code::PermissionDenied, "");
    }
    let some = vec![opinion(item, Positive), opinion(9_999, Positive)];
    refused(people.others[0].put(some).await, Code::NotFound, "no item 9999");
    assert_eq!(people.owner.item(item).await.unwrap().facts, None);
    refused(
        consortium
            .operator
            .list(members::ListOpinionsRequest { bank: "acme/known".into(), ..Default::default() })
            .await,
        Code::PermissionDenied,
        "",
    );
    let unseen =
        stranger.list(members::ListOpinionsRequest { bank: "acme/known".into(), ..Default::default() }).await;
    let missing = stranger
        .list(members::ListOpinionsRequest { bank: "acme/nowhere".into(), ..Default::default() })
        .await;
    let (unseen, missing) = (unseen.unwrap_err(), missing.unwrap_err());
    assert_eq!((unseen.code(), missing.code()), (Code::NotFound, Code::NotFound));
    assert_eq!(unseen.message().replace("known", "nowhere"), missing.message());
    // Refused and completed calls are in the audit.
    people.others[0].says(item, Positive).await;
    let entries = consortium.auditor.entries().await;
    let mut of_opinions = entries.iter().filter(|entry| entry.action.ends_with("PutOpinions"));
    assert!(of_opinions.any(|entry| entry.code == 0 && entry.item_count == 1));
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn an_opinion_is_put_in_one_way(bed: Bed) {
    let people = People::start(bed.config()).await;
    let ids = people.add(0..2).await;
    let one = &people.others[0];
    let check = async |new: members::NewOpinion, field: &str| {
        refused(one.put(vec![new]).await, Code::InvalidArgument, field);
    };
    check(opinion(ids[0], pb_model::OpinionKind::Unspecified), "kind").await;
    check(members::NewOpinion { disputes: true, ..opinion(ids[0], Positive) }, "disputes").await;
    let reason = pb_model::OpinionReason::PoorHash.into();
    check(members::NewOpinion { reason, ..opinion(ids[0], Seen) }, "reason").await;
    check(members::NewOpinion { reason: 99, ..opinion(ids[0], Negative) }, "reason").await;
    check(
        members::NewOpinion { foreign_value: "x".repeat(65), ..opinion(ids[0], Positive) },
        "foreign_value",
    )
    .await;
    let other = people.owner.item(ids[1]).await.unwrap().content.unwrap().hashes[0].clone();
    check(members::NewOpinion { hash: Some(other), ..opinion(ids[0], Positive) }, "opinions[0].hash").await;
    refused(one.put(Vec::new()).await, Code::InvalidArgument, "opinions");
    refused(one.put(vec![opinion(ids[0], Positive); 1_001]).await, Code::InvalidArgument, "opinions");
    refused(one.takes_back(&[ids[0], ids[0]]).await, Code::InvalidArgument, "item_ids");
    // Opinions too may only use the charter's taxonomies.
    let charter = members::Charter { taxonomies: vec!["iwf".into()], ..Default::default() };
    people.consortium.administrator.set_charter(charter).await.unwrap();
    let class = |taxonomy: &str, dimension: &str, value: &str| pb_model::Class {
        taxonomy: taxonomy.into(),
        dimension: dimension.into(),
        value: value.into(),
    };
    let of_other =
        members::NewOpinion { proposed: Some(class("ncmec", "classification", "A1")), ..disputing(ids[0]) };
    refused(one.put(vec![of_other]).await, Code::InvalidArgument, "");
    let whole = members::NewOpinion {
        reason,
        proposed: Some(class("iwf", "category", "B")),
        foreign_value: "NOT_HELPFUL".into(),
        ..disputing(ids[0])
    };
    let put = one.put_once(vec![whole.clone()], "key").await.unwrap();
    one.takes_back(&ids[..1]).await.unwrap();
    // The same request with the same key gets the same answer, and another request is refused.
    assert_eq!(one.put_once(vec![whole.clone()], "key").await.unwrap(), put);
    assert_eq!(people.owner.item(ids[0]).await.unwrap().facts, None);
    refused(one.put_once(vec![opinion(ids[0], Seen)], "key").await, Code::InvalidArgument, "idempotency_key");
    one.put(vec![whole.clone()]).await.unwrap();
    let listed = &one.listed_opinions("acme/known", 0, true).await[0];
    let back = members::NewOpinion {
        item_id: listed.item_id,
        hash: None,
        kind: listed.kind,
        reason: listed.reason,
        disputes: listed.disputes,
        proposed: listed.proposed.clone(),
        foreign_value: listed.foreign_value.clone(),
    };
    assert_eq!((back, listed.member.as_str()), (whole, "one"));
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}
