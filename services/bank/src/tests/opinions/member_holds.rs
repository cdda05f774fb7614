//! Tests of items that are held for one member alone.

use vigie_access::ClusterKey;
use vigie_consortium::Process;
use vigie_proto::pb::consortium::v1 as members;

use crate::tests::members::By;
use crate::tests::opinions::people::{People, facts};
use crate::tests::*;
use crate::verify;

on_both_stores! {
    a_member_holds_items_for_itself_alone,
    a_hold_by_flood_control_that_was_lifted_comes_back_after_the_window_alone,
    items_that_match_far_too_often_are_held_where_they_do,
}

async fn a_member_holds_items_for_itself_alone(bed: Bed) {
    let people = People::start(bed.config()).await;
    let [one, two, ..] = &people.others[..] else { panic!() };
    let ids = people.add(0..5).await;
    let consortium = &people.consortium;
    assert_eq!(one.hold_here(&ids[..4], true).await.unwrap().changed_count, 4);
    assert_eq!(one.hold_here(&ids, true).await.unwrap().changed_count, 1);
    people.owner.hold_here(&ids[..1], true).await.unwrap();
    let here = async |by: &By, after, size| -> Vec<u64> {
        by.held_here(after, size).await.unwrap().iter().map(|one| one.item_id).collect()
    };
    assert_eq!(here(one, 0, 2).await, ids[..2]);
    assert_eq!(here(one, ids[1], 0).await, ids[2..]);
    assert_eq!((here(two, 0, 0).await, here(&people.owner, 0, 0).await), (vec![], ids[..1].to_vec()));
    let first = &one.held_here(0, 1).await.unwrap()[0];
    assert_eq!((first.bank.as_str(), first.since_unix_ms), ("acme/known", NOW));
    // The item is set aside for this member, and held for nobody else.
    let aside = async |by: &By, item| facts(&by.item(item).await.unwrap()).is_aside;
    assert_eq!((aside(one, ids[1]).await, aside(two, ids[1]).await), (true, false));
    assert!(people.owner.item(ids[1]).await.unwrap().holds.is_empty());
    assert_eq!(one.hold_here(&ids[1..], false).await.unwrap().changed_count, 4);
    assert_eq!((here(one, 0, 0).await, aside(one, ids[1]).await), (ids[..1].to_vec(), false));
    assert!(aside(&people.owner, ids[0]).await);

    // A caller that may not search the bank finds no item there.
    let stranger = People::reviewer(consortium, "stranger", &[]).await;
    let unseen = stranger.hold_here(&ids[..1], true).await.unwrap_err();
    let missing = stranger.hold_here(&[9_999], true).await.unwrap_err();
    assert_eq!((unseen.code(), missing.code()), (Code::NotFound, Code::NotFound));
    assert_eq!(unseen.message().replace(&ids[0].to_string(), "9999"), missing.message());
    refused(one.hold_here(&[ids[0], 9_999], false).await, Code::NotFound, "no item 9999");
    refused(consortium.contributor.hold_here(&ids, true).await, Code::PermissionDenied, "");
    refused(consortium.operator.hold_here(&ids, true).await, Code::PermissionDenied, "");
    refused(one.hold_here(&[], true).await, Code::InvalidArgument, "item_ids");
    let sees = [members::Capability::Match];
    let matcher = People::reviewer(consortium, "matcher", &sees).await;
    assert_eq!(matcher.hold_here(&ids[..1], true).await.unwrap().changed_count, 1);
    // A removed item's holds are removed too.
    consortium.contributor.remove(ids[..1].to_vec()).await.unwrap();
    for by in [one, &matcher, &people.owner] {
        assert!(here(by, 0, 0).await.is_empty());
    }
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

/// Starts people with a frontend and a matcher of the deployment.
async fn with_processes(bed: &Bed) -> (People, [By; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cluster.key");
    std::fs::write(&path, "0123456789abcdef".repeat(4)).unwrap();
    let mut config = bed.config();
    config.processes.cluster_key = Some(path.clone());
    let people = People::start(config).await;
    let of_process = |process| {
        let bearer = ClusterKey::read(&path).unwrap().bearer(process);
        By(people.consortium.served.channel.clone(), bearer.to_string())
    };
    let processes = [Process::Frontend, Process::Matcher].map(of_process);
    (people, processes)
}

async fn a_hold_by_flood_control_that_was_lifted_comes_back_after_the_window_alone(bed: Bed) {
    let (people, [frontend, _]) = with_processes(&bed).await;
    let [one, two, ..] = &people.others[..] else { panic!() };
    let ids = people.add(0..3).await;
    // `one` is the member 3, and `two` the member 4.
    let floods = [(3, ids[0]), (4, ids[0])];
    let here = async |by: &By| -> Vec<(u64, u64, bool)> {
        let held = by.held_here(0, 0).await.unwrap();
        held.iter().map(|one| (one.item_id, one.since_unix_ms, one.flooded)).collect()
    };
    frontend.floods(&floods).await.unwrap();
    one.hold_here(&ids[1..2], true).await.unwrap();
    assert_eq!(here(one).await, [(ids[0], NOW, true), (ids[1], NOW, false)]);
    // A member's own hold stays its own, and so does one of flood control.
    people.later(5);
    frontend.floods(&[(3, ids[1])]).await.unwrap();
    assert_eq!(one.hold_here(&ids[..1], true).await.unwrap().changed_count, 0);
    assert_eq!(here(one).await, [(ids[0], NOW, true), (ids[1], NOW, false)]);
    // Another frontend has counted matches from before the lift.
    one.hold_here(&ids[..2], false).await.unwrap();
    people.later(600_004);
    assert_eq!(frontend.floods(&floods).await.unwrap().0, floods[1..]);
    assert_eq!(frontend.floods_within(600_000, &floods).await.unwrap().0, floods[1..]);
    assert_eq!((here(one).await, here(two).await), (vec![], vec![(ids[0], NOW, true)]));
    // The member itself may always hold the item; lifting that hold does not count as lifting one of flood
    // control.
    one.hold_here(&ids[..1], true).await.unwrap();
    one.hold_here(&ids[..1], false).await.unwrap();
    people.later(600_005);
    frontend.floods(&floods).await.unwrap();
    assert_eq!(here(one).await, [(ids[0], NOW + 600_005, true)]);
    // An item that flood control never held is held at once, and a shorter window ends sooner.
    frontend.floods(&[(3, ids[1])]).await.unwrap();
    one.hold_here(&ids[..2], false).await.unwrap();
    people.later(601_004);
    frontend.floods_within(1_000, &floods).await.unwrap();
    assert_eq!(here(one).await, []);
    people.later(601_005);
    frontend.floods_within(1_000, &floods).await.unwrap();
    assert_eq!(here(one).await, [(ids[0], NOW + 601_005, true)]);
    refused(frontend.floods_within(86_400_001, &floods).await, Code::InvalidArgument, "window_ms");
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn items_that_match_far_too_often_are_held_where_they_do(bed: Bed) {
    let (people, [frontend, matcher]) = with_processes(&bed).await;
    let one = &people.others[0];
    let ids = people.add(0..2).await;
    // Members may not report floods.
    refused(one.floods(&[(3, ids[0])]).await, Code::PermissionDenied, "");
    refused(people.consortium.operator.floods(&[(3, ids[0])]).await, Code::PermissionDenied, "");
    refused(matcher.floods(&[(3, ids[0])]).await, Code::PermissionDenied, "");
    refused(frontend.floods(&[]).await, Code::InvalidArgument, "floods");
    // `acme` is the member 2, and `one` the member 3. Missing items and existing holds are skipped.
    let floods = [(3, ids[0]), (3, ids[1]), (2, ids[1]), (3, 9_999)];
    let (held, sequence) = frontend.floods(&floods).await.unwrap();
    assert_eq!(held, floods[..3]);
    assert_eq!(frontend.floods(&floods[..1]).await.unwrap(), (floods[..1].to_vec(), sequence));
    let here = async |by: &By| -> Vec<u64> {
        by.held_here(0, 0).await.unwrap().iter().map(|one| one.item_id).collect()
    };
    assert_eq!(here(one).await, ids);
    assert_eq!(here(&people.owner).await, ids[1..]);
    assert!(here(&people.others[1]).await.is_empty());
    // The member lifts the hold, for itself alone.
    one.hold_here(&ids[1..], false).await.unwrap();
    assert_eq!(here(one).await, ids[..1]);
    assert_eq!(here(&people.owner).await, ids[1..]);
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}
