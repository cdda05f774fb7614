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
    /// The requested change.
    pub(crate) action: CaseAction,
    /// A digest of the request.
    pub(crate) request_digest: [u8; 32],
}

/// The change that a write requests.
#[derive(Debug, Clone)]
pub(crate) enum CaseAction {
    /// Submits a report to the reviewers.
    SubmitReport {
        /// The bank that matched.
        bank: BankRef,
        /// The contents of the report.
        contents: Box<ReportContents>,
    },
    /// Decides on a report.
    ReviewReport {
        /// The report.
        number: u64,
        /// The decision.
        review: Box<ReportReview>,
    },
    /// Deletes old reports. Only the bank itself requests it.
    ForgetReports(Vec<DocumentKey>),
    /// Adds a referral.
    AddReferral {
        /// The contents of the referral.
        words: Box<ReferralWords>,
        /// The members that it is addressed to; none for all.
        members: Vec<MemberName>,
    },
    /// Sets the outcome of a referral at the caller's member.
    SetOutcome {
        /// The referral.
        number: u64,
        /// The action of the member.
        measure: Box<Measure>,
    },
    /// Opens an incident, with its bank.
    OpenIncident {
        /// The texts and the type of the incident.
        words: Box<IncidentWords>,
        /// The name of its bank; `None` for a name made from the incident's number.
        bank: Option<BankName>,
    },
    /// Closes an incident.
    CloseIncident {
        /// The incident.
        number: u64,
        /// The reason.
        reason: CaseNote,
        /// Number of days for which its bank is kept.
        keep_days: u16,
    },
    /// Sets the types that the caller's member subscribes to.
    Subscribe(IncidentTypes),
    /// Deletes the bank of a closed incident. Only the bank itself requests it.
    EndIncident(DocumentKey),
    /// Records decisions.
    RecordDecisions(Vec<NewDecision>),
    /// Sets the outcome of a decision.
    SetDecisionOutcome {
        /// The decision.
        id: [u8; 16],
        /// The outcome.
        outcome: Box<DecisionOutcome>,
        /// The time at which the outcome was last set, as known to the caller.
        expected_at: Option<UnixMillis>,
    },
    /// Deletes expired parts of records. Only the bank itself requests it.
    ForgetDecisions(Vec<DocumentKey>),
}

impl CaseWrite {
    /// Returns the most changes of the log that the write makes.
    pub(crate) const fn change_count(&self) -> usize {
        match &self.action {
            CaseAction::SubmitReport { .. } => 1,
            // The report in its old and new stage, and the opinion with the changes of its item.
            CaseAction::ReviewReport { .. } => 6,
            CaseAction::ForgetReports(keys) => keys.len(),
            CaseAction::AddReferral { .. } | CaseAction::SetOutcome { .. } | CaseAction::EndIncident(_) => 3,
            CaseAction::OpenIncident { .. } | CaseAction::CloseIncident { .. } => 3 + GRANTS_PER_BANK_MAX,
            CaseAction::Subscribe(_) => 1 + IncidentWords::OPEN_MAX as usize,
            // Documents only: a part of the record and its three keys, and one more part for each further
            // retention period. The log does not change.
            CaseAction::RecordDecisions(decisions) => 5 * decisions.len(),
            CaseAction::ForgetDecisions(keys) => 4 * keys.len(),
            // The opinion on each item, with the changes of its item.
            CaseAction::SetDecisionOutcome { .. } => 4 * RecordedMatch::MATCHES_MAX,
        }
    }

    /// Returns whether the write deletes a bank.
    pub(crate) const fn deletes_bank(&self) -> bool {
        matches!(self.action, CaseAction::EndIncident(_))
    }

    /// Returns whether the audit gets no entry of the write. Expired data is deleted automatically, and
    /// records come from searches, which are counted.
    pub(crate) const fn is_silent(&self) -> bool {
        matches!(
            self.action,
            CaseAction::ForgetReports(_) | CaseAction::ForgetDecisions(_) | CaseAction::RecordDecisions(_)
        )
    }

    /// Returns the approximate size in the queue, in bytes.
    pub(crate) const fn weight(&self) -> usize {
        const EACH: usize = 256;
        match &self.action {
            CaseAction::ForgetReports(keys) => EACH * (1 + keys.len()),
            // Includes their matches, and the documents that are looked up.
            CaseAction::RecordDecisions(decisions) => 8 * EACH * (1 + decisions.len()),
            CaseAction::ForgetDecisions(keys) => 8 * EACH * (1 + keys.len()),
            CaseAction::SetDecisionOutcome { .. } => 8 * EACH * RecordedMatch::MATCHES_MAX,
            CaseAction::AddReferral { members, .. } => 12 * EACH + 64 * members.len(),
            // Includes the documents that are looked up.
            CaseAction::OpenIncident { .. } | CaseAction::Subscribe(_) => 64 * EACH,
            CaseAction::SubmitReport { .. }
            | CaseAction::ReviewReport { .. }
            | CaseAction::SetOutcome { .. }
            | CaseAction::CloseIncident { .. }
            | CaseAction::EndIncident(_) => 8 * EACH,
        }
    }
}
