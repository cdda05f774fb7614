//! Removed items that can be restored, until their bytes are purged.
//!
//! A restored item gets a new id. If the bank has a living item of the same content (for example because a
//! list was sent again), the removed item's submissions are added to that item by the rules of adding: no
//! content exists twice with an origin.
//!
//! The living item keeps its own labels; a restored item has the labels that it had at its removal.
//!
//! A restoration is not an addition, and opens no dispute: the statistics count neither again.

use std::collections::{BTreeMap, HashMap};

use vigie_consortium::{ContentDigest, Denied, ItemRecord};
use vigie_model::{BankId, ItemId};
use vigie_proto::bank::LogChange;

use super::Planner;
use super::answer::Answer;
use super::items::{Target, place_of};
use super::records::{Records, RemovedItem};
use super::write::Author;
use crate::error::Error;
use crate::store::touched::Touch;
use crate::store::{Placement, to_model};

/// The effects of the items of one request, before anything is done.
#[derive(Debug, Default)]
struct Restoration {
    targets: Vec<Target>,
    new: Vec<RemovedItem>,
    /// Records of existing items in their new state, with their banks.
    changed: BTreeMap<ItemId, (BankId, ItemRecord)>,
    /// Indexes of new items, by content.
    new_by_content: HashMap<ContentDigest, usize>,
}

impl Restoration {
    /// Adds the next item of the request.
    fn add(&mut self, records: &Records, removed: RemovedItem) -> Result<(), Error> {
        let Some(record) = removed.record.as_ref().filter(|record| record.has_origin()) else {
            self.targets.push(Target::New(self.new.len()));
            self.new.push(removed);
            return Ok(());
        };
        let known = records.with_origin(&record.content);
        let record_of =
            |id: &ItemId| self.changed.get(id).map(|(_, record)| record).or_else(|| records.by_item.get(id));
        let is_submitted = |id: &&ItemId| {
            let has = |living: &ItemRecord| {
                record.submissions.iter().any(|one| living.has(one.member, &one.origin))
            };
            record_of(id).is_some_and(has)
        };
        if let Some(id) = known.iter().find(is_submitted).or(known.first()).copied() {
            let living = record_of(&id).ok_or(Error::Broken)?;
            let merged = living.merged(record).map_err(|_| Error::TooManySubmissions(id))?;
            if merged != *living {
                // A content digest includes the bank.
                self.changed.insert(id, (removed.item.bank, merged));
            }
            self.targets.push(Target::Known(id));
        } else if let Some(number) = self.new_by_content.get(&record.content).copied() {
            let first = &mut self.new[number];
            let living = first.record.as_ref().ok_or(Error::Broken)?;
            let merged = living.merged(record).map_err(|_| Error::TooManySubmissions(first.item.id))?;
            first.record = Some(merged);
            self.targets.push(Target::New(number));
        } else {
            self.new_by_content.insert(record.content, self.new.len());
            self.targets.push(Target::New(self.new.len()));
            self.new.push(removed);
        }
        Ok(())
    }
}

impl Planner<'_> {
    pub(super) fn restore_items(&mut self, by: Author, items: &[ItemId]) -> Result<Answer, Error> {
        if self.known.removed_is_cut {
            return Err(Error::TooMuchRestored);
        }
        let restored = {
            let admitted = by.admitted(&self.state.view, self.now())?;
            let member = admitted.member().ok_or(Error::Broken)?.id;
            let restored = |id: &ItemId| {
                let found = self.known.removed.get(id);
                let found = found.filter(|found| self.state.banks.contains_key(&found.item.bank));
                let place = found.map(|RemovedItem { item, record, .. }| {
                    place_of(item.bank, item.contributor, record.as_ref(), member)
                });
                admitted.item(*id, place)?;
                let found = found.ok_or(Error::Broken)?;
                // An item that the owner removed is restored only at the owner's request.
                let is_owner =
                    self.state.banks.get(&found.item.bank).is_some_and(|bank| bank.owner == member);
                if !is_owner && found.removed_by != member {
                    return Err(Denied::ItemOfAnother(*id).into());
                }
                Ok(found.clone())
            };
            items.iter().map(restored).collect::<Result<Vec<_>, Error>>()?
        };
        let mut restoration = Restoration::default();
        restored.into_iter().try_for_each(|removed| restoration.add(&self.known.records, removed))?;
        let Restoration { targets, new, changed, .. } = restoration;
        let mut brought_back = Vec::with_capacity(items.len());
        for former in items {
            if let Some(RemovedItem { item, .. }) = self.known.removed.remove(former) {
                let added_at = vigie_log::UnixMillis(item.added_at.0);
                brought_back.push((item.id, item.bank, added_at));
            }
            self.undone.push(*former);
        }
        let changed = changed.into_iter().map(|(item, (bank, record))| (item, bank, record));
        let (mut ids, mut records) = (Vec::with_capacity(new.len()), Vec::new());
        for RemovedItem { item, record, .. } in new {
            // The record keeps since when the item has been in the bank, and who submitted it. The labels go
            // with the new item, and not into the record.
            let record = record.unwrap_or_else(|| Placement::of(&item).record());
            let record = ItemRecord { labels: None, ..record };
            let id = self.add_item(item.bank, item.contributor, item.content)?;
            records.push((id, item.bank, record));
            ids.push(id);
        }
        let all = records.into_iter().chain(changed);
        all.into_iter().try_for_each(|(item, bank, record)| self.put_record(item, bank, record))?;
        let back = Target::ids(&targets, &ids);
        for ((item, bank, added_at), back) in brought_back.into_iter().zip(&back) {
            self.append(LogChange::BroughtBack(item, *back))?;
            self.touch_item(item, bank, Touch::BroughtBack { added_at });
        }
        let sequence = to_model(self.draft.last());
        Ok(Answer::ItemsAdded { items: back, known: Target::known(&targets), sequence })
    }
}
