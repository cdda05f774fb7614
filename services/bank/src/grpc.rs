//! The gRPC side: converts, calls, converts. Decides nothing.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{BoxStream, try_unfold};
use prost::Message as _;
use tokio::time::Instant;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use vigie_model::change::Cursor;
use vigie_model::{Bank, BankId, BankName, Item, ItemId, LogHead, ShardIdentity};
use vigie_proto::bank::{idempotency_key, item_contents, item_ids, name, page_size};
use vigie_proto::pb::bank::v1 as pb;
use vigie_serving::{Answers, Call, LongStream, LongStreams, ServingConfig, deadline};

use crate::error::Error;
use crate::load::Loader;
use crate::log::{CurrentTerm, Follower, Term, cursor, feed_range};
use crate::plan::digests::slice_of;
use crate::plan::write::{Answer, Write};
use crate::store::{FoundPage, ItemSearch, Store, StoreError};

/// Items that are read for one page of a search without an index: some tens of milliseconds.
const FIND_READ_MAX: u32 = 100_000;

/// The term under way, for one call.
fn term(current: &CurrentTerm) -> Result<Arc<Term>, Error> {
    current.get().ok_or(Error::Standby)
}

/// The service that keeps banks and items.
#[derive(Debug)]
pub(crate) struct BankGrpc {
    /// Where writes and reads go.
    pub(crate) current: CurrentTerm,
    /// How long a call may take.
    pub(crate) serving: ServingConfig,
}

impl BankGrpc {
    async fn write(&self, metadata: &MetadataMap, write: Write, key: String) -> Result<Answer, Status> {
        let term = term(&self.current)?;
        let deadline = deadline::of(metadata, &self.serving);
        let key = idempotency_key(key)?;
        let written = tokio::time::timeout_at(deadline, term.log.write(write, key, deadline)).await;
        // It is in the queue or beyond, and nobody knows how far.
        Ok(written.unwrap_or(Err(Error::TimeSpent))?)
    }

    async fn write_bank(
        &self,
        metadata: &MetadataMap,
        write: Write,
        key: String,
    ) -> Result<(Option<pb::Bank>, u64), Status> {
        let Answer::Bank { bank, sequence } = self.write(metadata, write, key).await? else {
            return Err(Error::Broken.into());
        };
        Ok((Some(bank.into()), sequence.0))
    }

    /// The store, while this bank serves.
    fn store(&self) -> Result<Arc<dyn Store>, Error> {
        term(&self.current).map(|term| term.application.store())
    }

    async fn read<T>(
        &self,
        deadline: Instant,
        read: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Status> {
        deadline::within(deadline, async { Ok(read.await.map_err(|error| Error::from_read(&error))?) }).await
    }
}

#[tonic::async_trait]
impl pb::bank_service_server::BankService for BankGrpc {
    async fn create_bank(
        &self,
        request: Request<pb::CreateBankRequest>,
    ) -> Result<Response<pb::CreateBankResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let write = Write::CreateBank { name: name("name", &message.name)? };
        let (bank, sequence) = self.write_bank(&metadata, write, message.idempotency_key).await?;
        Ok(Response::new(pb::CreateBankResponse { bank, sequence }))
    }

    async fn get_bank(
        &self,
        request: Request<pb::GetBankRequest>,
    ) -> Result<Response<pb::GetBankResponse>, Status> {
        let store = self.store()?;
        let deadline = deadline::of(request.metadata(), &self.serving);
        let name = name("name", &request.get_ref().name)?;
        let found = self.read(deadline, store.bank(&name)).await?;
        let bank: Bank = found.value.ok_or(Error::BankNotFound(name))?;
        Ok(Response::new(pb::GetBankResponse { bank: Some(bank.into()), sequence: found.sequence.0 }))
    }

    async fn list_banks(
        &self,
        request: Request<pb::ListBanksRequest>,
    ) -> Result<Response<pb::ListBanksResponse>, Status> {
        let store = self.store()?;
        let deadline = deadline::of(request.metadata(), &self.serving);
        let message = request.into_inner();
        let limit = page_size(message.page_size)?;
        let page = self.read(deadline, store.banks(BankId(message.after_id), limit)).await?;
        let banks = page.value.into_iter().map(Into::into).collect();
        Ok(Response::new(pb::ListBanksResponse { banks, sequence: page.sequence.0 }))
    }

