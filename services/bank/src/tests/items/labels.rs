//! Tests of replaced labels: readers of the item, its list or its shard see the new ones, and the log proves
//! the rest.

use vigie_model::{
    BankId, FeedRange, Item, ItemContent, ItemId, Labels, Sequence, SetDigest, ShardIdentity, Standing,
};

use crate::tests::exchanges::put;
use crate::tests::feed::digest::{proof, ranges};
use crate::tests::feed::load::{Known, load_during};
use crate::tests::feed::published::ListFollower;
use crate::tests::members::Consortium;
use crate::tests::upkeep::proof::loaded;
use crate::tests::*;
use crate::{VerifyError, verify};

on_both_stores! {
    an_item_has_its_new_labels_wherever_it_is_read,
    labels_and_details_change_apart_and_together,
    labels_are_of_the_first_contributor_and_the_owner,
    no_edit_makes_a_canary_or_ends_one,
    the_published_list_has_the_new_labels,
    a_relabelled_item_is_brought_back_with_its_labels,
    an_item_of_the_same_content_keeps_its_labels_when_another_is_brought_back,
    a_relabelled_item_outlives_the_change_that_added_it,
    other_labels_than_those_of_the_record_are_found,
    a_damaged_row_with_new_labels_is_served_as_the_log_proves_it_was_added,
    whoever_loads_and_whoever_follows_have_the_new_labels,
    a_repeated_request_changes_labels_once,
    labels_follow_the_programme_that_alone_has_the_item,
}

fn labels_of(item: pb::Item) -> Vec<String> {
    item.content.unwrap().labels
}

impl Served {
    async fn labels(&self, item: u64) -> Vec<String> {
        labels_of(self.item(item).await.unwrap().item.unwrap())
    }

    /// Finds the items that have a text as a label.
    async fn found(&self, text: &str) -> Vec<u64> {
        let request = pb::FindItemsRequest { text: text.into(), ..Default::default() };
        let found = self.bank.clone().find_items(request).await.unwrap().into_inner();
        found.items.into_iter().map(|found| found.item.unwrap().id).collect()
    }
}

