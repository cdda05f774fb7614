//! Plans opinions, disputes, and holds for one member. They are stored in the records of items; the effects
//! of a bank's charter on them are decided when a record is put.

use std::collections::BTreeMap;

use prost::Message as _;
use vigie_access::Who;
use vigie_consortium::{
    Classification, Dispute, DocumentKey, DocumentKind, FloodLift, Holder, ItemPlace, ItemRecord, MemberHold,
    Opinion, OpinionReason, OpinionWords, Resolution,
};
use vigie_model::{BankId, ItemId, MemberId, Sequence, UnixMillis};
use vigie_proto::pb::bank::v1 as pb_bank;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::model::v1 as pb_model;
use vigie_statistics::Measure;

use super::counters::{Of, of_opinion, of_resolution};
use super::opinion_write::{NewOpinion, OpinionAction};
use crate::error::Error;
use crate::plan::Planner;
use crate::plan::answer::Answer;
use crate::plan::write::{Author, Write};
use crate::store::{Placement, to_model};

/// The sequence of an opinion whose change has no sequence yet: each item of a request has a change of its
/// own.
const UNSET: Sequence = Sequence(u64::MAX);

impl Planner<'_> {
    pub(in crate::plan) fn change_opinions(
        &mut self,
        write: &Write,
        asked: &OpinionAction,
    ) -> Result<Answer, Error> {
        match asked {
            OpinionAction::Put(opinions) => self.put_opinions(write.by, opinions),
            OpinionAction::Withdraw(items) => self.withdraw_opinions(write.by, items),
            OpinionAction::Resolve { item, resolution, classification } => {
                self.resolve_dispute(write, *item, *resolution, classification.as_ref())
            }
            OpinionAction::HoldHere { items, held } => {
                let Who { member, .. } = self.who(write.by);
                let member = member.ok_or(Error::Broken)?;
                let here: Vec<_> = items.iter().map(|item| (member, *item)).collect();
                for item in items {
                    self.word_on(write.by, *item)?;
                }
                self.hold_here(&here, *held)
            }
            OpinionAction::Flooded { floods, window_ms } => {
                write.by.admitted(&self.state.view, self.now())?;
                self.hold_flooded(floods, *window_ms)
            }
        }
    }

    pub(in crate::plan) fn put_opinions(
        &mut self,
        by: Author,
        opinions: &[NewOpinion],
    ) -> Result<Answer, Error> {
        let at = self.now();
        let mut changed: BTreeMap<ItemId, (Placement, ItemRecord)> = BTreeMap::new();
        let mut counted = Vec::new();
        for new in opinions {
            let (member, placement) = self.word_on(by, new.item)?;
            if let Some(class) = &new.words.proposed {
                let bank = self.state.view.directory().bank(placement.bank).ok_or(Error::Broken)?;
                class.check(bank.charter.taxonomies()).map_err(Error::Class)?;
            }
            let (_, record) =
                changed.entry(new.item).or_insert_with(|| (placement, self.record_of(&placement)));
            let NewOpinion { hash, kind, words, .. } = new;
            let (hash, kind, words) = (*hash, *kind, words.clone());
            let opinion = Opinion {
                member,
                hash,
                of_programme: false,
                kind: Some(kind),
                words: words.clone(),
                at,
                sequence: UNSET,
            };
            let opinions = record.opinions.with(opinion).map_err(|_| Error::TooManyOpinions(new.item))?;
            if opinions != record.opinions {
                let of = Of::member_and_bank(member, placement.bank);
                counted.push((of.clone(), of_opinion(kind)));
                if words.reason == Some(OpinionReason::AppealUpheld) {
                    counted.push((of, Measure::AppealsUpheld));
                }
            }
            record.opinions = opinions;
        }
        counted.iter().try_for_each(|(of, what)| self.count_up(of, *what, 1))?;
        self.put_all(changed)
    }

    fn withdraw_opinions(&mut self, by: Author, items: &[ItemId]) -> Result<Answer, Error> {
        let at = self.now();
        let mut changed = BTreeMap::new();
        for item in items {
            let (member, placement) = self.word_on(by, *item)?;
            let mut record = self.record_of(&placement);
            // Opinions from programmes' records are not this member's to withdraw.
            let own = record.opinions.iter().filter(|one| one.member == member && !one.of_programme);
            let own: Vec<Opinion> = own.cloned().collect();
            for opinion in own.into_iter().filter(|one| one.kind.is_some()) {
                let taken_back =
                    Opinion { kind: None, words: OpinionWords::default(), at, sequence: UNSET, ..opinion };
                record.opinions =
                    record.opinions.with(taken_back).map_err(|_| Error::TooManyOpinions(*item))?;
            }
            changed.insert(*item, (placement, record));
        }
        self.put_all(changed)
    }

    fn resolve_dispute(
        &mut self,
        write: &Write,
        item: ItemId,
        resolution: Resolution,
        classification: Option<&Classification>,
    ) -> Result<Answer, Error> {
        let (member, placement) = self.word_on(write.by, item)?;
        let mut record = self.record_of(&placement);
        let dispute = record.dispute.ok_or(Error::NoDispute(item))?;
        if let Some(classification) = classification {
            let bank = self.state.view.directory().bank(placement.bank).ok_or(Error::Broken)?;
            record.details.classification = classification.clone();
            record.details.check(bank.charter.taxonomies()).map_err(Error::Class)?;
        }
        let at = self.now();
        if resolution == Resolution::Removed {
            self.check_removals(write, BTreeMap::from([(placement.bank, 1)]))?;
            self.remove_item(&placement, member)?;
        } else {
            record.resolved = Some((resolution, at));
            record.dispute = None;
            record.holds = record.holds.without(Holder::Charter);
            self.put_record(item, placement.bank, record)?;
            self.note_resolved(item, placement.bank, &dispute, resolution)?;
        }
        Ok(Answer::Noted { changed: 1, sequence: to_model(self.draft.last()) })
    }

    /// Holds items for these members, or lifts these holds. A hold that exists stays unchanged.
    fn hold_here(&mut self, here: &[(MemberId, ItemId)], held: bool) -> Result<Answer, Error> {
        let at = self.now();
        self.change_holds(here, |record, member, _| match (place_of(record, member), held) {
            (Err(place), true) => {
                record.held_for.insert(place, MemberHold { member, since: at, flooded: false });
            }
            (Ok(place), false) => {
                if record.held_for.remove(place).flooded {
                    record.note_flood_lift(FloodLift { member, at });
                }
            }
            (Ok(_), true) | (Err(_), false) => {}
        })
    }

    /// Holds items for members at which they flood, except for members that lifted such a hold within the
    /// window.
    fn hold_flooded(&mut self, floods: &[(MemberId, ItemId)], window_ms: u64) -> Result<Answer, Error> {
        let since = self.now();
        let mut held = Vec::new();
        let answer = self.change_holds(floods, |record, member, item| match place_of(record, member) {
            Err(place) if record.may_flood(member, window_ms, since) => {
                record.held_for.insert(place, MemberHold { member, since, flooded: true });
                held.push((member, item));
            }
            Err(_) => {}
            Ok(_) => held.push((member, item)),
        })?;
        let Answer::Noted { sequence, .. } = answer else { return Err(Error::Broken) };
        Ok(Answer::FloodsHeld { held, sequence })
    }

    /// Changes the holds of items for members. Skips items that no longer exist.
    fn change_holds(
        &mut self,
        here: &[(MemberId, ItemId)],
        mut change: impl FnMut(&mut ItemRecord, MemberId, ItemId),
    ) -> Result<Answer, Error> {
        let mut changed: BTreeMap<ItemId, (Placement, ItemRecord)> = BTreeMap::new();
        for (member, item) in here {
            let Some(placement) = self.living(*item) else { continue };
            let (_, record) = changed.entry(*item).or_insert_with(|| (placement, self.record_of(&placement)));
            change(record, *member, *item);
        }
        self.put_all(changed)
    }

    fn put_all(&mut self, changed: BTreeMap<ItemId, (Placement, ItemRecord)>) -> Result<Answer, Error> {
        let mut count = 0;
        for (placement, mut record) in changed.into_values() {
            record.opinions = record.opinions.numbered(UNSET, to_model(self.draft.last().next()));
            count += u32::from(self.put_if_new(&placement, record)?);
        }
        Ok(Answer::Noted { changed: count, sequence: to_model(self.draft.last()) })
    }

    /// Returns the member that gives an opinion on an item or changes one, and the item's placement.
    pub(in crate::plan) fn word_on(&self, by: Author, item: ItemId) -> Result<(MemberId, Placement), Error> {
        let placement = self.living(item);
        let place = placement.map(|of| ItemPlace { bank: of.bank, contributor: of.contributor });
        let member = by.admitted(&self.state.view, self.now())?.word_on(item, place)?;
        Ok((member, placement.ok_or(Error::Broken)?))
    }

    /// Updates the documents that depend on an item's disputes and holds, after its record changed. `None` is
    /// no record before, or a removed item after.
    pub(in crate::plan) fn note_disputes(
        &mut self,
        item: ItemId,
        bank: BankId,
        before: Option<&ItemRecord>,
        after: Option<&ItemRecord>,
    ) -> Result<(), Error> {
        let dispute = |record: Option<&ItemRecord>| record.and_then(|record| record.dispute);
        let (was_open, is_open) = (dispute(before), dispute(after));
        if was_open != is_open {
            if let Some(dispute) = was_open {
                self.take_document(DocumentKind::OpenDispute, open_key(&dispute, item))?;
            }
            if let Some(dispute) = is_open {
                let payload = stored_dispute(item, bank, &dispute, None);
                self.put_document(DocumentKind::OpenDispute, open_key(&dispute, item), payload)?;
            }
        }
        if let (Some(dispute), None) = (was_open, after) {
            self.note_resolved(item, bank, &dispute, Resolution::Removed)?;
        }
        let held = |record: Option<&ItemRecord>| record.map_or(Vec::new(), |record| record.held_for.clone());
        let (was_held, is_held) = (held(before), held(after));
        for hold in was_held.iter().filter(|hold| !is_held.contains(hold)) {
            self.take_document(DocumentKind::MemberHold, hold_key(hold.member, item))?;
        }
        for hold in is_held.iter().filter(|hold| !was_held.contains(hold)) {
            let held = pb_bank::MemberHold::from(*hold);
            let payload = pb::StoredMemberHold {
                bank_id: bank.0,
                since_unix_ms: held.since_unix_ms,
                flooded: held.flooded,
            };
            let key = hold_key(hold.member, item);
            self.put_document(DocumentKind::MemberHold, key, payload.encode_to_vec())?;
        }
        Ok(())
    }

    fn note_resolved(
        &mut self,
        item: ItemId,
        bank: BankId,
        dispute: &Dispute,
        resolution: Resolution,
    ) -> Result<(), Error> {
        let at = self.now();
        let payload = stored_dispute(item, bank, dispute, Some((resolution, at)));
        self.count_up(&Of::bank(bank), of_resolution(resolution), 1)?;
        self.put_document(DocumentKind::ResolvedDispute, DocumentKey::of_numbers(&[at.0, item.0]), payload)
    }
}

/// Returns the index of the hold for a member, or the index at which to insert one.
fn place_of(record: &ItemRecord, member: MemberId) -> Result<usize, usize> {
    record.held_for.binary_search_by_key(&member, |hold| hold.member)
}

fn open_key(dispute: &Dispute, item: ItemId) -> DocumentKey {
    DocumentKey::of_numbers(&[dispute.due_at.0, item.0])
}

fn hold_key(member: MemberId, item: ItemId) -> DocumentKey {
    DocumentKey::of_numbers(&[member.0.into(), item.0])
}

fn stored_dispute(
    item: ItemId,
    bank: BankId,
    dispute: &Dispute,
    resolved: Option<(Resolution, UnixMillis)>,
) -> Vec<u8> {
    let message = pb::StoredDispute {
        item_id: item.0,
        bank_id: bank.0,
        opened_at_unix_ms: dispute.opened_at.0,
        due_at_unix_ms: dispute.due_at.0,
        opened_by_member_id: dispute.opened_by.0,
        resolution: resolved
            .map_or(pb_model::Resolution::Unspecified, |(resolution, _)| resolution.into())
            .into(),
        resolved_at_unix_ms: resolved.map_or(0, |(_, at)| at.0),
    };
    message.encode_to_vec()
}
