//! Tests of the planner against a slow model, and of a group's view of its own writes.

mod kept;

use proptest::prelude::*;
use vigie_consortium::{Expiry, Origin};
use vigie_log::{Head, Planner as _};
use vigie_model::{BankName, Hash, ItemContent, ItemDraft, Labels, MatchRatio, MemberId};
use vigie_proto::bank::{ContributedItem, decode_item};

use self::kept::Kept;
use super::*;
use crate::log::BankLog;
use crate::plan::write::Holding;
use crate::store::{Batch, Counts, directory_of};

const BANKS_MAX: usize = 3;

fn empty() -> State {
    State::new(Counts::EMPTY, Vec::new(), Directory::new(), Audit::empty())
}

fn draft(head: Head) -> Draft<Step> {
    Draft::new(head, vigie_log::UnixMillis(7))
}

fn new_name(number: u8) -> BankName {
    format!("bank-{number}").parse().unwrap()
}

fn name(number: u8) -> BankRef {
    new_name(number).into()
}

fn content(hashes: u8) -> ContributedItem {
    let hashes = (0..hashes).map(|byte| Hash::md5([byte; 16])).collect();
    ItemContent::try_from(ItemDraft { hashes, ..ItemDraft::default() }).unwrap().into()
}

/// Returns an item of a case; without a case for 0.
fn of_case((hashes, case): (u8, u8)) -> ContributedItem {
    ContributedItem { origin: origin(case), ..content(hashes) }
}

fn origin(case: u8) -> Option<Origin> {
    (case > 0).then(|| Origin::new("", "", &case.to_string()).unwrap())
}

fn ratio() -> impl Strategy<Value = MatchRatio> {
    prop::sample::select(vec![0.0, 0.25, 1.0]).prop_map(|ratio| MatchRatio::try_from(ratio).unwrap())
}

fn action() -> impl Strategy<Value = Action> {
    let bank = || (0..5_u8).prop_map(name);
    prop_oneof![
        (bank(), ratio()).prop_map(|(name, match_ratio)| Action::CreateBank { name, match_ratio }),
        (bank(), (0..5_u8).prop_map(new_name))
            .prop_map(|(name, new_name)| Action::RenameBank { name, new_name }),
        (bank(), any::<bool>()).prop_map(|(name, enabled)| Action::SetBankEnabled { name, enabled }),
        (bank(), ratio()).prop_map(|(name, ratio)| Action::SetBankMatchRatio { name, ratio }),
        bank().prop_map(|name| Action::DeleteBank { name }),
        (bank(), prop::collection::vec((1..4_u8, 0..3_u8), 1..4)).prop_map(|(bank, items)| {
            Action::AddItems { bank, items: items.into_iter().map(of_case).collect() }
        }),
        (prop::collection::btree_set(1..40_u64, 1..4), 0..3_u8).prop_map(|(items, case)| {
            Action::RemoveItems { items: items.into_iter().map(ItemId).collect(), origin: origin(case) }
        }),
        prop::collection::btree_set(1..40_u64, 1..3)
            .prop_map(|items| Action::RestoreItems { items: items.into_iter().map(ItemId).collect() }),
        (prop::collection::btree_set(1..40_u64, 1..4), any::<bool>()).prop_map(|(items, held)| {
            let holding = if held { Holding::Held(Expiry::NEVER) } else { Holding::Lifted };
            Action::SetItemHold { items: items.into_iter().map(ItemId).collect(), holding }
        }),
        (1..40_u64, 0..3_usize).prop_map(|(item, count)| {
            Action::UpdateItem { item: ItemId(item), details: None, labels: Some(labels(count)) }
        }),
    ]
}

/// Returns this many labels; new items have none.
fn labels(count: usize) -> Labels {
    Labels::try_from((0..count).map(|number| format!("label {number}")).collect::<Vec<_>>()).unwrap()
}

/// An item of the model.
#[derive(Debug, Clone, PartialEq)]
struct Held {
    id: ItemId,
    hashes: u64,
    /// The cases of its submissions; none if it has no origin.
    cases: Vec<Origin>,
    is_held: bool,
    /// Number of its labels.
    labels: usize,
}

/// A simple model of the state: banks with their items in lists, searched linearly.
#[derive(Debug, Default)]
struct Model {
    banks: Vec<(Bank, Vec<Held>)>,
    /// Restorable items that were removed before the group, with their banks.
    removed: Vec<(BankId, Held)>,
    /// Restorable items that the group removes.
    removed_now: Vec<(BankId, Held)>,
    banks_created: u32,
    sequence: u64,
}

