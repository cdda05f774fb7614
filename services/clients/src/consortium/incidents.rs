//! Client of the bank's service of incidents.

use tokio::time::Instant;
use vigie_consortium::BankRef;
use vigie_consortium::cases::{CaseNote, IncidentType, IncidentTypes, IncidentWords};
use vigie_model::{BankName, UnixMillis};
use vigie_net::{CallError, Channel};
use vigie_proto::Invalid;
use vigie_proto::consortium::bank_ref;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::incident_service_client::IncidentServiceClient;

use super::reports::{CasePage, CasesAfter};
use crate::leading_bank::{IdempotencyKey, LeadingBank, Written, among_banks, call};

/// The most bytes of an answer: a page of incidents.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// An incident as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentListing {
    /// Its number.
    pub number: u64,
    /// Its type.
    pub of: IncidentType,
    /// Its title.
    pub title: String,
    /// The time at which it was opened.
    pub opened_at: UnixMillis,
    /// The reason for which it was opened.
    pub opened_reason: String,
    /// The end of the incident; `None` while it is open.
    pub closed: Option<ClosedIncident>,
    /// The caller's name for its bank; `None` if the caller does not see it.
    pub bank: Option<BankRef>,
    /// Number of items of the bank, now or when it was deleted.
    pub items: u64,
}

/// The end of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedIncident {
    /// The time at which it was closed.
    pub at: UnixMillis,
    /// The reason.
    pub reason: String,
    /// The time at which its bank is deleted.
    pub bank_until: UnixMillis,
    /// Whether the bank is deleted.
    pub is_bank_deleted: bool,
}

/// An incident that was opened just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedIncident {
    /// Its number.
    pub number: u64,
    /// The name of its bank, which belongs to the caller's member.
    pub bank: BankRef,
    /// Number of members with which the bank is shared.
    pub members: u32,
}

impl TryFrom<pb::Incident> for IncidentListing {
    type Error = Invalid;

    fn try_from(message: pb::Incident) -> Result<Self, Invalid> {
        let closed = (message.closed_at_unix_ms != 0).then_some(ClosedIncident {
            at: UnixMillis(message.closed_at_unix_ms),
            reason: message.closed_reason,
            bank_until: UnixMillis(message.bank_until_unix_ms),
            is_bank_deleted: message.bank_deleted,
        });
        Ok(Self {
            number: message.number,
            of: IncidentType::new(&message.incident_type)
                .map_err(|error| Invalid::new("incident_type", error))?,
            title: message.title,
            opened_at: UnixMillis(message.opened_at_unix_ms),
            opened_reason: message.opened_reason,
            closed,
            bank: (!message.bank.is_empty()).then(|| bank_ref("bank", &message.bank)).transpose()?,
            items: message.item_count,
        })
    }
}

/// Opens, lists and closes incidents, and subscribes to them.
#[derive(Debug, Clone)]
pub struct IncidentClient {
    bank: LeadingBank<IncidentServiceClient<Channel>>,
}

impl IncidentClient {
    among_banks!(IncidentServiceClient, ANSWER_BYTES_MAX);

    /// Opens an incident with a bank of this name; `None` for a name made from the incident's number.
    pub async fn open(
        &self,
        words: IncidentWords,
        bank: Option<&BankName>,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<OpenedIncident>, CallError> {
        let request = pb::OpenIncidentRequest {
            incident_type: words.of.to_string(),
            title: words.title.to_string(),
            reason: words.reason.to_string(),
            bank: bank.map(ToString::to_string).unwrap_or_default(),
            idempotency_key: key.into_text(),
        };
        let answer: pb::OpenIncidentResponse = call!(self, deadline, open_incident, OpenIncident, request)?;
        let (number, members) = (answer.number, answer.member_count);
        let opened = bank_ref("bank", &answer.bank).map(|bank| OpenedIncident { number, bank, members });
        self.bank.written(opened, answer.sequence)
    }

    /// Lists a page of incidents, and the subscription of the caller's member.
    pub async fn list(
        &self,
        after: impl Into<CasesAfter>,
        deadline: Instant,
    ) -> Result<(CasePage<IncidentListing>, IncidentTypes), CallError> {
        let (after_key, page_size) = after.into().into_wire();
        let request = pb::ListIncidentsRequest { after_key, page_size };
        let answer: pb::ListIncidentsResponse =
            call!(self, deadline, list_incidents, ListIncidents, request)?;
        let types = pb::StoredIncidentSubscription {
            incident_types: answer.subscribed_types,
            every_type: answer.every_type,
        };
        let types = self.bank.checked(types.try_into())?;
        let incidents = answer.incidents.into_iter().map(IncidentListing::try_from).collect();
        Ok(((self.bank.checked(incidents)?, answer.next_key), types))
    }

    /// Closes an incident. Its bank is kept for `keep_days` days; `None` for 30 days.
    pub async fn close(
        &self,
        number: u64,
        reason: CaseNote,
        keep_days: Option<u16>,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<()>, CallError> {
        let request = pb::CloseIncidentRequest {
            number,
            reason: reason.to_string(),
            keep_days: keep_days.map(u32::from),
            idempotency_key: key.into_text(),
        };
        let answer: pb::CloseIncidentResponse =
            call!(self, deadline, close_incident, CloseIncident, request)?;
        self.bank.written(Ok(()), answer.sequence)
    }

    /// Sets the subscription of the caller's member. Returns the number of open incidents whose banks it may
    /// search because of it.
    pub async fn subscribe(
        &self,
        types: IncidentTypes,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<u32>, CallError> {
        let stored = pb::StoredIncidentSubscription::from(types);
        let request = pb::SetIncidentSubscriptionRequest {
            incident_types: stored.incident_types,
            every_type: stored.every_type,
            idempotency_key: key.into_text(),
        };
        let answer: pb::SetIncidentSubscriptionResponse =
            call!(self, deadline, set_incident_subscription, SetIncidentSubscription, request)?;
        self.bank.written(Ok(answer.incident_count), answer.sequence)
    }
}
