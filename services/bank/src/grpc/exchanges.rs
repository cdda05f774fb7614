//! The service of exchanges.

use std::time::Duration;

use prost::Message;
use tonic::{Request, Response, Status};
use vigie_consortium::{Admitted, Exchange, ExchangeApi, ExchangeId, ExchangeName, ExchangeStatus, Text};
use vigie_model::BankRef;
use vigie_proto::Invalid;
use vigie_proto::bank::{ExchangePage, exchange_config, exchange_interval, page_size};
use vigie_proto::consortium::bank_ref;
use vigie_proto::pb::bank::v1 as pb;

use super::page::{PAGE_BYTES_MAX, first_of};
use super::{BankGrpc, Reading};
use crate::error::Error;
use crate::log::term;
use crate::plan::answer::Answer;
use crate::plan::exchanges::write::{ExchangeAction, ExchangeWrite, NewExchange};
use crate::plan::write::Action;
use crate::store::exchanges::KeyDigest;

/// The allowed duration of a lease, in milliseconds.
const TTL_MS: std::ops::RangeInclusive<u32> = 1_000..=600_000;

fn name_of(name: &str) -> Result<ExchangeName, Status> {
    Ok(name.parse().map_err(|error| Invalid::new("name", error))?)
}

impl BankGrpc {
    /// Writes a change of exchanges and returns the answer.
    async fn write_exchange<T: Message>(
        &self,
        request: Request<T>,
        action: impl FnOnce(&T) -> Result<ExchangeAction, Status>,
        key: impl FnOnce(T) -> String,
    ) -> Result<(Reading, Answer), Status> {
        let action = |message: &T| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(std::any::type_name::<T>().as_bytes());
            let action = action(message)?;
            // A page has no idempotency key, so its bytes need not be hashed.
            if !matches!(action, ExchangeAction::Apply(_)) {
                hasher.update(&message.encode_to_vec());
            }
            Ok(Action::Exchange(ExchangeWrite { action, request_digest: hasher.finalize().into() }))
        };
        let reading = self.reading(&request)?;
        let (_, answer) = self.write(request, action, key).await?;
        Ok((reading, answer))
    }

    /// Returns the exchange of an answer, as its reader sees it.
    async fn changed_exchange<T: Message>(
        &self,
        request: Request<T>,
        action: impl FnOnce(&T) -> Result<ExchangeAction, Status>,
        key: impl FnOnce(T) -> String,
    ) -> Result<(Option<pb::Exchange>, u64), Status> {
        let (reading, answer) = self.write_exchange(request, action, key).await?;
        let Answer::Exchange { exchange, sequence } = answer else { return Err(Error::Broken.into()) };
        Ok((Some(shown(&reading, &reading.admitted()?, *exchange)), sequence.0))
    }

    fn check_lease(&self, token: u64) -> Result<(), Status> {
        if self.lease.is_held_by(token) { Ok(()) } else { Err(Error::NoLease.into()) }
    }
}

/// Returns an exchange as the caller sees it: with its cursor for the deployment's own processes, and with
/// the member's name for its bank for members.
fn shown(reading: &Reading, admitted: &Admitted<'_>, exchange: Exchange) -> pb::Exchange {
    let directory = reading.view.directory();
    let of_bank = directory.bank(exchange.bank).map(|bank| match admitted.member() {
        Some(_) => bank.name.to_string(),
        None => match directory.member(bank.owner).filter(|_| directory.is_on()) {
            Some(owner) => format!("{}/{}", owner.name, bank.name),
            None => bank.name.to_string(),
        },
    });
    let mut message = pb::Exchange { bank: of_bank.unwrap_or_default(), ..exchange.into() };
    if admitted.member().is_some() {
        message.cursor.clear();
    }
    message
}

/// Returns whether a caller sees an exchange. The deployment's own processes see all; members see the
/// exchanges of the banks on which they may call this method.
fn sees(reading: &Reading, admitted: &Admitted<'_>, exchange: &Exchange) -> bool {
    let Some(member) = admitted.member() else { return true };
    let bank = reading.view.directory().bank(exchange.bank).filter(|_| exchange.owner == member.id);
    bank.is_some_and(|bank| admitted.bank(&BankRef { owner: None, name: bank.name.clone() }).is_ok())
}

