//! Reports of members to the reviewers of the host.

use thiserror::Error;
use vigie_model::{Distance, HashType, ItemId, UnixMillis};

use super::words::{CaseNote, CaseReference, words};
use crate::items::{Classification, OpinionReason};
use crate::policies::Verdict;

/// The contents of a report. Most come from a decision; a person adds the urgency, the legal basis and the
/// note.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReportContents {
    /// The item that matched.
    pub item: Option<ItemId>,
    /// The decision's id.
    pub decision: Option<[u8; 16]>,
    /// The time of the decision.
    pub decided_at: Option<UnixMillis>,
    /// The classes of the material.
    pub classification: Classification,
    /// The type and distance of the hash that matched.
    pub matched: Option<(HashType, Distance)>,
    /// The verdict.
    pub verdict: Option<Verdict>,
    /// Whether a person looked at the whole content; `None` if unknown.
    pub person_looked: Option<bool>,
    /// There is an imminent threat to life or safety.
    pub urgent: bool,
    /// The legal basis.
    pub legal_basis: CaseReference,
    /// The reference number of a report in a third country.
    pub third_country_reference: CaseReference,
    /// A note for the reviewers.
    pub note: CaseNote,
    /// The number of an earlier report that this one adds to.
    pub adds_to: Option<u64>,
}

words! {
    /// The outcome of a review.
    ReportOutcome {
        /// The material is what the report says.
        Founded = "founded",
        /// The material is not what the report says.
        Unfounded = "unfounded",
        /// Founded, and passed on to an authority.
        Forwarded = "forwarded",
        /// The material was reported before.
        Duplicate = "duplicate",
        /// The reviewers need more information.
        MoreInformation = "more-information",
    }
}

impl ReportOutcome {
    /// Whether the report is closed by this outcome.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Founded | Self::Unfounded | Self::Forwarded | Self::Duplicate => true,
            Self::MoreInformation => false,
        }
    }
}

/// The reviewers' answer to a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportReview {
    /// The outcome.
    pub outcome: ReportOutcome,
    /// The reason, for the member.
    pub reason: CaseNote,
    /// The reason why the item is wrong; for unfounded reports only.
    pub opinion_reason: Option<OpinionReason>,
    /// The time before which the member must not inform the user.
    pub do_not_tell_until: Option<UnixMillis>,
    /// The time before which the member must not remove the content.
    pub do_not_remove_until: Option<UnixMillis>,
}

/// A review is incomplete or contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReviewError {
    /// The outcome requires a reason, which the member reads.
    #[error("is required where a report is {0}")]
    NoReason(ReportOutcome),
    /// A reason why the item is wrong was given for a report that is not unfounded.
    #[error("goes with unfounded reports alone")]
    OpinionReason,
}

impl ReviewError {
    /// Returns the name of the invalid field.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::NoReason(_) => "reason",
            Self::OpinionReason => "opinion_reason",
        }
    }
}

impl ReportReview {
    /// The longest time into the future for which a demand on the member may last: 18 months (COM(2022) 209,
    /// Article 48), in milliseconds.
    pub const DEMAND_MS_MAX: u64 = 550 * 24 * 60 * 60 * 1_000;

    /// Checks that the fields are consistent with each other.
    pub fn check(&self) -> Result<(), ReviewError> {
        let needs_reason = matches!(self.outcome, ReportOutcome::Unfounded | ReportOutcome::MoreInformation);
        if needs_reason && self.reason.as_str().is_empty() {
            return Err(ReviewError::NoReason(self.outcome));
        }
        if self.outcome != ReportOutcome::Unfounded && self.opinion_reason.is_some() {
            return Err(ReviewError::OpinionReason);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_says_why_where_the_member_has_to_learn_it() {
        let review = |outcome, reason: &str, opinion_reason| ReportReview {
            outcome,
            reason: CaseNote::new(reason).unwrap(),
            opinion_reason,
            do_not_tell_until: None,
            do_not_remove_until: None,
        };
        for outcome in ReportOutcome::ALL {
            assert_eq!(ReportOutcome::from_name(outcome.name()), Some(*outcome));
            assert_eq!(review(*outcome, "because", None).check(), Ok(()));
        }
        let (unfounded, more) = (ReportOutcome::Unfounded, ReportOutcome::MoreInformation);
        assert_eq!(review(unfounded, "", None).check(), Err(ReviewError::NoReason(unfounded)));
        assert_eq!(review(more, "", None).check(), Err(ReviewError::NoReason(more)));
        assert_eq!(review(ReportOutcome::Founded, "", None).check(), Ok(()));
        let reason = Some(OpinionReason::PoorHash);
        assert_eq!(review(unfounded, "because", reason).check(), Ok(()));
        let founded = review(ReportOutcome::Founded, "because", reason).check();
        assert_eq!(founded, Err(ReviewError::OpinionReason));
        assert_eq!(founded.unwrap_err().field(), "opinion_reason");
    }
}
