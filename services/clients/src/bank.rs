//! Client of the bank.

mod changes;
mod published;
mod items;
mod listing;

use tokio::time::Instant;
use vigie_consortium::{Expiry, ListChain, Origin};
use vigie_model::{BankId, BankName, BankRef, Item, ItemContent, ItemId, LogHead, MatchRatio, UnixMillis};
use vigie_net::{CallError, Channel, EndpointError, Network};
use vigie_proto::Invalid;
use vigie_proto::bank::ContributedItem;
use vigie_proto::consortium::bank_ref;
use vigie_proto::pb::bank::v1 as pb;
use vigie_proto::pb::bank::v1::bank_service_client::BankServiceClient;

pub use self::changes::{BankEntry, ChangesFrom, ChangesPage, EntryContent, EntryState};
use self::items::next_after;
pub use self::items::{
    AddedItems, DescribedItem, DescribedPage, FoundItems, ItemPage, ItemSearch, ItemUpdate, RemovedItem,
};
pub use self::listing::{BankLabel, BankListing};
pub use self::published::{ListEntry, ListPage, ListSays};
use crate::leading_bank::{IdempotencyKey, LeadingBank, Written, among_banks, call};

/// The most bytes of an answer: a page of items at their bounds.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// Calls the bank, or the serving one of several banks on one database. Every write carries an idempotency
/// key, so writes are retried within their deadline like reads.
#[derive(Debug, Clone)]
pub struct BankClient {
    bank: LeadingBank<BankServiceClient<Channel>>,
}

impl BankClient {
    /// Makes a client of the bank at `endpoint`, such as `http://127.0.0.1:7742`.
    pub fn new(endpoint: &str) -> Result<Self, EndpointError> {
        Self::new_on(endpoint, &Network::tcp())
    }

    /// Makes a client of the bank at `endpoint`, on another network.
    pub fn new_on(endpoint: &str, network: &Network) -> Result<Self, EndpointError> {
        Self::among(&[endpoint], network)
    }

    among_banks!(BankServiceClient, ANSWER_BYTES_MAX);