    async fn rename_bank(
        &self,
        request: Request<pb::RenameBankRequest>,
    ) -> Result<Response<pb::RenameBankResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let (name, new_name) = (name("name", &message.name)?, name("new_name", &message.new_name)?);
        let write = Write::RenameBank { name, new_name };
        let (bank, sequence) = self.write_bank(&metadata, write, message.idempotency_key).await?;
        Ok(Response::new(pb::RenameBankResponse { bank, sequence }))
    }

    async fn set_bank_enabled(
        &self,
        request: Request<pb::SetBankEnabledRequest>,
    ) -> Result<Response<pb::SetBankEnabledResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let write = Write::SetBankEnabled { name: name("name", &message.name)?, enabled: message.enabled };
        let (bank, sequence) = self.write_bank(&metadata, write, message.idempotency_key).await?;
        Ok(Response::new(pb::SetBankEnabledResponse { bank, sequence }))
    }

    async fn delete_bank(
        &self,
        request: Request<pb::DeleteBankRequest>,
    ) -> Result<Response<pb::DeleteBankResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let write = Write::DeleteBank { name: name("name", &message.name)? };
        let answer = self.write(&metadata, write, message.idempotency_key).await?;
        let Answer::BankDeleted { sequence, item_count } = answer else { return Err(Error::Broken.into()) };
        Ok(Response::new(pb::DeleteBankResponse { sequence: sequence.0, item_count }))
    }

    async fn add_items(
        &self,
        request: Request<pb::AddItemsRequest>,
    ) -> Result<Response<pb::AddItemsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let (bank, items) = (name("bank", &message.bank)?, item_contents(message.items)?);
        let write = Write::AddItems { bank, items };
        let answer = self.write(&metadata, write, message.idempotency_key).await?;
        let Answer::ItemsAdded { first, last } = answer else { return Err(Error::Broken.into()) };
        let item_ids = (first.0..=last.0).collect();
        Ok(Response::new(pb::AddItemsResponse { item_ids, sequence: last.0 }))
    }

    async fn get_item(
        &self,
        request: Request<pb::GetItemRequest>,
    ) -> Result<Response<pb::GetItemResponse>, Status> {
        let store = self.store()?;
        let deadline = deadline::of(request.metadata(), &self.serving);
        let id = ItemId(request.get_ref().item_id);
        let found = self.read(deadline, store.item(id)).await?;
        let (item, bank) = found.value.ok_or(Error::ItemNotFound(id))?;
        let sequence = found.sequence.0;
        Ok(Response::new(pb::GetItemResponse { item: Some(item.into()), bank: bank.to_string(), sequence }))
    }

    async fn list_items(
        &self,
        request: Request<pb::ListItemsRequest>,
    ) -> Result<Response<pb::ListItemsResponse>, Status> {
        let store = self.store()?;
        let deadline = deadline::of(request.metadata(), &self.serving);
        let answers = Answers::of(&request);
        let message = request.into_inner();
        let (bank, limit) = (name("bank", &message.bank)?, page_size(message.page_size)?);
        // Before they are read: the page is cut when its items are known.
        let mut room = answers.room(usize::from(limit) * ITEM_BYTES, deadline).await?;
        let page = self.read(deadline, store.items(&bank, ItemId(message.after_id), limit)).await?;
        let items = page.value.ok_or(Error::BankNotFound(bank))?;
        // A caller that does not know of it takes a page that was cut for the last one.
        let bytes_max = if message.may_truncate { PAGE_BYTES_MAX } else { usize::MAX };
        let (items, bytes, truncated) = first_of(items.into_iter().map(Into::into), bytes_max);
        room.shrink(bytes);
        answers.send(room);
        Ok(Response::new(pb::ListItemsResponse { items, sequence: page.sequence.0, truncated }))
    }

    async fn find_items(
        &self,
        request: Request<pb::FindItemsRequest>,
    ) -> Result<Response<pb::FindItemsResponse>, Status> {
        let store = self.store()?;
        let deadline = deadline::of(request.metadata(), &self.serving);
        let message = request.get_ref();
        let search = ItemSearch {
            query: message.try_into()?,
            after: ItemId(message.after_id),
            found_max: page_size(message.page_size)?,
            read_max: FIND_READ_MAX,
        };
        let page = self.read(deadline, store.find_items(&search)).await?;
        let sequence = page.sequence.0;
        let missing = || search.query.bank.clone().map_or(Error::Broken, Error::BankNotFound);
        let FoundPage { items, next_after, read } = page.value.ok_or_else(missing)?;
        let found = |(item, bank): (Item, BankName)| pb::FoundItem {
            item: Some(item.into()),
            bank: bank.to_string(),
        };
        Ok(Response::new(pb::FindItemsResponse {
            items: items.into_iter().map(found).collect(),
            next_after_id: next_after.map_or(0, |item| item.0),
            read_count: read,
            sequence,
        }))
    }

    async fn remove_items(
        &self,
        request: Request<pb::RemoveItemsRequest>,
    ) -> Result<Response<pb::RemoveItemsResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        let write = Write::RemoveItems { items: item_ids(message.item_ids)? };
        let answer = self.write(&metadata, write, message.idempotency_key).await?;
        let Answer::ItemsRemoved { sequence } = answer else { return Err(Error::Broken.into()) };
        Ok(Response::new(pb::RemoveItemsResponse { sequence: sequence.0 }))
    }

    async fn get_log_head(
        &self,
        request: Request<pb::GetLogHeadRequest>,
    ) -> Result<Response<pb::GetLogHeadResponse>, Status> {
        let store = self.store()?;
        let deadline = deadline::of(request.metadata(), &self.serving);
        let head: LogHead = self.read(deadline, store.head_row()).await?.into();
        Ok(Response::new(head.into()))
    }
}