impl Model {
    fn find(&mut self, name: &BankRef) -> Result<usize, Error> {
        let found = self.banks.iter().position(|bank| bank.0.name == name.name);
        found.ok_or(Error::bank_not_found(name.clone()))
    }

    fn bank_answer(&mut self, index: usize) -> Result<Answer, Error> {
        self.sequence += 1;
        Ok(Answer::Bank { bank: self.counted(index), sequence: Sequence(self.sequence) })
    }

    fn counted(&self, index: usize) -> Bank {
        let (bank, items) = &self.banks[index];
        let hash_count = items.iter().map(|item| item.hashes).sum();
        Bank { item_count: items.len() as u64, hash_count, ..bank.clone() }
    }

    fn write(&mut self, action: &Action) -> Result<Answer, Error> {
        match action {
            // There are no members.
            Action::Record(_) => Ok(Answer::Recorded { entries: 0 }),
            Action::CreateBank { name, match_ratio } => {
                if self.banks.len() == BANKS_MAX {
                    return Err(Error::TooManyBanks(BANKS_MAX));
                }
                if self.find(name).is_ok() {
                    return Err(Error::NameTaken(name.name.clone()));
                }
                self.banks_created += 1;
                let bank = Bank {
                    id: BankId(self.banks_created),
                    owner: MemberId::HOST,
                    name: name.name.clone(),
                    enabled: true,
                    created_at: UnixMillis(7),
                    item_count: 0,
                    hash_count: 0,
                    match_ratio: *match_ratio,
                };
                self.banks.push((bank, Vec::new()));
                self.sequence += u64::from(*match_ratio != MatchRatio::ALWAYS);
                self.bank_answer(self.banks.len() - 1)
            }
            Action::RenameBank { name, new_name } => {
                let index = self.find(name)?;
                if self.find(&new_name.clone().into()).is_ok_and(|other| other != index) {
                    return Err(Error::NameTaken(new_name.clone()));
                }
                self.banks[index].0.name = new_name.clone();
                self.bank_answer(index)
            }
            Action::SetBankEnabled { name, enabled } => {
                let index = self.find(name)?;
                self.banks[index].0.enabled = *enabled;
                self.bank_answer(index)
            }
            Action::SetBankMatchRatio { name, ratio } => {
                let index = self.find(name)?;
                self.banks[index].0.match_ratio = *ratio;
                self.bank_answer(index)
            }
            Action::DeleteBank { name } => {
                let index = self.find(name)?;
                self.sequence += 1;
                let item_count = self.banks.remove(index).1.len() as u64;
                Ok(Answer::BankDeleted { sequence: Sequence(self.sequence), item_count })
            }
            Action::AddItems { bank, items } => {
                let index = self.find(bank)?;
                let before = self.banks[index].1.clone();
                let mut ids = Vec::new();
                for item in items {
                    let hashes = item.content.hashes().len() as u64;
                    let held = &mut self.banks[index].1;
                    let Some(origin) = item.origin.clone() else {
                        self.sequence += 1;
                        let id = ItemId(self.sequence);
                        held.push(Held { id, hashes, cases: Vec::new(), is_held: false, labels: 0 });
                        ids.push(id);
                        continue;
                    };
                    if let Some(at) = same(held, hashes, std::slice::from_ref(&origin)) {
                        if !held[at].cases.contains(&origin) {
                            held[at].cases.push(origin);
                        }
                        ids.push(held[at].id);
                    } else {
                        self.sequence += 1;
                        let id = ItemId(self.sequence);
                        held.push(Held { id, hashes, cases: vec![origin], is_held: false, labels: 0 });
                        ids.push(id);
                    }
                }
                // One change for each record that is new or differs.
                let is_changed = |held: &&Held| !held.cases.is_empty() && !before.contains(held);
                self.sequence += self.banks[index].1.iter().filter(is_changed).count() as u64;
                let is_known = |id: &&ItemId| before.iter().any(|held| held.id == **id);
                let known = u32::try_from(ids.iter().filter(is_known).count()).unwrap();
                Ok(Answer::ItemsAdded { items: ids, known, sequence: Sequence(self.sequence) })
            }
            Action::Members(_)
            | Action::Exchange(_)
            | Action::Opinions(_)
            | Action::CountMatches(..)
            | Action::CountLatencies(..)
            | Action::Case(_) => {
                unreachable!("not drawn")
            }
            Action::ListItems { .. } | Action::ReviewHolds { .. } => {
                unreachable!("not drawn")
            }
            Action::UpdateItem { item, labels, .. } => {
                let count = labels.as_ref().map_or(0, |labels| labels.len());
                let all = self.banks.iter_mut().flat_map(|bank| &mut bank.1);
                let mut found = all.filter(|held| held.id == *item);
                let held = found.next().ok_or(Error::item_not_found(*item))?;
                if held.labels != count {
                    // One change of its record, and one for its shard.
                    self.sequence += 2;
                    held.labels = count;
                    if held.cases.is_empty() {
                        held.cases.push(Origin::default());
                    }
                }
                Ok(Answer::ItemUpdated { item: *item, sequence: Sequence(self.sequence) })
            }
            Action::RestoreItems { items } => self.restore(items),
            Action::SetItemHold { items, holding } => {
                let is_held = *holding != Holding::Lifted;
                let all = || self.banks.iter().flat_map(|bank| &bank.1);
                if let Some(missing) = items.iter().find(|item| all().all(|held| held.id != **item)) {
                    return Err(Error::item_not_found(*missing));
                }
                for held in self.banks.iter_mut().flat_map(|bank| &mut bank.1) {
                    if items.contains(&held.id) && held.is_held != is_held {
                        // One change of its record, and one for its shard.
                        self.sequence += 2;
                        held.is_held = is_held;
                        if held.cases.is_empty() {
                            held.cases.push(Origin::default());
                        }
                    }
                }
                let held = if is_held { u32::try_from(items.len()).unwrap() } else { 0 };
                Ok(Answer::HoldsSet { held, sequence: Sequence(self.sequence) })
            }
            Action::RemoveItems { items, origin } => {
                for wanted in items {
                    let mut all = self.banks.iter().flat_map(|bank| &bank.1);
                    let found = all.find(|held| held.id == *wanted);
                    let found = found.ok_or(Error::item_not_found(*wanted))?;
                    if origin.as_ref().is_some_and(|origin| !found.cases.contains(origin)) {
                        return Err(Error::SubmissionNotFound(*wanted));
                    }
                }
                for (bank, held) in &mut self.banks {
                    let before = held.clone();
                    for held in held.iter_mut().filter(|held| items.contains(&held.id)) {
                        held.cases.retain(|case| origin.as_ref().is_some_and(|origin| case != origin));
                    }
                    held.retain(|held| !items.contains(&held.id) || !held.cases.is_empty());
                    let is_gone = |former: &Held| held.iter().all(|held| held.id != former.id);
                    let gone = before.into_iter().filter(is_gone).map(|held| (bank.id, held));
                    self.removed_now.extend(gone);
                }
                self.sequence += items.len() as u64;
                Ok(Answer::ItemsRemoved { sequence: Sequence(self.sequence) })
            }
        }
    }
}

