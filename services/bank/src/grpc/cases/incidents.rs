//! The service of incidents.

use tonic::{Request, Response, Status};
use vigie_consortium::{Document, DocumentKind, Text};
use vigie_model::BankId;
use vigie_proto::Invalid;
use vigie_proto::bank::name;
use vigie_proto::consortium::{case_page_size, keep_days};
use vigie_proto::pb::consortium::v1 as pb;

use super::{CasePage, case_number};
use crate::error::Error;
use crate::grpc::{BankGrpc, Reading};
use crate::plan::cases::known::{decode, subscription_id};
use crate::plan::cases::write::CaseAction;

impl Reading {
    /// Returns an incident as the caller sees it.
    async fn shown_incident(&self, document: &Document) -> Result<pb::Incident, Status> {
        let stored = decode::<pb::StoredIncident>(document).ok_or(Error::Broken)?;
        let mut incident = stored.incident.ok_or(Error::Broken)?;
        incident.bank = self.case_bank(stored.bank_id)?;
        if !incident.bank.is_empty() {
            let banks = self.read(self.store.banks(&[BankId(stored.bank_id)])).await?.value;
            incident.item_count = banks.first().map_or(incident.item_count, |bank| bank.item_count);
        }
        Ok(incident)
    }

    /// Reads the subscription of the caller's member.
    async fn subscription(&self) -> Result<pb::StoredIncidentSubscription, Status> {
        let member = self.admitted()?.member().map(|member| member.id);
        let Some(member) = member else { return Ok(pb::StoredIncidentSubscription::default()) };
        let found = self.read(self.store.documents(&[subscription_id(member)])).await?;
        Ok(found.first().and_then(decode).unwrap_or_default())
    }
}

#[tonic::async_trait]
impl pb::incident_service_server::IncidentService for BankGrpc {
    async fn open_incident(
        &self,
        request: Request<pb::OpenIncidentRequest>,
    ) -> Result<Response<pb::OpenIncidentResponse>, Status> {
        let action = |message: &pb::OpenIncidentRequest| {
            let words = Box::new(message.try_into()?);
            let bank = (!message.bank.is_empty()).then(|| name("bank", &message.bank)).transpose()?;
            Ok(CaseAction::OpenIncident { words, bank })
        };
        let answer = self.write_case(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::OpenIncidentResponse {
            number: answer.number,
            bank: answer.name.map(|name| name.to_string()).unwrap_or_default(),
            member_count: answer.count,
            sequence: answer.sequence.0,
        }))
    }

    async fn list_incidents(
        &self,
        request: Request<pb::ListIncidentsRequest>,
    ) -> Result<Response<pb::ListIncidentsResponse>, Status> {
        let reading = self.reading(&request)?;
        let message = request.get_ref();
        let documents = reading.case_documents(DocumentKind::Incident, &message.after_key, None).await?;
        let mut page = CasePage::new(case_page_size(message.page_size)?, &documents);
        for document in &documents {
            if page.add(reading.shown_incident(document).await?, &document.key) {
                break;
            }
        }
        let (incidents, next_key) = page.end();
        let subscription = reading.subscription().await?;
        Ok(Response::new(pb::ListIncidentsResponse {
            incidents,
            next_key,
            subscribed_types: subscription.incident_types,
            every_type: subscription.every_type,
        }))
    }

    async fn close_incident(
        &self,
        request: Request<pb::CloseIncidentRequest>,
    ) -> Result<Response<pb::CloseIncidentResponse>, Status> {
        let action = |message: &pb::CloseIncidentRequest| {
            let reason = Text::new(&message.reason).map_err(|error| Invalid::new("reason", error))?;
            let (number, keep_days) = (case_number(message.number)?, keep_days(message.keep_days)?);
            Ok(CaseAction::CloseIncident { number, reason, keep_days })
        };
        let answer = self.write_case(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::CloseIncidentResponse { sequence: answer.sequence.0 }))
    }

    async fn set_incident_subscription(
        &self,
        request: Request<pb::SetIncidentSubscriptionRequest>,
    ) -> Result<Response<pb::SetIncidentSubscriptionResponse>, Status> {
        let action =
            |message: &pb::SetIncidentSubscriptionRequest| Ok(CaseAction::Subscribe(message.try_into()?));
        let answer = self.write_case(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::SetIncidentSubscriptionResponse {
            incident_count: answer.count,
            sequence: answer.sequence.0,
        }))
    }
}
