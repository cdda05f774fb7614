//! The service of opinions and disputes.

use std::collections::HashMap;

use prost::Message;
use tonic::{Request, Response, Status};
use vigie_consortium::{
    Classification, DocumentKey, DocumentKind, FloodLift, ItemRecord, MemberId, Opinion, OpinionWords, Text,
};
use vigie_log::Sequence;
use vigie_model::{BankId, Hash, ItemId, OpinionKind};
use vigie_proto::Invalid;
use vigie_proto::bank::{
    answered_hash, class, item_ids, opinion_reason, page_size, reason_to_wire, resolution,
};
use vigie_proto::consortium::bank_ref;
use vigie_proto::pb::bank::v1 as pb_bank;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::model::v1 as pb_model;

use super::page::{PAGE_BYTES_MAX, room_of};
use super::{BankGrpc, Reading, name_of_member, refused};
use crate::error::Error;
use crate::plan::answer::Answer;
use crate::plan::beside::opinion_write::{NewOpinion, OpinionAction, OpinionWrite};
use crate::plan::write::Action;
use crate::store::changes::{ChangedState, ChangesQuery, Start};
use crate::store::documents::DocumentRange;

/// The window in which the matches of a flood were counted, in milliseconds, if the frontend names none.
const FLOOD_WINDOW_MS: u64 = 600_000;
/// The most opinions or floods of one request.
const COUNT_MAX: usize = vigie_proto::bank::WRITE_ITEMS_MAX;

impl BankGrpc {
    /// Writes opinions, outcomes or holds for one member. Returns the number of changed items, and the last
    /// change.
    async fn write_opinions<T: Message>(
        &self,
        request: Request<T>,
        action: OpinionAction,
        key: impl FnOnce(T) -> String,
    ) -> Result<(u32, u64), Status> {
        let answer = self.write_action(request, action, key).await?;
        let Answer::Noted { changed, sequence } = answer else { return Err(Error::Broken.into()) };
        Ok((changed, sequence.0))
    }

    async fn write_action<T: Message>(
        &self,
        request: Request<T>,
        action: OpinionAction,
        key: impl FnOnce(T) -> String,
    ) -> Result<Answer, Status> {
        let action = |message: &T| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(std::any::type_name::<T>().as_bytes()).update(&message.encode_to_vec());
            Ok(Action::Opinions(OpinionWrite { action, request_digest: hasher.finalize().into() }))
        };
        let (_, answer) = self.write(request, action, key).await?;
        Ok(answer)
    }

    /// Converts the opinions of a request, and finds the index of each hash in its item.
    async fn opinions_of(
        &self,
        request: &Request<pb::PutOpinionsRequest>,
    ) -> Result<Vec<NewOpinion>, Status> {
        let messages = &request.get_ref().opinions;
        if !(1..=COUNT_MAX).contains(&messages.len()) {
            let reason = format!("has {} entries; it must have 1 to {COUNT_MAX}", messages.len());
            return Err(Invalid::new("opinions", reason).into());
        }
        let reading = self.reading(request)?;
        let mut hashes: HashMap<ItemId, Vec<Hash>> = HashMap::new();
        let mut opinions = Vec::with_capacity(messages.len());
        for (at, message) in messages.iter().enumerate() {
            let opinion =
                new_opinion(message).map_err(|invalid| invalid.within(format!("opinions[{at}]")))?;
            let hash = match &message.hash {
                None => None,
                Some(hash) => {
                    let within = |invalid: Invalid| invalid.within(format!("opinions[{at}]"));
                    let hash = answered_hash(hash.clone()).map_err(within)?;
                    Some(reading.place_of_hash(&mut hashes, opinion.item, &hash, at).await?)
                }
            };
            opinions.push(NewOpinion { hash, ..opinion });
        }
        Ok(opinions)
    }
}

/// Converts an opinion, without the index of its hash.
fn new_opinion(message: &pb::NewOpinion) -> Result<NewOpinion, Invalid> {
    let kind =
        vigie_proto::bank::opinion_kind("kind", message.kind)?.ok_or_else(|| Invalid::missing("kind"))?;
    let words = OpinionWords {
        reason: opinion_reason("reason", message.reason)?,
        disputes: message.disputes,
        proposed: message.proposed.as_ref().map(|given| class("proposed", given)).transpose()?,
        foreign: Text::new(&message.foreign_value).map_err(|error| Invalid::new("foreign_value", error))?,
    };
    if kind != OpinionKind::Negative && (words.reason.is_some() || words.disputes) {
        let field = if words.disputes { "disputes" } else { "reason" };
        return Err(Invalid::new(field, "goes with negative opinions alone"));
    }
    Ok(NewOpinion { item: ItemId(message.item_id), hash: None, kind, words })
}

