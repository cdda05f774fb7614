//! Tests that the state of a shard, read while it changes, is right together with the log.

use std::collections::{BTreeMap, BTreeSet};

use vigie_model::{
    BankId, Change, ChangeKind, FeedRange, ItemId, Sequence, ShardIdentity, Standing, StatePart,
};

use crate::tests::*;

on_both_stores! {
    a_state_loaded_under_writes_and_its_log_come_to_the_truth,
    an_empty_bank_loads_to_nothing,
    those_who_load_count_as_followers,
}

/// A simple model of a follower.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::tests) struct Known {
    pub(in crate::tests) banks: BTreeSet<BankId>,
    pub(in crate::tests) items: BTreeMap<ItemId, BankId>,
    pub(in crate::tests) held: BTreeSet<ItemId>,
    pub(in crate::tests) standings: BTreeMap<ItemId, Arc<Standing>>,
}

impl Known {
    pub(in crate::tests) fn apply(&mut self, change: &Change, settled: Sequence) {
        match &change.kind {
            ChangeKind::BankCreated { bank, .. } => assert!(self.banks.insert(*bank)),
            ChangeKind::BankDeleted { bank } => {
                assert!(self.banks.remove(bank));
                self.items.retain(|_, holder| holder != bank);
                self.held.retain(|item| self.items.contains_key(item));
                self.standings.retain(|item, _| self.items.contains_key(item));
            }
            ChangeKind::ItemAdded(item) => assert_eq!(self.items.insert(item.id, item.bank), None),
            ChangeKind::ItemRemoved { item, .. } => {
                let known = self.items.remove(item).is_some();
                self.held.remove(item);
                self.standings.remove(item);
                assert!(known || change.sequence <= settled, "{item} was not there at {}", change.sequence);
            }
            ChangeKind::ItemHeldSet { item, held, .. } => {
                assert!(self.items.contains_key(item) || change.sequence <= settled);
                if *held {
                    self.held.insert(*item)
                } else {
                    self.held.remove(item)
                };
            }
            ChangeKind::ItemStandingSet { item, standing, .. } => {
                assert!(self.items.contains_key(item) || change.sequence <= settled);
                self.standings.insert(*item, Arc::clone(standing));
            }
            ChangeKind::BankRenamed { .. } | ChangeKind::BankEnabledSet { .. } => {}
        }
    }
}

/// Loads a shard while `work` runs, and follows the log to the sequence that `work` returns.
pub(in crate::tests) async fn load_during(
    served: &Served,
    shard: ShardIdentity,
    work: impl Future<Output = u64>,
) -> (Known, usize) {
    let mut parts =
        served.feed.clone().load(served.of_matcher(pb::LoadRequest::from(shard))).await.unwrap().into_inner();
    let loading = async {
        let (mut known, mut begin, mut settled, mut pages) = (Known::default(), None, None, 0);
        while let Some(part) = parts.message().await.unwrap() {
            assert_eq!(settled, None, "a part after the end");
            match StatePart::try_from(part).unwrap() {
                StatePart::Begin { cursor, banks, .. } => {
                    assert_eq!(begin.replace(cursor), None);
                    known.banks = banks.iter().map(|bank| bank.id).collect();
                }
                StatePart::Items { items, held, standings } => {
                    pages += 1;
                    known.held.extend(held);
                    known.standings.extend(standings);
                    for item in items {
                        assert!(shard.holds(item.id) && item.id.0 <= begin.unwrap().sequence.0);
                        assert!(known.items.last_key_value().is_none_or(|(last, _)| *last < item.id));
                        known.items.insert(item.id, item.bank);
                    }
                }
                StatePart::End { settled: at } => settled = Some(at),
            }
            tokio::task::yield_now().await;
        }
        (known, begin.unwrap(), settled.unwrap(), pages)
    };
    let ((mut known, cursor, settled, pages), through) = tokio::join!(loading, work);
    assert!(cursor.sequence <= settled);
    let request = served.of_matcher(pb::WatchRequest::from((Some(cursor), shard)));
    let mut ranges = served.feed.clone().watch(request).await.unwrap().into_inner();
    let mut reached = cursor.sequence;
    while reached.0 < through {
        let range: FeedRange = ranges.message().await.unwrap().unwrap().try_into().unwrap();
        range.changes.iter().for_each(|change| known.apply(change, settled));
        reached = range.through;
    }
    (known, pages)
}