async fn an_item_has_its_new_labels_wherever_it_is_read(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let ids = served.add("a", items(1..4)).await.unwrap().item_ids;
    let head = served.head().await;
    // One change of its record, and one for its shard.
    assert_eq!(served.relabel(ids[1], &["new", "second"]).await.unwrap(), head.sequence + 2);
    assert_eq!((served.head().await.item_count, served.head().await.hash_count), (3, 6));
    let check = async |served: &Served| {
        assert_eq!(served.labels(ids[1]).await, ["new", "second"]);
        let listed = served.list_items("a").await.unwrap().into_iter().map(labels_of);
        assert_eq!(listed.collect::<Vec<_>>(), [vec!["known"], vec!["new", "second"], vec!["known"]]);
        assert_eq!(served.found("new").await, [ids[1]]);
        assert_eq!(served.found("known").await, [ids[0], ids[2]]);
        // All other content is unchanged.
        let content = served.item(ids[1]).await.unwrap().item.unwrap().content.unwrap();
        assert_eq!(pb::ItemContent { labels: item(2).labels, ..content }, item(2));
    };
    check(&served).await;
    served.stop().await;
    verify(&bed.config()).await.unwrap();
    let served = Served::start(bed.config()).await;
    check(&served).await;
    // The same labels change nothing; setting the first labels again is a change.
    let head = served.head().await.sequence;
    assert_eq!(served.relabel(ids[1], &["new", "second"]).await.unwrap(), head);
    assert_eq!(served.relabel(ids[0], &["known"]).await.unwrap(), head);
    assert_eq!(served.relabel(ids[1], &["known"]).await.unwrap(), head + 2);
    assert_eq!(served.found("known").await, ids);
    assert_eq!(served.relabel(ids[1], &[]).await.unwrap(), head + 4);
    assert!(served.labels(ids[1]).await.is_empty());
    let changes = pb::ReadBankChangesRequest { bank: "a".into(), ..Default::default() };
    let changes = served.bank.clone().read_bank_changes(changes).await.unwrap().into_inner().entries;
    let last = changes.iter().find(|entry| entry.item_id == ids[1]).unwrap();
    assert!(last.content.as_ref().unwrap().labels.is_empty());
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn labels_and_details_change_apart_and_together(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let id = served.add("a", items(1..2)).await.unwrap().item_ids[0];
    let update = async |note: Option<&str>, labels: Option<&[&str]>| {
        let details = note.map(|note| pb::ItemDetails { note: note.into(), ..Default::default() });
        let labels = labels.map(item_labels);
        let request = pb::UpdateItemRequest { item_id: id, details, labels, ..Default::default() };
        served.bank.clone().update_item(request).await
    };
    let said = async || {
        let content = served.item(id).await.unwrap().item.unwrap().content.unwrap();
        (content.details.unwrap_or_default().note, content.labels)
    };
    update(Some("a"), Some(&["x"])).await.unwrap();
    assert_eq!(said().await, ("a".into(), vec!["x".to_owned()]));
    update(None, Some(&["y"])).await.unwrap();
    assert_eq!(said().await, ("a".into(), vec!["y".to_owned()]));
    update(Some("b"), None).await.unwrap();
    assert_eq!(said().await, ("b".into(), vec!["y".to_owned()]));
    update(Some(""), Some(&[])).await.unwrap();
    assert_eq!(said().await, (String::new(), vec![]));
    refused(update(None, None).await, Code::InvalidArgument, "details");
    let faulty: [&[&str]; 3] = [&[""], &["a\tb"], &["x"; 33]];
    for labels in faulty {
        refused(update(Some("c"), Some(labels)).await, Code::InvalidArgument, "labels.labels");
    }
    assert_eq!(said().await, (String::new(), vec![]));
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn labels_are_of_the_first_contributor_and_the_owner(bed: Bed) {
    let consortium = Consortium::start(bed.config()).await;
    let Consortium { administrator, contributor, .. } = &consortium;
    administrator.create_bank("known").await.unwrap();
    let worker = consortium.contributor_of("other", "known").await;
    let labels = async |id: u64| labels_of(contributor.item(id).await.unwrap());
    let first = contributor.add("known", items(1..2)).await.unwrap()[0];
    assert_eq!(worker.add("acme/known", items(1..2)).await.unwrap(), [first]);
    refused(worker.relabel(first, &["mine"]).await, Code::PermissionDenied, "another member's to change");
    assert_eq!(labels(first).await, ["known"]);
    let own = worker.add("acme/known", items(2..3)).await.unwrap()[0];
    worker.relabel(own, &["mine"]).await.unwrap();
    assert_eq!(labels(own).await, ["mine"]);
    contributor.relabel(own, &["the owner's"]).await.unwrap();
    assert_eq!(labels(own).await, ["the owner's"]);
    refused(contributor.relabel(99, &["x"]).await, Code::NotFound, "no item 99");
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn no_edit_makes_a_canary_or_ends_one(bed: Bed) {
    const CANARY: &str = ItemContent::CANARY_LABEL;
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let canary = pb::ItemContent { labels: vec![CANARY.into()], ..item(2) };
    let ids = served.add("a", vec![item(1), canary]).await.unwrap().item_ids;
    let head = served.head().await.sequence;
    refused(served.relabel(ids[0], &["x", CANARY]).await, Code::InvalidArgument, "label of a canary");
    refused(served.relabel(ids[1], &["x"]).await, Code::InvalidArgument, "label of a canary");
    assert_eq!(served.head().await.sequence, head);
    // The owner may change its other labels.
    served.relabel(ids[1], &["x", CANARY]).await.unwrap();
    assert_eq!(served.labels(ids[1]).await, ["x", CANARY]);
    let mut follower = ListFollower::default();
    follower.follow(&served, "a", 0).await;
    assert_eq!((follower.items.len(), follower.hashes()), (1, vec![item(1).hashes]));
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn the_published_list_has_the_new_labels(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let of_programme = pb::Origin { programme: "p".into(), key: "k".into(), ..Default::default() };
    let of_programme = pb::ItemContent { origin: Some(of_programme), ..item(3) };
    let ids = served.add("a", vec![item(1), item(2), of_programme]).await.unwrap().item_ids;
    let mut follower = ListFollower::default();
    follower.follow(&served, "a", 0).await;
    let before = follower.number;
    served.relabel(ids[0], &["new"]).await.unwrap();
    served.relabel(ids[2], &["new"]).await.unwrap();
    follower.follow(&served, "a", 0).await;
    // One more entry: that of the bank's own item.
    assert_eq!(follower.number, before + 1);
    let labels = |follower: &ListFollower| {
        let mut labels: Vec<_> = follower.items.values().map(|(content, _)| content.labels.clone()).collect();
        labels.sort();
        labels
    };
    assert_eq!(labels(&follower), [["known"], ["new"]]);
    let mut anew = ListFollower::default();
    anew.follow(&served, "a", 1).await;
    assert_eq!(labels(&anew), labels(&follower));
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_relabelled_item_is_brought_back_with_its_labels(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let id = served.add("a", items(1..2)).await.unwrap().item_ids[0];
    bed.alter("CREATE TABLE first AS SELECT payload FROM items").await;
    served.relabel(id, &["new"]).await.unwrap();
    served.remove(vec![id]).await.unwrap();
    let back = served.restore(&[id]).await.unwrap().item_ids[0];
    assert_eq!(served.labels(back).await, ["new"]);
    // Its new change has these labels, and they can be replaced again.
    served.relabel(back, &["newer"]).await.unwrap();
    served.remove(vec![back]).await.unwrap();
    let again = served.restore(&[back]).await.unwrap().item_ids[0];
    assert_eq!((served.labels(again).await, served.found("new").await), (vec!["newer".to_owned()], vec![]));
    // A row whose labels differ from those of its record is not restored.
    let other = served.add("a", items(2..3)).await.unwrap().item_ids[0];
    bed.alter(&format!("CREATE TABLE second AS SELECT payload FROM items WHERE id = {other}")).await;
    served.relabel(other, &["new"]).await.unwrap();
    served.remove(vec![other]).await.unwrap();
    bed.alter(&format!("UPDATE undos SET payload = (SELECT payload FROM second) WHERE item_id = {other}"))
        .await;
    refused(served.restore(&[other]).await, Code::Unavailable, "nothing was written");
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn an_item_of_the_same_content_keeps_its_labels_when_another_is_brought_back(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let of_case = || {
        let origin = pb::Origin { case: "c".into(), ..Default::default() };
        vec![pb::ItemContent { origin: Some(origin), ..item(1) }]
    };
    let first = served.add("a", of_case()).await.unwrap().item_ids[0];
    served.relabel(first, &["first"]).await.unwrap();
    served.remove(vec![first]).await.unwrap();
    let second = served.add("a", of_case()).await.unwrap().item_ids[0];
    assert_eq!(served.restore(&[first]).await.unwrap().item_ids, [second]);
    assert_eq!(served.labels(second).await, ["known"]);
    // The reverse: a relabelled item keeps its labels.
    served.remove(vec![second]).await.unwrap();
    let third = served.add("a", of_case()).await.unwrap().item_ids[0];
    served.relabel(third, &["third"]).await.unwrap();
    assert_eq!(served.restore(&[second]).await.unwrap().item_ids, [third]);
    assert_eq!(served.labels(third).await, ["third"]);
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_relabelled_item_outlives_the_change_that_added_it(bed: Bed) {
    let store = open(&bed.config()).await;
    let served = Served::start_on(bed.config(), Arc::clone(&store)).await;
    served.create_bank("a").await.unwrap();
    let ids = served.add("a", items(1..3)).await.unwrap().item_ids;
    served.relabel(ids[0], &["new"]).await.unwrap();
    served.remove(vec![ids[1]]).await.unwrap();
    while store.cut(vigie_log::Sequence(served.head().await.sequence), 1_000).await.unwrap() {}
    let whole = loaded(&served).await.unwrap();
    assert_eq!(whole[0].content.labels(), ["new".into()]);
    served.relabel(ids[0], &["newer"]).await.unwrap();
    served.remove(vec![ids[0]]).await.unwrap();
    let back = served.restore(&ids[..1]).await.unwrap().item_ids[0];
    assert_eq!(served.labels(back).await, ["newer"]);
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn other_labels_than_those_of_the_record_are_found(bed: Bed) {
    const FIRST: &str = "UPDATE items SET payload = (SELECT payload FROM first) WHERE id = 2";
    let altered = async |statements: &[&str]| {
        let bed = bed.another();
        let served = Served::start(bed.config()).await;
        served.create_bank("a").await.unwrap();
        served.add("a", items(0..2)).await.unwrap();
        bed.alter("CREATE TABLE first AS SELECT payload FROM items WHERE id = 2").await;
        served.relabel(2, &["new"]).await.unwrap();
        bed.alter("CREATE TABLE second AS SELECT payload FROM items WHERE id = 2").await;
        served.stop().await;
        verify(&bed.config()).await.unwrap();
        for statement in statements {
            bed.alter(statement).await;
        }
        verify(&bed.config()).await.unwrap_err()
    };
    // Altered: the row alone, the row and its record, the record alone.
    let error = altered(&[FIRST]).await;
    assert!(matches!(error, VerifyError::RecordAltered(ItemId(2))), "{error}");
    let error = altered(&[FIRST, "DELETE FROM item_records WHERE item_id = 2"]).await;
    assert!(matches!(error, VerifyError::DigestAltered { bank: BankId(1), .. }), "{error}");
    let error = altered(&["DELETE FROM item_records WHERE item_id = 2"]).await;
    assert!(matches!(error, VerifyError::ItemAltered(ItemId(2))), "{error}");
    // Its hashes still match the added ones.
    let bytes = format!("UPDATE items SET payload = {} WHERE id = 2", bed.altered_payload());
    let error = altered(&[&bytes]).await;
    assert!(matches!(error, VerifyError::ItemAltered(ItemId(2))), "{error}");
}

async fn a_damaged_row_with_new_labels_is_served_as_the_log_proves_it_was_added(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    served.add("a", items(0..30)).await.unwrap();
    let added = loaded(&served).await.unwrap();
    served.relabel(17, &["new"]).await.unwrap();
    let relabelled = loaded(&served).await.unwrap();
    let differs = |items: &[Item]| -> Vec<u64> {
        let pairs = items.iter().zip(&added).filter(|(one, other)| one != other);
        pairs.map(|(one, _)| one.id.0).collect()
    };
    assert_eq!(differs(&relabelled), [17]);
    bed.alter(&format!("UPDATE items SET payload = {} WHERE id = 17", bed.altered_payload())).await;
    // Its standing has the labels that matches show.
    assert_eq!(loaded(&served).await.unwrap(), added);
    served.stop().await;
}

async fn whoever_loads_and_whoever_follows_have_the_new_labels(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let ids = served.add("a", items(0..9)).await.unwrap().item_ids;
    served.relabel(ids[1], &["x"]).await.unwrap();
    served.relabel(ids[2], &["known"]).await.unwrap();
    served.relabel(ids[3], &[]).await.unwrap();
    let head = served.relabel(ids[1], &["y"]).await.unwrap();
    let shard = ShardIdentity::new(0, 1).unwrap();
    let (loaded, _) = load_during(&served, shard, async { head }).await;
    let mut feed = ranges(&served, 0, 1).await;
    let (mut followed, mut reached) = (Known::default(), 0);
    while reached < head {
        let range: FeedRange = feed.message().await.unwrap().unwrap().try_into().unwrap();
        range.changes.iter().for_each(|change| followed.apply(change, Sequence(0)));
        reached = range.through.0;
    }
    assert_eq!(followed, loaded);
    let labels = |item: u64| loaded.standings.get(&ItemId(item)).and_then(|known| known.labels.clone());
    let of = |labels: &[&str]| Labels::try_from(item_labels(labels).labels).ok();
    assert_eq!((labels(ids[1]), labels(ids[2]), labels(ids[3])), (of(&["y"]), None, of(&[])));
    // Items that were never relabelled have no standing.
    assert_eq!(loaded.standings.len(), 2);
    assert!(loaded.standings.values().all(|standing| **standing != Standing::default()));
    // The digest that the feed proves includes the new labels.
    let mut digest = SetDigest::EMPTY;
    for item in served.list_items("a").await.unwrap() {
        let item: Item = item.try_into().unwrap();
        digest += SetDigest::of_item(item.id, item.content.hashes());
    }
    loaded.standings.iter().for_each(|(item, standing)| digest += SetDigest::of_standing(*item, standing));
    assert_eq!(proof(&mut ranges(&served, 0, 1).await, head).await, (head, digest));
    served.stop().await;
}

async fn a_repeated_request_changes_labels_once(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let id = served.add("a", items(1..2)).await.unwrap().item_ids[0];
    let update = async |labels: &[&str]| {
        let labels = Some(item_labels(labels));
        let request = pb::UpdateItemRequest {
            item_id: id,
            labels,
            idempotency_key: "one".into(),
            ..Default::default()
        };
        Ok::<_, Status>(served.bank.clone().update_item(request).await?.into_inner().sequence)
    };
    let sequence = update(&["new"]).await.unwrap();
    served.relabel(id, &["newer"]).await.unwrap();
    assert_eq!(update(&["new"]).await.unwrap(), sequence);
    assert_eq!(served.labels(id).await, ["newer"]);
    refused(update(&["other"]).await, Code::InvalidArgument, "idempotency_key");
    served.stop().await;
}

async fn labels_follow_the_programme_that_alone_has_the_item(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let (first, other) = (served.add_exchange("X", "a").await, served.add_exchange("Y", "a").await);
    let record = |key: &str, number: u64, labels: &[&str]| {
        let mut record = put(key, number);
        record.content.as_mut().unwrap().labels = item_labels(labels).labels;
        record
    };
    let puts = vec![record("k", 1, &["old"]), record("l", 2, &["old"])];
    served.apply(&first, ("", "1"), puts, &[]).await.unwrap();
    let listed = served.list_items("a").await.unwrap();
    let (id, shared) = (listed[0].id, listed[1].id);
    let head = served.head().await.sequence;
    // Another programme has the second item too, so neither determines its labels.
    served.apply(&other, ("", "1"), vec![record("m", 2, &["other"])], &[]).await.unwrap();
    let puts = vec![record("k", 1, &["new", "words"]), record("l", 2, &["new"])];
    served.apply(&first, ("1", "2"), puts.clone(), &[]).await.unwrap();
    assert_eq!(served.labels(id).await, ["new", "words"]);
    assert_eq!(served.labels(shared).await, ["old"]);
    assert!(served.head().await.sequence > head);
    // The same record again does not change the item; a person's labels last until the record is sent again.
    let changes = async || {
        let request = pb::ReadBankChangesRequest { bank: "a".into(), ..Default::default() };
        let entries = served.bank.clone().read_bank_changes(request).await.unwrap().into_inner().entries;
        entries.iter().find(|entry| entry.item_id == id).unwrap().sequence
    };
    let before = changes().await;
    served.apply(&first, ("2", "3"), puts.clone(), &[]).await.unwrap();
    assert_eq!(changes().await, before);
    served.relabel(id, &["by hand"]).await.unwrap();
    served.relabel(shared, &["by hand"]).await.unwrap();
    served.apply(&first, ("3", "4"), puts.clone(), &[]).await.unwrap();
    assert_eq!(served.labels(id).await, ["new", "words"]);
    assert_eq!(served.labels(shared).await, ["by hand"]);
    // Once the bank submits the item itself, the labels are its own.
    let own = pb::Origin { key: "own".into(), ..Default::default() };
    let said = pb::ItemContent { origin: Some(own), ..item(1) };
    assert_eq!(served.add("a", vec![said]).await.unwrap().item_ids, [id]);
    served.relabel(id, &["by hand"]).await.unwrap();
    served.apply(&first, ("4", "5"), puts, &[]).await.unwrap();
    assert_eq!(served.labels(id).await, ["by hand"]);
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}