impl Reading {
    /// Returns the index of a hash in an item. The plan decides whether the caller may give an opinion on the
    /// item at all; an item that the caller may not see has no hash for it either.
    async fn place_of_hash(
        &self,
        known: &mut HashMap<ItemId, Vec<Hash>>,
        item: ItemId,
        hash: &Hash,
        at: usize,
    ) -> Result<u8, Status> {
        if let std::collections::hash_map::Entry::Vacant(slot) = known.entry(item) {
            let found = self.read(self.store.item(item)).await?.value;
            let place = found.as_ref().map(|found| vigie_consortium::ItemPlace {
                bank: found.bank,
                contributor: found.contributor,
            });
            self.admitted()?.word_on(item, place).map_err(refused)?;
            slot.insert(found.map(|found| found.content.hashes().to_vec()).unwrap_or_default());
        }
        let place = known.get(&item).and_then(|hashes| hashes.binary_search(hash).ok());
        let place = place.and_then(|place| u8::try_from(place).ok());
        let field = format!("opinions[{at}].hash");
        Ok(place.ok_or_else(|| Invalid::new(field, "is no hash of the item"))?)
    }

    /// Returns the name of an opinion's member if the caller may know it: it is the caller's own member, or
    /// the member has agreed to be named.
    fn named(&self, caller: MemberId, member: MemberId) -> String {
        let directory = self.view.directory();
        let is_named = directory.member(member).is_some_and(|member| member.is_named);
        if caller == member || is_named { name_of_member(directory, member) } else { String::new() }
    }

    /// Returns the opinions on an item that the caller may see: all of them for the owner of the bank and for
    /// contributors of the item.
    ///
    /// Opinions from before the page's first change are included: if the item has changed otherwise since, it
    /// is in no earlier page.
    fn shown_opinions(
        &self,
        caller: MemberId,
        bank: BankId,
        (item, record): (ItemId, &ItemRecord),
        mine: bool,
    ) -> Vec<pb::Opinion> {
        let owner = self.view.directory().bank(bank).map(|bank| bank.owner);
        let sees_all = !mine && (owner == Some(caller) || record.is_of(caller));
        let is_shown = |opinion: &&Opinion| sees_all || opinion.member == caller;
        let shown = |opinion: &Opinion| pb::Opinion {
            item_id: item.0,
            hash: opinion.hash.map(u32::from),
            kind: pb_model::OpinionKind::from(opinion.kind).into(),
            reason: reason_to_wire(opinion.words.reason),
            disputes: opinion.words.disputes,
            proposed: opinion.words.proposed.clone().map(Into::into),
            foreign_value: opinion.words.foreign.to_string(),
            member: self.named(caller, opinion.member),
            at_unix_ms: opinion.at.0,
            sequence: opinion.sequence.0,
            of_programme: opinion.of_programme,
        };
        record.opinions.iter().filter(is_shown).map(shown).collect()
    }

    /// Returns a dispute as the caller sees it; `None` if neither the bank is the caller's nor the caller
    /// opened the dispute.
    fn shown_dispute(&self, caller: MemberId, stored: &pb::StoredDispute) -> Option<pb::Dispute> {
        let bank = self.view.directory().bank(BankId(stored.bank_id))?;
        let opened_by = MemberId(stored.opened_by_member_id);
        if bank.owner != caller && opened_by != caller {
            return None;
        }
        Some(pb::Dispute {
            item_id: stored.item_id,
            bank: self.view.name_for(caller, bank, self.called.now())?.to_string(),
            opened_at_unix_ms: stored.opened_at_unix_ms,
            due_at_unix_ms: stored.due_at_unix_ms,
            opened_by: self.named(caller, opened_by),
            resolution: stored.resolution,
            resolved_at_unix_ms: stored.resolved_at_unix_ms,
        })
    }

    /// Returns the member for whom the caller reads.
    pub(super) fn reader(&self) -> Result<MemberId, Status> {
        let member = self.admitted()?.member().map(|member| member.id);
        Ok(member.ok_or(Error::Broken)?)
    }
}