impl Model {
    /// Redirects most drawn ids to existing banks and items; random ids would rarely exist.
    fn aimed(&self, action: &Action) -> Action {
        let at = |drawn: &[ItemId], ids: Vec<ItemId>| -> Vec<ItemId> {
            let aim = |id: ItemId| match usize::try_from(id.0) {
                Ok(at) if at < 20 && !ids.is_empty() => ids[at % ids.len()],
                _ => id,
            };
            drawn.iter().map(|id| aim(*id)).collect::<BTreeSet<_>>().into_iter().collect()
        };
        match action {
            Action::RestoreItems { items } => {
                let removed = self.removed.iter().map(|(_, held)| held.id).collect();
                Action::RestoreItems { items: at(items, removed) }
            }
            Action::RemoveItems { items, origin } => {
                let living = self.banks.iter().flat_map(|bank| &bank.1).map(|held| held.id).collect();
                Action::RemoveItems { items: at(items, living), origin: origin.clone() }
            }
            Action::SetItemHold { items, holding } => {
                let living = self.banks.iter().flat_map(|bank| &bank.1).map(|held| held.id).collect();
                Action::SetItemHold { items: at(items, living), holding: *holding }
            }
            Action::UpdateItem { item, details, labels } => {
                let living = self.banks.iter().flat_map(|bank| &bank.1).map(|held| held.id).collect();
                let (item, labels) = (at(&[*item], living)[0], labels.clone());
                Action::UpdateItem { item, details: details.clone(), labels }
            }
            Action::AddItems { bank, items } => {
                let number = (0..3).find(|number| *bank == name(*number));
                let living =
                    number.and_then(|number| self.banks.get(usize::from(number) % self.banks.len().max(1)));
                let bank = living.map_or(bank.clone(), |(bank, _)| bank.name.clone().into());
                Action::AddItems { bank, items: items.clone() }
            }
            Action::CreateBank { .. }
            | Action::RenameBank { .. }
            | Action::SetBankEnabled { .. }
            | Action::SetBankMatchRatio { .. }
            | Action::DeleteBank { .. }
            | Action::ReviewHolds { .. }
            | Action::ListItems { .. }
            | Action::Members(_)
            | Action::Exchange(_)
            | Action::Opinions(_)
            | Action::CountMatches(..)
            | Action::CountLatencies(..)
            | Action::Case(_)
            | Action::Record(_) => action.clone(),
        }
    }