    /// Returns the endpoint of the bank that answered last, or the first one.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.bank.endpoint()
    }

    /// Creates an empty, enabled bank.
    pub async fn create_bank(
        &self,
        name: &impl BankLabel,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<BankListing>, CallError> {
        self.create_bank_with_ratio(name, MatchRatio::ALWAYS, key, deadline).await
    }

    /// Creates an empty, enabled bank, with a share of lookups in which it takes part.
    pub async fn create_bank_with_ratio(
        &self,
        name: &impl BankLabel,
        ratio: MatchRatio,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<BankListing>, CallError> {
        let request = pb::CreateBankRequest {
            name: name.to_string(),
            idempotency_key: key.into_text(),
            match_ratio: (ratio != MatchRatio::ALWAYS).then_some(ratio.get()),
        };
        let answer: pb::CreateBankResponse = call!(self, deadline, create_bank, CreateBank, request)?;
        self.bank_written(answer.bank, answer.sequence)
    }

    /// Reads a bank.
    pub async fn get_bank(
        &self,
        name: &impl BankLabel,
        deadline: Instant,
    ) -> Result<Written<BankListing>, CallError> {
        let request = pb::GetBankRequest { name: name.to_string() };
        let answer: pb::GetBankResponse = call!(self, deadline, get_bank, GetBank, request)?;
        self.bank_written(answer.bank, answer.sequence)
    }

    /// Lists up to `page_size` banks after `after`, by id.
    pub async fn list_banks(
        &self,
        after: Option<BankId>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<Written<Vec<BankListing>>, CallError> {
        let after_id = after.map_or(0, |bank| bank.0);
        let request = pb::ListBanksRequest { after_id, page_size: page_size.into() };
        let answer: pb::ListBanksResponse = call!(self, deadline, list_banks, ListBanks, request)?;
        let banks = answer.banks.into_iter().map(BankListing::try_from).collect::<Result<_, _>>();
        self.bank.written(banks, answer.sequence)
    }

    /// Renames a bank.
    pub async fn rename_bank(
        &self,
        name: &impl BankLabel,
        new_name: &BankName,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<BankListing>, CallError> {
        let request = pb::RenameBankRequest {
            name: name.to_string(),
            new_name: new_name.to_string(),
            idempotency_key: key.into_text(),
        };
        let answer: pb::RenameBankResponse = call!(self, deadline, rename_bank, RenameBank, request)?;
        self.bank_written(answer.bank, answer.sequence)
    }

    /// Enables or disables a bank: a disabled bank is not searched.
    pub async fn set_bank_enabled(
        &self,
        name: &impl BankLabel,
        enabled: bool,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<BankListing>, CallError> {
        let request =
            pb::SetBankEnabledRequest { name: name.to_string(), enabled, idempotency_key: key.into_text() };
        let answer: pb::SetBankEnabledResponse =
            call!(self, deadline, set_bank_enabled, SetBankEnabled, request)?;
        self.bank_written(answer.bank, answer.sequence)
    }

    /// Sets the share of lookups over the HMA-compatible API in which a bank takes part.
    pub async fn set_bank_match_ratio(
        &self,
        name: &impl BankLabel,
        ratio: MatchRatio,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<BankListing>, CallError> {
        let (name, ratio) = (name.to_string(), ratio.get());
        let request = pb::SetBankMatchRatioRequest { name, ratio, idempotency_key: key.into_text() };
        let answer: pb::SetBankMatchRatioResponse =
            call!(self, deadline, set_bank_match_ratio, SetBankMatchRatio, request)?;
        self.bank_written(answer.bank, answer.sequence)
    }

    /// Deletes a bank and its items; returns the number of its items.
    pub async fn delete_bank(
        &self,
        name: &impl BankLabel,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<u64>, CallError> {
        let request = pb::DeleteBankRequest { name: name.to_string(), idempotency_key: key.into_text() };
        let answer: pb::DeleteBankResponse = call!(self, deadline, delete_bank, DeleteBank, request)?;
        self.bank.written(Ok(answer.item_count), answer.sequence)
    }

    /// Adds up to 1,000 items: all of them or none. Returns their ids in the order of `items`.
    pub async fn add_items(
        &self,
        bank: &impl BankLabel,
        items: Vec<ItemContent>,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<Vec<ItemId>>, CallError> {
        let items = items.into_iter().map(Into::into).collect();
        let Written { value, sequence } = self.contribute_items(bank, items, key, deadline).await?;
        Ok(Written { value: value.ids, sequence })
    }

    /// Adds up to 1,000 items with their details and origins, all or none. Items that exist from the same
    /// origin are returned, and not added again.
    pub async fn contribute_items(
        &self,
        bank: &impl BankLabel,
        items: Vec<ContributedItem>,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<AddedItems>, CallError> {
        let request = pb::AddItemsRequest {
            bank: bank.to_string(),
            items: items.into_iter().map(Into::into).collect(),
            idempotency_key: key.into_text(),
        };
        let answer: pb::AddItemsResponse = call!(self, deadline, add_items, AddItems, request)?;
        let ids = answer.item_ids.into_iter().map(ItemId).collect();
        self.bank.written(Ok(AddedItems { ids, known: answer.known_count }), answer.sequence)
    }

    /// Changes the details or the labels of an item, or both.
    pub async fn update_item(
        &self,
        item: ItemId,
        update: impl Into<ItemUpdate>,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<()>, CallError> {
        let ItemUpdate { details, labels } = update.into();
        let request = pb::UpdateItemRequest {
            item_id: item.0,
            details: details.map(Into::into),
            idempotency_key: key.into_text(),
            labels: labels.as_ref().map(Into::into),
        };
        let answer: pb::UpdateItemResponse = call!(self, deadline, update_item, UpdateItem, request)?;
        self.bank.written(Ok(()), answer.sequence)
    }

    /// Reads an item with its details, submissions, holds and facts.
    pub async fn describe_item(
        &self,
        item: ItemId,
        deadline: Instant,
    ) -> Result<Written<DescribedItem>, CallError> {
        let request = pb::GetItemRequest { item_id: item.0 };
        let answer: pb::GetItemResponse = call!(self, deadline, get_item, GetItem, request)?;
        let sequence = answer.sequence;
        self.bank.written(answer.try_into(), sequence)
    }

    /// Reads an item and the caller's name for its bank.
    pub async fn get_item(
        &self,
        item: ItemId,
        deadline: Instant,
    ) -> Result<Written<(Item, BankRef)>, CallError> {
        let request = pb::GetItemRequest { item_id: item.0 };
        let answer: pb::GetItemResponse = call!(self, deadline, get_item, GetItem, request)?;
        let found = answer
            .item
            .ok_or_else(|| Invalid::missing("item"))
            .and_then(Item::try_from)
            .and_then(|item| Ok((item, bank_ref("bank", &answer.bank)?)));
        self.bank.written(found, answer.sequence)
    }

    /// Lists up to `page_size` items of a bank after `after`, by id. A page of large items has fewer.
    pub async fn list_items(
        &self,
        bank: &impl BankLabel,
        after: Option<ItemId>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<ItemPage, CallError> {
        let answer = self.page_of(bank, after, page_size, deadline).await?;
        let items = answer.items.into_iter().map(Item::try_from).collect::<Result<Vec<_>, _>>();
        let Written { value: items, sequence } = self.bank.written(items, answer.sequence)?;
        let next_after =
            next_after(answer.truncated, page_size, items.len(), items.last().map(|item| item.id));
        Ok(ItemPage { items, sequence, next_after })
    }

    /// Finds items, by id, one page at a time; see [`FoundItems::next_after`].
    pub async fn find_items(
        &self,
        search: &ItemSearch,
        after: Option<ItemId>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<Written<FoundItems>, CallError> {
        let request = pb::FindItemsRequest {
            bank: search.bank.as_ref().map(ToString::to_string).unwrap_or_default(),
            hashes: search.hashes.iter().cloned().map(Into::into).collect(),
            text: search.text.clone(),
            after_id: after.map_or(0, |item| item.0),
            page_size: page_size.into(),
        };
        let answer: pb::FindItemsResponse = call!(self, deadline, find_items, FindItems, request)?;
        let sequence = answer.sequence;
        self.bank.written(FoundItems::try_from(answer), sequence)
    }

    /// Lists up to `page_size` items of a bank after `after`, by id, with their details and facts; see
    /// [`DescribedPage::next_after`].
    pub async fn describe_items(
        &self,
        bank: &BankRef,
        after: Option<ItemId>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<Written<DescribedPage>, CallError> {
        let answer = self.page_of(bank, after, page_size, deadline).await?;
        let sequence = answer.sequence;
        self.bank.written(DescribedPage::new(bank, answer, page_size), sequence)
    }

    async fn page_of(
        &self,
        bank: &impl BankLabel,
        after: Option<ItemId>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<pb::ListItemsResponse, CallError> {
        let request = pb::ListItemsRequest {
            bank: bank.to_string(),
            after_id: after.map_or(0, |item| item.0),
            page_size: page_size.into(),
            may_truncate: true,
        };
        call!(self, deadline, list_items, ListItems, request)
    }

    /// Holds up to 1,000 items, which then match for nobody: all of them or none. Returns the number of items
    /// that are held now.
    pub async fn hold_items(
        &self,
        items: &[ItemId],
        until: Expiry,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<u32>, CallError> {
        self.set_item_hold(items, true, until, key, deadline).await
    }

    /// Lifts the caller's holds of up to 1,000 items: all of them or none. Returns the number of items that
    /// another holder still holds.
    pub async fn lift_holds(
        &self,
        items: &[ItemId],
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<u32>, CallError> {
        self.set_item_hold(items, false, Expiry::NEVER, key, deadline).await
    }

    async fn set_item_hold(
        &self,
        items: &[ItemId],
        held: bool,
        until: Expiry,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<u32>, CallError> {
        let request = pb::SetItemHoldRequest {
            item_ids: items.iter().map(|item| item.0).collect(),
            held,
            until_unix_ms: until.to_wire(),
            idempotency_key: key.into_text(),
        };
        let answer: pb::SetItemHoldResponse = call!(self, deadline, set_item_hold, SetItemHold, request)?;
        self.bank.written(Ok(answer.held_count), answer.sequence)
    }

    /// Removes up to 1,000 items: all of them or none.
    pub async fn remove_items(
        &self,
        items: &[ItemId],
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<()>, CallError> {
        self.remove(items, None, key, deadline).await
    }

    /// Withdraws the submissions of up to 1,000 items that the caller's member made from an origin: all or
    /// none. An item is removed with its last submission.
    pub async fn withdraw_items(
        &self,
        items: &[ItemId],
        origin: Origin,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<()>, CallError> {
        self.remove(items, Some(origin), key, deadline).await
    }

    async fn remove(
        &self,
        items: &[ItemId],
        origin: Option<Origin>,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<()>, CallError> {
        let request = pb::RemoveItemsRequest {
            item_ids: items.iter().map(|item| item.0).collect(),
            idempotency_key: key.into_text(),
            origin: origin.map(Into::into),
        };
        let answer: pb::RemoveItemsResponse = call!(self, deadline, remove_items, RemoveItems, request)?;
        self.bank.written(Ok(()), answer.sequence)
    }

    /// Restores up to 1,000 removed items, all of them or none. Returns their ids in the order of `items`:
    /// new ids, or the ids of items that were added again since.
    pub async fn restore_items(
        &self,
        items: &[ItemId],
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<Vec<ItemId>>, CallError> {
        let item_ids = items.iter().map(|item| item.0).collect();
        let request = pb::RestoreItemsRequest { item_ids, idempotency_key: key.into_text() };
        let answer: pb::RestoreItemsResponse = call!(self, deadline, restore_items, RestoreItems, request)?;
        self.bank.written(Ok(answer.item_ids.into_iter().map(ItemId).collect()), answer.sequence)
    }

    /// Lists up to `page_size` restorable removed items of a bank after `after`, by id.
    pub async fn list_removed_items(
        &self,
        bank: &impl BankLabel,
        after: Option<ItemId>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<Vec<RemovedItem>, CallError> {
        let request = pb::ListRemovedItemsRequest {
            bank: bank.to_string(),
            after_id: after.map_or(0, |item| item.0),
            page_size: page_size.into(),
        };
        let answer: pb::ListRemovedItemsResponse =
            call!(self, deadline, list_removed_items, ListRemovedItems, request)?;
        Ok(answer.items.into_iter().map(RemovedItem::from).collect())
    }

    /// Reads up to `page_size` changes of a bank, only those up to `through` if it is given. A page of large
    /// items has fewer.
    ///
    /// `OUT_OF_RANGE`: the bank was restored from a backup and does not reach the cursor; the caller must
    /// start again.
    pub async fn bank_changes(
        &self,
        bank: &impl BankLabel,
        from: ChangesFrom,
        through: Option<UnixMillis>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<ChangesPage, CallError> {
        let request = pb::ReadBankChangesRequest {
            bank: bank.to_string(),
            start: from.to_wire(),
            through_unix_ms: through.map(|time| time.0),
            page_size: page_size.into(),
        };
        let answer: pb::ReadBankChangesResponse =
            call!(self, deadline, read_bank_changes, ReadBankChanges, request)?;
        self.bank.checked(answer.try_into())
    }

    /// Reads up to `page_size` entries of a bank's published list after a number, at which the caller has
    /// this chain.
    ///
    /// `OUT_OF_RANGE`: the list does not continue from there; the caller must start again.
    pub async fn published_list(
        &self,
        bank: &impl BankLabel,
        after: u64,
        chain: Option<ListChain>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<ListPage, CallError> {
        let request = pb::ReadPublishedListRequest {
            bank: bank.to_string(),
            after_number: after,
            after_chain: chain.map_or_else(Vec::new, |chain| chain.0.to_vec()),
            page_size: page_size.into(),
        };
        let answer: pb::ReadPublishedListResponse =
            call!(self, deadline, read_published_list, ReadPublishedList, request)?;
        self.bank.checked(answer.try_into())
    }

    /// Reads the head of the log.
    pub async fn log_head(&self, deadline: Instant) -> Result<LogHead, CallError> {
        let answer: pb::GetLogHeadResponse =
            call!(self, deadline, get_log_head, GetLogHead, pb::GetLogHeadRequest {})?;
        self.bank.checked(answer.try_into())
    }

    fn bank_written(&self, bank: Option<pb::Bank>, sequence: u64) -> Result<Written<BankListing>, CallError> {
        self.bank
            .written(bank.ok_or_else(|| Invalid::missing("bank")).and_then(BankListing::try_from), sequence)
    }
}
