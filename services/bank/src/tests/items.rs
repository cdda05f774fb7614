//! Tests of items with origins: lists that are sent again, submissions of several members, details, and
//! withdrawals.

mod labels;

use vigie_proto::pb::consortium::v1 as members;

use crate::tests::members::Consortium;
use crate::tests::*;
use crate::{VerifyError, verify};

on_both_stores! {
    a_list_that_is_sent_again_changes_nothing,
    an_item_lives_while_one_submission_does,
    no_member_keeps_another_from_submitting,
    details_change_without_an_index_and_are_kept,
    details_are_of_the_first_contributor_and_the_owner,
    a_classification_is_of_the_banks_taxonomies,
    new_items_are_counted_against_the_quota,
    large_removals_need_two_people,
    removed_items_come_back_until_they_are_purged,
    records_go_with_their_bank,
    a_record_of_other_hashes_is_found,
}

fn of_case(number: u64, case: &str) -> pb::ItemContent {
    let origin = pb::Origin { programme: "example".into(), key: number.to_string(), case: case.into() };
    pb::ItemContent { origin: Some(origin), external_reference: String::new(), ..item(number) }
}

fn noted(item: pb::ItemContent, note: &str) -> pb::ItemContent {
    pb::ItemContent { details: Some(pb::ItemDetails { note: note.into(), ..Default::default() }), ..item }
}

