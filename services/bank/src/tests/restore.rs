//! Tests of restored removed items: with a list that was sent again, without the change that added them, and
//! from rows of an older build.

use std::time::Duration;

use vigie_log::Sequence;

use crate::simulated::{CommitFate, Disk};
use crate::store::memory::MemoryStore;
use crate::tests::failures::faulty::{Fault, Faulty};
use crate::tests::members::Consortium;
use crate::tests::*;
use crate::verify;

on_both_stores! {
    an_item_that_was_added_again_takes_the_submissions_of_the_removed_one,
    an_item_that_is_there_already_is_brought_back_once,
    what_the_owner_removed_is_brought_back_by_the_owner_alone,
    a_removed_item_outlives_the_change_that_added_it,
    a_thousand_removed_items_are_looked_up_at_once,
    rows_of_an_older_build_are_brought_back_from_the_log,
    an_altered_row_of_a_removed_item_is_not_brought_back,
}

/// Returns the settings of a bank on a store in memory, and the store.
fn in_memory() -> (Config, Arc<dyn Store>) {
    let disk = Disk::new([7; 16], Box::new(|| CommitFate::Done(Duration::ZERO)));
    let serving = vigie_serving::ServingConfig::default().without_lame_duck();
    let config = Config { heartbeat_ms: 20, serving, ..Config::default() };
    (config, Arc::new(MemoryStore::open(disk)))
}

fn of_case(number: u64, case: &str) -> pb::ItemContent {
    let origin = pb::Origin { programme: "example".into(), key: number.to_string(), case: case.into() };
    pb::ItemContent { origin: Some(origin), external_reference: String::new(), ..item(number) }
}

fn noted(item: pb::ItemContent, note: &str) -> pb::ItemContent {
    pb::ItemContent { details: Some(pb::ItemDetails { note: note.into(), ..Default::default() }), ..item }
}

impl Served {
    pub(super) async fn restore(&self, item_ids: &[u64]) -> Result<pb::RestoreItemsResponse, Status> {
        let request = pb::RestoreItemsRequest { item_ids: item_ids.to_vec(), ..Default::default() };
        Ok(self.bank.clone().restore_items(request).await?.into_inner())
    }

    async fn removed(&self, bank: &str) -> Vec<u64> {
        let request = pb::ListRemovedItemsRequest { bank: bank.into(), ..Default::default() };
        let page = self.bank.clone().list_removed_items(request).await.unwrap().into_inner();
        page.items.into_iter().map(|item| item.item_id).collect()
    }
}

async fn an_item_that_was_added_again_takes_the_submissions_of_the_removed_one(bed: Bed) {
    added_again(bed.config(), open(&bed.config()).await).await;
    verify(&bed.config()).await.unwrap();
}

#[tokio::test]
async fn an_item_that_was_added_again_takes_the_submissions_of_the_removed_one_in_memory() {
    let (config, store) = in_memory();
    added_again(config, store).await;
}

async fn added_again(config: Config, store: Arc<dyn Store>) {
    let consortium = Consortium::on(Served::start_on(config, store).await).await;
    let Consortium { administrator, contributor, .. } = &consortium;
    administrator.create_bank("known").await.unwrap();
    let worker = consortium.contributor_of("other", "known").await;
    let list = || vec![of_case(1, "a"), of_case(2, "a"), of_case(3, "a")];
    let submissions = async |id: u64| {
        let name = |one: &pb::Submission| format!("{}:{}", one.member, one.origin.as_ref().unwrap().case);
        contributor.item(id).await.unwrap().submissions.iter().map(name).collect::<Vec<_>>()
    };

    // Two members, and details; then the owner removes the items and sends its list again.
    let first =
        contributor.add("known", vec![noted(of_case(1, "a"), "kept"), of_case(2, "a")]).await.unwrap();
    worker.add("acme/known", vec![of_case(1, "b")]).await.unwrap();
    contributor.remove(first.clone()).await.unwrap();
    let again = contributor.add("known", list()).await.unwrap();
    let back = contributor.restore(first.clone()).await.unwrap();
    assert_eq!(back, again[..2]);
    assert_eq!(contributor.listed("known").await.len(), 3);
    assert_eq!(submissions(again[0]).await, ["acme:a", "other:b"]);
    let content = contributor.item(again[0]).await.unwrap().content.unwrap();
    assert_eq!(content.details.unwrap().note, "kept");
    // They are restored once, even if nothing changed by it.
    assert!(administrator.removed("known").await.unwrap().is_empty());
    refused(contributor.restore(vec![first[1]]).await, Code::NotFound, "no item");
    assert_eq!(contributor.add("known", list()).await.unwrap(), again);

    // Removed twice: one item is restored, with the submissions of both, and the details of the first.
    contributor.remove(vec![again[0]]).await.unwrap();
    let third = contributor.add("known", vec![noted(of_case(1, "c"), "third")]).await.unwrap();
    contributor.remove(third.clone()).await.unwrap();
    let back = contributor.restore(vec![third[0], again[0]]).await.unwrap();
    assert_eq!(back[0], back[1]);
    assert_eq!(submissions(back[0]).await, ["acme:c", "acme:a", "other:b"]);
    let content = contributor.item(back[0]).await.unwrap().content.unwrap();
    assert_eq!(content.details.unwrap().note, "third");
    // Another member's item of the same content gets the submissions too, and is removed with its last one as
    // usual.
    contributor.remove(vec![back[0]]).await.unwrap();
    let others_item = worker.add("acme/known", vec![of_case(1, "b")]).await.unwrap();
    assert_eq!(contributor.restore(vec![back[0]]).await.unwrap(), others_item);
    worker.remove(others_item.clone()).await.unwrap();
    assert_eq!(submissions(others_item[0]).await, ["acme:c", "acme:a"]);

    // Items without an origin never merge: such an item is restored beside others.
    let plain = pb::ItemContent { external_reference: String::new(), ..item(3) };
    let plain = contributor.add("known", vec![noted(plain, "plain")]).await.unwrap();
    contributor.remove(plain.clone()).await.unwrap();
    let back = contributor.restore(plain).await.unwrap();
    assert_ne!(back[0], again[2]);
    consortium.served.stop().await;
}

