//! The changes of published lists by a group of writes.
//!
//! An item that the group touches gets one entry, whatever the group does with it, and none if nothing that
//! the list shows has changed. So the group notes the entry that each item had in its list before, and
//! compares at its end.
//!
//! Banks of an earlier version have items that are in no list yet. The bank itself lists them page by page
//! (`server/lists`). Until its page comes, such an item is in no list, whatever happens to it.

use vigie_consortium::items::published::entry_of;
use vigie_consortium::{EntryDigest, ItemRecord, ListHead};
use vigie_model::{BankId, ItemId};

use super::state::Before;
use crate::error::Error;
use crate::plan::Planner;
use crate::plan::answer::Answer;
use crate::store::published::{ListEntry, ListRows, StoredList};
use crate::store::{Placement, to_model};

impl Planner<'_> {
    /// Notes a new item, which was in no list.
    pub(in crate::plan) fn note_new(&mut self, item: ItemId, bank: BankId) {
        self.listed.insert(item, Before { bank, entry: None });
    }

    /// Notes the entry of an item in its list, before the item changes.
    pub(in crate::plan) fn note_listed(&mut self, placement: &Placement) {
        let Placement { item, bank, .. } = *placement;
        if !self.listed.contains_key(&item) {
            let entry = self.entry(placement, self.known.records.by_item.get(&item));
            self.listed.insert(item, Before { bank, entry });
        }
    }

    /// Lists items of a bank that an earlier version added, up to `through`.
    pub(in crate::plan) fn list_items(
        &mut self,
        bank: BankId,
        items: &[ItemId],
        through: ItemId,
    ) -> Result<Answer, Error> {
        let list = self.state.lists.of(bank);
        let is_next = self.state.banks.contains_key(&bank) && list.listed_through < through;
        if is_next && through <= list.unlisted_through {
            for placement in items.iter().filter_map(|item| self.living(*item)).collect::<Vec<_>>() {
                if placement.bank != bank {
                    return Err(Error::Broken);
                }
                // Noted before the list reaches them: they are in no list yet.
                self.note_listed(&placement);
            }
            self.state.lists_mut().of.insert(bank, StoredList { listed_through: through, ..list });
            self.lists.entry(bank).or_default();
        }
        Ok(Answer::ItemsListed { sequence: to_model(self.draft.last()) })
    }

    /// Returns the rows of lists that the group has changed, as of the end of the group.
    pub(in crate::plan) fn finish_lists(&mut self) -> ListRows {
        let listed = std::mem::take(&mut self.listed);
        let mut changed: Vec<_> = listed
            .into_iter()
            .filter(|(_, before)| self.state.banks.contains_key(&before.bank))
            .filter_map(|(item, before)| {
                let placement = self.living(item);
                let after = placement
                    .and_then(|placement| self.entry(&placement, self.known.records.by_item.get(&item)));
                (before.entry != after).then_some((item, before, after))
            })
            .collect();
        // In the order of their changes; an item that was only added has its id as its last change.
        changed.sort_by_key(|(item, ..)| {
            self.touched_items.get(item).map_or(item.0, |touched| touched.sequence.0)
        });
        let mut rows = ListRows::default();
        for (item, Before { bank, entry: before }, after) in changed {
            let lists = self.state.lists_mut();
            let key = lists.secret.key(bank, item);
            let list = lists.of.entry(bank).or_insert_with(|| StoredList::new(bank));
            let digest = list.head.append(key, before.as_ref(), after.as_ref());
            let ListHead { number, chain, .. } = list.head;
            // Only the last chain of a commit is stored: the others are computed from the chain before.
            if let Some(last) = self.lists.entry(bank).or_default().replace(rows.entries.len()) {
                rows.entries[last].chain = None;
            }
            rows.entries.push(ListEntry { bank, number, item, digest, chain: Some(chain) });
        }
        rows.heads = self.lists.keys().filter_map(|bank| self.state.lists.of.get(bank)).copied().collect();
        rows
    }

    /// Returns the entry of an item in its list, with this record.
    fn entry(&self, placement: &Placement, record: Option<&ItemRecord>) -> Option<EntryDigest> {
        let Placement { item, bank, listed, .. } = *placement;
        if !self.state.lists.of(bank).lists(item) {
            return None;
        }
        entry_of(self.state.lists.secret.key(bank, item), listed, record)
    }
}
