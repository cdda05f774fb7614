//! Plans writes of cases: which function plans which, and how a case's document changes.

use prost::Message;
use vigie_consortium::{DocumentKey, DocumentKind};

use super::write::CaseAction;
use crate::error::Error;
use crate::plan::Planner;
use crate::plan::answer::{Answer, CaseAnswer};
use crate::plan::write::Write;
use crate::store::to_model;

impl Planner<'_> {
    pub(in crate::plan) fn change_cases(
        &mut self,
        write: &Write,
        action: &CaseAction,
    ) -> Result<Answer, Error> {
        let by = write.by;
        match action {
            CaseAction::SubmitReport { bank, contents } => self.submit_report(by, bank, contents),
            CaseAction::ReviewReport { number, review } => self.review_report(by, *number, review),
            CaseAction::ForgetReports(keys) => self.forget_reports(keys),
            CaseAction::AddReferral { words, members } => self.add_referral(by, words, members),
            CaseAction::SetOutcome { number, measure } => self.set_referral_outcome(by, *number, measure),
            CaseAction::OpenIncident { words, bank } => self.open_incident(by, words, bank.as_ref()),
            CaseAction::CloseIncident { number, reason, keep_days } => {
                self.close_incident(by, *number, reason, *keep_days)
            }
            CaseAction::Subscribe(types) => self.subscribe(by, types),
            CaseAction::EndIncident(key) => self.end_incident(key),
        }
    }

    /// The answer, as of the newest change.
    pub(super) fn case_answer(&self, answer: CaseAnswer) -> Answer {
        Answer::Case(CaseAnswer { sequence: to_model(self.draft.last()), ..answer })
    }

    /// Sets the document of a case.
    pub(super) fn put_case(
        &mut self,
        kind: DocumentKind,
        key: DocumentKey,
        says: &impl Message,
    ) -> Result<(), Error> {
        self.put_document(kind, key, says.encode_to_vec())
    }

    /// Sets the document of a case that may have gone to another stage.
    pub(super) fn move_case(
        &mut self,
        kind: DocumentKind,
        from: DocumentKey,
        to: DocumentKey,
        says: &impl Message,
    ) -> Result<(), Error> {
        if from != to {
            self.take_document(kind, from)?;
        }
        self.put_case(kind, to, says)
    }
}
