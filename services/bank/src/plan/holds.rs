//! Plans holds: an item that is held matches for nobody.
//!
//! The holds of an item are in its record, and so are the effects of its bank's charter on opinions. A shard
//! is notified of an item's first hold, and of the end of its last one. The hold of a quarantine is the
//! bank's own: each record that is put has it or not according to the directory at that moment. The bank
//! reviews its records when a member is quarantined or a quarantine ends (`server/holds`).

use std::sync::Arc;

use vigie_consortium::{
    Change, Charter, Directory, Dispute, DocumentKey, DocumentKind, Expiry, Hold, Holder, ItemPlace,
    ItemRecord, MemberState,
};
use vigie_model::{
    BankId, ChangeKind, ItemId, MemberId, OpinionKind, Sequence, SetDigest, Standing, UnixMillis,
};
use vigie_proto::bank::LogChange;
use vigie_statistics::Measure;

use super::Planner;
use super::answer::Answer;
use super::beside::counters::Of;
use super::write::{Author, Holding};
use crate::error::Error;
use crate::store::touched::Touch;
use crate::store::{Placement, to_model};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

impl Planner<'_> {
    pub(super) fn set_item_hold(
        &mut self,
        by: Author,
        items: &[ItemId],
        holding: Holding,
    ) -> Result<Answer, Error> {
        if let Holding::Held(until) = holding
            && until.is_over(self.now())
        {
            return Err(Error::HoldIsOver);
        }
        let held_by = {
            let admitted = by.admitted(&self.state.view, self.now())?;
            let held_by = |item: &ItemId| {
                let placement = self.living(*item);
                let place = placement.map(|of| ItemPlace { bank: of.bank, contributor: of.contributor });
                let holders = admitted.holders(*item, place)?;
                Ok((placement.ok_or(Error::Broken)?, holders))
            };
            items.iter().map(held_by).collect::<Result<Vec<_>, Error>>()?
        };
        let mut held = 0;
        for (placement, holders) in held_by {
            let mut record = self.record_of(&placement);
            match (holding, holders.first()) {
                (Holding::Held(until), Some(holder)) => {
                    let hold = Hold { holder: *holder, since: self.now(), until };
                    record.holds = record.holds.with(hold);
                }
                (Holding::Held(_), None) => return Err(Error::Broken),
                (Holding::Lifted, _) => {
                    holders.iter().for_each(|holder| record.holds = record.holds.without(*holder));
                }
            }
            // A caller that does not see the item is answered only its own hold.
            let is_reported = |hold: Hold| holders.contains(&Holder::Owner) || holders.contains(&hold.holder);
            held += u32::from(record.holds.iter().any(is_reported));
            self.put_if_new(&placement, record)?;
        }
        Ok(Answer::HoldsSet { held, sequence: to_model(self.draft.last()) })
    }

    /// Ends expired holds, and updates holds of quarantines and charters, and standings, to the present
    /// directory and time. Skips items that no longer exist. Deletes the named documents of charter changes,
    /// which have been followed.
    pub(super) fn review_holds(
        &mut self,
        items: &[ItemId],
        followed: &[DocumentKey],
    ) -> Result<Answer, Error> {
        let mut held = 0;
        for placement in items.iter().filter_map(|item| self.living(*item)).collect::<Vec<_>>() {
            let mut record = self.record_of(&placement);
            record.holds = record.holds.without_ended(self.now());
            let record = self.quarantined(placement.bank, record);
            held += u32::from(!record.holds.is_empty());
            self.put_if_new(&placement, record)?;
        }
        for key in followed {
            self.take_document(DocumentKind::CharterChange, key.clone())?;
        }
        Ok(Answer::HoldsSet { held, sequence: to_model(self.draft.last()) })
    }

    /// Returns the bank of a new charter that asks for other opinions than the one before; `None` for other
    /// changes.
    pub(super) fn asks_otherwise(&self, change: &Change) -> Option<BankId> {
        let Change::CharterPut { bank, charter } = change else { return None };
        let asked = |charter: &Charter| (charter.confirmations_min(), charter.hold_on_negatives());
        let before = self.state.view.directory().bank(*bank).map(|bank| asked(&bank.charter));
        (before != Some(asked(charter))).then_some(*bank)
    }

    /// Records that the items of a bank must be updated to a changed charter. The bank does so afterwards,
    /// and then deletes the record.
    pub(super) fn note_charter_change(&mut self, bank: BankId, sequence: Sequence) -> Result<(), Error> {
        let key = DocumentKey::of_numbers(&[bank.0.into(), sequence.0]);
        self.put_document(DocumentKind::CharterChange, key, Vec::new())
    }

    /// Sets the record of an item of a bank, and notifies its shard if the item becomes held or is held no
    /// longer.
    pub(super) fn put_record(&mut self, item: ItemId, bank: BankId, record: ItemRecord) -> Result<(), Error> {
        let former = record.dispute;
        let record = self.settled(item, bank, record);
        let opens = record.dispute != former;
        self.put_settled(item, bank, record, opens)
    }

    /// Returns the record in the form to put: with the opinions from its programmes' submissions, the holds
    /// and the dispute that follow from the present directory and the bank's charter, and the resulting
    /// standing.
    fn settled(&self, item: ItemId, bank: BankId, record: ItemRecord) -> ItemRecord {
        let record = self.quarantined(bank, record);
        // The change that puts the record has the next sequence.
        let record = record.with_foreign_opinions(self.now(), to_model(self.draft.last().next()));
        let owned = self.state.view.directory().bank(bank);
        let mut record = match owned {
            Some(owned) => under_charter(&owned.charter, record, self.now()),
            None => record,
        };
        record.was_own = !record.is_own() && self.was_own(item);
        let standing = owned.map_or_else(Standing::default, |owned| record.standing_under(&owned.charter));
        if standing != *record.standing {
            record.standing = Arc::new(standing);
        }
        record
    }

    /// Puts the record. `opens`: the charter has just opened the record's dispute, if it has one.
    fn put_settled(
        &mut self,
        item: ItemId,
        bank: BankId,
        record: ItemRecord,
        opens: bool,
    ) -> Result<(), Error> {
        let placement = self.known.items.get(&item).copied().ok_or(Error::Broken)?;
        self.note_listed(&placement);
        let before = self.known.records.by_item.get(&item).cloned();
        let was_held = self.is_held(item);
        let is_held = !record.holds.is_empty();
        self.append(LogChange::Record(item, Box::new(record.clone())))?;
        if is_held != was_held {
            self.count_hold(item, bank, is_held);
            self.log(ChangeKind::ItemHeldSet { item, bank, held: is_held })?;
            self.count_up(&Of::bank(bank), Measure::ItemsHeld, u64::from(is_held))?;
        }
        let former = before.as_ref().map(|before| Arc::clone(&before.standing)).unwrap_or_default();
        if former != record.standing {
            let standing = Arc::clone(&record.standing);
            self.count(item, bank, |sum| {
                *sum -= SetDigest::of_standing(item, &former);
                *sum += SetDigest::of_standing(item, &standing);
            });
            self.log(ChangeKind::ItemStandingSet { item, bank, standing })?;
        }
        self.note_disputes(item, bank, before.as_ref(), Some(&record))?;
        if let Some(dispute) = record.dispute.filter(|_| opens) {
            self.count_up(&Of::member_and_bank(dispute.opened_by, bank), Measure::DisputesOpened, 1)?;
        }
        self.known.records.set(item, record.clone());
        self.records.insert(item, record);
        self.touch_item(item, bank, Touch::Changed);
        Ok(())
    }

    /// Returns whether an item has ever been its bank's own. An item without a record has; a new item has
    /// not.
    fn was_own(&self, item: ItemId) -> bool {
        let record = self.known.records.by_item.get(&item);
        record.map_or(item.0 <= self.begins_after.0, |record| record.was_own || record.is_own())
    }

    /// Returns whether an item is held, as far as its record is known.
    pub(super) fn is_held(&self, item: ItemId) -> bool {
        self.known.records.by_item.get(&item).is_some_and(|record| !record.holds.is_empty())
    }

    /// Adds a hold to the digests, or subtracts it.
    pub(super) fn count_hold(&mut self, item: ItemId, bank: BankId, is_held: bool) {
        let hold = SetDigest::of_hold(item);
        self.count(item, bank, |sum| if is_held { *sum += hold } else { *sum -= hold });
    }

    /// Returns the record of an item, or for an item without one a record made from its placement.
    pub(super) fn record_of(&self, placement: &Placement) -> ItemRecord {
        let known = self.known.records.by_item.get(&placement.item);
        known.cloned().unwrap_or_else(|| placement.record())
    }

    /// Puts the record of an item unless it has that record already. Returns whether it has changed.
    pub(super) fn put_if_new(&mut self, placement: &Placement, record: ItemRecord) -> Result<bool, Error> {
        let Placement { item, bank, .. } = *placement;
        let former = record.dispute;
        let record = self.settled(item, bank, record);
        let opens = record.dispute != former;
        if self.record_of(placement) == record {
            return Ok(false);
        }
        self.put_settled(item, bank, record, opens)?;
        Ok(true)
    }

    /// Returns the record with or without the hold of a quarantine, according to the directory.
    fn quarantined(&self, bank: BankId, record: ItemRecord) -> ItemRecord {
        let directory = self.state.view.directory();
        let holds = if !are_quarantined(directory, bank, record.members()) {
            record.holds.without(Holder::Quarantine)
        } else if record.holds.of(Holder::Quarantine).is_none() {
            let (holder, since) = (Holder::Quarantine, self.now());
            record.holds.with(Hold { holder, since, until: Expiry::NEVER })
        } else {
            return record;
        };
        ItemRecord { holds, ..record }
    }
}

