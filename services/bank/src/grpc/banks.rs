//! The bank service: converts names to ids, and answers only what the caller may see.

use std::collections::HashMap;

use tonic::{Request, Response, Status};
use vigie_consortium::rights::{ItemView, ListedBanks};
use vigie_consortium::{Admitted, Expiry, ItemPlace, ItemRecord, Submission, View};
use vigie_model::{Bank, BankId, Item, ItemId, LogHead};
use vigie_proto::Invalid;
use vigie_proto::bank::{
    answered_submission, contributed_items, details_of, item_ids, labels_of, match_ratio, name,
    optional_match_ratio, origin_of, page_size,
};
use vigie_proto::consortium::bank_ref;
use vigie_proto::pb::bank::v1 as pb;
use vigie_serving::Answers;

use super::opinions::{dispute_of, facts_of};
use super::page::{PAGE_BYTES_MAX, WHOLE_PAGE_BYTES_MAX, first_of, room_of};
use super::{BankGrpc, Reading, name_of_member, refused};
use crate::error::Error;
use crate::plan::answer::Answer;
use crate::plan::write::{Action, Holding};
use crate::store::{FoundPage, ItemRows, ItemSearch, Undo};

/// The most items that one page of a search without an index reads; they take some tens of milliseconds.
const FIND_READ_MAX: u32 = 100_000;
/// The most bytes of these items; 100,000 pictures have a quarter of this.
const FIND_READ_BYTES_MAX: u64 = 64 << 20;

/// Returns a bank as the caller sees it, under the caller's name for it; `None` if the caller does not see
/// it.
fn shown(view: &View, admitted: &Admitted<'_>, now: vigie_model::UnixMillis, bank: Bank) -> Option<pb::Bank> {
    let owned = view.directory().bank(bank.id)?;
    let name = match admitted.member() {
        Some(member) => view.name_for(member.id, owned, now)?.to_string(),
        None => bank.name.to_string(),
    };
    let owner = view.directory().member(bank.owner)?.name.to_string();
    Some(pb::Bank { name, owner, ..bank.into() })
}

/// Adds an item's details, and the origin of its first submission, from its record.
pub(super) fn describe(content: &mut pb::ItemContent, record: &ItemRecord) {
    content.details = (!record.details.is_empty()).then(|| record.details.clone().into());
    let origin = record.submissions.first().map(|first| first.origin.clone());
    content.origin = origin.filter(|origin| !origin.is_empty()).map(Into::into);
}

/// Returns the ids of the banks of a list.
fn ids(view: &View, banks: &ListedBanks) -> Vec<BankId> {
    match banks {
        ListedBanks::Every => view.directory().banks().iter().map(|bank| bank.id).collect(),
        ListedBanks::Only(banks) => banks.iter().collect(),
    }
}

/// Reads from a request whether a caller holds items, and until when, or lifts its holds.
fn holding(message: &pb::SetItemHoldRequest) -> Result<Holding, Status> {
    match (message.held, message.until_unix_ms) {
        (true, until) => Ok(Holding::Held(Expiry::from_wire(until))),
        (false, 0) => Ok(Holding::Lifted),
        (false, _) => Err(Invalid::new("until_unix_ms", "is given, and `held` is not set").into()),
    }
}

impl BankGrpc {
    /// Writes a change of a bank, and returns the bank as the author sees it.
    async fn write_bank<T>(
        &self,
        request: Request<T>,
        action: impl FnOnce(&T) -> Result<Action, Status>,
        key: impl FnOnce(T) -> String,
    ) -> Result<(Option<pb::Bank>, u64), Status> {
        let (called, answer) = self.write(request, action, key).await?;
        let Answer::Bank { bank, sequence } = answer else { return Err(Error::Broken.into()) };
        let view = called.view()?;
        let admitted = called.admitted(&view)?;
        let bank = match shown(&view, &admitted, called.now(), bank.clone()) {
            Some(shown) => shown,
            // The bank was deleted since, or the answer was recorded before its deletion.
            None => bank.into(),
        };
        Ok((Some(bank), sequence.0))
    }
}

