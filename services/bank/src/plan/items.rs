//! Plans new items, submissions of existing items, and removals.
//!
//! An item with an origin exists as long as it has a submission. Adding the same content from the same origin
//! again has no effect; from another origin it adds a submission; and the item is removed with its last
//! submission.

mod updating;

use std::collections::{BTreeMap, HashMap};

use vigie_consortium::{ContentDigest, ItemPlace, ItemRecord, Origin, Submission, Whose};
use vigie_model::{BankId, BankRef, ChangeKind, Item, ItemContent, ItemId, MemberId, SetDigest, UnixMillis};
use vigie_proto::bank::{ContributedItem, encode_item};
use vigie_statistics::{ClassText, Measure};

use super::Planner;
use super::answer::Answer;
use super::beside::counters::Of;
use super::purge::Removed;
use super::records::Records;
use super::write::{Author, Write};
use crate::error::Error;
use crate::store::touched::Touch;
use crate::store::{Placement, StoredItem, Undo, to_model};

/// The item to which an item of a request leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// An existing item.
    Known(ItemId),
    /// The new item with this index among the new items of the request.
    New(usize),
}

impl Target {
    /// Returns the ids of all targets, given the ids of the new items.
    pub(super) fn ids(targets: &[Self], new: &[ItemId]) -> Vec<ItemId> {
        let id_of = |target: &Self| match target {
            Self::Known(id) => *id,
            Self::New(number) => new[*number],
        };
        targets.iter().map(id_of).collect()
    }

    /// Returns the number of targets that existed before.
    pub(super) fn known(targets: &[Self]) -> u32 {
        let known = targets.iter().filter(|target| matches!(target, Self::Known(_))).count();
        u32::try_from(known).unwrap_or(u32::MAX)
    }
}

/// The effects of the items of one request, before anything is done.
#[derive(Debug, Default)]
struct Additions<'a> {
    targets: Vec<Target>,
    new: Vec<(&'a ContributedItem, Option<ItemRecord>)>,
    /// Records of existing items, in their new state.
    changed: BTreeMap<ItemId, ItemRecord>,
    /// Indexes of new items, by content.
    new_by_content: HashMap<ContentDigest, usize>,
}

/// The bank, the author and the time of new items.
#[derive(Debug, Clone, Copy)]
struct Adding {
    bank: BankId,
    contributor: MemberId,
    at: UnixMillis,
    has_members: bool,
    /// Members must confirm items of the bank, so each item has a record.
    is_confirmed: bool,
}

impl<'a> Additions<'a> {
    /// Adds the next item of the request.
    fn add(&mut self, adding: Adding, records: &Records, item: &'a ContributedItem) -> Result<(), Error> {
        let content = ContentDigest::of(adding.bank, item.content.hashes());
        let origin = item.origin_of_submission(adding.has_members);
        let Some(origin) = &origin else {
            // An item without an origin never merges with another one.
            let of_details = || {
                let first = adding.submission(Origin::default());
                ItemRecord::new(content, item.details.clone(), first)
            };
            let record = (adding.is_confirmed || !item.details.is_empty()).then(of_details);
            self.targets.push(Target::New(self.new.len()));
            self.new.push((item, record));
            return Ok(());
        };
        let known = records.with_origin(&content);
        let record_of = |id: &ItemId| self.changed.get(id).or_else(|| records.by_item.get(id));
        let is_submitted =
            |id: &&ItemId| record_of(id).is_some_and(|record| record.has(adding.contributor, origin));
        if let Some(id) = known.iter().find(is_submitted).copied() {
            let record = record_of(&id).ok_or(Error::Broken)?;
            let is_contributor =
                record.submissions.first().is_some_and(|one| one.member == adding.contributor);
            if is_contributor && !item.details.is_empty() && record.details != item.details {
                let record = ItemRecord { details: item.details.clone(), ..record.clone() };
                self.changed.insert(id, record);
            }
            self.targets.push(Target::Known(id));
        } else if let Some(id) = known.first().copied() {
            let record = record_of(&id).ok_or(Error::Broken)?;
            let with = record.with(adding.submission(origin.clone()));
            let with = with.map_err(|_| Error::TooManySubmissions(id))?;
            if with != *record {
                self.changed.insert(id, with);
            }
            self.targets.push(Target::Known(id));
        } else if let Some(number) = self.new_by_content.get(&content).copied() {
            let record = self.new[number].1.as_mut().ok_or(Error::Broken)?;
            // All of these submissions belong to one member.
            *record = record.with(adding.submission(origin.clone())).map_err(|_| Error::Broken)?;
            self.targets.push(Target::New(number));
        } else {
            let first = adding.submission(origin.clone());
            self.new_by_content.insert(content, self.new.len());
            self.targets.push(Target::New(self.new.len()));
            self.new.push((item, Some(ItemRecord::new(content, item.details.clone(), first))));
        }
        Ok(())
    }
}

