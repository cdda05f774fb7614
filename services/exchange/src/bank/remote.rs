//! The bank over gRPC.

use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{BankClient, CallError, Code, ExchangeClient, ExchangeListing, NewPage, OpinionClient};
use vigie_consortium::{ExchangeId as Id, ExchangeStatus, Metadata, Text};
use vigie_formats::programme::Key;
use vigie_model::{BankId, Hash, ItemId, MemberId, Sequence};
use vigie_proto::bank::{ContributedItem, ForeignRecord, foreign_key};

use super::reading::{Reading, deadline};
use super::speaking::Speaking;
use super::{
    Applied, Bank, BankError, ChangePage, EXCHANGES_MAX, Exchange, ExchangeId, ForeignPage, KeyPage, Lease,
    Part, Put, Reader, RecordsOfItem, Report, SaidPage,
};
use crate::secret::Secret;

/// The number of exchanges in one call.
const LIST_PAGE: u16 = 100;
/// The number of keys in one call.
const KEYS_PAGE: u16 = 1_000;

/// The bank over gRPC, for a process with its own name.
#[derive(Debug, Clone)]
pub(crate) struct RemoteBank {
    client: ExchangeClient,
    /// The bank for readers, without the credential of this process, which may not read items.
    items: BankClient,
    /// The bank for opinions, without that credential either.
    opinions: OpinionClient,
    holder: String,
}

impl RemoteBank {
    /// Uses the bank of a client, and draws a random name for this process. `items` and `opinions` must have
    /// no credential.
    pub(crate) fn new(client: ExchangeClient, items: BankClient, opinions: OpinionClient) -> Self {
        Self { client, items, opinions, holder: format!("exchange-{:032x}", rand::random::<u128>()) }
    }

    async fn listing(&self, id: ExchangeId) -> Result<ExchangeListing, BankError> {
        let before = id.0.checked_sub(1).map(Id);
        let (listings, _) = self.client.list_exchanges(before, 1, deadline()).await.map_err(error)?;
        listings.into_iter().find(|listing| listing.exchange.id.0 == id.0).ok_or(BankError::Gone)
    }
}

impl Bank for RemoteBank {
    async fn lease(&self, ttl: Duration) -> Result<Option<Lease>, BankError> {
        let ttl_ms = u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX);
        // A late answer is useless, because the lease would have ended.
        let deadline = Instant::now() + ttl / 3;
        let lease = self.client.acquire_lease(&self.holder, ttl_ms, deadline).await.map_err(error)?;
        Ok(lease.token.map(Lease))
    }

    async fn exchanges(&self) -> Result<Vec<Exchange>, BankError> {
        let mut exchanges: Vec<Exchange> = Vec::new();
        let mut after = None;
        loop {
            let page = self.client.list_exchanges(after, LIST_PAGE, deadline()).await;
            let (listings, has_more) = page.map_err(error)?;
            after = listings.last().map(|listing| listing.exchange.id);
            exchanges.extend(listings.into_iter().map(exchange));
            if !has_more || after.is_none() || exchanges.len() >= EXCHANGES_MAX {
                return Ok(exchanges);
            }
        }
    }

    async fn exchange(&self, id: ExchangeId) -> Result<Exchange, BankError> {
        self.listing(id).await.map(exchange)
    }

    async fn apply(&self, id: ExchangeId, lease: &Lease, part: Part) -> Result<Applied, BankError> {
        let fetched_items = part.puts.len() + part.withdrawn.len();
        let page = NewPage {
            expected: part.expected,
            next: part.cursor,
            puts: part.puts.into_iter().map(record).collect::<Result<_, _>>()?,
            withdrawn: part.withdrawn.iter().map(key).collect::<Result<_, _>>()?,
            checkpoint: part.checkpoint,
            fetched_items: u64::try_from(fetched_items).unwrap_or(u64::MAX),
        };
        let written = self.client.apply_page(Id(id.0), lease.0, page, deadline()).await.map_err(error)?;
        Ok(Applied { added: written.value.added.into(), removed: written.value.removed.into() })
    }

    async fn keys(&self, id: ExchangeId, after: Option<Vec<u8>>) -> Result<KeyPage, BankError> {
        let after = after.unwrap_or_default();
        let page = self.client.list_records(Id(id.0), after, KEYS_PAGE, deadline()).await;
        let (keys, next) = page.map_err(error)?;
        let keys = keys.iter().map(|key| Key::new(key)).collect::<Result<_, _>>();
        let keys = keys.map_err(|error| BankError::Refused(error.to_string()))?;
        Ok(KeyPage { keys, next: (!next.is_empty()).then_some(next) })
    }

    async fn foreign(&self, id: ExchangeId, after: Option<Vec<u8>>) -> Result<ForeignPage, BankError> {
        let after = after.unwrap_or_default();
        let page = self.client.list_foreign(Id(id.0), after, KEYS_PAGE, deadline()).await;
        let (foreign, next) = page.map_err(error)?;
        Ok(ForeignPage { foreign, next: (!next.is_empty()).then_some(next) })
    }

    async fn report(&self, id: ExchangeId, lease: &Lease, report: &Report) -> Result<(), BankError> {
        // Applied parts update the counts and the checkpoint, so they are kept.
        let former = self.listing(id).await?.exchange.status;
        let status = ExchangeStatus {
            running_since: report.running_since,
            completed_at: report.ended_at,
            succeeded: report.succeeded,
            up_to_date: report.succeeded == Some(true),
            alarm: Text::new(&report.alarm.replace(char::is_control, " ")).unwrap_or_default(),
            answered_rounds: report.fetch_request,
            checkpoint: former.checkpoint,
            fetched_items: former.fetched_items,
        };
        let written = self.client.report(Id(id.0), lease.0, status, deadline()).await;
        written.map(|_| ()).map_err(error)
    }

    async fn own_bank(&self, exchange: ExchangeId, reader: &Reader) -> Result<BankId, BankError> {
        // The listing has the bank's owner if the deployment has members.
        let owner = self.listing(exchange).await?.bank.owner;
        Reading::new(&self.items, reader)?.own_bank(owner.as_ref()).await
    }

    async fn changes(
        &self,
        reader: &Reader,
        after: Sequence,
        count_max: u16,
    ) -> Result<ChangePage, BankError> {
        Reading::new(&self.items, reader)?.changes(after, count_max).await
    }

    async fn said(
        &self,
        exchange: ExchangeId,
        key: &Secret,
        after: Sequence,
        count_max: u16,
    ) -> Result<SaidPage, BankError> {
        let listing = self.listing(exchange).await?;
        Speaking::new(&self.items, &self.opinions, key, &listing)?.said(after, count_max).await
    }

    async fn records_of(
        &self,
        exchange: ExchangeId,
        key: &Secret,
        item: ItemId,
    ) -> Result<Option<RecordsOfItem>, BankError> {
        let listing = self.listing(exchange).await?;
        Speaking::new(&self.items, &self.opinions, key, &listing)?.records_of(item).await
    }

    async fn own_item(&self, reader: &Reader, item: ItemId) -> Result<Option<Vec<Hash>>, BankError> {
        Reading::new(&self.items, reader)?.own_item(item).await
    }
}