    fn restore(&mut self, items: &[ItemId]) -> Result<Answer, Error> {
        let bank_of = |id: BankId| self.banks.iter().position(|(bank, _)| bank.id == id);
        let mut restored = Vec::new();
        for wanted in items {
            let found = self.removed.iter().find(|(_, held)| held.id == *wanted);
            let found = found.and_then(|(bank, held)| Some((bank_of(*bank)?, held.clone())));
            restored.push(found.ok_or(Error::item_not_found(*wanted))?);
        }
        self.removed.retain(|(_, held)| !items.contains(&held.id));
        let before: Vec<Held> = self.banks.iter().flat_map(|bank| bank.1.clone()).collect();
        let (mut ids, mut new_holds) = (Vec::new(), 0);
        for (bank, former) in restored {
            let held = &mut self.banks[bank].1;
            let has_origin = former.cases.iter().any(|case| !case.is_empty());
            let living = same(held, former.hashes, &former.cases).filter(|_| has_origin);
            if let Some(living) = living.map(|at| &mut held[at]) {
                new_holds += u64::from(former.is_held && !living.is_held);
                living.is_held |= former.is_held;
                let more: Vec<_> =
                    former.cases.into_iter().filter(|case| !living.cases.contains(case)).collect();
                living.cases.extend(more);
                ids.push(living.id);
            } else {
                let id = ItemId(self.sequence + 1);
                // The change of its shard follows after all records.
                new_holds += u64::from(former.is_held);
                self.sequence += 1;
                let no_word = former.cases.is_empty().then(Origin::default);
                let cases = former.cases.into_iter().chain(no_word).collect();
                held.push(Held { id, cases, ..former });
                ids.push(id);
            }
        }
        self.sequence += new_holds;
        let living = || self.banks.iter().flat_map(|bank| &bank.1);
        let is_changed = |held: &&Held| !held.cases.is_empty() && !before.contains(held);
        self.sequence += living().filter(is_changed).count() as u64 + items.len() as u64;
        let is_known = |id: &&ItemId| before.iter().any(|held| held.id == **id);
        let known = u32::try_from(ids.iter().filter(is_known).count()).unwrap();
        Ok(Answer::ItemsAdded { items: ids, known, sequence: Sequence(self.sequence) })
    }
}

/// Returns the item of the same content that has one of these cases, or else the first one that has a case.
fn same(items: &[Held], hashes: u64, cases: &[Origin]) -> Option<usize> {
    let has_origin = |held: &Held| held.cases.iter().any(|case| !case.is_empty());
    let of_content = |held: &Held| held.hashes == hashes && has_origin(held);
    let has_case = |held: &Held| of_content(held) && held.cases.iter().any(|case| cases.contains(case));
    items.iter().position(has_case).or_else(|| items.iter().position(of_content))
}

