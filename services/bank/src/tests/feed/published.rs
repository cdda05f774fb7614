//! Tests of published lists: a follower that proves every page has the bank's items, and gets no other
//! information.

use std::collections::BTreeMap;
use std::time::Duration;

use tonic::Code;
use vigie_consortium::{Classification, EntryDigest, ListChain, ListContent, ListKey};
use vigie_model::SetDigest;
use vigie_proto::bank::{answered_hash, details_of};

use crate::tests::*;
use crate::verify;

on_both_stores! {
    an_item_is_listed_while_it_is_the_banks_own_and_matches,
    a_list_reveals_nothing_of_other_banks,
    a_list_that_has_gone_another_way_is_refused,
    the_items_of_an_older_build_are_listed,
    the_list_of_a_deleted_bank_is_swept,
    an_altered_list_is_found,
}

/// A follower of a list that proves what it is sent.
#[derive(Debug, Default)]
pub(in crate::tests) struct ListFollower {
    pub(in crate::tests) number: u64,
    chain: ListChain,
    /// The items in the list, with the entries that put them.
    pub(in crate::tests) items: BTreeMap<[u8; 16], (pb::ItemContent, EntryDigest)>,
}

pub(in crate::tests) async fn page(
    served: &Served,
    bank: &str,
    after: (u64, Option<ListChain>),
    page_size: i32,
) -> Result<pb::ReadPublishedListResponse, Status> {
    let (after_number, chain) = after;
    let after_chain = chain.map_or_else(Vec::new, |chain| chain.0.to_vec());
    let request = pb::ReadPublishedListRequest { bank: bank.into(), after_number, after_chain, page_size };
    Ok(served.bank.clone().read_published_list(request).await?.into_inner())
}

/// Computes the digest of an entry from its content.
fn digest(entry: &pb::PublishedEntry) -> EntryDigest {
    let key = || ListKey(entry.key.clone().try_into().unwrap());
    match (&entry.content, entry.gone) {
        (Some(content), false) => {
            let hashes: Vec<_> =
                content.hashes.iter().cloned().map(|hash| answered_hash(hash).unwrap()).collect();
            let classes =
                content.details.clone().map(|details| details_of("details", details).unwrap().classification);
            let words = ListContent::of_parts(&hashes, content.labels.iter().map(String::as_str));
            EntryDigest::put(key(), words, &classes.unwrap_or_else(Classification::default))
        }
        (None, true) => EntryDigest::gone(key()),
        (None, false) => {
            assert!(entry.key.is_empty());
            EntryDigest(entry.superseded_digest.clone().try_into().unwrap())
        }
        (Some(_), true) => panic!("{entry:?}"),
    }
}

impl ListFollower {
    /// Applies one page, which continues the last one.
    fn take(&mut self, answer: &pb::ReadPublishedListResponse) {
        for entry in &answer.entries {
            self.number += 1;
            assert_eq!(entry.number, self.number);
            let digest = digest(entry);
            self.chain = self.chain.after(entry.number, &digest);
            match &entry.content {
                Some(content) => {
                    let key = entry.key.clone().try_into().unwrap();
                    self.items.insert(key, (content.clone(), digest));
                }
                None if entry.gone => drop(self.items.remove(&entry.key[..])),
                None => {}
            }
        }
        assert_eq!(answer.chain, self.chain.0);
        assert_eq!(answer.has_more, self.number < answer.head_number);
        if !answer.has_more {
            let mut set = SetDigest::EMPTY;
            self.items.values().for_each(|(_, digest)| set += digest.term());
            assert_eq!(answer.item_count, self.items.len() as u64);
            assert_eq!(answer.set_digest, set.sums.map(u64::to_be_bytes).concat());
        }
    }

    /// Reads to the end, in pages of this size.
    pub(in crate::tests) async fn follow(&mut self, served: &Served, bank: &str, page_size: i32) {
        loop {
            let answer = page(served, bank, (self.number, Some(self.chain)), page_size).await.unwrap();
            self.take(&answer);
            if !answer.has_more {
                return;
            }
        }
    }

    /// Returns the hashes of the items in the list.
    pub(in crate::tests) fn hashes(&self) -> Vec<Vec<pb_model::Hash>> {
        let mut hashes: Vec<_> = self.items.values().map(|(content, _)| content.hashes.clone()).collect();
        hashes.sort_by_key(by_value);
        hashes
    }
}

/// Returns the values of hashes, to sort by.
#[expect(clippy::ptr_arg, reason = "a key of lists")]
pub(in crate::tests) fn by_value(hashes: &Vec<pb_model::Hash>) -> Vec<Vec<u8>> {
    hashes.iter().map(|hash| hash.value.clone()).collect()
}

fn sorted(items: impl IntoIterator<Item = u64>) -> Vec<Vec<pb_model::Hash>> {
    let mut hashes: Vec<_> = items.into_iter().map(|number| item(number).hashes).collect();
    hashes.sort_by_key(by_value);
    hashes
}

