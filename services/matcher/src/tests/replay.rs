//! A plain replay of a log: the expected state of a shard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use vigie_model::{
    BankId, BankName, Change, ChangeKind, Distance, Facts, Hash, HashType, Item, ItemContent, ItemId, Labels,
    MemberId, OpinionKind, Query, Sequence, SetDigest, ShardIdentity, Standing, UnixMillis,
};

use super::{content, identity, name};

/// The member for whom a search is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    pub(super) member: Option<MemberId>,
    pub(super) with_aside: bool,
}

/// Returns an item whose time of adding is computed from its id.
pub(super) fn item_of(id: ItemId, bank: BankId, content: ItemContent) -> Item {
    Item { id, bank, added_at: UnixMillis(1_000 * id.0), contributor: MemberId::HOST, content }
}

/// Returns one of a few standings, among them the default one. Every call makes a new allocation.
pub(super) fn standing(kind: u8) -> Arc<Standing> {
    let members = |ids: &[u32]| ids.iter().copied().map(MemberId).collect();
    Arc::new(match kind % 7 {
        0 => Standing::default(),
        1 => Standing { opinions: [(MemberId(2), OpinionKind::Negative)].into(), ..Standing::default() },
        2 => Standing { probation: true, contributors: members(&[1]), ..Standing::default() },
        3 => Standing { probation: true, contributors: members(&[2, 3]), ..Standing::default() },
        4 => Standing { held_for: members(&[1]), ..Standing::default() },
        5 => Standing {
            labels: Labels::try_from(vec![format!("label of {kind}"); usize::from(kind % 3)]).ok(),
            ..Standing::default()
        },
        _ => Standing {
            opinions: [(MemberId(1), OpinionKind::Seen), (MemberId(3), OpinionKind::Positive)].into(),
            held_for: members(&[2]),
            classes: ["iwf/category/A".into()].into(),
            ..Standing::default()
        },
    })
}

/// The expected state of the bank, computed slowly.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub(super) banks: BTreeMap<BankId, (BankName, bool)>,
    pub(super) items: BTreeMap<ItemId, (BankId, ItemContent)>,
    pub(super) held: BTreeSet<ItemId>,
    /// The standings that differ from the default one.
    pub(super) standings: BTreeMap<ItemId, Arc<Standing>>,
    pub(super) sequence: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
    Create,
    Rename(u8),
    Enable(u8, bool),
    Delete(u8),
    Add(u8, Vec<u8>),
    Remove(u8),
    /// Holds an item, or releases it.
    Hold(u8, bool),
    /// Gives an item a standing: see [`standing`].
    Stand(u8, u8),
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Create),
        1 => any::<u8>().prop_map(Step::Rename),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(bank, enabled)| Step::Enable(bank, enabled)),
        1 => any::<u8>().prop_map(Step::Delete),
        12 => (any::<u8>(), prop::collection::vec(any::<u8>(), 1..4)).prop_map(|(bank, hashes)| Step::Add(bank, hashes)),
        4 => any::<u8>().prop_map(Step::Remove),
        4 => (any::<u8>(), any::<bool>()).prop_map(|(item, held)| Step::Hold(item, held)),
        6 => (any::<u8>(), any::<u8>()).prop_map(|(item, standing)| Step::Stand(item, standing)),
    ]
}

impl Replay {
    /// Replays the step, and returns the change that it makes, if it makes one.
    pub(super) fn take(&mut self, step: Step) -> Option<Change> {
        let sequence = Sequence(self.sequence + 1);
        let pick = |number: u8, count: usize| (count > 0).then(|| usize::from(number) % count.max(1));
        let bank_at =
            |number: u8| pick(number, self.banks.len()).and_then(|at| self.banks.keys().nth(at).copied());
        let kind = match step {
            Step::Create => {
                let bank = BankId(u32::try_from(sequence.0).unwrap());
                let name = name(&format!("bank-{sequence}"));
                self.banks.insert(bank, (name.clone(), true));
                ChangeKind::BankCreated {
                    bank,
                    owner: vigie_model::MemberId::HOST,
                    name,
                    created_at: UnixMillis(0),
                }
            }
            Step::Rename(number) => {
                let bank = bank_at(number)?;
                let name = name(&format!("renamed-{sequence}"));
                self.banks.get_mut(&bank)?.0 = name.clone();
                ChangeKind::BankRenamed { bank, name }
            }
            Step::Enable(number, enabled) => {
                let bank = bank_at(number)?;
                self.banks.get_mut(&bank)?.1 = enabled;
                ChangeKind::BankEnabledSet { bank, enabled }
            }
            Step::Delete(number) => {
                let bank = bank_at(number)?;
                self.banks.remove(&bank);
                self.items.retain(|_, (holder, _)| *holder != bank);
                self.held.retain(|item| self.items.contains_key(item));
                self.standings.retain(|item, _| self.items.contains_key(item));
                ChangeKind::BankDeleted { bank }
            }
            Step::Add(number, hashes) => {
                let (bank, id) = (bank_at(number)?, ItemId(sequence.0));
                self.items.insert(id, (bank, content(&hashes)));
                ChangeKind::ItemAdded(item_of(id, bank, content(&hashes)))
            }
            Step::Remove(number) => {
                let item = *self.items.keys().nth(pick(number, self.items.len())?)?;
                let (bank, _) = self.items.remove(&item)?;
                self.held.remove(&item);
                self.standings.remove(&item);
                ChangeKind::ItemRemoved { item, bank }
            }
            Step::Hold(number, held) => {
                let (item, (bank, _)) = self.items.iter().nth(pick(number, self.items.len())?)?;
                let changes = if held { self.held.insert(*item) } else { self.held.remove(item) };
                let set = ChangeKind::ItemHeldSet { item: *item, bank: *bank, held };
                changes.then_some(set)?
            }
            Step::Stand(number, kind) => {
                let (item, (bank, _)) = self.items.iter().nth(pick(number, self.items.len())?)?;
                let standing = standing(kind);
                if *standing == Standing::default() {
                    self.standings.remove(item);
                } else {
                    self.standings.insert(*item, Arc::clone(&standing));
                }
                ChangeKind::ItemStandingSet { item: *item, bank: *bank, standing }
            }
        };
        self.sequence = sequence.0;
        Some(Change { sequence, kind })
    }

