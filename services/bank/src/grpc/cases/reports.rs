//! The service of reports.

use tonic::{Request, Response, Status};
use vigie_consortium::rights::Members;
use vigie_consortium::{Document, DocumentKind, MemberId};
use vigie_proto::Invalid;
use vigie_proto::consortium::{bank_ref, case_page_size};
use vigie_proto::pb::consortium::v1 as pb;

use super::{CasePage, case_number};
use crate::error::Error;
use crate::grpc::{BankGrpc, Reading, name_of_member};
use crate::plan::cases::known::decode;
use crate::plan::cases::stage::Stage;
use crate::plan::cases::write::CaseAction;

impl Reading {
    /// Returns a report as the caller sees it; `None` for a report of a member that the caller may not see.
    fn shown_report(&self, members: Members, document: &Document) -> Result<Option<pb::Report>, Status> {
        let stored = decode::<pb::StoredReport>(document).ok_or(Error::Broken)?;
        let member = MemberId(stored.member_id);
        if !members.contain(Some(member)) {
            return Ok(None);
        }
        Ok(Some(pb::Report {
            number: document.key.number(1),
            member: name_of_member(self.view.directory(), member),
            bank: self.case_bank(stored.bank_id)?,
            bank_id: stored.bank_id,
            contents: stored.contents,
            submitted_at_unix_ms: stored.submitted_at_unix_ms,
            review: stored.review,
            reviewed_at_unix_ms: stored.reviewed_at_unix_ms,
        }))
    }
}

#[tonic::async_trait]
impl pb::report_service_server::ReportService for BankGrpc {
    async fn submit_report(
        &self,
        request: Request<pb::SubmitReportRequest>,
    ) -> Result<Response<pb::SubmitReportResponse>, Status> {
        let action = |message: &pb::SubmitReportRequest| {
            let contents = message.contents.clone().ok_or_else(|| Invalid::missing("contents"))?;
            let contents = contents.try_into().map_err(|invalid: Invalid| invalid.within("contents"))?;
            let bank = bank_ref("bank", &message.bank)?;
            Ok(CaseAction::SubmitReport { bank, contents: Box::new(contents) })
        };
        let answer = self.write_case(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::SubmitReportResponse { number: answer.number, sequence: answer.sequence.0 }))
    }

    async fn list_reports(
        &self,
        request: Request<pb::ListReportsRequest>,
    ) -> Result<Response<pb::ListReportsResponse>, Status> {
        let reading = self.reading(&request)?;
        let message = request.get_ref();
        let (members, limit) = (reading.case_members()?, case_page_size(message.page_size)?);
        if message.number != 0 {
            let ids = Stage::ids(DocumentKind::Report, message.number);
            let found = reading.read(reading.store.documents(&ids)).await?;
            let shown = found.iter().map(|one| reading.shown_report(members, one));
            let reports = shown.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
            return Ok(Response::new(pb::ListReportsResponse { reports, next_key: Vec::new() }));
        }
        let before = message.waiting.then_some(Stage::Third);
        let documents = reading.case_documents(DocumentKind::Report, &message.after_key, before).await?;
        let mut page = CasePage::new(limit, &documents);
        for document in &documents {
            let Some(shown) = reading.shown_report(members, document)? else { continue };
            if page.add(shown, &document.key) {
                break;
            }
        }
        let (reports, next_key) = page.end();
        Ok(Response::new(pb::ListReportsResponse { reports, next_key }))
    }

    async fn review_report(
        &self,
        request: Request<pb::ReviewReportRequest>,
    ) -> Result<Response<pb::ReviewReportResponse>, Status> {
        let action = |message: &pb::ReviewReportRequest| {
            let review = message.review.clone().ok_or_else(|| Invalid::missing("review"))?;
            let review = review.try_into().map_err(|invalid: Invalid| invalid.within("review"))?;
            Ok(CaseAction::ReviewReport { number: case_number(message.number)?, review: Box::new(review) })
        };
        let answer = self.write_case(request, action, |message| message.idempotency_key).await?;
        let (sequence, opinion_put) = (answer.sequence.0, answer.count > 0);
        Ok(Response::new(pb::ReviewReportResponse { sequence, opinion_put }))
    }
}
