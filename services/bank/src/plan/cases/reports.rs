//! Plans reports of members and decisions on them.

use vigie_consortium::cases::{ReportContents, ReportOutcome, ReportReview};
use vigie_consortium::{DocumentKey, DocumentKind, OpinionReason, Text};
use vigie_model::{BankId, BankRef, ItemId, MemberId, UnixMillis};
use vigie_proto::pb::consortium::v1 as pb;
use vigie_statistics::Measure;

use super::marked::{Mark, REPORT};
use super::stage::Stage;
use crate::error::{CaseError, Error};
use crate::plan::Planner;
use crate::plan::answer::{Answer, CaseAnswer};
use crate::plan::beside::counters::Of;
use crate::plan::write::Author;

const KIND: DocumentKind = DocumentKind::Report;

impl Planner<'_> {
    pub(super) fn submit_report(
        &mut self,
        by: Author,
        bank: &BankRef,
        contents: &ReportContents,
    ) -> Result<Answer, Error> {
        let (bank, member) = {
            let admitted = by.admitted(&self.state.view, self.now())?;
            (admitted.bank(bank)?.id, admitted.member().ok_or(Error::Broken)?.id)
        };
        if let Some(earlier) = contents.adds_to {
            let found = self.first_document::<pb::StoredReport>(&Stage::ids(KIND, earlier));
            let is_own = found.is_some_and(|(_, report)| report.member_id == member.0);
            if !is_own {
                return Err(CaseError::NoReport(earlier).into());
            }
        }
        let number = self.draft.last().next().0;
        let stage = if contents.urgent { Stage::First } else { Stage::Second };
        let report = pb::StoredReport {
            member_id: member.0,
            bank_id: bank.0,
            contents: Some(contents.clone().into()),
            submitted_at_unix_ms: self.now().0,
            ..Default::default()
        };
        self.put_case(KIND, stage.key(number), &report)?;
        self.count_up(&Of::member_and_bank(member, bank), Measure::ReportsSubmitted, 1)?;
        Ok(self.case_answer(CaseAnswer { number, bank: Some(bank), ..CaseAnswer::default() }))
    }

    pub(super) fn review_report(
        &mut self,
        by: Author,
        number: u64,
        review: &ReportReview,
    ) -> Result<Answer, Error> {
        by.admitted(&self.state.view, self.now())?.host()?;
        let latest = self.now().0.saturating_add(ReportReview::DEMAND_MS_MAX);
        let demands = [
            ("review.do_not_tell_until_unix_ms", review.do_not_tell_until),
            ("review.do_not_remove_until_unix_ms", review.do_not_remove_until),
        ];
        let is_too_long = |until: Option<UnixMillis>| until.is_some_and(|until| until.0 > latest);
        if let Some((field, _)) = demands.into_iter().find(|(_, until)| is_too_long(*until)) {
            return Err(CaseError::DemandTooLong(field).into());
        }
        let found = self.first_document::<pb::StoredReport>(&Stage::ids(KIND, number));
        let (key, mut report) = found.ok_or(CaseError::NoReport(number))?;
        let (bank, contents) = (BankId(report.bank_id), report.contents.clone().unwrap_or_default());
        let item = ItemId(contents.item_id);
        let count = if review.outcome == ReportOutcome::Unfounded {
            let reason = review.opinion_reason.unwrap_or(OpinionReason::Other);
            u32::from(self.put_marked(by, (item, bank), reason, &mark(number)?)?)
        } else {
            self.withdraw_marked(by, (item, bank), &mark(number)?)?;
            0
        };
        let decided: pb::ReportReview = review.clone().into();
        let before = report.review.replace(decided.clone()).map(|before| before.outcome);
        if let (Some(measure), true) = (measure(review.outcome), before != Some(decided.outcome)) {
            self.count_up(&Of::member_and_bank(MemberId(report.member_id), bank), measure, 1)?;
        }
        report.reviewed_at_unix_ms = self.now().0;
        let stage = match (review.outcome.is_final(), contents.urgent) {
            (true, _) => Stage::Third,
            (false, true) => Stage::First,
            (false, false) => Stage::Second,
        };
        self.move_case(KIND, key, stage.key(number), &report)?;
        Ok(self.case_answer(CaseAnswer { number, count, bank: Some(bank), ..CaseAnswer::default() }))
    }

    /// Deletes old reports. Skips reports that no longer exist.
    pub(super) fn forget_reports(&mut self, keys: &[DocumentKey]) -> Result<Answer, Error> {
        for key in keys {
            if self.document(&(KIND, key.clone())).is_some() {
                self.take_document(KIND, key.clone())?;
            }
        }
        Ok(self.case_answer(CaseAnswer::default()))
    }
}

/// Returns the measure that counts a decision on a report.
const fn measure(outcome: ReportOutcome) -> Option<Measure> {
    match outcome {
        ReportOutcome::Founded => Some(Measure::ReportsFounded),
        ReportOutcome::Forwarded => Some(Measure::ReportsForwarded),
        ReportOutcome::Unfounded => Some(Measure::ReportsUnfounded),
        ReportOutcome::Duplicate | ReportOutcome::MoreInformation => None,
    }
}

/// Returns the mark of the opinion that a review puts.
fn mark(number: u64) -> Result<Mark, Error> {
    Text::new(&format!("{REPORT}{number}")).map_err(|_| Error::Broken)
}
