//! Shards with videos, and their expected content.

use std::collections::BTreeMap;
use std::path::Path;

use vigie_follow::Proof;
use vigie_index::Cancellation;
use vigie_model::change::Cursor;
use vigie_model::{
    ANSWER_BYTES_MAX, Bank, BankId, Change, ChangeKind, FeedRange, Frame, Item, ItemDraft, ItemId, Match,
    MemberId, Query, QueryHash, QueryMatches, SearchOptions, Sequence, SetDigest, ShardIdentity, UnixMillis,
    Variant,
};

use super::oracle::Sample;
use crate::saving::plan::StorePlan;
use crate::searching::search::search;
use crate::shard::audit::{Audited, audit};
use crate::shard::indexes::IndexPlan;
use crate::shard::loading::Loading;
use crate::shard::state::Shard;
use crate::tests::{LOG, name, range};

pub(in crate::tests) struct World {
    pub(in crate::tests) shards: Vec<Shard>,
    pub(in crate::tests) banks: BTreeMap<BankId, bool>,
    pub(in crate::tests) items: BTreeMap<ItemId, (BankId, Vec<Sample>)>,
    pub(in crate::tests) sequence: u64,
}

impl World {
    /// Returns empty shards in memory.
    pub(in crate::tests) fn of(shard_count: u32) -> Self {
        Self::with_plan(shard_count, &IndexPlan::default())
    }

    /// Returns empty shards in memory, with indexes by this plan.
    pub(in crate::tests) fn with_plan(shard_count: u32, plan: &IndexPlan) -> Self {
        let identity = |shard| ShardIdentity::new(shard, shard_count).unwrap();
        let stores = || StorePlan::new(plan.clone(), None).unwrap().in_memory();
        let shards = (0..shard_count).map(|shard| Shard::empty(identity(shard), stores())).collect();
        Self { shards, banks: BTreeMap::new(), items: BTreeMap::new(), sequence: 0 }
    }

    /// Applies changes as one range. The digest of the expected content must prove it.
    pub(in crate::tests) fn apply(&mut self, kinds: impl IntoIterator<Item = ChangeKind>) {
        let after = Sequence(self.sequence);
        let mut changes = Vec::new();
        for kind in kinds {
            self.sequence += 1;
            changes.push(Change { sequence: Sequence(self.sequence), kind });
        }
        let through = Sequence(self.sequence);
        for shard in &self.shards {
            let identity = shard.identity();
            let is_of_shard = |change: &&Change| match &change.kind {
                ChangeKind::ItemAdded(item) => identity.holds(item.id),
                ChangeKind::ItemRemoved { item, .. }
                | ChangeKind::ItemHeldSet { item, .. }
                | ChangeKind::ItemStandingSet { item, .. } => identity.holds(*item),
                ChangeKind::BankCreated { .. }
                | ChangeKind::BankRenamed { .. }
                | ChangeKind::BankEnabledSet { .. }
                | ChangeKind::BankDeleted { .. } => true,
            };
            let changes = changes.iter().filter(is_of_shard).cloned().collect();
            let range = FeedRange {
                through,
                head: through,
                digest: Some(self.digest(identity)),
                ..range(after.0, changes)
            };
            assert_eq!(shard.apply(range), Ok(Proof::Equal));
        }
    }

    fn digest(&self, identity: ShardIdentity) -> SetDigest {
        let mut digest = SetDigest::EMPTY;
        for (item, (_, held)) in self.items.iter().filter(|(item, _)| identity.holds(**item)) {
            digest += SetDigest::of_item(*item, &held.iter().map(Sample::hash).collect::<Vec<_>>());
        }
        digest
    }

    pub(in crate::tests) fn create_bank(&mut self) -> BankId {
        let bank = BankId(u32::try_from(self.sequence + 1).unwrap());
        self.banks.insert(bank, true);
        let (owner, name) = (MemberId::HOST, name(&format!("bank-{}", bank.0)));
        self.apply([ChangeKind::BankCreated { bank, owner, name, created_at: UnixMillis(0) }]);
        bank
    }

    /// Adds items with these hashes in one range.
    pub(in crate::tests) fn add(&mut self, bank: BankId, items: Vec<Vec<Sample>>) -> Vec<ItemId> {
        let mut kinds = Vec::new();
        let mut ids = Vec::new();
        for (hashes, id) in items.into_iter().zip(self.sequence + 1..) {
            kinds.push(ChangeKind::ItemAdded(item(ItemId(id), bank, &hashes)));
            self.items.insert(ItemId(id), (bank, hashes));
            ids.push(ItemId(id));
        }
        self.apply(kinds);
        ids
    }