proptest! {
    #[test]
    fn any_groups_of_writes_come_to_what_the_model_says(
        groups in prop::collection::vec(prop::collection::vec(action(), 1..6), 1..12)
    ) {
        let (mut state, mut model, mut rows) = (empty(), Model::default(), Kept::default());
        let mut head = Head::EMPTY;
        for group in &groups {
            let before = head.sequence;
            let digests = rows.parts.iter().collect();
            let records = rows.records.values().cloned().collect();
            let known = Known::new(rows.items.values().copied().collect(), digests, records);
            let known = known.with_contents(rows.contents()).with_removed(RemovedItems { items: rows.removed(), is_cut: false });
            let mut planner = Planner::new(&mut state, known, draft(head), BANKS_MAX);
            for action in group {
                let action = model.aimed(action);
                let expected = model.write(&action);
                prop_assert_eq!(planner.plan(&action.by_everyone()), expected);
            }
            let planned = planner.finish();
            let removed = std::mem::take(&mut model.removed_now);
            model.removed.extend(removed);
            rows.apply(&planned.rows, &planned.delta);
            if planned.draft.is_empty() {
                prop_assert_eq!(before.0, model.sequence);
                continue;
            }
            let batch: Batch = planned.draft.seal(planned.rows, Vec::new());
            head = batch.head;

            let sequences: Vec<_> = batch.changes.iter().map(|change| change.sequence.0).collect();
            prop_assert_eq!(sequences, (before.0 + 1..=model.sequence).collect::<Vec<_>>());
            for stored in &batch.changes {
                let bytes = stored.proven_bytes().unwrap();
                let read = <BankLog as vigie_log::Application>::read(stored.sequence, stored.partition, bytes);
                let step = read.unwrap();
                prop_assert_eq!(encode_log_change(step.change).unwrap(), bytes);
            }
            let banks: Vec<_> = (0..model.banks.len()).map(|index| model.counted(index)).collect();
            let totals = |count: fn(&Bank) -> u64| banks.iter().map(count).sum::<u64>();
            let counts = batch.rows.counts;
            prop_assert_eq!(counts.banks, banks.len() as u64);
            prop_assert_eq!(counts.items, totals(|bank| bank.item_count));
            prop_assert_eq!(counts.hashes, totals(|bank| bank.hash_count));
            let (parts, by_partition) = rows.counted(&banks);
            prop_assert!(rows.parts.iter().eq(parts.iter()));
            prop_assert!(rows.totals.iter().eq(by_partition.iter()));
            for held in model.banks.iter().flat_map(|bank| &bank.1) {
                rows.check_labels(held.id, &labels(held.labels));
            }
            // The writer's state must equal the state that a restart would load.
            prop_assert_eq!(counts, state.counts);
            prop_assert!(banks.iter().eq(state.banks.values()));
            let loaded = directory_of(&[], &banks, counts.next_bank, to_model(head.sequence));
            prop_assert!(loaded.rows().eq(state.view.directory().rows()));
        }
    }
}

fn create(number: u8) -> Action {
    Action::CreateBank { name: name(number), match_ratio: MatchRatio::ALWAYS }
}

/// Plans a group on an empty bank.
fn check(actions: &[Action], expected: &[Result<Answer, Error>]) -> Option<Batch> {
    let mut state = empty();
    let mut planner = Planner::new(&mut state, Known::default(), draft(Head::EMPTY), BANKS_MAX);
    let outcomes: Vec<_> = actions.iter().map(|action| planner.plan(&action.clone().by_everyone())).collect();
    assert_eq!(outcomes[outcomes.len() - expected.len()..], *expected);
    let planned = planner.finish();
    (!planned.draft.is_empty()).then(|| planned.draft.seal(planned.rows, Vec::new()))
}

#[test]
fn an_item_added_in_a_group_can_be_removed_in_it_once() {
    let remove = || Action::RemoveItems { items: vec![ItemId(2)], origin: None };
    let add = Action::AddItems { bank: name(1), items: vec![content(1)] };
    let batch = check(
        &[create(1), add, remove(), remove()],
        &[Ok(Answer::ItemsRemoved { sequence: Sequence(3) }), Err(Error::item_not_found(ItemId(2)))],
    );
    assert_eq!(batch.unwrap().rows.items_removed, [ItemId(2)]);
}

#[test]
fn a_removal_that_misses_one_item_removes_none() {
    let add = Action::AddItems { bank: name(1), items: vec![content(1), content(2)] };
    let remove = Action::RemoveItems { items: vec![ItemId(2), ItemId(9), ItemId(8)], origin: None };
    let batch = check(&[create(1), add, remove], &[Err(Error::item_not_found(ItemId(9)))]);
    let batch = batch.unwrap();
    assert_eq!((batch.rows.counts.items, batch.rows.items_removed.len()), (2, 0));
}

#[test]
fn two_banks_may_swap_their_names_in_one_group() {
    let rename = |from, to| Action::RenameBank { name: name(from), new_name: new_name(to) };
    let batch = check(&[create(1), create(2), rename(1, 3), rename(2, 1), rename(3, 2)], &[]).unwrap();
    let names: Vec<_> = batch.rows.banks_set.iter().map(|bank| (bank.id.0, bank.name.clone())).collect();
    assert_eq!(names, [(1, new_name(2)), (2, new_name(1))]);
}

#[test]
fn a_group_of_rejected_writes_commits_nothing() {
    assert!(check(&[Action::DeleteBank { name: name(1) }], &[Err(Error::bank_not_found(name(1)))]).is_none());
}