#[tonic::async_trait]
impl pb::bank_service_server::BankService for BankGrpc {
    async fn create_bank(
        &self,
        request: Request<pb::CreateBankRequest>,
    ) -> Result<Response<pb::CreateBankResponse>, Status> {
        let action = |message: &pb::CreateBankRequest| {
            let match_ratio = optional_match_ratio(message.match_ratio)?;
            Ok(Action::CreateBank { name: bank_ref("name", &message.name)?, match_ratio })
        };
        let (bank, sequence) = self.write_bank(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::CreateBankResponse { bank, sequence }))
    }

    async fn get_bank(
        &self,
        request: Request<pb::GetBankRequest>,
    ) -> Result<Response<pb::GetBankResponse>, Status> {
        let reading = self.reading(&request)?;
        let name = bank_ref("name", &request.get_ref().name)?;
        let admitted = reading.admitted()?;
        let id = admitted.bank(&name).map_err(refused)?.id;
        let found = reading.read(reading.store.banks(&[id])).await?;
        let bank = found.value.into_iter().next();
        let bank = bank.and_then(|bank| shown(&reading.view, &admitted, reading.called.now(), bank));
        let bank = bank.ok_or_else(|| Error::bank_not_found(name))?;
        Ok(Response::new(pb::GetBankResponse { bank: Some(bank), sequence: found.sequence.0 }))
    }

    async fn list_banks(
        &self,
        request: Request<pb::ListBanksRequest>,
    ) -> Result<Response<pb::ListBanksResponse>, Status> {
        let reading = self.reading(&request)?;
        let message = request.into_inner();
        let limit = page_size(message.page_size)?;
        let admitted = reading.admitted()?;
        let visible = ids(&reading.view, &admitted.banks().map_err(refused)?);
        let after = visible.into_iter().filter(|id| id.0 > message.after_id);
        let page: Vec<BankId> = after.take(limit.into()).collect();
        let found = reading.read(reading.store.banks(&page)).await?;
        let now = reading.called.now();
        let banks = found.value.into_iter().filter_map(|bank| shown(&reading.view, &admitted, now, bank));
        Ok(Response::new(pb::ListBanksResponse { banks: banks.collect(), sequence: found.sequence.0 }))
    }

    async fn rename_bank(
        &self,
        request: Request<pb::RenameBankRequest>,
    ) -> Result<Response<pb::RenameBankResponse>, Status> {
        let action = |message: &pb::RenameBankRequest| {
            let (name, new_name) = (bank_ref("name", &message.name)?, name("new_name", &message.new_name)?);
            Ok(Action::RenameBank { name, new_name })
        };
        let (bank, sequence) = self.write_bank(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::RenameBankResponse { bank, sequence }))
    }

    async fn set_bank_enabled(
        &self,
        request: Request<pb::SetBankEnabledRequest>,
    ) -> Result<Response<pb::SetBankEnabledResponse>, Status> {
        let action = |message: &pb::SetBankEnabledRequest| {
            Ok(Action::SetBankEnabled { name: bank_ref("name", &message.name)?, enabled: message.enabled })
        };
        let (bank, sequence) = self.write_bank(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::SetBankEnabledResponse { bank, sequence }))
    }

    async fn set_bank_match_ratio(
        &self,
        request: Request<pb::SetBankMatchRatioRequest>,
    ) -> Result<Response<pb::SetBankMatchRatioResponse>, Status> {
        let action = |message: &pb::SetBankMatchRatioRequest| {
            let (name, ratio) = (bank_ref("name", &message.name)?, match_ratio("ratio", message.ratio)?);
            Ok(Action::SetBankMatchRatio { name, ratio })
        };
        let (bank, sequence) = self.write_bank(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::SetBankMatchRatioResponse { bank, sequence }))
    }

    async fn delete_bank(
        &self,
        request: Request<pb::DeleteBankRequest>,
    ) -> Result<Response<pb::DeleteBankResponse>, Status> {
        let action = |message: &pb::DeleteBankRequest| {
            Ok(Action::DeleteBank { name: bank_ref("name", &message.name)? })
        };
        let (_, answer) = self.write(request, action, |message| message.idempotency_key).await?;
        let Answer::BankDeleted { sequence, item_count } = answer else { return Err(Error::Broken.into()) };
        Ok(Response::new(pb::DeleteBankResponse { sequence: sequence.0, item_count }))
    }

    async fn add_items(
        &self,
        request: Request<pb::AddItemsRequest>,
    ) -> Result<Response<pb::AddItemsResponse>, Status> {
        let (metadata, extensions, mut message) = request.into_parts();
        let items = contributed_items(std::mem::take(&mut message.items))?;
        let request = Request::from_parts(metadata, extensions, message);
        let action = move |message: &pb::AddItemsRequest| {
            Ok(Action::AddItems { bank: bank_ref("bank", &message.bank)?, items })
        };
        let (_, answer) = self.write(request, action, |message| message.idempotency_key).await?;
        let Answer::ItemsAdded { items, known, sequence } = answer else { return Err(Error::Broken.into()) };
        let item_ids = items.into_iter().map(|item| item.0).collect();
        Ok(Response::new(pb::AddItemsResponse { item_ids, sequence: sequence.0, known_count: known }))
    }

    async fn get_item(
        &self,
        request: Request<pb::GetItemRequest>,
    ) -> Result<Response<pb::GetItemResponse>, Status> {
        let reading = self.reading(&request)?;
        let id = ItemId(request.get_ref().item_id);
        let found = reading.read(reading.store.item(id)).await?;
        let admitted = reading.admitted()?;
        let place = found.value.as_ref();
        let place = place.map(|item| ItemPlace { bank: item.bank, contributor: item.contributor });
        let item_view = admitted.item(id, place).map_err(refused)?;
        let item = found.value.ok_or(Error::Broken)?;
        let bank = reading.bank_name(&admitted, item.bank).ok_or_else(|| Error::item_not_found(id))?;
        let contributor = name_of_member(reading.view.directory(), item.contributor);
        if item_view == ItemView::Whole {
            self.record_read(&reading, [(id, item.bank)]).await?;
        }
        let mut item = reading.with_records(vec![item]).await?.pop().ok_or(Error::Broken)?;
        if item_view == ItemView::WithoutHashes
            && let Some(content) = &mut item.content
        {
            content.hashes.clear();
        }
        let sequence = found.sequence.0;
        Ok(Response::new(pb::GetItemResponse { item: Some(item), bank, sequence, contributor }))
    }

    async fn list_items(
        &self,
        request: Request<pb::ListItemsRequest>,
    ) -> Result<Response<pb::ListItemsResponse>, Status> {
        let reading = self.reading(&request)?;
        let answers = Answers::of(&request);
        let message = request.into_inner();
        let (name, limit) = (bank_ref("bank", &message.bank)?, page_size(message.page_size)?);
        let bank = reading.admitted()?.bank(&name).map_err(refused)?.id;
        // A caller that does not know the flag would take a truncated page for the last one.
        let bytes_max = if message.may_truncate { PAGE_BYTES_MAX } else { WHOLE_PAGE_BYTES_MAX };
        // Memory is reserved before the read: the page is truncated only when its items are known.
        let mut room = answers.room(room_of(limit, bytes_max), reading.deadline).await?;
        let bounds = (limit, bytes_max);
        let page = reading.read(reading.store.items(bank, ItemId(message.after_id), bounds)).await?;
        let ItemRows { items, is_cut } = page.value.ok_or_else(|| Error::bank_not_found(name))?;
        let is_short = is_cut && items.len() < usize::from(limit);
        let items = reading.with_records(items).await?;
        let (items, bytes, is_cut) = first_of(items.into_iter(), bytes_max);
        let truncated = is_short || is_cut;
        if truncated && !message.may_truncate {
            let reason = format!(
                "asks for items of more than {bytes_max} bytes together; ask for fewer, or set may_truncate"
            );
            return Err(Invalid::new("page_size", reason).into());
        }
        self.record_read(&reading, items.iter().map(|item| (ItemId(item.id), bank))).await?;
        room.shrink(bytes);
        answers.send(room);
        Ok(Response::new(pb::ListItemsResponse { items, sequence: page.sequence.0, truncated }))
    }

    async fn find_items(
        &self,
        request: Request<pb::FindItemsRequest>,
    ) -> Result<Response<pb::FindItemsResponse>, Status> {
        let reading = self.reading(&request)?;
        let message = request.get_ref();
        let query = vigie_proto::bank::ItemQuery::try_from(message)?;
        let admitted = reading.admitted()?;
        let banks = match &query.bank {
            Some(name) => Some(vec![admitted.bank(name).map_err(refused)?.id]),
            None => match admitted.banks().map_err(refused)? {
                ListedBanks::Every => None,
                ListedBanks::Only(banks) if reading.sees_all(&banks) => None,
                ListedBanks::Only(banks) => Some(banks.iter().collect()),
            },
        };
        let search = ItemSearch {
            query,
            banks,
            after: ItemId(message.after_id),
            found_max: page_size(message.page_size)?,
            found_bytes_max: PAGE_BYTES_MAX,
            read_max: FIND_READ_MAX,
            read_bytes_max: FIND_READ_BYTES_MAX,
        };
        let page = reading.read(reading.store.find_items(&search)).await?;
        let FoundPage { items, next_after, read } = page.value;
        self.record_read(&reading, items.iter().map(|item| (item.id, item.bank))).await?;
        let items = reading.with_records(items).await?;
        let found = |item: pb::Item| {
            let bank = reading.bank_name(&admitted, BankId(item.bank_id))?;
            Some(pb::FoundItem { item: Some(item), bank })
        };
        Ok(Response::new(pb::FindItemsResponse {
            items: items.into_iter().filter_map(found).collect(),
            next_after_id: next_after.map_or(0, |item| item.0),
            read_count: read,
            sequence: page.sequence.0,
        }))
    }

    async fn update_item(
        &self,
        request: Request<pb::UpdateItemRequest>,
    ) -> Result<Response<pb::UpdateItemResponse>, Status> {
        let action = |message: &pb::UpdateItemRequest| {
            let item = ItemId(message.item_id);
            let details = message.details.clone().map(|details| details_of("details", details));
            let labels = message.labels.clone().map(|labels| labels_of("labels", labels));
            let (details, labels) = (details.transpose()?.map(Box::new), labels.transpose()?);
            if details.is_none() && labels.is_none() {
                let why = "are missing, and so are the labels: name what is to change";
                return Err(Invalid::new("details", why).into());
            }
            Ok(Action::UpdateItem { item, details, labels })
        };
        let (_, answer) = self.write(request, action, |message| message.idempotency_key).await?;
        let Answer::ItemUpdated { sequence, .. } = answer else { return Err(Error::Broken.into()) };
        Ok(Response::new(pb::UpdateItemResponse { sequence: sequence.0 }))
    }

    async fn restore_items(
        &self,
        request: Request<pb::RestoreItemsRequest>,
    ) -> Result<Response<pb::RestoreItemsResponse>, Status> {
        let action = |message: &pb::RestoreItemsRequest| {
            Ok(Action::RestoreItems { items: item_ids(message.item_ids.clone())? })
        };
        let (_, answer) = self.write(request, action, |message| message.idempotency_key).await?;
        let Answer::ItemsAdded { items, sequence, known: _ } = answer else {
            return Err(Error::Broken.into());
        };
        let item_ids = items.into_iter().map(|item| item.0).collect();
        Ok(Response::new(pb::RestoreItemsResponse { item_ids, sequence: sequence.0 }))
    }

    async fn set_item_hold(
        &self,
        request: Request<pb::SetItemHoldRequest>,
    ) -> Result<Response<pb::SetItemHoldResponse>, Status> {
        let action = |message: &pb::SetItemHoldRequest| {
            let holding = holding(message)?;
            Ok(Action::SetItemHold { items: item_ids(message.item_ids.clone())?, holding })
        };
        let (_, answer) = self.write(request, action, |message| message.idempotency_key).await?;
        let Answer::HoldsSet { held, sequence } = answer else { return Err(Error::Broken.into()) };
        Ok(Response::new(pb::SetItemHoldResponse { held_count: held, sequence: sequence.0 }))
    }

    async fn list_removed_items(
        &self,
        request: Request<pb::ListRemovedItemsRequest>,
    ) -> Result<Response<pb::ListRemovedItemsResponse>, Status> {
        let reading = self.reading(&request)?;
        let message = request.get_ref();
        let (name, limit) = (bank_ref("bank", &message.bank)?, page_size(message.page_size)?);
        let bank = reading.admitted()?.bank(&name).map_err(refused)?.id;
        let after = ItemId(message.after_id);
        let removed = reading.read(reading.store.undos_of(bank, after, limit)).await?;
        let directory = reading.view.directory();
        let shown = |undo: Undo| pb::RemovedItem {
            item_id: undo.item.0,
            removed_at_unix_ms: undo.removed_at.0,
            removed_by: name_of_member(directory, undo.member),
            until_unix_ms: undo.until.0,
            submitted_at_unix_ms: undo
                .record
                .as_ref()
                .and_then(|record| record.submissions.first())
                .map_or(0, |first| first.at.0),
        };
        Ok(Response::new(pb::ListRemovedItemsResponse { items: removed.into_iter().map(shown).collect() }))
    }

    async fn remove_items(
        &self,
        request: Request<pb::RemoveItemsRequest>,
    ) -> Result<Response<pb::RemoveItemsResponse>, Status> {
        let action = |message: &pb::RemoveItemsRequest| {
            let origin = message.origin.clone().map(|origin| origin_of("origin", origin)).transpose()?;
            Ok(Action::RemoveItems { items: item_ids(message.item_ids.clone())?, origin: origin.flatten() })
        };
        let (_, answer) = self.write(request, action, |message| message.idempotency_key).await?;
        let Answer::ItemsRemoved { sequence } = answer else { return Err(Error::Broken.into()) };
        Ok(Response::new(pb::RemoveItemsResponse { sequence: sequence.0 }))
    }

    async fn read_bank_changes(
        &self,
        request: Request<pb::ReadBankChangesRequest>,
    ) -> Result<Response<pb::ReadBankChangesResponse>, Status> {
        self.changes_page(request).await
    }

    async fn read_published_list(
        &self,
        request: Request<pb::ReadPublishedListRequest>,
    ) -> Result<Response<pb::ReadPublishedListResponse>, Status> {
        self.list_page(request).await
    }

    async fn get_log_head(
        &self,
        request: Request<pb::GetLogHeadRequest>,
    ) -> Result<Response<pb::GetLogHeadResponse>, Status> {
        let reading = self.reading(&request)?;
        let head: LogHead = reading.read(reading.store.head_row()).await?.into();
        let admitted = reading.admitted()?;
        let head = match admitted.banks().map_err(refused)? {
            ListedBanks::Every => head,
            ListedBanks::Only(banks) if reading.sees_all(&banks) => head,
            // The counts of the banks that the caller sees.
            ListedBanks::Only(banks) => {
                let ids: Vec<BankId> = banks.iter().collect();
                let banks = reading.read(reading.store.banks(&ids)).await?.value;
                LogHead {
                    banks: banks.len() as u64,
                    items: banks.iter().map(|bank| bank.item_count).sum(),
                    hashes: banks.iter().map(|bank| bank.hash_count).sum(),
                    ..head
                }
            }
        };
        Ok(Response::new(head.into()))
    }
}