/// Returns the items of a shard, and the held ones among them.
async fn truth(
    served: &Served,
    shard: ShardIdentity,
    banks: &[&str],
) -> (BTreeMap<ItemId, BankId>, BTreeSet<ItemId>) {
    let (mut items, mut held) = (BTreeMap::new(), BTreeSet::new());
    for bank in banks {
        let listed = served.list_items(bank).await.unwrap();
        items.extend(listed.iter().map(|item| (ItemId(item.id), BankId(item.bank_id))));
        held.extend(listed.iter().filter(|item| !item.holds.is_empty()).map(|item| ItemId(item.id)));
    }
    items.retain(|item, _| shard.holds(*item));
    held.retain(|item| shard.holds(*item));
    (items, held)
}

async fn a_state_loaded_under_writes_and_its_log_come_to_the_truth(bed: Bed) {
    let config = bed.config();
    let served = Served::start(Config { feed_changes_max: 5, ..config }).await;
    served.create_bank("a").await.unwrap();
    served.create_bank("going").await.unwrap();
    served.create_bank("gone").await.unwrap();
    let early = served.add("a", items(0..200)).await.unwrap().item_ids;
    served.add("going", items(200..300)).await.unwrap();
    served.add("gone", items(300..400)).await.unwrap();
    served.delete_bank("gone").await.unwrap();
    for (number, shard_count) in [(0, 1), (1, 2), (2, 5)] {
        let shard = ShardIdentity::new(number, shard_count).unwrap();
        let work = async {
            for turn in 0..20_usize {
                let at = usize::try_from(number).unwrap() * 20 + turn;
                // Items at the end, which the pages have not reached yet, and at the beginning, which they
                // have passed.
                served.remove(vec![early[199 - at], early[at]]).await.unwrap();
                let hold = |held, item_ids| pb::SetItemHoldRequest { item_ids, held, ..Default::default() };
                let (first, second) = (early[198 - at], early[61 + at]);
                served.bank.clone().set_item_hold(hold(true, vec![first, second])).await.unwrap();
                served.bank.clone().set_item_hold(hold(false, vec![second])).await.unwrap();
                served.add("a", items(500..502)).await.unwrap();
            }
            if number == 1 {
                served.delete_bank("going").await.unwrap();
            }
            served.head().await.sequence
        };
        let (known, pages) = load_during(&served, shard, work).await;
        let banks: &[&str] = if number == 0 { &["a", "going"] } else { &["a"] };
        let (items, held) = truth(&served, shard, banks).await;
        assert_eq!((known.items, known.held), (items, held));
        assert!(pages > 1);
    }
    served.stop().await;
}

async fn an_empty_bank_loads_to_nothing(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config).await;
    let (known, _) = load_during(&served, ShardIdentity::new(0, 1).unwrap(), async { 0 }).await;
    assert_eq!(known, Known::default());
    served.stop().await;
}

async fn those_who_load_count_as_followers(bed: Bed) {
    let config = bed.config();
    let served = Served::start(Config { followers_max: 1, ..config }).await;
    // More bytes than are sent before the client reads, so that the load stays open.
    served.create_bank("a").await.unwrap();
    for first in (0..6_000).step_by(1_000) {
        served.add("a", items(first..first + 1_000)).await.unwrap();
    }
    let shard = pb::LoadRequest { shard: 0, shard_count: 1 };
    let _loading = served.feed.clone().load(shard).await.unwrap();
    refused(served.feed.clone().load(shard).await.map(drop), Code::ResourceExhausted, "too many followers");
    let wrong = pb::LoadRequest { shard: 2, shard_count: 1 };
    refused(served.feed.clone().load(wrong).await.map(drop), Code::InvalidArgument, "shard");
    served.stop().await;
}
