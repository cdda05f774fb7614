//! Tests of holds: who sets and lifts them, how they end, and that items of quarantined members are held.

use std::time::Duration;

use vigie_proto::pb::consortium::v1 as members;
use vigie_proto::pb::consortium::v1::consortium_service_client::ConsortiumServiceClient;

use crate::tests::members::{By, Consortium};
use crate::tests::*;
use crate::{VerifyError, verify};

on_both_stores! {
    each_holder_lifts_its_own_hold,
    a_hold_is_asked_for_in_one_way,
    a_hold_ends_by_itself,
    a_held_item_that_is_removed_comes_back_held,
    items_of_quarantined_members_are_held_in_banks_of_others,
    a_hold_that_the_store_does_not_know_is_found,
}

/// The most time that the bank may take to check its holds.
const WITHIN: Duration = Duration::from_secs(30);

/// Returns the holders of an item, from its message.
fn holders(item: &pb::Item) -> Vec<pb::Holder> {
    item.holds.iter().map(|hold| hold.holder()).collect()
}

/// Waits until an item has these holders.
async fn until_held_by(by: &By, item: u64, expected: &[pb::Holder]) {
    let begun = std::time::Instant::now();
    loop {
        let found = holders(&by.item(item).await.unwrap());
        if found == expected {
            return;
        }
        assert!(begun.elapsed() < WITHIN, "item {item} is held by {found:?}, and not by {expected:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn each_holder_lifts_its_own_hold(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { operator, administrator, contributor, .. } = &consortium;
    operator.member("other").await;
    let stranger = operator.principal("other", members::Role::Administrator).await;
    administrator.create_bank("known").await.unwrap();
    let ids = contributor.add("known", items(0..3)).await.unwrap();
    let held = |holders: &[pb::Holder]| holders.to_vec();

    // The operator may hold items that it cannot read; of a missing item it learns only that it is missing.
    assert_eq!(operator.hold(&ids[..2]).await.unwrap().held_count, 2);
    refused(operator.item(ids[0]).await, Code::PermissionDenied, "");
    refused(operator.hold(&[ids[0], 9_999]).await, Code::NotFound, "no item 9999");
    // A contributor may hold nothing, and nobody may hold an item that it does not see.
    refused(contributor.hold(&ids).await, Code::PermissionDenied, "");
    let unseen = stranger.hold(&ids).await.unwrap_err();
    let missing = stranger.hold(&[9_999]).await.unwrap_err();
    assert_eq!((unseen.code(), missing.code()), (Code::NotFound, Code::NotFound));
    assert_eq!(unseen.message().replace(&ids[0].to_string(), "9999"), missing.message());
    let sees = [members::Capability::Match, members::Capability::SeeHashes];
    administrator.share("known", "other", &sees).await;
    refused(stranger.hold(&ids).await, Code::PermissionDenied, "another member's");

    // A request holds all of its items or none; an existing hold stays unchanged.
    let sequence = administrator.hold(&ids[..1]).await.unwrap().sequence;
    assert_eq!(administrator.hold(&ids[..1]).await.unwrap().sequence, sequence);
    let both = [pb::Holder::Owner, pb::Holder::Operator];
    assert_eq!(holders(&administrator.item(ids[0]).await.unwrap()), both);
    assert_eq!(administrator.lift(&ids).await.unwrap().held_count, 2);
    assert_eq!(holders(&administrator.item(ids[0]).await.unwrap()), held(&[pb::Holder::Operator]));
    // The operator is shown no hold of others.
    administrator.hold(&ids[..1]).await.unwrap();
    assert_eq!(operator.lift(&ids).await.unwrap().held_count, 0);
    administrator.lift(&ids[..1]).await.unwrap();
    for item in administrator.listed("known").await {
        assert_eq!(holders(&item), held(&[]));
    }
    // Each call that changed something is in the audit, with its items.
    let entries = consortium.auditor.entries().await;
    let of_holds = entries.iter().filter(|entry| entry.action.ends_with("SetItemHold") && entry.code == 0);
    let counted: Vec<_> = of_holds.map(|entry| entry.item_count).collect();
    assert_eq!(counted, [2, 1, 1, 3, 1, 3, 1]);
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_hold_is_asked_for_in_one_way(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = By(served.channel.clone(), String::new());
    served.create_bank("a").await.unwrap();
    let ids = served.add("a", items(0..2)).await.unwrap().item_ids;
    let request = |held, until_unix_ms, item_ids: &[u64]| {
        let item_ids = item_ids.to_vec();
        everyone.set_hold(pb::SetItemHoldRequest { item_ids, held, until_unix_ms, ..Default::default() })
    };
    refused(request(true, NOW, &ids).await, Code::InvalidArgument, "until_unix_ms: the hold would be over");
    refused(request(false, NOW + 1, &ids).await, Code::InvalidArgument, "until_unix_ms: is given");
    refused(request(true, 0, &[]).await, Code::InvalidArgument, "item_ids");
    refused(request(true, 0, &[ids[0], ids[0]]).await, Code::InvalidArgument, "item_ids");
    // The same request with the same key gets the same answer.
    let keyed = |held| pb::SetItemHoldRequest {
        item_ids: ids.clone(),
        held,
        idempotency_key: "k".into(),
        ..Default::default()
    };
    let first = everyone.set_hold(keyed(true)).await.unwrap();
    everyone.lift(&ids).await.unwrap();
    assert_eq!(everyone.set_hold(keyed(true)).await.unwrap(), first);
    assert_eq!(holders(&everyone.item(ids[0]).await.unwrap()), []);
    refused(everyone.set_hold(keyed(false)).await, Code::InvalidArgument, "idempotency_key");
    served.stop().await;
}

async fn a_hold_ends_by_itself(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = By(served.channel.clone(), String::new());
    served.create_bank("a").await.unwrap();
    let ids = served.add("a", items(0..3)).await.unwrap().item_ids;
    let hold = async |item: u64, until_unix_ms| {
        let item_ids = vec![item];
        let request = pb::SetItemHoldRequest { item_ids, held: true, until_unix_ms, ..Default::default() };
        everyone.set_hold(request).await.unwrap()
    };
    hold(ids[0], NOW + 5_000).await;
    hold(ids[1], NOW + 5_000).await;
    // One hold is extended, and another has no end.
    hold(ids[1], NOW + 60_000).await;
    hold(ids[2], 0).await;
    let sequence = served.head().await.sequence;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(served.head().await.sequence, sequence, "nothing ends before its time");
    served.clock.0.store(NOW + 5_000, Ordering::Relaxed);
    until_held_by(&everyone, ids[0], &[]).await;
    for item in &ids[1..] {
        until_held_by(&everyone, *item, &[pb::Holder::Owner]).await;
    }
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_held_item_that_is_removed_comes_back_held(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = By(served.channel.clone(), String::new());
    served.create_bank("a").await.unwrap();
    let ids = served.add("a", items(0..3)).await.unwrap().item_ids;
    everyone.hold(&ids[..2]).await.unwrap();
    served.remove(ids.clone()).await.unwrap();
    let restored = everyone.restore(ids.clone()).await.unwrap();
    let held = [vec![pb::Holder::Owner], vec![pb::Holder::Owner], vec![]];
    for (item, expected) in restored.iter().zip(held) {
        assert_eq!(holders(&everyone.item(*item).await.unwrap()), expected);
    }
    everyone.lift(&restored).await.unwrap();
    served.delete_bank("a").await.unwrap();
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn items_of_quarantined_members_are_held_in_banks_of_others(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { operator, administrator, contributor, .. } = &consortium;
    let mut workers = Vec::new();
    administrator.create_bank("known").await.unwrap();
    for member in ["one", "two"] {
        workers.push(consortium.contributor_of(member, "known").await);
    }
    let [one, two] = &workers[..] else { panic!() };
    // Items of one member, with and without an origin; of both members; of the other; of the owner and one.
    let of_case = |number: u64| {
        let origin = Some(pb::Origin { case: "case".into(), ..Default::default() });
        pb::ItemContent { origin, external_reference: String::new(), ..item(number) }
    };
    let nameless = |number| pb::ItemContent { external_reference: String::new(), ..item(number) };
    let of_one = one.add("acme/known", vec![of_case(1), nameless(2)]).await.unwrap();
    let of_both = one.add("acme/known", vec![of_case(3)]).await.unwrap()[0];
    assert_eq!(two.add("acme/known", vec![of_case(3)]).await.unwrap(), [of_both]);
    let of_two = two.add("acme/known", vec![of_case(4)]).await.unwrap()[0];
    let of_owner = contributor.add("known", vec![of_case(5)]).await.unwrap()[0];
    assert_eq!(one.add("acme/known", vec![of_case(5)]).await.unwrap(), [of_owner]);

    let quarantine = [pb::Holder::Quarantine];
    operator.state("one", members::MemberState::Quarantined).await;
    for item in &of_one {
        until_held_by(administrator, *item, &quarantine).await;
    }
    for item in [of_both, of_two, of_owner] {
        until_held_by(administrator, item, &[]).await;
    }
    // Another member's withdrawal leaves only the submission of the quarantined member.
    let case = pb::Origin { case: "case".into(), ..Default::default() };
    two.withdraw(of_both, Some(case.clone())).await.unwrap();
    until_held_by(administrator, of_both, &quarantine).await;
    // With another member's submission the item matches again.
    two.add("acme/known", vec![of_case(1)]).await.unwrap();
    until_held_by(administrator, of_one[0], &[]).await;
    two.withdraw(of_one[0], Some(case)).await.unwrap();
    // The owner's hold is separate.
    administrator.hold(&of_one[..1]).await.unwrap();
    let both = [pb::Holder::Owner, pb::Holder::Quarantine];
    until_held_by(administrator, of_one[0], &both).await;
    assert_eq!(administrator.lift(&of_one[..1]).await.unwrap().held_count, 1);

    // Two members at once, and the first quarantine ends: also if another bank takes over meanwhile.
    operator.state("two", members::MemberState::Quarantined).await;
    until_held_by(administrator, of_two, &quarantine).await;
    operator.state("one", members::MemberState::Active).await;
    for item in of_one.iter().chain([&of_both]) {
        until_held_by(administrator, *item, &[]).await;
    }
    until_held_by(administrator, of_two, &quarantine).await;
    let keys = [operator.1.clone(), administrator.1.clone()];
    operator.state("one", members::MemberState::Quarantined).await;
    until_held_by(administrator, of_one[0], &quarantine).await;
    // A quarantine that ended and began again between two checks: items written meanwhile are held too.
    operator.state("one", members::MemberState::Active).await;
    administrator.update(of_one[0], "written meanwhile").await.unwrap();
    operator.state("one", members::MemberState::Quarantined).await;
    until_held_by(administrator, of_one[0], &quarantine).await;
    consortium.served.stop().await;
    let served = Served::start(bed.config()).await;
    let [operator, administrator] = keys.map(|key| By(served.channel.clone(), key));
    until_held_by(&administrator, of_one[0], &quarantine).await;
    until_held_by(&administrator, of_both, &quarantine).await;
    operator.state("two", members::MemberState::Active).await;
    until_held_by(&administrator, of_two, &[]).await;
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_hold_that_the_store_does_not_know_is_found(bed: Bed) {
    let served = Served::start(bed.config()).await;
    let everyone = By(served.channel.clone(), String::new());
    served.create_bank("a").await.unwrap();
    let ids = served.add("a", items(0..3)).await.unwrap().item_ids;
    everyone.hold(&ids[..2]).await.unwrap();
    everyone.lift(&ids[1..2]).await.unwrap();
    served.stop().await;
    verify(&bed.config()).await.unwrap();
    for (item, ends) in [(ids[0], "NULL"), (ids[1], "9")] {
        let set =
            |value: &str| format!("UPDATE item_records SET hold_ends_ms = {value} WHERE item_id = {item}");
        bed.alter(&set(ends)).await;
        let error = verify(&bed.config()).await.unwrap_err();
        assert!(matches!(error, VerifyError::RecordAltered(id) if id.0 == item), "{error}");
        bed.alter(&set(if ends == "9" { "NULL" } else { "9223372036854775807" })).await;
    }
    verify(&bed.config()).await.unwrap();
}

impl By {
    async fn set_hold(&self, request: pb::SetItemHoldRequest) -> Result<pb::SetItemHoldResponse, Status> {
        let mut client = BankServiceClient::new(self.0.clone());
        Ok(client.set_item_hold(self.carried(request)).await?.into_inner())
    }

    async fn hold(&self, items: &[u64]) -> Result<pb::SetItemHoldResponse, Status> {
        let item_ids = items.to_vec();
        self.set_hold(pb::SetItemHoldRequest { item_ids, held: true, ..Default::default() }).await
    }

    async fn lift(&self, items: &[u64]) -> Result<pb::SetItemHoldResponse, Status> {
        self.set_hold(pb::SetItemHoldRequest { item_ids: items.to_vec(), ..Default::default() }).await
    }

    async fn state(&self, member: &str, state: members::MemberState) {
        let (name, state) = (member.into(), state.into());
        let request = members::SetMemberStateRequest { name, state, ..Default::default() };
        let mut client = ConsortiumServiceClient::new(self.0.clone());
        client.set_member_state(self.carried(request)).await.unwrap();
    }
}
