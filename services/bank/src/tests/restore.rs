//! Removed items that are brought back: without the change that added them, and from rows of an older build.

use std::time::Duration;

use vigie_log::Sequence;

use crate::simulated::{CommitFate, Disk};
use crate::store::memory::MemoryStore;
use crate::tests::failures::faulty::{Fault, Faulty};
use crate::tests::*;
use crate::verify;

on_both_stores! {
    a_removed_item_outlives_the_change_that_added_it,
    a_thousand_removed_items_are_looked_up_at_once,
    rows_of_an_older_build_are_brought_back_from_the_log,
    an_altered_row_of_a_removed_item_is_not_brought_back,
}

/// The settings of a bank on a store in memory, and the store.
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
    async fn restore(&self, item_ids: &[u64]) -> Result<pb::RestoreItemsResponse, Status> {
        let request = pb::RestoreItemsRequest { item_ids: item_ids.to_vec(), ..Default::default() };
        Ok(self.bank.clone().restore_items(request).await?.into_inner())
    }

    async fn removed(&self, bank: &str) -> Vec<u64> {
        let request = pb::ListRemovedItemsRequest { bank: bank.into(), ..Default::default() };
        let page = self.bank.clone().list_removed_items(request).await.unwrap().into_inner();
        page.items.into_iter().map(|item| item.item_id).collect()
    }
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
    // Whoever reads pages of the log waits.
    gate.set(Fault::SlowReads);
    let restored = tokio::time::timeout(Duration::from_secs(60), served.restore(&added)).await;
    assert_eq!(restored.unwrap().unwrap().item_ids.len(), 1_000);
    // Nor are they needed for rows of an older build.
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
    // Without their changes they are gone.
    assert_eq!(served.removed("a").await, added[2..]);
    while store.cut(Sequence(served.head().await.sequence), 1_000).await.unwrap() {}
    assert!(served.removed("a").await.is_empty());
    refused(served.restore(&added[2..]).await, Code::NotFound, "no item");
    served.stop().await;
}

async fn an_altered_row_of_a_removed_item_is_not_brought_back(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let added = served.add("a", items(0..3)).await.unwrap().item_ids;
    served.remove(added.clone()).await.unwrap();
    // One byte of a hash, and the bytes of another item.
    let (one, other, third) = (added[0], added[1], added[2]);
    let altered = bed.altered_payload();
    bed.alter(&format!("UPDATE undos SET payload = {altered} WHERE item_id = {one}")).await;
    let copy = format!("(SELECT payload FROM undos WHERE item_id = {third})");
    bed.alter(&format!("UPDATE undos SET payload = {copy} WHERE item_id = {other}")).await;
    for damaged in [one, other] {
        refused(served.restore(&[damaged]).await, Code::Unavailable, "nothing was written");
    }
    assert_eq!(served.restore(&[third]).await.unwrap().item_ids.len(), 1);
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}