#[tonic::async_trait]
impl pb::opinion_service_server::OpinionService for BankGrpc {
    async fn put_opinions(
        &self,
        request: Request<pb::PutOpinionsRequest>,
    ) -> Result<Response<pb::PutOpinionsResponse>, Status> {
        let action = OpinionAction::Put(self.opinions_of(&request).await?);
        let (changed_count, sequence) =
            self.write_opinions(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::PutOpinionsResponse { changed_count, sequence }))
    }

    async fn withdraw_opinions(
        &self,
        request: Request<pb::WithdrawOpinionsRequest>,
    ) -> Result<Response<pb::WithdrawOpinionsResponse>, Status> {
        let action = OpinionAction::Withdraw(item_ids(request.get_ref().item_ids.clone())?);
        let (changed_count, sequence) =
            self.write_opinions(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::WithdrawOpinionsResponse { changed_count, sequence }))
    }

    async fn list_opinions(
        &self,
        request: Request<pb::ListOpinionsRequest>,
    ) -> Result<Response<pb::ListOpinionsResponse>, Status> {
        let reading = self.reading(&request)?;
        let answers = vigie_serving::Answers::of(&request);
        let message = request.into_inner();
        let (name, limit) = (bank_ref("bank", &message.bank)?, page_size(message.page_size)?);
        let bank = reading.admitted()?.bank(&name).map_err(refused)?.id;
        let caller = reading.reader()?;
        if message.item_id != 0 {
            let item = ItemId(message.item_id);
            let found = reading.read(reading.store.item(item)).await?;
            let is_here = found.value.is_some_and(|found| found.bank == bank);
            let records =
                if is_here { reading.read(reading.store.records(&[item])).await? } else { Vec::new() };
            let of_item = records.first().filter(|record| record.item == item);
            let shown =
                of_item.map(|of| reading.shown_opinions(caller, bank, (item, &of.record), message.mine));
            return Ok(Response::new(pb::ListOpinionsResponse {
                opinions: shown.unwrap_or_default(),
                sequence: found.sequence.0,
                ..Default::default()
            }));
        }
        let after = Sequence(message.after_sequence);
        let start = Start::After(after);
        let query = ChangesQuery { bank, start, through: None, count_max: limit, bytes_max: PAGE_BYTES_MAX };
        let mut room = answers.room(room_of(limit, PAGE_BYTES_MAX), reading.deadline).await?;
        let page = reading.read(reading.store.bank_changes(&query)).await?;
        let page = page.ok_or_else(|| Error::bank_not_found(name))?;
        if page.after > page.head {
            return Err(Error::CursorBeyondLog { head: page.head }.into());
        }
        let records: HashMap<ItemId, ItemRecord> =
            page.records.into_iter().map(|set| (set.item, set.record)).collect();
        let (mut opinions, mut bytes) = (Vec::new(), 0);
        let (mut through, mut has_more) = (page.through, page.has_more);
        for changed in page.items.iter().filter(|one| matches!(one.state, ChangedState::Living(_))) {
            let Some(record) = records.get(&changed.item) else { continue };
            let shown = reading.shown_opinions(caller, bank, (changed.item, record), message.mine);
            let more: usize = shown.iter().map(|opinion| opinion.encoded_len() + 5).sum();
            if bytes > 0 && bytes + more > PAGE_BYTES_MAX {
                // The next page begins with this item.
                (through, has_more) = (Sequence(changed.sequence.0 - 1), true);
                break;
            }
            bytes += more;
            opinions.extend(shown);
        }
        room.shrink(bytes);
        answers.send(room);
        Ok(Response::new(pb::ListOpinionsResponse {
            opinions,
            next_after_sequence: through.0,
            has_more,
            sequence: page.head.0,
        }))
    }

    async fn list_disputes(
        &self,
        request: Request<pb::ListDisputesRequest>,
    ) -> Result<Response<pb::ListDisputesResponse>, Status> {
        let reading = self.reading(&request)?;
        let message = request.get_ref();
        let limit = page_size(message.page_size)?;
        let kind = if message.resolved { DocumentKind::ResolvedDispute } else { DocumentKind::OpenDispute };
        let after = DocumentKey::new(&message.after_key).map_err(|error| Invalid::new("after_key", error))?;
        let caller = reading.reader()?;
        let range = DocumentRange { kind, after, before: None, limit };
        let documents = reading.read(reading.store.document_range(&range)).await?;
        let is_full = documents.len() == usize::from(limit);
        let next_key = documents.last().filter(|_| is_full).map(|last| last.key.as_bytes().to_vec());
        let stored = documents.iter().filter_map(|one| pb::StoredDispute::decode(&*one.payload).ok());
        let disputes = stored.filter_map(|stored| reading.shown_dispute(caller, &stored)).collect();
        Ok(Response::new(pb::ListDisputesResponse { disputes, next_key: next_key.unwrap_or_default() }))
    }

    async fn resolve_dispute(
        &self,
        request: Request<pb::ResolveDisputeRequest>,
    ) -> Result<Response<pb::ResolveDisputeResponse>, Status> {
        let message = request.get_ref();
        let outcome = resolution("resolution", message.resolution)?;
        let outcome = outcome.ok_or_else(|| Invalid::missing("resolution"))?;
        let is_reclassified = outcome == vigie_consortium::Resolution::Reclassified;
        if is_reclassified == message.classification.is_empty() {
            let reason = "goes with RESOLUTION_RECLASSIFIED, and with no other outcome";
            return Err(Invalid::new("classification", reason).into());
        }
        let classes = message.classification.iter().map(|given| class("classification", given));
        let classes = classes.collect::<Result<Vec<_>, _>>()?;
        let classification =
            Classification::new(classes).map_err(|error| Invalid::new("classification", error))?;
        let action = OpinionAction::Resolve {
            item: ItemId(message.item_id),
            resolution: outcome,
            classification: is_reclassified.then_some(classification),
        };
        let (_, sequence) = self.write_opinions(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::ResolveDisputeResponse { sequence }))
    }

    async fn set_member_hold(
        &self,
        request: Request<pb::SetMemberHoldRequest>,
    ) -> Result<Response<pb::SetMemberHoldResponse>, Status> {
        let message = request.get_ref();
        let (items, held) = (item_ids(message.item_ids.clone())?, message.held);
        let action = OpinionAction::HoldHere { items, held };
        let (changed_count, sequence) =
            self.write_opinions(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::SetMemberHoldResponse { changed_count, sequence }))
    }

    async fn list_member_holds(
        &self,
        request: Request<pb::ListMemberHoldsRequest>,
    ) -> Result<Response<pb::ListMemberHoldsResponse>, Status> {
        let reading = self.reading(&request)?;
        let (caller, after) = (reading.reader()?, request.get_ref().after_id);
        let range = DocumentRange {
            kind: DocumentKind::MemberHold,
            after: DocumentKey::of_numbers(&[caller.0.into(), after]),
            before: Some(DocumentKey::of_numbers(&[u64::from(caller.0) + 1])),
            limit: page_size(request.get_ref().page_size)?,
        };
        let documents = reading.read(reading.store.document_range(&range)).await?;
        let shown = documents.iter().filter_map(|document| {
            let stored = pb::StoredMemberHold::decode(&*document.payload).ok()?;
            let bank = reading.view.directory().bank(BankId(stored.bank_id))?;
            Some(pb::MemberHeldItem {
                item_id: document.key.number(1),
                bank: reading.view.name_for(caller, bank, reading.called.now())?.to_string(),
                since_unix_ms: stored.since_unix_ms,
                flooded: stored.flooded,
            })
        });
        Ok(Response::new(pb::ListMemberHoldsResponse { items: shown.collect() }))
    }

    async fn report_floods(
        &self,
        request: Request<pb::ReportFloodsRequest>,
    ) -> Result<Response<pb::ReportFloodsResponse>, Status> {
        let floods = &request.get_ref().floods;
        if !(1..=COUNT_MAX).contains(&floods.len()) {
            let reason = format!("has {} entries; it must have 1 to {COUNT_MAX}", floods.len());
            return Err(Invalid::new("floods", reason).into());
        }
        let floods = floods.iter().map(|flood| (MemberId(flood.member_id), ItemId(flood.item_id)));
        let window_ms = match u64::from(request.get_ref().window_ms) {
            0 => FLOOD_WINDOW_MS,
            window_ms if window_ms <= FloodLift::WINDOW_MS_MAX => window_ms,
            window_ms => {
                let reason = format!("is {window_ms}; it is at most {}", FloodLift::WINDOW_MS_MAX);
                return Err(Invalid::new("window_ms", reason).into());
            }
        };
        let action = OpinionAction::Flooded { floods: floods.collect(), window_ms };
        let answer = self.write_action(request, action, |_| String::new()).await?;
        let Answer::FloodsHeld { held, sequence } = answer else { return Err(Error::Broken.into()) };
        let flood = |(member, item): (MemberId, ItemId)| pb::Flood { member_id: member.0, item_id: item.0 };
        let held = held.into_iter().map(flood).collect();
        Ok(Response::new(pb::ReportFloodsResponse { sequence: sequence.0, held }))
    }
}

/// Returns the facts of an item as its reader sees them; `None` if the item has no standing.
pub(super) fn facts_of(record: &ItemRecord, caller: Option<MemberId>) -> Option<pb_model::Facts> {
    let standing = &record.standing;
    (!standing.is_none()).then(|| standing.facts(caller).into())
}

/// Returns the dispute about an item, for its readers.
pub(super) fn dispute_of(record: &ItemRecord) -> Option<pb_bank::ItemDispute> {
    let dispute = record.dispute?;
    Some(pb_bank::ItemDispute { opened_by_member_id: 0, ..dispute.into() })
}