    /// Returns the digest of the living hashes, the holds and the standings.
    pub(super) fn digest(&self) -> SetDigest {
        self.digest_of(identity())
    }

    pub(super) fn digest_of(&self, identity: ShardIdentity) -> SetDigest {
        let mut digest = SetDigest::EMPTY;
        for (item, (_, content)) in self.items.iter().filter(|(item, _)| identity.holds(**item)) {
            digest += SetDigest::of_item(*item, content.hashes());
        }
        for item in self.held.iter().filter(|item| identity.holds(**item)) {
            digest += SetDigest::of_hold(*item);
        }
        for (item, standing) in self.standings.iter().filter(|(item, _)| identity.holds(**item)) {
            digest += SetDigest::of_standing(*item, standing);
        }
        digest
    }

    /// Returns the facts that a search answers about an item.
    pub(super) fn facts(&self, member: Option<MemberId>, item: ItemId) -> Option<Box<Facts>> {
        self.standings.get(&item).map(|standing| Box::new(standing.facts(member)))
    }

    /// Returns the labels that a search answers for an item.
    pub(super) fn labels(&self, item: ItemId) -> &[Box<str>] {
        let changed = self.standings.get(&item).and_then(|standing| standing.labels.as_deref());
        changed.unwrap_or(self.items[&item].1.labels())
    }

    /// Returns item, distance and number of other matches, in the order of answers to the host.
    pub(super) fn search(
        &self,
        query: &Query,
        banks: &[BankName],
        radius: u16,
    ) -> Vec<(ItemId, Distance, u32)> {
        let asker = Asker { member: Some(MemberId::HOST), with_aside: false };
        self.search_for(asker, query, banks, radius)
    }

    /// Returns the same for answers to any member.
    pub(super) fn search_for(
        &self,
        asker: Asker,
        query: &Query,
        banks: &[BankName],
        radius: u16,
    ) -> Vec<(ItemId, Distance, u32)> {
        let is_left_out = |item: &ItemId| {
            let standing = self.standings.get(item);
            let is_aside = standing.is_some_and(|standing| standing.is_aside_for(asker.member));
            self.held.contains(item) || is_aside && !asker.with_aside
        };
        let searched = |bank: &BankId| {
            let (name, enabled) = &self.banks[bank];
            if banks.is_empty() { *enabled } else { banks.contains(name) }
        };
        // A hash that a query names twice counts once.
        let mut asked: Vec<Hash> = query.hashes.iter().map(|one| one.hash.clone()).collect();
        asked.sort_unstable();
        asked.dedup();
        let mut answers = Vec::new();
        for (item, (bank, content)) in self.items.iter().filter(|(item, _)| !is_left_out(item)) {
            let pairs = content.hashes().iter().flat_map(|held| asked.iter().map(move |asked| (held, asked)));
            let distances: Vec<u16> =
                pairs.filter_map(|(held, asked)| distance(held, asked, radius)).collect();
            if let (true, Some(nearest)) = (searched(bank), distances.iter().min()) {
                answers.push((
                    *item,
                    Distance((*nearest).into()),
                    u32::try_from(distances.len()).unwrap() - 1,
                ));
            }
        }
        answers.sort_by_key(|(item, distance, _)| (*distance, *item));
        answers
    }
}

fn distance(held: &Hash, asked: &Hash, radius: u16) -> Option<u16> {
    if (held.hash_type(), asked.hash_type()) == (HashType::PDQ, HashType::PDQ) {
        let bytes = held.as_bytes().iter().zip(asked.as_bytes());
        let bits: u32 = bytes.map(|(one, other)| (one ^ other).count_ones()).sum();
        return u16::try_from(bits).ok().filter(|bits| *bits <= radius);
    }
    (held == asked).then_some(0)
}