fn of_programme(number: u64) -> pb::ItemContent {
    let origin = Some(pb::Origin { programme: "p".into(), key: number.to_string(), ..Default::default() });
    pb::ItemContent { origin, ..item(number) }
}

async fn an_item_is_listed_while_it_is_the_banks_own_and_matches(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config.clone()).await;
    served.create_bank("a").await.unwrap();
    let mut follower = ListFollower::default();
    follower.follow(&served, "a", 0).await;
    let labelled =
        pb::ItemContent { labels: vec!["x".into()], external_reference: "secret".into(), ..item(2) };
    let canary = pb::ItemContent { labels: vec![vigie_model::ItemContent::CANARY_LABEL.into()], ..item(4) };
    let items = vec![item(1), labelled, of_programme(3), canary];
    let ids = served.add("a", items).await.unwrap().item_ids;
    follower.follow(&served, "a", 0).await;
    assert_eq!((follower.hashes(), follower.number), (sorted([1, 2]), 2));
    let shown = follower.items.values().map(|(content, _)| content.clone());
    assert!(shown.clone().any(|content| content.labels == ["x"]));
    assert!(shown.clone().all(|content| content.external_reference.is_empty() && content.origin.is_none()));

    // A note is not published; a class is.
    let class = pb_model::Class { taxonomy: "t".into(), dimension: "d".into(), value: "v".into() };
    for details in [
        pb::ItemDetails { note: "own".into(), ..Default::default() },
        pb::ItemDetails { note: "own".into(), classification: vec![class.clone()], ..Default::default() },
    ] {
        let request = pb::UpdateItemRequest { item_id: ids[0], details: Some(details), ..Default::default() };
        served.bank.clone().update_item(request).await.unwrap();
    }
    follower.follow(&served, "a", 0).await;
    assert_eq!(follower.number, 3);
    let details: Vec<_> =
        follower.items.values().filter_map(|(content, _)| content.details.clone()).collect();
    assert_eq!(details, [pb::ItemDetails { classification: vec![class], ..Default::default() }]);

    // A held item is in no list; for a later follower the entries that put it are superseded.
    let held = pb::SetItemHoldRequest { item_ids: vec![ids[0]], held: true, ..Default::default() };
    served.bank.clone().set_item_hold(held.clone()).await.unwrap();
    follower.follow(&served, "a", 0).await;
    assert_eq!((follower.hashes(), follower.number), (sorted([2]), 4));
    let later = page(&served, "a", (0, None), 0).await.unwrap();
    let superseded = later.entries.iter().filter(|entry| !entry.superseded_digest.is_empty());
    assert_eq!(superseded.map(|entry| entry.number).collect::<Vec<_>>(), [1, 3]);
    served.bank.clone().set_item_hold(pb::SetItemHoldRequest { held: false, ..held }).await.unwrap();
    follower.follow(&served, "a", 0).await;
    assert_eq!((follower.hashes(), follower.number), (sorted([1, 2]), 5));

    // An item that a programme has too is the bank's own once the bank submits it itself.
    let own = pb::Origin { key: "own".into(), ..Default::default() };
    let said = pb::ItemContent { origin: Some(own), ..item(3) };
    assert_eq!(served.add("a", vec![said]).await.unwrap().known_count, 1);
    served.remove(vec![ids[1]]).await.unwrap();
    follower.follow(&served, "a", 1).await;
    assert_eq!((follower.hashes(), follower.number), (sorted([1, 3]), 7));

    let mut anew = ListFollower::default();
    anew.follow(&served, "a", 2).await;
    assert_eq!((anew.hashes(), anew.chain), (follower.hashes(), follower.chain));
    served.stop().await;
    verify(&config).await.unwrap();
}