impl Adding {
    const fn submission(self, origin: Origin) -> Submission {
        Submission { member: self.contributor, origin, at: self.at, foreign: None }
    }
}

/// Returns a member's relation to an item. A contributor has a submission of the item, or added it if it has
/// no record.
pub(super) fn place_of(
    bank: BankId,
    added_by: MemberId,
    record: Option<&ItemRecord>,
    member: MemberId,
) -> ItemPlace {
    let contributor = match record {
        Some(record) if record.is_of(member) => member,
        Some(record) => record.submissions.first().map_or(added_by, |first| first.member),
        None => added_by,
    };
    ItemPlace { bank, contributor }
}

/// The effect of a removal on one item.
enum Removal {
    /// The item is removed.
    Whole(Placement),
    /// The item loses submissions and stays.
    Withdrawn(Placement, Box<ItemRecord>),
}

impl Planner<'_> {
    pub(super) fn add_items(
        &mut self,
        by: Author,
        bank: &BankRef,
        items: &[ContributedItem],
    ) -> Result<Answer, Error> {
        let adding = {
            let admitted = by.admitted(&self.state.view, self.now())?;
            let bank = admitted.bank(bank)?;
            let taxonomies = bank.charter.taxonomies();
            items.iter().try_for_each(|item| item.details.check(taxonomies)).map_err(Error::Class)?;
            let contributor = admitted.member().ok_or(Error::Broken)?.id;
            let (at, has_members) = (self.now(), self.has_members());
            let is_confirmed = bank.charter.confirmations_min().is_some();
            Adding { bank: bank.id, contributor, at, has_members, is_confirmed }
        };
        let mut additions = Additions::default();
        items.iter().try_for_each(|item| additions.add(adding, &self.known.records, item))?;
        let Additions { targets, new, changed, .. } = additions;
        let new_count = new.len();
        let quota = self.state.view.directory().quota(adding.contributor);
        let spent = self.state.counted.added.spend(adding.contributor, &quota, new_count as u64, adding.at);
        spent.map_err(Error::Spent)?;
        let (mut ids, mut records) = (Vec::with_capacity(new_count), Vec::new());
        self.count_added(adding.contributor, adding.bank, new.iter().map(|(item, _)| *item))?;
        for (item, record) in new {
            let id = self.add_item(adding.bank, adding.contributor, item.content.clone())?;
            records.extend(record.map(|record| (id, record)));
            ids.push(id);
        }
        // Done even if the bank got nothing new: a write that names a bank shows it.
        self.touch(adding.bank, |_| {})?;
        let all = records.into_iter().chain(changed);
        all.into_iter().try_for_each(|(item, record)| self.put_record(item, adding.bank, record))?;
        let sequence = to_model(self.draft.last());
        Ok(Answer::ItemsAdded {
            items: Target::ids(&targets, &ids),
            known: Target::known(&targets),
            sequence,
        })
    }

    pub(super) fn remove_items(
        &mut self,
        write: &Write,
        items: &[ItemId],
        origin: Option<&Origin>,
    ) -> Result<Answer, Error> {
        let removals = {
            let admitted = write.by.admitted(&self.state.view, self.now())?;
            let member = admitted.member().ok_or(Error::Broken)?.id;
            let removal = |item: &ItemId| {
                let placement = self.living(*item);
                admitted.item(*item, placement.map(|placement| self.place(&placement, member)))?;
                self.removal(placement.ok_or(Error::Broken)?, member, origin)
            };
            items.iter().map(removal).collect::<Result<Vec<_>, Error>>()?
        };
        let member = self.who(write.by).member.ok_or(Error::Broken)?;
        let mut removed = BTreeMap::new();
        for removal in &removals {
            let Removal::Whole(Placement { bank, .. }) = removal else { continue };
            // A submission that another member withdraws is that member's own, so it is not counted as a
            // removal by the owner.
            if self.state.banks.get(bank).is_some_and(|owned| owned.owner == member) {
                *removed.entry(*bank).or_default() += 1;
            }
        }
        self.check_removals(write, removed)?;
        for removal in removals {
            match removal {
                Removal::Whole(placement) => self.remove_item(&placement, member)?,
                Removal::Withdrawn(placement, record) => {
                    self.put_record(placement.item, placement.bank, *record)?;
                }
            }
        }
        Ok(Answer::ItemsRemoved { sequence: to_model(self.draft.last()) })
    }

    /// Counts new items of a member, from its people or from a programme that it follows. Restored items were
    /// counted when they were new, and are not counted again.
    pub(super) fn count_added<'a>(
        &mut self,
        member: MemberId,
        bank: BankId,
        items: impl Iterator<Item = &'a ContributedItem>,
    ) -> Result<(), Error> {
        let mut counted: BTreeMap<ClassText, (Of, u64, u64)> = BTreeMap::new();
        for item in items {
            let of = Of::member_and_bank(member, bank).classed(&item.details);
            let (_, items, hashes) = counted.entry(of.class.clone()).or_insert((of, 0, 0));
            *items += 1;
            *hashes += item.content.hashes().len() as u64;
        }
        for (of, items, hashes) in counted.into_values() {
            self.count_up(&of, Measure::ItemsAdded, items)?;
            self.count_up(&of, Measure::HashesAdded, hashes)?;
        }
        Ok(())
    }

    /// Adds an item to a living bank.
    pub(super) fn add_item(
        &mut self,
        bank: BankId,
        contributor: MemberId,
        content: ItemContent,
    ) -> Result<ItemId, Error> {
        let id = ItemId(self.draft.last().next().0);
        let item = Item { id, bank, added_at: self.stamp(), contributor, content };
        let placement = Placement::of(&item);
        let hashes = placement.digest.hashes;
        self.count(id, bank, |sum| *sum += placement.digest);
        self.known.items.insert(id, placement);
        self.note_new(id, bank);
        self.items.push(StoredItem { placement, payload: encode_item(item.clone()) });
        self.log(ChangeKind::ItemAdded(item))?;
        self.touch(bank, |bank| {
            bank.item_count += 1;
            bank.hash_count += hashes;
        })?;
        self.state.counts.items += 1;
        self.state.counts.hashes += hashes;
        Ok(id)
    }

    /// Returns the effect of removing an item, or of withdrawing its submissions of one origin, by a member.
    fn removal(
        &self,
        placement: Placement,
        member: MemberId,
        origin: Option<&Origin>,
    ) -> Result<Removal, Error> {
        let item = placement.item;
        let bank = self.state.view.directory().bank(placement.bank).ok_or(Error::Broken)?;
        if bank.owner == member && origin.is_none() {
            return Ok(Removal::Whole(placement));
        }
        let Some(record) = self.known.records.by_item.get(&item) else {
            let is_own_word = origin.is_none() && placement.contributor == member;
            return if is_own_word {
                Ok(Removal::Whole(placement))
            } else {
                Err(Error::SubmissionNotFound(item))
            };
        };
        match record.without(member, origin) {
            None => Ok(Removal::Whole(placement)),
            Some(left) if left.submissions.len() == record.submissions.len() => {
                Err(Error::SubmissionNotFound(item))
            }
            Some(left) => Ok(Removal::Withdrawn(placement, Box::new(left))),
        }
    }

    /// Returns the placement of an item of a living bank; `None` if there is no such item.
    pub(super) fn living(&self, item: ItemId) -> Option<Placement> {
        let placement = self.known.items.get(&item).copied();
        placement.filter(|of| self.state.banks.contains_key(&of.bank))
    }

    /// Returns a member's relation to an item: with a submission of its own the member is a contributor.
    pub(super) fn place(&self, placement: &Placement, member: MemberId) -> ItemPlace {
        let record = self.known.records.by_item.get(&placement.item);
        place_of(placement.bank, placement.contributor, record, member)
    }

    pub(super) fn remove_item(&mut self, placement: &Placement, member: MemberId) -> Result<(), Error> {
        let Placement { item, bank, digest, listed, .. } = *placement;
        self.note_listed(placement);
        self.count(item, bank, |sum| *sum -= digest);
        if self.is_held(item) {
            self.count_hold(item, bank, false);
        }
        self.known.items.remove(&item);
        let record = self.known.records.remove(item);
        if let Some(record) = &record {
            let standing = SetDigest::of_standing(item, &record.standing);
            self.count(item, bank, |sum| *sum -= standing);
        }
        // An item without a list digest is a canary.
        let whose = match (listed, &record) {
            (None, _) => Whose::Canary,
            (Some(_), None) => Whose::Own,
            (Some(_), Some(record)) => record.whose(),
        };
        self.removed.insert(item);
        let times = self.purge(Removed::Item(item), bank);
        let (removed_at, until) = (self.now(), UnixMillis(times.purge_at.0));
        self.undos.insert(item, Undo { item, bank, member, removed_at, until, record: record.clone() });
        self.touch(bank, |bank| {
            bank.item_count -= 1;
            bank.hash_count -= digest.hashes;
        })?;
        self.state.counts.items -= 1;
        self.state.counts.hashes -= digest.hashes;
        self.log(ChangeKind::ItemRemoved { item, bank })?;
        self.count_up(&Of::member_and_bank(member, bank), Measure::ItemsRemoved, 1)?;
        if let Some(record) = record {
            self.note_disputes(item, bank, Some(&record), None)?;
        }
        let added_at = vigie_log::UnixMillis(placement.added_at.0);
        self.touch_item(item, bank, Touch::Removed { added_at, whose });
        Ok(())
    }
}
