//! Writes of reports, referrals and incidents.

use vigie_consortium::DocumentKey;
use vigie_consortium::cases::{
    CaseNote, DecisionOutcome, IncidentTypes, IncidentWords, Measure, RecordedMatch, ReferralWords,
    ReportContents, ReportReview,
};
use vigie_consortium::change::bounds::GRANTS_PER_BANK_MAX;
use vigie_model::{BankName, BankRef, MemberName, UnixMillis};

use super::recorded::NewDecision;

/// A write of a case.
#[derive(Debug, Clone)]
pub(crate) struct CaseWrite {
    /// The change that is asked for.
    pub(crate) action: CaseAction,
    /// A digest of the request.
    pub(crate) request_digest: [u8; 32],
}

/// The change that a write asks for.
#[derive(Debug, Clone)]
pub(crate) enum CaseAction {
    /// A report to the reviewers.
    SubmitReport {
        /// The bank that matched.
        bank: BankRef,
        /// What it says.
        contents: Box<ReportContents>,
    },
    /// A decision on a report.
    ReviewReport {
        /// The report.
        number: u64,
        /// The decision.
        review: Box<ReportReview>,
    },
    /// Old reports to be gone. Of the bank itself.
    ForgetReports(Vec<DocumentKey>),
    /// A referral.
    AddReferral {
        /// What it says.
        words: Box<ReferralWords>,
        /// The members that it is addressed to; none for all.
        members: Vec<MemberName>,
    },
    /// The outcome of a referral at the caller's member.
    SetOutcome {
        /// The referral.
        number: u64,
        /// What the member did.
        measure: Box<Measure>,
    },
    /// An incident with its bank.
    OpenIncident {
        /// What is said of it.
        words: Box<IncidentWords>,
        /// The name of its bank; `None` for one of its number.
        bank: Option<BankName>,
    },
    /// The end of an incident.
    CloseIncident {
        /// The incident.
        number: u64,
        /// Why.
        reason: CaseNote,
        /// Days for which its bank is kept.
        keep_days: u16,
    },
    /// The types that the caller's member subscribes to.
    Subscribe(IncidentTypes),
    /// The bank of a closed incident to be gone. Of the bank itself.
    EndIncident(DocumentKey),
    /// Decisions to be recorded.
    RecordDecisions(Vec<NewDecision>),
    /// What became of a decision.
    SetDecisionOutcome {
        /// The decision.
        id: [u8; 16],
        /// What became of it.
        outcome: Box<DecisionOutcome>,
        /// When the outcome was last set, as far as the caller knows.
        expected_at: Option<UnixMillis>,
    },
    /// Parts of records whose days are over to be gone. Of the bank itself.
    ForgetDecisions(Vec<DocumentKey>),
}

impl CaseWrite {
    /// Changes of the log, at most.
    pub(crate) const fn change_count(&self) -> usize {
        match &self.action {
            CaseAction::SubmitReport { .. } => 1,
            // The report in its old and new stage; the opinion with the changes of its item.
            CaseAction::ReviewReport { .. } => 6,
            CaseAction::ForgetReports(keys) => keys.len(),
            CaseAction::AddReferral { .. } | CaseAction::SetOutcome { .. } | CaseAction::EndIncident(_) => 3,
            CaseAction::OpenIncident { .. } | CaseAction::CloseIncident { .. } => 3 + GRANTS_PER_BANK_MAX,
            CaseAction::Subscribe(_) => 1 + IncidentWords::OPEN_MAX as usize,
            // Documents only: a part of the record and its three keys, and one more part for each further term. The log does not change.
            CaseAction::RecordDecisions(decisions) => 5 * decisions.len(),
            CaseAction::ForgetDecisions(keys) => 4 * keys.len(),
            // The opinion on each item, with the changes of its item.
            CaseAction::SetDecisionOutcome { .. } => 4 * RecordedMatch::MATCHES_MAX,
        }
    }

    /// Whether it is the deletion of a bank.
    pub(crate) const fn deletes_bank(&self) -> bool {
        matches!(self.action, CaseAction::EndIncident(_))
    }

    /// Whether the audit has no entry of it: what is old goes by itself, and records come from searches, which are counted.
    pub(crate) const fn is_silent(&self) -> bool {
        matches!(
            self.action,
            CaseAction::ForgetReports(_) | CaseAction::ForgetDecisions(_) | CaseAction::RecordDecisions(_)
        )
    }

    /// Bytes in the queue, about.
    pub(crate) const fn weight(&self) -> usize {
        const EACH: usize = 256;
        match &self.action {
            CaseAction::ForgetReports(keys) => EACH * (1 + keys.len()),
            // With their matches, and with the documents that are looked up.
            CaseAction::RecordDecisions(decisions) => 8 * EACH * (1 + decisions.len()),
            CaseAction::ForgetDecisions(keys) => 8 * EACH * (1 + keys.len()),
            CaseAction::SetDecisionOutcome { .. } => 8 * EACH * RecordedMatch::MATCHES_MAX,
            CaseAction::AddReferral { members, .. } => 12 * EACH + 64 * members.len(),
            // With the documents that are looked up.
            CaseAction::OpenIncident { .. } | CaseAction::Subscribe(_) => 64 * EACH,
            CaseAction::SubmitReport { .. }
            | CaseAction::ReviewReport { .. }
            | CaseAction::SetOutcome { .. }
            | CaseAction::CloseIncident { .. }
            | CaseAction::EndIncident(_) => 8 * EACH,
        }
    }
}