/// Two banks have the same items in the same order, one of them among other writes: their lists differ only
/// in keys.
async fn a_list_reveals_nothing_of_other_banks(bed: Bed) {
    let served = Served::start(bed.config()).await;
    for bank in ["a", "b", "c"] {
        served.create_bank(bank).await.unwrap();
    }
    for number in 0..5 {
        served.add("a", vec![item(number)]).await.unwrap();
    }
    for number in 0..5 {
        served.add("c", items(0..number + 1)).await.unwrap();
        served.add("b", vec![item(number)]).await.unwrap();
    }
    let said = async |bank| {
        let mut answer = page(&served, bank, (0, None), 0).await.unwrap();
        let mut keys = Vec::new();
        for entry in &mut answer.entries {
            keys.push(std::mem::take(&mut entry.key));
        }
        (keys, pb::ReadPublishedListResponse { chain: Vec::new(), set_digest: Vec::new(), ..answer })
    };
    let ((of_a, a), (of_b, b)) = (said("a").await, said("b").await);
    assert_eq!(a, b);
    assert!(of_a.iter().all(|key| key.len() == 16 && !of_b.contains(key)));
    // The list holds no sequence of the deployment's log.
    let numbers: Vec<u64> = a.entries.iter().map(|entry| entry.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    served.stop().await;
}

async fn a_list_that_has_gone_another_way_is_refused(bed: Bed) {
    let served = Served::start(bed.config()).await;
    refused(page(&served, "a", (0, None), 0).await, Code::NotFound, "a");
    served.create_bank("a").await.unwrap();
    served.add("a", items(0..7)).await.unwrap();
    served.add("a", items(7..9)).await.unwrap();
    let mut chain = ListChain::default();
    let all = page(&served, "a", (0, Some(chain)), 0).await.unwrap().entries;
    for entry in &all {
        chain = chain.after(entry.number, &digest(entry));
        let answer = page(&served, "a", (entry.number, Some(chain)), 0).await.unwrap();
        assert_eq!(answer.entries, all[usize::try_from(entry.number).unwrap()..]);
        let other = page(&served, "a", (entry.number, Some(ListChain([7; 32]))), 0).await;
        refused(other, Code::OutOfRange, "begin anew");
    }
    refused(page(&served, "a", (10, None), 0).await, Code::OutOfRange, "the list has 9 entries");
    refused(page(&served, "a", (0, None), 1_001).await, Code::InvalidArgument, "page_size");
    let request =
        pb::ReadPublishedListRequest { bank: "a".into(), after_chain: vec![1], ..Default::default() };
    refused(served.bank.clone().read_published_list(request).await, Code::InvalidArgument, "after_chain");
    served.stop().await;
}

async fn the_items_of_an_older_build_are_listed(bed: Bed) {
    let bed = bed.with_old();
    let config = bed.config();
    let served = Served::start(config.clone()).await;
    // Other callers write while the bank lists the items.
    let ids: Vec<u64> = served.list_items("first").await.unwrap().iter().map(|item| item.id).collect();
    served.remove(vec![ids[0], ids[40]]).await.unwrap();
    let added = served.add("first", items(500..502)).await.unwrap().item_ids;
    for _ in 0..1_000 {
        if page(&served, "first", (0, None), 0).await.unwrap().is_whole {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut follower = ListFollower::default();
    follower.follow(&served, "first", 7).await;
    let mut expected: Vec<_> = Vec::new();
    for item in served.list_items("first").await.unwrap() {
        expected.push(item.content.unwrap().hashes);
    }
    expected.sort_by_key(by_value);
    assert_eq!(follower.hashes(), expected);
    assert_eq!(expected.len(), 48);
    served.remove(vec![added[0], ids[1]]).await.unwrap();
    follower.follow(&served, "first", 7).await;
    assert_eq!(follower.items.len(), 46);
    served.stop().await;
    verify(&config).await.unwrap();
}

async fn the_list_of_a_deleted_bank_is_swept(bed: Bed) {
    let served = Served::start(Config { sweep_rows_max: 4, ..bed.config() }).await;
    served.create_bank("a").await.unwrap();
    served.create_bank("b").await.unwrap();
    served.add("a", items(0..20)).await.unwrap();
    served.add("b", items(0..2)).await.unwrap();
    served.delete_bank("a").await.unwrap();
    refused(page(&served, "a", (0, None), 0).await, Code::NotFound, "a");
    let count = "SELECT CAST(count(*) AS TEXT) FROM list_entries";
    for _ in 0..1_000 {
        if bed.rows(count).await == ["2"]
            && bed.rows("SELECT CAST(count(*) AS TEXT) FROM sweeps").await == ["0"]
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bed.rows(count).await, ["2"]);
    assert_eq!(bed.rows("SELECT CAST(bank_id AS TEXT) FROM lists").await, ["2"]);
    served.stop().await;
}

async fn an_altered_list_is_found(bed: Bed) {
    for (alter, mend) in [
        ("UPDATE list_entries SET digest = chain WHERE number = 6", None),
        ("DELETE FROM list_entries WHERE number = 3", None),
        (
            "UPDATE lists SET item_count = item_count + 1",
            Some("UPDATE lists SET item_count = item_count - 1"),
        ),
    ] {
        let bed = bed.another();
        let config = bed.config();
        let served = Served::start(config.clone()).await;
        served.create_bank("a").await.unwrap();
        let ids = served.add("a", items(0..5)).await.unwrap().item_ids;
        served.remove(vec![ids[1]]).await.unwrap();
        served.stop().await;
        verify(&config).await.unwrap();
        let _ = bed.rows(alter).await;
        let error = verify(&config).await.unwrap_err();
        assert!(error.to_string().contains("list of bank 1"), "{alter}: {error}");
        if let Some(mend) = mend {
            let _ = bed.rows(mend).await;
            verify(&config).await.unwrap();
        }
    }
}
