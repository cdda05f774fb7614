//! Client of the bank's service of reports.

use tokio::time::Instant;
use vigie_consortium::BankRef;
use vigie_consortium::cases::{ReportContents, ReportReview};
use vigie_model::{BankId, UnixMillis};
use vigie_net::{CallError, Channel};
use vigie_proto::Invalid;
use vigie_proto::consortium::bank_ref;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::report_service_client::ReportServiceClient;

use crate::leading_bank::{IdempotencyKey, LeadingBank, Written, among_banks, call};

/// The most bytes of an answer: a page of reports.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// A report as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportListing {
    /// Its number.
    pub number: u64,
    /// The name of the member that sent it.
    pub member: String,
    /// The caller's name for the bank that matched; `None` if the caller does not see it.
    pub bank: Option<BankRef>,
    /// That bank's id.
    pub bank_id: BankId,
    /// The contents of the report.
    pub contents: ReportContents,
    /// The time at which it was received.
    pub submitted_at: UnixMillis,
    /// The reviewers' decision, and its time.
    pub review: Option<(ReportReview, UnixMillis)>,
}

impl TryFrom<pb::Report> for ReportListing {
    type Error = Invalid;

    fn try_from(message: pb::Report) -> Result<Self, Invalid> {
        let review = message.review.map(ReportReview::try_from).transpose()?;
        Ok(Self {
            number: message.number,
            member: message.member,
            bank: (!message.bank.is_empty()).then(|| bank_ref("bank", &message.bank)).transpose()?,
            bank_id: BankId(message.bank_id),
            contents: message.contents.ok_or_else(|| Invalid::missing("contents"))?.try_into()?,
            submitted_at: UnixMillis(message.submitted_at_unix_ms),
            review: review.map(|review| (review, UnixMillis(message.reviewed_at_unix_ms))),
        })
    }
}

/// A page of cases, and the key after which the next one begins; empty for none.
pub type CasePage<T> = (Vec<T>, Vec<u8>);

/// The position and size of a page of a list of cases. Made from a key alone, it has the bank's default size.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CasesAfter {
    /// The key after which the page begins; empty for the first page.
    pub key: Vec<u8>,
    /// The most entries of the page, 1 to 100; `None` for 100.
    pub limit: Option<u16>,
}

impl From<Vec<u8>> for CasesAfter {
    fn from(key: Vec<u8>) -> Self {
        Self { key, limit: None }
    }
}

impl CasesAfter {
    /// Returns the key and the size in the wire's form.
    pub(super) fn into_wire(self) -> (Vec<u8>, i32) {
        (self.key, self.limit.map_or(0, i32::from))
    }
}

/// Sends, lists and decides on reports.
#[derive(Debug, Clone)]
pub struct ReportClient {
    bank: LeadingBank<ReportServiceClient<Channel>>,
}

impl ReportClient {
    among_banks!(ReportServiceClient, ANSWER_BYTES_MAX);

    /// Submits a report. Returns its number.
    pub async fn submit(
        &self,
        bank: &BankRef,
        contents: ReportContents,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<u64>, CallError> {
        let request = pb::SubmitReportRequest {
            bank: bank.to_string(),
            contents: Some(contents.into()),
            idempotency_key: key.into_text(),
        };
        let answer: pb::SubmitReportResponse = call!(self, deadline, submit_report, SubmitReport, request)?;
        self.bank.written(Ok(answer.number), answer.sequence)
    }

    /// Lists a page of reports: all, or only the waiting ones.
    pub async fn list(
        &self,
        after: impl Into<CasesAfter>,
        waiting: bool,
        deadline: Instant,
    ) -> Result<CasePage<ReportListing>, CallError> {
        let (after_key, page_size) = after.into().into_wire();
        let request = pb::ListReportsRequest { after_key, page_size, waiting, ..Default::default() };
        let answer: pb::ListReportsResponse = call!(self, deadline, list_reports, ListReports, request)?;
        let reports = answer.reports.into_iter().map(ReportListing::try_from).collect();
        Ok((self.bank.checked(reports)?, answer.next_key))
    }

    /// Reads the report with a number; `None` if the caller may see none.
    pub async fn get(&self, number: u64, deadline: Instant) -> Result<Option<ReportListing>, CallError> {
        let request = pb::ListReportsRequest { number, ..Default::default() };
        let answer: pb::ListReportsResponse = call!(self, deadline, list_reports, ListReports, request)?;
        self.bank.checked(answer.reports.into_iter().next().map(ReportListing::try_from).transpose())
    }

    /// Decides on a report. Returns whether the decision put a negative opinion on the item.
    pub async fn review(
        &self,
        number: u64,
        review: ReportReview,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<bool>, CallError> {
        let (review, idempotency_key) = (Some(review.into()), key.into_text());
        let request = pb::ReviewReportRequest { number, review, idempotency_key };
        let answer: pb::ReviewReportResponse = call!(self, deadline, review_report, ReviewReport, request)?;
        self.bank.written(Ok(answer.opinion_put), answer.sequence)
    }
}