/// Returns the record with or without the hold and the dispute that its bank's charter asks for at a time.
///
/// If enough members call the item wrong, it is held and a dispute is opened. A dispute that is not resolved
/// in time holds the item too. If the charter asks for several members, at least two must call the item wrong
/// for that; otherwise one is enough.
fn under_charter(charter: &Charter, record: ItemRecord, now: UnixMillis) -> ItemRecord {
    let (negatives, min) = (record.negatives(), charter.hold_on_negatives().map_or(0, usize::from));
    let are_enough = min > 0 && negatives >= min;
    let resolved_at = record.resolved.map_or(UnixMillis(0), |(_, at)| at);
    let explicit = record.opinions.iter().filter(|opinion| {
        opinion.kind == Some(OpinionKind::Negative) && opinion.at > resolved_at && opinion.words.disputes
    });
    // A member whose negative opinion does not count opens a dispute only by asking for one.
    let counting = record.opinions.counting_negatives_after(resolved_at).filter(|_| are_enough);
    let disputing = explicit.chain(counting);
    let opened_by = disputing.min_by_key(|opinion| opinion.sequence).map(|opinion| opinion.member);
    let opened = || {
        let due_at = now.0.saturating_add(u64::from(charter.dispute_days()) * DAY_MS);
        Some(Dispute { opened_at: now, due_at: UnixMillis(due_at), opened_by: opened_by? })
    };
    let dispute = record.dispute.filter(|_| opened_by.is_some()).or_else(opened);
    let is_overdue = dispute.is_some_and(|dispute| dispute.due_at <= now) && negatives >= min.clamp(1, 2);
    let holds = match (are_enough || is_overdue, record.holds.of(Holder::Charter)) {
        (true, None) => {
            let (holder, since) = (Holder::Charter, now);
            record.holds.with(Hold { holder, since, until: Expiry::NEVER })
        }
        (false, Some(_)) => record.holds.without(Holder::Charter),
        (true, Some(_)) | (false, None) => record.holds.clone(),
    };
    ItemRecord { dispute, holds, ..record }
}

/// Returns whether a bank must hold an item of these members: all of them are quarantined, and none is the
/// bank's owner.
pub(crate) fn are_quarantined(
    directory: &Directory,
    bank: BankId,
    mut members: impl Iterator<Item = MemberId>,
) -> bool {
    let Some(bank) = directory.bank(bank) else { return false };
    members.all(|member| {
        let state = directory.member(member).map(|member| member.state);
        member != bank.owner && state == Some(MemberState::Quarantined)
    })
}