async fn a_list_that_is_sent_again_changes_nothing(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let list = || (0..9).map(|number| of_case(number, "")).collect::<Vec<_>>();
    let first = served.add("a", list()).await.unwrap();
    assert_eq!((first.item_ids.len(), first.known_count), (9, 0));
    let mut again = served.add("a", list()).await.unwrap();
    assert_eq!((&again.item_ids, again.known_count, again.sequence), (&first.item_ids, 9, first.sequence));
    // Also in another order, in parts, twice in one request, and after a restart.
    let turned = list().into_iter().rev().chain(list()).collect();
    again = served.add("a", turned).await.unwrap();
    let expected: Vec<u64> = first.item_ids.iter().rev().chain(&first.item_ids).copied().collect();
    assert_eq!((again.item_ids, again.sequence), (expected, first.sequence));
    served.stop().await;
    let served = Served::start(bed.config()).await;
    let mut longer = list();
    longer.push(of_case(20, ""));
    again = served.add("a", longer).await.unwrap();
    assert_eq!((&again.item_ids[..9], again.known_count), (&first.item_ids[..], 9));
    assert_eq!(served.list_items("a").await.unwrap().len(), 10);
    // The same content in another bank, or without an origin, is another item.
    served.create_bank("b").await.unwrap();
    assert_eq!(served.add("b", list()).await.unwrap().known_count, 0);
    let nameless = || items(30..31);
    let one = served.add("a", nameless()).await.unwrap();
    assert_ne!(served.add("a", nameless()).await.unwrap().item_ids, one.item_ids);
    // An item that was removed is added as a new item.
    served.remove(vec![first.item_ids[0]]).await.unwrap();
    let anew = served.add("a", vec![of_case(0, "")]).await.unwrap();
    assert!(anew.known_count == 0 && anew.item_ids[0] > first.item_ids[8]);
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn an_item_lives_while_one_submission_does(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { administrator, contributor, .. } = &consortium;
    administrator.create_bank("known").await.unwrap();
    let worker = consortium.contributor_of("other", "known").await;

    // Two cases of the owner, and one of another member.
    let [id] = contributor.add("known", vec![of_case(1, "a")]).await.unwrap()[..] else { panic!() };
    assert_eq!(contributor.add("known", vec![of_case(1, "b")]).await.unwrap(), [id]);
    assert_eq!(worker.add("acme/known", vec![of_case(1, "a")]).await.unwrap(), [id]);
    let names = async || {
        let found = contributor.item(id).await.unwrap();
        let name = |one: &pb::Submission| {
            let case = one.origin.as_ref().map(|origin| origin.case.clone());
            format!("{}:{}", one.member, case.unwrap_or_default())
        };
        found.submissions.iter().map(name).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["acme:a", "acme:b", "other:a"]);
    let origin = |case: &str| of_case(1, case).origin;
    // A caller cannot withdraw another member's submission.
    refused(worker.withdraw(id, origin("b")).await, Code::NotFound, "has no such submission");
    contributor.withdraw(id, origin("a")).await.unwrap();
    assert_eq!(names().await, ["acme:b", "other:a"]);
    worker.remove(vec![id]).await.unwrap();
    assert_eq!(names().await, ["acme:b"]);
    refused(worker.remove(vec![id]).await, Code::NotFound, "no item");
    contributor.withdraw(id, origin("b")).await.unwrap();
    refused(contributor.item(id).await, Code::NotFound, "no item");

    // An item that another member added stays that member's; the owner removes it as a whole.
    let [id] = worker.add("acme/known", vec![of_case(2, "")]).await.unwrap()[..] else { panic!() };
    contributor.add("known", vec![of_case(2, "")]).await.unwrap();
    worker.remove(vec![id]).await.unwrap();
    assert!(contributor.item(id).await.is_ok());
    worker.add("acme/known", vec![of_case(2, "")]).await.unwrap();
    contributor.remove(vec![id]).await.unwrap();
    refused(contributor.item(id).await, Code::NotFound, "no item");
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn no_member_keeps_another_from_submitting(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { administrator, contributor, .. } = &consortium;
    administrator.create_bank("known").await.unwrap();
    let worker = consortium.contributor_of("other", "known").await;
    // A hundred cases of one member, in one request and in several: the first eight are recorded, and no
    // request fails.
    let cases =
        |range: std::ops::Range<u64>| range.map(|case| of_case(1, &case.to_string())).collect::<Vec<_>>();
    let ids = worker.add("acme/known", cases(0..70)).await.unwrap();
    let id = ids[0];
    assert!(ids.iter().all(|one| *one == id));
    let submitted = async || {
        let item = contributor.item(id).await.unwrap();
        let of = |name: &str| item.submissions.iter().filter(|one| one.member == name).count();
        (of("other"), of("acme"))
    };
    assert_eq!(submitted().await, (8, 0));
    let before = contributor.item(id).await.unwrap();
    assert_eq!(worker.add("acme/known", cases(60..100)).await.unwrap(), [id; 40]);
    assert_eq!(contributor.item(id).await.unwrap(), before);
    // The owner's batch contains the item too.
    let list = vec![of_case(2, "x"), of_case(1, "x"), of_case(3, "x")];
    assert_eq!(contributor.add("known", list).await.unwrap()[1], id);
    assert_eq!(submitted().await, (8, 1));
    // A submission that was not recorded cannot be withdrawn; a withdrawn one makes space for another.
    let origin = |case: &str| of_case(1, case).origin;
    refused(worker.withdraw(id, origin("9")).await, Code::NotFound, "has no such submission");
    worker.withdraw(id, origin("3")).await.unwrap();
    worker.add("acme/known", cases(9..10)).await.unwrap();
    worker.withdraw(id, origin("9")).await.unwrap();
    worker.remove(vec![id]).await.unwrap();
    assert_eq!(submitted().await, (0, 1));
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn details_change_without_an_index_and_are_kept(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { administrator, contributor, .. } = &consortium;
    administrator.create_bank("known").await.unwrap();
    let added = contributor.add("known", vec![noted(of_case(1, ""), "first"), item(2)]).await.unwrap();
    let note = async |id: u64| {
        let details = contributor.item(id).await.unwrap().content.unwrap().details;
        details.map(|details| details.note).unwrap_or_default()
    };
    assert_eq!((note(added[0]).await, note(added[1]).await), ("first".into(), String::new()));
    // Details change by the next synchronization, and by a call.
    contributor.add("known", vec![noted(of_case(1, ""), "second")]).await.unwrap();
    assert_eq!(note(added[0]).await, "second");
    contributor.add("known", vec![of_case(1, "")]).await.unwrap();
    assert_eq!(note(added[0]).await, "second");
    let update = async |id, note: &str| contributor.update(id, note).await;
    update(added[1], "by hand").await.unwrap();
    assert_eq!(note(added[1]).await, "by hand");
    refused(update(99, "x").await, Code::NotFound, "no item 99");
    let listed = contributor.listed("known").await;
    let notes = listed.iter().map(|item| item.content.clone().unwrap().details.unwrap().note);
    assert_eq!(notes.collect::<Vec<_>>(), ["second", "by hand"]);
    consortium.served.stop().await;
    assert_eq!(verify(&bed.config()).await.unwrap().head.items, 2);
}

async fn details_are_of_the_first_contributor_and_the_owner(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { administrator, contributor, .. } = &consortium;
    administrator.create_bank("known").await.unwrap();
    let worker = consortium.contributor_of("other", "known").await;
    let note = async |id: u64| {
        let details = contributor.item(id).await.unwrap().content.unwrap().details;
        details.map(|details| details.note).unwrap_or_default()
    };
    // A later submitter of the same content cannot change its details, by the next list or by a call.
    let first = contributor.add("known", vec![noted(of_case(1, "a"), "first")]).await.unwrap()[0];
    for _ in 0..2 {
        assert_eq!(worker.add("acme/known", vec![noted(of_case(1, "b"), "mine")]).await.unwrap(), [first]);
    }
    refused(worker.update(first, "mine").await, Code::PermissionDenied, "another member's to change");
    assert_eq!(note(first).await, "first");
    // The details of a member's own item are set by that member, and by the owner.
    let own = worker.add("acme/known", vec![noted(of_case(2, "b"), "mine")]).await.unwrap()[0];
    contributor.add("known", vec![of_case(2, "a")]).await.unwrap();
    worker.update(own, "still mine").await.unwrap();
    assert_eq!(note(own).await, "still mine");
    contributor.update(own, "the owner's").await.unwrap();
    assert_eq!(note(own).await, "the owner's");
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_classification_is_of_the_banks_taxonomies(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { administrator, contributor, .. } = &consortium;
    administrator.create_bank("known").await.unwrap();
    let classified = |taxonomy: &str, value: &str| {
        let (dimension, value) = ("classification".into(), value.into());
        let classification = vec![pb_model::Class { taxonomy: taxonomy.into(), dimension, value }];
        let details = Some(pb::ItemDetails { classification, ..Default::default() });
        vec![pb::ItemContent { details, ..item(1) }]
    };
    let refusal = contributor.add("known", classified("ncmec", "C3")).await;
    refused(refusal, Code::InvalidArgument, "has no value C3; it has A1, A2, B1, B2");
    contributor.add("known", classified("local", "any")).await.unwrap();
    administrator.charter("known", &["ncmec"]).await;
    let refusal = contributor.add("known", classified("local", "any")).await;
    refused(refusal, Code::InvalidArgument, "takes its classification from ncmec, not from local");
    contributor.add("known", classified("ncmec", "A1")).await.unwrap();
    consortium.served.stop().await;
}

async fn new_items_are_counted_against_the_quota(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { operator, administrator, contributor, served, .. } = &consortium;
    administrator.create_bank("known").await.unwrap();
    operator.quota("acme", members::Quota { items_added_per_day: 3, ..Default::default() }).await;
    contributor.add("known", items(0..2)).await.unwrap();
    // Existing items cost nothing.
    contributor.add("known", items(0..2)).await.unwrap();
    contributor.add("known", items(0..3)).await.unwrap();
    let refusal =
        refused(contributor.add("known", items(3..4)).await, Code::ResourceExhausted, "items_added_per_day");
    let wait = vigie_proto::status::retry_after(&refusal).unwrap();
    assert_eq!(wait, std::time::Duration::from_secs(8 * 3_600));
    refused(contributor.add("known", items(3..7)).await, Code::InvalidArgument, "items_added_per_day");
    served.clock.0.fetch_add(u64::try_from(wait.as_millis()).unwrap(), Ordering::Relaxed);
    contributor.add("known", items(3..4)).await.unwrap();
    refused(contributor.add("known", items(4..5)).await, Code::ResourceExhausted, "items_added_per_day");
    consortium.served.stop().await;
}

async fn removed_items_come_back_until_they_are_purged(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { administrator, contributor, auditor, served, .. } = &consortium;
    administrator.create_bank("known").await.unwrap();
    let first = vec![noted(of_case(1, "a"), "kept"), of_case(2, ""), item(3)];
    let added = contributor.add("known", first).await.unwrap();
    contributor.remove(added.clone()).await.unwrap();
    let removed = administrator.removed("known").await.unwrap();
    let listed: Vec<_> = removed.iter().map(|one| (one.item_id, one.removed_by.as_str())).collect();
    assert_eq!(listed, [(added[0], "acme"), (added[1], "acme"), (added[2], "acme")]);
    assert!(
        removed.iter().all(|one| (one.removed_at_unix_ms, one.until_unix_ms) == (NOW, NOW + 36 * 3_600_000))
    );

    let back = contributor.restore(vec![added[1], added[0]]).await.unwrap();
    let item_0 = contributor.item(back[1]).await.unwrap();
    let content = item_0.content.unwrap();
    assert_eq!((content.details.unwrap().note.as_str(), item_0.submissions.len()), ("kept", 1));
    // It is restored once, and with its origins, which distinguish a repeated list from a new one.
    refused(contributor.restore(vec![added[2], added[0]]).await, Code::NotFound, "no item");
    assert_eq!(
        contributor.add("known", vec![of_case(1, "a"), of_case(2, "")]).await.unwrap(),
        [back[1], back[0]]
    );
    refused(auditor.restore(vec![added[2]]).await, Code::PermissionDenied, "");
    refused(auditor.removed("acme/known").await, Code::NotFound, "");
    let entries = auditor.entries().await;
    assert!(entries.iter().any(|entry| entry.action.ends_with("/RestoreItems") && entry.item_count == 2));

    // After its purge it cannot be restored.
    served.clock.0.fetch_add(37 * 3_600_000, Ordering::Relaxed);
    let begun = tokio::time::Instant::now();
    while !administrator.removed("known").await.unwrap().is_empty() {
        // The sweeper wakes periodically, and after a write that leaves something to sweep.
        administrator.create_bank("other").await.ok();
        administrator.delete_bank("other").await.ok();
        assert!(begun.elapsed() < std::time::Duration::from_secs(60));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    refused(contributor.restore(vec![added[2]]).await, Code::NotFound, "no item");
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn large_removals_need_two_people(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { administrator, contributor, auditor, served, .. } = &consortium;
    administrator.create_bank("known").await.unwrap();
    let other = administrator.principal("", members::Role::Administrator).await;
    let second = administrator.principal("", members::Role::Contributor).await;
    let added = contributor.add("known", items(0..8)).await.unwrap();
    administrator.two_people("known", 3).await.unwrap();
    let first =
        refused(contributor.remove(added[..3].to_vec()).await, Code::FailedPrecondition, "two people");
    assert!(first.message().contains("3 items or more"));
    // The same person again does not count as a second person, and neither does another request.
    refused(contributor.remove(added[..3].to_vec()).await, Code::FailedPrecondition, "two people");
    refused(second.remove(added[..4].to_vec()).await, Code::FailedPrecondition, "two people");
    second.remove(added[..3].to_vec()).await.unwrap();
    // Small removals are summed, whoever makes them.
    contributor.remove(vec![added[3]]).await.unwrap();
    second.remove(vec![added[4]]).await.unwrap();
    refused(contributor.remove(vec![added[5]]).await, Code::FailedPrecondition, "two people");
    // One person can neither lower the limit nor delete the bank.
    refused(administrator.two_people("known", 0).await, Code::FailedPrecondition, "two people");
    administrator.two_people("known", 2).await.unwrap();
    refused(administrator.delete_bank("known").await, Code::FailedPrecondition, "two people");
    // The audit names the person that asked first.
    let asked = auditor.entries().await.into_iter().filter(|entry| {
        entry.action.ends_with("/RemoveItems") && entry.code == Code::FailedPrecondition as i32
    });
    let asked: Vec<_> =
        asked.map(|entry| (entry.principal_id, entry.first_item_id, entry.item_count)).collect();
    assert_eq!(asked, [(4, added[0], 3), (4, added[0], 3), (6, added[0], 4), (4, added[5], 1)]);
    // A person that was created afterwards does not count.
    served.clock.0.fetch_add(1, Ordering::Relaxed);
    let made = administrator.principal("", members::Role::Administrator).await;
    refused(made.delete_bank("known").await, Code::FailedPrecondition, "two people");
    // The request is for this bank, whatever its name is.
    administrator.create_bank("other").await.unwrap();
    contributor.add("other", items(20..24)).await.unwrap();
    administrator.two_people("other", 2).await.unwrap();
    other.rename("known", "former").await;
    other.rename("other", "known").await;
    refused(other.delete_bank("known").await, Code::FailedPrecondition, "two people");
    other.rename("known", "other").await;
    other.rename("former", "known").await;
    other.delete_bank("known").await.unwrap();
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn records_go_with_their_bank(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let added = served.add("a", (0..30).map(|number| of_case(number, "")).collect()).await.unwrap();
    let count = async || bed.rows("SELECT count(*) || '' FROM item_records").await;
    assert_eq!(count().await, ["30"]);
    served.remove(added.item_ids[..10].to_vec()).await.unwrap();
    assert_eq!(count().await, ["20"]);
    served.delete_bank("a").await.unwrap();
    while count().await != ["0"] {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    served.stop().await;
}

async fn a_record_of_other_hashes_is_found(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let added = served.add("a", (0..3).map(|number| of_case(number, "")).collect()).await.unwrap();
    served.stop().await;
    verify(&bed.config()).await.unwrap();
    let [one, other] = [added.item_ids[0], added.item_ids[1]];
    bed.alter(&format!(
        "UPDATE item_records SET payload = (SELECT payload FROM item_records WHERE item_id = {one}) WHERE item_id = {other}"
    ))
    .await;
    let error = verify(&bed.config()).await.unwrap_err();
    assert!(matches!(error, VerifyError::RecordAltered(id) if id.0 == other), "{error}");
}