fn exchange(listing: ExchangeListing) -> Exchange {
    let ExchangeListing { exchange, bank } = listing;
    let member = (exchange.owner != MemberId::HOST).then_some(bank.owner).flatten();
    let status = exchange.status;
    Exchange {
        id: ExchangeId(exchange.id.0),
        name: exchange.name.to_string(),
        member: member.map(|member| member.to_string()),
        api: exchange.api.as_str().to_owned(),
        config: exchange.config.as_str().to_owned(),
        enabled: exchange.enabled,
        interval_s: (exchange.interval_seconds > 0).then(|| exchange.interval_seconds.into()),
        cursor: exchange.cursor.into_vec(),
        fetch_requests: exchange.requested_rounds,
        report: Report {
            running_since: status.running_since,
            ended_at: status.completed_at,
            succeeded: status.succeeded,
            fetch_request: status.answered_rounds,
            alarm: status.alarm.to_string(),
        },
    }
}

fn record(put: Put) -> Result<ForeignRecord, BankError> {
    let Put { key: name, content, details, foreign, opinion } = put;
    let foreign = Metadata::new(&foreign).map_err(|error| BankError::Refused(error.to_string()))?;
    let item = ContributedItem { content, origin: None, details };
    Ok(ForeignRecord { key: key(&name)?, item, foreign, opinion })
}

fn key(key: &Key) -> Result<vigie_proto::bank::ForeignKey, BankError> {
    foreign_key("key", key.as_str()).map_err(|error| BankError::Refused(error.to_string()))
}

/// Converts the error of a call. `FAILED_PRECONDITION` for a page means that the lease has ended, or that the
/// exchange was paused.
fn error(error: CallError) -> BankError {
    match error.code() {
        Code::Aborted => BankError::Moved,
        Code::FailedPrecondition => BankError::LeaseLost,
        Code::NotFound => BankError::Gone,
        Code::InvalidArgument | Code::PermissionDenied | Code::Unauthenticated | Code::Unimplemented => {
            BankError::Refused(error.message().to_owned())
        }
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::OutOfRange
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => BankError::Unavailable(error.message().to_owned()),
    }
}
