//! Client of the bank's exchanges.

use tokio::time::Instant;
use vigie_consortium::{Exchange, ExchangeApi, ExchangeConfig, ExchangeId, ExchangeName, ExchangeStatus};
use vigie_model::UnixMillis;
use vigie_net::{CallError, Channel};
use vigie_proto::Invalid;
use vigie_proto::bank::{ContributedItem, ForeignKey, ForeignRecord};
use vigie_proto::consortium::bank_ref;
use vigie_proto::pb::bank::v1 as pb;
use vigie_proto::pb::bank::v1::exchange_service_client::ExchangeServiceClient;

use crate::bank::BankLabel;
use crate::leading_bank::{IdempotencyKey, LeadingBank, Written, among_banks, call};

/// The most bytes of an answer: a page of exchanges has 3 MiB.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// An exchange as its reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeListing {
    /// The exchange. Its cursor is empty for all but the deployment's own processes.
    pub exchange: Exchange,
    /// The reader's name for its bank; `owner/name` for the deployment's own processes if there are members.
    pub bank: vigie_model::BankRef,
}

impl TryFrom<pb::Exchange> for ExchangeListing {
    type Error = Invalid;

    fn try_from(message: pb::Exchange) -> Result<Self, Invalid> {
        Ok(Self { bank: bank_ref("bank", &message.bank)?, exchange: message.try_into()? })
    }
}

/// A new exchange.
#[derive(Debug, Clone)]
pub struct NewExchange {
    /// Its name.
    pub name: ExchangeName,
    /// The kind of programme.
    pub api: ExchangeApi,
    /// Its settings, without credentials.
    pub config: ExchangeConfig,
    /// Seconds between two rounds; 0 for the default of its api.
    pub interval_seconds: u32,
}

/// The holder of the lease of the work on exchanges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeLease {
    /// The token, if the caller has the lease.
    pub token: Option<u64>,
    /// The process that has the lease.
    pub holder: String,
    /// The remaining time of the lease, in milliseconds.
    pub remaining_ms: u32,
}

/// A page of a programme.
#[derive(Debug, Clone, Default)]
pub struct NewPage {
    /// The cursor that the page follows.
    pub expected: Vec<u8>,
    /// The cursor after it.
    pub next: Vec<u8>,
    /// New and changed records; together with `withdrawn` at most 1,000.
    pub puts: Vec<ForeignRecord>,
    /// Keys of records that are withdrawn.
    pub withdrawn: Vec<ForeignKey>,
    /// The programme's own time of the new cursor, if it differs.
    pub checkpoint: Option<UnixMillis>,
    /// Number of items that were fetched with the page.
    pub fetched_items: u64,
}

/// The result of applying a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppliedPage {
    /// Number of items that were added.
    pub added: u32,
    /// Number of items that were removed.
    pub removed: u32,
    /// Whether the page had been applied before.
    pub was_applied: bool,
}

/// Calls the exchange service of the bank, or of the serving one of several banks on one database.
#[derive(Debug, Clone)]
pub struct ExchangeClient {
    bank: LeadingBank<ExchangeServiceClient<Channel>>,
}

impl ExchangeClient {
    among_banks!(ExchangeServiceClient, ANSWER_BYTES_MAX);

