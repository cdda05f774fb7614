//! Plans writes of cases: dispatches each kind, and updates the documents of cases.

use prost::Message;
use vigie_consortium::{Document, DocumentId, DocumentKey, DocumentKind};

use super::known::decode;
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
            CaseAction::RecordDecisions(decisions) => self.record_decisions(decisions),
            CaseAction::SetDecisionOutcome { id, outcome, expected_at } => {
                self.set_decision_outcome(by, *id, outcome, *expected_at)
            }
            CaseAction::ForgetDecisions(keys) => self.forget_decisions(keys),
        }
    }

    /// Returns the answer, as of the newest change.
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

    /// Sets the document of a case that may have moved to another stage.
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

    /// Returns a document in the state after the group's earlier writes.
    pub(in crate::plan) fn document(&self, id: &DocumentId) -> Option<&Document> {
        match self.documents.get(id) {
            Some(changed) => changed.as_ref(),
            None => self.known.documents.get(id),
        }
    }

    /// Returns the key and the decoded content of the first of these documents that exists.
    pub(super) fn first_document<T: Message + Default>(
        &self,
        ids: &[DocumentId],
    ) -> Option<(DocumentKey, T)> {
        let document = ids.iter().find_map(|id| self.document(id))?;
        Some((document.key.clone(), decode(document)?))
    }

    /// Returns the documents of a kind that were looked up or changed, by key.
    pub(super) fn documents_of(&self, kind: DocumentKind) -> impl Iterator<Item = &Document> {
        let is_of = move |id: &&DocumentId| id.0 == kind;
        let changed =
            self.documents.iter().filter(move |(id, _)| is_of(id)).filter_map(|(_, one)| one.as_ref());
        let known = self.known.documents.iter().filter(move |(id, _)| is_of(id));
        known.filter(|(id, _)| !self.documents.contains_key(*id)).map(|(_, one)| one).chain(changed)
    }
}