async fn an_item_that_is_there_already_is_brought_back_once(bed: Bed) {
    there_already(bed.config(), open(&bed.config()).await).await;
    verify(&bed.config()).await.unwrap();
}

#[tokio::test]
async fn an_item_that_is_there_already_is_brought_back_once_in_memory() {
    let (config, store) = in_memory();
    there_already(config, store).await;
}

/// The only change: the removed item is merged into the existing one.
async fn there_already(config: Config, store: Arc<dyn Store>) {
    let served = Served::start_on(config, store).await;
    served.create_bank("a").await.unwrap();
    let former = served.add("a", vec![of_case(1, "")]).await.unwrap().item_ids;
    served.remove(former.clone()).await.unwrap();
    let again = served.add("a", vec![of_case(1, "")]).await.unwrap();
    let restored = served.restore(&former).await.unwrap();
    assert_eq!((&restored.item_ids, restored.sequence), (&again.item_ids, again.sequence + 1));
    assert!(served.removed("a").await.is_empty());
    refused(served.restore(&former).await, Code::NotFound, "no item");
    assert_eq!(served.list_items("a").await.unwrap().len(), 1);
    served.stop().await;
}

async fn what_the_owner_removed_is_brought_back_by_the_owner_alone(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { administrator, contributor, .. } = &consortium;
    administrator.create_bank("known").await.unwrap();
    let worker = consortium.contributor_of("other", "known").await;
    // One item that the other member submitted too, and one that is its own.
    let both = contributor.add("known", vec![of_case(1, "a")]).await.unwrap()[0];
    worker.add("acme/known", vec![of_case(1, "b")]).await.unwrap();
    let own = worker.add("acme/known", vec![of_case(2, "b")]).await.unwrap()[0];
    contributor.remove(vec![both, own]).await.unwrap();
    for item in [both, own] {
        let refusal = worker.restore(vec![item]).await;
        refused(refusal, Code::PermissionDenied, "another member's to change");
    }
    assert!(contributor.listed("known").await.is_empty());
    assert_eq!(contributor.restore(vec![both, own]).await.unwrap().len(), 2);
    // A member can restore an item that it withdrew itself.
    let own = contributor.listed("known").await[1].id;
    worker.remove(vec![own]).await.unwrap();
    assert_eq!(contributor.listed("known").await.len(), 1);
    worker.restore(vec![own]).await.unwrap();
    assert_eq!(contributor.listed("known").await.len(), 2);
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_removed_item_outlives_the_change_that_added_it(bed: Bed) {
    without_its_change(bed.config(), open(&bed.config()).await).await;
}

#[tokio::test]
async fn a_removed_item_outlives_the_change_that_added_it_in_memory() {
    let (config, store) = in_memory();
    without_its_change(config, store).await;
}

async fn without_its_change(config: Config, store: Arc<dyn Store>) {
    let served = Served::start_on(config, Arc::clone(&store)).await;
    served.create_bank("a").await.unwrap();
    let added =
        served.add("a", vec![noted(of_case(1, ""), "kept"), item(2), item(3)]).await.unwrap().item_ids;
    served.remove(added.clone()).await.unwrap();
    served.create_bank("b").await.unwrap();
    while store.cut(Sequence(served.head().await.sequence), 1_000).await.unwrap() {}
    assert!(served.head().await.floor_sequence >= added[2]);
    assert_eq!(served.removed("a").await, added);
    let back = served.restore(&added[..2]).await.unwrap().item_ids;
    let content = served.item(back[0]).await.unwrap().item.unwrap().content.unwrap();
    assert_eq!(content, noted(of_case(1, ""), "kept"));
    assert_eq!(served.item(back[1]).await.unwrap().item.unwrap().content.unwrap(), item(2));
    assert_eq!(served.removed("a").await, added[2..]);
    served.stop().await;
}

async fn a_thousand_removed_items_are_looked_up_at_once(bed: Bed) {
    let (store, gate) = Faulty::open(&bed.config()).await;
    let served = Served::start_on(bed.config(), store).await;
    served.create_bank("a").await.unwrap();
    let added = served.add("a", items(0..1_000)).await.unwrap().item_ids;
    served.remove(added.clone()).await.unwrap();
    // Reads of pages of the log wait.
    gate.set(Fault::SlowReads);
    let restored = tokio::time::timeout(Duration::from_secs(60), served.restore(&added)).await;
    assert_eq!(restored.unwrap().unwrap().item_ids.len(), 1_000);
    // Rows of an older build do not need them either.
    served.remove(served.list_items("a").await.unwrap().iter().map(|item| item.id).collect()).await.unwrap();
    bed.alter("UPDATE undos SET payload = NULL").await;
    let removed: Vec<u64> = (0..1_000).map(|at| added[999] + 1_001 + at).collect();
    let restored = tokio::time::timeout(Duration::from_secs(60), served.restore(&removed)).await;
    assert_eq!(restored.unwrap().unwrap().item_ids.len(), 1_000);
    gate.set(Fault::None);
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn rows_of_an_older_build_are_brought_back_from_the_log(bed: Bed) {
    let store = open(&bed.config()).await;
    let served = Served::start_on(bed.config(), Arc::clone(&store)).await;
    served.create_bank("a").await.unwrap();
    let added = served.add("a", vec![of_case(1, ""), item(2), item(3)]).await.unwrap().item_ids;
    served.remove(added.clone()).await.unwrap();
    bed.alter("UPDATE undos SET payload = NULL").await;
    let back = served.restore(&added[..2]).await.unwrap().item_ids;
    assert_eq!(served.item(back[0]).await.unwrap().item.unwrap().content.unwrap(), of_case(1, ""));
    assert_eq!(served.item(back[1]).await.unwrap().item.unwrap().content.unwrap(), item(2));
    // Without their changes they cannot be restored.
    assert_eq!(served.removed("a").await, added[2..]);
    while store.cut(Sequence(served.head().await.sequence), 1_000).await.unwrap() {}
    assert!(served.removed("a").await.is_empty());
    refused(served.restore(&added[2..]).await, Code::NotFound, "no item");
    served.stop().await;
}

async fn an_altered_row_of_a_removed_item_is_not_brought_back(bed: Bed) {
    let store = open(&bed.config()).await;
    let served = Served::start_on(bed.config(), Arc::clone(&store)).await;
    served.create_bank("a").await.unwrap();
    let mut list = items(0..3);
    list.push(of_case(3, ""));
    let added = served.add("a", list).await.unwrap().item_ids;
    served.remove(added.clone()).await.unwrap();
    // Altered: one byte of a hash (found by the log, or else by the record), and the bytes of another item.
    let (one, other, third, fourth) = (added[0], added[1], added[2], added[3]);
    let altered = bed.altered_payload();
    bed.alter(&format!("UPDATE undos SET payload = {altered} WHERE item_id = {one}")).await;
    let copy = format!("(SELECT payload FROM undos WHERE item_id = {third})");
    bed.alter(&format!("UPDATE undos SET payload = {copy} WHERE item_id = {other}")).await;
    for damaged in [one, other] {
        refused(served.restore(&[damaged]).await, Code::Unavailable, "nothing was written");
    }
    assert_eq!(served.restore(&[third]).await.unwrap().item_ids.len(), 1);
    bed.alter(&format!("UPDATE undos SET payload = {altered} WHERE item_id = {fourth}")).await;
    while store.cut(Sequence(served.head().await.sequence), 1_000).await.unwrap() {}
    refused(served.restore(&[fourth]).await, Code::Unavailable, "nothing was written");
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}
