//! Plans reports of members and decisions on them.

use vigie_consortium::cases::{ReportContents, ReportOutcome, ReportReview};
use vigie_consortium::{DocumentKey, DocumentKind, Method, Opinion, OpinionReason, OpinionWords, Text};
use vigie_model::{BankId, BankRef, ItemId, MemberId, OpinionKind};
use vigie_proto::pb::consortium::v1 as pb;
use vigie_statistics::Measure;

use super::stage::Stage;
use crate::error::{CaseError, Error};
use crate::plan::Planner;
use crate::plan::answer::{Answer, CaseAnswer};
use crate::plan::beside::counters::Of;
use crate::plan::beside::opinion_write::NewOpinion;
use crate::plan::write::Author;
use crate::store::to_model;

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
        let demands = [review.do_not_tell_until, review.do_not_remove_until];
        if demands.into_iter().flatten().any(|until| until.0 > latest) {
            return Err(CaseError::DemandTooLong.into());
        }
        let found = self.first_document::<pb::StoredReport>(&Stage::ids(KIND, number));
        let (key, mut report) = found.ok_or(CaseError::NoReport(number))?;
        let (bank, contents) = (BankId(report.bank_id), report.contents.clone().unwrap_or_default());
        let item = ItemId(contents.item_id);
        let count = if review.outcome == ReportOutcome::Unfounded {
            u32::from(self.put_unfounded(by, (item, bank), number, review)?)
        } else {
            self.withdraw_unfounded(by, (item, bank), number)?;
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

    /// Takes old reports out. Those that are gone are passed over.
    pub(super) fn forget_reports(&mut self, keys: &[DocumentKey]) -> Result<Answer, Error> {
        for key in keys {
            if self.document(&(KIND, key.clone())).is_some() {
                self.take_document(KIND, key.clone())?;
            }
        }
        Ok(self.case_answer(CaseAnswer::default()))
    }

    /// Puts the host's negative opinion on the item of an unfounded report. Returns whether it is put: the item may be gone, or not shared with
    /// the host for opinions.
    fn put_unfounded(
        &mut self,
        by: Author,
        (item, bank): (ItemId, BankId),
        number: u64,
        review: &ReportReview,
    ) -> Result<bool, Error> {
        let by = Author { method: Method::PutOpinions, ..by };
        if !self.may_opine(by, item, bank) {
            return Ok(false);
        }
        let reason = Some(review.opinion_reason.unwrap_or(OpinionReason::Other));
        let words = OpinionWords { reason, foreign: mark(number)?, ..OpinionWords::default() };
        let opinion = NewOpinion { item, hash: None, kind: OpinionKind::Negative, words };
        match self.put_opinions(by, &[opinion]) {
            Ok(_) => Ok(true),
            Err(Error::TooManyOpinions(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes back the opinion that an earlier review of the report put.
    fn withdraw_unfounded(
        &mut self,
        by: Author,
        (item, bank): (ItemId, BankId),
        number: u64,
    ) -> Result<(), Error> {
        let by = Author { method: Method::WithdrawOpinions, ..by };
        if !self.may_opine(by, item, bank) {
            return Ok(());
        }
        let (mark, at) = (mark(number)?, self.now());
        let sequence = to_model(self.draft.last().next());
        let (member, placement) = self.word_on(by, item)?;
        let mut record = self.record_of(&placement);
        let put = record.opinions.iter().find(|one| {
            one.member == member
                && one.hash.is_none()
                && !one.of_programme
                && one.kind.is_some()
                && one.words.foreign == mark
        });
        let Some(put) = put.cloned() else { return Ok(()) };
        let taken_back = Opinion { kind: None, words: OpinionWords::default(), at, sequence, ..put };
        record.opinions = record.opinions.with(taken_back).map_err(|_| Error::TooManyOpinions(item))?;
        self.put_if_new(&placement, record).map(drop)
    }

    /// Whether the item is in the bank of its report, and the caller may say something of it.
    fn may_opine(&self, by: Author, item: ItemId, bank: BankId) -> bool {
        let is_there = self.living(item).is_some_and(|placement| placement.bank == bank);
        is_there && self.word_on(by, item).is_ok()
    }
}

/// What a decision on a report is counted as.
const fn measure(outcome: ReportOutcome) -> Option<Measure> {
    match outcome {
        ReportOutcome::Founded => Some(Measure::ReportsFounded),
        ReportOutcome::Forwarded => Some(Measure::ReportsForwarded),
        ReportOutcome::Unfounded => Some(Measure::ReportsUnfounded),
        ReportOutcome::Duplicate | ReportOutcome::MoreInformation => None,
    }
}

/// The word by which an opinion is known as that of a review.
fn mark(number: u64) -> Result<Text<{ OpinionWords::FOREIGN_LEN_MAX }>, Error> {
    Text::new(&format!("report {number}")).map_err(|_| Error::Broken)
}
