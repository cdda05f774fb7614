//! Plans new details and new labels of items.
//!
//! The log keeps an item with its first labels. Replaced labels are in its record, and in the standing that
//! its shard is sent. The item's row is written again with them, so that readers of items see the present
//! labels.

use vigie_consortium::{Denied, Details, ListContent};
use vigie_model::{Item, ItemId, Labels};
use vigie_proto::bank::{decode_item, encode_item};

use crate::error::Error;
use crate::plan::Planner;
use crate::plan::answer::Answer;
use crate::plan::write::Author;
use crate::store::{Placement, StoredItem, to_model};

impl Planner<'_> {
    pub(in crate::plan) fn update_item(
        &mut self,
        by: Author,
        item: ItemId,
        details: Option<&Details>,
        labels: Option<&Labels>,
    ) -> Result<Answer, Error> {
        let (placement, mut record) = {
            let admitted = by.admitted(&self.state.view, self.now())?;
            let member = admitted.member().ok_or(Error::Broken)?.id;
            let placement = self.living(item);
            admitted.item(item, placement.map(|placement| self.place(&placement, member)))?;
            let placement = placement.ok_or(Error::Broken)?;
            let bank = self.state.view.directory().bank(placement.bank).ok_or(Error::Broken)?;
            // As with AddItems: a later submitter of the same content does not change the details.
            let record = self.record_of(&placement);
            let first = record.submissions.first().map(|one| one.member);
            if bank.owner != member && first != Some(member) {
                return Err(Denied::ItemOfAnother(item).into());
            }
            if let Some(details) = details {
                details.check(bank.charter.taxonomies()).map_err(Error::Class)?;
            }
            (placement, record)
        };
        if let Some(details) = details {
            record.details = details.clone();
        }
        let mut is_relabelled = false;
        if let Some(labels) = labels
            && self.relabel(item, labels)?
        {
            record.labels = Some(labels.clone());
            is_relabelled = true;
        }
        let is_said = details.is_some() && self.known.records.by_item.get(&item) != Some(&record);
        if is_said || is_relabelled {
            self.put_record(item, placement.bank, record)?;
        }
        Ok(Answer::ItemUpdated { item, sequence: to_model(self.draft.last()) })
    }

    /// Replaces the row of a living item if it has other labels, before its record is put with them. Returns
    /// whether they differ.
    pub(in crate::plan) fn relabel(&mut self, item: ItemId, labels: &Labels) -> Result<bool, Error> {
        let placement = self.living(item).ok_or(Error::Broken)?;
        let former = self.content(item)?;
        if former.content.checked_labels() == labels {
            return Ok(false);
        }
        // Otherwise a member that was never answered the item would be, or the reverse; and lists do not show
        // when a canary is removed.
        if former.content.is_canary() != labels.are_of_canary() {
            return Err(Error::CanaryLabel(item));
        }
        self.note_listed(&placement);
        let relabelled = Item { content: former.content.with_labels(labels.clone()), ..former };
        let placement = Placement { listed: ListContent::of(&relabelled.content), ..placement };
        self.known.items.insert(item, placement);
        self.relabelled.insert(item, StoredItem { placement, payload: encode_item(relabelled) });
        Ok(true)
    }

    /// Returns an item in the state after the group's writes so far.
    fn content(&self, item: ItemId) -> Result<Item, Error> {
        let added = || self.items.iter().find(|stored| stored.placement.item == item);
        let written = match (self.relabelled.get(&item), self.known.contents.get(&item)) {
            (Some(written), _) => Some(written),
            (None, Some(known)) => return Ok(known.clone()),
            (None, None) => added(),
        };
        decode_item(&written.ok_or(Error::Broken)?.payload).map_err(|_| Error::Broken)
    }
}