    /// Adds an exchange to a bank.
    pub async fn add_exchange(
        &self,
        new: &NewExchange,
        bank: &impl BankLabel,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<ExchangeListing>, CallError> {
        let request = pb::AddExchangeRequest {
            name: new.name.to_string(),
            api: new.api.as_str().to_owned(),
            bank: bank.to_string(),
            config_json: new.config.as_str().to_owned(),
            interval_seconds: new.interval_seconds,
            idempotency_key: key.into_text(),
        };
        let answer: pb::AddExchangeResponse = call!(self, deadline, add_exchange, AddExchange, request)?;
        self.written(answer.exchange, answer.sequence)
    }

    /// Reads an exchange.
    pub async fn get_exchange(
        &self,
        name: &ExchangeName,
        deadline: Instant,
    ) -> Result<ExchangeListing, CallError> {
        let request = pb::GetExchangeRequest { name: name.to_string() };
        let answer: pb::GetExchangeResponse = call!(self, deadline, get_exchange, GetExchange, request)?;
        self.bank.checked(listing(answer.exchange))
    }

    /// Lists up to `page_size` exchanges after `after`, by id; returns them and whether there are more.
    pub async fn list_exchanges(
        &self,
        after: Option<ExchangeId>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<(Vec<ExchangeListing>, bool), CallError> {
        let after_id = after.map_or(0, |id| id.0);
        let request = pb::ListExchangesRequest { after_id, page_size: page_size.into() };
        let answer: pb::ListExchangesResponse =
            call!(self, deadline, list_exchanges, ListExchanges, request)?;
        let exchanges = answer.exchanges.into_iter().map(ExchangeListing::try_from);
        Ok((self.bank.checked(exchanges.collect())?, answer.has_more))
    }

    /// Pauses or resumes an exchange.
    pub async fn set_exchange_enabled(
        &self,
        name: &ExchangeName,
        enabled: bool,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<ExchangeListing>, CallError> {
        let (name, idempotency_key) = (name.to_string(), key.into_text());
        let request = pb::SetExchangeEnabledRequest { name, enabled, idempotency_key };
        let answer: pb::SetExchangeEnabledResponse =
            call!(self, deadline, set_exchange_enabled, SetExchangeEnabled, request)?;
        self.written(answer.exchange, answer.sequence)
    }

    /// Removes an exchange. Its bank and the items in it stay.
    pub async fn remove_exchange(
        &self,
        name: &ExchangeName,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<()>, CallError> {
        let request = pb::RemoveExchangeRequest { name: name.to_string(), idempotency_key: key.into_text() };
        let answer: pb::RemoveExchangeResponse =
            call!(self, deadline, remove_exchange, RemoveExchange, request)?;
        self.bank.written(Ok(()), answer.sequence)
    }

    /// Requests a round now. The request is answered once the exchange's `answered_rounds` is at least the
    /// `requested_rounds` of this answer.
    pub async fn fetch_exchange_now(
        &self,
        name: &ExchangeName,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<ExchangeListing>, CallError> {
        let request =
            pb::FetchExchangeNowRequest { name: name.to_string(), idempotency_key: key.into_text() };
        let answer: pb::FetchExchangeNowResponse =
            call!(self, deadline, fetch_exchange_now, FetchExchangeNow, request)?;
        self.written(answer.exchange, answer.sequence)
    }

    /// Acquires the lease of the work on exchanges, or extends it.
    pub async fn acquire_lease(
        &self,
        holder: &str,
        ttl_ms: u32,
        deadline: Instant,
    ) -> Result<ExchangeLease, CallError> {
        let request = pb::AcquireExchangeLeaseRequest { holder: holder.to_owned(), ttl_ms };
        let answer: pb::AcquireExchangeLeaseResponse =
            call!(self, deadline, acquire_exchange_lease, AcquireExchangeLease, request)?;
        Ok(ExchangeLease {
            token: (answer.token > 0).then_some(answer.token),
            holder: answer.holder,
            remaining_ms: answer.remaining_ms,
        })
    }

    /// Applies a page: its items and its cursor in one transaction. A page may be sent again.
    ///
    /// `ABORTED`: the stored cursor is another one. `FAILED_PRECONDITION`: the lease has expired, or the
    /// exchange is paused.
    pub async fn apply_page(
        &self,
        exchange: ExchangeId,
        lease_token: u64,
        page: NewPage,
        deadline: Instant,
    ) -> Result<Written<AppliedPage>, CallError> {
        let put = |record: ForeignRecord| {
            let item = ContributedItem { origin: None, ..record.item };
            pb::ExchangeRecordPut {
                key: record.key.to_string(),
                content: Some(item.into()),
                foreign_json: record.foreign.as_str().to_owned(),
                foreign_opinion: record.opinion.map(Into::into),
            }
        };
        let request = pb::ApplyExchangePageRequest {
            exchange_id: exchange.0,
            lease_token,
            expected_cursor: page.expected,
            new_cursor: page.next,
            puts: page.puts.into_iter().map(put).collect(),
            withdrawn_keys: page.withdrawn.iter().map(ToString::to_string).collect(),
            checkpoint_unix_ms: page.checkpoint.map_or(0, |time| time.0),
            fetched_items: page.fetched_items,
        };
        let answer: pb::ApplyExchangePageResponse =
            call!(self, deadline, apply_exchange_page, ApplyExchangePage, request)?;
        let (added, removed, was_applied) = (answer.added_count, answer.removed_count, answer.was_applied);
        self.bank.written(Ok(AppliedPage { added, removed, was_applied }), answer.sequence)
    }

    /// Lists the keys of an exchange's records, up to `page_size` after the previous page's token. After the
    /// last page the token is empty.
    pub async fn list_records(
        &self,
        exchange: ExchangeId,
        after: Vec<u8>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<(Vec<String>, Vec<u8>), CallError> {
        let answer = self.records(exchange, after, page_size, false, deadline).await?;
        Ok((answer.keys, answer.next_after))
    }

    /// Lists the programme's opinions on an exchange's records, paged like [`Self::list_records`].
    pub async fn list_foreign(
        &self,
        exchange: ExchangeId,
        after: Vec<u8>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<(Vec<String>, Vec<u8>), CallError> {
        let answer = self.records(exchange, after, page_size, true, deadline).await?;
        if answer.foreign_json.len() != answer.keys.len() {
            let invalid = Invalid::new("foreign_json", "is not there for each key");
            return self.bank.checked(Err(invalid));
        }
        Ok((answer.foreign_json, answer.next_after))
    }

    async fn records(
        &self,
        exchange: ExchangeId,
        after: Vec<u8>,
        page_size: u16,
        with_foreign: bool,
        deadline: Instant,
    ) -> Result<pb::ListExchangeRecordsResponse, CallError> {
        let page_size = page_size.into();
        let request =
            pb::ListExchangeRecordsRequest { exchange_id: exchange.0, after, page_size, with_foreign };
        call!(self, deadline, list_exchange_records, ListExchangeRecords, request)
    }

    /// Reports the status of an exchange's rounds.
    pub async fn report(
        &self,
        exchange: ExchangeId,
        lease_token: u64,
        status: ExchangeStatus,
        deadline: Instant,
    ) -> Result<Written<()>, CallError> {
        let request =
            pb::ReportExchangeRequest { exchange_id: exchange.0, lease_token, status: Some(status.into()) };
        let answer: pb::ReportExchangeResponse =
            call!(self, deadline, report_exchange, ReportExchange, request)?;
        self.bank.written(Ok(()), answer.sequence)
    }

    fn written(
        &self,
        exchange: Option<pb::Exchange>,
        sequence: u64,
    ) -> Result<Written<ExchangeListing>, CallError> {
        self.bank.written(listing(exchange), sequence)
    }
}

fn listing(exchange: Option<pb::Exchange>) -> Result<ExchangeListing, Invalid> {
    exchange.ok_or_else(|| Invalid::missing("exchange"))?.try_into()
}
