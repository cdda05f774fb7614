//! Tests of the digests that followers get of their shards.

use vigie_model::{FeedRange, Item, SetDigest, ShardIdentity};

use crate::tests::*;

on_both_stores! {
    every_shard_gets_the_digest_of_its_items_after_every_kind_of_change,
    a_follower_gets_proofs_in_the_course_of_changes_too,
}

pub(in crate::tests) async fn ranges(
    served: &Served,
    shard: u32,
    shard_count: u32,
) -> tonic::Streaming<pb::WatchResponse> {
    let request = pb::WatchRequest { shard, shard_count, ..Default::default() };
    served.feed.clone().watch(served.of_matcher(request)).await.unwrap().into_inner()
}

/// Returns the next proof at a sequence or later, and its sequence.
pub(in crate::tests) async fn proof(
    ranges: &mut tonic::Streaming<pb::WatchResponse>,
    from: u64,
) -> (u64, SetDigest) {
    loop {
        let range: FeedRange = ranges.message().await.unwrap().unwrap().try_into().unwrap();
        if let Some(digest) = range.digest.filter(|_| range.through.0 >= from) {
            return (range.through.0, digest);
        }
    }
}

/// Computes the digest of a shard from its items.
async fn counted(served: &Served, banks: &[&str], shard: ShardIdentity) -> SetDigest {
    let mut digest = SetDigest::EMPTY;
    for bank in banks {
        for item in served.list_items(bank).await.unwrap() {
            let is_held = !item.holds.is_empty();
            let item: Item = item.try_into().unwrap();
            if shard.holds(item.id) {
                digest += SetDigest::of_item(item.id, item.content.hashes());
                if is_held {
                    digest += SetDigest::of_hold(item.id);
                }
            }
        }
    }
    digest
}

async fn every_shard_gets_the_digest_of_its_items_after_every_kind_of_change(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config.clone()).await;
    let shard = |shard| ShardIdentity::new(shard, 3).unwrap();
    let check = async |served: &Served, banks: &[&str]| {
        let head = served.head().await;
        for number in 0..3 {
            let mut ranges = ranges(served, number, 3).await;
            let (sequence, digest) = proof(&mut ranges, head.sequence).await;
            assert_eq!((sequence, digest), (head.sequence, counted(served, banks, shard(number)).await));
        }
    };
    check(&served, &[]).await;
    served.create_bank("a").await.unwrap();
    served.create_bank("b").await.unwrap();
    let added = served.add("a", items(0..50)).await.unwrap();
    served.add("b", items(20..70)).await.unwrap();
    check(&served, &["a", "b"]).await;
    let hold = async |held, item_ids: &[u64]| {
        let item_ids = item_ids.to_vec();
        let request = pb::SetItemHoldRequest { item_ids, held, ..Default::default() };
        served.bank.clone().set_item_hold(request).await.unwrap();
    };
    hold(true, &added.item_ids[..20]).await;
    check(&served, &["a", "b"]).await;
    hold(false, &added.item_ids[5..9]).await;
    check(&served, &["a", "b"]).await;
    served.remove(added.item_ids[7..30].to_vec()).await.unwrap();
    check(&served, &["a", "b"]).await;
    served.delete_bank("b").await.unwrap();
    check(&served, &["a"]).await;
    served.stop().await;
    crate::verify(&config).await.unwrap();

    // The state that was in memory is read from the store again.
    let second = Served::start(config).await;
    check(&second, &["a"]).await;
    second.delete_bank("a").await.unwrap();
    check(&second, &[]).await;
    second.stop().await;
}

async fn a_follower_gets_proofs_in_the_course_of_changes_too(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    let mut ranges = ranges(&served, 0, 1).await;
    let writes = async {
        // The writes leave no gap of a heartbeat (20 ms).
        for number in 0..200 {
            served.add("a", items(number..number + 1)).await.unwrap();
        }
    };
    let proofs = async {
        let mut sequences = vec![proof(&mut ranges, 0).await.0];
        while sequences.last().is_some_and(|last| *last < 201) {
            sequences.push(proof(&mut ranges, 0).await.0);
        }
        sequences
    };
    let ((), sequences) = tokio::join!(writes, proofs);
    assert!(sequences.len() >= 3, "{sequences:?}");
    served.stop().await;
}