/// The most bytes of the items of one page: clients of gRPC refuse an answer of more than 4 MB by default.
const PAGE_BYTES_MAX: usize = 3 << 20;
/// The most bytes of an item that one page is expected to hold many of: 64 hashes of 64 bytes and 32 labels, all at their bounds.
const ITEM_BYTES: usize = 10 << 10;

/// The first of the items that a page may hold, at least one, their bytes, and whether there are more.
fn first_of(items: impl Iterator<Item = pb::Item>, bytes_max: usize) -> (Vec<pb::Item>, usize, bool) {
    let (mut page, mut bytes) = (Vec::new(), 0);
    for item in items {
        // With its tag and its length.
        let more = item.encoded_len() + 5;
        if !page.is_empty() && bytes + more > bytes_max {
            return (page, bytes, true);
        }
        bytes += more;
        page.push(item);
    }
    (page, bytes, false)
}

/// The service that streams the log.
#[derive(Debug)]
pub(crate) struct FeedGrpc {
    /// What is streamed, and what ends every stream.
    pub(crate) current: CurrentTerm,
    /// Those who follow, and those who load the state in order to follow.
    pub(crate) followers: LongStreams,
    /// How long the state may take to be loaded.
    pub(crate) load_max: Duration,
}

#[tonic::async_trait]
impl pb::feed_service_server::FeedService for FeedGrpc {
    type WatchStream = BoxStream<'static, Result<pb::WatchResponse, Status>>;

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let call = Call::of(&request);
        let (from, shard): (Option<Cursor>, ShardIdentity) = request.into_inner().try_into()?;
        let term = term(&self.current)?;
        let place = self.followers.enter(&call).map_err(Error::Followers)?;
        let watched = term.feed.watch(from.map(cursor), slice_of(shard), term.ended.clone()).await;
        let follower = watched.map_err(Error::from)?;
        // Pulled: the next range is read when the client has room for it.
        let ranges =
            try_unfold((follower, place), |(mut follower, place): (Follower, LongStream)| async move {
                let next = follower.next().await.map_err(Error::from)?;
                Ok(next.map(|range| (feed_range(range).into(), (follower, place))))
            });
        Ok(Response::new(ranges.boxed()))
    }

    type LoadStream = BoxStream<'static, Result<pb::LoadResponse, Status>>;

    async fn load(&self, request: Request<pb::LoadRequest>) -> Result<Response<Self::LoadStream>, Status> {
        let call = Call::of(&request);
        let shard: ShardIdentity = request.into_inner().try_into()?;
        let term = term(&self.current)?;
        let place = self.followers.enter(&call).map_err(Error::Followers)?;
        let loader = Loader::new(term.application.store(), term.feed.admit(), shard, term.ended.clone())?;
        let ends_at = Instant::now() + self.load_max;
        let parts =
            try_unfold((loader, place), move |(mut loader, place): (Loader, LongStream)| async move {
                let part = deadline::within(ends_at, async { Ok(loader.next().await?) }).await?;
                Ok(part.map(|part| (part.into(), (loader, place))))
            });
        Ok(Response::new(parts.boxed()))
    }
}