#[tonic::async_trait]
impl pb::exchange_service_server::ExchangeService for BankGrpc {
    async fn add_exchange(
        &self,
        request: Request<pb::AddExchangeRequest>,
    ) -> Result<Response<pb::AddExchangeResponse>, Status> {
        let action = |message: &pb::AddExchangeRequest| {
            let api: ExchangeApi = message.api.parse().map_err(|error| Invalid::new("api", error))?;
            Ok(ExchangeAction::Add(Box::new(NewExchange {
                name: name_of(&message.name)?,
                api,
                bank: bank_ref("bank", &message.bank)?,
                config: exchange_config("config_json", &message.config_json)?,
                interval_seconds: exchange_interval("interval_seconds", message.interval_seconds)?,
            })))
        };
        let (exchange, sequence) =
            self.changed_exchange(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::AddExchangeResponse { exchange, sequence }))
    }

    async fn get_exchange(
        &self,
        request: Request<pb::GetExchangeRequest>,
    ) -> Result<Response<pb::GetExchangeResponse>, Status> {
        let reading = self.reading(&request)?;
        let (name, admitted) = (name_of(&request.get_ref().name)?, reading.admitted()?);
        let exchanges = term(&self.current)?.application.exchanges();
        let is_it = |exchange: &&Exchange| exchange.name == name && sees(&reading, &admitted, exchange);
        let found = exchanges.values().find(is_it).cloned();
        let exchange = found.ok_or(Error::ExchangeNotFound(name))?;
        let exchange = Some(shown(&reading, &admitted, exchange));
        Ok(Response::new(pb::GetExchangeResponse { exchange }))
    }

    async fn list_exchanges(
        &self,
        request: Request<pb::ListExchangesRequest>,
    ) -> Result<Response<pb::ListExchangesResponse>, Status> {
        let reading = self.reading(&request)?;
        let (admitted, message) = (reading.admitted()?, request.get_ref());
        let limit = usize::from(page_size(message.page_size)?);
        let exchanges = term(&self.current)?.application.exchanges();
        let beyond = exchanges.range(ExchangeId(message.after_id.saturating_add(1))..);
        let visible = beyond.map(|(_, exchange)| exchange).filter(|one| sees(&reading, &admitted, one));
        // An exchange beyond the page shows that another page follows.
        let mut page: Vec<Exchange> = visible.take(limit + 1).cloned().collect();
        let is_full = page.len() > limit;
        page.truncate(limit);
        let page = page.into_iter().map(|exchange| shown(&reading, &admitted, exchange));
        let (exchanges, _, is_cut) = first_of(page, PAGE_BYTES_MAX);
        Ok(Response::new(pb::ListExchangesResponse { exchanges, has_more: is_full || is_cut }))
    }

    async fn set_exchange_enabled(
        &self,
        request: Request<pb::SetExchangeEnabledRequest>,
    ) -> Result<Response<pb::SetExchangeEnabledResponse>, Status> {
        let action = |message: &pb::SetExchangeEnabledRequest| {
            Ok(ExchangeAction::SetEnabled { name: name_of(&message.name)?, enabled: message.enabled })
        };
        let (exchange, sequence) =
            self.changed_exchange(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::SetExchangeEnabledResponse { exchange, sequence }))
    }

    async fn remove_exchange(
        &self,
        request: Request<pb::RemoveExchangeRequest>,
    ) -> Result<Response<pb::RemoveExchangeResponse>, Status> {
        let action = |message: &pb::RemoveExchangeRequest| {
            Ok(ExchangeAction::Remove { name: name_of(&message.name)? })
        };
        let (_, answer) = self.write_exchange(request, action, |message| message.idempotency_key).await?;
        let Answer::ExchangeRemoved { sequence } = answer else { return Err(Error::Broken.into()) };
        Ok(Response::new(pb::RemoveExchangeResponse { sequence: sequence.0 }))
    }

    async fn fetch_exchange_now(
        &self,
        request: Request<pb::FetchExchangeNowRequest>,
    ) -> Result<Response<pb::FetchExchangeNowResponse>, Status> {
        let action = |message: &pb::FetchExchangeNowRequest| {
            Ok(ExchangeAction::FetchNow { name: name_of(&message.name)? })
        };
        let (exchange, sequence) =
            self.changed_exchange(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::FetchExchangeNowResponse { exchange, sequence }))
    }

    async fn acquire_exchange_lease(
        &self,
        request: Request<pb::AcquireExchangeLeaseRequest>,
    ) -> Result<Response<pb::AcquireExchangeLeaseResponse>, Status> {
        self.reading(&request)?.admitted()?;
        let pb::AcquireExchangeLeaseRequest { holder, ttl_ms } = request.into_inner();
        let holder = Text::<255>::new(&holder).map_err(|error| Invalid::new("holder", error))?;
        if holder.as_str().is_empty() {
            return Err(Invalid::new("holder", "is empty").into());
        }
        if !TTL_MS.contains(&ttl_ms) {
            let (least, most) = (TTL_MS.start(), TTL_MS.end());
            return Err(Invalid::new("ttl_ms", format!("is {ttl_ms}; it must be {least} to {most}")).into());
        }
        let acquired = self.lease.acquire(holder.as_str(), Duration::from_millis(ttl_ms.into()));
        Ok(Response::new(pb::AcquireExchangeLeaseResponse {
            token: acquired.token.unwrap_or(0),
            holder: acquired.holder,
            remaining_ms: u32::try_from(acquired.remaining.as_millis()).unwrap_or(u32::MAX),
        }))
    }

    async fn apply_exchange_page(
        &self,
        request: Request<pb::ApplyExchangePageRequest>,
    ) -> Result<Response<pb::ApplyExchangePageResponse>, Status> {
        self.check_lease(request.get_ref().lease_token)?;
        let (metadata, extensions, message) = request.into_parts();
        let page = Box::new(ExchangePage::try_from(message)?);
        // The page was taken out of the request, and the rest is not needed.
        let request = Request::from_parts(metadata, extensions, pb::ApplyExchangePageRequest::default());
        let action = |_: &pb::ApplyExchangePageRequest| Ok(ExchangeAction::Apply(page));
        let (_, answer) = self.write_exchange(request, action, |_| String::new()).await?;
        let Answer::PageApplied { sequence, added, removed, was_applied } = answer else {
            return Err(Error::Broken.into());
        };
        Ok(Response::new(pb::ApplyExchangePageResponse {
            sequence: sequence.0,
            added_count: added,
            removed_count: removed,
            was_applied,
        }))
    }

    async fn list_exchange_records(
        &self,
        request: Request<pb::ListExchangeRecordsRequest>,
    ) -> Result<Response<pb::ListExchangeRecordsResponse>, Status> {
        let reading = self.reading(&request)?;
        reading.admitted()?;
        let pb::ListExchangeRecordsRequest { exchange_id, after, page_size: wanted, with_foreign } =
            request.into_inner();
        let (exchange, limit) = (ExchangeId(exchange_id), page_size(wanted)?);
        let after = match <[u8; 32]>::try_from(after) {
            Ok(digest) => Some(KeyDigest(digest)),
            Err(bytes) if bytes.is_empty() => None,
            Err(bytes) => {
                return Err(
                    Invalid::new("after", format!("has {} bytes; it must have 32", bytes.len())).into()
                );
            }
        };
        if !term(&self.current)?.application.exchanges().contains_key(&exchange) {
            return Err(Error::NoExchange(exchange).into());
        }
        let mut records = reading.read(reading.store.exchange_records_after(exchange, after, limit)).await?;
        let mut has_more = records.len() == usize::from(limit);
        if with_foreign {
            let mut bytes = 0;
            let fitting = records.iter().take_while(|record| {
                bytes += record.key.as_str().len() + record.foreign.as_str().len() + 16;
                bytes <= PAGE_BYTES_MAX
            });
            let fitting = fitting.count().max(1);
            has_more |= fitting < records.len();
            records.truncate(fitting);
        }
        let next = records.last().filter(|_| has_more);
        let foreign =
            records.iter().filter(|_| with_foreign).map(|record| record.foreign.as_str().to_owned());
        Ok(Response::new(pb::ListExchangeRecordsResponse {
            next_after: next.map(|last| last.key_digest.0.to_vec()).unwrap_or_default(),
            foreign_json: foreign.collect(),
            keys: records.iter().map(|record| record.key.to_string()).collect(),
        }))
    }

    async fn report_exchange(
        &self,
        request: Request<pb::ReportExchangeRequest>,
    ) -> Result<Response<pb::ReportExchangeResponse>, Status> {
        self.check_lease(request.get_ref().lease_token)?;
        let action = |message: &pb::ReportExchangeRequest| {
            let status = message.status.clone().unwrap_or_default();
            let status = ExchangeStatus::try_from(status).map_err(|invalid| invalid.within("status"))?;
            let exchange = ExchangeId(message.exchange_id);
            Ok(ExchangeAction::Report { exchange, status: Box::new(status) })
        };
        let (_, answer) = self.write_exchange(request, action, |_| String::new()).await?;
        let Answer::Exchange { sequence, .. } = answer else { return Err(Error::Broken.into()) };
        Ok(Response::new(pb::ReportExchangeResponse { sequence: sequence.0 }))
    }
}
