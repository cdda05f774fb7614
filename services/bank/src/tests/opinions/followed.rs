//! Tests of followers of opinions: one that loads a shard and one that follows it from its beginning have the
//! same state.

use pb_model::OpinionKind::{Negative, Positive, Seen};
use vigie_model::{FeedRange, Item, Sequence, SetDigest, ShardIdentity, Standing};

use crate::tests::feed::digest::{proof, ranges};
use crate::tests::feed::load::{Known, load_during};
use crate::tests::opinions::people::{DAY_MS, People, disputing, is_held};
use crate::tests::*;
use crate::verify;

on_both_stores! {
    whoever_loads_and_whoever_follows_know_the_same,
}

/// Returns the state of a follower that has followed from the first change.
async fn followed(served: &Served, shard: ShardIdentity, through: u64) -> Known {
    let mut feed = ranges(served, shard.shard().0.into(), shard.shard_count().get().into()).await;
    let (mut known, mut reached) = (Known::default(), 0);
    while reached < through {
        let range: FeedRange = feed.message().await.unwrap().unwrap().try_into().unwrap();
        range.changes.iter().for_each(|change| known.apply(change, Sequence(0)));
        reached = range.through.0;
    }
    known
}

/// Computes the digest of a follower's state.
async fn digest(people: &People, shard: ShardIdentity, known: &Known) -> SetDigest {
    let mut digest = SetDigest::EMPTY;
    for item in people.owner.listed("known").await {
        let item: Item = item.try_into().unwrap();
        if shard.holds(item.id) {
            digest += SetDigest::of_item(item.id, item.content.hashes());
        }
    }
    known.held.iter().for_each(|item| digest += SetDigest::of_hold(*item));
    known.standings.iter().for_each(|(item, standing)| digest += SetDigest::of_standing(*item, standing));
    digest
}

async fn check(people: &People) {
    let served = &people.consortium.served;
    let head = people.head().await;
    for (number, count) in [(0, 1), (0, 2), (1, 2)] {
        let shard = ShardIdentity::new(number, count).unwrap();
        let mut followed = followed(served, shard, head).await;
        let (mut loaded, _) = load_during(served, shard, async { head }).await;
        for known in [&mut followed, &mut loaded] {
            known.standings.retain(|_, standing| **standing != Standing::default());
        }
        assert_eq!(followed, loaded);
        let (sequence, proven) = proof(&mut ranges(served, number, count).await, head).await;
        assert_eq!((sequence, proven), (head, digest(people, shard, &loaded).await));
    }
}

async fn whoever_loads_and_whoever_follows_know_the_same(bed: Bed) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cluster.key");
    std::fs::write(&path, "0123456789abcdef".repeat(4)).unwrap();
    let mut config = bed.config();
    config.processes.cluster_key = Some(path);
    let people = People::start(config).await;
    let [one, two, three] = &people.others[..] else { panic!() };
    let ids = people.add(0..20).await;
    people.charter(2, 2).await;
    for item in &ids {
        people.until(*item, |item| item.facts.as_ref().is_some_and(|facts| facts.probation)).await;
    }
    check(&people).await;
    for item in &ids[..8] {
        one.says(*item, Positive).await;
        three.says(*item, Seen).await;
    }
    for item in &ids[4..12] {
        two.says(*item, Negative).await;
        one.put(vec![disputing(*item)]).await.unwrap();
    }
    one.hold_here(&ids[..3], true).await.unwrap();
    check(&people).await;
    people.later(1);
    people.owner.resolve(ids[5], pb_model::Resolution::Kept).await.unwrap();
    people.owner.resolve(ids[6], pb_model::Resolution::Removed).await.unwrap();
    one.takes_back(&ids[8..10]).await.unwrap();
    one.hold_here(&ids[..1], false).await.unwrap();
    people.consortium.contributor.remove(ids[..2].to_vec()).await.unwrap();
    people.consortium.contributor.restore(ids[1..2].to_vec()).await.unwrap();
    check(&people).await;
    people.charter(0, 0).await;
    people.until(ids[11], |item| !is_held(item)).await;
    people.later(20 * DAY_MS);
    people.until(ids[11], is_held).await;
    People::settle().await;
    check(&people).await;
    people.consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}