impl Reading {
    /// Returns the caller's name for a bank; `None` if the caller does not see it.
    fn bank_name(&self, admitted: &Admitted<'_>, bank: BankId) -> Option<String> {
        let owned = self.view.directory().bank(bank)?;
        let name = match admitted.member() {
            Some(member) => self.view.name_for(member.id, owned, self.called.now())?,
            None => owned.name.clone().into(),
        };
        Some(name.to_string())
    }

    /// Converts items, adding the data of their records.
    async fn with_records(&self, items: Vec<Item>) -> Result<Vec<pb::Item>, Status> {
        let ids: Vec<ItemId> = items.iter().map(|item| item.id).collect();
        let caller = self.admitted()?.member().map(|member| member.id);
        let records = self.read(self.store.records(&ids)).await?;
        let mut records: HashMap<_, _> = records.into_iter().map(|set| (set.item, set.record)).collect();
        let with_record = |item: Item| {
            let record = records.remove(&item.id);
            let mut item = pb::Item::from(item);
            if let (Some(record), Some(content)) = (record, &mut item.content) {
                describe(content, &record);
                let name_of = |member| self.view.directory().member(member).map(|member| &member.name);
                let answered = |submission: Submission| {
                    let member = name_of(submission.member);
                    answered_submission(submission, member)
                };
                item.holds = record.holds.iter().map(Into::into).collect();
                item.facts = facts_of(&record, caller);
                item.dispute = dispute_of(&record);
                item.submissions = record.submissions.into_iter().map(answered).collect();
            }
            item
        };
        Ok(items.into_iter().map(with_record).collect())
    }

    /// Returns whether these are all banks.
    fn sees_all(&self, banks: &vigie_model::BankSet) -> bool {
        banks.len() == self.view.directory().banks().len()
    }
}