    pub(in crate::tests) fn remove(&mut self, item: ItemId) {
        let (bank, _) = self.items.remove(&item).unwrap();
        self.apply([ChangeKind::ItemRemoved { item, bank }]);
    }

    pub(in crate::tests) fn delete_bank(&mut self, bank: BankId) {
        self.banks.remove(&bank);
        self.items.retain(|_, (holder, _)| *holder != bank);
        self.apply([ChangeKind::BankDeleted { bank }]);
    }

    /// Searches all shards, and merges their answers by a sort.
    pub(in crate::tests) fn search(
        &self,
        query: &[(Sample, Variant)],
        options: &SearchOptions,
    ) -> QueryMatches {
        let mut merged = QueryMatches::default();
        for shard in &self.shards {
            let one = searched(shard, query, options);
            merged.limit_reached |= one.limit_reached;
            merged.set_aside |= one.set_aside;
            merged.common_frames = merged.common_frames.max(one.common_frames);
            merged.matches.extend(one.matches);
        }
        merged.matches.sort_by(Match::answer_order);
        merged.limit_reached |= merged.matches.len() > options.limit.get();
        merged.matches.truncate(options.limit.get());
        merged
    }

    /// Checks that searches of every shard reach what they should.
    pub(in crate::tests) fn audit(&self) {
        for shard in &self.shards {
            assert_eq!(audit(shard, &mut |_| true), Ok(Audited::Whole));
        }
    }

    /// Returns one shard that is loaded with the content of all of them.
    pub(in crate::tests) fn load(&self, plan: &StorePlan) -> Shard {
        let bank = |(id, enabled): (&BankId, &bool)| Bank {
            id: *id,
            owner: MemberId::HOST,
            name: name(&format!("bank-{}", id.0)),
            enabled: *enabled,
            created_at: UnixMillis(0),
            item_count: 0,
            hash_count: 0,
            match_ratio: vigie_model::MatchRatio::ALWAYS,
        };
        let sequence = Sequence(self.sequence);
        let cursor = Cursor { log: LOG, sequence, chain: Some([3; 32]) };
        let identity = ShardIdentity::new(0, 1).unwrap();
        let banks = self.banks.iter().map(bank).collect();
        let mut loading = Loading::begin(identity, plan.begin().unwrap(), cursor, banks, false);
        for (id, (bank, hashes)) in &self.items {
            loading.take(vec![item(*id, *bank, hashes)], &[], vec![]).unwrap();
        }
        loading.finish(sequence).unwrap()
    }
}

pub(in crate::tests) fn plan(folder: &Path) -> StorePlan {
    StorePlan::new(IndexPlan::default(), Some(folder)).unwrap()
}

pub(in crate::tests) fn query_of(query: &[(Sample, Variant)]) -> Query {
    let one = |(sample, variant): &(Sample, Variant)| QueryHash { hash: sample.hash(), variant: *variant };
    Query { hashes: query.iter().map(one).collect() }
}

/// Returns the answer of one shard.
pub(in crate::tests) fn searched(
    shard: &Shard,
    query: &[(Sample, Variant)],
    options: &SearchOptions,
) -> QueryMatches {
    let never = Cancellation::never();
    let answer = search(shard, &[query_of(query)], options, ANSWER_BYTES_MAX, &never).unwrap();
    answer.results.into_iter().next().unwrap()
}

pub(in crate::tests) fn item(id: ItemId, bank: BankId, hashes: &[Sample]) -> Item {
    let hashes = hashes.iter().map(Sample::hash).collect();
    let content = ItemDraft { hashes, ..ItemDraft::default() }.try_into().unwrap();
    Item { id, bank, added_at: UnixMillis(0), contributor: MemberId::HOST, content }
}

/// Returns a video of these hashes, one second each.
pub(in crate::tests) fn video(hashes: &[[u8; 32]]) -> Sample {
    let frame = |(pdq, second): (&[u8; 32], u32)| Frame { pdq: *pdq, quality: 100, time_ms: second * 1_000 };
    Sample::Video(hashes.iter().zip(0..).map(frame).collect())
}
